//! The last bytes of a packed host: where the head is, and who signed it.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | where the head begins in the file, little-endian; a multiple of 65536 |
//! | 8 | 8 | bytes of the head, little-endian |
//! | 16 | 32 | the public key of the signer |
//! | 48 | 64 | Ed25519 signature over [`CONTEXT`] and the head |
//! | 112 | 16 | [`MAGIC`] |

use super::key::{PublicKey, SIGNATURE_BYTES};

/// Bytes of the trailer.
pub const BYTES: usize = 128;
/// The end of every packed host; its last byte is the version of the trailer.
pub const MAGIC: &[u8; 16] = b"TOLLGATE BUNDLE\x01";
/// Before the head in what is signed, so that a signature of something else cannot be taken for one of a bundle.
pub const CONTEXT: &[u8] = b"tollgate bundle head, version 1\n";

/// See the table above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Where the head begins in the file.
    pub head_at: u64,
    /// Its length.
    pub head_bytes: u64,
    /// Who says to have signed it; to be compared with the slot.
    pub key: PublicKey,
    /// Over [`message`].
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Trailer {
    /// Reads it; None if the file does not end like a packed host.
    pub fn parse(bytes: &[u8; BYTES]) -> Option<Self> {
        let (head_at, rest) = bytes.split_first_chunk()?;
        let (head_bytes, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (signature, magic) = rest.split_first_chunk()?;
        (magic == MAGIC).then_some(Self {
            head_at: u64::from_le_bytes(*head_at),
            head_bytes: u64::from_le_bytes(*head_bytes),
            key: PublicKey(*key),
            signature: *signature,
        })
    }

    /// The bytes at the end of the file.
    #[cfg(feature = "compiler")]
    pub fn bytes(&self) -> Vec<u8> {
        let numbers = [self.head_at.to_le_bytes(), self.head_bytes.to_le_bytes()];
        [numbers.as_flattened(), &self.key.0, &self.signature, MAGIC].concat()
    }
}

/// What is signed.
pub fn message(head: &[u8]) -> Vec<u8> {
    [CONTEXT, head].concat()
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_and_has_its_width() {
        let trailer = Trailer { head_at: 65536, head_bytes: 7, key: PublicKey([3; 32]), signature: [4; 64] };
        let bytes: [u8; BYTES] = trailer.bytes().try_into().unwrap();
        assert_eq!(Trailer::parse(&bytes), Some(trailer));
        for index in 112..128 {
            let mut other = bytes;
            other[index] ^= 1;
            assert_eq!(Trailer::parse(&other), None, "{index}");
        }
    }
}
