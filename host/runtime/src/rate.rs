//! How much a guest may write into the log in a second, so that its words never drown the host's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;

/// Lines and bytes of one source.
#[derive(Debug)]
pub(crate) struct Rate {
    lines_max: u32,
    bytes_max: usize,
    since: Stopwatch,
    window: Mutex<Window>,
}

/// The current second and what happened in it.
#[derive(Debug, Default)]
struct Window {
    second: u64,
    lines: u32,
    bytes: usize,
    dropped: u64,
}

/// What becomes of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Whether it may be logged.
    pub(crate) admitted: bool,
    /// Lines dropped in a second that is over and was not told yet.
    pub(crate) dropped: u64,
}

impl Rate {
    /// At most so many lines and bytes in a second.
    pub(crate) fn new(lines_max: u32, bytes_max: usize) -> Self {
        Self { lines_max, bytes_max, since: Stopwatch::start(), window: Mutex::default() }
    }

    /// Asks for a line of this length.
    pub(crate) fn admit(&self, bytes: usize) -> Admission {
        let now = self.since.elapsed();
        self.admit_at(now, bytes)
    }

    fn admit_at(&self, now: Duration, bytes: usize) -> Admission {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        if now.as_secs() != window.second {
            dropped = window.dropped;
            *window = Window { second: now.as_secs(), ..Window::default() };
        }
        let admitted = window.lines < self.lines_max && bytes <= self.bytes_max - window.bytes;
        if admitted {
            window.lines += 1;
            window.bytes += bytes;
        } else {
            window.dropped += 1;
        }
        Admission { admitted, dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rate: &Rate, ms: u64, bytes: usize) -> (bool, u64) {
        let Admission { admitted, dropped } = rate.admit_at(Duration::from_millis(ms), bytes);
        (admitted, dropped)
    }

    #[test]
    fn too_many_lines_are_dropped_and_counted_until_the_next_second() {
        let rate = Rate::new(1_000, usize::MAX);
        assert_eq!((0..1_500).filter(|_| at(&rate, 10, 1).0).count(), 1_000);
        assert_eq!(at(&rate, 1_010, 1), (true, 500));
        assert_eq!(at(&rate, 1_020, 1), (true, 0));
    }

    #[test]
    fn so_are_too_many_bytes() {
        let rate = Rate::new(1_000, 100);
        assert_eq!(at(&rate, 0, 60), (true, 0));
        assert_eq!(at(&rate, 0, 60), (false, 0));
        assert_eq!(at(&rate, 0, 40), (true, 0));
        assert_eq!(at(&rate, 0, 1), (false, 0));
        assert_eq!(at(&rate, 1_000, 101), (false, 2));
    }
}
