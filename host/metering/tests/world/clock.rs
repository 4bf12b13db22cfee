//! The clocks of the machine, and what AWS says about the time.

use tollgate_metering::*;

use super::telling::time;
use super::{FIRST, World};

/// A machine on which the host runs. True time is that of AWS.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) true_s: u64,
    /// Of that time the machine was suspended, and its boot clock stood still.
    suspended_s: u64,
    /// The wall clock is wrong by this much.
    wrong_s: i64,
    /// The wall clock stands still at this.
    frozen: Option<u64>,
    /// AWS can be asked for its time.
    online: bool,
    pub(super) trust: Option<Trust>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { true_s: FIRST.start(), suspended_s: 0, wrong_s: 0, frozen: None, online: true, trust: None }
    }
}

impl Machine {
    /// What its clocks show. It was switched on an hour before the script begins.
    pub(super) fn clocks(&self) -> Clocks {
        let wall = self.frozen.unwrap_or_else(|| self.true_s.saturating_add_signed(self.wrong_s));
        Clocks { wall, boot: self.true_s - FIRST.start() - self.suspended_s + HOUR_S }
    }

    /// `2:20` is twenty minutes past the third hour; `2:20:05` five seconds later.
    pub(super) fn at(&mut self, time: &str) -> Vec<String> {
        self.true_s = FIRST.start() + seconds(time);
        Vec::new()
    }

    /// As `at`, but nobody on the machine notices that time passes.
    pub(super) fn suspend(&mut self, until: &str) -> Vec<String> {
        let before = self.true_s;
        self.at(until);
        self.suspended_s += self.true_s - before;
        Vec::new()
    }

    /// `+3:00` sets the wall clock three hours ahead, `-3:00` back; `frozen` stops it, `right` puts it right.
    pub(super) fn set(&mut self, change: &str) -> Vec<String> {
        match change.split_at(1) {
            ("+", by) => self.wrong_s += seconds(by).cast_signed(),
            ("-", by) => self.wrong_s -= seconds(by).cast_signed(),
            _ if change == "frozen" => self.frozen = Some(self.clocks().wall),
            _ if change == "right" => (self.wrong_s, self.frozen) = (0, None),
            _ => panic!("no such clock: {change}"),
        }
        Vec::new()
    }

    pub(super) fn go(&mut self, online: bool) -> Vec<String> {
        self.online = online;
        Vec::new()
    }
}

impl World {
    pub(super) fn now(&self) -> Now {
        let clocks = self.machine.clocks();
        let trust = self.machine.trust.as_ref().filter(|_| self.policy.sends);
        trust.map_or(Now { s: clocks.wall, confirmed: true }, |trust| trust.now(clocks))
    }

    /// An answer of AWS tells its time.
    pub(super) fn date(&mut self) -> Vec<String> {
        let (clocks, date) = (self.machine.clocks(), self.machine.true_s);
        if let Some(trust) = &mut self.machine.trust {
            trust.date(clocks, clocks, date);
        }
        Vec::new()
    }

    /// As the host does in its loop.
    pub(super) fn ask_time(&mut self) -> Vec<String> {
        let clocks = self.machine.clocks();
        let wanted = self.machine.trust.as_mut().is_some_and(|trust| trust.wants_date(clocks));
        if !wanted || !self.policy.sends {
            return Vec::new();
        }
        if self.machine.online {
            self.date();
        }
        vec![format!("ask for the time{}", if self.machine.online { "" } else { ": no answer" })]
    }

    pub(super) fn trust(&self) -> Vec<String> {
        let now = self.now();
        vec![format!("it is {}{}", time(now.s), if now.confirmed { "" } else { ", in doubt" })]
    }
}

fn seconds(time: &str) -> u64 {
    let parts: Vec<u64> = time.split(':').map(|part| part.parse().unwrap()).collect();
    parts.iter().zip([3_600, 60, 1]).map(|(part, unit)| part * unit).sum()
}
