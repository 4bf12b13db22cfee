//! State in a file: what the service remembers, as a log of changes. A line holds all that one call or one request of
//! the control API changed; it is on disk before the answer leaves, so that nothing that was acknowledged is lost.
//! Starting again is a fold over the lines. Faults that wait and the buckets of the quotas are not kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    account::{Keys, Task},
    clock::Setting,
    entitlement::Agreement,
    jwt::SigningKey,
    ledger::{Registration, Sent},
    product::Product,
    resolve_customer::Registering,
    service::Service,
};

mod journal;
mod keeper;

pub use journal::StateError;
pub(crate) use journal::{Journal, Lost};
pub(crate) use keeper::Keeper;

/// One thing that is remembered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// Somebody bought a product.
    Agreed(Agreement),
    /// The first call of a resource was let in: resource, product code.
    Asked(String, String),
    /// A line of the truth.
    Call(Box<RawValue>),
    Clock(Setting),
    /// The key that signs tokens of service accounts.
    Issuer(#[serde(with = "crate::jwt::shared")] Arc<SigningKey>),
    /// Credentials that STS issued to a task.
    Keys(String, Keys),
    /// A record was taken, with its client token and the id it may have got.
    Record(Sent, Option<(String, String)>, String),
    Registered(Registration),
    RegistrationToken(String, Registering),
    Product(String, Product),
    Task(Task),
    /// A resource ended: its ARN, Unix milliseconds.
    TaskEnded(String, u64),
    /// An account ended all its agreements on a product: product code, account, Unix milliseconds.
    Unsubscribed(String, String, u64),
}

impl Service {
    /// What has changed since this was asked last.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.changes);
        changes.append(&mut self.tasks.changes);
        changes.append(&mut self.entitlements.changes);
        changes.append(&mut self.registration_tokens.changes);
        changes.append(&mut self.ledger.changes);
        changes.append(&mut self.truth.changes);
        changes
    }

    /// Makes a change again; the clock's is handed back, since the service has no clock.
    pub(crate) fn restore(&mut self, change: Change) -> Result<Option<Setting>, String> {
        match change {
            Change::Agreed(agreement) => self.entitlements.restore(agreement),
            Change::Asked(resource, product_code) => self.entitlements.restore_asked(resource, product_code),
            Change::Call(line) => self.truth.restore(line)?,
            Change::Clock(setting) => return Ok(Some(setting)),
            Change::Issuer(key) => self.issuer = Some(key),
            Change::Keys(task, keys) => {
                self.tasks.issue(&task, keys);
            }
            Change::Record(sent, token, id) => {
                self.ledger.take(sent, token, id).map_err(|clash| format!("a record clashes: {clash:?}"))?;
            }
            Change::Registered(registration) => {
                self.ledger.register(registration);
            }
            Change::RegistrationToken(token, registering) => self.registration_tokens.restore(token, registering),
            Change::Product(code, product) => self.restore_product(code, product),
            Change::Task(task) => {
                self.tasks.add(task);
            }
            Change::TaskEnded(resource, at_ms) => self.ledger.end(&resource, at_ms),
            Change::Unsubscribed(product_code, account, at_ms) => {
                self.entitlements.unsubscribe(&product_code, &account, at_ms);
            }
        }
        Ok(None)
    }

    /// A product of the emulator's file is as the file says, with the keys that it had; any other is as it was.
    fn restore_product(&mut self, code: String, product: Product) {
        match self.options.products.contains_key(&code).then(|| self.products.get_mut(&code)).flatten() {
            Some(configured) => configured.inherit(&product),
            None => {
                self.products.insert(code, product);
            }
        }
    }
}
