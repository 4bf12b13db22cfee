//! A disk: batches in the order in which they became durable. What a process reads from it is folded anew at each start.

use std::collections::BTreeMap;

use tollgate_metering::{Ledger, Record, SlotId, Tags, Used};

/// What became durable together.
#[derive(Debug, Clone)]
struct Batch {
    at: u64,
    used: Vec<Used>,
    records: Vec<Record>,
    /// Units that guests handed over with it, by account: (listing, dimension, units).
    units: Vec<(usize, usize, u64)>,
}

/// The disk of a pod.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    batches: Vec<Batch>,
    /// Writes fail until then, in unix seconds.
    pub(crate) full_until: u64,
}

impl Disk {
    pub(crate) fn append(&mut self, at: u64, used: &[Used], records: &[Record], units: &[(usize, usize, u64)]) {
        self.batches.push(Batch { at, used: used.to_vec(), records: records.to_vec(), units: units.to_vec() });
    }

    /// When it was last written.
    pub(crate) fn written_at(&self) -> u64 {
        self.batches.last().map_or(0, |batch| batch.at)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// True if such an entry is among the last that are durable.
    pub(crate) fn recent(&self, is: impl Fn(&Record) -> bool) -> bool {
        self.batches.iter().rev().take(8).any(|batch| batch.records.iter().any(&is))
    }

    /// What was written after an instant is gone. Says the lost units by account.
    pub(crate) fn restore(&mut self, until: u64) -> Vec<(usize, usize, u64)> {
        let kept = self.batches.partition_point(|batch| batch.at <= until).max(1).min(self.batches.len());
        self.batches.drain(kept..).flat_map(|batch| batch.units).collect()
    }

    /// All that guests handed over and is durable, by account.
    pub(crate) fn units(&self) -> BTreeMap<(usize, usize), u64> {
        let mut sums = BTreeMap::new();
        for (listing, dimension, units) in self.batches.iter().flat_map(|batch| &batch.units) {
            *sums.entry((*listing, *dimension)).or_insert(0) += units;
        }
        sums
    }

    /// What a process finds: sums of usage first, then the transitions, as the store on SQLite hands them out.
    pub(crate) fn load(&self) -> Result<Ledger, String> {
        let mut sums: BTreeMap<(&SlotId, &Tags), Used> = BTreeMap::new();
        for used in self.batches.iter().flat_map(|batch| &batch.used) {
            sums.entry((&used.slot, &used.tags))
                .and_modify(|sum| {
                    sum.units += used.units;
                    sum.late += used.late;
                    sum.at = sum.at.max(used.at);
                })
                .or_insert_with(|| used.clone());
        }
        let mut ledger = Ledger::new();
        for used in sums.values() {
            ledger.admit_used(used).map_err(|refusal| format!("usage read back: {refusal}"))?;
            ledger.apply_used(used);
        }
        for record in self.batches.iter().flat_map(|batch| &batch.records) {
            ledger.admit(record).map_err(|refusal| format!("{} read back: {refusal}", record.to_text()))?;
            ledger.apply(record);
        }
        if ledger.balanced() { Ok(ledger) } else { Err("a ledger read back is not balanced".to_owned()) }
    }
}
