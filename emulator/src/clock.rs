//! The emulator's clock: it runs with the real one until it is moved, frozen or run fast. Nothing else here reads the
//! time.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::options::WireClock;

/// A clock that can be moved. Each change has a version, so that a client can wait for the next one.
#[derive(Debug)]
pub(crate) struct Clock {
    setting: watch::Sender<Setting>,
}

/// Where the clock stands against the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// The real time of the last change, Unix milliseconds.
    set_at_ms: u64,
    /// What the clock showed then.
    showed_ms: u64,
    /// Its seconds to one real second; 0: it is frozen.
    pub(crate) speed: u32,
    /// What clients see of time outside the rules.
    pub(crate) wire: WireClock,
    /// Counts the changes.
    pub(crate) version: u64,
    /// The earliest and the latest time it showed at a change.
    span_ms: (u64, u64),
}

/// What a response says of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The `Date` header, Unix milliseconds.
    pub(crate) date_ms: u64,
    /// How many changes the clock had seen.
    pub(crate) version: u64,
}

impl Stamp {
    /// The same with a `Date` that is off by `skew_s` seconds.
    pub(crate) fn skewed(self, skew_s: i64) -> Self {
        Self { date_ms: self.date_ms.saturating_add_signed(skew_s.saturating_mul(1_000)), ..self }
    }
}

impl Setting {
    /// What it shows at a real time.
    fn at(&self, real_ms: u64) -> u64 {
        let since_ms = real_ms.saturating_sub(self.set_at_ms);
        self.showed_ms.saturating_add(since_ms.saturating_mul(u64::from(self.speed)))
    }

    /// The same clock, from `real_ms` on showing `shows_ms`.
    fn changed(self, real_ms: u64, shows_ms: u64) -> Self {
        let showed_ms = self.at(real_ms);
        let (first, last) = self.span_ms;
        let span_ms = (first.min(showed_ms).min(shows_ms), last.max(showed_ms).max(shows_ms));
        Self { set_at_ms: real_ms, showed_ms: shows_ms, version: self.version + 1, span_ms, ..self }
    }
}

impl Clock {
    /// A clock that shows `start_s` (Unix seconds) now, or the real time.
    pub(crate) fn starting_at(start_s: Option<u64>, wire: WireClock) -> Self {
        let real_ms = real_ms();
        let showed_ms = start_s.map_or(real_ms, |start_s| start_s.saturating_mul(1_000));
        let span_ms = (showed_ms, showed_ms);
        let setting = Setting { set_at_ms: real_ms, showed_ms, speed: 1, wire, version: 0, span_ms };
        Self { setting: watch::Sender::new(setting) }
    }

    /// Lets the clock go on as if it had never stopped.
    pub(crate) fn restore(&self, setting: Setting) {
        self.setting.send_replace(setting);
    }

    /// Moves the clock by `seconds`, forward or back.
    pub(crate) fn advance(&self, seconds: i64) {
        self.change(|setting, real_ms| {
            let shows_ms = setting.at(real_ms).saturating_add_signed(seconds.saturating_mul(1_000));
            setting.changed(real_ms, shows_ms)
        });
    }

    /// Lets the clock show `unix_s` now and run on from there.
    pub(crate) fn set(&self, unix_s: u64) {
        self.change(|setting, real_ms| setting.changed(real_ms, unix_s.saturating_mul(1_000)));
    }

    /// Lets it run `speed` times as fast as the real one; 0 freezes it.
    pub(crate) fn run(&self, speed: u32) {
        self.change(|setting, real_ms| Setting { speed, ..setting.changed(real_ms, setting.at(real_ms)) });
    }

    /// Chooses which clock clients see.
    pub(crate) fn show(&self, wire: WireClock) {
        self.change(|setting, real_ms| Setting { wire, ..setting.changed(real_ms, setting.at(real_ms)) });
    }

    /// The emulator's time in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.setting.borrow().at(real_ms())
    }

    /// Milliseconds between the real time and the emulator's.
    pub(crate) fn offset_ms(&self) -> i64 {
        let real_ms = real_ms();
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        signed(self.setting.borrow().at(real_ms)).saturating_sub(signed(real_ms))
    }

    /// What the ends of credentials go by, Unix milliseconds.
    pub(crate) fn wire_ms(&self) -> u64 {
        self.stamp().date_ms
    }

    /// What a response says of the time now.
    pub(crate) fn stamp(&self) -> Stamp {
        let (setting, real_ms) = (*self.setting.borrow(), real_ms());
        let date_ms = match setting.wire {
            WireClock::Emulator => setting.at(real_ms),
            WireClock::Real => real_ms,
        };
        Stamp { date_ms, version: setting.version }
    }

    /// The spans of time in which a client may sign, Unix milliseconds. Under the emulator's clock that is also every
    /// time it has shown, since an SDK learns of a move only from the `Date` of the next answer.
    pub(crate) fn signing_ms(&self) -> Vec<(u64, u64)> {
        let (setting, real_ms) = (*self.setting.borrow(), real_ms());
        let mut spans = vec![(real_ms, real_ms)];
        if setting.wire == WireClock::Emulator {
            let ((first, last), now_ms) = (setting.span_ms, setting.at(real_ms));
            spans.push((first.min(now_ms), last.max(now_ms)));
        }
        spans
    }

    /// Where the clock stands; the receiver wakes at each change.
    pub(crate) fn watch(&self) -> watch::Receiver<Setting> {
        self.setting.subscribe()
    }

    fn change(&self, change: impl FnOnce(Setting, u64) -> Setting) {
        let real_ms = real_ms();
        self.setting.send_modify(|setting| *setting = change(*setting, real_ms));
    }
}

/// The real time in Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn real_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_can_stand_still_and_run_fast_without_a_jump() {
        let start = Setting {
            set_at_ms: 1_000,
            showed_ms: 5_000,
            speed: 1,
            wire: WireClock::Real,
            version: 0,
            span_ms: (5_000, 5_000),
        };
        assert_eq!(start.at(2_000), 6_000);
        let fast = Setting { speed: 3_600, ..start.changed(2_000, start.at(2_000)) };
        assert_eq!((fast.at(2_000), fast.at(3_000)), (6_000, 3_606_000));
        let frozen = Setting { speed: 0, ..fast.changed(3_000, fast.at(3_000)) };
        assert_eq!((frozen.at(3_000), frozen.at(9_000)), (3_606_000, 3_606_000));
        let back = frozen.changed(9_000, 10);
        assert_eq!((back.at(10_000), back.version, back.span_ms), (10, 3, (10, 3_606_000)));
        assert_eq!(back.at(0), 10, "a real clock that went back moves nothing");
    }
}
