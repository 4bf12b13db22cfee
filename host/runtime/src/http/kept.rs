//! Instances of one thread that wait for their next request, where the manifest allows it.
//!
//! An instance answers one request at a time, and waits here only after it has answered in order and has nothing left to do.
//! Its counters stay with it: what it used is durable before the response leaves, as with any other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::Store;
use wasmtime_wasi_http::p3::bindings::Service;

use crate::clock::Stopwatch;
use crate::component::{Component, Reuse};
use crate::guest::Guest;
use crate::meter::Counters;

/// An instance, and what it has behind it.
pub(super) struct Kept {
    pub(super) store: Store<Guest>,
    pub(super) service: Service,
    pub(super) counters: Counters,
    since: Stopwatch,
    answered: u32,
}

impl Kept {
    /// One that answers its first request.
    pub(super) fn new(store: Store<Guest>, service: Service, counters: Counters) -> Self {
        Self { store, service, counters, since: Stopwatch::start(), answered: 0 }
    }

    fn usable(&self, reuse: Reuse) -> bool {
        reuse.allows(self.answered, self.since.elapsed(), self.store.data().budget.memory_bytes())
    }
}

/// By number of the component. The one that was used last is used first, so that the others grow old.
#[derive(Default)]
pub(super) struct Shelf(Mutex<BTreeMap<u32, Vec<(Kept, Place)>>>);

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

impl Shelf {
    pub(super) fn take(&self, component: &Component) -> Option<Kept> {
        let reuse = component.spec.reuse?;
        let (found, _gone) = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = all.get_mut(&component.spec.index)?;
            // The oldest are in front. They are dropped when the lock is.
            let gone: Vec<_> = waiting.extract_if(.., |(kept, _)| !kept.usable(reuse)).collect();
            (waiting.pop(), gone)
        };
        found.map(|(kept, _)| kept)
    }

    /// Keeps one that has answered, if it may and there is a place.
    pub(super) fn put(&self, component: &Component, mut kept: Kept) {
        let Some(reuse) = component.spec.reuse else { return };
        kept.answered += 1;
        if !kept.usable(reuse) {
            return;
        }
        let Some(place) = Place::find(&component.runtime.kept, component.runtime.limits.concurrency) else { return };
        kept.counters.rest();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(component.spec.index).or_default().push((kept, place));
    }
}

/// A place among all that wait.
struct Place(Arc<AtomicU32>);

impl Place {
    fn find(taken: &Arc<AtomicU32>, places: u32) -> Option<Self> {
        let before = taken.fetch_add(1, Relaxed);
        // Dropping it gives the place back.
        Some(Self(taken.clone())).filter(|_| before < places)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
