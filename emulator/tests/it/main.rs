//! The emulator over real HTTP: the AWS SDK as its client, the control API as its hands.
#![expect(clippy::unwrap_used, reason = "in a test, the panic is the report")]

mod auth;
mod batch_meter_usage;
mod bill;
mod browser;
mod clients;
mod conformance;
mod control;
mod faults;
mod identity;
mod install;
mod meter_usage;
mod openapi;
mod page;
mod regions;
mod register_usage;
mod resolve_customer;
mod robustness;
mod state;
mod world;
