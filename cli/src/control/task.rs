//! Who calls, as the emulator started it.

use serde::Deserialize;

/// A task, pod or instance: what its software finds in its environment.
#[derive(Clone, Debug, Deserialize)]
pub struct Task {
    /// AWS keeps usage apart by it.
    pub task_arn: String,
    /// Where it runs.
    pub region: String,
    /// The role that it takes.
    pub role_arn: String,
    /// Where its metadata is served; only on ECS.
    pub metadata_path: Option<String>,
    /// Where its credentials are served; only on ECS.
    pub credentials_path: Option<String>,
    /// Where the metadata of the instance below it is served; not on ECS.
    pub instance_path: Option<String>,
    /// The token of its service account; only in a pod with IRSA.
    pub web_identity_token: Option<String>,
    /// Its credentials: the id of the key.
    pub access_key_id: String,
    /// Its credentials: the key.
    pub secret_access_key: String,
    /// Its credentials: the token that goes with the key; static keys have none.
    pub session_token: Option<String>,
}
