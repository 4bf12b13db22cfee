//! Faults that wait for calls.

use std::sync::Arc;

use axum::{Json, extract::State};
use bytes::Bytes;
use serde_json::json;

use super::{Refusal, Reply, read};
use crate::{fault::Planned, server::Shared};

/// Adds one.
pub(super) async fn plan(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    let planned: Planned = read(&body)?;
    if planned.count == 0 {
        return Err(Refusal::bad("count must be at least 1"));
    }
    if !shared.service().faults.plan(planned) {
        return Err(Refusal::bad("too many faults wait already"));
    }
    Ok(Json(json!({})))
}

/// Ends all.
pub(super) async fn clear(State(shared): State<Arc<Shared>>) -> Reply {
    shared.service().faults.clear();
    Ok(Json(json!({})))
}
