//! A store for tests of what writes to it: keeps batches in memory that outlive it, and fails on demand.

use std::sync::{Arc, Mutex, PoisonError};

use tollgate_metering::{Record, Used};

use super::{Batch, Loaded, Store};

/// Clones share what they hold, so that a test can restart on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    loaded: Loaded,
    broken: bool,
}

impl Memory {
    /// From now on every commit fails.
    pub(crate) fn break_down(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).broken = true;
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

    fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.broken {
            return Err("no space left on device".to_owned());
        }
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
}
