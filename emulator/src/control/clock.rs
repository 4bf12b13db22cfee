//! The clock: where it stands, and moving it.

use std::sync::Arc;

use axum::{Json, extract::State};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Reply, read};
use crate::server::Shared;

#[derive(Deserialize)]
pub(super) struct Query {
    after: Option<u64>,
    #[serde(default = "wait_s")]
    wait_s: u64,
}

/// The clock; with `after`, waits until it was moved after that version.
pub(super) async fn clock(State(shared): State<Arc<Shared>>, Asked(query): Asked<Query>) -> Reply {
    if let Some(after) = query.after {
        shared.wait(shared.clock.watch(), query.wait_s, |setting| setting.version > after).await;
    }
    Ok(Json(clock_json(&shared)))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Move {
    AdvanceS(i64),
    SetS(u64),
}

/// Moves it.
pub(super) async fn turn(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    match read(&body)? {
        Move::AdvanceS(seconds) => shared.clock.advance(seconds),
        Move::SetS(unix_s) => shared.clock.set(unix_s),
    }
    Ok(Json(clock_json(&shared)))
}

fn clock_json(shared: &Shared) -> Value {
    let setting = *shared.clock.watch().borrow();
    json!({ "now_ms": shared.clock.now_ms(), "offset_ms": setting.offset_ms, "version": setting.version })
}

fn wait_s() -> u64 {
    30
}
