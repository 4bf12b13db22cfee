//! Entries that must not get into a ledger: each one beside what is written, with a single thing wrong.

use tollgate_metering::{Buckets, Close, End, Ledger, Life, Part, Record, SlotId, Tags, Used};

/// Entries like this one that the ledger has to refuse before it.
pub(crate) fn wrong_before(ledger: &Ledger, record: &Record) -> Vec<Record> {
    match record {
        Record::Created { at, .. } => {
            vec![Record::Heartbeat { at: *at }, Record::Granted { at: *at, listing: String::new(), provisional: true }]
        }
        Record::Started { boot, at, identity, first_hour_taken } => {
            let (at, first_hour_taken) = (*at, *first_hour_taken);
            let other = |boot| Record::Started { at, identity: identity.clone(), boot, first_hour_taken };
            vec![other(boot + 1), other(boot - 1)]
        }
        Record::Checkpoint(_) => before_a_checkpoint(ledger),
        Record::Sealed { .. } | Record::Resealed { .. } | Record::Asked { .. } => wrong_requests(ledger, record),
        Record::Carried { from, to, part, units, at } => {
            let (from, at) = (from.clone(), *at);
            let other = |to, part, units| Record::Carried { from: from.clone(), to, part, units, at };
            let mut wrong = vec![other(from.hour, *part, units.clone()), other(*to, Part::Open, units.clone())];
            wrong.push(other(*to, *part, with(units, i64::MAX.cast_unsigned())));
            wrong.extend((*part != Part::Beyond).then(|| other(*to, *part, with(units, 1))));
            wrong
        }
        Record::Attempted { slot, identity, attempt, at } => {
            let other = |identity: &str, attempt| Record::Attempted {
                slot: slot.clone(),
                identity: identity.to_owned(),
                attempt,
                at: *at,
            };
            let mut wrong = vec![other(identity, attempt + 1), other("somebody", *attempt)];
            wrong.push(Record::Deferred { slot: slot.clone(), unknown: false, code: String::new(), retry_at: 0 });
            let doubtful = ledger.slot(slot).is_some_and(|slot| slot.attempts.doubtful());
            let never = if doubtful { End::Expired } else { End::InDoubt { why: String::new() } };
            let ends = [accepted(), End::Conflict, End::Rejected { code: String::new() }, never];
            wrong.extend(ends.map(|end| Record::Ended { slot: slot.clone(), end, at: *at }));
            wrong
        }
        Record::Ended { slot, at, .. } => {
            let known = ledger.slot(slot).is_some_and(|slot| !slot.attempts.doubtful());
            let end = if known { End::InDoubt { why: String::new() } } else { End::Expired };
            vec![Record::Ended { slot: slot.clone(), end, at: *at }, settled(slot, "e", "r")]
        }
        Record::Settled { slot, .. } => vec![settled(slot, "", "r"), settled(slot, "e", "")],
        Record::HandedOver(handed) => {
            let mut wrong = vec![handed.clone(); 6];
            wrong[0].number += 1;
            wrong[1].to = ledger.id();
            wrong[2].part = Part::Beyond;
            wrong[3].per += 1;
            wrong[4].units = Buckets::default();
            wrong[5].units = with(&handed.units, 1);
            wrong.into_iter().map(Record::HandedOver).collect()
        }
        Record::Adopted { .. } => wrong_adoptions(ledger, record),
        Record::Past { listing, dimension, balance } => {
            let mut balance = balance.clone();
            balance.recorded += 1;
            vec![Record::Past { listing: listing.clone(), dimension: dimension.clone(), balance }]
        }
        Record::Kept { slot, state } => [1, u64::MAX]
            .map(|more| {
                let mut state = state.clone();
                state.recorded = state.recorded.wrapping_add(more);
                Record::Kept { slot: slot.clone(), state }
            })
            .into_iter()
            .filter(|_| state.life != Life::Open)
            .collect(),
        _ => Vec::new(),
    }
}

/// Entries that the ledger has to refuse after this one: above all the same once more.
pub(crate) fn wrong_after(record: &Record) -> Vec<Record> {
    let mut wrong = match record {
        Record::Granted { .. }
        | Record::Heartbeat { .. }
        | Record::Beyond { .. }
        | Record::Carried { part: Part::Beyond, .. }
        | Record::Asked { .. }
        | Record::Kept { .. } => Vec::new(),
        again => vec![again.clone()],
    };
    match record {
        Record::Attempted { slot, at, .. } => {
            wrong.extend([Record::Ended { slot: slot.clone(), end: End::Expired, at: *at }, settled(slot, "e", "r")]);
        }
        Record::Sealed { slot, .. } | Record::Closed { slot, .. } => {
            wrong.extend([Close::Idle, Close::Counted].map(|why| Record::Closed { slot: slot.clone(), why }));
            wrong.push(Record::Beyond { slot: slot.clone(), units: Buckets::default() });
        }
        _ => {}
    }
    wrong
}

/// Usage like this that the ledger has to refuse.
pub(crate) fn wrong_usage(ledger: &Ledger, used: &Used) -> Vec<Used> {
    let mut wrong = vec![used.clone(); 3];
    wrong[0].late = used.units + 1;
    wrong[1].per = 0;
    wrong[2].units = u64::MAX;
    if ledger.slot(&used.slot).is_some() {
        wrong.push(Used { per: used.per + 1, ..used.clone() });
    }
    wrong
}

/// What only a ledger that has begun can hold.
fn before_a_checkpoint(ledger: &Ledger) -> Vec<Record> {
    let (listing, dimension) = (String::new(), String::new());
    let past = Record::Past { listing, dimension, balance: Box::default() };
    let kept = ledger.slots().next().map(|(id, state)| Record::Kept { slot: id.clone(), state: state.clone().into() });
    [Record::Heartbeat { at: 0 }, past].into_iter().chain(kept).collect()
}

fn wrong_requests(ledger: &Ledger, record: &Record) -> Vec<Record> {
    let mut wrong = vec![record.clone(); 4];
    let stamps = [|at: u64| at - at % 3_600 - 1, |at: u64| at - at % 3_600 + 3_600];
    for (number, record) in wrong.iter_mut().enumerate() {
        let (Record::Sealed { request, .. } | Record::Resealed { request, .. } | Record::Asked { request, .. }) =
            record
        else {
            continue;
        };
        match number {
            0 | 1 => request.timestamp = stamps[number](request.timestamp),
            2 => request.quantity += 1,
            _ => match request.allocations.first_mut() {
                Some(part) => part.quantity += 1,
                None => request.quantity += 2,
            },
        }
    }
    let Record::Sealed { slot, request, per, remainder } = record else { return wrong };
    let other = |per, remainder| Record::Sealed { slot: slot.clone(), request: request.clone(), per, remainder };
    wrong.extend([other(0, remainder.clone()), other(*per, with(remainder, 1))]);
    if ledger.slot(slot).is_some() {
        wrong.push(other(per + 1, remainder.clone()));
    }
    if request.quantity > 0 {
        wrong.push(Record::Closed { slot: slot.clone(), why: Close::Idle });
    }
    if request.quantity > 0 && request.allocations.is_empty() {
        let mut less = request.clone();
        less.quantity -= 1;
        let remainder = with(remainder, *per);
        wrong.push(Record::Sealed { slot: slot.clone(), request: less, per: *per, remainder });
    }
    wrong
}

fn wrong_adoptions(ledger: &Ledger, record: &Record) -> Vec<Record> {
    let mut wrong = vec![record.clone(); 4];
    for (wrongly, record) in wrong.iter_mut().enumerate() {
        let Record::Adopted { from, per, units, .. } = record else { continue };
        match wrongly {
            0 => *from = ledger.id(),
            1 => *per = 0,
            2 => *units = Buckets::default(),
            _ => *units = with(units, u64::MAX),
        }
    }
    let Record::Adopted { from, number, slot, per, units, used_at } = record else { return wrong };
    if ledger.slot(slot).is_some() {
        let (slot, units) = (slot.clone(), units.clone());
        wrong.push(Record::Adopted { from: *from, number: *number, slot, per: per + 1, units, used_at: *used_at });
    }
    wrong
}

fn accepted() -> End {
    End::Acked { record_id: "R".to_owned() }
}

fn settled(slot: &SlotId, evidence: &str, reason: &str) -> Record {
    let (evidence, reason) = (evidence.to_owned(), reason.to_owned());
    Record::Settled { slot: slot.clone(), billed: true, evidence, reason, at: 0 }
}

/// More untagged units.
fn with(units: &Buckets, more: u64) -> Buckets {
    let mut units = units.clone();
    units.add(&Tags::NONE, more);
    units
}

/// The first entry that is let in and must not be.
pub(crate) fn let_in(ledger: &Ledger, wrong: Vec<Record>) -> Option<String> {
    let found = wrong.into_iter().find(|record| ledger.admit(record).is_ok());
    found.map(|record| format!("{} is let in, which is wrong", record.to_text()))
}
