//! What is due: every decision about billing.
//!
//! [`plan`] looks at the ledger and the time and says what to do. Who carries it out has nothing left to decide and can
//! be killed and repeated at any line: write the records and plan again; write that a try begins, then send.

mod answer;
mod carry;
mod question;
mod standing;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::allocation;
use crate::backoff;
use crate::hour::{Hour, fnv1a, offset_s, window_end};
use crate::ledger::Ledger;
use crate::record::{Close, End, Record};
use crate::slot::{Form, Life, Payer, Request, Slot, SlotId};
use crate::trust::Now;
use crate::units::Buckets;

pub use answer::{Alarm, Verdict};
pub use question::{Ask, AskRefusal};
pub use standing::{Standing, State};

/// A process says this often that it is alive, in seconds.
const HEARTBEAT_S: u64 = 15 * 60;
/// Zero records reach back at most this many hours: older ones AWS would not take.
const ZERO_HOURS: u32 = 5;

/// What the manifest and the grant say about metering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The id of the listing that was granted. What other listings counted is never touched.
    pub listing: String,
    /// Its product code.
    pub product_code: String,
    /// True for custom metered listings. Under all others usage is counted and shown, never sent.
    pub sends: bool,
    /// May late or overflowing usage move to a later hour?
    pub carry: bool,
    /// Is an hour without usage reported as zero?
    pub zero_records: bool,
    /// The dimensions of the manifest that are sent.
    pub dimensions: Vec<Rate>,
    /// Age at which standing is late, in seconds.
    pub warn_after_s: u64,
    /// Age at which new billable work is refused, in seconds.
    pub stop_after_s: u64,
}

/// A dimension and its price unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// The catalogue key.
    pub key: String,
    /// Units of the guest per billed unit, at least 1.
    pub per: u64,
}

/// Whether the process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Finished hours are sealed, and sent at the identity's offset.
    Running,
    /// No more usage comes: the running hour is sealed too, everything is sent at once.
    Ending,
}

/// Something to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a plan is short, and gone as soon as it is carried out")]
pub enum Step {
    /// Write these in one batch, apply them, and plan again.
    Write(Vec<Record>),
    /// Write and apply `attempted`; when it is on disk, send `request`, and give the reply to [`Ledger::answer`].
    Send {
        /// The transition that says that a try begins.
        attempted: Record,
        /// Which slot.
        slot: SlotId,
        /// What to send.
        request: Request,
    },
}

impl Policy {
    /// The slot of a dimension of this listing in an hour.
    pub fn slot(&self, dimension: &str, hour: Hour) -> SlotId {
        SlotId { listing: self.listing.clone(), payer: Payer::Own, dimension: dimension.into(), hour }
    }

    pub(crate) fn per(&self, dimension: &str) -> Option<u64> {
        self.dimensions.iter().find(|rate| rate.key == dimension).map(|rate| rate.per)
    }
}

/// What is due. First everything that has to be written; only when nothing has to be, what
/// has to be sent. Empty: nothing until [`next_due`].
pub fn plan(ledger: &Ledger, now: Now, policy: &Policy, phase: Phase) -> Vec<Step> {
    let mut writes = Vec::new();
    let mut sends = Vec::new();
    if now.confirmed && now.s.saturating_sub(ledger.alive_at()) >= HEARTBEAT_S {
        // Alone: a gap that shows only now decides what may be carried.
        return alloc::vec![Step::Write(alloc::vec![Record::Heartbeat { at: now.s }])];
    }
    let plan = Plan { ledger, now: now.s, confirmed: now.confirmed, policy, phase };
    let mut written: Option<&SlotId> = None;
    for (id, slot) in ledger.unfinished(&policy.listing) {
        let step = match slot.life {
            Life::Open if plan.seals(id) => Some(Step::Write(plan.close(id, slot))),
            Life::Sealed | Life::Attempted => plan.advance(id, slot),
            _ => None,
        };
        match step {
            // What is written about one hour changes what is right for the next of the same dimension: one at a time.
            Some(Step::Write(_)) if written.is_some_and(|before| before.at(id.hour) == *id) => {}
            Some(Step::Write(batch)) => {
                writes.push(Step::Write(batch));
                written = Some(id);
            }
            step => sends.extend(step),
        }
    }
    writes.extend(plan.zeros().map(|record| Step::Write(alloc::vec![record])));
    if writes.is_empty() { sends } else { writes }
}

/// The next instant at which [`plan`] or [`Ledger::standing`] may say something new, unix seconds.
pub fn next_due(ledger: &Ledger, now: Now, policy: &Policy, phase: Phase) -> u64 {
    let plan = Plan { ledger, now: now.s, confirmed: now.confirmed, policy, phase };
    let mut due = if now.confirmed { ledger.alive_at().saturating_add(HEARTBEAT_S) } else { u64::MAX };
    if policy.zero_records {
        due = due.min(Hour::of(now.s).end());
    }
    for (id, slot) in ledger.unfinished(&policy.listing) {
        match slot.life {
            Life::Open if now.confirmed => due = due.min(plan.over_at(id)),
            Life::Sealed | Life::Attempted if !slot.attempts.pending => {
                due = due.min(if policy.sends { plan.send_at(id, slot) } else { u64::MAX });
                due = due.min(if now.confirmed { plan.given_up_at(id, slot) } else { u64::MAX });
            }
            _ => {}
        }
    }
    let turns = ledger.oldest_waiting(policy, now.s).map(|hour| standing::turns(policy, hour));
    turns.into_iter().flatten().filter(|&turn| turn > now.s).fold(due, u64::min)
}

struct Plan<'a> {
    ledger: &'a Ledger,
    now: u64,
    confirmed: bool,
    policy: &'a Policy,
    phase: Phase,
}

impl Plan<'_> {
    /// A finished hour is closed. At the end of the process the running hour is too, but never one that has not begun.
    fn seals(&self, id: &SlotId) -> bool {
        self.confirmed && self.now >= self.over_at(id)
    }

    fn over_at(&self, id: &SlotId) -> u64 {
        match self.phase {
            Phase::Running => id.hour.end(),
            Phase::Ending => id.hour.start(),
        }
    }

    /// One batch that closes an open slot: remainders come in, what is too much goes out, the request is written.
    fn close(&self, id: &SlotId, slot: &Slot) -> Vec<Record> {
        if !self.policy.sends {
            return alloc::vec![Record::Closed { slot: id.clone(), why: Close::Counted }];
        }
        let mut batch = Vec::new();
        let mut units = slot.open.clone();
        let remainders = self.remainders(id, slot);
        let brought: u64 = remainders.iter().map(|(_, units)| units.total()).sum();
        if units.total().saturating_add(brought) >= slot.per {
            for (from, part) in remainders {
                units.add_all(&part);
                batch.push(self.carry_remainder(&from, id.hour, part));
            }
        } else if !self.policy.zero_records {
            // Old ones come along even so: their hours could never be forgotten otherwise.
            let kept_from = self.ledger.kept_from();
            for (from, part) in remainders.into_iter().filter(|(from, _)| from.hour < kept_from) {
                batch.push(self.carry_remainder(&from, id.hour, part));
            }
            batch.push(Record::Closed { slot: id.clone(), why: Close::Idle });
            return batch;
        }
        let beyond = units.beyond(most(slot.per));
        if !beyond.is_empty() {
            units.take_all(&beyond);
            batch.push(self.move_beyond(id, slot, beyond));
        }
        batch.push(self.seal(id, &units, slot.per, slot.last_at));
        batch
    }

    fn seal(&self, id: &SlotId, units: &Buckets, per: u64, last_at: u64) -> Record {
        let split = allocation::split(units, per);
        let request = Request {
            product_code: self.policy.product_code.clone(),
            quantity: split.quantity,
            form: Form::Integer,
            allocations: split.allocations,
            timestamp: id.hour.clamp(last_at),
            token: token(self.ledger.id(), id, 1),
        };
        Record::Sealed { slot: id.clone(), request, per, remainder: split.remainder }
    }

    /// Zero records of finished hours in which the product ran and the dimension was idle.
    fn zeros(&self) -> impl Iterator<Item = Record> {
        let recent = Hour(Hour::of(self.now).0.saturating_sub(ZERO_HOURS));
        // What is forgotten may have been sent.
        let first = Hour::of(self.ledger.running_since()).max(recent).max(self.ledger.kept_from());
        let wanted = self.policy.sends && self.policy.zero_records && self.confirmed;
        let hours = if wanted { first.0..Hour::of(self.now).0 } else { 0..0 };
        let rates = self.policy.dimensions.iter();
        let slots = rates
            .flat_map(move |rate| hours.clone().map(move |hour| (self.policy.slot(&rate.key, Hour(hour)), rate.per)));
        slots
            .filter(|(id, _)| self.ledger.slot(id).is_none() && self.ledger.takes_usage(id))
            .map(|(id, per)| self.seal(&id, &Buckets::default(), per.max(1), id.hour.end()))
    }

    /// What comes next for a request without a final answer.
    fn advance(&self, id: &SlotId, slot: &Slot) -> Option<Step> {
        let attempts = &slot.attempts;
        if attempts.pending {
            return None;
        }
        let end = |end| Some(Step::Write(alloc::vec![Record::Ended { slot: id.clone(), end, at: self.now }]));
        let stranger = attempts.identity != self.ledger.identity();
        if attempts.unknown > 0 && stranger {
            return end(End::InDoubt { why: "the identity changed after an unknown outcome".into() });
        }
        if self.confirmed && self.now >= self.given_up_at(id, slot) {
            if attempts.unknown > 0 {
                return end(End::InDoubt { why: "six hours passed after an unknown outcome".into() });
            }
            return match self.move_request(id, slot) {
                Some(carried) => Some(Step::Write(alloc::vec![carried])),
                None => end(End::Expired),
            };
        }
        let request = slot.request.clone().filter(|_| self.policy.sends && self.now >= self.send_at(id, slot))?;
        let attempted = Record::Attempted {
            slot: id.clone(),
            identity: self.ledger.identity().into(),
            attempt: attempts.count.saturating_add(1),
            at: self.now,
        };
        Some(Step::Send { attempted, slot: id.clone(), request })
    }

    fn send_at(&self, id: &SlotId, slot: &Slot) -> u64 {
        // What is further away was planned by a clock that was ahead.
        let retry_at = Some(slot.attempts.retry_at).filter(|&at| at <= self.now.saturating_add(backoff::LONGEST_S));
        let retry_at = retry_at.unwrap_or(self.now);
        match self.phase {
            Phase::Ending => backoff::hurried(retry_at, slot.attempts.at),
            Phase::Running => retry_at.max(id.hour.end() + offset_s(self.ledger.identity())),
        }
    }

    fn given_up_at(&self, id: &SlotId, slot: &Slot) -> u64 {
        window_end(slot.request.as_ref().map_or_else(|| id.hour.start(), |request| request.timestamp))
    }
}

/// Units that fit into one record.
fn most(per: u64) -> u64 {
    let whole = u64::from(crate::units::QUANTITY_MAX).saturating_mul(per);
    whole.saturating_add(per - 1)
}

/// `ClientToken`, at most 64 characters: made from the ledger, the slot and how often its request was written, so that it
/// is the same for each try and for nothing else.
fn token(ledger: u64, id: &SlotId, generation: u32) -> String {
    let name = fnv1a(format!("{}\0{}", id.listing, id.dimension).as_bytes());
    format!("tg-{ledger:016x}-{name:016x}-{}-{generation}", id.hour)
}
