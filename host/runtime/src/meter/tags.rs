//! Tag sets: validated once, canonical, and known by a number from then on.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Dimension;

/// Tag sets a process remembers; one more is refused.
const SETS_MAX: usize = 100_000;
/// Limits of AWS for one allocation.
const PAIRS_MAX: usize = 5;
const KEY_BYTES_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 256;

/// The number of an interned [`TagSet`] in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagsId(
    /// Zero is the untagged bucket; other numbers mean something only to the meter that gave them out.
    pub u32,
);

impl TagsId {
    /// The bucket of units without tags.
    pub const UNTAGGED: Self = Self(0);
}

/// From 1 to 5 pairs of key and value, sorted by key, each key once, in the characters that AWS takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagSet(Arc<[(String, String)]>);

/// Why a tag set was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagRefusal {
    /// A pair that AWS would not take, a key given twice, no pair at all, or more than five.
    #[error("not a tag set that AWS takes")]
    Invalid,
    /// More different sets than the host remembers.
    #[error("too many different tag sets")]
    TooMany,
}

impl TagSet {
    /// Checks and sorts.
    ///
    /// # Errors
    ///
    /// Keys have from 1 to 100 characters, values from 1 to 256; letters, digits, space and `+-=._:/@` are taken
    /// (documented for `UsageAllocation` of the AWS Marketplace Metering API).
    pub fn new(mut pairs: Vec<(String, String)>) -> Result<Self, TagRefusal> {
        let legal = |(key, value): &(String, String)| word(key, KEY_BYTES_MAX) && word(value, VALUE_BYTES_MAX);
        if !(1..=PAIRS_MAX).contains(&pairs.len()) || !pairs.iter().all(legal) {
            return Err(TagRefusal::Invalid);
        }
        pairs.sort();
        if pairs.windows(2).any(|two| two[0].0 == two[1].0) {
            return Err(TagRefusal::Invalid);
        }
        Ok(Self(pairs.into()))
    }

    /// The pairs, sorted by key.
    pub fn pairs(&self) -> &Arc<[(String, String)]> {
        &self.0
    }
}

fn word(text: &str, bytes_max: usize) -> bool {
    let taken = |b: u8| b.is_ascii_alphanumeric() || b" +-=._:/@".contains(&b);
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(taken)
}

/// A set and the dimensions that declare all of its keys.
#[derive(Debug)]
pub(super) struct Interned {
    pub(super) set: Arc<TagSet>,
    /// One a dimension.
    pub(super) allowed: Vec<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Interner {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<Arc<TagSet>, TagsId>,
    /// The set of id n is at n - 1.
    sets: Vec<Arc<Interned>>,
}

impl Interner {
    pub(super) fn intern(&self, set: TagSet, dimensions: &[Dimension]) -> Result<(TagsId, Arc<Interned>), TagRefusal> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(&id) = known.ids.get(&set) {
            return known.get(id).map(|interned| (id, interned)).ok_or(TagRefusal::Invalid);
        }
        drop(known);
        let declares = |d: &Dimension| set.pairs().iter().all(|(key, _)| d.tag_keys.contains(key));
        let allowed = dimensions.iter().map(declares).collect();
        let set = Arc::new(set);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(set, allowed)
    }

    pub(super) fn get(&self, id: TagsId) -> Option<Arc<Interned>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(id)
    }
}

impl Known {
    fn get(&self, id: TagsId) -> Option<Arc<Interned>> {
        let index = usize::try_from(id.0).ok()?.checked_sub(1)?;
        self.sets.get(index).cloned()
    }

    fn insert(&mut self, set: Arc<TagSet>, allowed: Vec<bool>) -> Result<(TagsId, Arc<Interned>), TagRefusal> {
        // Somebody may have been first between the two locks.
        if let Some(&id) = self.ids.get(&set) {
            return self.get(id).map(|interned| (id, interned)).ok_or(TagRefusal::Invalid);
        }
        if self.sets.len() >= SETS_MAX {
            return Err(TagRefusal::TooMany);
        }
        let interned = Arc::new(Interned { set: set.clone(), allowed });
        self.sets.push(interned.clone());
        let id = TagsId(u32::try_from(self.sets.len()).map_err(|_| TagRefusal::TooMany)?);
        self.ids.insert(set, id);
        Ok((id, interned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs as `key=value`, joined by `, `.
    fn check(pairs: &[(&str, &str)]) -> String {
        let pairs = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        match TagSet::new(pairs) {
            Ok(set) => set.pairs().iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(", "),
            Err(refusal) => format!("refused: {refusal}"),
        }
    }

    #[test]
    fn tag_rules_are_those_of_aws() {
        let (long_key, long_value) = ("k".repeat(101), "v".repeat(257));
        let table: Vec<Vec<(&str, &str)>> = vec![
            vec![("team", "blue")],
            vec![("team", "blue"), ("env", "prod")],
            vec![("Team", "a"), ("team", "b")],
            vec![("a b+-=._:/@9", "x y")],
            vec![],
            vec![("team", "")],
            vec![("", "blue")],
            vec![("team", "blue"), ("team", "red")],
            vec![("team", "blau\u{e4}")],
            vec![("team", "blue\n")],
            vec![("team", "a,b")],
            vec![(&long_key, "v")],
            vec![("k", &long_value)],
            vec![(&long_key[..100], "v")],
            vec![("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1"), ("f", "1")],
        ];
        let lines: Vec<String> = table.iter().map(|pairs| check(pairs).chars().take(40).collect()).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        team=blue
        env=prod, team=blue
        Team=a, team=b
        a b+-=._:/@9=x y
        refused: not a tag set that AWS takes
        refused: not a tag set that AWS takes
        refused: not a tag set that AWS takes
        refused: not a tag set that AWS takes
        refused: not a tag set that AWS takes
        refused: not a tag set that AWS takes
        refused: not a tag set that AWS takes
        refused: not a tag set that AWS takes
        refused: not a tag set that AWS takes
        kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
        refused: not a tag set that AWS takes
        ");
    }

    #[test]
    fn the_same_set_in_another_order_has_the_same_number() {
        let dimension = Dimension {
            key: "images".into(),
            source: super::super::Source::Guest,
            tag_keys: vec!["team".into(), "env".into()],
        };
        let interner = Interner::default();
        let number = |pairs: &[(&str, &str)]| {
            let set = TagSet::new(pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())?;
            interner.intern(set, std::slice::from_ref(&dimension)).map(|(id, _)| id.0)
        };
        assert_eq!(number(&[("team", "a"), ("env", "b")]), Ok(1));
        assert_eq!(number(&[("env", "b"), ("team", "a")]), Ok(1));
        assert_eq!(number(&[("team", "b")]), Ok(2));
        assert_eq!(number(&[("team", "a"), ("team", "b")]), Err(TagRefusal::Invalid));
    }
}
