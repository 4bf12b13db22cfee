//! The digest of a piece of code: quick to check, because its parts are independent.

use std::fmt;
use std::num::NonZero;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// Each part has a digest of its own; the digest of the whole is that of all of them in a row.
const PART: usize = 1 << 20;
/// Fewer parts than this for each thread are not worth a thread.
const PARTS_MIN: usize = 4;
/// Memory is the limit from here on.
const THREADS_MAX: usize = 8;

/// SHA-256 over the SHA-256 of each MiB, the last part as long as it is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let parts: Vec<&[u8]> = bytes.chunks(PART).collect();
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
        let share = parts.len().div_ceil(threads).max(PARTS_MIN);
        let mut row = vec![[0; 32]; parts.len()];
        if parts.len() <= share {
            fill(&parts, &mut row);
        } else {
            std::thread::scope(|scope| {
                for (parts, row) in parts.chunks(share).zip(row.chunks_mut(share)) {
                    scope.spawn(move || fill(parts, row));
                }
            });
        }
        Self(sha256(row.as_flattened()))
    }
}

fn fill(parts: &[&[u8]], row: &mut [[u8; 32]]) {
    for (part, digest) in parts.iter().zip(row) {
        *digest = sha256(part);
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 64 || !text.bytes().all(lower) {
            return Err(format!("{text:?} is not a digest"));
        }
        let mut out = [0; 32];
        for (index, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|error| error.to_string())?;
        }
        Ok(Self(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_whatever_the_threads() {
        let bytes: Vec<u8> = (0..PART * 20 + 7).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let row: Vec<u8> = bytes.chunks(PART).flat_map(sha256).collect();
        assert_eq!(Digest::of(&bytes), Digest(sha256(&row)));
    }

    #[test]
    fn nothing_and_a_part_of_nothing_differ() {
        assert_ne!(Digest::of(b""), Digest::of(&[0]));
        assert_ne!(Digest::of(&vec![0; PART]), Digest::of(&vec![0; PART + 1]));
    }

    #[test]
    fn text_is_read_back_and_in_one_spelling_only() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::try_from(digest.to_string()), Ok(digest));
        assert!(Digest::try_from(digest.to_string().to_uppercase()).is_err());
        assert!(Digest::try_from("ab".to_owned()).is_err());
    }
}
