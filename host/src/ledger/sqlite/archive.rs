//! Hours that the ledger has forgotten, with their receipts, for whoever compares a month with AWS's report.
//!
//! The engine never reads them: a start does not have to, however many there are. They are a chain of their own, and
//! their sums have to be those that the ledger keeps.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};
use tollgate_metering::{Balance, Hour, Ledger, Life, Record, Slot, SlotId, Tags};

use super::words;
use crate::ledger::chain::Link;

/// A year and a month, so that a year can still be compared when it is over.
const HOURS_KEPT: u32 = 400 * 24;

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

/// The archived hours from `from` to before `until`, oldest first.
pub(super) fn rows(connection: &Connection, from: Hour, until: Hour) -> Result<Vec<(SlotId, Slot)>, String> {
    let query = "SELECT text FROM archive WHERE hour >= ?1 AND hour < ?2 ORDER BY hour, seq";
    let mut statement = connection.prepare(query).map_err(words)?;
    let rows = statement.query_map([from.0, until.0], |row| row.get::<_, String>(0)).map_err(words)?;
    rows.map(|text| kept(&text.map_err(words)?)).collect()
}

/// Checks the chain, and the sums against those that the ledger keeps of what it has forgotten.
pub(super) fn verify(connection: &Connection, ledger: &Ledger) -> Result<(), String> {
    let anchor = "SELECT first, before, whole FROM archive_chain";
    let (first, before, whole): (u64, [u8; 32], bool) =
        connection.query_row(anchor, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(words)?;
    let mut statement = connection.prepare("SELECT seq, hour, text, hash FROM archive ORDER BY seq").map_err(words)?;
    let mut rows = statement.query([]).map_err(words)?;
    let (mut seq, mut link) = (first.saturating_sub(1), Link(before));
    let mut sums: BTreeMap<(String, String), Balance> = BTreeMap::new();
    while let Some(row) = rows.next().map_err(words)? {
        let row: (u64, u32, String, [u8; 32]) =
            row.get(0).and_then(|seq| Ok((seq, row.get(1)?, row.get(2)?, row.get(3)?))).map_err(words)?;
        seq += 1;
        link = link.next(seq, &row.2);
        if row.0 != seq {
            return Err(format!("row {seq} of the archive is missing"));
        }
        if row.3 != link.0 {
            return Err(format!("row {seq} of the archive or one before it was changed: its hash does not fit"));
        }
        let (id, slot) = kept(&row.2)?;
        if id.hour.0 != row.1 {
            return Err(format!("row {seq} of the archive is under the hour {} and about the hour {}", row.1, id.hour));
        }
        sums.entry((id.listing, id.dimension)).or_default().add(&Balance::of(&slot));
    }
    let past = ledger.forgotten();
    let differs = |key: &(String, String)| {
        let (kept, sum) = (past.get(key).copied().unwrap_or_default(), sums.get(key).copied().unwrap_or_default());
        if whole { sum != kept } else { sum.recorded > kept.recorded || sum.acked > kept.acked }
    };
    match past.keys().chain(sums.keys()).find(|key| differs(key)) {
        Some((_, dimension)) => Err(format!("the archive differs from the sums of forgotten hours: {dimension}")),
        None => Ok(()),
    }
}

fn kept(text: &str) -> Result<(SlotId, Slot), String> {
    match Record::from_text(text) {
        Ok(Record::Kept { slot, mut state }) => {
            if state.life == Life::Counted {
                // The entry leaves open units to the sums of usage, which are gone.
                let came = [state.carried_in, state.adopted].into_iter().fold(state.recorded, u64::saturating_add);
                let went = [state.carried_out, state.handed_over, state.beyond];
                state.open.add(&Tags::NONE, went.into_iter().fold(came, u64::saturating_sub));
            }
            Ok((slot, *state))
        }
        Ok(_) => Err(format!("not an archived hour: {text}")),
        Err(error) => Err(error.to_string()),
    }
}
