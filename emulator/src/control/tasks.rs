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
    jwt::SigningKey,
    server::{Shared, entropy},
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

/// Starts a task, a pod, an instance or a holder of keys. Each way to find credentials is null where it is not.
pub(super) async fn start(State(shared): State<Arc<Shared>>, body: Bytes) -> Reply {
    let body: TaskBody = read(&body)?;
    if body.platform == Platform::EksIrsa {
        make_issuer(&shared).await?;
    }
    let (started_ms, wire_ms) = (shared.clock.now_ms(), shared.clock.wire_ms());
    let mut service = shared.service();
    let new = NewTask {
        platform: body.platform,
        account: body.account.unwrap_or_else(|| service.options.account.clone()),
        region: body.region.unwrap_or_else(|| service.options.region.clone()),
        permits: body.permits,
    };
    let task = Task::new(new, &entropy(), started_ms);
    if !service.tasks.add(task.clone()) {
        return Err(Refusal::bad("too many tasks"));
    }
    let path = |on: bool, prefix: &str| on.then(|| format!("{prefix}/{}", task.id));
    let pod = matches!(task.platform, Platform::EksIrsa | Platform::EksPodIdentity);
    let web_identity = (task.platform == Platform::EksIrsa).then(|| service.web_identity_token(&task, wire_ms));
    let web_identity_token = web_identity.transpose().map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(Json(json!({
        "id": task.id,
        "task_arn": task.resource(),
        "access_key_id": task.keys.access_key_id,
        "secret_access_key": task.keys.secret_access_key,
        "session_token": task.keys.session_token,
        "account": task.account,
        "region": task.region,
        "role_arn": task.role_arn(),
        "metadata_path": path(task.platform == Platform::Ecs, "/v4"),
        "credentials_path": path(task.platform == Platform::Ecs, "/v2/credentials"),
        "instance_path": path(task.platform.has_instance_metadata(), "/imds"),
        "pod_identity_token": (task.platform == Platform::EksPodIdentity).then_some(&task.id),
        "pod_uid": pod.then(|| task.pod_uid()),
        "web_identity_token": web_identity_token,
    })))
}

/// The key that signs the tokens of service accounts, made once.
async fn make_issuer(shared: &Shared) -> Result<(), Refusal> {
    if shared.service().issuer.is_some() {
        return Ok(());
    }
    let made = tokio::task::spawn_blocking(SigningKey::generate).await;
    let made = made.map_err(|error| Refusal::bad(error.to_string()))?;
    let made = made.map_err(|error| Refusal::bad(error.to_string()))?;
    // Another pod may have been quicker; its key stays.
    shared.service().take_issuer(made);
    Ok(())
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
