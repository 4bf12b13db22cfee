//! What a ledger is made of: every transition, as a closed set.
//!
//! Usage is not a transition: it comes thousands of times a second and is kept as sums. Everything else is one entry of a
//! gap-free, hash-chained sequence; the chain is the store's business, the text of an entry is in [`Record::to_text`].

mod text;
mod words;

use alloc::boxed::Box;
use alloc::string::String;

use crate::hour::Hour;
use crate::ledger::{Balance, Checkpoint};
use crate::slot::{Request, Slot, SlotId};
use crate::units::{Buckets, Tags};

pub use text::TextError;

/// Units counted by one component under one tag set. Adding two of the same slot, component and tags gives their sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Where [`crate::Ledger::book`] put it.
    pub slot: SlotId,
    /// Units per billed unit; the slot keeps that of its first unit.
    pub per: u64,
    /// The id of the component in the manifest.
    pub component: String,
    /// The allocation bucket.
    pub tags: Tags,
    /// Units of the guest.
    pub units: u64,
    /// Of `units`: how many were counted in another hour than that of the slot.
    pub late: u64,
    /// When the last of them came, unix seconds.
    pub at: u64,
}

/// A transition. `at` is always unix seconds by the host's trusted time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The first entry of every ledger.
    Created {
        /// When.
        at: u64,
        /// A random number nobody else has: client tokens are made from it.
        ledger: u64,
    },
    /// A process took the ledger. Tries that were under way ended with the process before: nobody knows how.
    Started {
        /// When.
        at: u64,
        /// Whom AWS sees: the ARN of the task, or the uid of the pod.
        identity: String,
        /// How many processes had this ledger, this one included.
        boot: u64,
        /// The identity is older than this process and the ledger is new: usage of this hour may have been sent by a
        /// process whose ledger is lost, so the hour takes nothing.
        first_hour_taken: bool,
    },
    /// The listing was granted.
    Granted {
        /// When.
        at: u64,
        /// The id of the listing.
        listing: String,
        /// True: only the permission is proven; the first real record has to prove the subscription.
        provisional: bool,
    },
    /// The process was alive.
    Heartbeat {
        /// When.
        at: u64,
    },
    /// The exact request of a slot. What it holds came out of the open units; what is left is the remainder.
    Sealed {
        /// Which slot.
        slot: SlotId,
        /// What will be sent.
        request: Request,
        /// Units per billed unit.
        per: u64,
        /// Open units that make no whole billed unit.
        remainder: Buckets,
    },
    /// A slot is over without a request: see [`Close`].
    Closed {
        /// Which slot.
        slot: SlotId,
        /// Why.
        why: Close,
    },
    /// The same slot once more without allocations, which AWS refused.
    Resealed {
        /// Which slot.
        slot: SlotId,
        /// The new request.
        request: Request,
    },
    /// Units moved to another hour of the same dimension: the one entry that links both.
    Carried {
        /// Where they were.
        from: SlotId,
        /// The hour they are in now.
        to: Hour,
        /// Which part of the slot.
        part: Part,
        /// What moved.
        units: Buckets,
        /// When.
        at: u64,
    },
    /// Units above the largest quantity that were not allowed to move.
    Beyond {
        /// Which slot.
        slot: SlotId,
        /// What was taken out.
        units: Buckets,
    },
    /// A request is about to leave. Written before its first byte does.
    Attempted {
        /// Which slot.
        slot: SlotId,
        /// Under which identity.
        identity: String,
        /// Which try, from 1.
        attempt: u32,
        /// When.
        at: u64,
    },
    /// A try ended without a final answer.
    Deferred {
        /// Which slot.
        slot: SlotId,
        /// True: AWS may have taken the record. False: certainly not.
        unknown: bool,
        /// What was seen.
        code: String,
        /// Not again before, unix seconds.
        retry_at: u64,
    },
    /// A slot has its final outcome.
    Ended {
        /// Which slot.
        slot: SlotId,
        /// Which.
        end: End,
        /// When.
        at: u64,
    },
    /// A person closed a slot whose outcome nobody could know.
    Settled {
        /// Which slot.
        slot: SlotId,
        /// True: AWS holds the record. False: it does not, and it will not be sent.
        billed: bool,
        /// The id of the event in CloudTrail that shows it. Never empty.
        evidence: String,
        /// Why the person decided so, in their words. Never empty.
        reason: String,
        /// When.
        at: u64,
    },
    /// The question for entitlement by a zero record is about to leave. The same question for the whole hour, so that a
    /// restart repeats it.
    Asked {
        /// Which dimension and hour.
        slot: SlotId,
        /// Under which identity.
        identity: String,
        /// What is sent.
        request: Request,
        /// When.
        at: u64,
    },
    /// Units go to the ledger of another identity: the first of two entries, durable before the second is written.
    HandedOver(Box<HandedOver>),
    /// Units came from the ledger of another identity: the second entry.
    Adopted {
        /// The random number of the ledger that handed them over.
        from: u64,
        /// The number of the hand-over there: each is adopted once.
        number: u64,
        /// Where they are now.
        slot: SlotId,
        /// Units per billed unit.
        per: u64,
        /// What came.
        units: Buckets,
        /// The instant of the last of them, as it is known, unix seconds.
        used_at: u64,
    },
    /// All entries before it were taken out; it and the entries of the same batch hold what they came to.
    Checkpoint(Box<Checkpoint>),
    /// The sums of slots that are over and forgotten.
    Past {
        /// The id of the listing.
        listing: String,
        /// The key of the dimension.
        dimension: String,
        /// Where their units are.
        balance: Box<Balance>,
    },
    /// A slot that is not forgotten, as it was at the checkpoint. Its sums of usage are still kept.
    Kept {
        /// Which slot.
        slot: SlotId,
        /// Its state.
        state: Box<Slot>,
    },
}

/// Units on their way to the ledger of another identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// Counts the hand-overs of this ledger, from 1. With the number of the ledger a name that nothing else has.
    pub number: u64,
    /// The random number of the ledger that may adopt them, and no other.
    pub to: u64,
    /// Where they were.
    pub slot: SlotId,
    /// Which part of the slot.
    pub part: Part,
    /// Units per billed unit.
    pub per: u64,
    /// What goes.
    pub units: Buckets,
    /// The instant of the last of them, unix seconds.
    pub used_at: u64,
}

/// Why a slot is closed without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Less than one billed unit; all of it becomes the remainder.
    Idle,
    /// The listing sends nothing.
    Counted,
}

/// Which part of a slot moved to another hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Open units above the largest quantity.
    Beyond,
    /// The remainder of a closed slot.
    Remainder,
    /// The whole request, certainly never taken: too old to be sent, or handed over.
    Request,
    /// All open units. Only to another ledger.
    Open,
}

/// The final outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// AWS holds it.
    Acked {
        /// `MeteringRecordId`.
        record_id: String,
    },
    /// AWS holds another quantity.
    Conflict,
    /// Too old, certainly never taken, not allowed to move.
    Expired,
    /// Refused.
    Rejected {
        /// The error code.
        code: String,
    },
    /// Perhaps taken, not allowed to be sent again.
    InDoubt {
        /// Why not.
        why: String,
    },
}

#[cfg(test)]
mod tests;
