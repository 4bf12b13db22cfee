//! The AWS Marketplace Metering Service on localhost.
//!
//! It answers `RegisterUsage`, `MeterUsage`, `BatchMeterUsage` and `ResolveCustomer` as AWS documents them, on a clock
//! that a test can move, and keeps the truth: every call with the rule that decided it, and what AWS would bill. Where
//! AWS documents nothing, the behaviour is a field of [`Options`] whose default and its reason stand beside it.
//!
//! One TCP port serves the AWS API and STS (`POST /`), the control API (`/_tollgate/...`) and what tasks, pods and
//! instances find at their link-local addresses (`/v4/...`, `/v2/credentials/...`, `/v1/credentials`, `/latest/...`), so
//! that a client's real code path runs. The port stands for the endpoint of every region: the region in the credential
//! scope says which one the client meant.
//!
//! The rules are pure functions of state, request and `now`; wire forms stop in `wire.rs`; only `clock.rs` reads the
//! clock. The crate knows nothing of the Tollgate host: they meet only over HTTP.

mod account;
mod allocation;
mod assertion;
mod batch_meter_usage;
mod bill;
mod clock;
mod config;
mod connection;
mod control;
mod entitlement;
mod export;
mod fault;
mod instance;
mod invoice;
mod jwt;
mod ledger;
mod metadata;
mod meter_usage;
mod money;
mod operation;
mod options;
mod product;
mod quantity;
mod quota;
mod region;
mod register_usage;
mod resolve_customer;
mod server;
mod service;
mod sigv4;
mod state;
mod sts;
mod token;
mod truth;
mod web;
mod wire;

pub use config::ConfigErrors;
pub use jwt::{KeyError, SigningKey};
pub use money::Dollars;
pub use options::{
    BilledFrom, DryRunReply, ExpiredKey, Options, PastWindow, RefusedResource, Subscription, TagCharset, TokenScope,
    UnknownCustomer, WireClock,
};
pub use product::{Pricing, Product};
pub use quota::Quota;
pub use region::Regions;
pub use server::{BindError, Emulator};
pub use state::StateError;
