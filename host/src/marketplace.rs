//! AWS Marketplace in our own words: what the host asks for, and what it learns.
//!
//! The only trait over network I/O in the host. It knows the two operations a container may call, not how they travel;
//! one call here is one HTTP request, so that one attempt on disk is one attempt at AWS. The two implementations are
//! [`aws`] and the scripted service of the tests.

use std::future::Future;

use tollgate_metering::Reply;

pub mod aws;
pub(crate) mod codes;

/// The two calls of the AWS Marketplace Metering Service that a container product may make.
pub trait Marketplace: Send + Sync + 'static {
    /// Asks whether this task or pod may run the product; under `hourly` and `monthly` listings AWS meters from here on.
    ///
    /// # Errors
    /// [`AskError`], sorted by what the caller does next.
    fn register_usage(&self, ask: RegisterUsage) -> impl Future<Output = Result<Registered, AskError>> + Send;

    /// Sends one usage record. Never fails: whatever happened is a [`Reply`] that says what is known.
    fn meter_usage(&self, record: MeterUsage) -> impl Future<Output = Answer> + Send;
}

/// The request of `RegisterUsage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterUsage {
    /// The product code of the listing, at most 255 characters.
    pub product_code: String,
    /// Which of the product's public keys the reply is to be signed for; 1 or more.
    pub public_key_version: u32,
    /// Comes back inside the signed reply; at most 255 characters.
    pub nonce: String,
}

/// The reply to `RegisterUsage`; nothing in it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// A compact JWS.
    pub signature: String,
    /// When the public key was or will be rotated, in unix seconds. AWS sends it once the key version has expired.
    pub rotation: Option<u64>,
}

/// Why `RegisterUsage` gave no signature, sorted by what the caller does next. Each carries AWS's own code, or what
/// happened on the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Throttled, an outage, or no answer: ask again inside the start budget.
    #[error("no answer yet: {code}")]
    Retry {
        /// AWS's error code, or what happened on the way.
        code: String,
    },
    /// The buyer's account has no subscription.
    #[error("not entitled: {code}")]
    NotEntitled {
        /// AWS's error code.
        code: String,
    },
    /// AWS does not accept calls from where this process runs.
    #[error("platform not supported: {code}")]
    Platform {
        /// AWS's error code.
        code: String,
    },
    /// The call went to another region than the one the task or pod runs in, or the region does not offer the service.
    #[error("wrong region: {code}")]
    Region {
        /// AWS's error code.
        code: String,
    },
    /// AWS does not know what the manifest names: product code, key version, or anything else we do not know.
    #[error("listing refused: {code}")]
    Listing {
        /// AWS's error code.
        code: String,
    },
    /// The credentials were refused: a missing permission, or a signature that AWS does not accept.
    #[error("call refused: {code}")]
    Denied {
        /// AWS's error code.
        code: String,
    },
}

/// The request of `MeterUsage`: one record of one dimension and hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterUsage {
    /// The product code of the listing.
    pub product_code: String,
    /// The catalogue key of the dimension, not its display name.
    pub dimension: String,
    /// Unix seconds; AWS keeps the hour of it.
    pub timestamp: u64,
    /// Billed units, 0 to 2147483647.
    pub quantity: u32,
    /// Who used how much of `quantity`; empty, or the sum is `quantity`.
    pub allocations: Vec<Allocation>,
    /// Makes a repeated request recognisable, 1 to 64 characters. None: the request carries no token of ours.
    pub client_token: Option<String>,
    /// Asks for a permission check only; nothing is recorded.
    pub dry_run: bool,
}

/// A part of a record's quantity, with the tags the buyer sees it under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Billed units, 0 to 2147483647.
    pub quantity: u32,
    /// Key and value of each tag, at most 5; empty for the part without tags.
    pub tags: Vec<(String, String)>,
}

/// What is known after one `MeterUsage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What AWS did with the record, as far as it is known.
    pub reply: Reply,
    /// The `Date` header of the reply in unix seconds: a clock that the buyer does not set.
    pub date: Option<u64>,
}
