//! What the host measures about time: processor time in the guest, and time on the wall.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::{Stopwatch, thread_cpu};
use crate::meter::{Counters, Measure};

const NANOS_PER_MS: u64 = 1_000_000;

/// Nanoseconds of all instances of a component. A request often takes less than a millisecond, so the rest below one
/// is carried from instance to instance instead of being lost with each.
#[derive(Debug, Default)]
pub(crate) struct Carry {
    compute: AtomicU64,
    wall: AtomicU64,
}

/// Whole milliseconds that become complete by adding `nanos`.
fn whole_ms(carry: &AtomicU64, nanos: u64) -> u64 {
    let before = carry.fetch_add(nanos, Relaxed);
    before.wrapping_add(nanos) / NANOS_PER_MS - before / NANOS_PER_MS
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Measures one guest instance from its delivery on. Nothing is measured that no dimension is bound to.
#[derive(Debug)]
pub(crate) struct Gauge {
    counters: Counters,
    carry: Arc<Carry>,
    wants_compute: bool,
    wants_wall: bool,
    delivered: Stopwatch,
    compute: AtomicU64,
    wall_counted: AtomicU64,
    /// Set when the response ended: what the guest does afterwards is no part of the time of the request.
    wall_ended: AtomicBool,
}

impl Gauge {
    pub(crate) fn new(counters: Counters, carry: Arc<Carry>) -> Self {
        Self {
            wants_compute: counters.measures(Measure::ComputeMs),
            wants_wall: counters.measures(Measure::WallMs),
            counters,
            carry,
            delivered: Stopwatch::start(),
            compute: AtomicU64::new(0),
            wall_counted: AtomicU64::new(0),
            wall_ended: AtomicBool::new(false),
        }
    }

    /// Moves what was measured so far into the counters, to be part of the next commit.
    pub(crate) fn flush(&self) {
        if self.wants_compute {
            let compute = self.compute.swap(0, Relaxed);
            self.counters.measure(Measure::ComputeMs, whole_ms(&self.carry.compute, compute));
        }
        if self.wants_wall && !self.wall_ended.load(Relaxed) {
            let now = nanos(self.delivered.elapsed());
            let counted = self.wall_counted.fetch_max(now, Relaxed);
            self.counters.measure(Measure::WallMs, whole_ms(&self.carry.wall, now.saturating_sub(counted)));
        }
    }

    /// The last flush of a response.
    pub(crate) fn end_response(&self) {
        self.flush();
        self.wall_ended.store(true, Relaxed);
    }
}

/// Polls a guest and takes the processor time of its thread around each poll: a guest runs only inside of polls.
pub(crate) struct Gauged<F: ?Sized> {
    pub(crate) future: Pin<Box<F>>,
    pub(crate) gauge: Arc<Gauge>,
}

impl<F: Future + ?Sized> Future for Gauged<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if !self.gauge.wants_compute {
            return self.future.as_mut().poll(cx);
        }
        let before = thread_cpu();
        let poll = self.future.as_mut().poll(cx);
        self.gauge.compute.fetch_add(nanos(thread_cpu().saturating_sub(before)), Relaxed);
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_below_a_millisecond_add_up() {
        let carry = AtomicU64::new(0);
        let counted: Vec<u64> = [400_000, 400_000, 400_000, 2_900_000, 0].map(|n| whole_ms(&carry, n)).into();
        assert_eq!(counted, [0, 0, 1, 3, 0]);
    }
}
