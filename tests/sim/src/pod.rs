//! A pod: its machine's clocks, its place on a volume, and at most one process of the host in it.

use tollgate_metering::{Clocks, Now, Phase, Policy, Trust};

/// Boot clocks count from here.
const BOOTED: u64 = 1_795_000_000;

/// What a buyer's cluster runs.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    /// Whom AWS sees, by number.
    pub(crate) identity: u32,
    /// Processes that this identity has had.
    pub(crate) starts: u32,
    pub(crate) volume: usize,
    /// Its own folder there, by number.
    pub(crate) folder: usize,
    /// The wall clock is wrong by this much, in seconds.
    pub(crate) offset: i64,
    /// The wall clock stands still at this.
    pub(crate) frozen: Option<u64>,
    pub(crate) paused_until: u64,
    pub(crate) listing: usize,
    pub(crate) pers: Vec<u64>,
    pub(crate) policy: Policy,
    pub(crate) process: Option<Process>,
    /// Numbers processes, so that what was meant for an earlier one is not taken for a later.
    pub(crate) serial: u32,
    /// A start is due.
    pub(crate) starting: bool,
    pub(crate) born: u64,
    /// When a rolling update took its place.
    pub(crate) gone: Option<u64>,
}

/// A process of the host.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) trust: Trust,
    pub(crate) phase: Phase,
    pub(crate) stage: Stage,
    /// True time of its start.
    pub(crate) began: u64,
    /// The wall clock was right then.
    pub(crate) began_right: bool,
    /// Folders of others that were on the volume then.
    pub(crate) others: Vec<usize>,
    /// Requests under way.
    pub(crate) in_flight: usize,
    /// Numbers wakes: only the latest counts.
    pub(crate) wake: u32,
    /// The wall time it sleeps until.
    pub(crate) sleeps_until: u64,
    /// When AWS was last asked for its time, by the boot clock.
    pub(crate) asked: Option<u64>,
    /// New work is refused because delivery is too late.
    pub(crate) stopped: bool,
}

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Asks for entitlement, and gives up at this instant.
    Asking { until: u64, tries: u32 },
    /// Takes usage.
    Serving,
}

impl Pod {
    pub(crate) fn wall(&self, now: u64) -> u64 {
        self.frozen.unwrap_or_else(|| now.saturating_add_signed(self.offset))
    }

    pub(crate) fn clocks(&self, now: u64) -> Clocks {
        Clocks { wall: self.wall(now), boot: now - BOOTED }
    }

    pub(crate) fn identity_name(&self) -> String {
        format!("task-{}", self.identity)
    }

    /// The time that the process trusts.
    pub(crate) fn trusted(&self, now: u64, believes_clock: bool) -> Now {
        let clocks = self.clocks(now);
        // Where nothing is sent nobody could confirm it.
        let process = self.process.as_ref().filter(|_| self.policy.sends && !believes_clock);
        process.map_or(Now { s: clocks.wall, confirmed: true }, |process| process.trust.now(clocks))
    }

    /// The dimension's number.
    pub(crate) fn dimension(key: &str) -> usize {
        crate::shape::DIMENSIONS.iter().position(|known| *known == key).unwrap_or(crate::shape::START)
    }
}

/// The number of a listing.
pub(crate) fn listing_of(id: &str) -> usize {
    usize::from(id != crate::shape::LISTINGS[0])
}

/// The number in the name of an identity.
pub(crate) fn identity_of(name: &str) -> u32 {
    name.strip_prefix("task-").and_then(|number| number.parse().ok()).unwrap_or(0)
}
