//! The AWS Marketplace Metering Service on localhost.
//!
//! It answers `RegisterUsage` and `MeterUsage` as AWS documents them, on a clock that a test can move, and keeps the
//! truth: every call with the rule that decided it, and what AWS would bill. Where AWS documents nothing, the
//! behaviour is a field of [`Options`] whose default and its reason stand beside it.
//!
//! One TCP port serves the AWS API (`POST /`), the control API (`/_tollgate/...`) and what a container on ECS finds
//! at its link-local address (`/v4/...`, `/v2/credentials/...`), so that a client's real code path runs. The port
//! stands for the endpoint of every region: the region in the credential scope says which one the client meant.
//!
//! The rules are pure functions of state, request and `now`; wire forms stop in `wire.rs`; only `clock.rs` reads the
//! clock. The crate knows nothing of the Tollgate host: they meet only over HTTP.

mod account;
mod allocation;
mod assertion;
mod bill;
mod clock;
mod control;
mod entitlement;
mod export;
mod fault;
mod invoice;
mod jwt;
mod ledger;
mod metadata;
mod meter_usage;
mod money;
mod options;
mod product;
mod quota;
mod register_usage;
mod server;
mod service;
mod sigv4;
mod truth;
mod wire;

pub use jwt::{KeyError, SigningKey};
pub use money::Dollars;
pub use options::{BilledFrom, DryRunReply, ExpiredKey, Options, PastWindow, RefusedResource, TagCharset, TokenScope};
pub use product::{Pricing, Product};
pub use quota::Quota;
pub use server::{BindError, Emulator};
