//! A component that does nothing but trap is left alone for a while, longer each time.
//!
//! One trap says something about one request. Many in a row, with no answer between them, say that the component is
//! broken, and then each further request costs an instance, a stack trace in the log, and the patience of whoever
//! waits for it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;

/// Traps in a row, on this and no other component, before it is left alone.
const TRAPS_MAX: u32 = 10;
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// One component's record, shared by all requests to it.
#[derive(Debug)]
pub(crate) struct Backoff {
    since: Stopwatch,
    /// False while there is nothing in the state, so that requests to a healthy component share no lock.
    troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Since the last answer.
    traps: u32,
    /// Until when nothing is delivered, and how long that is. None: it answers.
    pause: Option<(Duration, Duration)>,
    /// A single request finds out whether the component has recovered.
    trying: bool,
}

/// What a trap led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trapped {
    /// Nothing yet.
    Counted,
    /// From now on, requests are refused for this long.
    Paused(Duration),
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { since: Stopwatch::start(), troubled: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Asks to deliver a request.
    ///
    /// # Errors
    ///
    /// How long to wait instead.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        if self.troubled.load(Relaxed) { self.with(|state, now| state.admit(now)) } else { Ok(()) }
    }

    /// The component answered. True if it was being left alone until now.
    pub(crate) fn answered(&self) -> bool {
        self.troubled.load(Relaxed)
            && self.with(|state, _| {
                self.troubled.store(false, Relaxed);
                state.answered()
            })
    }

    /// The component trapped, or returned without an answer.
    pub(crate) fn trapped(&self) -> Trapped {
        self.with(|state, now| {
            self.troubled.store(true, Relaxed);
            state.trapped(now)
        })
    }

    /// The request ended in a way that says nothing about the component: its time was up, its client went
    /// away, or there was no place.
    pub(crate) fn undecided(&self) {
        if self.troubled.load(Relaxed) {
            self.with(|state, _| state.trying = false);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State, Duration) -> T) -> T {
        let now = self.since.elapsed();
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

impl State {
    fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match self.pause {
            None => Ok(()),
            Some((until, _)) if now < until => Err(until - now),
            Some(_) if self.trying => Err(PAUSE_MIN),
            Some(_) => {
                self.trying = true;
                Ok(())
            }
        }
    }

    /// True if that ends a pause.
    fn answered(&mut self) -> bool {
        std::mem::take(self).pause.is_some()
    }

    fn trapped(&mut self, now: Duration) -> Trapped {
        self.traps = self.traps.saturating_add(1);
        let long = match self.pause {
            // Requests that were delivered before the pause began say nothing new.
            Some((until, _)) if now < until => return Trapped::Counted,
            Some((_, long)) => (long * 2).min(PAUSE_MAX),
            None if self.traps >= TRAPS_MAX => PAUSE_MIN,
            None => return Trapped::Counted,
        };
        self.pause = Some((now + long, long));
        self.trying = false;
        Trapped::Paused(long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn traps_between_answers_pause_nothing() {
        let mut state = State::default();
        for _ in 0..100 {
            for _ in 1..TRAPS_MAX {
                assert_eq!(state.trapped(MS(0)), Trapped::Counted);
            }
            assert!(!state.answered());
        }
        assert_eq!(state.admit(MS(0)), Ok(()));
    }

    #[test]
    fn the_pause_doubles_while_the_one_request_that_tries_traps_and_ends_with_an_answer() {
        let mut state = State::default();
        let paused: Vec<Trapped> = (0..TRAPS_MAX).map(|_| state.trapped(MS(0))).collect();
        assert_eq!(paused.last(), Some(&Trapped::Paused(MS(1000))));
        assert_eq!(state.admit(MS(400)), Err(MS(600)));
        assert_eq!(state.trapped(MS(500)), Trapped::Counted, "it was delivered before");
        assert_eq!(state.admit(MS(1000)), Ok(()));
        assert_eq!(state.admit(MS(1000)), Err(PAUSE_MIN), "one tries, others wait");
        assert_eq!(state.trapped(MS(1100)), Trapped::Paused(MS(2000)));
        assert_eq!(state.admit(MS(3100)), Ok(()));
        assert!(state.answered());
        assert_eq!(state.admit(MS(3100)), Ok(()));
        assert_eq!(state.trapped(MS(3100)), Trapped::Counted, "it begins anew");
    }

    #[test]
    fn no_pause_is_longer_than_a_minute() {
        let mut state = State::default();
        let mut now = MS(0);
        let mut longest = MS(0);
        for _ in 0..30 {
            if let Trapped::Paused(long) = state.trapped(now) {
                longest = long;
                now += long;
            }
        }
        assert_eq!(longest, PAUSE_MAX);
    }
}
