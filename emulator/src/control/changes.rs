//! Whether anything has happened since one last looked.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::json;

use super::{Asked, Reply};
use crate::server::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait_s: u64,
}

/// Counts calls and changes; with `wait_s`, waits that long until the count is another than `after`.
pub(super) async fn changes(State(shared): State<Arc<Shared>>, Asked(query): Asked<Query>) -> Reply {
    shared.wait(shared.changes.subscribe(), query.wait_s, |version| *version != query.after).await;
    let version = *shared.changes.borrow();
    Ok(Json(json!({ "version": version })))
}
