//! The limit of one dimension, shared by all instances.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Of what is left below a limit, an instance takes one part in this many ahead. All instances of a pool together take
/// less than what is left, and near the limit nobody takes anything ahead.
const AHEAD_PARTS: u64 = 1_024;

/// Relaxed is enough: a total and its limit order nothing else.
#[derive(Debug)]
pub(super) struct Gate {
    /// Never above the limit by what was asked for here.
    pub(super) admitted: AtomicU64,
    /// `u64::MAX`: none.
    pub(super) limit: AtomicU64,
    pub(super) turned_away: AtomicU64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { admitted: AtomicU64::new(0), limit: AtomicU64::new(u64::MAX), turned_away: AtomicU64::new(0) }
    }
}

impl Gate {
    /// All of `units`, or none.
    pub(super) fn admit(&self, units: u64) -> bool {
        let limit = self.limit.load(Relaxed);
        let fits = |total: u64| total.checked_add(units).filter(|&sum| sum <= limit);
        let admitted = self.admitted.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if !admitted {
            self.turned_away.fetch_add(units, Relaxed);
        }
        admitted
    }

    /// As much of `units` as fits; says how much that was.
    pub(super) fn admit_part(&self, units: u64) -> u64 {
        let limit = self.limit.load(Relaxed);
        let fitting = |total: u64| limit.saturating_sub(total).min(units);
        let add = |total: u64| total.checked_add(fitting(total));
        let part = self.admitted.fetch_update(Relaxed, Relaxed, add).map_or(0, fitting);
        self.turned_away.fetch_add(units - part, Relaxed);
        part
    }

    pub(super) fn limited(&self) -> bool {
        self.limit.load(Relaxed) != u64::MAX
    }

    /// Admits for an instance what it may count without asking; says how much that is.
    pub(super) fn take_ahead(&self) -> u64 {
        let limit = self.limit.load(Relaxed);
        let part = |total: u64| limit.saturating_sub(total) / AHEAD_PARTS;
        let add = |total: u64| total.checked_add(part(total));
        self.admitted.fetch_update(Relaxed, Relaxed, add).map_or(0, part)
    }

    /// Takes back what was admitted and not used.
    pub(super) fn give_back(&self, units: u64) {
        self.admitted.fetch_sub(units, Relaxed);
    }

    /// Units that were counted while there was no limit.
    pub(super) fn note(&self, units: u64) {
        self.admitted.fetch_add(units, Relaxed);
    }
}
