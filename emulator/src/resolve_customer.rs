//! The rules of `ResolveCustomer`: who stands behind the token that a buyer's browser brought.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{account::Task, entitlement::Agreement, operation::Operation, service::Service, state::Change};

/// A `ResolveCustomer` request whose members are well formed.
#[derive(Debug, Clone)]
pub(crate) struct ResolveCustomer {
    pub(crate) registration_token: String,
}

/// The tokens that buyers' browsers carry, and the licence each stands for.
#[derive(Debug, Default)]
pub(crate) struct RegistrationTokens {
    tokens: HashMap<String, Registering>,
    /// What was added since the state was written last.
    pub(crate) changes: Vec<Change>,
}

/// What a token stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Registering {
    license_arn: String,
    made_ms: u64,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveRefusal {
    #[error("The API is disabled in the Region {region}.")]
    Disabled { region: String },
    #[error("The submitted registration token has expired.")]
    Expired,
    #[error("Registration token is invalid.")]
    Invalid,
}

impl RegistrationTokens {
    /// Notes a token for `license_arn`; `false` when there are too many.
    pub(crate) fn add(&mut self, token: String, license_arn: String, made_ms: u64) -> bool {
        let fits = self.tokens.len() < TOKENS_MAX;
        if fits {
            let registering = Registering { license_arn, made_ms };
            self.changes.push(Change::RegistrationToken(token.clone(), registering.clone()));
            self.restore(token, registering);
        }
        fits
    }

    /// Takes a token as it was made.
    pub(crate) fn restore(&mut self, token: String, registering: Registering) {
        self.tokens.insert(token, registering);
    }
}

/// Decides one call at `now_ms` (emulator's clock). A token can be used again until it expires.
pub(crate) fn resolve_customer<'a>(
    service: &'a Service,
    task: &Task,
    region: &str,
    request: &ResolveCustomer,
    now_ms: u64,
) -> Result<&'a Agreement, ResolveRefusal> {
    if !service.options.regions.offer(Operation::ResolveCustomer, task.platform, region) {
        return Err(ResolveRefusal::Disabled { region: region.to_owned() });
    }
    let found = service.registration_tokens.tokens.get(&request.registration_token).ok_or(ResolveRefusal::Invalid)?;
    let agreement = service.entitlements.by_license(&found.license_arn).ok_or(ResolveRefusal::Invalid)?;
    // "The API must be called from the account that was used to publish the SaaS application."
    let product = service.products.get(&agreement.product_code);
    if !product.is_some_and(|product| product.is_published_by(&task.account)) {
        return Err(ResolveRefusal::Invalid);
    }
    if now_ms >= found.made_ms.saturating_add(u64::from(service.options.registration_token_life_s) * 1_000) {
        return Err(ResolveRefusal::Expired);
    }
    Ok(agreement)
}

const TOKENS_MAX: usize = 100_000;
