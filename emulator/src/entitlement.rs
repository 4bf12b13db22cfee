//! Who has bought what, and which resources were already asked: AWS looks at the subscription only on the first call of
//! a task, pod or instance, and an unsubscribe never stops one that runs.

use std::collections::BTreeMap;
use std::collections::HashSet;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::{
    account::{Task, hex},
    options::RefusedResource,
    product::Product,
    state::Change,
};

/// One purchase of one product by one account. An account may have several of the same product at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Agreement {
    pub(crate) agreement_id: String,
    pub(crate) license_arn: String,
    pub(crate) product_code: String,
    /// The buyer.
    pub(crate) account: String,
    /// The buyer's name under products from before licences; the same for all purchases of one product.
    pub(crate) customer_identifier: String,
    /// On the emulator's clock, Unix milliseconds.
    pub(crate) since_ms: u64,
    /// When the buyer ended it.
    pub(crate) ended_ms: Option<u64>,
}

/// The agreements of all accounts, and the memory of first calls.
#[derive(Debug, Default)]
pub(crate) struct Entitlements {
    agreements: BTreeMap<String, Agreement>,
    active: HashSet<(String, String)>,
    customers: HashSet<String>,
    asked: HashSet<(String, String)>,
    /// What has changed since the state was written last.
    pub(crate) changes: Vec<Change>,
}

/// Why a call was entitled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entitled {
    /// The resource had called before.
    AskedBefore,
    /// The publisher's own account: nothing is asked.
    Preview,
    /// The first call of the resource, and the account is subscribed.
    Subscribed,
}

impl Entitlements {
    /// The account buys the product, once more if it has it already.
    pub(crate) fn agree(&mut self, product_code: &str, account: &str, since_ms: u64) -> &Agreement {
        let seed = |what: &str| {
            let text = format!("{what}/{product_code}/{account}/{}", self.agreements.len());
            hex(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..16])
        };
        let license_arn = format!("arn:aws:license-manager::{account}:license:l-{}", seed("license"));
        let name = digest::digest(&digest::SHA256, format!("customer/{product_code}/{account}").as_bytes());
        let agreement = Agreement {
            agreement_id: format!("agmt-{}", &seed("agreement")[..24]),
            license_arn: license_arn.clone(),
            product_code: product_code.to_owned(),
            account: account.to_owned(),
            customer_identifier: hex(&name.as_ref()[..6]),
            since_ms,
            ended_ms: None,
        };
        self.changes.push(Change::Agreed(agreement.clone()));
        self.restore(agreement);
        &self.agreements[&license_arn]
    }

    /// Takes an agreement as it was made.
    pub(crate) fn restore(&mut self, agreement: Agreement) {
        self.active.insert((agreement.account.clone(), agreement.product_code.clone()));
        self.customers.insert(agreement.account.clone());
        self.customers.insert(agreement.customer_identifier.clone());
        self.agreements.insert(agreement.license_arn.clone(), agreement);
    }

    /// Takes it that a resource was asked before.
    pub(crate) fn restore_asked(&mut self, resource: String, product_code: String) {
        self.asked.insert((resource, product_code));
    }

    /// Makes the account a subscriber if it is none; the agreement it has.
    pub(crate) fn subscribe(&mut self, product_code: &str, account: &str, now_ms: u64) -> &Agreement {
        let has = |agreement: &&Agreement| agreement.is(product_code, account) && agreement.ended_ms.is_none();
        match self.agreements.values().find(has).map(|agreement| agreement.license_arn.clone()) {
            Some(license_arn) => &self.agreements[&license_arn],
            None => self.agree(product_code, account, now_ms),
        }
    }

    /// Ends all agreements of the account on the product.
    pub(crate) fn unsubscribe(&mut self, product_code: &str, account: &str, now_ms: u64) {
        self.changes.push(Change::Unsubscribed(product_code.to_owned(), account.to_owned(), now_ms));
        self.active.remove(&(account.to_owned(), product_code.to_owned()));
        for agreement in self.agreements.values_mut().filter(|agreement| agreement.is(product_code, account)) {
            agreement.ended_ms.get_or_insert(now_ms);
        }
    }

    pub(crate) fn is_subscribed(&self, product_code: &str, account: &str) -> bool {
        self.active.contains(&(account.to_owned(), product_code.to_owned()))
    }

    pub(crate) fn by_license(&self, license_arn: &str) -> Option<&Agreement> {
        self.agreements.get(license_arn)
    }

    /// The agreement under which `customer` (an account or a customer identifier) uses the product: a running one if
    /// there is any, else the one that ended last.
    pub(crate) fn of_customer(&self, product_code: &str, customer: &str) -> Option<&Agreement> {
        let theirs = self.agreements.values().filter(|agreement| {
            agreement.product_code == product_code
                && (agreement.account == customer || agreement.customer_identifier == customer)
        });
        theirs.max_by_key(|agreement| agreement.ended_ms.unwrap_or(u64::MAX))
    }

    /// Whether the account or customer identifier has ever bought anything.
    pub(crate) fn knows(&self, customer: &str) -> bool {
        self.customers.contains(customer)
    }

    pub(crate) fn agreements(&self) -> impl Iterator<Item = &Agreement> {
        self.agreements.values()
    }

    /// Whether `task` may use the product; `None` is "not entitled". Remembers the call.
    pub(crate) fn ask(
        &mut self,
        task: &Task,
        product_code: &str,
        product: &Product,
        refused: RefusedResource,
    ) -> Option<Entitled> {
        if product.is_published_by(&task.account) {
            return Some(Entitled::Preview);
        }
        let call = (task.resource(), product_code.to_owned());
        if self.asked.contains(&call) {
            return Some(Entitled::AskedBefore);
        }
        let subscribed = self.is_subscribed(product_code, &task.account);
        if subscribed || refused == RefusedResource::LetPass {
            self.changes.push(Change::Asked(call.0.clone(), call.1.clone()));
            self.asked.insert(call);
        }
        subscribed.then_some(Entitled::Subscribed)
    }
}

impl Agreement {
    fn is(&self, product_code: &str, account: &str) -> bool {
        self.product_code == product_code && self.account == account
    }
}
