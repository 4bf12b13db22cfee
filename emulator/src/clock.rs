//! The emulator's clock: the real one plus an offset that can be moved. Nothing else here reads the time.

use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

/// The real clock plus an offset. Each move has a version, so that a client can wait for the next one.
#[derive(Debug)]
pub(crate) struct Clock {
    setting: watch::Sender<Setting>,
    /// Offsets that the clock had, newest last.
    left: Mutex<Vec<i64>>,
}

/// Where the clock stands against the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Milliseconds added to the real time.
    pub(crate) offset_ms: i64,
    /// Counts the moves.
    pub(crate) version: u64,
}

impl Clock {
    /// A clock that shows `start_s` (Unix seconds) now, or the real time.
    pub(crate) fn starting_at(start_s: Option<u64>) -> Self {
        let offset_ms = start_s.map_or(0, offset_to);
        Self { setting: watch::Sender::new(Setting { offset_ms, version: 0 }), left: Mutex::default() }
    }

    /// Moves the clock by `seconds`, forward or back.
    pub(crate) fn advance(&self, seconds: i64) {
        let by_ms = seconds.saturating_mul(1_000);
        self.move_to(|now| now.offset_ms.saturating_add(by_ms));
    }

    /// Lets the clock show `unix_s` now and run on from there.
    pub(crate) fn set(&self, unix_s: u64) {
        self.move_to(|_| offset_to(unix_s));
    }

    /// The emulator's time in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        real_ms().saturating_add_signed(self.setting.borrow().offset_ms)
    }

    /// Every time a client may sign with: the real one, the emulator's, and those the emulator showed before it was
    /// moved, since an SDK learns of a move only from the `Date` of the next answer.
    pub(crate) fn signing_ms(&self) -> Vec<u64> {
        let real_ms = real_ms();
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let offsets = left.iter().copied().chain([0, self.setting.borrow().offset_ms]);
        offsets.map(|offset_ms| real_ms.saturating_add_signed(offset_ms)).collect()
    }

    /// Where the clock stands; the receiver wakes at each move.
    pub(crate) fn watch(&self) -> watch::Receiver<Setting> {
        self.setting.subscribe()
    }

    fn move_to(&self, offset_ms: impl FnOnce(Setting) -> i64) {
        self.setting.send_modify(|setting| {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            if left.len() == LEFT_MAX {
                left.remove(0);
            }
            left.push(setting.offset_ms);
            *setting = Setting { offset_ms: offset_ms(*setting), version: setting.version + 1 };
        });
    }
}

/// The real time in Unix milliseconds: clients of the emulator may sign with it, and SDKs judge credentials by it.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(crate) fn real_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

fn offset_to(unix_s: u64) -> i64 {
    let wanted = i64::try_from(unix_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
    wanted.saturating_sub(i64::try_from(real_ms()).unwrap_or(i64::MAX))
}

/// A client that made no call for this many moves has to sign anew.
const LEFT_MAX: usize = 256;
