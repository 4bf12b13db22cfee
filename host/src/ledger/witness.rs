//! What a second place knows about the ledger: its last entry and the sum of all usage.
//!
//! The line stands in the lock file, beside the database. It is written after each commit, in place and without waiting
//! for the disk, so it is never ahead of the ledger: a ledger behind it has lost something, such as its newest entries, its
//! log, or to an older copy. A line that cannot be read, after a power cut, is no witness.
//!
//! The first line says that the ledger has begun, the second is the witness, a third that nothing is left in it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::chain::Link;

/// Comes first: from then on an empty database is a lost one.
const BEGUN: &str = "begun\n";
/// The line is written in place, so it has one length.
const WIDTH: usize = 192;
/// Follows the witness when another identity has adopted all there was.
const RETIRED: &str = "retired\n";
/// Where the witness ends.
const END: u64 = 198;

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
    /// As it stands in the file.
    pub(super) fn line(&self) -> String {
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

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Seen {
    /// Only that the ledger has begun, as version 1 wrote it; or there is no second place.
    #[default]
    Nothing,
    /// Nothing at all: the ledger is new, or the file was lost.
    Missing,
    /// Something that no host has written.
    Unreadable,
    /// Where the ledger ended.
    Head(Head),
}

/// The second place.
#[derive(Debug)]
pub(super) struct Witness(File);

impl Witness {
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }

    /// What it knows, and whether it says that nothing is left to adopt.
    pub(super) fn read(&self) -> std::io::Result<(Seen, bool)> {
        // More than a host writes is as wrong as less.
        let mut held = vec![0; BEGUN.len() + WIDTH + RETIRED.len() + 1];
        let mut length = 0;
        while length < held.len() {
            let offset = u64::try_from(length).unwrap_or(u64::MAX);
            match self.0.read_at(&mut held[length..], offset)? {
                0 => break,
                more => length += more,
            }
        }
        let held = String::from_utf8_lossy(&held[..length]);
        let Some(rest) = held.strip_prefix(BEGUN) else {
            return Ok((if held.is_empty() { Seen::Missing } else { Seen::Unreadable }, false));
        };
        let (line, rest) = rest.split_at_checked(WIDTH).unwrap_or((rest, ""));
        let seen = match Head::read(line) {
            _ if line.is_empty() => Seen::Nothing,
            Some(head) if rest.is_empty() || rest == RETIRED => Seen::Head(head),
            _ => Seen::Unreadable,
        };
        Ok((seen, rest == RETIRED))
    }

    /// Begins: the file says this and nothing else. Returns when it is on disk.
    pub(super) fn begin(&self, head: &Head) -> std::io::Result<()> {
        self.0.write_all_at(BEGUN.as_bytes(), 0)?;
        self.note(head)?;
        self.0.set_len(END)?;
        self.0.sync_all()
    }

    /// Notes where the ledger ends now.
    pub(super) fn note(&self, head: &Head) -> std::io::Result<()> {
        self.0.write_all_at(head.line().as_bytes(), u64::try_from(BEGUN.len()).unwrap_or_default())
    }

    /// Notes that nothing is left for others.
    pub(super) fn retire(&self) -> std::io::Result<()> {
        self.0.write_all_at(RETIRED.as_bytes(), END)
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
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
        assert_eq!(END, u64::try_from(BEGUN.len() + WIDTH).unwrap());
    }
}
