//! A store for tests of what writes to it: keeps batches in memory that outlive it, and fails on demand.

use std::sync::{Arc, Mutex, PoisonError};

use tollgate_metering::{Record, Used};

use super::chain::Link;
use super::{ArchiveRow, Batch, Entry, Image, Loaded, Store};

/// Clones share what they hold, so that a test can restart on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    loaded: Loaded,
    broken: bool,
    commits: usize,
}

impl Memory {
    /// From now on every commit fails.
    pub(crate) fn break_down(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).broken = true;
    }

    /// From now on commits succeed again.
    pub(crate) fn mend(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).broken = false;
    }

    /// How many batches were committed.
    pub(crate) fn commits(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).commits
    }

    /// The text of all transitions.
    pub(crate) fn texts(&self) -> Vec<String> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.loaded.records.iter().map(Record::to_text).collect()
    }
}

impl Store for Memory {
    fn load(&mut self) -> Result<Loaded, String> {
        Ok(self.held.lock().unwrap_or_else(PoisonError::into_inner).loaded.clone())
    }

    fn image(&mut self) -> Result<Image, String> {
        let loaded = self.load()?;
        let mut image = Image { first: loaded.before + 1, ..Image::default() };
        let mut link = Link(image.before);
        for (seq, record) in (image.first..).zip(&loaded.records) {
            let text = record.to_text();
            link = link.next(seq, &text);
            image.transitions.push(Entry { seq: seq.cast_signed(), text, hash: link.0.to_vec() });
        }
        Ok(image)
    }

    fn archived(&mut self, _after: u64) -> Result<Vec<ArchiveRow>, String> {
        Ok(Vec::new())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.broken {
            return Err("no space left on device".to_owned());
        }
        held.commits += 1;
        held.loaded.used.extend(batch.used.iter().cloned());
        held.loaded.records.extend(batch.records.iter().cloned());
        Ok(())
    }

    fn compact(&mut self, checkpoint: &[Record], _forgotten: &[Record]) -> Result<(), String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = |used: &Used| {
            checkpoint.iter().any(|record| matches!(record, Record::Kept { slot, .. } if *slot == used.slot))
        };
        held.loaded.used.retain(kept);
        held.loaded.records = checkpoint.to_vec();
        Ok(())
    }
    fn gather(&mut self) -> Result<(), String> {
        Ok(())
    }
}
