//! A disk: batches in the order in which they became durable, and once a day a checkpoint that takes their place. What a
//! process reads from it is folded anew.

use std::collections::BTreeMap;
use std::rc::Rc;

use tollgate_metering::{Ledger, Record, SlotId, Tags, Used};

use crate::refuse;

/// Units that guests handed over: (listing, dimension, units).
pub(crate) type Handed = (usize, usize, u64);

/// What became durable together.
#[derive(Debug)]
pub(crate) struct Batch {
    at: u64,
    pub(crate) used: Vec<Used>,
    pub(crate) records: Vec<Record>,
    units: Vec<Handed>,
}

impl Batch {
    /// One that never becomes durable.
    pub(crate) fn lost(used: Vec<Used>, records: Vec<Record>) -> Self {
        Self { at: 0, used, records, units: Vec::new() }
    }
}

/// The content of the disk from a checkpoint on.
#[derive(Debug, Clone, Default)]
struct Generation {
    /// When the checkpoint was written.
    since: u64,
    /// Sums of usage that the checkpoint left.
    used: Vec<Used>,
    /// What guests handed over before it, by account.
    units: BTreeMap<(usize, usize), u64>,
    batches: Vec<Rc<Batch>>,
}

/// The disk of a folder. Contents before the newest checkpoint exist only in old copies of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    copies: Vec<Generation>,
    now: Generation,
    /// Entries are read from their text, as a store does.
    textual: bool,
}

/// What a restored copy no longer has.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    pub(crate) batches: Vec<Rc<Batch>>,
    pub(crate) units: Vec<Handed>,
    /// The copy is from before the newest checkpoint.
    pub(crate) before_checkpoint: bool,
}

impl Disk {
    pub(crate) fn new(textual: bool) -> Self {
        Self { textual, ..Self::default() }
    }

    pub(crate) fn append(&mut self, at: u64, used: Vec<Used>, records: Vec<Record>, units: &[Handed]) -> Rc<Batch> {
        let batch = Rc::new(Batch { at, used, records, units: units.to_vec() });
        self.now.batches.push(Rc::clone(&batch));
        batch
    }

    /// The checkpoint stands in place of everything, with the sums of usage of the slots that it names.
    pub(crate) fn compact(&mut self, at: u64, checkpoint: Vec<Record>) {
        let kept: std::collections::BTreeSet<&SlotId> = checkpoint
            .iter()
            .filter_map(|record| if let Record::Kept { slot, .. } = record { Some(slot) } else { None })
            .collect();
        let used = self.sums().into_values().filter(|used| kept.contains(&used.slot)).collect();
        let units = self.units();
        let batches = vec![Rc::new(Batch { at, used: Vec::new(), records: checkpoint, units: Vec::new() })];
        self.copies.push(std::mem::replace(&mut self.now, Generation { since: at, used, units, batches }));
    }

    /// When it was last written.
    pub(crate) fn written_at(&self) -> u64 {
        self.now.batches.last().map_or(0, |batch| batch.at)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.now.batches.is_empty()
    }

    /// True if such an entry is among the last that are durable.
    pub(crate) fn recent(&self, is: impl Fn(&Record) -> bool) -> bool {
        self.now.batches.iter().rev().take(8).any(|batch| batch.records.iter().any(&is))
    }

    /// What was written after an instant is gone; the very first batch stays.
    pub(crate) fn restore(&mut self, until: u64) -> Gone {
        let mut gone = Gone::default();
        let before = self.units();
        while self.now.since > until
            && let Some(copy) = self.copies.pop()
        {
            gone.batches.append(&mut self.now.batches);
            gone.before_checkpoint = true;
            self.now = copy;
        }
        let batches = &mut self.now.batches;
        let kept = batches.partition_point(|batch| batch.at <= until).max(1).min(batches.len());
        gone.batches.extend(batches.drain(kept..));
        let after = self.units();
        let lost = |(account, units): (&(usize, usize), &u64)| {
            let left = after.get(account).copied().unwrap_or(0);
            (*units > left).then_some((account.0, account.1, units - left))
        };
        gone.units = before.iter().filter_map(lost).collect();
        gone
    }

    /// All that guests handed over and is durable, by account.
    pub(crate) fn units(&self) -> BTreeMap<(usize, usize), u64> {
        let mut sums = self.now.units.clone();
        for (listing, dimension, units) in self.now.batches.iter().flat_map(|batch| &batch.units) {
            *sums.entry((*listing, *dimension)).or_insert(0) += units;
        }
        sums
    }

    fn sums(&self) -> BTreeMap<(&SlotId, &Tags), Used> {
        let mut sums: BTreeMap<(&SlotId, &Tags), Used> = BTreeMap::new();
        for used in self.now.used.iter().chain(self.now.batches.iter().flat_map(|batch| &batch.used)) {
            sums.entry((&used.slot, &used.tags))
                .and_modify(|sum| {
                    sum.units += used.units;
                    sum.late += used.late;
                    sum.at = sum.at.max(used.at);
                })
                .or_insert_with(|| used.clone());
        }
        sums
    }

    /// What a process finds: sums of usage first, then the transitions, as the store on SQLite hands them out.
    pub(crate) fn load(&self) -> Result<Ledger, String> {
        let mut ledger = Ledger::new();
        for used in self.sums().values() {
            ledger.admit_used(used).map_err(|refusal| format!("usage read back: {refusal}"))?;
            ledger.apply_used(used);
        }
        for record in self.now.batches.iter().flat_map(|batch| &batch.records) {
            let wrong = |refusal| format!("{} read back: {refusal}", record.to_text());
            if self.textual {
                let text = record.to_text();
                let again = Record::from_text(&text).map_err(|error| format!("{text} read back: {error}"))?;
                if let Some(problem) = refuse::let_in(&ledger, refuse::wrong_before(&ledger, record)) {
                    return Err(problem);
                }
                if again != *record {
                    return Err(format!("{text} is read back as {again:?}, it was {record:?}"));
                }
                ledger.admit(&again).map_err(wrong)?;
                ledger.apply(&again);
            } else {
                ledger.admit(record).map_err(wrong)?;
                ledger.apply(record);
            }
        }
        if ledger.balanced() { Ok(ledger) } else { Err("a ledger read back is not balanced".to_owned()) }
    }
}
