//! How well delivery goes: promise 6.

use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Policy;
use crate::hour::Hour;
use crate::ledger::Ledger;
use crate::slot::{Life, Slot, SlotId};

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
    /// The first of several hours in a row for which AWS holds other quantities: somebody else meters under this identity.
    pub contested: Option<Hour>,
}

impl Ledger {
    /// The age counts from the end of the oldest finished hour whose record is not accepted; nothing waiting is good,
    /// however long nothing was sent. What has a final outcome does not wait, but conflicts in a row count from the first
    /// to the last: whoever goes on so is not paid for anything.
    pub fn standing(&self, policy: &Policy, now: u64) -> Standing {
        let oldest = self.oldest_waiting(policy, now);
        let contested = self.contested(policy);
        let good = (State::Good, self.started_at());
        let waiting = oldest.map_or(good, |hour| state(policy, hour, now).unwrap_or(good));
        let rivals = contested.map_or(good, |(first, last)| state(policy, first, last.end()).unwrap_or(good));
        // The worse of the two; of two alike the one that began first.
        let rank = |&(state, since): &(State, u64)| (state, Reverse(since));
        let (state, since) = [waiting, rivals].into_iter().max_by_key(rank).unwrap_or(good);
        Standing {
            state,
            since,
            oldest,
            contested: contested.map(|(first, _)| first).filter(|_| rivals.0 > State::Good),
        }
    }

    /// Of the dimensions whose newest answers of AWS are conflicts, the one with the longest row of them: its first and
    /// last hour. Zeros of idle hours, which say nothing, and what AWS did not answer are passed over; a person can close
    /// a conflict. Only hours of which all is known: what was accepted before is forgotten, and conflicts are not.
    fn contested(&self, policy: &Policy) -> Option<(Hour, Hour)> {
        let kept = self.kept_from();
        let ours = || self.slots().filter(|(id, _)| policy.sends && id.listing == policy.listing && id.hour >= kept);
        if !ours().any(|(_, slot)| slot.life == Life::Conflict) {
            return None;
        }
        let mut rows: Vec<(&SlotId, Hour)> = Vec::new();
        // The hours of one dimension are neighbours, the oldest first.
        for (id, slot) in ours() {
            let same = rows.last_mut().filter(|(first, _)| first.at(id.hour) == *id);
            match (&slot.life, same) {
                (Life::Conflict, Some((_, last))) => *last = id.hour,
                (Life::Conflict, None) => rows.push((id, id.hour)),
                (Life::Acked { .. }, Some(_)) if slot.request.as_ref().is_some_and(|sent| sent.quantity > 0) => {
                    rows.pop();
                }
                _ => {}
            }
        }
        let rows = rows.into_iter().map(|(first, last)| (first.hour, last));
        rows.max_by_key(|(first, last)| (last.0 - first.0, Reverse(*first)))
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

/// What it means that nothing was accepted from the end of `hour` until `then`, and since when. None: nothing yet.
fn state(policy: &Policy, hour: Hour, then: u64) -> Option<(State, u64)> {
    let [warn, stop] = turns(policy, hour);
    let stopping = (then >= stop).then_some((State::Stopping, stop));
    stopping.or_else(|| (then >= warn).then_some((State::Late, warn)))
}

/// When an hour turns late, and when it stops new work.
pub(super) fn turns(policy: &Policy, hour: Hour) -> [u64; 2] {
    [policy.warn_after_s, policy.stop_after_s].map(|age| hour.end().saturating_add(age))
}
