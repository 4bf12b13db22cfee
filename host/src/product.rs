//! What the vendor sells: the manifest, the listings, the components, and the bundle they travel in.

pub mod bundle;
pub mod listing;
pub mod load;
pub mod manifest;
pub mod mount;
pub mod source;
pub(crate) mod spelling;
