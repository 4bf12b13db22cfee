//! What must hold of each entry at the moment when it becomes part of a ledger.

use tollgate_metering::{Close, End, HandedOver, Ledger, Part, Phase, Record, SlotId, window_end};

use crate::aws::Key;
use crate::check::Handed;
use crate::driver::Alive;
use crate::pod::{Pod, identity_of};
use crate::report::{Feature, loss};
use crate::world::World;

/// A clock may be ahead by this much unseen, in seconds: what the host and AWS tolerate, several times.
const AHEAD_S: u64 = 900;

impl World {
    pub(crate) fn check_entry(&mut self, p: usize, f: usize, record: &Record) -> Alive {
        match record {
            Record::Started { .. } if self.pods[p].folder == f => {
                if self.folders[f].open.as_ref().is_some_and(|ledger| ledger.leaves(|_| false)) {
                    self.came_back(f);
                }
                Ok(())
            }
            Record::Sealed { slot, request, .. } => {
                let sum: u64 = request.allocations.iter().map(|part| u64::from(part.quantity)).sum();
                let adds_up = request.allocations.is_empty() || sum == u64::from(request.quantity);
                self.ensure(adds_up, || format!("the allocations of {slot:?} are not its quantity"))?;
                if self.shape.wide_tags && request.allocations.iter().any(|part| part.tags.is_empty()) {
                    self.report.feature(Feature::TagsFolded);
                }
                self.check_zero(p, f, slot, request)?;
                self.check_sealed(p, f, slot)
            }
            Record::Ended { slot, end, .. } => self.check_end(p, f, slot, end),
            Record::Carried { from, part, .. } => self.check_carried(f, from, *part),
            Record::Beyond { units, slot } => {
                self.lost_beyond(f, slot, units.total());
                Ok(())
            }
            Record::Closed { slot, why: Close::Counted } => {
                let pays = slot.listing == crate::shape::LISTINGS[0];
                self.ensure(!pays, || format!("{slot:?} is counted only, though its listing is sent"))
            }
            Record::Settled { slot, billed, .. } => self.check_person(f, slot, *billed),
            _ => Ok(()),
        }
    }

    /// Something was handed over from this ledger, and now its own identity has it again.
    fn came_back(&mut self, f: usize) {
        if self.seen.handed.range((f, 0)..=(f, u64::MAX)).next().is_some() {
            self.report.feature(Feature::OwnerCameBack);
        }
    }

    fn check_sealed(&mut self, p: usize, f: usize, slot: &SlotId) -> Alive {
        let now = self.trusted(p).s;
        let Some(process) = self.pods[p].process.as_ref() else { return Ok(()) };
        let own = self.pods[p].folder == f;
        let (ending, began_right) = (own && process.phase == Phase::Ending, process.began_right);
        let over = now >= slot.hour.end() || (ending && now >= slot.hour.start());
        self.ensure(over, || format!("{slot:?} is sealed at {now}, before it is over"))?;
        let honest = !began_right || slot.hour.start() <= self.now + AHEAD_S;
        self.ensure(honest, || format!("{slot:?} is sealed, an hour that has not begun"))?;
        let early = began_right && !ending && slot.hour.end() > self.now + AHEAD_S;
        self.ensure(!early, || format!("{slot:?} is sealed, an hour that is not over"))
    }

    fn check_end(&mut self, p: usize, f: usize, id: &SlotId, end: &End) -> Alive {
        let own = self.pods[p].folder == f;
        let (dimension, hour) = (Pod::dimension(&id.dimension), u64::from(id.hour.0));
        let key = Key { identity: self.pods[p].identity, dimension, hour };
        let Some(slot) = self.open(f).and_then(|ledger| ledger.slot(id)) else { return Ok(()) };
        let (units, request) = (slot.requested(), slot.request.clone());
        let copied = self.copied(f);
        let billed = self.aws.billed(f, dimension, hour) && !copied;
        if !matches!(end, End::Acked { .. }) {
            let faulty = self.faults.any();
            self.ensure(faulty, || format!("{id:?} ends as {end:?} though nothing ever went wrong"))?;
        }
        match end {
            End::Acked { record_id } => {
                self.seen.accepted.insert((f, key.identity));
                let same = self.aws.holds(key).is_some_and(|held| {
                    let same = request.as_ref().map(|request| (request.quantity, &request.allocations));
                    held.record_id == *record_id && same == Some((held.quantity, &held.allocations))
                });
                self.ensure(same, || format!("{id:?} is accepted, but AWS does not hold it"))?;
                let mine = self.aws.holds(key).is_none_or(|held| held.folder == f) || self.clock_was_wrong();
                self.ensure(mine && own, || format!("{id:?} is accepted as what another ledger had sent"))
            }
            End::Conflict => {
                let cause = copied || self.seen.forgetful.contains(&key.identity) || self.clock_was_wrong();
                self.lost(loss::CONFLICT, units);
                self.ensure(cause, || format!("{id:?} is in conflict, and no ledger was ever lost"))
            }
            End::Expired => {
                self.lost(if own { loss::EXPIRED } else { loss::EXPIRED_LEFT }, units);
                self.never_billed(f, id, units);
                let due = self.trusted(p).s >= window_end(request.map_or(0, |request| request.timestamp));
                self.ensure(due || (units == 0 && !own), || format!("{id:?} is given up too early"))?;
                self.ensure(!billed, || format!("{id:?} is expired, but AWS holds it"))
            }
            End::Rejected { .. } => {
                self.lost(loss::REJECTED, units);
                self.never_billed(f, id, units);
                self.ensure(!billed, || format!("{id:?} is rejected, but AWS holds it"))
            }
            End::InDoubt { why } => {
                let cause = self.seen.doubts.get(&(f, dimension, hour)).is_some_and(|doubt| doubt.1 > 0);
                let name = match why.as_str() {
                    why if why.contains("identity") => loss::IN_DOUBT_IDENTITY,
                    why if why.contains("six hours") => loss::IN_DOUBT_OLD,
                    _ => loss::IN_DOUBT_REFUSED,
                };
                self.lost(name, units);
                self.ensure(cause || copied, || format!("{id:?} is in doubt without a cause"))
            }
        }
    }

    fn check_carried(&mut self, f: usize, from: &SlotId, part: Part) -> Alive {
        if part == Part::Remainder {
            return Ok(());
        }
        let carry = self.shape.carry;
        self.ensure(carry, || format!("{from:?} is carried, and the listing does not allow it"))?;
        let unbroken = self.folders[f].unbroken_since;
        let stamp = self.open(f).and_then(|ledger| ledger.slot(from)).map_or(0, |slot| slot.last_at);
        let whole = self.clock_was_wrong() || stamp >= unbroken || stamp == 0;
        self.ensure(whole, || format!("{from:?} is carried over a silence that ended at {unbroken}"))?;
        if part == Part::Request {
            let account = self.account(f, from);
            self.oracle.rounded(account, self.shape.pers[account.2]);
            let billed = self.aws.billed(f, Pod::dimension(&from.dimension), from.hour.0.into());
            let copied = self.copied(f);
            self.ensure(!billed || copied, || format!("{from:?} is carried, but AWS holds it"))?;
        }
        Ok(())
    }

    /// Units leave a ledger: this is on disk.
    pub(crate) fn check_handed(&mut self, f: usize, handed: &HandedOver) -> Alive {
        let (account, units) = (self.account(f, &handed.slot), handed.units.total());
        self.seen.handed.insert((f, handed.number), Handed { account, units });
        if handed.part == Part::Remainder {
            return Ok(());
        }
        if handed.part == Part::Request {
            self.oracle.rounded(account, self.shape.pers[account.2]);
        }
        let (dimension, hour) = (Pod::dimension(&handed.slot.dimension), u64::from(handed.slot.hour.0));
        let billed = self.aws.billed(f, dimension, hour) && !self.copied(f);
        self.ensure(!billed, || format!("{handed:?}, but AWS holds it"))?;
        let doubt = self.seen.doubts.get(&(f, dimension, hour)).is_some_and(|doubt| doubt.1 > 0);
        let doubt = doubt && !self.copied(f);
        self.ensure(!doubt, || format!("{handed:?}, but nobody knows whether AWS holds it"))
    }

    /// Units arrive in a ledger: this is on disk.
    pub(crate) fn check_adopted(&mut self, f: usize, name: (u64, u64), slot: &SlotId, units: u64) -> Alive {
        let holder = self.folders[f].holder;
        let held = |folder: &crate::folder::Folder| {
            folder.holder == holder && folder.open.as_ref().is_some_and(|ledger| ledger.id() == name.0)
        };
        let Some(o) = self.folders.iter().position(held) else {
            return self.fail(format!("{name:?} is adopted from a ledger that is not held"));
        };
        let handed = self.seen.handed.get(&(o, name.1)).map(|handed| handed.units);
        self.ensure(handed == Some(units), || {
            format!("{units} units of {name:?} are adopted, handed over: {handed:?}")
        })?;
        let before = self.seen.adopted.insert((o, name.1), f);
        let again = before.is_some() && !self.copied(f) && !self.copied(o);
        self.ensure(!again, || format!("{name:?} is adopted twice"))?;
        let hour = self.open(o).map_or(0, |old: &Ledger| u64::from(old.newest_hour().0));
        if u64::from(slot.hour.0) > hour {
            self.report.feature(Feature::AdoptedLater);
        }
        Ok(())
    }

    /// A person has looked into CloudTrail.
    fn check_person(&mut self, f: usize, id: &SlotId, billed: bool) -> Alive {
        let Some(slot) = self.open(f).and_then(|ledger| ledger.slot(id)) else { return Ok(()) };
        let units = slot.requested();
        let truth = self.holds_request(f, id);
        if !billed {
            self.lost(loss::SETTLED_NOT_BILLED, units);
            self.never_billed(f, id, units);
        }
        self.ensure(truth == billed, || format!("{id:?} is settled as billed={billed}, AWS holds it: {truth}"))
    }

    /// True if AWS holds the request of a slot under the identity that tried it last.
    pub(crate) fn holds_request(&self, f: usize, id: &SlotId) -> bool {
        let Some(slot) = self.open(f).and_then(|ledger| ledger.slot(id)) else { return false };
        let Some(request) = &slot.request else { return false };
        let identity = identity_of(&slot.attempts.identity);
        let key = Key { identity, dimension: Pod::dimension(&id.dimension), hour: id.hour.0.into() };
        let same = |held: &crate::aws::Held| {
            (held.quantity, &held.allocations) == (request.quantity, &request.allocations)
                && (held.folder == f || self.copied(f))
        };
        self.aws.holds(key).is_some_and(same)
    }
}
