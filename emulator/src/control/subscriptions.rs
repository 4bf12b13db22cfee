//! Who is subscribed to what.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{Refusal, Reply, read};
use crate::server::Shared;

/// Each product with the emulator's own buyer, and every other account that ever bought one.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    let service = shared.service();
    let ours = service.products.keys().map(|code| (service.options.account.as_str(), code.as_str()));
    let bought = service.entitlements.agreements().map(|made| (made.account.as_str(), made.product_code.as_str()));
    let pairs: BTreeSet<(&str, &str)> = ours.chain(bought).collect();
    let subscriptions = pairs.into_iter().map(|(account, code)| {
        let subscribed = service.entitlements.is_subscribed(code, account);
        json!({ "account": account, "product_code": code, "subscribed": subscribed })
    });
    Ok(Json(json!({ "subscriptions": subscriptions.collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionBody {
    subscribed: bool,
    /// Absent: the emulator's own buyer.
    account: Option<String>,
}

/// Subscribes an account, or ends all its agreements on the product. Answers the agreement that it has.
pub(super) async fn put(State(shared): State<Arc<Shared>>, Path(code): Path<String>, body: Bytes) -> Reply {
    let body: SubscriptionBody = read(&body)?;
    let now_ms = shared.clock.now_ms();
    let mut service = shared.service();
    if !service.products.contains_key(&code) {
        return Err(Refusal::unknown("product", &code));
    }
    let account = body.account.unwrap_or_else(|| service.options.account.clone());
    if body.subscribed {
        return Ok(Json(json!(service.entitlements.subscribe(&code, &account, now_ms))));
    }
    service.entitlements.unsubscribe(&code, &account, now_ms);
    Ok(Json(json!({})))
}
