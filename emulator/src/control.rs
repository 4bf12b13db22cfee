//! The control API under `/_tollgate/`: whoever tests a client moves the clock, starts tasks, switches subscriptions,
//! plans faults and reads the truth. JSON in and out; mistakes are 400 with `{"error": "..."}`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{get, post, put},
};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    account::{NewTask, Platform, Task},
    fault::Planned,
    product::{Pricing, Product},
    server::Shared,
    truth::Bill,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_tollgate/calls", get(calls))
        .route("/_tollgate/clock", get(clock).post(move_clock))
        .route("/_tollgate/faults", post(plan_fault).delete(clear_faults))
        .route("/_tollgate/keys/{product_code}", get(keys))
        .route("/_tollgate/products/{product_code}", put(put_product))
        .route("/_tollgate/subscriptions/{product_code}", put(put_subscription))
        .route("/_tollgate/tasks", post(start_task))
        .route("/_tollgate/truth", get(truth))
}

type Reply = Result<Json<Value>, (StatusCode, Json<Value>)>;

#[derive(Deserialize)]
struct CallsQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait_s: u64,
}

/// The calls after a number; with `wait_s`, waits that long for the first.
async fn calls(State(shared): State<Arc<Shared>>, Query(query): Query<CallsQuery>) -> Reply {
    shared.wait(shared.calls.subscribe(), query.wait_s, |last| *last > query.after).await;
    let calls = shared.service().truth.after(query.after);
    let last = calls.last().map_or(query.after, |call| call.seq);
    Ok(Json(json!({ "calls": calls, "last": last })))
}

#[derive(Deserialize)]
struct ClockQuery {
    after: Option<u64>,
    #[serde(default = "clock_wait_s")]
    wait_s: u64,
}

/// The clock; with `after`, waits until it was moved after that version.
async fn clock(State(shared): State<Arc<Shared>>, Query(query): Query<ClockQuery>) -> Reply {
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

async fn move_clock(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
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

async fn plan_fault(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    let planned: Planned = read(&body)?;
    if planned.count == 0 {
        return Err(bad("count must be at least 1"));
    }
    if !shared.service().faults.plan(planned) {
        return Err(bad("too many faults wait already"));
    }
    Ok(Json(json!({})))
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> Reply {
    shared.service().faults.clear();
    Ok(Json(json!({})))
}

async fn keys(State(shared): State<Arc<Shared>>, Path(product_code): Path<String>) -> Reply {
    let pems = shared.service().products.get(&product_code).map(Product::public_pems);
    pems.map(|pems| Json(json!(pems))).ok_or_else(|| unknown("product", &product_code))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductBody {
    pricing: Pricing,
    #[serde(default)]
    dimensions: Vec<String>,
    /// The account whose calls are in preview mode.
    publisher: Option<String>,
    #[serde(default = "first_version")]
    key_versions: Vec<u32>,
    /// Key version to the Unix second at which it was rotated out.
    #[serde(default)]
    rotated: BTreeMap<u32, u64>,
}

/// Puts a product on sale, or changes it; keys that it has stay.
async fn put_product(State(shared): State<Arc<Shared>>, Path(code): Path<String>, body: Bytes) -> Reply {
    let body: ProductBody = read(&body)?;
    let mut product = Product::new(body.pricing, body.dimensions);
    if let Some(publisher) = body.publisher {
        product = product.with_publisher(publisher);
    }
    if let Some(before) = shared.service().products.get(&code) {
        product.keep_keys_of(before);
    }
    let generated =
        tokio::task::spawn_blocking(move || product.generate_keys(body.key_versions).map(|()| product)).await;
    let mut product = match generated {
        Ok(Ok(product)) => product,
        Ok(Err(error)) => return Err(bad(&error.to_string())),
        Err(error) => return Err(bad(&error.to_string())),
    };
    for (version, unix_s) in body.rotated {
        product.rotate(version, unix_s);
    }
    shared.service().products.insert(code, product);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscriptionBody {
    subscribed: bool,
}

async fn put_subscription(State(shared): State<Arc<Shared>>, Path(code): Path<String>, body: Bytes) -> Reply {
    let body: SubscriptionBody = read(&body)?;
    let mut service = shared.service();
    if !service.products.contains_key(&code) {
        return Err(unknown("product", &code));
    }
    service.entitlements.subscribe(&code, body.subscribed);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskBody {
    platform: Platform,
    region: Option<String>,
    account: Option<String>,
    /// The operations its role permits; absent: all.
    permits: Option<Vec<String>>,
}

/// Starts a task, a pod or a holder of keys. Paths are there only on ECS, a session token not for static keys.
async fn start_task(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    let body: TaskBody = read(&body)?;
    let entropy = crate::server::entropy();
    let started_ms = shared.clock.now_ms();
    let mut service = shared.service();
    let new = NewTask {
        platform: body.platform,
        account: body.account.unwrap_or_else(|| service.options.account.clone()),
        region: body.region.unwrap_or_else(|| service.options.region.clone()),
        permits: body.permits,
    };
    let Some(task) = service.tasks.add(Task::new(new, &entropy, started_ms)) else {
        return Err(bad("too many tasks"));
    };
    let path = |prefix: &str| (task.platform == Platform::Ecs).then(|| format!("{prefix}/{}", task.id));
    Ok(Json(json!({
        "task_arn": task.resource(),
        "access_key_id": task.access_key_id,
        "secret_access_key": task.secret_access_key,
        "session_token": task.session_token,
        "region": task.region,
        "metadata_path": path("/v4"),
        "credentials_path": path("/v2/credentials"),
    })))
}

async fn truth(State(shared): State<Arc<Shared>>) -> Reply {
    let bill = Bill::of(&shared.service().ledger);
    Ok(Json(json!(bill)))
}

impl Shared {
    /// Waits until `enough` holds, for at most `wait_s` seconds, or until the emulator stops.
    async fn wait<T>(&self, mut watched: watch::Receiver<T>, wait_s: u64, enough: impl FnMut(&T) -> bool) {
        let mut closing = self.closing.subscribe();
        let until = async {
            tokio::select! {
                _ = watched.wait_for(enough) => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        };
        // Out of time is an answer as well: what there is now.
        let _ = tokio::time::timeout(Duration::from_secs(wait_s.min(WAIT_MAX_S)), until).await;
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, Json<Value>)> {
    serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))
}

fn bad(message: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": message })))
}

fn unknown(what: &str, name: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::NOT_FOUND, Json(json!({ "error": format!("no {what} {name:?}") })))
}

fn clock_wait_s() -> u64 {
    30
}

fn first_version() -> Vec<u32> {
    vec![1]
}

/// Longer polls are asked again by the client.
const WAIT_MAX_S: u64 = 60;
