//! The emulator over real HTTP: the AWS SDK as its client, the control API as its hands.
#![expect(clippy::unwrap_used, reason = "in a test, the panic is the report")]

mod auth;
mod bill;
mod control;
mod faults;
mod meter_usage;
mod register_usage;
mod world;
