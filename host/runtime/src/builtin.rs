//! Puts our own implementation of `tollgate:metering/counter` into a guest, before it is compiled: the compiler inlines
//! the counting into the guest. Not in the production host.
//!
//! Only `counter.wat` may import the functions that read and write the memory of this process, and only it and nothing of
//! a guest may talk to the host behind it, so guests that import either name are refused.

use std::borrow::Cow;

use wasmtime::{CodeBuilder, Engine};

use crate::component::LoadError;
use crate::engine::Wasi;
use crate::weld::weld;
use outline::Outline;

mod outline;
mod splice;

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
    let outline = Outline::of(guest).map_err(|error| refused(format!("{error:#}")))?;
    let wasi = generation(&outline.exports);
    let foreign: Vec<&str> =
        outline.imports.iter().copied().filter(|name| *name == INTRINSICS || name.starts_with(PRIVATE)).collect();
    if !foreign.is_empty() {
        return Err(LoadError::UnknownImport { id: id.to_string(), names: foreign.join(", ") });
    }
    let builtin = wat::parse_str(TEXT).map_err(|error| refused(error.to_string()))?;
    let added = Outline::of(&builtin).map_err(|error| refused(error.to_string()))?.numbers;
    let composed = splice::splice((guest, &outline), (&builtin, added)).map_err(|error| refused(error.to_string()))?;
    Ok((composed.map_or(Cow::Borrowed(guest), Cow::Owned), wasi))
}

/// By what the guest exports.
#[cfg(feature = "p3")]
fn generation(exports: &[&str]) -> Wasi {
    let later = |name: &&str| name.starts_with("wasi:http/handler@0.3.") || name.starts_with("wasi:cli/run@0.3.");
    if exports.iter().any(later) { Wasi::P3 } else { Wasi::P2 }
}

#[cfg(not(feature = "p3"))]
fn generation(_: &[&str]) -> Wasi {
    Wasi::P2
}

/// What compiles `composed`, made by [`compose`], with as few core instances as can be.
#[expect(unsafe_code, reason = "the builtin reads and writes the memory of the process that runs it")]
pub(crate) fn compiler<'a>(engine: &'a Engine, composed: &'a [u8]) -> wasmtime::Result<CodeBuilder<'a>> {
    let mut builder = CodeBuilder::new(engine);
    builder.wasm_binary(weld(composed.into()), None)?;
    // SAFETY: nothing but `counter.wat` imports them, since guests that do are refused by `compose`; where it was welded to
    // the guest's module, the functions of the guest have no number for them, as before. It runs only in stores
    // whose data is a `Guest`, as the linker of this crate is for no other; meter/cells.rs says why what it does there is
    // sound.
    unsafe { builder.expose_unsafe_intrinsics(INTRINSICS) };
    Ok(builder)
}

#[cfg(test)]
mod tests;
