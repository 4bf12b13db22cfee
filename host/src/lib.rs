//! The Tollgate host: the entrypoint of a paid container.
//!
//! Life of the process: read the product and the configuration, find out where we are and who we
//! are, open the ledger, ask AWS, and only with its yes (a [`entitlement::Grant`]) load and run
//! the vendor's components. The meter keeps what they count in the ledger and gets each finished
//! hour to AWS. On SIGTERM: stop accepting, let running work end, seal, send, leave.
//!
//! What is absent on purpose: no way to be given an endpoint, a root certificate or a clock by
//! environment, argument or file. They are values ([`app::Surroundings`]) that only code which
//! composes this library can give.

// The workload of `benches/ledger` is also a test of this crate.
#[cfg(test)]
extern crate self as tollgate_host;

pub mod admin;
pub mod app;
pub mod clock;
pub mod config;
pub mod entitlement;
pub mod exit;
pub mod hardening;
pub mod ledger;
pub mod log;
pub mod marketplace;
mod memory;
pub mod meter;
pub mod place;
pub mod product;
pub mod usage;
