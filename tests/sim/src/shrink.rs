//! From a failing run to the shortest story that still fails: whole faults are taken out first, then single occurrences,
//! then commits of guests.

use std::collections::BTreeSet;

use crate::faults::{Changes, Fault};
use crate::{Outcome, Setup, run};

/// Runs that shrinking may take at most.
const RUNS_MAX: u32 = 3_000;

/// The shortest failing run that was found.
#[derive(Debug, Clone)]
pub struct Shrunk {
    /// What was left out.
    pub changes: Changes,
    /// The run, with its story.
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: u32,
}

/// Shrinks a failing seed. None: it does not fail.
pub fn shrink(seed: u64, setup: &Setup, changes: &Changes) -> Option<Shrunk> {
    let quiet = Setup { story: false, ..*setup };
    let kind = kind(&run(seed, &quiet, changes).failure?);
    let mut search = Search { seed, setup: quiet, best: changes.clone(), runs: 0, kind };
    for &fault in Fault::ALL {
        search.attempt(|changes| changes.off.extend([fault]));
    }
    search.thin(|outcome| outcome.struck.clone(), |changes, some| changes.spared.extend(some));
    search.thin(|outcome| (0..outcome.uses).collect(), |changes, some| changes.unused.extend(some));
    search.thin(|outcome| outcome.struck.clone(), |changes, some| changes.spared.extend(some));
    let outcome = run(seed, &Setup { story: true, ..*setup }, &search.best);
    Some(Shrunk { changes: search.best, outcome, runs: search.runs })
}

struct Search {
    seed: u64,
    setup: Setup,
    best: Changes,
    runs: u32,
    kind: String,
}

/// What is wrong, without the numbers and names: another failure is another story.
fn kind(failure: &str) -> String {
    let words = failure.split(' ').filter(|word| !word.contains(|c: char| c.is_ascii_digit() || c == '"'));
    words.collect::<Vec<_>>().join(" ")
}

impl Search {
    /// Keeps a change if the run still fails.
    fn attempt(&mut self, change: impl FnOnce(&mut Changes)) -> bool {
        let mut changes = self.best.clone();
        change(&mut changes);
        if changes == self.best || self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let failure = run(self.seed, &self.setup, &changes).failure;
        let fails = failure.is_some_and(|failure| kind(&failure) == self.kind);
        if fails {
            self.best = changes;
        }
        fails
    }

    /// Takes out halves, quarters and so on, as far as the run still fails.
    fn thin<T: Copy + Ord>(&mut self, all: impl Fn(&Outcome) -> Vec<T>, take_out: impl Fn(&mut Changes, BTreeSet<T>)) {
        let mut left = all(&run(self.seed, &self.setup, &self.best));
        let mut size = left.len().div_ceil(2);
        while size > 0 && !left.is_empty() {
            let mut kept = Vec::new();
            for part in left.chunks(size) {
                let some: BTreeSet<T> = part.iter().copied().collect();
                if !self.attempt(|changes| take_out(changes, some)) {
                    kept.extend_from_slice(part);
                }
            }
            left = kept;
            size /= 2;
        }
    }
}
