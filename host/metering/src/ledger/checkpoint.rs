//! The state of a ledger as a few entries, so that all entries before them can go.
//!
//! Sums of usage stay with the slots that are kept. What a [`Record::Kept`] says is therefore what the sums do not: the
//! fold over the sums and the entries of a checkpoint is the state that was there when it was written.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Balance, Ledger};
use crate::hour::Hour;
use crate::record::{HandedOver, Record};
use crate::slot::{Life, Slot, SlotId};
use crate::units::Buckets;

/// Entries are folded into a checkpoint once a day.
const EVERY_HOURS: u32 = 24;

/// What a ledger knows besides its slots, sums, grants and questions, which follow as entries of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are those of the accessors of a ledger")]
pub struct Checkpoint {
    pub ledger: u64,
    pub identity: String,
    pub boots: u64,
    pub started_at: u64,
    pub alive_at: u64,
    pub continuous_since: u64,
    pub newest: Hour,
    pub taken_through: Option<Hour>,
    pub accepted_under: Option<String>,
    /// What was adopted: ledger and number of the hand-over.
    pub adopted: Vec<(u64, u64)>,
    /// What was handed over since the ledger began.
    pub handed_over: Vec<HandedOver>,
}

/// What a checkpoint does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The entries that stand for all entries so far, together with the sums of usage of the slots named in
    /// [`Record::Kept`].
    pub records: Vec<Record>,
    /// Each slot that is forgotten, as [`Record::Kept`] without its split by tags: for an archive. No ledger needs them.
    pub forgotten: Vec<Record>,
    /// The ledger afterwards.
    pub after: Ledger,
}

impl Ledger {
    /// True once a day: put the records of [`Ledger::checkpoint`] in place of everything before it.
    pub fn checkpoint_due(&self) -> bool {
        self.alive_at > 0 && self.newest.0 >= self.compacted.0.saturating_add(EVERY_HOURS)
    }

    /// Folds all entries so far. Hours that are over, without a remainder and older than two days are forgotten: only
    /// their sums stay.
    pub fn checkpoint(&self) -> Folded {
        let mut after = Self { compacted: self.newest, ..self.clone() };
        let forgotten = after.forget();
        Folded { records: after.folded(), forgotten, after }
    }

    fn forget(&mut self) -> Vec<Record> {
        let kept = self.kept_from();
        let old = |id: &SlotId, slot: &Slot| id.hour < kept && slot.life.over() && slot.remainder.is_empty();
        let mut forgotten = Vec::new();
        for (id, slot) in self.slots.extract_if(.., |id, slot| old(id, slot)) {
            let sum = self.past.entry((id.listing.clone(), id.dimension.clone())).or_default();
            sum.add(&Balance::of(&slot));
            forgotten.push(Record::Kept { slot: id, state: Box::new(slot.without_split()) });
        }
        self.questions.retain(|id, _| id.hour >= kept);
        forgotten
    }

    fn folded(&self) -> Vec<Record> {
        let checkpoint = Checkpoint {
            ledger: self.id,
            identity: self.identity.clone(),
            boots: self.boots,
            started_at: self.started_at,
            alive_at: self.alive_at,
            continuous_since: self.continuous_since,
            newest: self.newest,
            taken_through: self.taken_through,
            accepted_under: self.accepted_under.clone(),
            adopted: self.adopted.iter().copied().collect(),
            handed_over: self.handed_over.values().cloned().collect(),
        };
        let past = self.past.iter().map(|((listing, dimension), balance)| Record::Past {
            listing: listing.clone(),
            dimension: dimension.clone(),
            balance: Box::new(*balance),
        });
        let granted = self.provisional.iter().map(|(listing, &at)| Record::Granted {
            at,
            listing: listing.clone(),
            provisional: true,
        });
        let asked = self.questions.iter().map(|(slot, question)| Record::Asked {
            slot: slot.clone(),
            identity: question.identity.clone(),
            request: question.request.clone(),
            at: question.request.timestamp,
        });
        let kept = self.slots.iter().map(|(id, slot)| {
            let state = Slot { open: Buckets::default(), ..slot.clone() };
            Record::Kept { slot: id.clone(), state: Box::new(state) }
        });
        let first = Record::Checkpoint(Box::new(checkpoint));
        core::iter::once(first).chain(past).chain(granted).chain(asked).chain(kept).collect()
    }

    pub(super) fn restore(&mut self, checkpoint: &Checkpoint) {
        self.id = checkpoint.ledger;
        self.identity.clone_from(&checkpoint.identity);
        self.boots = checkpoint.boots;
        self.started_at = checkpoint.started_at;
        self.alive_at = checkpoint.alive_at;
        self.continuous_since = checkpoint.continuous_since;
        self.newest = self.newest.max(checkpoint.newest);
        self.taken_through = checkpoint.taken_through;
        self.accepted_under.clone_from(&checkpoint.accepted_under);
        self.compacted = checkpoint.newest;
        self.adopted = checkpoint.adopted.iter().copied().collect();
        self.handed_over = checkpoint.handed_over.iter().map(|handed| (handed.number, handed.clone())).collect();
    }
}

impl Slot {
    /// Amounts, request and outcome; not which tags they came under, which would be most of it.
    fn without_split(mut self) -> Self {
        self.open = Buckets::default();
        self.brought = Buckets::default();
        self.attempts.retry_at = 0;
        if let Some(request) = &mut self.request {
            request.allocations = Vec::new();
            // Only a try needs it, and there will be none.
            request.token = String::new();
        }
        self
    }

    /// Folds the state at a checkpoint into what the sums of usage came to.
    pub(super) fn restore(&mut self, state: &Self) {
        let open = match state.life {
            Life::Open | Life::Counted => {
                let mut open = core::mem::take(&mut self.open);
                open.add_all(&state.brought);
                open
            }
            _ => Buckets::default(),
        };
        let (recorded, late, last_at) = (self.recorded, self.late, self.last_at.max(state.last_at));
        *self = Self { recorded, late, last_at, open, ..state.clone() };
    }

    /// True if the sums of usage are those of the state; an open slot may have got more since.
    pub(super) fn agrees(&self, state: &Self) -> bool {
        let grown = state.life == Life::Open && self.recorded >= state.recorded && self.late >= state.late;
        let same = self.recorded == state.recorded && self.late == state.late;
        let mut together = self.clone();
        together.restore(state);
        self.per == state.per && (grown || same) && Balance::of(&together).holds()
    }
}
