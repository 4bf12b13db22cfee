//! What a container on ECS finds at its link-local address: task metadata (version 4) and the credentials of its role.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    account::{Platform, Task},
    clock,
    server::Shared,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/v4/{task}/task", get(task)).route("/v2/credentials/{task}", get(credentials))
}

async fn task(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    let task = ecs_task(&shared, &id)?;
    Ok(Json(json!({
        "Cluster": format!("arn:aws:ecs:{}:{}:cluster/tollgate", task.region, task.account),
        "TaskARN": task.resource(),
        "Family": "tollgate",
        "Revision": "1",
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "AvailabilityZone": format!("{}a", task.region),
        "LaunchType": "FARGATE",
    })))
}

/// The times are the real clock's: SDKs judge by it whether credentials are still good.
async fn credentials(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    let task = ecs_task(&shared, &id)?;
    let expires_s = i64::try_from(clock::real_ms() / 1_000).unwrap_or(i64::MAX).saturating_add(LIFE_S);
    let expiration = jiff::Timestamp::from_second(expires_s).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({
        "RoleArn": task.role_arn(),
        "AccessKeyId": task.access_key_id,
        "SecretAccessKey": task.secret_access_key,
        "Token": task.session_token,
        "Expiration": expiration.to_string(),
    })))
}

fn ecs_task(shared: &Shared, id: &str) -> Result<Task, StatusCode> {
    let task = shared.service().tasks.by_id(id).cloned();
    task.filter(|task| task.platform == Platform::Ecs).ok_or(StatusCode::NOT_FOUND)
}

/// Credentials of a task role live six hours.
const LIFE_S: i64 = 6 * 3_600;
