//! The example `thumbnails`, counting nothing, so that any host can run it.

mod meter;
#[path = "../../../../examples/thumbnails/src/picture.rs"]
pub mod picture;
#[path = "../../../../examples/thumbnails/src/serve.rs"]
mod serve;
