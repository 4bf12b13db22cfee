//! What the service keeps: one record for each product, source, dimension and hour, the client tokens it has seen, and
//! the resources it meters by the hour. What AWS would bill is a sum over this.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::{Deserialize, Serialize};

use crate::{allocation::Allocation, quantity::Quantity, state::Change, token::Tokens};

/// Everything accepted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    records: BTreeMap<RecordKey, Record>,
    tokens: Tokens,
    registered: BTreeSet<(String, String)>,
    registrations: Vec<Registration>,
    /// What has changed since the state was written last.
    pub(crate) changes: Vec<Change>,
}

/// What usage is deduplicated by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RecordKey {
    pub(crate) product_code: String,
    pub(crate) source: Source,
    pub(crate) dimension: String,
    /// Hours since 1970.
    pub(crate) hour: i64,
    /// On AgentCore many records share an hour: there the client token tells them apart.
    pub(crate) token: Option<String>,
}

/// Whose usage a record is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Source {
    /// A buyer's customer of a product sold as a service. AWS looks for duplicates in each region by itself.
    Customer {
        /// Account of the buyer.
        account: String,
        /// Given by newer integrations. Usage sent with and without it is billed twice, as documented.
        license_arn: Option<String>,
        region: String,
    },
    /// A task, pod or instance in the buyer's account.
    Resource(String),
}

impl Source {
    /// Who pays: the account.
    pub(crate) fn customer(&self) -> &str {
        match self {
            Self::Customer { account, .. } => account,
            Self::Resource(arn) => arn.split(':').nth(4).unwrap_or_default(),
        }
    }

    /// The task, pod or instance; empty for a customer.
    pub(crate) fn resource(&self) -> &str {
        match self {
            Self::Customer { .. } => "",
            Self::Resource(arn) => arn,
        }
    }
}

/// An accepted record; the first to arrive stays.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) timestamp_ms: i64,
    pub(crate) quantity: Quantity,
    /// In canonical order.
    pub(crate) allocations: Vec<Allocation>,
    /// How often it was accepted.
    pub(crate) seen: u32,
}

/// A record as it arrives: also the parameters a client token came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) key: RecordKey,
    pub(crate) timestamp_ms: i64,
    pub(crate) quantity: Quantity,
    pub(crate) allocations: Vec<Allocation>,
}

/// A resource that AWS meters by the hour.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Registration {
    pub(crate) product_code: String,
    pub(crate) resource: String,
    /// When the resource started, on the emulator's clock.
    pub(crate) started_ms: u64,
    pub(crate) at_ms: u64,
    /// When the resource ended.
    pub(crate) ended_ms: Option<u64>,
}

/// How a record was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing was there for that hour; it is billed.
    New { id: String },
    /// The identical record was there; nothing changes.
    Same { id: String },
}

/// Why a record is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clash {
    /// Another quantity, or another split of it, was recorded for that hour.
    Duplicate,
    /// The client token came with other parameters before.
    Token,
}

impl Ledger {
    /// Takes a record under the id `fresh_id`, or finds the one that is there. `token` is the client token with the
    /// scope it is unique in.
    pub(crate) fn take(
        &mut self,
        sent: Sent,
        token: Option<(String, String)>,
        fresh_id: String,
    ) -> Result<Taken, Clash> {
        if token.as_ref().is_some_and(|token| self.tokens.conflicts(token, &sent)) {
            return Err(Clash::Token);
        }
        let taken = match self.records.entry(sent.key.clone()) {
            Entry::Vacant(vacant) => {
                let Sent { timestamp_ms, quantity, allocations, .. } = sent.clone();
                vacant.insert(Record { id: fresh_id.clone(), timestamp_ms, quantity, allocations, seen: 1 });
                Taken::New { id: fresh_id }
            }
            Entry::Occupied(mut there) => {
                let there = there.get_mut();
                if there.quantity != sent.quantity || there.allocations != sent.allocations {
                    return Err(Clash::Duplicate);
                }
                there.seen = there.seen.saturating_add(1);
                Taken::Same { id: there.id.clone() }
            }
        };
        if let Some(token) = &token {
            self.tokens.insert(token, &sent);
        }
        let (Taken::New { id } | Taken::Same { id }) = &taken;
        self.changes.push(Change::Record(sent, token, id.clone()));
        Ok(taken)
    }

    /// Notes that the resource is metered from now on; `false` when it already was.
    pub(crate) fn register(&mut self, registration: Registration) -> bool {
        let Registration { product_code, resource, .. } = &registration;
        let new = self.registered.insert((product_code.clone(), resource.clone()));
        if new {
            self.changes.push(Change::Registered(registration.clone()));
            self.registrations.push(registration);
        }
        new
    }

    /// Notes that a resource has ended: it is metered no longer.
    pub(crate) fn end(&mut self, resource: &str, at_ms: u64) {
        self.changes.push(Change::TaskEnded(resource.to_owned(), at_ms));
        for registration in self.registrations.iter_mut().filter(|registration| registration.resource == resource) {
            registration.ended_ms.get_or_insert(at_ms);
        }
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (&RecordKey, &Record)> {
        self.records.iter()
    }

    pub(crate) fn registrations(&self) -> &[Registration] {
        &self.registrations
    }
}
