//! The interfaces of the metering package, one file each: what a call sees, what it does, how it is linked.

pub(crate) mod counter;
pub(crate) mod entitlement;
pub(crate) mod usage;

use wasmtime::component::Linker;

use crate::guest::Guest;

/// Generated from the WIT text. Calls that wait for a disk or for AWS are async; the hot ones are plain functions.
pub(crate) mod wit {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "tollgate:metering/imports",
        imports: {
            "tollgate:metering/usage.commit": async,
            "tollgate:metering/entitlement.attest": async,
        },
        require_store_data_send: true,
    });
    pub(crate) use tollgate::metering::{counter, entitlement, usage};
}

/// Links the three interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    counter::add_to_linker(linker)?;
    usage::add_to_linker(linker)?;
    entitlement::add_to_linker(linker)
}
