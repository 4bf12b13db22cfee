//! Which time to believe.
//!
//! Two witnesses stand beside the wall clock: the boot clock, which nobody sets, and the `Date` header of AWS. A wall clock
//! that jumps ahead of the boot clock is not believed until AWS confirms it, because a wrong hour could never be taken back.
//! One that jumps back is followed: the hour number does not go back with it, so at worst something is done later.

/// The wall clock may be off by this much without anybody caring, in seconds.
const TOLERANCE_S: u64 = 120;
/// The clock of AWS and ours may differ by this much, in seconds: the signature of a request allows the same.
const AWS_TOLERANCE_S: u64 = 300;
/// After a longer silence of the ledger the clock wants confirmation, in seconds.
const SILENCE_S: u64 = 3_600;
/// AWS is asked for its time at most this often, in seconds of the boot clock.
const ASK_EVERY_S: u64 = 60;

/// Decides which time is trusted. All arguments are seconds; `wall` is unix time, `boot` counts from the machine's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    anchor_wall: u64,
    anchor_boot: u64,
    confirmed: bool,
    asked_boot: Option<u64>,
}

/// What the clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Trusted unix seconds.
    pub s: u64,
    /// False: nothing is sealed or given up; usage is booked, and what is sealed is sent.
    pub confirmed: bool,
}

impl Trust {
    /// At the start of the process. `alive_at` is when the ledger last knew the time; none for a new one. After a long
    /// silence nobody knows whether the machine was off or its clock was set.
    pub fn new(wall: u64, boot: u64, alive_at: Option<u64>) -> Self {
        let confirmed = alive_at.is_none_or(|alive_at| wall <= alive_at.saturating_add(SILENCE_S));
        Self { anchor_wall: wall, anchor_boot: boot, confirmed, asked_boot: None }
    }

    /// The trusted time now.
    pub fn now(&mut self, wall: u64, boot: u64) -> Now {
        let expected = self.expected(boot);
        if wall > expected.saturating_add(TOLERANCE_S) {
            self.confirmed = false;
            return Now { s: expected, confirmed: false };
        }
        if wall.saturating_add(TOLERANCE_S) < expected {
            // Behind what was believed: what was wrong was the time before, or is the time now. Later is safe.
            self.anchor(wall, boot);
        }
        Now { s: wall, confirmed: self.confirmed }
    }

    /// AWS said what time it is, in an answer to what was sent when the wall clock said `sent`.
    pub fn date(&mut self, sent: u64, wall: u64, boot: u64, date: u64) {
        let between = sent <= date.saturating_add(AWS_TOLERANCE_S) && date <= wall.saturating_add(AWS_TOLERANCE_S);
        // The answer may have waited for us, as in a paused container; or the clock jumped while it was on its way.
        let near = wall <= date.saturating_add(AWS_TOLERANCE_S);
        let fits = between && (near || wall <= self.expected(boot).saturating_add(TOLERANCE_S));
        let believed = if fits { wall } else { date };
        self.anchor(believed, boot);
        self.confirmed = true;
    }

    /// True if AWS should be asked for its time now; at most once a minute.
    pub fn wants_date(&mut self, boot: u64) -> bool {
        let asked = self.asked_boot.is_some_and(|asked| boot < asked.saturating_add(ASK_EVERY_S));
        if self.confirmed || asked {
            return false;
        }
        self.asked_boot = Some(boot);
        true
    }

    fn expected(&self, boot: u64) -> u64 {
        self.anchor_wall.saturating_add(boot.saturating_sub(self.anchor_boot))
    }

    fn anchor(&mut self, wall: u64, boot: u64) {
        self.anchor_wall = wall;
        self.anchor_boot = boot;
    }
}

#[cfg(test)]
mod tests;
