//! Faults that wait for calls.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use bytes::Bytes;
use serde_json::json;

use super::{Refusal, Reply, read};
use crate::{fault::Planned, server::Shared};

/// Those that wait.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    Ok(Json(json!({ "faults": shared.service().faults.waiting() })))
}

/// Adds one.
pub(super) async fn plan(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    let planned: Planned = read(&body)?;
    if let Some(mistake) = planned.mistake() {
        return Err(Refusal::bad(mistake));
    }
    let now_ms = shared.clock.now_ms();
    let id = shared.service().faults.plan(planned, now_ms);
    id.map(|id| Json(json!({ "id": id }))).ok_or_else(|| Refusal::bad("too many faults wait already"))
}

/// Ends all.
pub(super) async fn clear(State(shared): State<Arc<Shared>>) -> Reply {
    shared.service().faults.clear();
    Ok(Json(json!({})))
}

/// Ends one.
pub(super) async fn remove(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Reply {
    let there = shared.service().faults.remove(id);
    if there { Ok(Json(json!({}))) } else { Err(Refusal::unknown("fault", &id.to_string())) }
}
