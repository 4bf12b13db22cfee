//! The function with which a statement hashes the row of usage that it writes.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use crate::ledger::image::{Key, UsageRow};

/// `row_hash(listing, payer, dimension, hour, tags, component, per, units, late, at)`.
pub(in crate::ledger) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("row_hash", 10, flags, |row| Ok(of(row)?.hash_of().to_vec()))
}

fn of(row: &Context<'_>) -> rusqlite::Result<UsageRow> {
    Ok(UsageRow {
        key: Key { listing: row.get(0)?, payer: row.get(1)?, dimension: row.get(2)?, hour: row.get(3)? },
        tags: row.get(4)?,
        component: row.get(5)?,
        per: row.get(6)?,
        units: row.get(7)?,
        late: row.get(8)?,
        at: row.get(9)?,
        hash: Vec::new(),
    })
}
