//! The rules of `RegisterUsage`, in the order in which they decide.

use std::sync::Arc;

use crate::{
    account::Task, entitlement::Entitled, jwt::SigningKey, ledger::Registration, operation::Operation,
    options::ExpiredKey, product::Pricing, service::Service,
};

/// A `RegisterUsage` request whose members are well formed.
#[derive(Debug, Clone)]
pub(crate) struct RegisterUsage {
    pub(crate) product_code: String,
    pub(crate) public_key_version: u32,
    pub(crate) nonce: Option<String>,
}

/// An accepted call: what is to be signed, by which key.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) key: Arc<SigningKey>,
    /// When the key version was rotated out, in Unix seconds.
    pub(crate) rotated_s: Option<u64>,
    /// What the call started, in words.
    pub(crate) rule: &'static str,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegisterRefusal {
    #[error("Exception thrown when the customer does not have a valid subscription for the product.")]
    CustomerNotEntitled,
    #[error("The API is disabled in the Region {region}.")]
    Disabled { region: String },
    #[error("The product code {product_code} is not valid.")]
    InvalidProductCode { product_code: String },
    #[error("The public key version {version} is not valid for the product.")]
    InvalidPublicKeyVersion { version: u32 },
    #[error("The endpoint of {called} was called by a container in {home}.")]
    InvalidRegion { called: String, home: String },
    #[error("This operation can only be called from within an ECS task or an EKS pod.")]
    PlatformNotSupported,
}

/// Decides one call at `now_ms` (emulator's clock). `region` is that of the endpoint called.
pub(crate) fn register_usage(
    service: &mut Service,
    task: &Task,
    region: &str,
    request: &RegisterUsage,
    now_ms: u64,
) -> Result<Registered, RegisterRefusal> {
    let RegisterUsage { product_code, public_key_version: version, .. } = request;
    let Some(product) = service.products.get(product_code) else {
        return Err(RegisterRefusal::InvalidProductCode { product_code: product_code.clone() });
    };
    if task.region != region {
        return Err(RegisterRefusal::InvalidRegion { called: region.to_owned(), home: task.region.clone() });
    }
    if !task.platform.registers() {
        return Err(RegisterRefusal::PlatformNotSupported);
    }
    if !service.options.regions.offer(Operation::RegisterUsage, task.platform, region) {
        return Err(RegisterRefusal::Disabled { region: region.to_owned() });
    }
    let refuse_expired = service.options.expired_key == ExpiredKey::Refuse;
    let Some(key) = product.key(*version).filter(|key| !(refuse_expired && key.rotated_s.is_some())) else {
        return Err(RegisterRefusal::InvalidPublicKeyVersion { version: *version });
    };
    let (key, rotated_s, pricing) = (Arc::clone(&key.key), key.rotated_s, product.pricing());
    let entitled = service.entitlements.ask(task, product_code, product, service.options.refused_resource);
    let rule = match (entitled, pricing) {
        (None, _) => return Err(RegisterRefusal::CustomerNotEntitled),
        (Some(Entitled::Preview), _) => "preview",
        // "RegisterUsage is for metering paid hourly container products": for others it only answers.
        (Some(_), Pricing::Custom | Pricing::Saas) => "registered-never-billed-custom-pricing",
        (Some(_), Pricing::Free | Pricing::Monthly) => "registered-not-billed-by-the-hour",
        (Some(_), Pricing::Hourly) => {
            let resource = task.resource();
            let registration = Registration {
                product_code: product_code.clone(),
                resource,
                started_ms: task.started_ms,
                at_ms: now_ms,
                ended_ms: None,
            };
            if service.ledger.register(registration) { "registered" } else { "registered-before" }
        }
    };
    Ok(Registered { key, rotated_s, rule })
}
