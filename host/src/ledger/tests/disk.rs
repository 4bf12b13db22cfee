//! A disk in memory: it keeps apart what was written and what is durable, fails on demand, and can lose its power.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

mod vfs;

pub(super) use vfs::NAME;

/// What a power cut writes whole or not at all, in bytes.
const SECTOR: usize = 512;

static DISKS: Mutex<BTreeMap<String, Disk>> = Mutex::new(BTreeMap::new());

/// A failed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Write,
    Full,
    Sync,
    Truncate,
}

/// Which operations fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The n-th write, sync or truncation, from 1; the others work.
    Once(usize),
    /// That and all after it: the disk is gone.
    From(usize),
    /// From the n-th operation on nothing can grow.
    FullFrom(usize),
    /// Only the next sync.
    NextSync,
}

/// What of the unsynced writes a power cut leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// No cut: only the process died.
    None,
    Nothing,
    /// Some writes, some of them torn, chosen by this number.
    Some(u64),
}

#[derive(Clone, Debug, Default)]
struct Disk {
    files: BTreeMap<String, File>,
    operations: usize,
    fault: Option<Fault>,
    failed: bool,
}

#[derive(Clone, Debug, Default)]
struct File {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// An empty disk. Its files are those below its name.
pub(super) fn create(name: &str) {
    vfs::register();
    disks().insert(name.to_owned(), Disk::default());
}

pub(super) fn remove(name: &str) {
    disks().remove(name);
}

/// From now on operations fail like this, counted anew.
pub(super) fn set_fault(name: &str, fault: Fault) {
    on(name, |disk| (disk.fault, disk.operations, disk.failed) = (Some(fault), 0, false));
}

/// True if the fault has happened.
pub(super) fn has_failed(name: &str) -> bool {
    on(name, |disk| disk.failed)
}

/// The power goes and comes back; the disk works again.
pub(super) fn cut(name: &str, cut: Cut) {
    on(name, |disk| {
        (disk.fault, disk.failed) = (None, false);
        if cut != Cut::None {
            let mut random = if let Cut::Some(seed) = cut { seed | 1 } else { 0 };
            disk.files.values_mut().for_each(|file| file.lose(&mut random));
        }
    });
}

/// The disk has lied about every sync: nothing is there.
pub(super) fn forget(name: &str) {
    on(name, |disk| disk.files.clear());
}

fn disks() -> MutexGuard<'static, BTreeMap<String, Disk>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on<T>(path: &str, act: impl FnOnce(&mut Disk) -> T) -> T {
    let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    act(disks().get_mut(name).unwrap())
}

impl Disk {
    /// Counts an operation. `how` it fails if it is its turn.
    fn attempt(&mut self, how: Failure, grows: bool) -> Result<(), Failure> {
        self.operations += 1;
        let failure = match self.fault {
            Some(Fault::Once(n)) if self.operations == n => Some(how),
            Some(Fault::From(n)) if self.operations >= n => Some(how),
            Some(Fault::FullFrom(n)) if self.operations >= n && how == Failure::Write && grows => Some(Failure::Full),
            Some(Fault::NextSync) if how == Failure::Sync && !self.failed => Some(how),
            _ => None,
        };
        self.failed |= failure.is_some();
        failure.map_or(Ok(()), Err)
    }

    fn write(&mut self, path: &str, at: usize, bytes: &[u8]) -> Result<(), Failure> {
        let grows = self.files.get(path).is_none_or(|file| at + bytes.len() > file.now.len());
        let attempt = self.attempt(Failure::Write, grows);
        // What fails may have been written in part.
        let bytes = if attempt.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        self.files.entry(path.to_owned()).or_default().change(Change::Write { at, bytes: bytes.to_vec() });
        attempt
    }

    fn truncate(&mut self, path: &str, length: usize) -> Result<(), Failure> {
        self.attempt(Failure::Truncate, false)?;
        self.files.entry(path.to_owned()).or_default().change(Change::Length(length));
        Ok(())
    }

    fn sync(&mut self, path: &str) -> Result<(), Failure> {
        let attempt = self.attempt(Failure::Sync, false);
        let file = self.files.entry(path.to_owned()).or_default();
        // After a failed sync the system may forget what it could not write, and still show it.
        let pending = std::mem::take(&mut file.pending);
        if attempt.is_ok() {
            pending.iter().for_each(|change| change.apply(&mut file.durable));
        }
        attempt
    }
}

impl File {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.pending.push(change);
    }

    fn lose(&mut self, random: &mut u64) {
        let keep_some = *random != 0;
        for change in std::mem::take(&mut self.pending).into_iter().filter(|_| keep_some) {
            match (next(random) % 4, change) {
                (0, _) => {}
                (1, Change::Write { at, bytes }) => {
                    for (number, sector) in bytes.chunks(SECTOR).enumerate().filter(|_| next(random).is_multiple_of(2))
                    {
                        Change::Write { at: at + number * SECTOR, bytes: sector.to_vec() }.apply(&mut self.durable);
                    }
                }
                (_, change) => change.apply(&mut self.durable),
            }
        }
        self.now.clone_from(&self.durable);
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*at..end].copy_from_slice(bytes);
            }
            Self::Length(length) => to.resize(*length, 0),
        }
    }
}

/// xorshift64: the same cuts for the same seed.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}
