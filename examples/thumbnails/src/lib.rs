//! Makes small pictures of large ones, paid by the picture and the gigapixel.
//!
//! The edge (`serve`, `meter`) exists only inside a component. The product itself (`picture`) compiles anywhere, so its tests are plain
//! `cargo test`.

#[cfg(target_family = "wasm")]
mod meter;
pub mod picture;
#[cfg(target_family = "wasm")]
mod serve;
