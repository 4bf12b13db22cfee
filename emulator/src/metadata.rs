//! What a container on ECS finds at its link-local address: task metadata (version 4) and the credentials of its role;
//! and the credentials that EKS Pod Identity hands a pod.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    account::{Platform, Task},
    server::Shared,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v4/{task}", get(container))
        .route("/v4/{task}/task", get(task))
        .route("/v2/credentials/{task}", get(credentials))
        .route("/v1/credentials", get(pod_identity))
}

async fn task(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    let task = on(&shared, &id, Platform::Ecs)?;
    Ok(Json(json!({
        "Cluster": format!("arn:aws:ecs:{}:{}:cluster/tollgate", task.region, task.account),
        "TaskARN": task.resource(),
        "Family": "tollgate",
        "Revision": "1",
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "AvailabilityZone": format!("{}a", task.region),
        "LaunchType": "FARGATE",
        "Containers": [container_json(&task)],
    })))
}

async fn container(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    Ok(Json(container_json(&on(&shared, &id, Platform::Ecs)?)))
}

fn container_json(task: &Task) -> Value {
    json!({
        "DockerId": format!("{}-{}", task.id, &task.id[..10]),
        "Name": "tollgate",
        "DockerName": "tollgate",
        "Labels": { "com.amazonaws.ecs.task-arn": task.resource() },
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Type": "NORMAL",
        "RestartCount": 0,
    })
}

async fn credentials(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    let task = on(&shared, &id, Platform::Ecs)?;
    credentials_json(&shared, &task).map(Json)
}

/// The agent on the node knows the pod by the token that it sends.
async fn pod_identity(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let task = on(&shared, token.ok_or(StatusCode::UNAUTHORIZED)?, Platform::EksPodIdentity)?;
    credentials_json(&shared, &task).map(Json)
}

/// Credentials of a role with the time at which an SDK fetches new ones.
pub(crate) fn credentials_json(shared: &Shared, task: &Task) -> Result<Value, StatusCode> {
    let at = |ms: u64| i64::try_from(ms / 1_000).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    let now_ms = shared.clock.wire_ms();
    let ends = at(now_ms.saturating_add(LIFE_MS)).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
    let updated = at(now_ms).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(json!({
        "RoleArn": task.role_arn(),
        "AccountId": task.account,
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": updated.to_string(),
        "AccessKeyId": task.keys.access_key_id,
        "SecretAccessKey": task.keys.secret_access_key,
        "Token": task.keys.session_token,
        "Expiration": ends.to_string(),
    }))
}

fn on(shared: &Shared, id: &str, platform: Platform) -> Result<Task, StatusCode> {
    let task = shared.service().tasks.by_id(id).cloned();
    task.filter(|task| task.platform == platform).ok_or(StatusCode::NOT_FOUND)
}

/// Credentials of a task role live six hours.
const LIFE_MS: u64 = 6 * 3_600_000;
