//! Signed tokens. The answer of `RegisterUsage` is a compact JWS under PS256 with camelCase claims, as AWS's own sample
//! and shipping products read it; it is bound to product, key version and nonce, and to nothing else. The token of a
//! Kubernetes service account is one under RS256.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde::Serialize;
use serde_json::Value;

/// The RSA key that signs for one version of one product's key.
pub struct SigningKey {
    pair: KeyPair,
    pem: String,
}

impl SigningKey {
    /// Makes a new RSA-2048 key. AWS issues RSA-3072 keys; 2048 bits verify by the same code and are drawn in a
    /// fraction of the time.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pair(KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Generate)?)
    }

    /// Takes a given key: PEM, PKCS#8, RSA of 2048 bits or more.
    ///
    /// # Errors
    /// When the text is no such key.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let der = BASE64_STANDARD.decode(base64).map_err(|_| KeyError::Unreadable)?;
        Self::from_pair(KeyPair::from_pkcs8(&der).map_err(|_| KeyError::Unreadable)?)
    }

    /// The private half as PEM (PKCS#8).
    pub(crate) fn private_pem(&self) -> Result<String, KeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| KeyError::Unreadable)?;
        Ok(pem("PRIVATE KEY", der.as_ref()))
    }

    /// The public half as PEM (SubjectPublicKeyInfo): what AWS hands the vendor for this version.
    pub fn public_pem(&self) -> &str {
        &self.pem
    }

    /// The compact JWS over `claims`.
    pub(crate) fn sign(&self, algorithm: Algorithm, claims: &impl Serialize) -> Result<String, KeyError> {
        let payload = serde_json::to_vec(claims).map_err(|_| KeyError::Sign)?;
        let (header, padding) = match algorithm {
            Algorithm::Ps256 => (r#"{"alg":"PS256","typ":"JWT"}"#, &RSA_PSS_SHA256),
            Algorithm::Rs256 => (r#"{"alg":"RS256","typ":"JWT"}"#, &RSA_PKCS1_SHA256),
        };
        let header = BASE64_URL_SAFE_NO_PAD.encode(header);
        let message = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(payload));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature);
        signed.map_err(|_| KeyError::Sign)?;
        Ok(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of a token that this key signed under RS256.
    pub(crate) fn claims(&self, token: &str) -> Option<Value> {
        let (message, signature) = token.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref());
        key.verify(message.as_bytes(), &signature).ok()?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(message.split_once('.')?.1).ok()?;
        serde_json::from_slice(&payload).ok()
    }

    fn from_pair(pair: KeyPair) -> Result<Self, KeyError> {
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyError::Unreadable)?;
        let pem = pem("PUBLIC KEY", der.as_ref());
        Ok(Self { pair, pem })
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// A key as its private half, for the file of the state.
pub(crate) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serializer, de, ser};

    use super::SigningKey;

    pub(crate) fn serialize<S: Serializer>(key: &Arc<SigningKey>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&key.private_pem().map_err(ser::Error::custom)?)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<SigningKey>, D::Error> {
        let pem = String::deserialize(deserializer)?;
        SigningKey::from_pkcs8_pem(&pem).map(Arc::new).map_err(de::Error::custom)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Ps256,
    Rs256,
}

/// What the token of `RegisterUsage` says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claims<'a> {
    pub(crate) product_code: &'a str,
    pub(crate) public_key_version: u32,
    /// Absent when the caller sent none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<&'a str>,
    /// Unix seconds on the emulator's clock.
    pub(crate) iat: u64,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness; nothing can be done here.
    #[error("cannot generate an RSA key")]
    Generate,
    /// The key refused to sign; make another one.
    #[error("cannot sign with this RSA key")]
    Sign,
    /// Give a PKCS#8 PEM of an RSA key with at least 2048 bits.
    #[error("not a PKCS#8 RSA key of at least 2048 bits in PEM")]
    Unreadable,
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::Pkcs8V1Der;

    use super::*;

    #[test]
    fn a_given_key_is_taken_and_anything_else_refused() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            BASE64_STANDARD.encode(der.as_ref())
        );
        let key = SigningKey::from_pkcs8_pem(&pem).unwrap();
        assert_eq!(key.public_pem(), SigningKey::from_pair(pair).unwrap().public_pem());
        assert!(matches!(SigningKey::from_pkcs8_pem(key.public_pem()), Err(KeyError::Unreadable)));
        assert!(matches!(SigningKey::from_pkcs8_pem("no key"), Err(KeyError::Unreadable)));
    }
}
