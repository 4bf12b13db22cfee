//! The real binaries, over real HTTP, against the emulator on loopback. In reading order.
//!
//! Nothing here sleeps: a test waits for a line of a log, a long poll, a response or the end of a process, each with a
//! deadline. Each test has an emulator, a folder and ports of its own, so that all run at once.

#![expect(clippy::unwrap_used, reason = "in a test, the panic is the report")]

mod agent;
mod forger;
#[expect(dead_code, reason = "the emulator's tests need the other clients")]
#[path = "../../emulator/tests/it/install.rs"]
mod install;
mod manifest;
mod support;
mod walls;

mod admin;
mod compat;
mod entitlement;
mod measures;
mod metering;
mod place;
mod pod;
mod standing;

mod bundle;
mod image;

mod crash;
mod shutdown;
mod torture;

mod fuzz;

mod bad_input;
mod hardening;
mod hostile;
mod later;
mod limits;
mod production;
mod redirect;
mod secrets;

mod cli;
mod demo;
mod emulator;

mod architecture;
mod threats;
