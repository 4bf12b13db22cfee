//! The clock: where it stands, and moving it.

use std::sync::Arc;

use axum::{Json, extract::State};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Refusal, Reply, read};
use crate::{options::WireClock, server::Shared};

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
    /// By so many seconds, forward or back.
    AdvanceS(i64),
    /// To this time, in Unix seconds.
    SetS(u64),
    /// Its seconds to one real second; 0 freezes it.
    Speed(u32),
    /// Which clock clients see.
    Wire(WireClock),
}

/// Moves it, freezes it, lets it run fast.
pub(super) async fn turn(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    match read(&body)? {
        Move::AdvanceS(seconds) => shared.clock.advance(seconds),
        Move::SetS(unix_s) => shared.clock.set(unix_s),
        Move::Speed(speed) if speed > SPEED_MAX => {
            return Err(Refusal::bad(format!("speed must be at most {SPEED_MAX}")));
        }
        Move::Speed(speed) => shared.clock.run(speed),
        Move::Wire(wire) => shared.clock.show(wire),
    }
    Ok(Json(clock_json(&shared)))
}

fn clock_json(shared: &Shared) -> Value {
    let setting = *shared.clock.watch().borrow();
    json!({
        "now_ms": shared.clock.now_ms(),
        "offset_ms": shared.clock.offset_ms(),
        "speed": setting.speed,
        "wire": setting.wire,
        "version": setting.version,
    })
}

fn wait_s() -> u64 {
    30
}

/// More than a day in a second.
const SPEED_MAX: u32 = 100_000;
