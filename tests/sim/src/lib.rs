//! Whole days of many pods, made from a seed: the metering engine against disks, networks and clocks that fail.
//!
//! The engine is the real one. Around it are a driver that does what the host's meter does, a disk, a model of AWS, and an
//! oracle that only adds. Absent on purpose: the host, the emulator, threads, real time.

mod adopt;
mod aws;
mod bug;
mod check;
mod copies;
mod driver;
mod entries;
mod faults;
mod folder;
mod mishap;
mod network;
mod oracle;
mod plant;
mod pod;
mod random;
mod refuse;
mod replace;
mod report;
mod settled;
mod shape;
mod shrink;
mod store;
mod timely;
mod trace;
mod world;
mod write;

pub use bug::Bug;
pub use faults::{Changes, Fault};
pub use report::Report;
pub use shape::Size;
pub use shrink::{Shrunk, shrink};

/// A run is a million small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What all runs of a batch have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Setup {
    /// How long a run is.
    pub size: Size,
    /// The mistake that is planted.
    pub bug: Option<Bug>,
    /// Whether a story is written.
    pub story: bool,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// Equal for equal runs.
    pub hash: u64,
    /// Points at which a process could have been made to crash.
    pub steps: u64,
    /// Commits of guests.
    pub uses: u64,
    /// The faults that struck, each with the number of its occurrence.
    pub struck: Vec<(Fault, u64)>,
    /// What was wrong first. None: nothing.
    pub failure: Option<String>,
    /// What was exercised.
    pub report: Report,
    /// What happened, if it was asked for.
    pub story: Option<String>,
}

/// Runs a seed.
pub fn run(seed: u64, setup: &Setup, changes: &Changes) -> Outcome {
    world::World::new(seed, setup, changes).run()
}

/// Crash points between two copies of the world.
const STEPS_A_COPY: u64 = 16;

/// Runs a seed, and then once more for each of its steps of store and network with a crash there. Says how many steps it has
/// and which of them failed first, with its outcome.
pub fn run_with_each_crash(seed: u64, setup: &Setup) -> (u64, Option<(u64, Outcome)>) {
    let mut world = world::World::new(seed, setup, &Changes::default());
    let mut copy = world.clone();
    loop {
        let goes_on = world.step();
        let (from, to) = (copy.faults.steps, world.faults.steps);
        if to < from + STEPS_A_COPY && goes_on {
            continue;
        }
        for step in from..to {
            let mut other = copy.clone();
            other.faults.crash_at(step);
            let outcome = other.run();
            if outcome.failure.is_some() {
                return (to, Some((step, outcome)));
            }
        }
        if !goes_on {
            return (to, None);
        }
        copy = world.clone();
    }
}
