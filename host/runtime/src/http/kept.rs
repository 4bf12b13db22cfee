//! Instances of one thread that wait for their next request, where the manifest allows it.
//!
//! An instance answers one request at a time, and waits here only after it has answered in order and has nothing left to do.
//! Its counters stay with it: what it used is durable before the response leaves, as with any other.

use std::collections::{BTreeMap, VecDeque};
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
pub(super) struct Shelf(Mutex<BTreeMap<u32, VecDeque<(Kept, Place)>>>);

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

impl Shelf {
    pub(super) fn take(&self, component: &Component) -> Option<Kept> {
        let reuse = component.spec.reuse?;
        let mut gone = Vec::new();
        let found = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = all.get_mut(&component.spec.index)?;
            // Each request pays for looking, so only at both ends: where the next one is, and where they grow old.
            while let Some(old) = waiting.pop_front_if(|(kept, _)| !kept.usable(reuse)) {
                gone.push(old);
            }
            loop {
                match waiting.pop_back() {
                    Some((kept, place)) if !kept.usable(reuse) => gone.push((kept, place)),
                    found => break found,
                }
            }
        };
        // Outside of the lock: to end an instance takes its time.
        drop(gone);
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
        all.entry(component.spec.index).or_default().push_back((kept, place));
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
