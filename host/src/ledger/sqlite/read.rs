//! Reads everything and checks it: the counters against the sums, each entry against the chain.

use rusqlite::Connection;
use rusqlite::types::Type;
use tollgate_metering::{Hour, Payer, Record, SlotId, Tags, Used};

use super::words;
use crate::ledger::Loaded;
use crate::ledger::chain::Link;
use crate::ledger::witness::Head;

/// All of it, and where the chain ends.
pub(super) struct Whole {
    pub(super) loaded: Loaded,
    pub(super) head: Head,
}

/// Reads all. `witness`: what a second place last knew; the ledger must be there or further.
pub(super) fn whole(connection: &Connection, witness: Option<Head>) -> Result<Whole, String> {
    let used = usage(connection).map_err(words)?;
    counters(connection)?;
    let (records, mut head) = transitions(connection, witness)?;
    let past = records.iter().map(|record| match record {
        Record::Past { balance, .. } => balance.recorded,
        _ => 0,
    });
    head.recorded = past.sum::<u128>() + used.iter().map(|used| u128::from(used.units)).sum::<u128>();
    if let Some(witness) = witness.filter(|witness| witness.recorded > head.recorded) {
        let missing = witness.recorded - head.recorded;
        return Err(format!("usage is missing: the witness beside the ledger knows of {missing} more units"));
    }
    Ok(Whole { loaded: Loaded { used, records }, head })
}

fn usage(connection: &Connection) -> rusqlite::Result<Vec<Used>> {
    let columns = "listing, dimension, hour, tags, component, per, units, late, at";
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM usage"))?;
    let rows = statement.query_map([], |row| {
        let slot = slot(row.get(0)?, row.get(1)?, row.get(2)?);
        let wrong = || rusqlite::Error::FromSqlConversionFailure(3, Type::Text, "not a tag set".into());
        let tags = Tags::from_text(row.get_ref(3)?.as_str()?).ok_or_else(wrong)?;
        let (per, units, late, at) = (row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?);
        Ok(Used { slot, per, component: row.get(4)?, tags, units, late, at })
    })?;
    rows.collect()
}

/// Both directions: a counter without usage is as wrong as usage without a counter.
fn counters(connection: &Connection) -> Result<(), String> {
    let sums = "SELECT listing, payer, dimension, hour, sum(units) FROM usage GROUP BY 1, 2, 3, 4";
    let counters = "SELECT listing, payer, dimension, hour, units FROM recorded";
    for (one, other) in [(sums, counters), (counters, sums)] {
        let query =
            format!("SELECT dimension, hour FROM (SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other})) LIMIT 1");
        let mut statement = connection.prepare(&query).map_err(words)?;
        let mut rows = statement.query([]).map_err(words)?;
        if let Some(row) = rows.next().map_err(words)? {
            let (dimension, hour): (String, u32) = (row.get(0).map_err(words)?, row.get(1).map_err(words)?);
            return Err(format!("the counter of recorded usage differs from the usage: {dimension} in hour {hour}"));
        }
    }
    Ok(())
}

fn transitions(connection: &Connection, witness: Option<Head>) -> Result<(Vec<Record>, Head), String> {
    let anchor = "SELECT first, before FROM chain";
    let (first, before): (u64, [u8; 32]) =
        connection.query_row(anchor, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(words)?;
    let mut statement = connection.prepare("SELECT seq, text, hash FROM transitions ORDER BY seq").map_err(words)?;
    let mut rows = statement.query([]).map_err(words)?;
    let mut head = Head { seq: first.saturating_sub(1), link: Link(before), recorded: 0 };
    let mut records = Vec::new();
    let mut seen =
        witness.is_none_or(|witness| witness.seq < head.seq || (witness.seq, witness.link) == (head.seq, head.link));
    while let Some(row) = rows.next().map_err(words)? {
        let row: (u64, String, [u8; 32]) =
            row.get(0).and_then(|seq| Ok((seq, row.get(1)?, row.get(2)?))).map_err(words)?;
        let seq = head.seq + 1;
        head = Head { seq, link: head.link.next(seq, &row.1), ..head };
        if row.0 != seq {
            return Err(format!("entry {seq} is missing"));
        }
        if row.2 != head.link.0 {
            return Err(format!("entry {seq} or one before it was changed: its hash does not fit"));
        }
        seen |= witness.is_some_and(|witness| (witness.seq, witness.link) == (seq, head.link));
        records.push(Record::from_text(&row.1).map_err(|error| format!("entry {seq}: {error}"))?);
    }
    match witness {
        Some(witness) if !seen && witness.seq > head.seq => Err(format!(
            "entries {} to {} are missing: the witness beside the ledger knows of them",
            head.seq + 1,
            witness.seq
        )),
        Some(witness) if !seen => {
            Err(format!("entry {} is not the one that the witness beside the ledger knows", witness.seq))
        }
        _ => Ok((records, head)),
    }
}

fn slot(listing: String, dimension: String, hour: u32) -> SlotId {
    SlotId { listing, payer: Payer::Own, dimension, hour: Hour(hour) }
}
