//! What happened, as a number that two equal runs share, and on demand as a story for people.

use std::fmt::Write as _;

use crate::shape::BEGIN;

/// The course of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    hash: u64,
    /// None: nobody reads along.
    story: Option<String>,
}

impl Trace {
    pub(crate) fn new(told: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, story: told.then(String::new) }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_story(self) -> Option<String> {
        self.story
    }

    /// Mixes numbers into the hash.
    pub(crate) fn note(&mut self, now: u64, what: u64, about: u64) {
        for number in [now, what, about] {
            self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
    }

    /// A line of the story; it is written only if somebody reads it.
    pub(crate) fn tell(&mut self, now: u64, line: impl FnOnce() -> String) {
        let Some(story) = &mut self.story else { return };
        let s = now - BEGIN;
        let (day, h, m, s) = (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60);
        // Writing to a string cannot fail.
        let _ = writeln!(story, "day {day} {h:02}:{m:02}:{s:02}  {}", line());
    }
}
