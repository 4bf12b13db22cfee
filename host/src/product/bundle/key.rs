//! The vendor's keys: Ed25519, as `openssl` writes and reads them.

use std::fmt;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What is before the key in a `SubjectPublicKeyInfo` of Ed25519 (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Columns of PEM (RFC 7468).
const COLUMNS: usize = 64;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// The key that a vendor's bundles are checked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Whether the owner of the key has signed `message`.
    pub fn has_signed(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    /// Reads the PEM form; None if it is something else.
    pub fn from_pem(text: &str) -> Option<Self> {
        let der = der(text, "PUBLIC KEY")?;
        Some(Self(der.strip_prefix(&SPKI)?.try_into().ok()?))
    }

    /// The PEM form.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[SPKI.as_slice(), &self.0].concat()).to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Either key, so what is read is wiped, and no buffer grows and leaves a part of it behind.
fn der(text: &str, label: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let body = text.trim().strip_prefix(begin.as_str())?.strip_suffix(end.as_str())?;
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.split_ascii_whitespace());
    STANDARD.decode(base64.as_bytes()).ok().map(Zeroizing::new)
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(2 * body.len() + 2 * label.len() + 64));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for line in body.as_bytes().chunks(COLUMNS) {
        text.extend([std::str::from_utf8(line).unwrap_or_default(), "\n"]);
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

#[cfg(feature = "compiler")]
pub use signing::SigningKey;

#[cfg(feature = "compiler")]
mod signing {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use zeroize::Zeroizing;

    use super::{PublicKey, SIGNATURE_BYTES, der, pem};

    /// The secret that a vendor signs bundles with.
    #[derive(Debug)]
    pub struct SigningKey(Ed25519KeyPair);

    impl SigningKey {
        /// A new one, from the system's randomness. None: the system gives none.
        pub fn generate() -> Option<Self> {
            Ed25519KeyPair::generate().ok().map(Self)
        }

        /// Reads PKCS#8 in PEM, as `tollgate keygen` and `openssl genpkey -algorithm ed25519` write it; None if it is
        /// something else.
        pub fn from_pem(text: &str) -> Option<Self> {
            Ed25519KeyPair::from_pkcs8(&der(text, "PRIVATE KEY")?).ok().map(Self)
        }

        /// PKCS#8 in PEM. None: the library cannot encode it.
        pub fn to_pem(&self) -> Option<Zeroizing<String>> {
            // Version 1, which every OpenSSL reads.
            Some(pem("PRIVATE KEY", self.0.to_pkcs8v1().ok()?.as_ref()))
        }

        /// The key to check with.
        pub fn public(&self) -> PublicKey {
            let mut key = [0; 32];
            key.copy_from_slice(self.0.public_key().as_ref());
            PublicKey(key)
        }

        /// The same message gives the same signature.
        pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
            let mut signature = [0; SIGNATURE_BYTES];
            signature.copy_from_slice(self.0.sign(message).as_ref());
            signature
        }
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;

    #[test]
    fn both_keys_are_read_back_from_pem() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(PublicKey::from_pem(&key.public().to_pem()), Some(key.public()));
        assert_eq!(PublicKey::from_pem(&key.to_pem().unwrap()), None);
        assert!(SigningKey::from_pem(&key.public().to_pem()).is_none());
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn a_signature_of_the_standard_is_accepted_and_one_of_another_message_is_not() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
        };
        let key = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        let key = PublicKey(key.try_into().unwrap());
        let signature: [u8; 64] = signature.try_into().unwrap();
        assert!(key.has_signed(&[0x72], &signature));
        assert!(!key.has_signed(&[0x73], &signature));
    }
}
