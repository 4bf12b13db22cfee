//! The only reader of the clock.
//!
//! Everything else takes the time as an argument. A steered clock is the same clock moved by an
//! offset, and run at a speed, that somebody else sets: local development and tests let hours pass
//! with it. It is a value given by whoever composes the host; nothing in the environment makes one.

use std::time::Duration;

use tokio::sync::watch;

/// Longest uninterrupted sleep. The wall clock may be set while we sleep, so it is read again at
/// least this often.
const NAP_MS_MAX: u64 = 20_000;

/// Wall clock and boot clock of the host.
#[derive(Clone, Debug)]
pub struct Clock {
    course: Option<watch::Receiver<Course>>,
}

/// Moves a steered clock.
#[derive(Debug)]
pub struct Steer {
    course: watch::Sender<Course>,
}

/// How far a steered clock is from the machine's.
#[derive(Clone, Copy, Debug)]
struct Course {
    offset_ms: i64,
    /// When the offset was set, on the machine's boot clock.
    since_ms: u64,
    /// Its seconds to one of the machine; 0: it stands still.
    speed: u32,
    /// Counts the moves of the clock that it follows.
    version: u64,
}

impl Course {
    /// The offset when the machine's boot clock shows `boot_ms`.
    fn offset_ms(self, boot_ms: u64) -> i64 {
        let since_ms = i64::try_from(boot_ms.saturating_sub(self.since_ms)).unwrap_or(i64::MAX);
        self.offset_ms.saturating_add(since_ms.saturating_mul(i64::from(self.speed) - 1))
    }
}

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self { course: None }
    }

    /// The machine's clock plus an offset, at first zero, that [`Steer`] sets.
    pub fn steered() -> (Self, Steer) {
        let (sender, receiver) = watch::channel(Course { offset_ms: 0, since_ms: 0, speed: 1, version: 0 });
        (Self { course: Some(receiver) }, Steer { course: sender })
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
        self.shifted(machine_boot_ms())
    }

    /// Returns when [`Clock::now_ms`] is at or past `unix_ms`, also when the clock was moved there.
    pub async fn sleep_until(&self, unix_ms: u64) {
        let mut moved = self.course.clone();
        loop {
            // Seen before the clock is read, so that no move in between is missed.
            if let Some(moved) = &mut moved {
                moved.borrow_and_update();
            }
            let left_ms = unix_ms.saturating_sub(self.now_ms());
            if left_ms == 0 {
                return;
            }
            // One that stands still gets there only by a move.
            let nap_ms = left_ms.checked_div(u64::from(self.speed())).map_or(NAP_MS_MAX, |nap_ms| nap_ms.max(1));
            let nap = tokio::time::sleep(Duration::from_millis(nap_ms.min(NAP_MS_MAX)));
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

    /// Whether this clock has made the move `version` of the one it follows. Until then nothing that was said by that
    /// one can be compared with this one. The machine's own clock follows nobody.
    pub(crate) fn has_made(&self, version: u64) -> bool {
        self.course.as_ref().is_none_or(|course| course.borrow().version >= version)
    }

    fn speed(&self) -> u32 {
        self.course.as_ref().map_or(1, |course| course.borrow().speed)
    }

    fn shifted(&self, ms: u64) -> u64 {
        match &self.course {
            None => ms,
            Some(course) => ms.saturating_add_signed(course.borrow().offset_ms(machine_boot_ms())),
        }
    }
}

fn machine_boot_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let millis = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    seconds.saturating_mul(1_000).saturating_add(millis)
}

impl Steer {
    /// Sets the distance from the machine's clock in milliseconds and wakes every sleeper. The clock runs as the
    /// machine's does.
    pub fn set_offset_ms(&self, offset_ms: i64) {
        self.run(offset_ms, 1, 0);
    }

    /// Sets the distance from the machine's clock as it is now, in milliseconds, and how many of its seconds one of the
    /// machine is from now on; 0 stops it. `version` counts the moves of the clock that is followed. Wakes every sleeper.
    pub fn run(&self, offset_ms: i64, speed: u32, version: u64) {
        self.course.send_replace(Course { offset_ms, since_ms: machine_boot_ms(), speed, version });
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

    #[tokio::test]
    async fn a_fast_clock_brings_a_sleeper_there_sooner() {
        let (clock, steer) = Clock::steered();
        steer.run(0, 36_000, 1);
        // In this order: a pause of this thread between two readings lasts seconds on such a clock.
        let (real, boot, wall) = (machine_boot_ms(), clock.boot_ms(), clock.now_ms());
        clock.sleep_until(wall + 3_600_000).await;
        assert!(clock.boot_ms() - boot >= 3_590_000, "the boot clock is as fast");
        assert!(machine_boot_ms() - real < 60_000, "an hour takes a tenth of a second");
    }

    #[test]
    fn a_stopped_clock_stands_still() {
        let (clock, steer) = Clock::steered();
        steer.run(3_600_000, 0, 1);
        let (wall, boot, real) = (clock.now_ms(), clock.boot_ms(), machine_boot_ms());
        while machine_boot_ms() < real + 20 {}
        // The machine's two clocks tick at different moments.
        assert!(clock.now_ms().abs_diff(wall) <= 2 && clock.boot_ms() == boot);
    }
}
