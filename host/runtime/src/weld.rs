//! Makes one core module of two, where a component always instantiates both. Not in the production host.
//!
//! What compilers make of a guest has small modules beside the large one: the builtin, and the one by which wit-component
//! lets the guest call functions that need its own memory. Each costs about a microsecond per instance, which is a tenth of
//! what a small request costs. A module that only has functions and tables becomes part of the one that it is instantiated
//! for: calls, tables and answers stay what they were.
//!
//! What is not known to be the same afterwards is left as it is, so this has no errors.
//!
//! Traces keep their function names; places in source files are gone from what was welded, since code has moved.

use std::borrow::Cow;

use wasmparser::{Validator, WasmFeatures};

use survey::Survey;

mod component;
mod join;
mod module;
mod survey;

/// What cannot be welded is left.
#[derive(Debug)]
struct Left;

type Error = wasm_encoder::reencode::Error<Left>;

/// The component with fewer core instances, as far as that is possible.
pub(crate) fn weld(component: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let mut welded = component;
    // What is added gets names by its number.
    for number in 0.. {
        let next = Survey::of(&welded).ok().and_then(|survey| {
            let pairs = survey.pairs();
            let mut all = pairs.iter().filter_map(|pair| component::weld(&welded, &survey, pair, number).ok());
            all.find(|next| Validator::new_with_features(WasmFeatures::all()).validate_all(next).is_ok())
        });
        match next {
            Some(next) => welded = Cow::Owned(next),
            None => break,
        }
    }
    welded
}

#[cfg(test)]
mod tests;
