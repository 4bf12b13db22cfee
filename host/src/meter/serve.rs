//! The loop: whatever happens next, then everything that follows from it.

use tokio::sync::mpsc;
use tollgate_metering::{HOUR_S, Hour, Phase, Step, next_due, plan};
use tollgate_runtime::meter::{Commit, Desk};

use super::handle::{ASKED_MAX, Asked, End, Finished, Handle};
use super::send::{AT_ONCE_MAX, Sent};
use super::{Keeper, clocks};
use crate::ledger::Poisoned;
use crate::marketplace::Marketplace;

/// At the start usage waits for AWS to confirm a clock in doubt, but not longer than this, in seconds.
const HOLD_S: u64 = 30;
/// While the clock is in doubt it is looked at this often, in seconds.
const LOOK_AGAIN_S: u64 = 20;

/// The room on the disk is looked at this often, in seconds, also while nothing is used.
const LOOK_AT_DISK_S: u64 = 60;
/// The same while there is too little of it.
const LOOK_FOR_ROOM_S: u64 = 5;

/// What woke the loop.
enum Event {
    Commits(Vec<Commit>),
    NoMoreCommits,
    Attest(tollgate_runtime::meter::Attest),
    Sent(Sent),
    Asked(Asked),
    Due,
    Deadline,
}

impl<M: Marketplace> Keeper<M> {
    /// Runs until it is told to finish, AWS says no, or the disk fails. The first is the way to ask it, the second runs
    /// it, and waits for the disk: give it a thread of its own.
    pub fn serve(self, desk: Desk) -> (Handle, impl Future<Output = End> + Send) {
        let (asked, questions) = mpsc::channel(ASKED_MAX);
        (Handle { asked }, self.run(desk, questions))
    }

    async fn run(mut self, mut desk: Desk, mut questions: mpsc::Receiver<Asked>) -> End {
        let ended = self.work(&mut desk, &mut questions).await;
        // Nothing may be admitted that nobody will record.
        desk.stop(true);
        ended.unwrap_or_else(End::Poisoned)
    }

    async fn work(&mut self, desk: &mut Desk, questions: &mut mpsc::Receiver<Asked>) -> Result<End, Poisoned> {
        let mut turn = Turn::default();
        self.booked = vec![0; desk.dimensions().len()];
        self.set_limits(desk);
        loop {
            if turn.due_ms == 0 {
                self.writer.look()?;
                self.carry_out()?;
                self.ask_time();
                self.set_standing(desk);
                turn.due_ms = self.due_ms();
            }
            if self.phase == Phase::Ending && self.nothing_to_wait_for() {
                return self.finished();
            }
            let event = self.next(desk, questions, &turn).await;
            // Usage alone makes nothing due before the hour ends, and then the clock wakes us.
            if !matches!(event, Event::Commits(_)) {
                turn.due_ms = 0;
            }
            match event {
                Event::Commits(commits) => {
                    self.record(desk, commits)?;
                    if self.writer.space().low != self.low_since.is_some() {
                        turn.due_ms = 0;
                    }
                }
                Event::NoMoreCommits => turn.commits_ended = true,
                Event::Attest(attest) => self.attest(attest),
                Event::Sent(sent) => {
                    if let Some(code) = self.answered(sent)? {
                        return Ok(End::NotEntitled { code });
                    }
                }
                Event::Asked(Asked::Snapshot(done)) => {
                    // The operator is told nothing that guests are not told.
                    self.set_standing(desk);
                    drop(done.send(self.snapshot(desk)));
                }
                // Who no longer waits does not need it.
                Event::Asked(Asked::Image(done)) => drop(done.send(self.writer.image())),
                Event::Asked(Asked::Archived(after, done)) => drop(done.send(self.writer.archived(after))),
                Event::Asked(Asked::Settle(settlement, done)) => drop(done.send(self.settle(&settlement)?)),
                Event::Asked(Asked::Finish(deadline_ms)) => {
                    self.record_waiting(desk)?;
                    self.phase = Phase::Ending;
                    turn.deadline_ms = Some(deadline_ms);
                }
                Event::Due => {}
                Event::Deadline => {
                    self.record_waiting(desk)?;
                    return self.finished();
                }
            }
            let hour = Hour::of(self.now().s);
            if turn.hour != Some(hour) {
                turn.hour = Some(hour);
                self.set_limits(desk);
            }
        }
    }

    async fn next(&mut self, desk: &mut Desk, questions: &mut mpsc::Receiver<Asked>, turn: &Turn) -> Event {
        let (due_ms, hold) = (turn.due_ms, self.holds_usage());
        let clock = self.clock.clone();
        tokio::select! {
            // Commits come last: they never pause under load, and everything else is rare.
            biased;
            Some(asked) = questions.recv() => Event::Asked(asked),
            Some(sent) = self.sends.join_next() => match sent {
                Ok(sent) => Event::Sent(sent),
                // A send that panicked has no answer; its try stays open until the process ends, then it is unknown.
                Err(_) => Event::Due,
            },
            () = clock.sleep_until(turn.deadline_ms.unwrap_or(u64::MAX)), if turn.deadline_ms.is_some() => Event::Deadline,
            () = clock.sleep_until(due_ms) => Event::Due,
            Some(attest) = desk.attests.recv() => Event::Attest(attest),
            commits = desk.commits.next(), if !turn.commits_ended && !hold => {
                if commits.is_empty() { Event::NoMoreCommits } else { Event::Commits(commits) }
            }
        }
    }

    /// Writes everything that the plan wants written, then lets tries begin as far as there is room.
    fn carry_out(&mut self) -> Result<(), Poisoned> {
        loop {
            let now = self.now();
            let steps = plan(&self.ledger, now, &self.options.policy, self.phase);
            let mut records = Vec::new();
            let mut sends = Vec::new();
            for step in steps {
                match step {
                    Step::Write(batch) => records.extend(batch),
                    Step::Send { attempted, slot, request } => sends.push((attempted, slot, request)),
                }
            }
            if !records.is_empty() {
                self.write(records)?;
                continue;
            }
            self.compact()?;
            sends.truncate(AT_ONCE_MAX.saturating_sub(self.sends.len()));
            if sends.is_empty() {
                return Ok(());
            }
            let attempted = sends.iter().map(|(attempted, ..)| attempted.clone()).collect();
            self.write(attempted)?;
            for (_, slot, request) in sends {
                self.send(slot, &request);
            }
        }
    }

    /// What is already in the queue.
    fn record_waiting(&mut self, desk: &mut Desk) -> Result<(), Poisoned> {
        let commits = desk.commits.waiting();
        if commits.is_empty() { Ok(()) } else { self.record(desk, commits) }
    }

    /// Usage is booked by the hour for good, so a clock that wants confirmation at the start gets a moment for it.
    fn holds_usage(&mut self) -> bool {
        let boot = clocks(&self.clock).boot;
        let starting = boot < self.started_boot_s.saturating_add(HOLD_S) && self.phase == Phase::Running;
        starting && self.options.policy.sends && !self.now().confirmed
    }

    /// Usage booked to an hour that has not begun stays for the next process.
    fn nothing_to_wait_for(&mut self) -> bool {
        let sealed = self.now().confirmed || self.ledger.unsent(&self.options.policy) == 0;
        sealed && self.sends.is_empty() && !self.ledger.waiting(&self.options.policy)
    }

    fn finished(&mut self) -> Result<End, Poisoned> {
        self.writer.gather()?;
        Ok(End::Finished(Finished { unsent: self.ledger.unsent(&self.options.policy) }))
    }

    /// When to look again, by the wall clock.
    fn due_ms(&mut self) -> u64 {
        let now = self.now();
        let wall = clocks(&self.clock).wall;
        let hour_end = HOUR_S - now.s % HOUR_S;
        let due = next_due(&self.ledger, now, &self.options.policy, self.phase).saturating_sub(now.s).min(hour_end);
        // Something due that has not been done waits for an answer, not for time.
        let due = due.min(if self.writer.space().low { LOOK_FOR_ROOM_S } else { LOOK_AT_DISK_S });
        let due = if now.confirmed { due.max(1) } else { due.clamp(1, LOOK_AGAIN_S) };
        wall.saturating_add(due).saturating_mul(1_000)
    }
}

/// What the loop remembers between events.
#[derive(Debug, Default)]
struct Turn {
    deadline_ms: Option<u64>,
    /// When to look at the plan again, by the wall clock; zero: now.
    due_ms: u64,
    commits_ended: bool,
    hour: Option<Hour>,
}
