//! How well delivery goes: promise 6.

use super::Policy;
use crate::hour::Hour;
use crate::ledger::Ledger;
use crate::slot::{Life, Slot};

/// What the age of the oldest record means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// In time.
    Good,
    /// Older than the warning age.
    Late,
    /// New billable work is refused.
    Stopping,
}

/// The state, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// When it began, unix seconds.
    pub since: u64,
    /// The oldest hour whose record is not accepted. None: nothing waits.
    pub oldest: Option<Hour>,
}

impl Ledger {
    /// The age counts from the end of the oldest finished hour whose record is not accepted; nothing waiting is good,
    /// however long nothing was sent. What has a final outcome does not wait.
    pub fn standing(&self, policy: &Policy, now: u64) -> Standing {
        let oldest = self.oldest_waiting(policy, now);
        let turned = oldest.map(|hour| turns(policy, hour));
        let (state, since) = match turned {
            Some([_, stop]) if now >= stop => (State::Stopping, stop),
            Some([warn, _]) if now >= warn => (State::Late, warn),
            _ => (State::Good, self.started_at()),
        };
        Standing { state, since, oldest }
    }

    /// How many records of this listing AWS has not answered finally, unsealed ones included.
    pub fn unsent(&self, policy: &Policy) -> usize {
        self.unfinished(&policy.listing).filter(|(_, slot)| policy.sends && waits(slot)).count()
    }

    /// True if a sealed record of this listing has no final answer.
    pub fn waiting(&self, policy: &Policy) -> bool {
        policy.sends && self.unfinished(&policy.listing).any(|(_, slot)| slot.life.waiting())
    }

    pub(super) fn oldest_waiting(&self, policy: &Policy, now: u64) -> Option<Hour> {
        let ours = self.unfinished(&policy.listing).filter(|(id, _)| policy.sends && id.hour.end() <= now);
        ours.filter(|(_, slot)| waits(slot)).map(|(id, _)| id.hour).min()
    }
}

fn waits(slot: &Slot) -> bool {
    slot.life.waiting() || (slot.life == Life::Open && slot.open.total() >= slot.per)
}

/// When an hour turns late, and when it stops new work.
pub(super) fn turns(policy: &Policy, hour: Hour) -> [u64; 2] {
    [policy.warn_after_s, policy.stop_after_s].map(|age| hour.end().saturating_add(age))
}
