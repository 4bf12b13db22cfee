//! What a run is about: how many pods, for how long, and what they sell.

use tollgate_metering::{Policy, Rate};

use crate::random::Rng;

/// The instant at which every run begins, unix seconds: 2026-11-20, midnight.
pub(crate) const BEGIN: u64 = 1_795_132_800;
/// Catalogue keys by number; the last is asked for entitlement and never used.
pub(crate) const DIMENSIONS: [&str; 4] = ["images", "pixels", "tokens", "start"];
/// The number of the dimension of the question for entitlement.
pub(crate) const START: usize = 3;
/// Ids of the listings by number: the second sends nothing.
pub(crate) const LISTINGS: [&str; 2] = ["paid", "free"];

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// Two or three pods for days: at least 96 pod-hours.
    #[default]
    Days,
    /// One pod for a few hours, so that every step of it can be tried.
    Hours,
}

/// The constants of a run.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) pods: usize,
    /// When faults heal, seconds from the beginning.
    pub(crate) heal_s: u64,
    /// When no more usage comes.
    pub(crate) quiet_s: u64,
    /// When every process is told to end.
    pub(crate) finish_s: u64,
    pub(crate) end_s: u64,
    pub(crate) pers: Vec<u64>,
    pub(crate) use_every_s: u64,
    pub(crate) units_max: u64,
    pub(crate) tagged: bool,
    pub(crate) carry: bool,
    pub(crate) zero_records: bool,
    /// Entitlement is asked for by a zero record.
    pub(crate) asks: bool,
    /// AWS counts the window of six hours from the start of the running hour.
    pub(crate) wide_window: bool,
    /// AWS looks at the window before it looks for a duplicate.
    pub(crate) window_first: bool,
}

impl Shape {
    pub(crate) fn new(seed: u64, size: Size) -> Self {
        let mut dice = Rng::new(seed, 2);
        let hour = 3_600;
        let (pods, heal_s, quiet_s) = match size {
            Size::Days => (dice.pick(&[2, 2, 3]), dice.between(32, 72) * hour, 6 * hour),
            Size::Hours => (1, dice.between(7, 10) * hour, hour),
        };
        let (finish_s, end_s) = match size {
            Size::Days => (15 * hour, 16 * hour),
            Size::Hours => (7 * hour, 8 * hour),
        };
        let dimensions = dice.between(1, 3);
        let wide_window = dice.one_in(2);
        Self {
            pods,
            heal_s,
            quiet_s: heal_s + quiet_s,
            finish_s: heal_s + finish_s,
            end_s: heal_s + end_s,
            pers: (0..dimensions).map(|_| dice.pick(&[1, 1, 10, 1_000])).collect(),
            use_every_s: dice.pick(&[900, 1_800, 3_600, 7_200]),
            units_max: dice.pick(&[1, 5, 300, 5_000]),
            tagged: dice.one_in(2),
            carry: dice.one_in(2),
            zero_records: dice.one_in(4),
            asks: dice.one_in(3),
            wide_window,
            window_first: dice.one_in(2),
        }
    }

    /// Pod-hours in a run.
    pub(crate) fn pod_hours(&self) -> u64 {
        self.pods as u64 * self.end_s / 3_600
    }

    pub(crate) fn policy(&self, listing: usize, pers: &[u64]) -> Policy {
        let rate = |(&per, key): (&u64, &&str)| Rate { key: (*key).to_owned(), per };
        Policy {
            listing: LISTINGS[listing].to_owned(),
            product_code: format!("code-{}", LISTINGS[listing]),
            sends: listing == 0,
            carry: self.carry,
            zero_records: self.zero_records,
            dimensions: pers.iter().zip(&DIMENSIONS).map(rate).collect(),
            warn_after_s: 3_600,
            stop_after_s: 4 * 3_600,
        }
    }
}
