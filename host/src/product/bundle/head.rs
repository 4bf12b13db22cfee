//! What is in a bundle, as JSON in one spelling: this is what the vendor signs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// The version of this form.
pub const FORMAT: u32 = 1;

/// The head. Fields in this order, nothing between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of tollgate that packed it.
    pub tollgate: String,
    /// What the build is for.
    pub purpose: Purpose,
    /// The processor that the code is for, such as `x86-64-v3`.
    pub cpu: String,
    /// The host before the payload.
    pub host: Host,
    /// The code, in the order of the file and of the manifest.
    pub components: Vec<PackedComponent>,
    /// The public keys of the listings, by their file in the manifest.
    pub keys: BTreeMap<String, String>,
    /// `product.toml` without comments, keys in order.
    pub manifest: String,
}

/// What a build is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To be sold.
    Product,
    /// Sends one record of each dimension from the seller's account and ends; has no code in it.
    Preview,
}

/// The host that the payload was put on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Its bytes, filled with zeros up to a multiple of 65536: where the payload begins.
    pub bytes: u64,
    /// The digest of these bytes, vendor's key included. `tollgate verify` compares it; a host that was changed would
    /// not compare anything.
    pub sha256: Digest,
}

/// The code of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedComponent {
    /// Its id in the manifest.
    pub id: String,
    /// Bytes of its code; zeros follow up to a multiple of 65536.
    pub bytes: u64,
    /// The digest of code and zeros.
    pub sha256: Digest,
    /// The digest of the component that the code was made from.
    pub source_sha256: Digest,
}

impl Head {
    /// Reads bytes whose signature is good.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let head: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if head.format != FORMAT {
            return Err(format!("its format is {}, this host reads {FORMAT}", head.format));
        }
        if head.text().as_bytes() != bytes {
            return Err("it is not in the one spelling".into());
        }
        Ok(head)
    }

    /// The one spelling.
    pub fn text(&self) -> String {
        // A struct of strings, numbers and lists has no value that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}
