//! Allocations: how a record's quantity is split over sets of tags, and what makes a split invalid.

use serde::{Deserialize, Serialize};

use crate::{
    meter_usage::Usage,
    options::TagCharset,
    quantity::{Form, Quantity},
};

/// A part of a record's quantity and the tags it belongs to; no tags is the untagged rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Allocation {
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) quantity: Quantity,
}

/// An allocation as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Split {
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) quantity: Quantity,
    pub(crate) form: Form,
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

/// Checks the allocations of a record over `usage` and puts them in canonical order, so that equal splits compare
/// equal. Limits: the service model; "5 tags across the list" is the seller guide's.
pub(crate) fn check(
    splits: Vec<Split>,
    usage: &Usage,
    charset: TagCharset,
) -> Result<Vec<Allocation>, AllocationRefusal> {
    if let Some(other) = splits.iter().map(|split| split.form).find(|form| usage.form.is_some_and(|own| own != *form)) {
        let message = match other {
            Form::Decimal => "The usage allocations are decimals, the usage quantity is a whole number.",
            Form::Whole => "The usage allocations are whole numbers, the usage quantity is a decimal.",
        };
        return Err(AllocationRefusal::Usage(message.to_owned()));
    }
    let mut allocations = Vec::with_capacity(splits.len());
    for Split { mut tags, quantity, .. } in splits {
        tags.sort();
        check_tags(&tags, charset)?;
        allocations.push(Allocation { tags, quantity });
    }
    allocations.sort();
    check_keys(&allocations)?;
    if allocations.windows(2).any(|pair| pair[0].tags == pair[1].tags) {
        return Err(AllocationRefusal::Usage("Two usage allocations have the same set of tags.".to_owned()));
    }
    let (sum, quantity) = (allocations.iter().map(|allocation| allocation.quantity).sum::<Quantity>(), usage.quantity);
    if sum != quantity {
        let message = format!("The usage allocations add up to {sum}, the usage quantity is {quantity}.");
        return Err(AllocationRefusal::Usage(message));
    }
    Ok(allocations)
}

fn check_keys(allocations: &[Allocation]) -> Result<(), AllocationRefusal> {
    let mut keys: Vec<&str> = allocations.iter().flat_map(|a| a.tags.iter().map(|(key, _)| key.as_str())).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() > TAG_KEYS_MAX {
        let count = keys.len();
        return Err(AllocationRefusal::Tag(format!(
            "{count} tag keys across all allocations: at most {TAG_KEYS_MAX}."
        )));
    }
    Ok(())
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
        let splits = list.split('|').map(str::trim).map(split).collect();
        match check(splits, &usage(quantity), TagCharset::Model) {
            Ok(_) => "ok".to_owned(),
            Err(AllocationRefusal::Tag(message)) => format!("InvalidTag: {message}"),
            Err(AllocationRefusal::Usage(message)) => format!("InvalidUsageAllocations: {message}"),
        }
    }

    fn split(part: &str) -> Split {
        let (units, tags) = part.split_once(' ').unwrap_or((part, ""));
        let tags = tags.split(',').filter_map(|tag| tag.split_once('='));
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let Usage { quantity, form } = usage(units);
        Split { tags, quantity, form: form.unwrap() }
    }

    /// A number with a point is a decimal on the wire.
    fn usage(text: &str) -> Usage {
        let form = if text.contains('.') { Form::Decimal } else { Form::Whole };
        Usage { quantity: Quantity::parse(text).unwrap(), form: Some(form) }
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
             1.5: 1.0 | 0.500000 team=a
             1.5: 1 | 0.5 team=a
             2: 1.0 | 1.0 team=a"
        ), @"
        5: 5 -> ok
        5: 2 team=a | 3 -> ok
        5: 2 team=a | 2 -> InvalidUsageAllocations: The usage allocations add up to 4, the usage quantity is 5.
        5: 2 team=a | 3 team=a -> InvalidUsageAllocations: Two usage allocations have the same set of tags.
        5: 2 team=a,env=x | 3 env=x,team=a -> InvalidUsageAllocations: Two usage allocations have the same set of tags.
        5: 2 | 3 -> InvalidUsageAllocations: Two usage allocations have the same set of tags.
        0: 0 team=a -> ok
        4294967294: 4294967294 -> ok
        1.5: 1.0 | 0.500000 team=a -> ok
        1.5: 1 | 0.5 team=a -> InvalidUsageAllocations: The usage allocations are whole numbers, the usage quantity is a decimal.
        2: 1.0 | 1.0 team=a -> InvalidUsageAllocations: The usage allocations are decimals, the usage quantity is a whole number.
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
        let answer = |value: &str, charset| {
            let tags = vec![("k".to_owned(), value.to_owned())];
            check(vec![Split { tags, ..split("1") }], &usage("1"), charset).is_ok()
        };
        assert!(answer("50%", TagCharset::Model));
        assert!(!answer("50%", TagCharset::Prose));
        assert!(answer("a+b -=._:/@", TagCharset::Prose));
    }
}
