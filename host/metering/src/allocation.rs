//! From units by tag set to the quantity of a record and its allocations.
//!
//! The sum of the allocations is the quantity, always. What does not make a whole billed unit stays with the tag set
//! that used it, so that the next hour attributes it rightly.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::units::{Buckets, QUANTITY_MAX, Tags};

/// The most allocations of one record (`UsageAllocations` of `MeterUsage`).
const SETS_MAX: usize = 2_500;
/// The most different tag keys over all allocations of one record (seller guide, "maximum tags across the list").
const KEYS_MAX: usize = 5;

/// A part of a record's quantity, with the tags the buyer sees it under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// Billed units, never zero.
    pub quantity: u32,
    /// The tags; empty for the part without.
    pub tags: Tags,
}

/// What is sent of some units, and what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Whole billed units.
    pub quantity: u32,
    /// In canonical order; empty if nothing is tagged.
    pub allocations: Vec<Allocation>,
    /// Units that make no whole billed unit, fewer than `per` in total.
    pub remainder: Buckets,
}

/// Splits units into whole billed units of `per` each and a remainder. Whole units are given to tag sets by largest
/// fraction, ties in canonical order.
///
/// Units beyond the largest quantity are the caller's to move before: they would end up in the remainder.
pub fn split(units: &Buckets, per: u64) -> Split {
    let per = per.max(1);
    let quantity = quantity(units.total(), per);
    let floors: u64 = units.iter().map(|(_, units)| units / per).sum();
    let mut extra = u64::from(quantity).saturating_sub(floors);
    let mut by_fraction: Vec<(&Tags, u64)> = units.iter().collect();
    by_fraction.sort_by_key(|&(_, units)| core::cmp::Reverse(units % per));
    let mut whole: BTreeMap<&Tags, u64> = BTreeMap::new();
    let mut remainder = Buckets::default();
    let mut left = units.total() - u64::from(quantity) * per;
    let mut whole_left = u64::from(quantity);
    for (tags, units) in by_fraction {
        // There are more fractions than extra units to give.
        let round_up = u64::from(extra > 0);
        extra -= round_up;
        let part = (units / per + round_up).min(whole_left);
        whole_left -= part;
        whole.insert(tags, part);
        if round_up == 0 {
            let rest = units.saturating_sub(part * per).min(left);
            remainder.add(tags, rest);
            left -= rest;
        }
    }
    let allocations = allocations(whole.into_iter().map(|(tags, part)| (tags.clone(), part)).collect());
    Split { quantity, allocations, remainder }
}

/// Whole billed units of `per` in `units`, at most what one record takes.
pub(crate) fn quantity(units: u64, per: u64) -> u32 {
    u32::try_from(units / per.max(1)).unwrap_or(QUANTITY_MAX).min(QUANTITY_MAX)
}

/// Keeps the limits of AWS by moving what does not fit into the untagged bucket.
fn allocations(whole: Buckets) -> Vec<Allocation> {
    let keys = most_used_keys(&whole);
    let mut kept = Buckets::default();
    for (tags, units) in whole.iter() {
        let fits = tags.pairs().iter().all(|(key, _)| keys.contains(key.as_str()));
        kept.add(if fits { tags } else { &UNTAGGED }, units);
    }
    let kept = fold_smallest(kept);
    if kept.iter().all(|(tags, _)| tags.is_empty()) {
        return Vec::new();
    }
    let allocation = |(tags, units): (&Tags, u64)| Allocation {
        quantity: u32::try_from(units).unwrap_or(u32::MAX),
        tags: tags.clone(),
    };
    kept.iter().map(allocation).collect()
}

static UNTAGGED: Tags = Tags::NONE;

/// The five keys with the most units, ties by name.
fn most_used_keys(whole: &Buckets) -> BTreeSet<&str> {
    let mut units_of: BTreeMap<&str, u64> = BTreeMap::new();
    for (tags, units) in whole.iter() {
        for (key, _) in tags.pairs() {
            *units_of.entry(key).or_default() += units;
        }
    }
    let mut keys: Vec<(&str, u64)> = units_of.into_iter().collect();
    keys.sort_by_key(|&(_, units)| core::cmp::Reverse(units));
    keys.into_iter().take(KEYS_MAX).map(|(key, _)| key).collect()
}

/// At most 2500 buckets: the smallest join the untagged one.
fn fold_smallest(kept: Buckets) -> Buckets {
    if kept.iter().count() <= SETS_MAX {
        return kept;
    }
    let mut tagged: Vec<(&Tags, u64)> = kept.iter().filter(|(tags, _)| !tags.is_empty()).collect();
    tagged.sort_by_key(|&(_, units)| core::cmp::Reverse(units));
    let mut folded: Buckets = tagged.iter().take(SETS_MAX - 1).map(|&(tags, units)| (tags.clone(), units)).collect();
    folded.add(&UNTAGGED, kept.total() - folded.total());
    folded
}

#[cfg(test)]
mod tests;
