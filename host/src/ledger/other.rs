//! The ledger of another identity on the same volume, held for as long as it takes to adopt what it left.

use std::path::{Path, PathBuf};

use tollgate_metering::{Ledger, Record};

use super::folder::Folder;
use super::{Batch, OpenError, Sqlite, Store, fold};

/// A ledger of somebody else whose lock was free.
#[derive(Debug)]
pub struct Other {
    /// Its state.
    pub ledger: Ledger,
    store: Sqlite,
    folder: Folder,
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
        let database = folder.database();
        let store = Sqlite::open(&database, true)?;
        let mut store = store.watched(folder.witnessed(), folder.witness()?);
        let ledger = store.load().and_then(fold);
        let ledger = ledger.map_err(|problem| OpenError::Damaged { path: database, problem })?;
        Ok(Some(Self { ledger, store, folder }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes records durable, then folds them in.
    ///
    /// # Errors
    /// They do not fit, or cannot be written: this ledger is then left to the next start.
    pub fn write(&mut self, records: Vec<Record>) -> Result<(), String> {
        super::admit(&self.ledger, &records)?;
        if !records.is_empty() {
            self.store.commit(&Batch { used: Vec::new(), records: records.clone() })?;
        }
        records.iter().for_each(|record| self.ledger.apply(record));
        Ok(())
    }

    /// Notes beside it that there is nothing left to adopt, so that no start reads it again. It stays to be looked at.
    ///
    /// # Errors
    /// The note cannot be written; the next start tries again.
    pub fn retire(mut self) -> Result<(), OpenError> {
        drop(self.store);
        self.folder.retire()
    }
}
