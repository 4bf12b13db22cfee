//! What is on sale: a product with its pricing, its dimensions and the versions of its key.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    jwt::{KeyError, SigningKey},
    money::Dollars,
};

/// How a listing is priced, as far as the metering service cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pricing {
    /// Custom dimensions, sent by `MeterUsage`.
    Custom,
    /// Free, or with a licence of the buyer's own.
    Free,
    /// By the hour, metered by AWS from `RegisterUsage` on.
    Hourly,
    /// A fixed price a month; `RegisterUsage` only asks for the entitlement.
    Monthly,
    /// Sold as a service: custom dimensions, sent by `BatchMeterUsage` from the publisher's account.
    Saas,
}

/// A product on sale.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Product {
    pricing: Pricing,
    dimensions: BTreeSet<String>,
    publisher: Option<String>,
    legacy: bool,
    keys: BTreeMap<u32, KeyVersion>,
    /// Key versions to be generated when the emulator starts.
    #[serde(skip)]
    expected: Vec<u32>,
    prices: BTreeMap<String, Dollars>,
    price_per_hour: Option<Dollars>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyVersion {
    #[serde(with = "crate::jwt::shared")]
    pub(crate) key: Arc<SigningKey>,
    /// When the version was rotated out, in Unix seconds.
    pub(crate) rotated_s: Option<u64>,
}

impl Product {
    /// A product with these dimension keys (the API names, not the display names) and no signing key yet.
    pub fn new(pricing: Pricing, dimensions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let dimensions = dimensions.into_iter().map(Into::into).collect();
        Self {
            pricing,
            dimensions,
            publisher: None,
            legacy: false,
            keys: BTreeMap::new(),
            expected: Vec::new(),
            prices: BTreeMap::new(),
            price_per_hour: None,
        }
    }

    /// The same product with `key` as version `version` of its signing key.
    #[must_use]
    pub fn with_key(mut self, version: u32, key: SigningKey) -> Self {
        self.keys.insert(version, KeyVersion { key: Arc::new(key), rotated_s: None });
        self
    }

    /// The same product, published by `account`: calls from there are in preview mode and skip the entitlement check.
    #[must_use]
    pub fn with_publisher(mut self, account: impl Into<String>) -> Self {
        self.publisher = Some(account.into());
        self
    }

    /// The same product with a price for one unit of `dimension`; the invoice preview needs it, nothing else.
    #[must_use]
    pub fn with_price(mut self, dimension: impl Into<String>, price: Dollars) -> Self {
        self.prices.insert(dimension.into(), price);
        self
    }

    /// The same product with a price for one hour of a task or pod.
    #[must_use]
    pub fn with_price_per_hour(mut self, price: Dollars) -> Self {
        self.price_per_hour = Some(price);
        self
    }

    /// The same product, integrated before licences were: its customers have a `CustomerIdentifier`.
    #[must_use]
    pub fn with_customer_identifiers(mut self) -> Self {
        self.legacy = true;
        self
    }

    /// Generates every key version in `versions` that is not there yet.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate_keys(&mut self, versions: impl IntoIterator<Item = u32>) -> Result<(), KeyError> {
        for version in versions {
            if let Entry::Vacant(missing) = self.keys.entry(version) {
                missing.insert(KeyVersion { key: Arc::new(SigningKey::generate()?), rotated_s: None });
            }
        }
        Ok(())
    }

    /// Gives a product that is sold as a service a publisher if it has none: it cannot be metered without.
    pub(crate) fn publish_by(&mut self, account: &str) {
        if self.pricing == Pricing::Saas {
            self.publisher.get_or_insert_with(|| account.to_owned());
        }
    }

    /// Says which key versions there are to be when the emulator starts.
    pub(crate) fn expect_keys(&mut self, versions: Vec<u32>) {
        self.expected = versions;
    }

    /// Generates what is expected; a product with no keys at all gets version 1.
    pub(crate) fn generate_expected_keys(&mut self) -> Result<(), KeyError> {
        let mut versions = std::mem::take(&mut self.expected);
        if versions.is_empty() && self.keys.is_empty() {
            versions.push(1);
        }
        self.generate_keys(versions)
    }

    /// Takes over what is not said anew of what the product was before: its signing keys, and prices.
    pub(crate) fn inherit(&mut self, before: &Self) {
        self.keys.clone_from(&before.keys);
        for (dimension, price) in &before.prices {
            self.prices.entry(dimension.clone()).or_insert(*price);
        }
        self.price_per_hour = self.price_per_hour.or(before.price_per_hour);
    }

    /// Notes that a key version was rotated out at `unix_s`.
    pub(crate) fn rotate(&mut self, version: u32, unix_s: u64) {
        if let Some(key) = self.keys.get_mut(&version) {
            key.rotated_s = Some(unix_s);
        }
    }

    pub(crate) fn pricing(&self) -> Pricing {
        self.pricing
    }

    pub(crate) fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.dimensions.iter().map(String::as_str)
    }

    pub(crate) fn publisher(&self) -> Option<&str> {
        self.publisher.as_deref()
    }

    /// For one unit of `dimension`.
    pub(crate) fn price(&self, dimension: &str) -> Option<Dollars> {
        self.prices.get(dimension).copied()
    }

    /// For one hour of a task or pod.
    pub(crate) fn price_per_hour(&self) -> Option<Dollars> {
        self.price_per_hour
    }

    pub(crate) fn sells(&self, dimension: &str) -> bool {
        self.dimensions.contains(dimension)
    }

    pub(crate) fn is_published_by(&self, account: &str) -> bool {
        self.publisher.as_deref() == Some(account)
    }

    pub(crate) fn is_legacy(&self) -> bool {
        self.legacy
    }

    pub(crate) fn key(&self, version: u32) -> Option<&KeyVersion> {
        self.keys.get(&version)
    }

    /// Each version's public key in PEM.
    pub(crate) fn public_pems(&self) -> BTreeMap<u32, String> {
        self.keys.iter().map(|(version, held)| (*version, held.key.public_pem().to_owned())).collect()
    }
}
