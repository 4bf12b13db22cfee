//! The instance metadata service (IMDSv2): region, instance and the credentials of its role, only for who shows a token
//! it was given before. Under `/latest` stands the node of the emulator's own region, under `/imds/TASK/latest` the
//! instance below a task.

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Json, Response},
    routing::{get, put},
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use crate::{
    account::{ROLE, Task, hex},
    metadata::credentials_json,
    server::Shared,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/latest/api/token", put(token))
        .route("/imds/{task}/latest/api/token", put(token))
        .route("/latest/{*path}", get(node))
        .route("/imds/{task}/latest/{*path}", get(below_task))
}

/// Makes and knows the tokens of one emulator, without keeping them.
#[derive(Debug)]
pub(crate) struct Sessions {
    key: hmac::Key,
}

impl Sessions {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    fn token(&self, ends_ms: u64) -> String {
        let ends = format!("{ends_ms:016x}");
        let tag = hmac::sign(&self.key, ends.as_bytes());
        format!("{ends}{}", hex(tag.as_ref()))
    }

    fn knows(&self, token: &str, now_ms: u64) -> bool {
        let ends_ms = token.get(..16).and_then(|ends| u64::from_str_radix(ends, 16).ok());
        ends_ms.is_some_and(|ends_ms| now_ms < ends_ms && self.token(ends_ms) == token)
    }
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let life_s = headers.get(TTL).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let Some(life_s) = life_s.filter(|seconds| (1..=21_600).contains(seconds)) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let token = shared.sessions.token(shared.clock.wire_ms().saturating_add(life_s * 1_000));
    let mut response = Response::new(Body::from(token));
    response.headers_mut().insert(TTL, HeaderValue::from(life_s));
    response
}

async fn node(State(shared): State<Arc<Shared>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let node = shared.node.clone();
    answer(&shared, &node, &path, &headers)
}

async fn below_task(
    State(shared): State<Arc<Shared>>,
    Path((id, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let task = shared.service().tasks.by_id(&id).cloned();
    match task.filter(|task| task.platform.has_instance_metadata()) {
        Some(task) => answer(&shared, &task, &path, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer(shared: &Shared, task: &Task, path: &str, headers: &HeaderMap) -> Response {
    let token = headers.get(TOKEN).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !shared.sessions.knows(token, shared.clock.wire_ms()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let (region, zone) = (task.region.clone(), format!("{}a", task.region));
    let text = match path.trim_end_matches('/') {
        "meta-data/placement/region" => region,
        "meta-data/placement/availability-zone" => zone,
        "meta-data/instance-id" => task.instance_id(),
        "meta-data/iam/security-credentials" => ROLE.to_owned(),
        "dynamic/instance-identity/document" => {
            let document = json!({
                "accountId": task.account,
                "region": region,
                "availabilityZone": zone,
                "instanceId": task.instance_id(),
                "version": "2017-09-30",
            });
            return Json(document).into_response();
        }
        other if other.strip_prefix("meta-data/iam/security-credentials/") == Some(ROLE) => {
            return credentials_json(shared, task).map(Json).into_response();
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    text.into_response()
}

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";
