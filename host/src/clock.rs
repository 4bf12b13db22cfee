//! The only reader of the clock.
//!
//! Everything else takes the time as an argument. A steered clock is the same clock moved by an
//! offset that somebody else sets: local development and tests let hours pass with it. It is a
//! value given by whoever composes the host; nothing in the environment makes one.

use std::time::Duration;

use tokio::sync::watch;

/// Longest uninterrupted sleep. The wall clock may be set while we sleep, so it is read again at
/// least this often.
const NAP_MS_MAX: u64 = 20_000;

/// Wall clock and boot clock of the host.
#[derive(Clone, Debug)]
pub struct Clock {
    offset_ms: Option<watch::Receiver<i64>>,
}

/// Moves a steered clock.
#[derive(Debug)]
pub struct Steer {
    offset_ms: watch::Sender<i64>,
}

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self { offset_ms: None }
    }

    /// The machine's clock plus an offset, at first zero, that [`Steer`] sets.
    pub fn steered() -> (Self, Steer) {
        let (sender, receiver) = watch::channel(0);
        (Self { offset_ms: Some(receiver) }, Steer { offset_ms: sender })
    }

    /// Milliseconds since 1970, UTC. A clock set before 1970 reads zero.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.shifted(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds since the machine started, also while it was suspended. Never set by anybody,
    /// so a wall clock that moved by another amount has been set.
    pub fn boot_ms(&self) -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let millis = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
        self.shifted(seconds.saturating_mul(1_000).saturating_add(millis))
    }

    /// Returns when [`Clock::now_ms`] is at or past `unix_ms`, also when the clock was moved there.
    pub async fn sleep_until(&self, unix_ms: u64) {
        let mut moved = self.offset_ms.clone();
        loop {
            // Seen before the clock is read, so that no move in between is missed.
            if let Some(moved) = &mut moved {
                moved.borrow_and_update();
            }
            let left_ms = unix_ms.saturating_sub(self.now_ms());
            if left_ms == 0 {
                return;
            }
            let nap = tokio::time::sleep(Duration::from_millis(left_ms.min(NAP_MS_MAX)));
            match &mut moved {
                None => nap.await,
                Some(moved) => tokio::select! {
                    () = nap => {}
                    // An error means that nobody steers any more: only real time passes then.
                    Ok(()) = moved.changed() => {}
                },
            }
        }
    }

    fn shifted(&self, ms: u64) -> u64 {
        match &self.offset_ms {
            None => ms,
            Some(offset_ms) => ms.saturating_add_signed(*offset_ms.borrow()),
        }
    }
}

impl Steer {
    /// Sets the distance from the machine's clock in milliseconds and wakes every sleeper.
    pub fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.send_replace(offset_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_moved_clock_wakes_a_sleeper_at_once() {
        let (clock, steer) = Clock::steered();
        let target = clock.now_ms() + 3_600_000;
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(target).await }
        });
        steer.set_offset_ms(3_600_001);
        sleeper.await.unwrap();
        assert!(clock.now_ms() >= target);
    }

    #[test]
    fn wall_and_boot_clock_move_together() {
        let (clock, steer) = Clock::steered();
        let before = (clock.now_ms(), clock.boot_ms());
        steer.set_offset_ms(7_200_000);
        assert!(clock.now_ms() - before.0 >= 7_200_000);
        assert!(clock.boot_ms() - before.1 >= 7_200_000);
    }
}
