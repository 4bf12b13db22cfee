//! What AWS would bill, as the emulator tells it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What AWS would bill.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Truth {
    /// Each record once.
    pub records: Vec<Record>,
    /// Successful `RegisterUsage` calls.
    pub registrations: Vec<Value>,
    /// Total of each dimension.
    pub billed: BTreeMap<String, u64>,
}

/// One accepted record.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// Listing.
    pub product_code: String,
    /// Task or pod.
    pub resource: String,
    /// Catalogue key.
    pub dimension: String,
    /// Start of the hour, RFC 3339.
    pub hour: String,
    /// Billed units.
    pub quantity: u64,
    /// Who used how much of it.
    pub allocations: Vec<Allocation>,
    /// AWS's receipt.
    pub record_id: String,
    /// How often it was sent; all but the first changed nothing.
    pub seen: u32,
}

/// A part of a record with its tags.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Allocation {
    /// Billed units.
    pub quantity: u64,
    /// Key and value of each tag.
    pub tags: Vec<(String, String)>,
}
