//! Commands that stand for many: whole trees of replies, months of hours, thousands of tag sets.

use tollgate_metering::*;

use super::service::{Fate, Service};
use super::telling::name;
use super::{FIRST, World};

/// One reply of each class, and the end of the process before one came.
const REPLIES: [&str; 8] =
    ["accepted R", "throttled", "timeout", "crash", "bad-tags", "duplicate", "not-entitled", "refused X"];

impl World {
    /// What becomes of a try under way after each sequence of replies, until the outcome is final.
    pub(super) fn every_reply(&self, slot: &str, depth: usize) -> Vec<String> {
        let mut said = Vec::new();
        self.follow(slot, depth, "", &mut |path, world| {
            let state = world.ledger.slot(&world.slot(slot)).unwrap();
            said.push(format!("{path}: {}", outcome(state)));
        });
        said
    }

    fn follow(&self, slot: &str, depth: usize, path: &str, visit: &mut impl FnMut(&str, &Self)) {
        for reply in REPLIES {
            let mut world = self.clone();
            let (id, identity) = (world.slot(slot), world.ledger.identity().to_owned());
            let request = world.ledger.slot(&id).unwrap().request.clone();
            if reply == "crash" {
                world.run(&format!("start {identity}"));
            } else {
                world.run(&format!("reply {slot} {reply}"));
            }
            let path = format!("{path}{}{}", if path.is_empty() { "" } else { ", " }, reply.split(' ').next().unwrap());
            let state = world.ledger.slot(&id).unwrap();
            let same = state.request == request;
            assert!(same || reply == "bad-tags", "{path}: a request that may have been sent is another one now");
            let (over, split) = (!state.life.waiting(), path.matches(',').count() + 1);
            visit(&path, &world);
            if !over && split < depth {
                world.machine.true_s += 700;
                world.plan();
                assert!(world.ledger.slot(&id).unwrap().attempts.pending, "{path}: it is tried again");
                world.follow(slot, depth, &path, visit);
            }
        }
    }

    /// What the plan does next after each sequence of replies without a final outcome.
    pub(super) fn what_follows(&self, slot: &str, depth: usize) -> Vec<String> {
        let mut said = Vec::new();
        self.follow(slot, depth, "", &mut |path, world| {
            let id = world.slot(slot);
            if !world.ledger.slot(&id).unwrap().life.waiting() {
                return;
            }
            let next = |prepare: &dyn Fn(&mut Self)| {
                let mut world = world.clone();
                prepare(&mut world);
                world.plan();
                outcome(world.ledger.slot(&id).unwrap()).split(',').next().unwrap().to_owned()
            };
            let same = next(&|world| world.machine.true_s += 700);
            let other = next(&|world| {
                world.machine.true_s += 700;
                world.run("start another");
            });
            let late = |carry| {
                next(&|world| {
                    world.policy.carry = carry;
                    for _ in 0..24 {
                        world.machine.true_s += 900;
                        world.write(&[Record::Heartbeat { at: world.now().s }]);
                    }
                })
            };
            let (kept, moved) = (late(false), late(true));
            said.push(format!("{path}: here {same} | elsewhere {other} | too old {kept}, with carry {moved}"));
        });
        said
    }

    /// Months: the same usage in every hour, all of it accepted, compacted once a day.
    pub(super) fn every_hour(&mut self, hours: u64, dimension: &str, units: &str) -> Vec<String> {
        let mut service = Service::default();
        let first = Hour::of(self.machine.true_s).start();
        for hour in 0..hours {
            self.machine.true_s = first + hour * HOUR_S + HOUR_S / 2;
            self.plan();
            for (slot, identity, request) in self.pending() {
                let said = service.meter(identity, &slot, &request, self.per(&slot), Fate::Answered);
                self.run(&format!("reply {slot} {said}"));
            }
            self.run(&format!("use {dimension} {units}"));
            if self.ledger.checkpoint_due() {
                self.run("compact");
            }
        }
        let balance = self.ledger.balance();
        vec![format!(
            "recorded {}, billed {}, open {}, remainder {}, {} slots, {} entries",
            balance.recorded,
            service.billed,
            balance.open,
            balance.remainder,
            self.ledger.slots().count(),
            self.records.len()
        )]
    }

    /// One unit for the first tag set, two for the second, and so on.
    pub(super) fn use_tagged(&mut self, dimension: &str, sets: u64) -> Vec<String> {
        let before = self.ledger.balance().recorded;
        for set in 1..=sets {
            self.run(&format!("use {dimension} {set} team=t{set:05}"));
        }
        let hour = self.ledger.slots().next_back().map_or(FIRST, |(id, _)| id.hour);
        vec![format!("{} {}", name(&self.policy.slot(dimension, hour)), self.ledger.balance().recorded - before)]
    }
}

fn outcome(slot: &Slot) -> String {
    let detail = match &slot.life {
        Life::Rejected { code } => format!(" {code}"),
        Life::Attempted if slot.attempts.pending => " again".to_owned(),
        Life::Attempted if slot.attempts.unknown > 0 => " in doubt".to_owned(),
        Life::Attempted => " not taken".to_owned(),
        _ => String::new(),
    };
    format!("{}{detail}, request {}", slot.life.name(), slot.generation)
}
