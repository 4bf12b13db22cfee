use alloc::format;
use alloc::string::{String, ToString};

use proptest::prelude::*;

use super::*;

/// Units by team, split by `per`; the answer as `quantity = allocations rest remainder`.
fn check(per: u64, units: &[(&str, u64)]) -> String {
    let split = split(&buckets(units), per);
    let parts = split.allocations.iter().map(|a| format!("{}:{}", name(&a.tags), a.quantity));
    let rest = split.remainder.iter().map(|(tags, units)| format!("{}:{units}", name(tags)));
    format!(
        "{} = [{}] rest [{}]",
        split.quantity,
        parts.collect::<Vec<_>>().join(" "),
        rest.collect::<Vec<_>>().join(" ")
    )
}

fn buckets(units: &[(&str, u64)]) -> Buckets {
    units.iter().map(|&(team, units)| (team_tags(team), units)).collect()
}

fn team_tags(team: &str) -> Tags {
    if team.is_empty() { Tags::NONE } else { Tags::new(alloc::vec![("team".into(), team.into())]) }
}

fn name(tags: &Tags) -> String {
    tags.pairs().first().map_or_else(|| "-".to_string(), |(_, value)| value.clone())
}

#[test]
fn untagged_usage_has_no_allocations() {
    assert_eq!(check(1, &[("", 7)]), "7 = [] rest []");
    assert_eq!(check(10, &[("", 27)]), "2 = [] rest [-:7]");
}

#[test]
fn parts_are_in_canonical_order_and_add_up() {
    assert_eq!(check(1, &[("red", 2), ("", 1), ("blue", 4)]), "7 = [-:1 blue:4 red:2] rest []");
}

#[test]
fn whole_units_go_to_the_largest_fractions_and_the_rest_stays_with_who_used_it() {
    assert_eq!(check(10, &[("a", 9), ("b", 8), ("c", 7)]), "2 = [a:1 b:1] rest [c:4]");
    assert_eq!(check(10, &[("a", 15), ("b", 4)]), "1 = [a:1] rest [a:5 b:4]");
    assert_eq!(check(10, &[("a", 21), ("b", 19)]), "4 = [a:2 b:2] rest []");
}

#[test]
fn what_is_above_the_largest_quantity_remains() {
    assert_eq!(check(1, &[("a", 2_147_483_650), ("b", 7)]), "2147483647 = [a:2147483647] rest [a:3 b:7]");
}

#[test]
fn a_part_that_is_not_a_whole_unit_is_not_sent() {
    assert_eq!(check(1_000, &[("a", 1_500)]), "1 = [a:1] rest [a:500]");
    assert_eq!(check(1_000, &[("a", 999)]), "0 = [] rest [a:999]");
}

#[test]
fn the_smallest_of_too_many_sets_join_the_untagged_bucket() {
    let many: Buckets = (0..3_000_u64).map(|n| (team_tags(&format!("t{n:04}")), n + 1)).collect();
    let split = split(&many, 1);
    assert_eq!(split.allocations.len(), 2_500);
    // 2499 sets keep their own bucket: the smallest 501 are units 1 to 501.
    assert_eq!(split.allocations.first().map(|a| (a.tags.is_empty(), a.quantity)), Some((true, 501 * 502 / 2)));
    assert_eq!(split.allocations.iter().map(|a| u64::from(a.quantity)).sum::<u64>(), many.total());
}

#[test]
fn a_sixth_tag_key_is_left_out() {
    let keys: Buckets = (1..=6_u64).map(|n| (Tags::new(alloc::vec![(format!("k{n}"), "v".into())]), n)).collect();
    let split = split(&keys, 1);
    let first = split.allocations.first().map(|a| (a.tags.clone(), a.quantity));
    assert_eq!(first, Some((Tags::NONE, 1)));
    assert_eq!(split.allocations.len(), 6);
}

proptest! {
    #[test]
    fn nothing_is_lost_or_made(units in prop::collection::vec((0_u8..20, 0_u64..10_000), 0..40), per in 1_u64..5_000) {
        let teams = units.iter().map(|&(team, units)| (team_tags(&"abcdefghijklmnopqrst"[..usize::from(team)]), units));
        let all: Buckets = teams.collect();
        let split = split(&all, per);
        prop_assert_eq!(u64::from(split.quantity) * per + split.remainder.total(), all.total());
        prop_assert!(split.remainder.total() < per);
        let allocated: u64 = split.allocations.iter().map(|a| u64::from(a.quantity)).sum();
        prop_assert!(split.allocations.is_empty() || allocated == u64::from(split.quantity));
        prop_assert!(split.allocations.iter().all(|a| a.quantity > 0));
        // A remainder belongs to somebody who used at least that much.
        prop_assert!(all.contains(&split.remainder));
    }
}
