//! Room on the disk: a file that holds some, and gives it back when there is no other.
//!
//! What was acknowledged has to be sealed, tried and settled also when the disk is full. So new usage is refused while
//! there is still room for that, and the room is taken from the disk beforehand, where other files cannot have it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;

const MIB: u64 = 1 << 20;
/// Bytes that are held back. Sealing an hour of 24 dimensions with 2,500 tag sets each takes about 18 MiB of them.
pub(crate) const SIZE: u64 = 32 * MIB;
/// They are given back in parts, so that others on the same disk do not get all at once.
const STEP: u64 = 4 * MIB;
/// A transaction begins with at least this much free, as long as the reserve has some.
const WORK: u64 = 4 * MIB;
/// With less free than this new usage is refused.
const LOW: u64 = 8 * MIB;
/// It is taken again when so much is free.
const ENOUGH: u64 = 2 * LOW;
const NAME: &str = "reserve";

/// How much room the disk of a ledger has, as of the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// True while new usage has to be refused.
    pub low: bool,
    /// Free bytes for files of this user; the reserve is not among them.
    pub free: u64,
}

/// The file, and what is known of the disk that it is on.
#[derive(Debug)]
pub(super) struct Reserve {
    file: File,
    held: u64,
    space: Space,
    /// The file of the ledger itself.
    database: PathBuf,
}

/// What to do about the room that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Keep,
    /// Hold only this many bytes.
    Release(u64),
    /// Hold all again.
    Fill,
}

impl Reserve {
    /// Opens the file in a ledger's folder or makes it, and makes room for a transaction if there is none.
    pub(super) fn open(folder: &Path, database: PathBuf) -> std::io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(NAME))?;
        let held = file.metadata()?.len();
        let mut reserve = Self { file, held, space: Space::default(), database };
        reserve.look()?;
        Ok(reserve)
    }

    /// As of the last look.
    pub(super) fn space(&self) -> Space {
        self.space
    }

    /// True if all of the ledger may be written once more, which is what a checkpoint does at most.
    pub(super) fn fits_again(&self) -> bool {
        let size = self.database.metadata().map_or(0, |file| file.len());
        !self.space.low && self.space.free > size.saturating_mul(2).saturating_add(LOW)
    }

    /// Looks at the disk, and gives back or takes what is due. Call it before each transaction.
    pub(super) fn look(&mut self) -> std::io::Result<()> {
        let mut free = free(&self.file)?;
        let held = self.held;
        match due(free, held) {
            Move::Keep => {}
            Move::Release(held) => {
                self.file.set_len(held)?;
                // Some file systems give blocks back only then.
                self.file.sync_all()?;
                tracing::warn!(
                    free,
                    held,
                    "the disk of the ledger is full; the reserve gives room for what is recorded"
                );
                self.held = held;
            }
            Move::Fill => self.fill()?,
        }
        if self.held != held {
            free = self::free(&self.file)?;
        }
        let was_low = self.space.low;
        self.space = Space { low: is_low(free, self.held, was_low), free };
        if self.space.low != was_low {
            tell(self.space.low, free);
        }
        Ok(())
    }

    /// All or nothing: half a reserve is noticed by its size.
    fn fill(&mut self) -> std::io::Result<()> {
        let filled = match fallocate(&self.file, FallocateFlags::empty(), self.held, SIZE - self.held) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.write_zeros(),
            other => other.map_err(std::io::Error::from),
        };
        match filled {
            Ok(()) => self.held = SIZE,
            Err(error) => {
                tracing::warn!(%error, "no room for the reserve of the ledger");
                self.file.set_len(self.held)?;
            }
        }
        Ok(())
    }

    /// For file systems that cannot allocate without writing, such as NFS before 4.2.
    fn write_zeros(&self) -> std::io::Result<()> {
        let zeros = vec![0; usize::try_from(MIB).unwrap_or_default()];
        let mut at = self.held;
        while at < SIZE {
            self.file.write_all_at(&zeros, at)?;
            at += MIB;
        }
        self.file.set_len(SIZE)?;
        self.file.sync_all()
    }
}

/// Makes room in the folder of a ledger that is written by somebody else than its own host. A folder without a reserve is
/// left as it is.
pub(super) fn make_room(folder: &Path) -> std::io::Result<()> {
    let Ok(file) = OpenOptions::new().write(true).open(folder.join(NAME)) else { return Ok(()) };
    match due(free(&file)?, file.metadata()?.len()) {
        Move::Release(held) => file.set_len(held).and_then(|()| file.sync_all()),
        Move::Keep | Move::Fill => Ok(()),
    }
}

/// A ledger that nobody will write needs no room.
pub(super) fn remove(folder: &Path) {
    // If it stays it takes room, and nothing else.
    let _stays = std::fs::remove_file(folder.join(NAME));
}

fn due(free: u64, held: u64) -> Move {
    if free < WORK && held > 0 {
        let wanted = (WORK - free).div_ceil(STEP) * STEP;
        Move::Release(held.saturating_sub(wanted))
    } else if held < SIZE && free >= SIZE - held + ENOUGH {
        Move::Fill
    } else {
        Move::Keep
    }
}

/// A disk that was low is so until there is clearly more.
fn is_low(free: u64, held: u64, was_low: bool) -> bool {
    held < SIZE || free < if was_low { ENOUGH } else { LOW }
}

fn free(file: &File) -> std::io::Result<u64> {
    let disk = fstatvfs(file)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn tell(low: bool, free: u64) {
    if low {
        tracing::error!(free, "the disk of the ledger is almost full: no new usage is taken until there is room");
    } else {
        tracing::warn!(free, "the disk of the ledger has room: usage is taken again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_step_by_step_and_taken_when_there_is_clearly_enough() {
        let cases = [
            (100 * MIB, SIZE),
            (5 * MIB, SIZE),
            (MIB, SIZE),
            (0, SIZE),
            (0, STEP / 2),
            (0, 0),
            (16 * MIB, 0),
            (47 * MIB, 0),
            (48 * MIB, 0),
            (20 * MIB, SIZE - STEP),
        ];
        let said: Vec<String> = cases
            .iter()
            .map(|&(free, held)| format!("{} free, {} held: {:?}", free / MIB, held / MIB, due(free, held)))
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        100 free, 32 held: Keep
        5 free, 32 held: Keep
        1 free, 32 held: Release(29360128)
        0 free, 32 held: Release(29360128)
        0 free, 2 held: Release(0)
        0 free, 0 held: Keep
        16 free, 0 held: Keep
        47 free, 0 held: Keep
        48 free, 0 held: Fill
        20 free, 28 held: Fill
        ");
    }

    #[test]
    fn usage_is_refused_before_the_room_for_what_is_recorded_is_touched() {
        assert!(!is_low(LOW, SIZE, false));
        assert!(is_low(LOW - 1, SIZE, false));
        assert!(is_low(ENOUGH - 1, SIZE, true));
        assert!(!is_low(ENOUGH, SIZE, true));
        assert!(is_low(100 * MIB, SIZE - 1, true));
        assert!(matches!(due(LOW - 1, SIZE), Move::Keep));
    }
}
