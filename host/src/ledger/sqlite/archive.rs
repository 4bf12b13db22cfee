//! Writes what a checkpoint forgets to the archive, and reads it page by page.

use rusqlite::{Connection, Transaction, params};
use tollgate_metering::Record;

use super::words;
use crate::ledger::chain::Link;
use crate::ledger::{Archive, ArchiveRow};

/// A year and a month, so that a year can still be compared when it is over.
const HOURS_KEPT: u32 = 400 * 24;
/// Rows that are read between two transactions.
const PAGE_ROWS: u32 = 2_000;

/// Adds hours, in the order in which the checkpoint forgets them, and takes out those that are too old.
pub(super) fn append(transaction: &Transaction<'_>, forgotten: &[Record]) -> rusqlite::Result<()> {
    let end =
        "SELECT seq, hash FROM archive UNION ALL SELECT first - 1, before FROM archive_chain ORDER BY seq DESC LIMIT 1";
    let (mut seq, hash): (u64, [u8; 32]) = transaction.query_row(end, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut link = Link(hash);
    let mut insert = transaction.prepare_cached("INSERT INTO archive VALUES (?1, ?2, ?3, ?4)")?;
    let mut newest = 0;
    for record in forgotten {
        let Record::Kept { slot, .. } = record else { continue };
        let text = record.to_text();
        seq += 1;
        link = link.next(seq, &text);
        insert.execute(params![seq, slot.hour.0, text, link.0])?;
        newest = newest.max(slot.hour.0);
    }
    prune(transaction, newest.saturating_sub(HOURS_KEPT))
}

/// Takes out the oldest rows up to the last one of an hour before `from`; what is left is still a chain.
fn prune(transaction: &Transaction<'_>, from: u32) -> rusqlite::Result<()> {
    let last = "SELECT max(seq) FROM archive WHERE hour < ?1";
    let Some(last): Option<u64> = transaction.query_row(last, [from], |row| row.get(0))? else { return Ok(()) };
    let anchor =
        "UPDATE archive_chain SET first = ?1 + 1, whole = 0, before = (SELECT hash FROM archive WHERE seq = ?1)";
    transaction.execute(anchor, [last])?;
    transaction.execute("DELETE FROM archive WHERE seq <= ?1", [last])?;
    Ok(())
}

/// The next rows after a number.
pub(super) fn page(connection: &Connection, after: u64) -> rusqlite::Result<Vec<ArchiveRow>> {
    let query = "SELECT seq, hour, text, hash FROM archive WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = connection.prepare_cached(query)?;
    let rows = statement.query_map(params![after, PAGE_ROWS], |row| {
        Ok(ArchiveRow { seq: row.get(0)?, hour: row.get(1)?, text: row.get(2)?, hash: row.get(3)? })
    })?;
    rows.collect()
}

/// Where the archive begins and ends.
pub(super) fn ends(connection: &Connection) -> Result<Archive, String> {
    let row = connection.query_row(
        "SELECT first, before, whole, (SELECT max(seq) FROM archive) FROM archive_chain WHERE one = 1",
        [],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?, row.get::<_, Option<i64>>(3)?)),
    );
    let (first, before, whole, last) = row.map_err(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => "table archive_chain: its row is missing".to_owned(),
        error => words(error),
    })?;
    let first = u64::try_from(first).ok().filter(|&first| first > 0);
    let first = first.ok_or("table archive_chain, first: is not the number of a row")?;
    let before = before.try_into().map_err(|_| "table archive_chain, before: is not a hash")?;
    Ok(Archive { first, before, whole, last: last.and_then(|last| u64::try_from(last).ok()).unwrap_or(first - 1) })
}
