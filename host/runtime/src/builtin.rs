//! Composes a guest with our own implementation of `tollgate:metering/counter`, before it is compiled: the compiler inlines
//! the counting into the guest. Not in the production host.
//!
//! Only `counter.wat` may import the functions that read and write the memory of this process, and only it and nothing of
//! a guest may talk to the host behind it, so guests that import either name are refused.

use std::borrow::Cow;

use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};
use wasmtime::{CodeBuilder, Engine};

use crate::component::LoadError;
use crate::engine::Wasi;

/// What the compiler gives the builtin: addresses, loads and stores.
const INTRINSICS: &str = "tollgate-unsafe-intrinsics";
/// What only the builtin imports from the host.
const PRIVATE: &str = "tollgate:host/";
/// Any version that has the functions of ours.
const COUNTER: &str = "tollgate:metering/counter@0.1.";

const TEXT: &str = include_str!("builtin/counter.wat");

/// The guest with the builtin in it, and which WASI it is built for; the guest as it is, if it counts nothing by itself.
pub(crate) fn compose<'a>(guest: &'a [u8], id: &str) -> Result<(Cow<'a, [u8]>, Wasi), LoadError> {
    let refused = |detail: String| LoadError::Compile { id: id.to_string(), detail };
    let mut graph = CompositionGraph::new();
    let package = Package::from_bytes("guest", None, guest.to_vec(), graph.types_mut());
    let package = package.map_err(|error| refused(format!("{error:#}")))?;
    let wasi = generation(graph.types()[package.ty()].exports.keys());
    let imports: Vec<&str> = graph.types()[package.ty()].imports.keys().map(String::as_str).collect();
    let foreign: Vec<&str> =
        imports.iter().copied().filter(|name| *name == INTRINSICS || name.starts_with(PRIVATE)).collect();
    if !foreign.is_empty() {
        return Err(LoadError::UnknownImport { id: id.to_string(), names: foreign.join(", ") });
    }
    if !imports.iter().any(|name| name.starts_with(COUNTER)) {
        return Ok((Cow::Borrowed(guest), wasi));
    }
    let builtin = wat::parse_str(TEXT).map_err(|error| refused(error.to_string()))?;
    let builtin = Package::from_bytes("tollgate:counter", None, builtin, graph.types_mut());
    let builtin = builtin.map_err(|error| refused(format!("{error:#}")))?;
    let builtin = graph.register_package(builtin).map_err(|error| refused(error.to_string()))?;
    let guest_node = graph.register_package(package).map_err(|error| refused(error.to_string()))?;
    // The builtin exports nothing else, so where this succeeds it is the counter that was plugged. Where it does not, the
    // linker says best what is wrong with the import.
    if plug(&mut graph, vec![builtin], guest_node).is_err() {
        return Ok((Cow::Borrowed(guest), wasi));
    }
    let composed = graph.encode(EncodeOptions::default()).map_err(|error| refused(format!("{error:#}")))?;
    Ok((Cow::Owned(composed), wasi))
}

/// By what the guest exports.
#[cfg(feature = "p3")]
fn generation<'a>(mut exports: impl Iterator<Item = &'a String>) -> Wasi {
    let later = |name: &String| name.starts_with("wasi:http/handler@0.3.") || name.starts_with("wasi:cli/run@0.3.");
    if exports.any(later) { Wasi::P3 } else { Wasi::P2 }
}

#[cfg(not(feature = "p3"))]
fn generation<'a>(_: impl Iterator<Item = &'a String>) -> Wasi {
    Wasi::P2
}

/// What compiles `composed`, made by [`compose`].
#[expect(unsafe_code, reason = "the builtin reads and writes the memory of the process that runs it")]
pub(crate) fn compiler<'a>(engine: &'a Engine, composed: &'a [u8]) -> wasmtime::Result<CodeBuilder<'a>> {
    let mut builder = CodeBuilder::new(engine);
    builder.wasm_binary(composed, None)?;
    // SAFETY: nothing but `counter.wat` imports them, since guests that do are refused by `compose`. It runs only in stores
    // whose data is a `Guest`, as the linker of this crate is for no other; meter/cells.rs says why what it does there is
    // sound.
    unsafe { builder.expose_unsafe_intrinsics(INTRINSICS) };
    Ok(builder)
}

#[cfg(test)]
mod tests;
