//! The state after everything that was loaded, and whether every unit of it is in exactly one place.

use std::collections::BTreeSet;

use tollgate_metering::{Balance, Ledger, Record, SlotId};

use super::Loaded;

/// The state after everything that was loaded.
///
/// # Errors
/// The first row that does not follow from those before it, or the first hour whose units do not add up.
pub fn fold(loaded: Loaded) -> Result<Ledger, String> {
    forgotten(&loaded)?;
    let mut ledger = Ledger::new();
    for used in &loaded.used {
        let row = || format!("table usage, row of {} and component {}", name(&used.slot), used.component);
        ledger.admit_used(used).map_err(|refusal| format!("{}: {refusal}", row()))?;
        ledger.apply_used(used);
    }
    for (seq, record) in (loaded.before + 1..).zip(&loaded.records) {
        let row = || format!("table transitions, seq {seq} ({})", record.to_text());
        ledger.admit(record).map_err(|refusal| format!("{}: {refusal}", row()))?;
        ledger.apply(record);
    }
    if ledger.balanced() { Ok(ledger) } else { Err(unbalanced(&ledger)) }
}

/// Usage is never booked to an hour before the newest one that a checkpoint knows, unless the checkpoint keeps that hour.
fn forgotten(loaded: &Loaded) -> Result<(), String> {
    let Some(Record::Checkpoint(checkpoint)) = loaded.records.first() else { return Ok(()) };
    let kept: BTreeSet<&SlotId> = loaded
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Kept { slot, .. } => Some(slot),
            _ => None,
        })
        .collect();
    // The rows of a slot stand together, thousands of them.
    let mut slots = loaded.used.chunk_by(|used, next| used.slot == next.slot).filter_map(|rows| rows.first());
    match slots.find(|used| used.slot.hour < checkpoint.newest && !kept.contains(&used.slot)) {
        Some(used) => Err(format!(
            "table usage, row of {} and component {}: the checkpoint has summed up and forgotten that hour",
            name(&used.slot),
            used.component
        )),
        None => Ok(()),
    }
}

/// What to look at first.
fn unbalanced(ledger: &Ledger) -> String {
    if let Some((id, _)) = ledger.slots().find(|(_, slot)| !Balance::of(slot).holds()) {
        return format!("{}: recorded usage and what became of it differ", name(id));
    }
    let sums = ledger.balances();
    match sums.iter().find(|(_, sum)| !sum.holds() || sum.carried_in != sum.carried_out) {
        Some(((listing, dimension), _)) => {
            format!("all hours of {dimension} under {listing}: recorded usage and what became of it differ")
        }
        None => "recorded usage and what became of it differ".to_owned(),
    }
}

fn name(id: &SlotId) -> String {
    format!("({}, self, {}, {})", id.listing, id.dimension, id.hour)
}
