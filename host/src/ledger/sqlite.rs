//! The ledger as a SQLite database: the most tested storage there is, and any auditor can open it.
//!
//! WAL with `synchronous=FULL`: a committed transaction survives a power cut. `locking_mode=EXCLUSIVE` keeps the index of
//! the log in memory, so that it also works where shared memory does not (NFS, EFS).

use std::path::Path;

use rusqlite::types::Type;
use rusqlite::{Connection, Transaction, params};
use tollgate_metering::{Hour, Payer, Record, SlotId, Tags, Used};

use super::chain::Link;
use super::{Batch, Loaded, OpenError, Store};

/// `PRAGMA user_version` of this schema.
const VERSION: i64 = 1;
/// `PRAGMA application_id`: "TOLL".
const APPLICATION: i64 = 0x544f_4c4c;

const SCHEMA: &str = "
    -- Units of the guest by slot, tag set and component; only ever goes up.
    CREATE TABLE usage (
        listing TEXT NOT NULL, payer TEXT NOT NULL, dimension TEXT NOT NULL, hour INTEGER NOT NULL,
        tags TEXT NOT NULL, component TEXT NOT NULL,
        per INTEGER NOT NULL, units INTEGER NOT NULL, late INTEGER NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (listing, payer, dimension, hour, tags, component)
    ) STRICT, WITHOUT ROWID;
    -- A counter of its own beside the sums above, so that a check can fail.
    CREATE TABLE recorded (
        listing TEXT NOT NULL, payer TEXT NOT NULL, dimension TEXT NOT NULL, hour INTEGER NOT NULL,
        units INTEGER NOT NULL,
        PRIMARY KEY (listing, payer, dimension, hour)
    ) STRICT, WITHOUT ROWID;
    -- Everything that happened, without gaps; hash = sha256(hash before, seq as 8 bytes little endian, text).
    CREATE TABLE transitions (seq INTEGER PRIMARY KEY, text TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
";

/// A ledger in a file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    last: Link,
    seq: u64,
}

impl Sqlite {
    /// Opens the file, or makes it. `begun`: there must be a ledger in it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, begun: bool) -> Result<Self, OpenError> {
        let sort = |error: rusqlite::Error| of_open(path, &error);
        let connection = Connection::open(path).map_err(sort)?;
        for (name, value) in [("locking_mode", "EXCLUSIVE"), ("journal_mode", "WAL"), ("synchronous", "FULL")] {
            connection.pragma_update(None, name, value).map_err(sort)?;
        }
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sort)?;
        let damaged = |problem: String| OpenError::Damaged { path: path.to_owned(), problem };
        match version {
            VERSION => {}
            0 if begun => return Err(damaged("the ledger had begun, and now it is missing or empty".to_owned())),
            0 => create(&connection).map_err(sort)?,
            newer => return Err(damaged(format!("written by another version of the host (schema {newer})"))),
        }
        Ok(Self { connection, last: Link::default(), seq: 0 })
    }

    fn read(&mut self) -> Result<Loaded, String> {
        let check: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(words)?;
        if check != "ok" {
            return Err(check);
        }
        let used = self.read_usage().map_err(words)?;
        self.check_recorded()?;
        let records = self.read_transitions()?;
        Ok(Loaded { used, records })
    }

    fn read_usage(&self) -> rusqlite::Result<Vec<Used>> {
        let columns = "listing, dimension, hour, tags, component, per, units, late, at";
        let mut statement = self.connection.prepare(&format!("SELECT {columns} FROM usage"))?;
        let rows = statement.query_map([], |row| {
            let slot = slot(row.get(0)?, row.get(1)?, row.get(2)?);
            let tags: String = row.get(3)?;
            let wrong = || rusqlite::Error::FromSqlConversionFailure(3, Type::Text, "not a tag set".into());
            let tags = Tags::from_text(&tags).ok_or_else(wrong)?;
            let (per, units, late, at) = (row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?);
            Ok(Used { slot, per, component: row.get(4)?, tags, units, late, at })
        })?;
        rows.collect()
    }

    /// Both directions: a counter without usage is as wrong as usage without a counter.
    fn check_recorded(&self) -> Result<(), String> {
        let sums = "SELECT listing, payer, dimension, hour, sum(units) FROM usage GROUP BY 1, 2, 3, 4";
        let counters = "SELECT listing, payer, dimension, hour, units FROM recorded";
        for (one, other) in [(sums, counters), (counters, sums)] {
            let query = format!("SELECT count(*) FROM (SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other}))");
            let wrong: i64 = self.connection.query_row(&query, [], |row| row.get(0)).map_err(words)?;
            if wrong > 0 {
                return Err(format!("the counters of recorded usage differ from the usage; hours concerned: {wrong}"));
            }
        }
        Ok(())
    }

    fn read_transitions(&mut self) -> Result<Vec<Record>, String> {
        let query = "SELECT seq, text, hash FROM transitions ORDER BY seq";
        let mut statement = self.connection.prepare(query).map_err(words)?;
        let mut rows = statement.query([]).map_err(words)?;
        let (mut records, mut last, mut seq) = (Vec::new(), Link::default(), 0_u64);
        while let Some(row) = rows.next().map_err(words)? {
            let row: (u64, String, [u8; 32]) =
                row.get(0).and_then(|seq| Ok((seq, row.get(1)?, row.get(2)?))).map_err(words)?;
            seq += 1;
            last = last.next(seq, &row.1);
            if row.0 != seq {
                return Err(format!("entry {seq} is missing"));
            }
            if row.2 != last.0 {
                return Err(format!("entry {seq} or one before it was changed: its hash does not fit"));
            }
            records.push(Record::from_text(&row.1).map_err(|error| format!("entry {seq}: {error}"))?);
        }
        (self.last, self.seq) = (last, seq);
        Ok(records)
    }

    fn write(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        write_usage(&transaction, &batch.used)?;
        let (mut last, mut seq) = (self.last, self.seq);
        {
            let mut insert = transaction.prepare_cached("INSERT INTO transitions VALUES (?1, ?2, ?3)")?;
            for record in &batch.records {
                let text = record.to_text();
                seq += 1;
                last = last.next(seq, &text);
                insert.execute(params![seq, text, last.0])?;
            }
        }
        transaction.commit()?;
        (self.last, self.seq) = (last, seq);
        Ok(())
    }
}

impl Store for Sqlite {
    fn load(&mut self) -> Result<Loaded, String> {
        self.read()
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        self.write(batch).map_err(words)
    }
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

fn write_usage(transaction: &Transaction<'_>, used: &[Used]) -> rusqlite::Result<()> {
    let mut usage = transaction.prepare_cached(
        "INSERT INTO usage VALUES (?1, 'self', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET \
         units = units + excluded.units, late = late + excluded.late, at = max(at, excluded.at)",
    )?;
    let mut recorded = transaction.prepare_cached(
        "INSERT INTO recorded VALUES (?1, 'self', ?2, ?3, ?4) ON CONFLICT DO UPDATE SET units = units + excluded.units",
    )?;
    for used in used {
        let SlotId { listing, payer: Payer::Own, dimension, hour } = &used.slot;
        let tags = used.tags.to_text();
        let amounts = (used.per, used.units, used.late, used.at);
        usage.execute(params![
            listing,
            dimension,
            hour.0,
            tags,
            used.component,
            amounts.0,
            amounts.1,
            amounts.2,
            amounts.3
        ])?;
        recorded.execute(params![listing, dimension, hour.0, used.units])?;
    }
    Ok(())
}

fn slot(listing: String, dimension: String, hour: u32) -> SlotId {
    SlotId { listing, payer: Payer::Own, dimension, hour: Hour(hour) }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn words(error: rusqlite::Error) -> String {
    error.to_string()
}

fn of_open(path: &Path, error: &rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => OpenError::Locked(path),
        Some(NotADatabase | DatabaseCorrupt) => OpenError::Damaged { path, problem: error.to_string() },
        _ => OpenError::NotWritable { path, problem: error.to_string() },
    }
}
