//! The vendor's tool: demo, dev, emulator, doctor.
//!
//! It is also the one place where the host library is composed with another endpoint, clock and keys than
//! production's ([`lab_host`]); the production binary is built without this crate. The integration tests use the same
//! code to build guests and to start hosts.
//!
//! What is absent on purpose: no rule of metering and no knowledge of what AWS would answer. The host decides, the
//! emulator judges, this crate starts them and compares.

pub mod arguments;
pub mod assertions;
pub mod build;
pub mod completions;
pub mod control;
pub mod demo;
pub mod dev;
pub mod doctor;
pub mod emulator;
pub mod environment;
pub mod host;
pub mod host_binary;
pub mod http;
pub mod image;
pub mod inspect;
pub mod interrupt;
pub mod keygen;
pub mod lab_host;
pub mod listen;
pub mod open_watch;
pub mod pack;
pub mod process;
pub mod product;
pub mod sbom;
pub mod service;
pub mod table;
pub mod toolchain;
pub mod trigger;
pub mod trouble;
pub mod verify;
pub mod words;
