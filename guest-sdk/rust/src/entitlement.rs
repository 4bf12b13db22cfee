//! What AWS granted to this container, and how the account stands.

use std::error::Error;
use std::fmt;

use crate::bindings::tollgate::metering::entitlement as host;

/// The listing that this container runs under. AWS agreed before this code was loaded, so nothing needs to be checked first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The product's name in the manifest.
    pub product: String,
    /// The listing's id in the manifest.
    pub listing: String,
    /// How the listing is priced.
    pub pricing: Pricing,
    /// When AWS agreed, or the container started where nobody has to be asked: RFC 3339, UTC, whole seconds.
    pub since: String,
}

/// How a listing is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pricing {
    /// By the hour that a task or pod runs. Usage counted here is shown, never sent.
    Hourly,
    /// By the month. Usage counted here is shown, never sent.
    Monthly,
    /// By the dimensions of the product. Usage counted here is sent to AWS.
    Custom,
    /// Free of charge. Usage counted here is shown, never sent.
    Free,
    /// The buyer brings a licence of the vendor's. Usage counted here is shown, never sent.
    Byol,
    /// The vendor runs the software and meters each customer.
    Saas,
}

/// What was granted at start: the same answer for the life of the container.
///
/// ```no_run
/// let trial = tollgate::grant().pricing == tollgate::Pricing::Free;
/// ```
pub fn grant() -> Grant {
    let host::Granted { product, listing, pricing, since } = host::grant();
    let pricing = match pricing {
        host::Pricing::Hourly => Pricing::Hourly,
        host::Pricing::Monthly => Pricing::Monthly,
        host::Pricing::Custom => Pricing::Custom,
        host::Pricing::Free => Pricing::Free,
        host::Pricing::Byol => Pricing::Byol,
        host::Pricing::Saas => Pricing::Saas,
    };
    Grant { product, listing, pricing, since }
}

/// Whether usage reaches AWS, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The state now.
    pub state: State,
    /// When it began: RFC 3339, UTC, whole seconds.
    pub since: String,
}

/// Whether usage reaches AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Everything that was due has been accepted.
    Good,
    /// The oldest hour that AWS has not accepted is older than the manifest's `warn_after`. Work goes on.
    Late,
    /// New billable work is refused.
    Stopping,
}

/// How the account stands now.
pub fn standing() -> Standing {
    let host::Stand { state, since } = host::standing();
    let state = match state {
        host::State::Good => State::Good,
        host::State::Late => State::Late,
        host::State::Stopping => State::Stopping,
    };
    Standing { state, since }
}

/// A token signed by AWS for this product and `nonce` (a JWT, PS256), to be verified with the product's public key: the proof
/// that the host is real and the entitlement fresh. The nonce must be new and unpredictable, best made by the vendor's server.
///
/// # Errors
///
/// There is no token. Only [`AttestError::NoAnswer`] and [`AttestError::TooOften`] may pass with time.
pub fn attest(nonce: &str) -> Result<String, AttestError> {
    host::attest(nonce).map_err(|refusal| match refusal {
        host::AttestRefusal::NotThisPricing => AttestError::NotThisPricing,
        host::AttestRefusal::TooOften => AttestError::TooOften,
        host::AttestRefusal::NoAnswer => AttestError::NoAnswer,
        host::AttestRefusal::InvalidNonce => AttestError::InvalidNonce,
    })
}

/// Why there is no attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttestError {
    /// Only hourly and monthly listings can be attested: elsewhere the call behind it may start billing.
    NotThisPricing,
    /// AWS was asked within the last minute.
    TooOften,
    /// AWS did not answer, or refused.
    NoAnswer,
    /// The nonce is empty, longer than 255 characters, or not printable ASCII.
    InvalidNonce,
}

impl fmt::Display for AttestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotThisPricing => "a listing of this pricing cannot be attested",
            Self::TooOften => "AWS was asked within the last minute",
            Self::NoAnswer => "AWS did not answer",
            Self::InvalidNonce => "the nonce is empty, too long or not printable ASCII",
        })
    }
}

impl Error for AttestError {}
