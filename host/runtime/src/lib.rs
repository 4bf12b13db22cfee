//! Runs WebAssembly components and counts what they use.
//!
//! [`engine`] holds the one engine, [`component`] admits components to it, [`http`] serves those that answer requests,
//! [`command`] runs those that have a main function, [`egress`] is their way to other servers. [`code`] is what a
//! component was compiled to ahead of time for a [`target`]; the compiler itself is behind a feature that the production
//! host is built without. [`meter`] is the border to whoever keeps the ledger, and
//! [`limits`] says what a guest may use.
//!
//! Absent on purpose: the AWS SDK, TLS roots, the ledger, the manifest, and the environment of the process. Whoever composes
//! the host hands those in as values, so that the same runtime serves `pack`, tests and a worker process without
//! credentials.

mod backoff;
#[cfg(any(test, feature = "compiler"))]
mod builtin;
mod clock;
pub mod code;
pub mod command;
#[cfg(any(test, feature = "compiler"))]
pub mod compile;
pub mod component;
pub mod egress;
pub mod engine;
mod gauge;
mod guest;
pub mod http;
mod imports;
pub mod limits;
pub mod meter;
mod rate;
pub mod stats;
mod stdio;
pub mod target;
#[cfg(test)]
mod testing;
mod turn;
#[cfg(any(test, feature = "compiler"))]
mod weld;
