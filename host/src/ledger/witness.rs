//! What a second place knows about the ledger: its last entry and the sum of all usage.
//!
//! The line stands in the lock file, beside the database. It is written after each commit, in place and without waiting
//! for the disk, so it is never ahead of the ledger: a ledger behind it has lost something, such as its newest entries, its
//! log, or to an older copy. A line that cannot be read, after a power cut, is no witness.

use std::fs::File;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::chain::Link;

/// The line is written in place, so it has one length.
const WIDTH: usize = 192;

/// Where a ledger ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// The number of the last entry.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) link: Link,
    /// All usage ever recorded, in units of the guest.
    pub(super) recorded: u128,
}

impl Head {
    fn line(&self) -> String {
        let words = format!("head seq={} hash={} recorded={}", self.seq, hex(&self.link.0), self.recorded);
        let check = hex(&Sha256::digest(&words)[..4]);
        format!("{:<width$}\n", format!("{words} check={check}"), width = WIDTH - 1)
    }

    /// The head that a line of [`Head::line`] says; none if it says anything else.
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut words = line.trim_end().split([' ', '=']).skip(1);
        let mut value = |name| words.next().filter(|word| *word == name).and_then(|_| words.next());
        let (seq, hash, recorded) = (value("seq")?.parse().ok()?, value("hash")?, value("recorded")?.parse().ok()?);
        let mut link = Link::default();
        for (byte, digits) in link.0.iter_mut().zip(hash.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        let head = Self { seq, link, recorded };
        (head.line() == line).then_some(head)
    }
}

/// The place of the line.
#[derive(Debug)]
pub(super) struct Witness {
    pub(super) file: File,
    pub(super) offset: u64,
}

impl Witness {
    /// Notes where the ledger ends now.
    pub(super) fn note(&self, head: &Head) -> std::io::Result<()> {
        self.file.write_all_at(head.line().as_bytes(), self.offset)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_back_from_its_line_and_from_no_other() {
        let head = Head { seq: 7, link: Link([0xab; 32]), recorded: u128::MAX };
        let line = head.line();
        assert_eq!((line.len(), Head::read(&line)), (WIDTH, Some(head)));
        assert_eq!(Head::read(&line.replace("seq=7", "seq=8")), None);
        assert_eq!([&line[..50], "", "head"].map(Head::read), [None; 3]);
    }
}
