//! Remainders and allocations: whatever is split, the parts are the whole.

use proptest::prelude::*;
use tollgate_metering::*;

use crate::world::World;

/// Units with up to three tags out of seven keys.
fn usage() -> impl Strategy<Value = (Vec<(String, String)>, u64)> {
    let tags = prop::collection::btree_map((0_u8..7).prop_map(|key| format!("k{key}")), "[ab]", 0..3);
    (tags, prop_oneof![0_u64..50, 0_u64..100_000, Just(4_000_000_000)])
        .prop_map(|(tags, units)| (tags.into_iter().collect(), units))
}

fn teams(units: &[u64]) -> Buckets {
    let team = |(number, &units): (usize, &u64)| (Tags::new(vec![("team".to_owned(), format!("t{number:04}"))]), units);
    units.iter().enumerate().map(team).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_billed_and_what_remains_is_what_was_used_over_any_split_into_hours(
        hours in prop::collection::vec(prop::collection::vec((0_u64..5_000, 0_u8..3), 0..4), 1..30),
        per in 1_u64..5_000,
        zero_records: bool,
        compact: bool,
    ) {
        let mut world = World::default();
        world.run(&format!("set per {per}"));
        world.run(if zero_records { "set zero-records yes" } else { "set zero-records no" });
        world.run("start A");
        let (mut used, mut billed) = (0, 0);
        for (number, uses) in hours.iter().enumerate() {
            world.run(&format!("at {number}:40"));
            for (units, team) in uses {
                used += units;
                world.run(&format!("use pixels {units}{}", ["", " team=red", " team=blue"][usize::from(*team)]));
            }
            world.run(&format!("at {}:20", number + 1));
            world.run("plan");
            for (slot, _, request) in world.pending() {
                if slot.starts_with("pixels") {
                    billed += u64::from(request.quantity) * per;
                }
                world.run(&format!("reply {slot} accepted R"));
            }
            if compact {
                world.run("compact");
            }
            let balance = world.balance();
            prop_assert_eq!(u128::from(billed) + balance.remainder, u128::from(used));
            prop_assert!(balance.remainder < u128::from(per), "{} of {per} remain", balance.remainder);
        }
        world.run("show");
    }

    #[test]
    fn allocations_add_up_in_canonical_order_within_the_limits(
        uses in prop::collection::vec(usage(), 0..60),
        per in prop_oneof![Just(1_u64), 1_u64..1_000, 1_u64..10_000_000],
    ) {
        let units: Buckets = uses.into_iter().map(|(tags, units)| (Tags::new(tags), units)).collect();
        let Split { quantity, allocations, remainder } = split(&units, per);
        if units.total() / per <= u64::from(QUANTITY_MAX) {
            prop_assert_eq!(u64::from(quantity) * per + remainder.total(), units.total());
            prop_assert!(remainder.total() < per);
        } else {
            prop_assert_eq!(quantity, QUANTITY_MAX);
        }
        prop_assert!(units.contains(&remainder), "a remainder belongs to who used at least that much");
        let sum: u64 = allocations.iter().map(|part| u64::from(part.quantity)).sum();
        prop_assert!(allocations.is_empty() || sum == u64::from(quantity));
        prop_assert!(allocations.iter().all(|part| part.quantity > 0));
        prop_assert!(allocations.windows(2).all(|pair| pair[0].tags < pair[1].tags));
        let keys: std::collections::BTreeSet<_> =
            allocations.iter().flat_map(|part| part.tags.pairs()).map(|(key, _)| key).collect();
        prop_assert!(keys.len() <= 5, "{keys:?}");
        let tagged = allocations.iter().any(|part| !part.tags.is_empty());
        prop_assert!(allocations.is_empty() || tagged, "all of it without tags needs no split");
    }

    #[test]
    fn nobody_gets_more_than_who_used_more_or_another_whole_unit_than_the_nearest(
        used in prop::collection::vec(0_u64..5_000, 1..40),
        per in 1_u64..900,
    ) {
        let units = teams(&used);
        let allocations = split(&units, per).allocations;
        let billed = |tags: &Tags| {
            allocations.iter().find(|part| part.tags == *tags).map_or(0, |part| u64::from(part.quantity))
        };
        for (tags, units) in units.iter() {
            prop_assert!((units / per..=units.div_ceil(per)).contains(&billed(tags)));
        }
        for (more, used_more) in units.iter() {
            for (less, used_less) in units.iter() {
                prop_assert!(used_more <= used_less || billed(more) >= billed(less));
            }
        }
    }

    #[test]
    fn at_most_2500_sets_are_sent_and_the_largest_keep_their_own(sets in 2_490_usize..2_520, untagged in 0_u64..3) {
        let mut units = teams(&(1..=sets as u64).collect::<Vec<_>>());
        units.add(&Tags::NONE, untagged);
        let total = units.total();
        let allocations = split(&units, 1).allocations;
        let buckets = sets + usize::from(untagged > 0);
        prop_assert_eq!(allocations.len(), buckets.min(2_500));
        prop_assert_eq!(allocations.iter().map(|part| u64::from(part.quantity)).sum::<u64>(), total);
        let folded = if buckets > 2_500 { sets as u64 - 2_499 } else { 0 };
        let untagged_part = allocations.iter().find(|part| part.tags.is_empty()).map_or(0, |part| part.quantity);
        prop_assert_eq!(u64::from(untagged_part), untagged + folded * (folded + 1) / 2);
    }
}
