//! Allocations: how a record's quantity is split over sets of tags, and what makes a split invalid.

use crate::options::TagCharset;

/// A part of a record's quantity and the tags it belongs to; no tags is the untagged rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Allocation {
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) quantity: u32,
}

/// Why allocations are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AllocationRefusal {
    /// `InvalidTagException`.
    #[error("{0}")]
    Tag(String),
    /// `InvalidUsageAllocationsException`.
    #[error("{0}")]
    Usage(String),
}

/// Checks the allocations of a record over `quantity` and puts them in canonical order, so that equal splits compare
/// equal. Limits: the service model; "5 tags across the list" is the seller guide's.
pub(crate) fn check(
    mut allocations: Vec<Allocation>,
    quantity: u32,
    charset: TagCharset,
) -> Result<Vec<Allocation>, AllocationRefusal> {
    if allocations.is_empty() || allocations.len() > ALLOCATIONS_MAX {
        let count = allocations.len();
        return Err(AllocationRefusal::Usage(format!(
            "{count} usage allocations: 1 to {ALLOCATIONS_MAX} are allowed."
        )));
    }
    for allocation in &mut allocations {
        allocation.tags.sort();
        check_tags(&allocation.tags, charset)?;
    }
    allocations.sort();
    let mut keys: Vec<&str> = allocations.iter().flat_map(|a| a.tags.iter().map(|(key, _)| key.as_str())).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() > TAG_KEYS_MAX {
        let count = keys.len();
        return Err(AllocationRefusal::Tag(format!(
            "{count} tag keys across all allocations: at most {TAG_KEYS_MAX}."
        )));
    }
    if allocations.windows(2).any(|pair| pair[0].tags == pair[1].tags) {
        return Err(AllocationRefusal::Usage("Two usage allocations have the same set of tags.".to_owned()));
    }
    let sum: u64 = allocations.iter().map(|allocation| u64::from(allocation.quantity)).sum();
    if sum != u64::from(quantity) {
        let message = format!("The usage allocations add up to {sum}, the usage quantity is {quantity}.");
        return Err(AllocationRefusal::Usage(message));
    }
    Ok(allocations)
}

/// Checks one set of tags, sorted by key.
fn check_tags(tags: &[(String, String)], charset: TagCharset) -> Result<(), AllocationRefusal> {
    if tags.len() > TAGS_MAX {
        return Err(AllocationRefusal::Tag(format!("{} tags in one allocation: at most {TAGS_MAX}.", tags.len())));
    }
    if let Some(pair) = tags.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(AllocationRefusal::Tag(format!("The tag key {:?} occurs twice in one allocation.", pair[0].0)));
    }
    for (key, value) in tags {
        for (what, text, max) in [("key", key, TAG_KEY_MAX), ("value", value, TAG_VALUE_MAX)] {
            let length = text.chars().count();
            if length == 0 || length > max {
                return Err(AllocationRefusal::Tag(format!("A tag {what} has {length} characters: 1 to {max}.")));
            }
            if let Some(bad) = text.chars().find(|&c| !is_allowed(c, charset)) {
                return Err(AllocationRefusal::Tag(format!("The tag {what} {text:?} contains {bad:?}.")));
            }
        }
    }
    Ok(())
}

fn is_allowed(c: char, charset: TagCharset) -> bool {
    let listed = c.is_ascii_alphanumeric() || matches!(c, ' ' | '+' | '-' | '=' | '.' | '_' | ':' | '/' | '@');
    listed || (charset == TagCharset::Model && (' '..='=').contains(&c))
}

const ALLOCATIONS_MAX: usize = 2_500;
const TAGS_MAX: usize = 5;
const TAG_KEYS_MAX: usize = 5;
const TAG_KEY_MAX: usize = 100;
const TAG_VALUE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    /// Each line is `QUANTITY: units tag=value,tag=value | units ...`; the answer stands behind it.
    fn check_script(script: &str) -> String {
        script.lines().map(|line| format!("{} -> {}\n", line.trim(), answer(line.trim()))).collect()
    }

    fn answer(line: &str) -> String {
        let (quantity, list) = line.split_once(':').unwrap();
        let allocations = list.split('|').map(str::trim).filter(|part| !part.is_empty()).map(allocation).collect();
        match check(allocations, quantity.parse().unwrap(), TagCharset::Model) {
            Ok(_) => "ok".to_owned(),
            Err(AllocationRefusal::Tag(message)) => format!("InvalidTag: {message}"),
            Err(AllocationRefusal::Usage(message)) => format!("InvalidUsageAllocations: {message}"),
        }
    }

    fn allocation(part: &str) -> Allocation {
        let (units, tags) = part.split_once(' ').unwrap_or((part, ""));
        let tags = tags.split(',').filter_map(|tag| tag.split_once('='));
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Allocation { tags, quantity: units.parse().unwrap() }
    }

    #[test]
    fn a_split_adds_up_and_names_each_set_of_tags_once() {
        assert_snapshot!(check_script(
            "5: 5
             5: 2 team=a | 3
             5: 2 team=a | 2
             5: 2 team=a | 3 team=a
             5: 2 team=a,env=x | 3 env=x,team=a
             5: 2 | 3
             0: 0 team=a
             4294967294: 4294967294
             1:"
        ), @"
        5: 5 -> ok
        5: 2 team=a | 3 -> ok
        5: 2 team=a | 2 -> InvalidUsageAllocations: The usage allocations add up to 4, the usage quantity is 5.
        5: 2 team=a | 3 team=a -> InvalidUsageAllocations: Two usage allocations have the same set of tags.
        5: 2 team=a,env=x | 3 env=x,team=a -> InvalidUsageAllocations: Two usage allocations have the same set of tags.
        5: 2 | 3 -> InvalidUsageAllocations: Two usage allocations have the same set of tags.
        0: 0 team=a -> ok
        4294967294: 4294967294 -> ok
        1: -> InvalidUsageAllocations: 0 usage allocations: 1 to 2500 are allowed.
        ");
    }

    #[test]
    fn tags_are_few_short_and_plain() {
        assert_snapshot!(check_script(
            "1: 1 a=1,b=2,c=3,d=4,e=5
             1: 1 a=1,b=2,c=3,d=4,e=5,f=6
             2: 1 a=1,b=2,c=3 | 1 d=4,e=5,f=6
             1: 1 a=1,a=2
             1: 1 a=
             1: 1 =a
             1: 1 team=café
             1: 1 team=<x>
             1: 1 team=x!#$%&'()*;"
        ), @r#"
        1: 1 a=1,b=2,c=3,d=4,e=5 -> ok
        1: 1 a=1,b=2,c=3,d=4,e=5,f=6 -> InvalidTag: 6 tags in one allocation: at most 5.
        2: 1 a=1,b=2,c=3 | 1 d=4,e=5,f=6 -> InvalidTag: 6 tag keys across all allocations: at most 5.
        1: 1 a=1,a=2 -> InvalidTag: The tag key "a" occurs twice in one allocation.
        1: 1 a= -> InvalidTag: A tag value has 0 characters: 1 to 256.
        1: 1 =a -> InvalidTag: A tag key has 0 characters: 1 to 100.
        1: 1 team=café -> InvalidTag: The tag value "café" contains 'é'.
        1: 1 team=<x> -> InvalidTag: The tag value "<x>" contains '>'.
        1: 1 team=x!#$%&'()*; -> ok
        "#);
    }

    #[test]
    fn the_prose_allows_fewer_characters_than_the_model() {
        let split = |value: &str| vec![Allocation { tags: vec![("k".to_owned(), value.to_owned())], quantity: 1 }];
        assert!(check(split("50%"), 1, TagCharset::Model).is_ok());
        assert!(check(split("50%"), 1, TagCharset::Prose).is_err());
        assert!(check(split("a+b -=._:/@"), 1, TagCharset::Prose).is_ok());
    }
}
