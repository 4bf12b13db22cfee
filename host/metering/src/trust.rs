//! Which time to believe.
//!
//! Two witnesses stand beside the wall clock: the boot clock, which nobody sets, and the `Date` header of AWS. `Date` says
//! how far the wall clock is off, and the boot clock shows whether somebody has set it since. What it showed before and
//! what it shows now may then both be wrong, so nothing final is done until AWS says the time again: a wrong hour could
//! never be taken back.

/// The wall clock may move by this much against the boot clock without anybody caring, in seconds.
const TOLERANCE_S: u64 = 120;
/// The clock of AWS and ours may differ by this much, in seconds: the signature of a request allows the same. An answer
/// that was longer on its way says too little about now.
const AWS_TOLERANCE_S: u64 = 300;
/// After a longer silence of the ledger the clock wants confirmation, in seconds.
const SILENCE_S: u64 = 3_600;
/// AWS is asked for its time at most this often, in seconds of the boot clock.
const ASK_EVERY_S: u64 = 60;

/// What the two clocks of a machine show at one instant, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Unix time, as somebody has set it.
    pub wall: u64,
    /// Since the machine started, also while it was suspended.
    pub boot: u64,
}

/// What the clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Trusted unix seconds.
    pub s: u64,
    /// False: nothing is sealed or given up; usage is booked, and what is sealed is sent.
    pub confirmed: bool,
}

/// Decides which time is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// What the clocks showed when the time was last known.
    then: Clocks,
    /// The time that it was then, unix seconds.
    was: u64,
    /// AWS said so, or the ledger knew the time shortly before.
    confirmed: bool,
    asked_boot: Option<u64>,
}

impl Trust {
    /// At the start of the process. `alive_at` is when the ledger last knew the time, unix seconds; zero: never. After a long
    /// silence, or when it shows an earlier time, nobody knows whether the machine was off or its clock was set.
    pub fn new(clocks: Clocks, alive_at: u64) -> Self {
        let believed = alive_at.saturating_sub(TOLERANCE_S)..=alive_at.saturating_add(SILENCE_S);
        let confirmed = alive_at > 0 && believed.contains(&clocks.wall);
        Self { then: clocks, was: clocks.wall, confirmed, asked_boot: None }
    }

    /// The trusted time now.
    pub fn now(&self, clocks: Clocks) -> Now {
        let elapsed = clocks.boot.saturating_sub(self.then.boot);
        let expected_wall = self.then.wall.saturating_add(elapsed);
        let expected = self.was.saturating_add(elapsed);
        // As if it had not been set, so that the clock is followed where it is corrected in small steps.
        let unset = expected.saturating_add(clocks.wall).saturating_sub(expected_wall);
        if clocks.wall.abs_diff(expected_wall) <= TOLERANCE_S {
            return Now { s: unset, confirmed: self.confirmed };
        }
        // In doubt the earliest of what may be true: later is safe. One that was off and is set back may be right now.
        Now { s: expected.min(unset.max(clocks.wall)), confirmed: false }
    }

    /// AWS said what time it is, in an answer to what was sent when the clocks showed `sent`.
    pub fn date(&mut self, sent: Clocks, clocks: Clocks, date: u64) {
        // It may have waited for us, as in a paused container.
        if clocks.boot.abs_diff(sent.boot) > AWS_TOLERANCE_S {
            return;
        }
        let near = clocks.wall.abs_diff(date) <= AWS_TOLERANCE_S;
        self.then = clocks;
        self.was = if near { clocks.wall } else { date };
        self.confirmed = true;
    }

    /// True if AWS should be asked for its time now; at most once a minute.
    pub fn wants_date(&mut self, clocks: Clocks) -> bool {
        let asked = self.asked_boot.is_some_and(|asked| clocks.boot < asked.saturating_add(ASK_EVERY_S));
        if self.now(clocks).confirmed || asked {
            return false;
        }
        self.asked_boot = Some(clocks.boot);
        true
    }
}

#[cfg(test)]
mod tests;
