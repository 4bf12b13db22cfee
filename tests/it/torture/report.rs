//! What a run has done, for those who read it: kills by stage, faults by kind, units by state.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) kills: BTreeMap<&'static str, u64>,
    pub(super) faults: BTreeMap<String, u64>,
    /// By dimension, then by state.
    pub(super) units: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// Hours of a dimension in a ledger, by their end.
    pub(super) slots: BTreeMap<&'static str, u64>,
    /// Anything else worth a number.
    pub(super) also: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(super) fn killed(&mut self, stage: &'static str) {
        *self.kills.entry(stage).or_default() += 1;
    }

    pub(super) fn also(&mut self, what: &'static str, number: u64) {
        *self.also.entry(what).or_default() += number;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        add(&mut self.kills, &other.kills);
        add(&mut self.faults, &other.faults);
        add(&mut self.slots, &other.slots);
        add(&mut self.also, &other.also);
        for (dimension, states) in &other.units {
            add(self.units.entry(dimension).or_default(), states);
        }
    }

    pub(super) fn number_of_kills(&self) -> u64 {
        self.kills.values().sum()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |numbers: &BTreeMap<&'static str, u64>| {
            numbers.iter().map(|(what, number)| format!("{what} {number}")).collect::<Vec<_>>().join(", ")
        };
        let faults: Vec<String> = self.faults.iter().map(|(kind, number)| format!("{kind} {number}")).collect();
        writeln!(out, "{} kills: {}", self.number_of_kills(), line(&self.kills))?;
        writeln!(out, "faults: {}", faults.join(", "))?;
        writeln!(out, "records by their end: {}", line(&self.slots))?;
        writeln!(out, "also: {}", line(&self.also))?;
        for (dimension, states) in &self.units {
            writeln!(out, "{dimension}: {}", line(states))?;
        }
        Ok(())
    }
}

fn add<K: Ord + Clone>(sum: &mut BTreeMap<K, u64>, other: &BTreeMap<K, u64>) {
    for (key, number) in other {
        *sum.entry(key.clone()).or_default() += number;
    }
}
