//! The ledger as a SQLite database: the most tested storage there is, and any auditor can open it.
//!
//! WAL with `synchronous=FULL`: a committed transaction survives a power cut. `locking_mode=EXCLUSIVE` keeps the index of
//! the log in memory, so that it also works where shared memory does not (NFS, EFS).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, Transaction, params};
use tollgate_metering::{Payer, Record, SlotId, Used};

use super::image::Image;
use super::witness::{Head, Seen, Witness};
use super::{ArchiveRow, Batch, Loaded, OpenError, Store};

mod archive;
mod checkpoint;
pub(super) mod hash;
mod read;
mod schema;

use schema::Unfit;

/// The log of the database is cut back to this size, in bytes, when it was longer.
const LOG_BYTES: i64 = 8 << 20;

/// The log goes into the database when it has this many pages.
const LOG_PAGES: usize = 1_000;

/// A ledger in a file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    /// Pages in the log after the last transaction, and how many are enough.
    log_pages: Arc<AtomicUsize>,
    log_pages_max: usize,
    head: Head,
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
        Ok(Self { connection, log_pages, log_pages_max: LOG_PAGES, head: Head::default(), witness: None })
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

    fn write(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let mut head = self.head;
        let transaction = self.connection.transaction()?;
        write_usage(&transaction, &batch.used, &mut head)?;
        write_records(&transaction, &batch.records, &mut head)?;
        transaction.commit()?;
        self.head = head;
        Ok(())
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
        let whole = self.image()?.check()?;
        self.head = whole.head;
        Ok(whole.loaded)
    }

    fn image(&mut self) -> Result<Image, String> {
        read::pages(&self.connection)?;
        let seen = self.witness.as_ref().map_or(Ok(Seen::Nothing), |witness| witness.read().map(|(seen, _)| seen));
        read::image(&self.connection, seen.map_err(|error| format!("file lock: {error}"))?)
    }

    fn archived(&mut self, after: u64) -> Result<Vec<ArchiveRow>, String> {
        archive::page(&self.connection, after).map_err(words)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        self.write(batch).map_err(words)?;
        self.note()?;
        self.empty_log(self.log_pages_max)
    }

    fn compact(&mut self, checkpoint: &[Record], forgotten: &[Record]) -> Result<(), String> {
        let transaction = self.connection.transaction().map_err(words)?;
        let head = checkpoint::replace(&transaction, self.head, checkpoint, forgotten)?;
        transaction.commit().map_err(words)?;
        self.head = head;
        self.note()?;
        self.empty_log(0)
    }
}

fn write_usage(transaction: &Transaction<'_>, used: &[Used], head: &mut Head) -> rusqlite::Result<()> {
    // Most rows are there already, and an upsert would compute the hash of a new row as well.
    let mut more = transaction.prepare_cached(
        "UPDATE usage SET units = units + ?7, late = late + ?8, at = max(at, ?9), \
         hash = row_hash(listing, payer, dimension, hour, tags, component, per, units + ?7, late + ?8, max(at, ?9)) \
         WHERE listing = ?1 AND payer = 'self' AND dimension = ?2 AND hour = ?3 AND tags = ?4 AND component = ?5",
    )?;
    let mut first = transaction.prepare_cached(
        "INSERT INTO usage VALUES (?1, 'self', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
         row_hash(?1, 'self', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9))",
    )?;
    let mut sums: BTreeMap<(&str, &str, u32), u64> = BTreeMap::new();
    for used in used {
        let SlotId { listing, payer: Payer::Own, dimension, hour } = &used.slot;
        let Used { per, units, late, at, component, .. } = used;
        let tags = used.tags.to_text();
        let row = params![listing, dimension, hour.0, tags, component, per, units, late, at];
        if more.execute(row)? == 0 {
            first.execute(row)?;
        }
        let sum = sums.entry((listing, dimension, hour.0)).or_default();
        *sum = sum.saturating_add(*units);
        head.recorded += u128::from(*units);
    }
    let mut recorded = transaction.prepare_cached(
        "INSERT INTO recorded VALUES (?1, 'self', ?2, ?3, ?4) ON CONFLICT DO UPDATE SET units = units + excluded.units",
    )?;
    for ((listing, dimension, hour), units) in sums {
        recorded.execute(params![listing, dimension, hour, units])?;
    }
    Ok(())
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
