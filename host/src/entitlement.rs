//! May this product run here? The rule from AWS's reply to a [`Grant`] or a [`Denied`], and the asking.
//!
//! A `Grant` can be made only here, and the vendor's code can be loaded only with one. The rule is pure; the loop around
//! it repeats what AWS asks to be repeated until the start budget is spent, and nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use tollgate_metering::Reply;
use tollgate_runtime::meter::Pricing;

use crate::clock::Clock;
use crate::marketplace::codes::{self, Kind};
use crate::marketplace::{Answer, AskError, Marketplace, MeterUsage, RegisterUsage, Registered};
use crate::product::manifest::{Entitlement, Listing};

mod denied;
pub(crate) mod jwt;
pub(crate) mod offer;

pub use denied::{Call, Denied};
pub use jwt::NotGenuine;

/// Proof that AWS said yes to one listing of the product, or that the listing needs no yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    product: String,
    listing: String,
    pricing: Pricing,
    since_s: u64,
    proof: Proof,
    rotation_s: Option<u64>,
}

/// What a [`Grant`] rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A genuine token, or an accepted record.
    Proven,
    /// A dry run: the permission is proven, the subscription is not. It ends with exit 77 if the first real record is
    /// refused as not entitled.
    Provisional,
    /// The listing is free or brings its own licence; nobody was asked.
    Unasked,
}

impl Grant {
    /// The product's name.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// The id of the listing.
    pub fn listing(&self) -> &str {
        &self.listing
    }

    /// The listing's pricing.
    pub fn pricing(&self) -> Pricing {
        self.pricing
    }

    /// When it was given, in unix seconds; for a provisional one the first time.
    pub fn since(&self) -> u64 {
        self.since_s
    }

    /// What it rests on.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// Whether a real record still has to prove the subscription.
    pub fn provisional(&self) -> bool {
        self.proof == Proof::Provisional
    }

    /// When AWS rotated the public key we verify with, in unix seconds: the vendor should ship the next key version.
    pub fn rotation(&self) -> Option<u64> {
        self.rotation_s
    }
}

/// What to ask for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The product's name.
    pub product: &'a str,
    /// The listing the buyer uses.
    pub listing: &'a Listing,
    /// Public keys in place of the manifest's, by value; the newest version is asked for.
    pub keys: Option<&'a BTreeMap<u32, String>>,
    /// How long to repeat the question.
    pub start_budget: Duration,
    /// When an earlier start of this ledger was granted provisionally, in unix seconds; a restart does not renew it.
    pub provisional_since: Option<u64>,
}

/// Fills a buffer with random bytes from the operating system.
pub fn system_random(buffer: &mut [u8]) {
    // Going on with a buffer of zeros would make nonces that repeat.
    assert!(aws_lc_rs::rand::fill(buffer).is_ok(), "the operating system gives no random numbers");
}

/// Asks until there is an answer.
///
/// `zero_record` sends the zero record on the listing's entitlement dimension, through the ledger; it is called again
/// for as long as the answer is open. `random` fills a buffer with random bytes ([`system_random`]).
///
/// # Errors
/// [`Denied`]: AWS said no, or nothing within the start budget.
pub async fn ask<M: Marketplace>(
    marketplace: &M,
    ask: &Ask<'_>,
    clock: &Clock,
    random: &mut (dyn FnMut(&mut [u8]) + Send),
    mut zero_record: impl AsyncFnMut() -> Answer,
) -> Result<Grant, Denied> {
    let budget_ms = u64::try_from(ask.start_budget.as_millis()).unwrap_or(u64::MAX);
    let mut patience = Patience { deadline_ms: clock.now_ms().saturating_add(budget_ms), attempts: 0 };
    loop {
        let said = match &ask.listing.entitlement {
            Entitlement::Register { keys } => register(marketplace, ask, keys, clock, random).await,
            Entitlement::ZeroRecord { .. } => of_record(zero_record().await.reply),
            Entitlement::DryRun { dimension } => {
                of_dry_run(marketplace.meter_usage(dry_run(ask.listing, dimension, clock.now_ms())).await.reply)
            }
            Entitlement::None => Said::Yes { proof: Proof::Unasked, rotation_s: None },
        };
        match said {
            Said::Yes { proof, rotation_s } => return Ok(grant(ask, proof, rotation_s, clock.now_ms() / 1000)),
            Said::No(denied) => return Err(denied),
            Said::Again { code } => match patience.wait_ms(clock.now_ms(), number(random)) {
                Some(wait_ms) => {
                    tracing::warn!(code, attempt = patience.attempts, wait_ms, "AWS has not answered yet");
                    clock.sleep_until(clock.now_ms().saturating_add(wait_ms)).await;
                }
                None => return Err(Denied::NoAnswer { code, attempts: patience.attempts, budget: ask.start_budget }),
            },
        }
    }
}

fn grant(ask: &Ask<'_>, proof: Proof, rotation_s: Option<u64>, now_s: u64) -> Grant {
    let earlier = ask.provisional_since.filter(|_| proof == Proof::Provisional);
    Grant {
        product: ask.product.to_owned(),
        listing: ask.listing.id.clone(),
        pricing: ask.listing.pricing,
        since_s: earlier.unwrap_or(now_s),
        proof,
        rotation_s,
    }
}

/// What one reply means.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Yes {
        proof: Proof,
        rotation_s: Option<u64>,
    },
    /// Nothing yet.
    Again {
        code: String,
    },
    No(Denied),
}

/// One `RegisterUsage`, with a nonce that no reply from before can know.
async fn register<M: Marketplace>(
    marketplace: &M,
    ask: &Ask<'_>,
    keys: &BTreeMap<u32, String>,
    clock: &Clock,
    random: &mut (dyn FnMut(&mut [u8]) + Send),
) -> Said {
    let Some((version, pem)) = ask.keys.unwrap_or(keys).last_key_value() else {
        return Said::No(Denied::NotGenuine(NotGenuine::Key));
    };
    let nonce = nonce(random);
    let question = RegisterUsage {
        product_code: ask.listing.product_code.clone(),
        public_key_version: *version,
        nonce: nonce.clone(),
    };
    let reply = marketplace.register_usage(question).await;
    let expected = jwt::Expected {
        product_code: &ask.listing.product_code,
        public_key_version: *version,
        nonce: &nonce,
        now_s: clock.now_ms() / 1000,
    };
    of_registration(reply, pem, &expected)
}

fn of_registration(reply: Result<Registered, AskError>, pem: &str, expected: &jwt::Expected<'_>) -> Said {
    match reply {
        Ok(registered) => match jwt::verify(&registered.signature, pem, expected) {
            Ok(()) => Said::Yes { proof: Proof::Proven, rotation_s: registered.rotation },
            Err(why) => Said::No(Denied::NotGenuine(why)),
        },
        Err(AskError::Retry { code }) => Said::Again { code },
        Err(AskError::NotEntitled { code }) => Said::No(Denied::NotEntitled { code }),
        Err(AskError::Platform { code }) => Said::No(Denied::Platform { code }),
        Err(AskError::Region { code }) => Said::No(Denied::Region { code }),
        Err(AskError::Listing { code }) => Said::No(Denied::Listing { code, call: Call::RegisterUsage }),
        Err(AskError::Denied { code }) => Said::No(Denied::Refused { code, call: Call::RegisterUsage }),
    }
}

/// The reply to a zero record. A duplicate says that this task or pod has had a record accepted in this hour, which is
/// the same proof.
fn of_record(reply: Reply) -> Said {
    match reply {
        Reply::Accepted { .. } | Reply::Duplicate => Said::Yes { proof: Proof::Proven, rotation_s: None },
        other => of_refusal(other),
    }
}

/// The reply to a dry run. AWS documents that it checks the permission, not that it checks the subscription.
fn of_dry_run(reply: Reply) -> Said {
    match reply {
        Reply::DryRunOk => Said::Yes { proof: Proof::Provisional, rotation_s: None },
        other => of_refusal(other),
    }
}

fn of_refusal(reply: Reply) -> Said {
    let call = Call::MeterUsage;
    match reply {
        Reply::Unknown { detail } => Said::Again { code: detail },
        // Not processed because of who asks is final at start; because of how it travelled is not.
        Reply::NotProcessed { code } if codes::sort(&code) == Kind::Denied || is_sts_refusal(&code) => {
            Said::No(Denied::Refused { code, call })
        }
        Reply::NotProcessed { code } => Said::Again { code },
        Reply::NotEntitled { code } => Said::No(Denied::NotEntitled { code }),
        Reply::InvalidTags { code } => Said::No(Denied::Listing { code, call }),
        Reply::Refused { code } => Said::No(match codes::sort(&code) {
            Kind::Platform => Denied::Platform { code },
            Kind::Region => Denied::Region { code },
            _ => Denied::Listing { code, call },
        }),
        // Each is the reply to another question than the one that was asked.
        Reply::Accepted { .. } => Said::No(Denied::Listing { code: "a record id for a dry run".into(), call }),
        Reply::Duplicate => Said::No(Denied::Listing { code: "DuplicateRequestException for a dry run".into(), call }),
        Reply::DryRunOk => Said::No(Denied::Listing { code: "DryRunOperation for a real record".into(), call }),
    }
}

/// The codes with which STS refuses to hand out a role for good.
fn is_sts_refusal(code: &str) -> bool {
    matches!(code, "InvalidIdentityToken" | "IDPRejectedClaim" | "MalformedPolicyDocument" | "RegionDisabledException")
}

fn dry_run(listing: &Listing, dimension: &str, now_ms: u64) -> MeterUsage {
    MeterUsage {
        product_code: listing.product_code.clone(),
        dimension: dimension.to_owned(),
        timestamp: now_ms / 1000,
        quantity: 0,
        allocations: Vec::new(),
        client_token: None,
        dry_run: true,
    }
}

/// 256 random bits in hexadecimal.
fn nonce(random: &mut (dyn FnMut(&mut [u8]) + Send)) -> String {
    let mut bytes = [0; 32];
    random(&mut bytes);
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn number(random: &mut (dyn FnMut(&mut [u8]) + Send)) -> u64 {
    let mut bytes = [0; 8];
    random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Full jitter: anything from a moment to a cap that doubles. A whole fleet that starts at once shares 5 calls a second
/// in an account and region, so waits have to spread.
struct Patience {
    deadline_ms: u64,
    attempts: u32,
}

const WAIT_MIN_MS: u64 = 100;
const WAIT_FIRST_MS: u64 = 1_000;
const WAIT_CAP_MS: u64 = 30_000;

impl Patience {
    /// How long to wait after one more attempt without an answer. None: the budget would be over by then.
    fn wait_ms(&mut self, now_ms: u64, random: u64) -> Option<u64> {
        let cap_ms = WAIT_FIRST_MS.saturating_mul(1 << self.attempts.min(10)).min(WAIT_CAP_MS);
        self.attempts = self.attempts.saturating_add(1);
        let wait_ms = WAIT_MIN_MS + random % cap_ms;
        (now_ms.saturating_add(wait_ms) < self.deadline_ms).then_some(wait_ms)
    }
}

#[cfg(test)]
mod tests;
