//! The metering engine: pure decisions about what is recorded, sealed, sent and settled.
#![no_std]

extern crate alloc;

mod reply;

pub use reply::Reply;
