//! The one who writes: a transaction at a time, and none after an error. Whoever calls waits for the disk.

use tollgate_metering::Record;

use super::folder::Folder;
use super::reserve::Reserve;
use super::{ArchiveRow, Batch, Image, Space, Store};

/// The writing end of a ledger. When it is gone the ledger is closed and its folder free.
#[derive(Debug)]
pub struct Writer {
    store: Box<dyn Store>,
    /// None: there is always room.
    reserve: Option<Reserve>,
    poisoned: Option<Poisoned>,
    /// Behind the store: it is free only when that is closed.
    _folder: Option<Folder>,
}

/// The ledger could not be written. The process has to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be written: {0}")]
pub struct Poisoned(pub String);

impl Writer {
    pub(super) fn new(store: impl Store, folder: Folder, reserve: Reserve) -> Self {
        Self { store: Box::new(store), reserve: Some(reserve), poisoned: None, _folder: Some(folder) }
    }

    /// Writes to a store that is on no disk.
    #[cfg(test)]
    pub(crate) fn unlimited(store: impl Store) -> Self {
        Self { store: Box::new(store), reserve: None, poisoned: None, _folder: None }
    }

    /// Returns when the batch is on disk.
    ///
    /// # Errors
    /// [`Poisoned`]: this batch or one before it could not be written, and none will be any more.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), Poisoned> {
        self.attempt(|store| store.commit(batch))
    }

    /// Returns when the checkpoint stands on disk in place of everything before it, and what it forgets
    /// is in the archive.
    ///
    /// # Errors
    /// As for [`Writer::commit`].
    pub fn compact(&mut self, records: &[Record], forgotten: &[Record]) -> Result<(), Poisoned> {
        self.attempt(|store| store.compact(records, forgotten))
    }

    /// Returns when all usage stands where an auditor looks for it: at the end of a process.
    ///
    /// # Errors
    /// As for [`Writer::commit`].
    pub fn gather(&mut self) -> Result<(), Poisoned> {
        self.attempt(|store| store.gather())
    }

    /// Looks at the disk anew, also when nothing is written.
    ///
    /// # Errors
    /// As for [`Writer::commit`].
    pub fn look(&mut self) -> Result<(), Poisoned> {
        self.attempt(|_| Ok(()))
    }

    /// Every row as it stands.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn image(&mut self) -> Result<Image, String> {
        self.store.image()
    }

    /// The next rows of the archive after a number.
    ///
    /// # Errors
    /// As for [`Writer::image`].
    pub fn archived(&mut self, after: u64) -> Result<Vec<ArchiveRow>, String> {
        self.store.archived(after)
    }

    /// How much room the disk has.
    pub fn space(&self) -> Space {
        self.reserve.as_ref().map_or_else(Space::default, Reserve::space)
    }

    /// True if there is room for a checkpoint.
    pub fn fits_again(&self) -> bool {
        self.reserve.as_ref().is_none_or(Reserve::fits_again)
    }

    /// After one error nothing is tried any more.
    fn attempt(&mut self, write: impl FnOnce(&mut dyn Store) -> Result<(), String>) -> Result<(), Poisoned> {
        if self.poisoned.is_none() {
            let room = self.reserve.as_mut().map_or(Ok(()), Reserve::look);
            let room = room.map_err(|error| format!("the reserve beside the ledger: {error}"));
            self.poisoned = room.and_then(|()| write(&mut *self.store)).err().map(Poisoned);
        }
        self.poisoned.clone().map_or(Ok(()), Err)
    }
}
