//! The tables, and how a file of an older version becomes one of this.

use rusqlite::Connection;

use crate::ledger::OpenError;

/// `PRAGMA user_version` of this schema.
const VERSION: i64 = 5;
/// `PRAGMA application_id`: "TOLL".
pub(super) const APPLICATION: i64 = 0x544f_4c4c;

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

/// Since version 2 entries are folded into checkpoints: where the kept ones begin, and the hash before them.
const CHAIN: &str = "
    CREATE TABLE chain (
        one INTEGER PRIMARY KEY CHECK (one = 1), first INTEGER NOT NULL, before BLOB NOT NULL
    ) STRICT;
    INSERT INTO chain VALUES (1, 1, zeroblob(32));
";

/// Since version 3 forgotten hours are archived: each as its entry `kept` without the split by tags, with a chain of their own.
/// `whole`: all that the ledger has ever forgotten is there.
const ARCHIVE: &str = "
    CREATE TABLE archive (seq INTEGER PRIMARY KEY, hour INTEGER NOT NULL, text TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
    CREATE TABLE archive_chain (
        one INTEGER PRIMARY KEY CHECK (one = 1), first INTEGER NOT NULL, before BLOB NOT NULL, whole INTEGER NOT NULL
    ) STRICT;
    INSERT INTO archive_chain VALUES (1, 1, zeroblob(32), 1);
";
/// What an older version has forgotten is in no archive: so it does not begin with nothing before it.
const UNARCHIVED: &str = "
    UPDATE archive_chain SET whole = 0, before = x'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'
    WHERE NOT EXISTS (SELECT 1 FROM archive);
";
/// Since version 4 each row of usage has a hash of its other columns, so that no change of one goes unseen.
const ROW_HASH: &str = "
    ALTER TABLE usage ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
    UPDATE usage SET hash = row_hash(listing, payer, dimension, hour, tags, component, per, units, late, at);
";

/// Since version 5 a commit of usage is one row here first: a list of the columns of `usage`, with what is added to each.
const RECENT: &str = "
    CREATE TABLE recent (seq INTEGER PRIMARY KEY, text TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
";

/// Makes the tables, or brings them to this version, each step in one transaction. `begun`: there must be a ledger.
pub(super) fn prepare(connection: &Connection, begun: bool) -> Result<(), Unfit> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let steps = match version {
        VERSION => return Ok(()),
        0 if begun => return Err(Unfit::Damaged("the ledger had begun, and now it is missing or empty".to_owned())),
        0 => format!("{SCHEMA} {CHAIN} {ARCHIVE} {ROW_HASH} {RECENT} PRAGMA application_id = {APPLICATION};"),
        1 => format!("{CHAIN} {ARCHIVE} {ROW_HASH} {RECENT}"),
        2 => format!("{ARCHIVE} {UNARCHIVED} {ROW_HASH} {RECENT}"),
        3 => {
            let whole: bool = connection.query_row("SELECT whole FROM archive_chain", [], |row| row.get(0))?;
            format!("{} {ROW_HASH} {RECENT}", if whole { "" } else { UNARCHIVED })
        }
        4 => RECENT.to_owned(),
        newer => return Err(Unfit::Damaged(format!("written by another version of the host (schema {newer})"))),
    };
    let done = connection.execute_batch(&format!("BEGIN; {steps} PRAGMA user_version = {VERSION}; COMMIT;"));
    Ok(done?)
}

/// Why a file cannot be used.
pub(super) enum Unfit {
    /// What SQLite says.
    Sqlite(rusqlite::Error),
    /// What is wrong with what is in it.
    Damaged(String),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Unfit {
    /// The error for the operator.
    pub(super) fn of(self, path: &std::path::Path) -> OpenError {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
        let path = path.to_owned();
        let error = match self {
            Self::Damaged(problem) => return OpenError::Damaged { path, problem },
            Self::Sqlite(error) => error,
        };
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => OpenError::Locked(path),
            Some(NotADatabase | DatabaseCorrupt) => OpenError::Damaged { path, problem: error.to_string() },
            _ => OpenError::NotWritable { path, problem: error.to_string() },
        }
    }
}
