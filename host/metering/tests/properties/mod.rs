//! Random days of a host: whatever crashes, repeats or gets lost, nothing is billed twice.

mod entries;
mod sums;

use proptest::prelude::*;

use crate::world::{Fate, Service, World};

#[derive(Debug, Clone)]
enum Event {
    Use {
        pixels: bool,
        units: u64,
        team: u8,
    },
    Pass {
        minutes: u64,
    },
    Plan,
    Reply {
        which: usize,
        fate: Fate,
    },
    /// The process dies; what was under way had arrived, or not.
    Restart {
        new_identity: bool,
        arrived: bool,
    },
    /// The task dies, and another with a folder of its own adopts what is on the volume; perhaps it dies in between.
    Replaced {
        arrived: bool,
        cut_off: bool,
    },
    Finish,
    Compact,
}

fn event() -> impl Strategy<Value = Event> {
    let fate = prop_oneof![
        4 => Just(Fate::Answered),
        2 => Just(Fate::AnswerLost),
        2 => Just(Fate::RequestLost),
        2 => Just(Fate::Throttled),
        1 => Just(Fate::TagsRefused),
        1 => Just(Fate::Refused),
    ];
    prop_oneof![
        6 => (any::<bool>(), 1_u64..3_000, 0_u8..3).prop_map(|(pixels, units, team)| Event::Use { pixels, units, team }),
        5 => (1_u64..100).prop_map(|minutes| Event::Pass { minutes }),
        1 => (100_u64..500).prop_map(|minutes| Event::Pass { minutes }),
        5 => Just(Event::Plan),
        6 => (0_usize..8, fate).prop_map(|(which, fate)| Event::Reply { which, fate }),
        1 => any::<(bool, bool)>().prop_map(|(new_identity, arrived)| Event::Restart { new_identity, arrived }),
        1 => any::<(bool, bool)>().prop_map(|(arrived, cut_off)| Event::Replaced { arrived, cut_off }),
        1 => Just(Event::Finish),
        1 => Just(Event::Compact),
    ]
}

/// Runs the events, then heals everything and lets a day pass.
fn check(events: &[Event], carry: bool, zero_records: bool) -> (World, Service) {
    let (mut world, mut service) = (World::default(), Service::default());
    let (mut minute, mut identity, mut folders) = (0, 0, 0);
    world.run(if carry { "set carry yes" } else { "set carry no" });
    world.run(if zero_records { "set zero-records yes" } else { "set zero-records no" });
    world.run("start task-0");
    for event in events {
        match event {
            Event::Use { pixels, units, team } => {
                let tags = ["", " team=red", " team=blue"][usize::from(*team)];
                world.run(&format!("use {} {units}{tags}", if *pixels { "pixels" } else { "images" }));
            }
            Event::Pass { minutes } => {
                minute += minutes;
                world.run(&format!("at 0:{minute}"));
            }
            Event::Plan => drop(world.run("plan")),
            Event::Reply { which, fate } => reply(&mut world, &mut service, *which, *fate),
            Event::Restart { new_identity, arrived } => {
                cut_short(&world, &mut service, *arrived);
                identity += u32::from(*new_identity);
                world.run(&format!("start task-{identity}"));
            }
            Event::Replaced { arrived, cut_off } => {
                cut_short(&world, &mut service, *arrived);
                identity += 1;
                world.run(&format!("folder {folders} new"));
                folders += 1;
                world.run(&format!("start task-{identity}"));
                if *cut_off {
                    world.run(&format!("adopt {} cut off", folders - 1));
                    world.run(&format!("start task-{identity}"));
                }
                (0..folders).for_each(|folder| drop(world.run(&format!("adopt {folder}"))));
            }
            Event::Compact => drop(world.run("compact")),
            Event::Finish => {
                world.run("finish");
                world.run(&format!("start task-{identity}"));
            }
        }
    }
    for _ in 0..30 {
        minute += 60;
        world.run(&format!("at 0:{minute}"));
        world.run("plan");
        while !world.pending().is_empty() {
            reply(&mut world, &mut service, 0, Fate::Answered);
            world.run("plan");
        }
    }
    world.run("show");
    (world, service)
}

/// What was under way when the process died had arrived, or not.
fn cut_short(world: &World, service: &mut Service, arrived: bool) {
    let fate = if arrived { Fate::AnswerLost } else { Fate::RequestLost };
    for (slot, identity, request) in world.pending() {
        service.meter(identity, &slot, &request, world.per(&slot), fate);
    }
}

fn reply(world: &mut World, service: &mut Service, which: usize, fate: Fate) {
    let pending = world.pending();
    let Some((slot, identity, request)) = pending.get(which % pending.len().max(1)).cloned() else { return };
    let said = service.meter(identity, &slot, &request, world.per(&slot), fate);
    world.run(&format!("reply {slot} {said}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_billed_twice_and_every_unit_is_somewhere(
        events in prop::collection::vec(event(), 1..80),
        carry: bool,
        zero_records: bool,
    ) {
        let (world, service) = check(&events, carry, zero_records);
        let balance = world.balance();
        prop_assert!(service.billed <= balance.recorded, "{} billed of {}", service.billed, balance.recorded);
        prop_assert!(balance.acked <= service.billed);
        // What AWS holds and the ledger does not know for sure is in doubt, never forgotten and never sent elsewhere.
        prop_assert!(service.billed <= balance.acked + balance.in_doubt);
        prop_assert_eq!(balance.adopted, balance.handed_over);
        let own = world.own_balance();
        prop_assert_eq!((own.open, own.sealed, own.attempted), (0, 0, 0));
    }
}
