//! The ledger of another identity on the same volume, held for as long as it takes to adopt what it left.

use std::path::{Path, PathBuf};

use tollgate_metering::{Ledger, Record};

use super::folder::{Folder, has_begun, has_ledger, not_writable};
use super::{ArchiveRow, Batch, Image, OpenError, Sqlite, Store, fold, reserve};

/// A ledger of somebody else whose lock was free.
#[derive(Debug)]
pub struct Other {
    /// Its state.
    pub ledger: Ledger,
    store: Sqlite,
    folder: Folder,
    /// What a write said that failed. Nobody knows what of it is on disk, so nothing is written after it.
    failed: Option<String>,
}

impl Other {
    /// Takes the ledgers in these folders that nobody uses. Those that are in use, or have nothing to adopt, are passed
    /// over; a damaged one is left as it is, and told.
    pub fn take_all(folders: &[PathBuf]) -> Vec<Self> {
        let take = |path: &PathBuf| match Self::take(path) {
            Ok(taken) => taken,
            Err(OpenError::Locked(_)) => None,
            Err(error) => {
                tracing::error!(%error, "a ledger of another task or pod cannot be read; it is left as it is");
                None
            }
        };
        folders.iter().filter_map(take).collect()
    }

    /// The ledger in a folder; none if it never began or has nothing left.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed.
    pub fn take(path: &Path) -> Result<Option<Self>, OpenError> {
        let folder = Folder::lock(path.to_owned())?;
        if !folder.begun() || folder.retired() {
            return Ok(None);
        }
        Self::of(folder)?.loaded().map(Some)
    }

    /// The ledger in a folder, whatever it holds.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed.
    pub fn hold(path: &Path) -> Result<Self, OpenError> {
        Self::unread(path)?.loaded()
    }

    /// The same, before its rows are read. A folder without a ledger stays as it is.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed but the version of the tables.
    pub fn unread(path: &Path) -> Result<Self, OpenError> {
        if !has_ledger(path) && has_begun(path) {
            let problem = "the ledger had begun, and now its database is missing".to_owned();
            return Err(OpenError::Damaged { path: path.to_owned(), problem });
        }
        if !has_ledger(path) {
            let problem = "there is no ledger in this folder".to_owned();
            return Err(OpenError::NotWritable { path: path.to_owned(), problem });
        }
        Self::of(Folder::lock(path.to_owned())?)
    }

    fn of(folder: Folder) -> Result<Self, OpenError> {
        reserve::make_room(folder.path()).map_err(|error| not_writable(folder.path(), &error))?;
        // A host that was killed while it made its ledger leaves a file without tables, in which nothing was recorded.
        let store = Sqlite::open(&folder.database(), folder.begun())?.watched(folder.witness()?);
        Ok(Self { ledger: Ledger::new(), store, folder, failed: None })
    }

    /// The same in a file on a disk of the tests.
    #[cfg(test)]
    pub(super) fn on(folder: Folder, store: Sqlite) -> Result<Self, OpenError> {
        Self { ledger: Ledger::new(), store, folder, failed: None }.loaded()
    }

    fn loaded(mut self) -> Result<Self, OpenError> {
        let ledger = self.store.load().and_then(fold);
        self.ledger = ledger.map_err(|problem| OpenError::Damaged { path: self.folder.database(), problem })?;
        Ok(self)
    }

    /// Every row as it stands.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn image(&mut self) -> Result<Image, OpenError> {
        self.store.image().map_err(|problem| OpenError::Damaged { path: self.folder.database(), problem })
    }

    /// The next rows of the archive after a number.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn archived(&mut self, after: u64) -> Result<Vec<ArchiveRow>, String> {
        self.store.archived(after)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes records durable, then folds them in.
    ///
    /// # Errors
    /// They do not fit, or cannot be written, now or before: this ledger is then left to the next start.
    pub fn write(&mut self, records: Vec<Record>) -> Result<(), String> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        super::admit(&self.ledger, &records)?;
        if !records.is_empty() {
            reserve::make_room(self.folder.path()).map_err(|error| error.to_string())?;
            let written = self.store.commit(&Batch { used: Vec::new(), records: records.clone() });
            self.failed = written.err();
            self.failed.clone().map_or(Ok(()), Err)?;
        }
        records.iter().for_each(|record| self.ledger.apply(record));
        Ok(())
    }

    /// Notes beside it that there is nothing left to adopt, so that no start reads it again. It stays to be looked at.
    ///
    /// # Errors
    /// The note cannot be written; the next start tries again.
    pub fn retire(self) -> Result<(), OpenError> {
        drop(self.store);
        reserve::remove(self.folder.path());
        self.folder.retire()
    }
}
