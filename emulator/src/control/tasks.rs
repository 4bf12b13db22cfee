//! Tasks, pods and holders of keys: started and ended here, as ECS and EKS would.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{Refusal, Reply, read};
use crate::{
    account::{NewTask, Platform, Task},
    server::Shared,
};

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
pub(super) async fn start(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
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
        return Err(Refusal::bad("too many tasks"));
    };
    let path = |prefix: &str| (task.platform == Platform::Ecs).then(|| format!("{prefix}/{}", task.id));
    Ok(Json(json!({
        "id": task.id,
        "task_arn": task.resource(),
        "access_key_id": task.access_key_id,
        "secret_access_key": task.secret_access_key,
        "session_token": task.session_token,
        "region": task.region,
        "metadata_path": path("/v4"),
        "credentials_path": path("/v2/credentials"),
    })))
}

/// Ends a task: what `RegisterUsage` started to meter is metered no longer. Its credentials stay good, as AWS's do
/// until they expire.
pub(super) async fn end(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Reply {
    let now_ms = shared.clock.now_ms();
    let mut service = shared.service();
    let Some(resource) = service.tasks.by_id(&id).map(Task::resource) else {
        return Err(Refusal::unknown("task", &id));
    };
    service.ledger.end(&resource, now_ms);
    Ok(Json(json!({})))
}
