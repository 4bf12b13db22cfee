//! The hash chain over the transitions: each entry vouches for all before it.

use sha2::{Digest, Sha256};

/// The hash of an entry, or of nothing at the very start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Link(pub(super) [u8; 32]);

impl Link {
    /// The hash of entry number `seq` with this text, after an entry with this hash.
    pub(super) fn next(self, seq: u64, text: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(seq.to_le_bytes());
        hasher.update(text.as_bytes());
        Self(hasher.finalize().into())
    }
}
