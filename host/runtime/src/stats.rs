//! What the operator can watch. Numbers for people and metrics; nothing is billed from them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of one [`crate::engine::Runtime`], shared by everything that runs on it.
#[derive(Debug, Default)]
pub struct Stats {
    pub(crate) requests: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) refused_full: AtomicU64,
    pub(crate) refused_stopped: AtomicU64,
    pub(crate) refused_trapping: AtomicU64,
    pub(crate) traps: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) clients_gone: AtomicU64,
    pub(crate) guest_lines_dropped: AtomicU64,
    pub(crate) egress_requests: AtomicU64,
    pub(crate) egress_refused_origin: AtomicU64,
    pub(crate) egress_refused_address: AtomicU64,
    pub(crate) egress_refused_full: AtomicU64,
    pub(crate) egress_failed: AtomicU64,
    pub(crate) components_compiled: AtomicU64,
    pub(crate) instances_created: AtomicU64,
}

/// [`Stats`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests received, answered by a guest or not.
    pub requests: u64,
    /// Requests in guests now.
    pub in_flight: u64,
    /// Requests refused because too many were in guests.
    pub refused_full: u64,
    /// Requests refused because the meter was stopped.
    pub refused_stopped: u64,
    /// Requests refused because the component did nothing but trap.
    pub refused_trapping: u64,
    /// Guests that trapped, or returned without a response.
    pub traps: u64,
    /// Guests stopped because their time was up.
    pub timeouts: u64,
    /// Guests stopped because their client went away, or sent too much.
    pub clients_gone: u64,
    /// Lines of guests that were not logged because there were too many.
    pub guest_lines_dropped: u64,
    /// Outgoing requests of guests that were sent.
    pub egress_requests: u64,
    /// Outgoing requests to an origin that the manifest does not name.
    pub egress_refused_origin: u64,
    /// Outgoing requests to a name with a forbidden address.
    pub egress_refused_address: u64,
    /// Outgoing requests refused because too many were on their way.
    pub egress_refused_full: u64,
    /// Outgoing requests that were allowed and had no answer.
    pub egress_failed: u64,
    /// Components compiled: zero before the entitlement check.
    pub components_compiled: u64,
    /// Component instances created.
    pub instances_created: u64,
}

impl Stats {
    /// All numbers now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            requests: self.requests.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            refused_full: self.refused_full.load(Relaxed),
            refused_stopped: self.refused_stopped.load(Relaxed),
            refused_trapping: self.refused_trapping.load(Relaxed),
            traps: self.traps.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            clients_gone: self.clients_gone.load(Relaxed),
            guest_lines_dropped: self.guest_lines_dropped.load(Relaxed),
            egress_requests: self.egress_requests.load(Relaxed),
            egress_refused_origin: self.egress_refused_origin.load(Relaxed),
            egress_refused_address: self.egress_refused_address.load(Relaxed),
            egress_refused_full: self.egress_refused_full.load(Relaxed),
            egress_failed: self.egress_failed.load(Relaxed),
            components_compiled: self.components_compiled.load(Relaxed),
            instances_created: self.instances_created.load(Relaxed),
        }
    }
}

pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
