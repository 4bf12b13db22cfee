//! Who is subscribed, and which resources were already asked: AWS looks at the subscription only on the first call of
//! an ECS task or EKS pod, and an unsubscribe never stops one that runs.

use std::collections::BTreeSet;

use crate::{account::Task, options::RefusedResource, product::Product};

/// The subscriptions of all accounts, and the memory of first calls.
#[derive(Debug, Default)]
pub(crate) struct Entitlements {
    subscribed: BTreeSet<String>,
    asked: BTreeSet<(String, String)>,
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
    pub(crate) fn subscribe(&mut self, product_code: &str, subscribed: bool) {
        if subscribed {
            self.subscribed.insert(product_code.to_owned());
        } else {
            self.subscribed.remove(product_code);
        }
    }

    pub(crate) fn is_subscribed(&self, product_code: &str) -> bool {
        self.subscribed.contains(product_code)
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
        let subscribed = self.is_subscribed(product_code);
        if subscribed || refused == RefusedResource::LetPass {
            self.asked.insert(call);
        }
        subscribed.then_some(Entitled::Subscribed)
    }
}
