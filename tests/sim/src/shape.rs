//! What a run is about: how many pods, for how long, and what they sell.

use tollgate_metering::{Policy, Rate, Tags};

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
    /// One to three pods for days: at least 48 pod-hours.
    #[default]
    Days,
    /// One or two pods for some hours, a few for more than a day, so that every step of it can be tried.
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
    /// When all pods start once more.
    pub(crate) redeploy_s: u64,
    /// When every process is told to end.
    pub(crate) finish_s: u64,
    pub(crate) end_s: u64,
    pub(crate) pers: Vec<u64>,
    pub(crate) use_every_s: u64,
    pub(crate) units_max: u64,
    /// Tag sets by number; the first is that without tags.
    pub(crate) tags: Vec<Tags>,
    /// They have more keys than AWS takes.
    pub(crate) wide_tags: bool,
    /// The pods share one volume.
    pub(crate) shared: bool,
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
        let (pods, heal_s) = match size {
            Size::Days => (dice.pick(&[1, 1, 2, 2, 3]), dice.between(37, 58) * hour),
            Size::Hours => (dice.pick(&[1, 1, 2]), if dice.one_in(8) { 27 * hour } else { dice.between(7, 10) * hour }),
        };
        let quiet_s = hour;
        let dimensions = dice.between(1, 3);
        let wide_window = dice.one_in(2);
        let (tagged, wide_tags) = (dice.one_in(2), dice.one_in(8));
        let key = |set: u64| if wide_tags { format!("k{set}") } else { "team".to_owned() };
        let sets = if tagged { 1..if wide_tags { 8 } else { 4 } } else { 1..1 };
        let tagged_sets = sets.map(|set| Tags::new(vec![(key(set), format!("t{set}"))]));
        Self {
            pods,
            heal_s,
            quiet_s: heal_s + quiet_s,
            redeploy_s: heal_s + 9 * hour,
            finish_s: heal_s + 10 * hour,
            end_s: heal_s + 11 * hour,
            pers: (0..dimensions).map(|_| dice.pick(&[1, 1, 10, 1_000])).collect(),
            use_every_s: dice.pick(&[900, 1_800, 3_600, 7_200]),
            units_max: dice.pick(&[1, 5, 300, 5_000]),
            tags: std::iter::once(Tags::NONE).chain(tagged_sets).collect(),
            wide_tags: tagged && wide_tags,
            shared: dice.one_in(2),
            carry: dice.one_in(2),
            zero_records: dice.one_in(4),
            asks: dice.one_in(3),
            wide_window,
            window_first: dice.one_in(2),
        }
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
