//! What must hold, after every step. A step that breaks it ends the run with a sentence that says what and where.

use std::collections::BTreeMap;

use tollgate_metering::{Balance, Close, End, Ledger, Life, Part, Record, SlotId, Used, window_end};

use crate::aws::Key;
use crate::bug::Bug;
use crate::driver::{Alive, Gone};
use crate::faults::Fault;
use crate::network::Kind;
use crate::oracle::Account;
use crate::pod::Pod;
use crate::report::LOSSES;
use crate::world::World;

/// A clock may be ahead by this much unseen, in seconds: what the host and AWS tolerate, several times.
const AHEAD_S: u64 = 900;

/// An hour of a dimension in a ledger.
type Cell = (usize, usize, u64);

/// What was seen so far, for the checks alone.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Tries that are on disk and were not answered with "not processed": under which identity, and how many.
    doubts: BTreeMap<Cell, (u32, u32)>,
    /// What left for a key of AWS, and from which ledger.
    sent: BTreeMap<Key, (usize, tollgate_metering::Request)>,
    /// Ledgers that were restored from an old copy.
    pub(crate) restored: BTreeMap<usize, Restored>,
    /// Identities whose disk was restored under them.
    pub(crate) forgetful: Vec<u32>,
}

/// What was done to a ledger.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Restored {
    /// It began in a new pod afterwards.
    pub(crate) in_new_pod: bool,
    pub(crate) times: u64,
}

impl World {
    /// The run has failed. A process that learns it goes no further.
    pub(crate) fn fail(&mut self, problem: String) -> Alive {
        self.failure.get_or_insert(problem);
        Err(Gone)
    }

    fn ensure(&mut self, holds: bool, problem: impl FnOnce() -> String) -> Alive {
        if holds { Ok(()) } else { self.fail(problem()) }
    }

    fn restored(&self, lineage: usize) -> bool {
        self.seen.restored.contains_key(&lineage)
    }

    /// Entries that are on disk now.
    pub(crate) fn check_durable(&mut self, p: usize, records: &[Record]) {
        let (lineage, identity) = (self.pods[p].lineage, self.pods[p].identity);
        for record in records {
            match record {
                Record::Attempted { slot, .. } => {
                    let cell = (lineage, Pod::dimension(&slot.dimension), u64::from(slot.hour.0));
                    let doubt = self.seen.doubts.entry(cell).or_insert((identity, 0));
                    *doubt = if doubt.0 == identity || doubt.1 > 0 { (doubt.0, doubt.1 + 1) } else { (identity, 1) };
                }
                // Both follow from an answer that says that the record was not taken.
                Record::Deferred { slot, unknown: false, .. } | Record::Resealed { slot, .. } => {
                    let cell = (lineage, Pod::dimension(&slot.dimension), u64::from(slot.hour.0));
                    if let Some(doubt) = self.seen.doubts.get_mut(&cell) {
                        doubt.1 = doubt.1.saturating_sub(1);
                    }
                }
                _ => {}
            }
        }
    }

    /// A request is about to leave.
    pub(crate) fn check_leaving(
        &mut self,
        p: usize,
        kind: &Kind,
        dimension: usize,
        request: &tollgate_metering::Request,
    ) -> Alive {
        let Kind::Usage(slot) = kind else { return Ok(()) };
        let pod = &self.pods[p];
        let (lineage, identity, hour) = (pod.lineage, pod.identity, request.timestamp / 3_600);
        let pays = pod.listing == 0;
        self.ensure(pays, || "usage of a listing that sends nothing is sent".to_owned())?;
        self.ensure(hour == u64::from(slot.hour.0), || format!("{slot:?} is stamped {}", request.timestamp))?;
        let begun = self.ledger(p).and_then(|ledger| ledger.slot(slot)).is_some_and(|slot| slot.attempts.pending);
        let attempt = self.ledger(p).and_then(|ledger| ledger.slot(slot)).map_or(0, |slot| slot.attempts.count);
        let last = |record: &Record| matches!(record, Record::Attempted { slot: of, attempt: n, .. } if of == slot && *n == attempt);
        let on_disk = begun && self.pods[p].disk.recent(last);
        self.ensure(on_disk, || format!("{slot:?} leaves before its try is on disk"))?;
        let doubt = self.seen.doubts.get(&(lineage, dimension, hour)).copied();
        let other = doubt.is_some_and(|(under, count)| under != identity && count > 0);
        let other = other && !self.restored(lineage);
        self.ensure(!other, || format!("{slot:?} leaves under a second identity, with the first in doubt"))?;
        let key = Key { identity, dimension, hour };
        let before = self.seen.sent.insert(key, (lineage, request.clone()));
        let Some((from, before)) = before else { return Ok(()) };
        let untagged = request.allocations.is_empty() && !before.allocations.is_empty();
        let resealed = untagged && before.quantity == request.quantity && before.token != request.token;
        let same = before == *request || resealed || from != lineage || self.restored(lineage);
        self.ensure(same, || format!("another request for {key:?}: first {before:?}, then {request:?}"))
    }

    /// AWS took a record it did not have.
    pub(crate) fn check_billed(&mut self, account: Account, key: Key, units: u64) {
        self.report.billed += u128::from(units);
        let units_or_canary = if self.bug == Some(Bug::Canary) { units.saturating_mul(1_000) } else { units };
        let excess = self.oracle.billed(account, key.hour, units_or_canary);
        if excess == 0 {
            return;
        }
        let restored = self.seen.restored.get(&account.0).copied().unwrap_or_default();
        // The remainder that the copy holds may be in a bill already: less than one billed unit for each copy.
        let per = self.shape.pers[account.2] * 2;
        let remainder = self.oracle.sums(account).excused + excess < per.saturating_mul(restored.times);
        if restored.in_new_pod || remainder {
            self.oracle.excuse(account, excess);
            self.report.loss(LOSSES[if restored.in_new_pod { 0 } else { 12 }], u128::from(excess));
            return;
        }
        let restored = restored.times;
        drop(self.fail(format!("{excess} units too many are billed with {key:?} (restored {restored} times)")));
    }

    /// Usage that is on disk becomes part of the state.
    pub(crate) fn apply_used(&mut self, p: usize, used: &Used) {
        self.trace.note(self.now, 1, used.units);
        self.tell(p, || format!("uses {} of {}@{}", used.units, used.slot.dimension, used.slot.hour));
        let Some(process) = &mut self.pods[p].process else { return };
        let before = process.ledger.slot(&used.slot).map_or("none", |slot| slot.life.name());
        process.ledger.apply_used(used);
        self.report.transition(before, "open");
        self.check_slot(p, &used.slot);
    }

    /// An entry that is on disk becomes part of the state.
    pub(crate) fn apply(&mut self, p: usize, record: &Record) -> Alive {
        let Some(process) = &mut self.pods[p].process else { return Err(Gone) };
        if let Err(refusal) = process.ledger.admit(record) {
            return self.fail(format!("{} is not admitted: {refusal}", record.to_text()));
        }
        let slot = slot_of(record);
        let life = |ledger: &Ledger| slot.and_then(|id| ledger.slot(id)).map_or("none", |slot| slot.life.name());
        let before = life(&process.ledger);
        process.ledger.apply(record);
        let after = life(&process.ledger);
        if let Some(slot) = slot {
            self.report.transition(before, after);
            self.check_slot(p, slot);
        }
        self.report.entry(record);
        self.trace.note(self.now, 2, crate::random::index_of(before, after));
        if !matches!(record, Record::Heartbeat { .. } | Record::Deferred { .. }) {
            self.tell(p, || record.to_text());
        }
        self.check_entry(p, record)
    }

    fn check_slot(&mut self, p: usize, id: &SlotId) {
        let slot = self.ledger(p).and_then(|ledger| ledger.slot(id));
        if slot.is_some_and(|slot| !Balance::of(slot).holds()) {
            drop(self.fail(format!("{id:?} does not add up")));
        }
    }

    fn check_entry(&mut self, p: usize, record: &Record) -> Alive {
        match record {
            Record::Sealed { slot, request, .. } => {
                let now = self.trusted(p).s;
                let ending = self.pods[p]
                    .process
                    .as_ref()
                    .is_some_and(|process| process.phase == tollgate_metering::Phase::Ending);
                let over = now >= slot.hour.end() || (ending && now >= slot.hour.start());
                self.ensure(over, || format!("{slot:?} is sealed at {now}, before it is over"))?;
                let began_right = self.pods[p].process.as_ref().is_some_and(|process| process.began_right);
                let honest = !began_right || slot.hour.start() <= self.now + AHEAD_S;
                self.ensure(honest, || format!("{slot:?} is sealed, an hour that has not begun"))?;
                let early = began_right && !ending && slot.hour.end() > self.now + AHEAD_S;
                self.ensure(!early, || format!("{slot:?} is sealed, an hour that is not over"))?;
                let sum: u64 = request.allocations.iter().map(|part| u64::from(part.quantity)).sum();
                let adds_up = request.allocations.is_empty() || sum == u64::from(request.quantity);
                self.ensure(adds_up, || format!("the allocations of {slot:?} are not its quantity"))
            }
            Record::Ended { slot, end, .. } => self.check_end(p, slot, end),
            Record::Carried { from, part, .. } => self.check_carried(p, from, *part),
            Record::Beyond { units, .. } => {
                self.report.loss(LOSSES[8], units.total().into());
                Ok(())
            }
            Record::Closed { slot, why: Close::Counted } => {
                let pays = slot.listing == crate::shape::LISTINGS[0];
                self.ensure(!pays, || format!("{slot:?} is counted only, though its listing is sent"))
            }
            _ => Ok(()),
        }
    }

    fn check_end(&mut self, p: usize, id: &SlotId, end: &End) -> Alive {
        let pod = &self.pods[p];
        let (lineage, dimension, hour) = (pod.lineage, Pod::dimension(&id.dimension), u64::from(id.hour.0));
        let key = Key { identity: pod.identity, dimension, hour };
        let Some(slot) = self.ledger(p).and_then(|ledger| ledger.slot(id)).cloned() else { return Ok(()) };
        let units = u128::from(slot.requested());
        let restored = self.restored(lineage);
        let billed = self.aws.billed(lineage, dimension, hour);
        if !matches!(end, End::Acked { .. }) {
            let faulty = self.faults.any();
            self.ensure(faulty, || format!("{id:?} ends as {end:?} though nothing ever went wrong"))?;
        }
        match end {
            End::Acked { record_id } => {
                let request = slot.request.as_ref();
                let same = self.aws.holds(key).is_some_and(|held| {
                    let same = request.map(|request| (request.quantity, &request.allocations));
                    held.record_id == *record_id && same == Some((held.quantity, &held.allocations))
                });
                self.ensure(same, || format!("{id:?} is accepted, but AWS does not hold it"))?;
                let own = self.aws.holds(key).is_none_or(|held| held.lineage == lineage) || self.clock_was_wrong();
                self.ensure(own, || format!("{id:?} is accepted as what a lost ledger had sent"))
            }
            End::Conflict => {
                let cause = restored || self.seen.forgetful.contains(&key.identity) || self.clock_was_wrong();
                self.report.loss(LOSSES[1], units);
                self.ensure(cause, || format!("{id:?} is in conflict, and no ledger was ever lost"))
            }
            End::Expired => {
                self.report.loss(LOSSES[2], units);
                let stamp = slot.request.as_ref().map_or(0, |request| request.timestamp);
                let due = self.trusted(p).s >= window_end(stamp);
                self.ensure(due, || format!("{id:?} is given up too early"))?;
                self.ensure(!billed || restored, || format!("{id:?} is expired, but AWS holds it"))
            }
            End::Rejected { .. } => {
                self.report.loss(LOSSES[9], units);
                self.ensure(!billed || restored, || format!("{id:?} is rejected, but AWS holds it"))
            }
            End::InDoubt { why } => {
                let cause = self.seen.doubts.get(&(lineage, dimension, hour)).is_some_and(|doubt| doubt.1 > 0);
                let name = if why.contains("identity") { 7 } else { 5 + usize::from(why.contains("six hours")) };
                self.report.loss(LOSSES[name], units);
                self.ensure(cause || restored, || format!("{id:?} is in doubt without a cause"))
            }
        }
    }

    fn check_carried(&mut self, p: usize, from: &SlotId, part: Part) -> Alive {
        if part == Part::Remainder {
            return Ok(());
        }
        let carry = self.shape.carry;
        self.ensure(carry, || format!("{from:?} is carried, and the listing does not allow it"))?;
        let pod = &self.pods[p];
        let (lineage, unbroken) = (pod.lineage, pod.unbroken_since);
        let stamp = self.ledger(p).and_then(|ledger| ledger.slot(from)).map_or(0, |slot| slot.last_at);
        let whole = self.clock_was_wrong() || stamp >= unbroken || stamp == 0;
        self.ensure(whole, || format!("{from:?} is carried over a silence that ended at {unbroken}"))?;
        if part == Part::Request {
            let billed = self.aws.billed(lineage, Pod::dimension(&from.dimension), from.hour.0.into());
            let restored = self.restored(lineage);
            self.ensure(!billed || restored, || format!("{from:?} is carried, but AWS holds it"))?;
        }
        Ok(())
    }

    /// With a wrong clock the pod's hours are not those of the world.
    fn clock_was_wrong(&self) -> bool {
        let clock = [Fault::ClockAhead, Fault::ClockBack, Fault::ClockFrozen, Fault::WrongClockAtStart];
        clock.iter().any(|fault| self.faults.fired[*fault as usize] > 0)
    }

    /// What a process finds on disk. Reading all of it takes longer than a simulated day, so if the last process must have
    /// known the same, it is read only every fourth time, and compared.
    pub(crate) fn loaded(&mut self, p: usize) -> Option<Ledger> {
        let pod = &mut self.pods[p];
        if !pod.serial.is_multiple_of(4)
            && let Some(last) = pod.last.take()
        {
            return Some(last);
        }
        match pod.disk.load() {
            Ok(ledger) => {
                self.check_loaded(p, &ledger);
                Some(ledger)
            }
            Err(problem) => {
                drop(self.fail(problem));
                None
            }
        }
    }

    /// What a process finds on disk, compared with what the one before knew and what guests handed over.
    fn check_loaded(&mut self, p: usize, ledger: &Ledger) {
        let before = self.pods[p].last.as_ref();
        if before.is_some_and(|before| before.balances() != ledger.balances()) {
            drop(self.fail("the ledger read back is not the one that was written".to_owned()));
        }
        self.check_recorded(p, ledger);
    }

    /// The ledger's counter of recorded usage against the plain sums.
    fn check_recorded(&mut self, p: usize, ledger: &Ledger) {
        let lineage = self.pods[p].lineage;
        let balances = ledger.balances();
        let accounts: Vec<_> = self.oracle.accounts().filter(|(account, _)| account.0 == lineage).collect();
        let wrong = accounts.into_iter().find_map(|((_, listing, dimension), sums)| {
            let name = (crate::shape::LISTINGS[*listing].to_owned(), crate::shape::DIMENSIONS[*dimension].to_owned());
            let recorded = balances.get(&name).map_or(0, |balance| balance.recorded);
            let promised = u128::from(sums.durable - sums.lost);
            (recorded != promised).then(|| format!("{name:?}: {recorded} recorded of {promised}"))
        });
        if let Some(wrong) = wrong {
            drop(self.fail(wrong));
        }
    }

    /// Sixteen hours after everything healed: nothing waits any more, and each unit is where it can be named.
    pub(crate) fn check_settled(&mut self, p: usize, ledger: &Ledger) {
        self.check_recorded(p, ledger);
        let policy = self.shape.policy(0, &self.pods[p].pers);
        let ahead =
            [Fault::ClockAhead, Fault::WrongClockAtStart].iter().any(|fault| self.faults.fired[*fault as usize] > 0);
        // No usage comes that late, so the clock that said so was not that of the world.
        let future = |hour: tollgate_metering::Hour| hour.start() > crate::shape::BEGIN + self.shape.quiet_s;
        let waits = |slot: &tollgate_metering::Slot| slot.life.waiting() || slot.life == Life::Open;
        let later =
            ledger.newest_hour().start() > self.now || ledger.slots().any(|(id, slot)| future(id.hour) && waits(slot));
        if ahead && later {
            // The hour of a ledger never goes back, so one that was taken from a clock that was ahead is waited for.
            let waiting = ledger.balance();
            self.report.loss(LOSSES[13], waiting.open + waiting.sealed + waiting.attempted + 1);
            return;
        }
        for (id, slot) in ledger.slots() {
            let open = slot.life == Life::Open && slot.open.total() >= slot.per && policy.listing == id.listing;
            let later = id.hour.start() > self.now;
            if slot.life.waiting() || (open && !later) {
                drop(self.fail(format!("{id:?} is {} though everything healed long ago", slot.life.name())));
            } else if open {
                drop(self.fail(format!("{id:?} waits for an hour that has not begun")));
            }
        }
        let mut sum = Balance::default();
        for balance in ledger.balances().values() {
            sum.add(balance);
        }
        self.report.loss(LOSSES[10], sum.remainder);
        self.report.loss(LOSSES[11], sum.counted);
        let quiet = !self.faults.any();
        let rest = sum.remainder + sum.open + sum.expired;
        if quiet && sum.acked + rest != sum.recorded {
            drop(self.fail(format!("nothing went wrong, and still not all is accepted: {sum:?}")));
        }
    }
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
        | Record::Settled { slot, .. } => Some(slot),
        Record::Carried { from, part: Part::Request, .. } => Some(from),
        _ => None,
    }
}
