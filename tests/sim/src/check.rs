//! What must hold, after every step. A step that breaks it ends the run with a sentence that says what and where.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_metering::{Balance, Ledger, Record, Request, SlotId, Used};

use crate::aws::Key;
use crate::bug::Bug;
use crate::copies::Copied;
use crate::driver::{Alive, Gone};
use crate::faults::Fault;
use crate::network::{Kind, Message};
use crate::pod::Pod;
use crate::refuse;
use crate::report::loss;
use crate::world::World;

/// An hour of a dimension in a ledger.
type Cell = (usize, usize, u64);

/// Units on their way between two ledgers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handed {
    pub(crate) account: crate::oracle::Account,
    pub(crate) units: u64,
}

/// What was seen so far, for the checks alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Tries that are on disk and were not answered with "not processed": under which identity, and how many.
    pub(crate) doubts: BTreeMap<Cell, (u32, u32)>,
    /// What left for a key of AWS, and from which ledger.
    sent: BTreeMap<Key, (usize, Request)>,
    /// Ledgers that are copies.
    pub(crate) copied: BTreeMap<usize, Copied>,
    /// Identities whose disk was restored or lost under them.
    pub(crate) forgetful: Vec<u32>,
    /// Units of each hand-over, by ledger and number.
    pub(crate) handed: BTreeMap<(usize, u64), Handed>,
    /// The ledger that adopted it.
    pub(crate) adopted: BTreeMap<(usize, u64), usize>,
    /// Identities of which AWS accepted a record, by ledger.
    pub(crate) accepted: BTreeSet<(usize, u32)>,
    /// Families of volumes of which tags were refused.
    pub(crate) untagged: Vec<usize>,
}

impl World {
    /// The run has failed. A process that learns it goes no further.
    pub(crate) fn fail(&mut self, problem: String) -> Alive {
        self.failure.get_or_insert(problem);
        Err(Gone)
    }

    pub(crate) fn ensure(&mut self, holds: bool, problem: impl FnOnce() -> String) -> Alive {
        if holds { Ok(()) } else { self.fail(problem()) }
    }

    /// Entries that are on disk now.
    pub(crate) fn check_durable(&mut self, f: usize, identity: u32, records: &[Record]) {
        for record in records {
            self.allow_copy(f, record);
            let family = self.folders[f].family;
            if matches!(record, Record::Resealed { .. }) && !self.seen.untagged.contains(&family) {
                self.seen.untagged.push(family);
            }
            match record {
                Record::Attempted { slot, .. } => {
                    let cell = (f, Pod::dimension(&slot.dimension), u64::from(slot.hour.0));
                    let doubt = self.seen.doubts.entry(cell).or_insert((identity, 0));
                    *doubt = if doubt.0 == identity || doubt.1 > 0 { (doubt.0, doubt.1 + 1) } else { (identity, 1) };
                }
                Record::HandedOver(handed) => drop(self.check_handed(f, handed).or(Ok::<(), Gone>(()))),
                Record::Adopted { from, number, slot, units, .. } => {
                    let adopted = self.check_adopted(f, (*from, *number), slot, units.total());
                    drop(adopted.or(Ok::<(), Gone>(())));
                }
                // Both follow from an answer that says that the record was not taken.
                Record::Deferred { slot, unknown: false, .. } | Record::Resealed { slot, .. } => {
                    let cell = (f, Pod::dimension(&slot.dimension), u64::from(slot.hour.0));
                    if let Some(doubt) = self.seen.doubts.get_mut(&cell) {
                        doubt.1 = doubt.1.saturating_sub(1);
                    }
                }
                _ => {}
            }
        }
    }

    /// A request is about to leave.
    pub(crate) fn check_leaving(&mut self, p: usize, kind: &Kind, dimension: usize, request: &Request) -> Alive {
        let Kind::Usage(slot) = kind else { return Ok(()) };
        let pod = &self.pods[p];
        let (f, identity, hour) = (pod.folder, pod.identity, request.timestamp / 3_600);
        let pays = pod.listing == 0;
        self.ensure(pays, || "usage of a listing that sends nothing is sent".to_owned())?;
        self.ensure(hour == u64::from(slot.hour.0), || format!("{slot:?} is stamped {}", request.timestamp))?;
        let attempts = self.ledger(p).and_then(|ledger| ledger.slot(slot)).map(|slot| &slot.attempts);
        let (begun, attempt) = attempts.map_or((false, 0), |attempts| (attempts.pending, attempts.count));
        let last = |record: &Record| matches!(record, Record::Attempted { slot: of, attempt: n, .. } if of == slot && *n == attempt);
        let on_disk = begun && self.folders[f].disk.recent(last);
        self.ensure(on_disk, || format!("{slot:?} leaves before its try is on disk"))?;
        let doubt = self.seen.doubts.get(&(f, dimension, hour)).copied();
        let other = doubt.is_some_and(|(under, count)| under != identity && count > 0);
        let other = other && !self.copied(f);
        self.ensure(!other, || format!("{slot:?} leaves under a second identity, with the first in doubt"))?;
        let key = Key { identity, dimension, hour };
        let before = self.seen.sent.insert(key, (f, request.clone()));
        let Some((from, before)) = before else { return Ok(()) };
        let untagged = request.allocations.is_empty() && !before.allocations.is_empty();
        let resealed = untagged && before.quantity == request.quantity && before.token != request.token;
        let same = before == *request || resealed || from != f || self.copied(f);
        self.ensure(same, || format!("another request for {key:?}: first {before:?}, then {request:?}"))
    }

    /// AWS took a record it did not have. `again`: it had one for the same hour of the same ledger, under another identity.
    pub(crate) fn check_billed(&mut self, message: &Message, key: Key, again: bool) {
        let f = message.folder;
        let units = u64::from(message.request.quantity) * message.per;
        let account = (self.folders[f].family, message.listing, key.dimension);
        self.report.billed += u128::from(units);
        if again && units > 0 && !self.copied(f) {
            drop(self.fail(format!("an hour of ledger {f} is billed under a second identity: {key:?}")));
        }
        let units_or_canary = if self.bug == Some(Bug::Canary) { units.saturating_mul(1_000) } else { units };
        let excess = self.oracle.billed(account, key.hour, units_or_canary);
        if excess > 0 {
            let Some(ways) = self.oracle.excuse(account, excess) else {
                let allowed = self.oracle.allowed(account);
                let problem =
                    format!("{excess} units too many are billed with {key:?}, ledger {f}, allowed {allowed:?}");
                drop(self.fail(problem));
                return;
            };
            for (way, part) in ways {
                self.report.loss(way.name(), part.into());
            }
        }
        self.check_tags(message, account);
    }

    fn check_tags(&mut self, message: &Message, account: crate::oracle::Account) {
        let request = &message.request;
        let loose = self.shape.wide_tags || self.seen.untagged.contains(&account.0);
        let mut parts: Vec<(usize, u32)> = Vec::new();
        for allocation in &request.allocations {
            let known = self.shape.tags.iter().position(|tags| *tags == allocation.tags);
            let Some(tags) = known else {
                drop(self.fail(format!("nobody used the tags {:?}", allocation.tags)));
                return;
            };
            parts.push((tags, allocation.quantity));
        }
        if parts.is_empty() {
            parts.push((0, request.quantity));
        }
        for (tags, quantity) in parts {
            let units = u64::from(quantity) * message.per;
            let good = self.oracle.billed_tags(account, tags, units, message.per);
            if !(good || loose && tags == 0) {
                drop(self.fail(format!("tag set {tags} of {account:?} never used what is billed for it: {request:?}")));
            }
        }
    }

    /// Usage that is on disk becomes part of the state.
    pub(crate) fn apply_used(&mut self, p: usize, f: usize, used: &Used) {
        self.trace.note(self.now, 1, used.units);
        self.tell(p, || format!("uses {} of {}@{}", used.units, used.slot.dimension, used.slot.hour));
        let Some(ledger) = &mut self.folders[f].open else { return };
        let before = ledger.slot(&used.slot).map_or("none", |slot| slot.life.name());
        ledger.apply_used(used);
        self.report.transition(before, "open");
        self.check_slot(f, &used.slot);
    }

    /// An entry that is on disk becomes part of the state.
    pub(crate) fn apply(&mut self, p: usize, f: usize, record: &Record) -> Alive {
        let thorough = self.thorough();
        let Some(ledger) = &mut self.folders[f].open else { return Err(Gone) };
        if thorough && let Some(problem) = refuse::let_in(ledger, refuse::wrong_before(ledger, record)) {
            return self.fail(problem);
        }
        if let Some(problem) = unfair(ledger, record) {
            return self.fail(problem);
        }
        if let Err(refusal) = ledger.admit(record) {
            return self.fail(format!("{} is not admitted: {refusal}", record.to_text()));
        }
        let slot = slot_of(record);
        let life = |ledger: &Ledger| slot.and_then(|id| ledger.slot(id)).map_or("none", |slot| slot.life.name());
        let before = life(ledger);
        ledger.apply(record);
        if thorough && let Some(problem) = refuse::let_in(ledger, refuse::wrong_after(record)) {
            return self.fail(problem);
        }
        let after = life(ledger);
        if let Some(slot) = slot {
            self.report.transition(before, after);
            self.check_slot(f, slot);
        }
        self.report.entry(record);
        self.trace.note(self.now, 2, crate::random::index_of(before, after));
        if !matches!(record, Record::Heartbeat { .. } | Record::Deferred { .. }) {
            let own = self.pods[p].folder == f;
            self.tell(p, || if own { record.to_text() } else { format!("in folder {f}: {}", record.to_text()) });
        }
        self.check_entry(p, f, record)
    }

    /// Some checks take longer than what they look at: one run in eight has them.
    pub(crate) fn thorough(&self) -> bool {
        self.seed.is_multiple_of(8)
    }

    fn check_slot(&mut self, f: usize, id: &SlotId) {
        let slot = self.open(f).and_then(|ledger| ledger.slot(id));
        if slot.is_some_and(|slot| !Balance::of(slot).holds()) {
            drop(self.fail(format!("{id:?} does not add up")));
        }
    }

    /// With a wrong clock the pod's hours are not those of the world.
    pub(crate) fn clock_was_wrong(&self) -> bool {
        let clock = [Fault::ClockAhead, Fault::ClockBack, Fault::ClockFrozen, Fault::WrongClockAtStart];
        clock.iter().any(|fault| self.faults.fired[*fault as usize] > 0)
    }

    /// Units that nothing can bring to AWS any more. A copy may bring them.
    pub(crate) fn never_billed(&mut self, f: usize, id: &SlotId, units: u64) {
        let account = self.account(f, id);
        if !self.has_copies(account.0) {
            self.oracle.never_billed(account, id.hour.0.into(), units);
        }
    }

    pub(crate) fn lost(&mut self, name: &'static str, units: u64) {
        self.report.loss(name, units.into());
    }

    /// Units that a ledger counts and never sends.
    pub(crate) fn lost_beyond(&mut self, f: usize, id: &SlotId, units: u64) {
        self.lost(loss::BEYOND, units);
        self.never_billed(f, id, units);
    }
}

/// What remains of a tag set is never more than what its own units leave over.
fn unfair(ledger: &Ledger, record: &Record) -> Option<String> {
    let Record::Sealed { slot: id, per, remainder, .. } = record else { return None };
    let open = &ledger.slot(id)?.open;
    let over = |tags| open.iter().find(|(of, _)| *of == tags).map_or(0, |(_, units)| units % per);
    let more = remainder.iter().find(|(tags, units)| *units > over(*tags));
    more.map(|(tags, units)| format!("{units} units of {tags:?} remain in {id:?}, of {open:?} by {per}"))
}

fn slot_of(record: &Record) -> Option<&SlotId> {
    match record {
        Record::Sealed { slot, .. }
        | Record::Closed { slot, .. }
        | Record::Resealed { slot, .. }
        | Record::Beyond { slot, .. }
        | Record::Attempted { slot, .. }
        | Record::Deferred { slot, .. }
        | Record::Ended { slot, .. }
        | Record::Settled { slot, .. }
        | Record::Adopted { slot, .. } => Some(slot),
        Record::HandedOver(handed) => Some(&handed.slot),
        Record::Carried { from, part: tollgate_metering::Part::Request, .. } => Some(from),
        _ => None,
    }
}
