//! Usage, entitlement and standing for Rust components that run under Tollgate.
//!
//! Counting is one line:
//!
//! ```no_run
//! use tollgate::Dimension;
//!
//! static IMAGES: Dimension = Dimension::new("images");
//!
//! fn resize(picture: &[u8]) -> Result<Vec<u8>, tollgate::CountError> {
//!     IMAGES.add(1)?;
//!     Ok(picture.to_vec())
//! }
//! ```
//!
//! The buyer pays for what was counted, and only for that: when [`Dimension::add`] returns an error, nothing was added, so
//! nothing should be delivered. Numbers only go up; there is no call that takes usage back, also not after a panic.
//!
//! A guest never waits for the disk, the network or AWS: an HTTP response is held back by the host until the usage behind it is
//! on disk, and a command's usage is on disk before its exit is reported. [`commit`] is for the rare effect outside of both.
//!
//! The crate compiles for any target, so that a product's own logic can be tested on the developer's machine. The functions that
//! ask the host can run only inside a component, and panic elsewhere.

mod bindings;
mod count;
mod entitlement;
mod tags;

pub use count::{CommitError, CountError, Dimension, commit};
pub use entitlement::{AttestError, Grant, Pricing, Standing, State, attest, grant, standing};
pub use tags::{Tags, TagsError};
