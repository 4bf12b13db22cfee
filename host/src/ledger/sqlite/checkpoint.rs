//! Puts a checkpoint in place of all entries so far, and reads back what it changed before it counts.
//!
//! Responses wait meanwhile, so only that is read: the rows of usage that stay were checked at the start, nobody else has
//! the file open, and the next start and `usage verify` check them again.

use std::collections::BTreeSet;

use rusqlite::{Transaction, params};
use tollgate_metering::{Record, SlotId};

use super::{archive, read, words, write_records};
use crate::ledger::image::{Image, RecordedRow};
use crate::ledger::witness::Head;

/// Slots of which the rows of usage come to another sum than the counter says, or that have only one of the two.
const DIFFERENT: &str = "
    SELECT count(*)
    FROM (SELECT listing, payer, dimension, hour, sum(units) AS units FROM usage GROUP BY 1, 2, 3, 4) AS sums
    FULL JOIN recorded USING (listing, payer, dimension, hour) WHERE sums.units IS NOT recorded.units";

/// Writes it all. Where the ledger ends then; the caller commits.
pub(super) fn replace(
    transaction: &Transaction<'_>,
    before: Head,
    checkpoint: &[Record],
    forgotten: &[Record],
) -> Result<Head, String> {
    let kept: BTreeSet<&SlotId> = checkpoint
        .iter()
        .filter_map(|record| match record {
            Record::Kept { slot, .. } => Some(slot),
            _ => None,
        })
        .collect();
    forget(transaction, &kept)?;
    archive::append(transaction, forgotten).map_err(words)?;
    let anchor = "UPDATE chain SET first = ?1, before = ?2";
    transaction.execute(anchor, params![before.seq + 1, before.link.0]).map_err(words)?;
    transaction.execute("DELETE FROM transitions", []).map_err(words)?;
    let mut head = before;
    write_records(transaction, checkpoint, &mut head).map_err(words)?;
    check(transaction, checkpoint, head)?;
    Ok(head)
}

/// Takes out the usage of slots that a checkpoint does not name: it is in its sums.
fn forget(transaction: &Transaction<'_>, kept: &BTreeSet<&SlotId>) -> Result<(), String> {
    let row = "listing = ?1 AND payer = ?2 AND dimension = ?3 AND hour = ?4";
    for RecordedRow { key, .. } in read::recorded(transaction).map_err(words)? {
        if kept.contains(&key.slot()?) {
            continue;
        }
        for table in ["usage", "recorded"] {
            let mut delete = transaction.prepare_cached(&format!("DELETE FROM {table} WHERE {row}")).map_err(words)?;
            delete.execute(params![key.listing, key.payer, key.dimension, key.hour]).map_err(words)?;
        }
    }
    Ok(())
}

/// Whether the entries are those of the checkpoint, and whether no unit came or went.
fn check(transaction: &Transaction<'_>, checkpoint: &[Record], head: Head) -> Result<(), String> {
    let (first, before) = read::anchor(transaction)?;
    let transitions = read::transitions(transaction).map_err(words)?;
    // The last link is over all texts, so they need not be read.
    let end = Image { first, before, transitions, ..Image::default() }.check_links()?;
    if (end.seq, end.link) != (head.seq, head.link) {
        return Err("the checkpoint reads otherwise than it was written".to_owned());
    }
    let different: u64 = transaction.query_row(DIFFERENT, [], |row| row.get(0)).map_err(words)?;
    if different > 0 {
        return Err(format!("{different} counters differ from the rows of usage that they count"));
    }
    let kept = read::recorded(transaction).map_err(words)?.iter().map(|row| i128::from(row.units)).sum::<i128>();
    let past = checkpoint.iter().map(|record| match record {
        Record::Past { balance, .. } => balance.recorded,
        _ => 0,
    });
    let recorded = u128::try_from(kept).map(|kept| kept + past.sum::<u128>());
    match recorded {
        Ok(recorded) if recorded == head.recorded => Ok(()),
        _ => Err(format!("the checkpoint does not come to the {} units that were recorded", head.recorded)),
    }
}
