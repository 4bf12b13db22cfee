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
}

/// Starts a subscription, or ends it.
pub(super) async fn put(State(shared): State<Arc<Shared>>, Path(code): Path<String>, body: Bytes) -> Reply {
    let body: SubscriptionBody = read(&body)?;
    let mut service = shared.service();
    if !service.products.contains_key(&code) {
        return Err(Refusal::unknown("product", &code));
    }
    service.entitlements.subscribe(&code, body.subscribed);
    Ok(Json(json!({})))
}
