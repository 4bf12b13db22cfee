//! How often each rule, entry, transition, reply and fault was exercised. What never happened was not tested.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tollgate_metering::{Close, End, Part, Record};

use crate::aws::Said;
use crate::faults::Fault;

mod feature;
pub(crate) mod loss;

pub(crate) use feature::Feature;

/// Counts of one run or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs.
    pub seeds: u64,
    /// Simulated pod-hours.
    pub pod_hours: u64,
    /// Pod-hours of the run that had the fewest.
    pub shortest: u64,
    /// Events in all runs.
    pub events: u64,
    /// Units of guests that were acknowledged.
    pub acknowledged: u128,
    /// Units of guests that AWS bills.
    pub billed: u128,
    pub(crate) counts: BTreeMap<(Group, &'static str), u64>,
    pub(crate) losses: BTreeMap<&'static str, (u64, u128)>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Fault,
    Feature,
    Entry,
    Transition,
    Reply,
    Rule,
}

/// Changes of a slot's state that have to be seen, as `from > to`.
const TRANSITIONS: [(&str, &str, &str); 25] = [
    ("none", "open", "none > open"),
    ("none", "sealed", "none > sealed"),
    ("open", "open", "open > open"),
    ("open", "sealed", "open > sealed"),
    ("open", "idle", "open > idle"),
    ("open", "counted", "open > counted"),
    ("open", "handed_over", "open > handed_over"),
    ("sealed", "attempted", "sealed > attempted"),
    ("sealed", "expired", "sealed > expired"),
    ("sealed", "moved", "sealed > moved"),
    ("sealed", "handed_over", "sealed > handed_over"),
    ("attempted", "attempted", "attempted > attempted"),
    ("attempted", "sealed", "attempted > sealed"),
    ("attempted", "acked", "attempted > acked"),
    ("attempted", "conflict", "attempted > conflict"),
    ("attempted", "expired", "attempted > expired"),
    ("attempted", "rejected", "attempted > rejected"),
    ("attempted", "in_doubt", "attempted > in_doubt"),
    ("attempted", "moved", "attempted > moved"),
    ("attempted", "handed_over", "attempted > handed_over"),
    ("in_doubt", "acked", "in_doubt > acked"),
    ("in_doubt", "expired", "in_doubt > expired"),
    ("conflict", "expired", "conflict > expired"),
    ("acked", "acked", "acked > acked: its remainder goes"),
    ("idle", "idle", "idle > idle: its remainder goes"),
];

const ENTRIES: [&str; 31] = [
    "created",
    "started",
    "started, first hour taken",
    "granted",
    "heartbeat",
    "sealed",
    "closed idle",
    "closed counted",
    "resealed",
    "carried beyond",
    "carried remainder",
    "carried request",
    "beyond",
    "attempted",
    "deferred",
    "deferred unknown",
    "ended acked",
    "ended conflict",
    "ended expired",
    "ended rejected",
    "ended in doubt",
    "settled, billed",
    "settled, not billed",
    "asked",
    "handed over open",
    "handed over request",
    "handed over remainder",
    "adopted",
    "checkpoint",
    "past",
    "kept",
];

const REPLIES: [&str; 8] =
    ["accepted", "not processed", "unknown", "duplicate", "not entitled", "invalid tags", "refused", "dry run ok"];

impl Report {
    pub(crate) fn fault(&mut self, fault: Fault, times: u64) {
        *self.counts.entry((Group::Fault, fault_name(fault))).or_default() += times;
    }

    pub(crate) fn entry(&mut self, record: &Record) {
        self.count(Group::Entry, entry_name(record));
    }

    pub(crate) fn transition(&mut self, from: &str, to: &str) {
        let known = TRANSITIONS.iter().find(|known| known.0 == from && known.1 == to);
        self.count(Group::Transition, known.map_or("other", |known| known.2));
    }

    pub(crate) fn reply(&mut self, name: &'static str) {
        self.count(Group::Reply, name);
    }

    pub(crate) fn rule(&mut self, said: &Said) {
        self.count(Group::Rule, Said::RULES[said.rule()]);
    }

    pub(crate) fn feature(&mut self, feature: Feature) {
        self.count(Group::Feature, feature.name());
    }

    pub(crate) fn loss(&mut self, name: &'static str, units: u128) {
        if units > 0 {
            let loss = self.losses.entry(name).or_default();
            loss.0 += 1;
            loss.1 += units;
        }
    }

    fn count(&mut self, group: Group, name: &'static str) {
        *self.counts.entry((group, name)).or_default() += 1;
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.pod_hours += other.pod_hours;
        // Zero: there was none that came to its end.
        let shortest = [self.shortest, other.shortest].into_iter().filter(|&hours| hours > 0).min();
        self.shortest = shortest.unwrap_or(0);
        self.events += other.events;
        self.acknowledged += other.acknowledged;
        self.billed += other.billed;
        for (name, count) in &other.counts {
            *self.counts.entry(*name).or_default() += count;
        }
        for (name, (times, units)) in &other.losses {
            let loss = self.losses.entry(name).or_default();
            loss.0 += times;
            loss.1 += units;
        }
    }

    /// Everything that has to be exercised and never was.
    pub fn missing(&self) -> Vec<String> {
        let zero = |(group, name): &(Group, &'static str)| !self.counts.contains_key(&(*group, *name));
        expected().into_iter().filter(zero).map(|(group, name)| format!("{group:?}: {name}")).collect()
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, count: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<68} {count:>16}");
        };
        for (group, name) in expected().iter().chain([(Group::Transition, "other")].iter()) {
            let count = self.counts.get(&(*group, *name)).copied().unwrap_or(0);
            line(&format!("{group:?}: {name}"), count.to_string());
        }
        for name in loss::ALL {
            let (times, units) = self.losses.get(name).copied().unwrap_or_default();
            line(name, format!("{times} x {units} units"));
        }
        text
    }

    /// The documented ways in which acknowledged usage did not reach a bill, or reached two: name, how often, units.
    pub fn losses(&self) -> impl Iterator<Item = (&'static str, u64, u128)> {
        loss::ALL.into_iter().map(|name| {
            let (times, units) = self.losses.get(name).copied().unwrap_or_default();
            (name, times, units)
        })
    }

    /// Units that were billed a second time, in the documented ways.
    pub fn billed_twice(&self) -> u128 {
        self.losses().filter(|(name, ..)| loss::TWICE.contains(name)).map(|(.., units)| units).sum()
    }
}

fn expected() -> Vec<(Group, &'static str)> {
    let faults = Fault::ALL.iter().map(|fault| (Group::Fault, fault_name(*fault)));
    let features = Feature::ALL.iter().map(|feature| (Group::Feature, feature.name()));
    let entries = ENTRIES.iter().map(|name| (Group::Entry, *name));
    let transitions = TRANSITIONS.iter().map(|known| (Group::Transition, known.2));
    let replies = REPLIES.iter().map(|name| (Group::Reply, *name));
    // The engine never makes a request that breaks the rules for allocations, nor gives a token to two requests.
    let rules = Said::RULES.iter().filter(|name| !["bad-allocations", "token-reused"].contains(name));
    let rules = rules.map(|name| (Group::Rule, *name));
    faults.chain(features).chain(entries).chain(transitions).chain(replies).chain(rules).collect()
}

fn entry_name(record: &Record) -> &'static str {
    match record {
        Record::Created { .. } => "created",
        Record::Started { first_hour_taken: true, .. } => "started, first hour taken",
        Record::Started { .. } => "started",
        Record::Granted { .. } => "granted",
        Record::Heartbeat { .. } => "heartbeat",
        Record::Sealed { .. } => "sealed",
        Record::Closed { why: Close::Idle, .. } => "closed idle",
        Record::Closed { why: Close::Counted, .. } => "closed counted",
        Record::Resealed { .. } => "resealed",
        Record::Carried { part: Part::Beyond, .. } => "carried beyond",
        Record::Carried { part: Part::Remainder, .. } => "carried remainder",
        Record::Carried { part: Part::Request, .. } => "carried request",
        Record::Beyond { .. } => "beyond",
        Record::Attempted { .. } => "attempted",
        Record::Deferred { unknown: false, .. } => "deferred",
        Record::Deferred { unknown: true, .. } => "deferred unknown",
        Record::Ended { end: End::Acked { .. }, .. } => "ended acked",
        Record::Ended { end: End::Conflict, .. } => "ended conflict",
        Record::Ended { end: End::Expired, .. } => "ended expired",
        Record::Ended { end: End::Rejected { .. }, .. } => "ended rejected",
        Record::Ended { end: End::InDoubt { .. }, .. } => "ended in doubt",
        Record::Settled { billed: true, .. } => "settled, billed",
        Record::Settled { .. } => "settled, not billed",
        Record::Asked { .. } => "asked",
        Record::HandedOver(handed) => match handed.part {
            Part::Open => "handed over open",
            Part::Request => "handed over request",
            Part::Remainder => "handed over remainder",
            Part::Beyond => "handed over beyond",
        },
        Record::Adopted { .. } => "adopted",
        Record::Checkpoint(_) => "checkpoint",
        Record::Past { .. } => "past",
        Record::Kept { .. } => "kept",
        // Only a hand-over moves a whole open hour.
        Record::Carried { part: Part::Open, .. } => "carried open",
    }
}

fn fault_name(fault: Fault) -> &'static str {
    Fault::NAMES[fault as usize]
}
