//! Signatures of AWS on a guest's own nonce.

use tollgate_runtime::meter::{Attest, AttestRefusal};

use super::Keeper;
use crate::marketplace::{Marketplace, RegisterUsage};

/// At most one call in this time, in milliseconds.
const EVERY_MS: u64 = 60_000;

/// What to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The product code of the listing.
    pub product_code: String,
    /// The version of the product's public key that guests know.
    pub public_key_version: u32,
}

impl<M: Marketplace> Keeper<M> {
    /// Asks AWS beside everything else, and answers the guest itself.
    pub(super) fn attest(&mut self, attest: Attest) {
        let now = self.clock.boot_ms();
        let refusal = match &self.options.attestation {
            None => Some(AttestRefusal::NotThisPricing),
            Some(_) if self.attested_ms.is_some_and(|at| now < at.saturating_add(EVERY_MS)) => {
                Some(AttestRefusal::TooOften)
            }
            Some(_) => None,
        };
        let (Some(attestation), None) = (self.options.attestation.clone(), refusal) else {
            drop(attest.done.send(Err(refusal.unwrap_or(AttestRefusal::NotThisPricing))));
            return;
        };
        self.attested_ms = Some(now);
        let marketplace = self.marketplace.clone();
        self.runtime.spawn(async move {
            let ask = RegisterUsage {
                product_code: attestation.product_code,
                public_key_version: attestation.public_key_version,
                nonce: attest.nonce,
            };
            let answer = marketplace.register_usage(ask).await;
            let signature = answer.map(|registered| registered.signature).map_err(|_| AttestRefusal::NoAnswer);
            // A guest that went away does not need it.
            drop(attest.done.send(signature));
        });
    }
}
