//! The function with which a statement hashes the row of usage that it writes.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

use crate::ledger::image::Hashed;

/// `row_hash(listing, payer, dimension, hour, tags, component, per, units, late, at)`.
pub(in crate::ledger) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("row_hash", 10, flags, |row| Ok(of(row)?.hash()))
}

/// Borrowed: each row of usage is hashed when it is written.
fn of<'a>(row: &'a Context<'_>) -> rusqlite::Result<Hashed<'a>> {
    let text = |column| row.get_raw(column).as_str();
    Ok(Hashed {
        listing: text(0)?,
        payer: text(1)?,
        dimension: text(2)?,
        hour: row.get(3)?,
        tags: text(4)?,
        component: text(5)?,
        numbers: [row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?],
    })
}
