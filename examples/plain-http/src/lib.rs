//! Counts the words of a text. An ordinary `wasi:http` component that knows nothing of Tollgate.

#[cfg(target_family = "wasm")]
mod serve;
pub mod words;
