//! Units by tag set, and sums that cannot wrap.
//!
//! Everything is counted in units of the guest. A billed unit is `per` of them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The largest quantity of one record (`UsageQuantity` of `MeterUsage`).
pub const QUANTITY_MAX: u32 = 2_147_483_647;

/// An allocation bucket: key and value of each tag, sorted by key; none for units without tags. Clones share the text: one
/// set is in the sums of many hours and dimensions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tags(Option<Arc<[(String, String)]>>);

impl Tags {
    /// The bucket without tags.
    pub const NONE: Self = Self(None);

    /// Sorts the pairs, so that equal sets are equal values. The characters are the business of who accepts the tags.
    pub fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.sort();
        Self::shared(pairs.into())
    }

    /// The same without a copy, of pairs that somebody else has, sorted by key.
    pub fn shared(pairs: Arc<[(String, String)]>) -> Self {
        if pairs.is_sorted() { Self((!pairs.is_empty()).then_some(pairs)) } else { Self::new(pairs.to_vec()) }
    }

    /// The pairs, sorted by key.
    pub fn pairs(&self) -> &[(String, String)] {
        self.0.as_deref().unwrap_or_default()
    }

    /// True for the bucket without tags.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// Units of each tag set, none of them zero, with a total that fits 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Buckets {
    units: BTreeMap<Tags, u64>,
    total: u64,
}

impl Buckets {
    /// The sum of all units.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Tag set and units, in canonical order: the untagged bucket first.
    pub fn iter(&self) -> impl Iterator<Item = (&Tags, u64)> {
        self.units.iter().map(|(tags, &units)| (tags, units))
    }

    /// True if there is no unit.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Adds units; past 64 bits the rest is lost, which [`crate::Ledger::admit`] has refused before.
    pub fn add(&mut self, tags: &Tags, units: u64) {
        let units = units.min(u64::MAX - self.total);
        if units == 0 {
            return;
        }
        self.total += units;
        match self.units.get_mut(tags) {
            Some(have) => *have += units,
            None => drop(self.units.insert(tags.clone(), units)),
        }
    }

    /// Adds all units of another.
    pub fn add_all(&mut self, other: &Self) {
        other.iter().for_each(|(tags, units)| self.add(tags, units));
    }

    /// Takes units out, as far as they are there.
    pub fn take(&mut self, tags: &Tags, units: u64) {
        let Some(have) = self.units.get_mut(tags) else { return };
        let units = units.min(*have);
        *have -= units;
        self.total -= units;
        if *have == 0 {
            self.units.remove(tags);
        }
    }

    /// Takes all units of another out, as far as they are there.
    pub fn take_all(&mut self, other: &Self) {
        other.iter().for_each(|(tags, units)| self.take(tags, units));
    }

    /// True if every bucket of the other is here with at least its units.
    pub fn contains(&self, other: &Self) -> bool {
        other.iter().all(|(tags, units)| self.units.get(tags).is_some_and(|&have| have >= units))
    }

    /// What has to leave so that `most` units stay: the last buckets in canonical order.
    pub fn beyond(&self, most: u64) -> Self {
        let mut left = self.total.saturating_sub(most);
        let mut rest = Self::default();
        for (tags, &units) in self.units.iter().rev() {
            let part = units.min(left);
            rest.add(tags, part);
            left -= part;
        }
        rest
    }
}

impl FromIterator<(Tags, u64)> for Buckets {
    fn from_iter<I: IntoIterator<Item = (Tags, u64)>>(pairs: I) -> Self {
        let mut buckets = Self::default();
        pairs.into_iter().for_each(|(tags, units)| buckets.add(&tags, units));
        buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_in_another_order_are_the_same_tags() {
        let pair = |key: &str| (String::from(key), String::from("v"));
        let pairs: Vec<Arc<[(String, String)]>> =
            alloc::vec![Arc::new([pair("a"), pair("b")]), Arc::new([pair("b"), pair("a")])];
        let [sorted, other] = [0, 1].map(|number| Tags::shared(pairs[number].clone()));
        assert_eq!(sorted, other);
        assert_eq!(other.pairs()[0].0, "a");
        assert!(Tags::shared(Arc::new([])).is_empty() && Tags::new(Vec::new()) == Tags::NONE);
    }

    #[test]
    fn what_is_taken_out_is_what_was_there_at_most() {
        let red = Tags::new(alloc::vec![("team".into(), "red".into())]);
        let mut buckets: Buckets = [(Tags::NONE, 5), (red.clone(), 3)].into_iter().collect();
        buckets.take(&Tags::NONE, 2);
        buckets.take(&red, 9);
        assert_eq!(buckets, [(Tags::NONE, 3)].into_iter().collect());
        assert_eq!(buckets.total(), 3);
    }
}
