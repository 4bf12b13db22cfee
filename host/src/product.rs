//! What the vendor sells: the manifest, the listings, and the components.

pub mod listing;
pub mod load;
pub mod manifest;
pub mod mount;
pub(crate) mod spelling;
