//! That nothing is said or done too early, too late or for no reason: the standing, the next look, zeros, learnt time.

use tollgate_metering::{
    HOUR_S, Hour, Ledger, Life, Now, Policy, Request, Slot, SlotId, Standing, State, next_due, plan,
};

use crate::bug::Bug;
use crate::driver::Alive;
use crate::pod::Stage;
use crate::world::World;

/// A clock that was confirmed just now is wrong by at most this much, in seconds: what AWS and the host tolerate, and as
/// much for the way of the answer.
const LEARNT_S: u64 = 600;

/// What is wrong with the standing that the ledger tells.
fn standing(ledger: &Ledger, policy: &Policy, now: Now) -> Option<String> {
    let ours = ledger.slots().filter(|(id, _)| policy.sends && id.listing == policy.listing);
    let waits = ours.filter(|(_, slot)| match slot.life {
        Life::Sealed | Life::Attempted => true,
        Life::Open => slot.open.total() / slot.per > 0,
        _ => false,
    });
    let (mut unsent, mut sealed, mut oldest) = (0, false, None);
    for (id, slot) in waits {
        unsent += 1;
        sealed |= slot.life != Life::Open;
        if (u64::from(id.hour.0) + 1) * HOUR_S <= now.s {
            oldest = Some(oldest.map_or(id.hour, |oldest: Hour| oldest.min(id.hour)));
        }
    }
    let end = |hour: Hour| (u64::from(hour.0) + 1) * HOUR_S;
    let turned = |row: Option<(Hour, u64)>| match row {
        Some((first, until)) if until >= end(first) + policy.stop_after_s => {
            (State::Stopping, end(first) + policy.stop_after_s)
        }
        Some((first, until)) if until >= end(first) + policy.warn_after_s => {
            (State::Late, end(first) + policy.warn_after_s)
        }
        _ => (State::Good, ledger.started_at()),
    };
    let rivals = rivals(ledger, policy);
    let (waiting, refused) =
        (turned(oldest.map(|hour| (hour, now.s))), turned(rivals.map(|(first, last)| (first, end(last)))));
    let (state, since) = if refused.0 > waiting.0 { refused } else { waiting };
    let contested = rivals.map(|(first, _)| first).filter(|_| refused.0 != State::Good);
    let expected = (Standing { state, since, oldest, contested }, unsent, sealed);
    let said = (ledger.standing(policy, now.s), ledger.unsent(policy), ledger.waiting(policy));
    (said != expected).then(|| format!("the standing is {expected:?}, and said to be {said:?}"))
}

/// The longest row of conflicts that no accepted usage of its dimension follows: its first and last hour.
fn rivals(ledger: &Ledger, policy: &Policy) -> Option<(Hour, Hour)> {
    let known = ledger.newest_hour().0.saturating_sub(48);
    let ours = |id: &SlotId| policy.sends && id.listing == policy.listing && id.hour.0 >= known;
    let conflicts = ledger.slots().filter(|(id, slot)| ours(id) && slot.life == Life::Conflict);
    let counted = |slot: &Slot| {
        matches!(slot.life, Life::Acked { .. }) && slot.request.as_ref().is_some_and(|request| request.quantity > 0)
    };
    let mut longest: Option<(Hour, Hour)> = None;
    for (last, _) in conflicts {
        let same = |id: &SlotId| (&id.listing, id.payer, &id.dimension) == (&last.listing, last.payer, &last.dimension);
        let accepted = ledger.slots().filter(|(id, slot)| same(id) && counted(slot)).map(|(id, _)| id.hour).max();
        if accepted.is_some_and(|hour| hour > last.hour) {
            continue;
        }
        let row = ledger.slots().filter(|(id, slot)| same(id) && ours(id) && slot.life == Life::Conflict);
        let row = row.filter(|(id, _)| id.hour <= last.hour);
        let first = row.map(|(id, _)| id.hour).filter(|&hour| accepted.is_none_or(|before| hour > before)).min()?;
        let (length, begins) = (last.hour.0 - first.0, first);
        if longest.is_none_or(|(a, b)| length > b.0 - a.0 || (length == b.0 - a.0 && begins < a)) {
            longest = Some((first, last.hour));
        }
    }
    longest
}

impl World {
    /// Only the first answer to an identity ends the process, and only where no try of the record is in doubt.
    pub(crate) fn check_entitled(&mut self, p: usize, id: &SlotId, refused: bool, ends: bool) -> Alive {
        let f = self.pods[p].folder;
        let doubt = self.open(f).and_then(|ledger| ledger.slot(id)).is_some_and(|slot| slot.attempts.unknown > 0);
        let known = self.seen.accepted.contains(&(f, self.pods[p].identity));
        let good = self.copied(f) || ends == (refused && !doubt && !known);
        self.ensure(good, || format!("not entitled: {refused}, accepted before: {known}, and the process ends: {ends}"))
    }

    /// The standing that the ledger tells against one that is counted here.
    pub(crate) fn check_standing(&mut self, p: usize) -> Alive {
        if !self.thorough() {
            return Ok(());
        }
        let now = self.trusted(p);
        let policy = &self.pods[p].policy;
        let problem = self.ledger(p).and_then(|ledger| standing(ledger, policy, now));
        let since = self.ledger(p).map(|ledger| ledger.started_at());
        let began = self.pods[p].process.as_ref().map(|process| process.began);
        let good = self.clock_was_wrong() || since == began;
        self.ensure(good, || format!("began at {began:?}, and is said to run since {since:?}"))?;
        problem.map_or(Ok(()), |problem| self.fail(problem))
    }

    /// Everything that was due is done, or as many tries are under way as may be: the next look is later, and until then
    /// there is nothing to do.
    pub(crate) fn check_due(&mut self, p: usize) -> Alive {
        // A bug that is planted in what is written leaves it due.
        if !self.thorough() || self.bug.is_some() {
            return Ok(());
        }
        let now = self.trusted(p);
        let pod = &self.pods[p];
        let (Some(process), Some(ledger)) = (&pod.process, self.ledger(p)) else { return Ok(()) };
        let due = next_due(ledger, now, &pod.policy, process.phase);
        let nothing = |s| plan(ledger, Now { s, ..now }, &pod.policy, process.phase).is_empty();
        let idle = due > now.s;
        let good = nothing(now.s) == idle && (!idle || nothing(due - 1));
        self.ensure(good, || format!("the next look is at {due}, now it is {now:?}"))
    }

    /// A zero says that the product ran and counted nothing, so it must have run.
    pub(crate) fn check_zero(&mut self, p: usize, f: usize, slot: &SlotId, request: &Request) -> Alive {
        let Some(process) = &self.pods[p].process else { return Ok(()) };
        let counted = self
            .open(f)
            .and_then(|ledger| ledger.slot(slot))
            .is_some_and(|slot| slot.recorded + slot.carried_in + slot.adopted > 0);
        let zeros = self.pods[p].policy.zero_records;
        let ran = slot.hour.end() > process.began && process.stage == Stage::Serving;
        let good =
            request.quantity > 0 || counted || (zeros && ran) || self.clock_was_wrong() || self.pods[p].folder != f;
        self.ensure(good, || format!("{slot:?} is reported as zero, and nothing ran in it"))
    }

    /// Whether AWS is asked for its time: while the clock is in doubt, once a minute and no more.
    pub(crate) fn wants_date(&mut self, p: usize) -> bool {
        let clocks = self.pods[p].clocks(self.now);
        let believes = self.bug == Some(Bug::BelieveClock);
        let Some(process) = self.pods[p].process.as_mut().filter(|_| !believes) else { return false };
        let wants = process.trust.wants_date(clocks);
        let doubt = !process.trust.now(clocks).confirmed;
        let due = doubt && process.asked.is_none_or(|asked| clocks.boot >= asked + 60);
        if wants {
            process.asked = Some(clocks.boot);
        }
        if wants != due {
            drop(self.fail(format!("the time is asked for: {wants}, in doubt for a minute: {due}")));
        }
        wants
    }

    /// The time that AWS has just confirmed.
    pub(crate) fn check_learnt(&mut self, learnt: bool, s: u64) -> Alive {
        let good = !learnt || s.abs_diff(self.now) <= LEARNT_S;
        let now = self.now;
        self.ensure(good, || format!("AWS confirmed the time, and it is taken for {s} at {now}"))
    }
}
