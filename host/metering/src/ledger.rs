//! The state of a ledger: a fold over its records, and nothing else.
//!
//! [`Ledger::admit`] says whether a record fits; [`Ledger::apply`] then cannot fail. The order in the process is: admit,
//! write, apply. Usage may be applied before or after the transitions that followed it, so a store can keep it as sums.

mod admit;
mod adoption;
mod balance;
mod batch;
mod checkpoint;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use crate::hour::{HOUR_S, Hour};
use crate::record::{Close, End, HandedOver, Part, Record, Used};
use crate::slot::{Attempts, Life, Request, Slot, SlotId};
use crate::units::{Buckets, Tags};

pub use admit::Refusal;
pub use adoption::Handing;
pub use balance::Balance;
pub use checkpoint::{Checkpoint, Folded};

/// Slots that are over are summed up and forgotten by the first checkpoint after this many hours.
const HOURS_KEPT: u32 = 48;
/// A silence longer than this breaks the ledger's own knowledge of what happened: nothing older is carried.
const GAP_S: u64 = HOUR_S;

/// Everything that a ledger knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    slots: BTreeMap<SlotId, Slot>,
    /// Sums of forgotten slots, by listing and dimension.
    past: BTreeMap<(String, String), Balance>,
    questions: BTreeMap<SlotId, Question>,
    /// Since when a listing is granted provisionally.
    provisional: BTreeMap<String, u64>,
    /// The newest hour that usage was booked to or a process was alive in, by a confirmed clock.
    newest: Hour,
    /// This hour and all before it take no usage.
    taken_through: Option<Hour>,
    id: u64,
    identity: String,
    boots: u64,
    started_at: u64,
    /// Zero: there was no heartbeat yet.
    alive_at: u64,
    /// Since when there was no gap in the heartbeats.
    continuous_since: u64,
    /// The identity of the newest accepted record.
    accepted_under: Option<String>,
    /// The newest hour when entries were last folded into a checkpoint; at first that of the first heartbeat.
    compacted: Hour,
    /// What was handed over, by number. Kept for ever, so that a hand-over that was cut off can be completed.
    handed_over: BTreeMap<u64, HandedOver>,
    /// What was adopted: the ledger it came from, and the number of the hand-over there. Kept for ever, as these are.
    adopted: BTreeSet<(u64, u64)>,
}

/// The question for entitlement of one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Under which identity it was asked.
    pub identity: String,
    /// What was sent.
    pub request: Request,
}

impl Ledger {
    /// An empty one; its first record is [`Record::Created`].
    pub fn new() -> Self {
        Self::default()
    }

    /// True until the first record.
    pub fn is_fresh(&self) -> bool {
        self.boots == 0
    }

    /// The random number given at creation.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whom AWS sees: that of the newest [`Record::Started`].
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// How many processes had the ledger.
    pub fn boots(&self) -> u64 {
        self.boots
    }

    /// When the newest process took it, unix seconds.
    pub fn started_at(&self) -> u64 {
        self.started_at
    }

    /// Since when the newest process runs without a gap, unix seconds.
    pub(crate) fn running_since(&self) -> u64 {
        self.started_at.max(self.continuous_since)
    }

    /// When a process last said that it is alive, unix seconds. Zero: never, so that no time is known.
    pub fn alive_at(&self) -> u64 {
        self.alive_at
    }

    /// The newest hour that usage was booked to or a process said that it was alive in.
    pub fn newest_hour(&self) -> Hour {
        self.newest
    }

    /// The slots that are not forgotten, the hours of one dimension together.
    pub fn slots(&self) -> impl DoubleEndedIterator<Item = (&SlotId, &Slot)> {
        self.slots.iter()
    }

    /// The slots of a listing that may still change by themselves or by a person.
    pub(crate) fn unfinished<'a>(&'a self, listing: &'a str) -> impl Iterator<Item = (&'a SlotId, &'a Slot)> {
        // Most slots are over: that is seen faster than whose they are.
        self.slots.iter().filter(move |(id, slot)| !slot.life.over() && id.listing == listing)
    }

    /// The slots of the same dimension in the hours before.
    pub(crate) fn earlier(&self, id: &SlotId) -> impl Iterator<Item = (&SlotId, &Slot)> {
        self.slots.range(id.at(Hour(0))..id.clone())
    }

    /// One slot.
    pub fn slot(&self, id: &SlotId) -> Option<&Slot> {
        self.slots.get(id)
    }

    /// Since when a listing is granted without a proof of the subscription, unix seconds.
    pub fn provisional_since(&self, listing: &str) -> Option<u64> {
        self.provisional.get(listing).copied()
    }

    /// The question for entitlement of one dimension and hour, if it was asked.
    pub fn question(&self, id: &SlotId) -> Option<&Question> {
        self.questions.get(id)
    }

    /// The hour for usage counted at `now` (unix seconds): never before the newest hour, and the earliest from there on
    /// that is not sealed. `like` names listing, payer and dimension.
    pub fn book(&self, like: &SlotId, now: u64) -> Hour {
        self.booked(like, now).hour
    }

    fn booked(&self, like: &SlotId, now: u64) -> SlotId {
        let mut id = like.at(Hour::of(now).max(self.newest));
        if let Some(taken) = self.taken_through {
            id.hour = id.hour.max(taken.next());
        }
        while !self.takes_usage(&id) && id.hour.0 < u32::MAX {
            id.hour = id.hour.next();
        }
        id
    }

    /// Usage counted at `now` (unix seconds), booked where it belongs. `like` names listing, payer and dimension; `per`
    /// is that of the manifest, a slot that exists keeps its own.
    pub fn used(&self, like: &SlotId, per: u64, component: &str, tags: Tags, units: u64, now: u64) -> Used {
        let slot = self.booked(like, now);
        let per = self.slots.get(&slot).map_or(per, |slot| slot.per);
        let late = if slot.hour == Hour::of(now) { 0 } else { units };
        Used { slot, per, component: component.into(), tags, units, late, at: now }
    }

    /// True if AWS has taken a real record of this identity, so that a refusal is not the first answer.
    pub fn accepted_before(&self) -> bool {
        self.accepted_under.as_ref() == Some(&self.identity)
    }

    /// True if heartbeats are without a gap since that instant (unix seconds).
    pub(crate) fn continuous_since(&self, at: u64) -> bool {
        self.alive_at > 0 && self.continuous_since <= at
    }

    pub(crate) fn takes_usage(&self, id: &SlotId) -> bool {
        let taken = self.taken_through.is_some_and(|taken| id.hour <= taken);
        let open = self.slots.get(id).map_or(!taken, |slot| slot.life == Life::Open);
        open && !self.questions.contains_key(id)
    }

    /// Adds usage that [`Ledger::admit_used`] let in.
    pub fn apply_used(&mut self, used: &Used) {
        self.newest = self.newest.max(Hour::of(used.at).min(used.slot.hour));
        // Most usage is of a slot that is there: its name is cloned only for the first.
        match self.slots.get_mut(&used.slot) {
            Some(slot) => slot.take(used),
            None => {
                let mut slot = Slot::new(used.per);
                slot.take(used);
                self.slots.insert(used.slot.clone(), slot);
            }
        }
    }

    /// Folds a record in that [`Ledger::admit`] let in.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Created { ledger, .. } => self.id = *ledger,
            Record::HandedOver(handed) => self.hand_over(handed),
            Record::Adopted { from, number, slot, per, units, used_at } => {
                self.adopted.insert((*from, *number));
                self.adopt(slot, *per, units, *used_at);
            }
            Record::Checkpoint(checkpoint) => self.restore(checkpoint),
            Record::Past { listing, dimension, balance } => {
                self.past.entry((listing.clone(), dimension.clone())).or_default().add(balance);
            }
            Record::Kept { slot: id, state } => {
                self.slots.entry(id.clone()).or_insert_with(|| Slot::new(state.per)).restore(state);
            }
            Record::Started { at, identity, boot, first_hour_taken } => {
                self.started(*at, identity, *boot, *first_hour_taken);
            }
            Record::Granted { at, listing, provisional: true } => {
                self.provisional.entry(listing.clone()).or_insert(*at);
            }
            Record::Granted { listing, .. } => drop(self.provisional.remove(listing)),
            Record::Heartbeat { at } => self.alive(*at),
            Record::Sealed { slot: id, request, per, remainder } => {
                let slot = self.slots.entry(id.clone()).or_insert_with(|| Slot::new(*per));
                slot.remainder = remainder.clone();
                slot.open = Buckets::default();
                slot.write(request);
            }
            Record::Carried { from, to, part, units, at } => self.carried(from, *to, *part, units, *at),
            Record::Asked { slot, identity, request, .. } => {
                let question = Question { identity: identity.clone(), request: request.clone() };
                self.questions.insert(slot.clone(), question);
            }
            Record::Closed { slot, .. }
            | Record::Resealed { slot, .. }
            | Record::Beyond { slot, .. }
            | Record::Attempted { slot, .. }
            | Record::Deferred { slot, .. }
            | Record::Ended { slot, .. }
            | Record::Settled { slot, .. } => {
                if let Record::Ended { end: End::Acked { .. }, .. } = record {
                    self.accepted_under = self.slots.get(slot).map(|slot| slot.attempts.identity.clone());
                }
                if let Some(slot) = self.slots.get_mut(slot) {
                    slot.apply(record);
                }
            }
        }
    }

    fn started(&mut self, at: u64, identity: &str, boot: u64, first_hour_taken: bool) {
        // The clock may be in doubt, so nothing but a heartbeat says which hour it is.
        self.identity = identity.into();
        self.boots = boot;
        self.started_at = at;
        if first_hour_taken {
            self.taken_through = Some(Hour::of(at));
        }
        for slot in self.slots.values_mut().filter(|slot| slot.attempts.pending) {
            slot.attempts.pending = false;
            slot.attempts.unknown += 1;
            slot.attempts.retry_at = at;
            slot.attempts.code = "the process ended before the answer".into();
        }
    }

    fn alive(&mut self, at: u64) {
        if self.alive_at == 0 {
            // The first time that is known for sure.
            self.compacted = Hour::of(at);
            self.taken_through = self.taken_through.map(|_| Hour::of(at));
        }
        if at > self.alive_at.saturating_add(GAP_S) {
            self.continuous_since = at;
        }
        self.started_at = self.started_at.min(at);
        self.alive_at = self.alive_at.max(at);
        self.newest = self.newest.max(Hour::of(at));
    }

    fn carried(&mut self, from: &SlotId, to: Hour, part: Part, units: &Buckets, at: u64) {
        let Some(source) = self.slots.get_mut(from) else { return };
        source.carried_out = source.carried_out.saturating_add(units.total());
        match part {
            Part::Beyond => source.open.take_all(units),
            Part::Remainder => source.remainder.take_all(units),
            Part::Request | Part::Open => source.life = Life::Moved,
        }
        let per = source.per;
        let target = self.slots.entry(from.at(to)).or_insert_with(|| Slot::new(per));
        target.carried_in = target.carried_in.saturating_add(units.total());
        target.last_at = target.last_at.max(to.clamp(at));
        target.open.add_all(units);
        target.brought.add_all(units);
    }

    /// The first hour that is not forgotten when it is over.
    pub(crate) fn kept_from(&self) -> Hour {
        Hour(self.newest.0.saturating_sub(HOURS_KEPT))
    }
}

impl Slot {
    fn take(&mut self, used: &Used) {
        self.recorded = self.recorded.saturating_add(used.units);
        self.late = self.late.saturating_add(used.late);
        self.last_at = self.last_at.max(used.slot.hour.clamp(used.at));
        self.open.add(&used.tags, used.units);
    }

    fn write(&mut self, request: &Request) {
        self.request = Some(request.clone());
        self.generation += 1;
        self.attempts = Attempts::default();
        self.life = Life::Sealed;
    }

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Closed { why, .. } => {
                self.life = match why {
                    Close::Counted => Life::Counted,
                    Close::Idle => {
                        self.remainder = core::mem::take(&mut self.open);
                        Life::Idle
                    }
                }
            }
            Record::Resealed { request, .. } => self.write(request),
            Record::Beyond { units, .. } => {
                self.open.take_all(units);
                self.beyond = self.beyond.saturating_add(units.total());
            }
            Record::Attempted { identity, attempt, at, .. } => {
                self.life = Life::Attempted;
                self.attempts.count = *attempt;
                self.attempts.pending = true;
                self.attempts.identity.clone_from(identity);
                self.attempts.at = *at;
            }
            Record::Deferred { unknown, code, retry_at, .. } => {
                self.attempts.pending = false;
                self.attempts.unknown += u32::from(*unknown);
                self.attempts.code.clone_from(code);
                self.attempts.retry_at = *retry_at;
            }
            Record::Ended { end, .. } => {
                self.attempts.pending = false;
                self.life = match end {
                    End::Acked { record_id } => Life::Acked { record_id: record_id.clone() },
                    End::Conflict => Life::Conflict,
                    End::Expired => Life::Expired,
                    End::Rejected { code } => Life::Rejected { code: code.clone() },
                    End::InDoubt { .. } => Life::InDoubt,
                };
                if let End::InDoubt { why } = end {
                    self.attempts.code.clone_from(why);
                }
            }
            Record::Settled { billed, evidence, reason, .. } => {
                self.attempts.code.clone_from(reason);
                self.life = if *billed { Life::Acked { record_id: evidence.clone() } } else { Life::Expired };
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
