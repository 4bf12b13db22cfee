//! The ledger as a SQLite database: the most tested storage there is, and any auditor can open it.
//!
//! WAL with `synchronous=FULL`: a committed transaction survives a power cut. `locking_mode=EXCLUSIVE` keeps the index of
//! the log in memory, so that it also works where shared memory does not (NFS, EFS).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, Transaction, params};
use tollgate_metering::Record;

use super::image::Image;
use super::witness::{Head, Seen, Witness};
use super::{ArchiveRow, Batch, Loaded, OpenError, Store};

mod archive;
mod checkpoint;
pub(super) mod hash;
mod read;
mod recent;
mod schema;

use recent::Recent;
use schema::Unfit;

/// The log of the database is cut back to this size, in bytes, when it was longer.
const LOG_BYTES: i64 = 8 << 20;

/// After so many commits of usage they are added to the rows where they stay: a start has no more of them to add.
const COMMITS_MAX: u64 = 1_024;

/// The log goes into the database when it has this many pages. Then it is written from its beginning again; while it is not as
/// long as it gets, each commit has to sync its length too, which takes twice as long.
const LOG_PAGES: usize = 256;

/// A ledger in a file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    /// Pages in the log after the last transaction, and how many are enough.
    log_pages: Arc<AtomicUsize>,
    log_pages_max: usize,
    head: Head,
    recent: Recent,
    commits_max: u64,
    witness: Option<Witness>,
}

impl Sqlite {
    /// Opens the file, or makes it. `begun`: there must be a ledger in it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, begun: bool) -> Result<Self, OpenError> {
        Self::of(path, begun, || Connection::open(path))
    }

    /// The same on another file system.
    #[cfg(test)]
    pub(super) fn open_on(vfs: &std::ffi::CStr, path: &Path, begun: bool) -> Result<Self, OpenError> {
        let flags = rusqlite::OpenFlags::default();
        let mut store = Self::of(path, begun, || Connection::open_with_flags_and_vfs(path, flags, vfs))?;
        // So that a short test sees it happen, and the log cut back.
        store.log_pages_max = 16;
        store.commits_max = 3;
        store.connection.pragma_update(None, "journal_size_limit", 0).map_err(|error| Unfit::from(error).of(path))?;
        Ok(store)
    }

    fn of(path: &Path, begun: bool, connect: impl Fn() -> rusqlite::Result<Connection>) -> Result<Self, OpenError> {
        let open = || {
            let connection = connect()?;
            for (name, value) in [("locking_mode", "EXCLUSIVE"), ("journal_mode", "WAL"), ("synchronous", "FULL")] {
                connection.pragma_update(None, name, value)?;
            }
            connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
            // By itself SQLite would ignore an error of that, and try again.
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            hash::register(&connection)?;
            schema::prepare(&connection, begun)?;
            Ok(connection)
        };
        let mut connection = open().map_err(|unfit: Unfit| unfit.of(path))?;
        let log_pages = Arc::<AtomicUsize>::default();
        let seen = log_pages.clone();
        let note = move |_: &mut Wal, pages| {
            seen.store(usize::try_from(pages).unwrap_or(usize::MAX), Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(note)).map_err(|error| Unfit::from(error).of(path))?;
        Ok(Self {
            connection,
            log_pages,
            log_pages_max: LOG_PAGES,
            head: Head::default(),
            recent: Recent::default(),
            commits_max: COMMITS_MAX,
            witness: None,
        })
    }

    /// From now on a second place is asked where the ledger ended, and told where it ends.
    pub(super) fn watched(mut self, witness: Witness) -> Self {
        self.witness = Some(witness);
        self
    }

    /// Where the ledger ends.
    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// Every row of usage as it will stand, and what is not there yet.
    fn read(&self) -> Result<(Image, Recent), String> {
        read::pages(&self.connection)?;
        let seen = self.witness.as_ref().map_or(Ok(Seen::Nothing), |witness| witness.read().map(|(seen, _)| seen));
        let mut image = read::image(&self.connection, seen.map_err(|error| format!("file lock: {error}"))?)?;
        let recent = Recent::read(&self.connection)?;
        image.add(recent.used())?;
        Ok((image, recent))
    }

    /// One transaction. If it fails, nobody knows what of it is on disk, and nothing is written any more.
    fn write(
        &mut self,
        what: impl FnOnce(&Transaction<'_>, &mut Head, &mut Recent) -> Result<(), String>,
    ) -> Result<(), String> {
        let (mut head, mut recent) = (self.head, std::mem::take(&mut self.recent));
        let transaction = self.connection.transaction().map_err(words)?;
        what(&transaction, &mut head, &mut recent)?;
        transaction.commit().map_err(words)?;
        (self.head, self.recent) = (head, recent);
        self.note()
    }

    /// Puts the log into the database when it is long enough. An error of that is one of the store.
    fn empty_log(&self, enough: usize) -> Result<(), String> {
        if self.log_pages.load(Relaxed) >= enough {
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(words)?;
            self.log_pages.store(0, Relaxed);
        }
        Ok(())
    }

    fn note(&self) -> Result<(), String> {
        let noted = self.witness.as_ref().map_or(Ok(()), |witness| witness.note(&self.head));
        noted.map_err(|error| format!("the witness beside the ledger: {error}"))
    }
}

impl Store for Sqlite {
    fn load(&mut self) -> Result<Loaded, String> {
        let (image, recent) = self.read()?;
        let whole = image.check()?;
        (self.head, self.recent) = (whole.head, recent);
        Ok(whole.loaded)
    }

    fn image(&mut self) -> Result<Image, String> {
        self.read().map(|(image, _)| image)
    }

    fn archived(&mut self, after: u64) -> Result<Vec<ArchiveRow>, String> {
        archive::page(&self.connection, after).map_err(words)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        let commits_max = self.commits_max;
        self.write(|transaction, head, recent| {
            if recent.is_full(commits_max) {
                recent.gather(transaction).map_err(words)?;
            }
            recent.add(transaction, &batch.used).map_err(words)?;
            head.recorded += batch.used.iter().map(|used| u128::from(used.units)).sum::<u128>();
            write_records(transaction, &batch.records, head).map_err(words)
        })?;
        self.empty_log(self.log_pages_max)
    }

    fn compact(&mut self, checkpoint: &[Record], forgotten: &[Record]) -> Result<(), String> {
        self.write(|transaction, head, recent| {
            recent.gather(transaction).map_err(words)?;
            *head = checkpoint::replace(transaction, *head, checkpoint, forgotten)?;
            Ok(())
        })?;
        self.empty_log(0)
    }

    fn gather(&mut self) -> Result<(), String> {
        self.write(|transaction, _, recent| recent.gather(transaction).map_err(words))
    }
}

fn write_records(transaction: &Transaction<'_>, records: &[Record], head: &mut Head) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT INTO transitions VALUES (?1, ?2, ?3)")?;
    for record in records {
        let text = record.to_text();
        head.seq += 1;
        head.link = head.link.next(head.seq, &text);
        insert.execute(params![head.seq, text, head.link.0])?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn words(error: rusqlite::Error) -> String {
    error.to_string()
}
