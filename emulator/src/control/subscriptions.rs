//! Who is subscribed to what.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{Refusal, Reply, read};
use crate::server::Shared;

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
