//! Where are we: an ECS task or an EKS pod, in which region, under which name does AWS count our usage.
//!
//! AWS Marketplace sells metered containers only there, only to a role of the task (ECS) or of the service account
//! (EKS, IRSA), and tells two senders apart by task or pod. So anything else ends here, before the first call, with
//! what was looked for and what to do. It knows no credentials, only where they come from.

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::exit::{Exit, Why};
use crate::marketplace::aws::{Origins, instance};

mod advice;
mod fetch;
mod pod;
mod region;

pub(crate) use fetch::Fetch;
pub use region::{NotARegion, Region};

/// What the environment says about the place; each value as it was set, empty ones as if they were not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clues {
    /// `ECS_CONTAINER_METADATA_URI_V4`: set by ECS in every container.
    pub task_metadata: Option<String>,
    /// `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`: set by ECS if the task has a task role.
    pub task_credentials: Option<String>,
    /// `AWS_ROLE_ARN`: set by EKS if the service account is annotated with a role.
    pub role_arn: Option<String>,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`: likewise.
    pub token_file: Option<String>,
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`: set by EKS Pod Identity.
    pub pod_identity: Option<String>,
    /// `AWS_REGION`.
    pub region: Option<String>,
    /// `AWS_DEFAULT_REGION`.
    pub default_region: Option<String>,
    /// `AWS_ACCESS_KEY_ID` is set.
    pub static_keys: bool,
    /// `KUBERNETES_SERVICE_HOST` is set.
    pub kubernetes: bool,
}

/// Where this process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The region AWS meters in.
    pub region: Region,
    /// By what AWS tells senders apart: the ARN of the ECS task, or the UID of the pod.
    pub identity: String,
    /// Whether another process may have run under this identity before: a container restarted inside its task or pod.
    pub older: bool,
    /// Where credentials come from.
    pub role: Role,
}

/// The one role that may call AWS Marketplace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The role of an ECS task.
    Task {
        /// Path and query at the credential endpoint of ECS.
        credentials_path: String,
    },
    /// The role of a pod's service account.
    Pod {
        /// The role to take.
        role_arn: String,
        /// Holds the token of the service account; replaced by the kubelet from time to time.
        token_file: PathBuf,
    },
}

/// Why this is not a place where the product can run, sorted by what is missing. The operator's words: [`NoPlace::exit`].
#[derive(Debug, thiserror::Error)]
pub enum NoPlace {
    /// Nothing here that AWS Marketplace takes credentials from.
    #[error("no credentials: {looked_for}")]
    NoCredentials {
        /// What was found and what was not.
        looked_for: String,
        /// Why that is not enough.
        cause: &'static str,
        /// What the operator can do.
        next: &'static str,
    },
    /// The region is nowhere to be found, or is not a region.
    #[error("no region: {looked_for}")]
    NoRegion {
        /// What was looked for.
        looked_for: String,
    },
    /// A service of the platform that must answer does not.
    #[error("{0:#}")]
    NoMetadata(anyhow::Error),
}

const METADATA_TIMEOUT: Duration = Duration::from_secs(5);
/// The task's metadata may be late by a moment when the container starts.
const METADATA_ATTEMPTS: u32 = 4;

/// A pod whose token is older than this was not made for this process. Pulling an image takes minutes, too; then the
/// first hour is booked late for nothing.
const POD_YOUNG_S: u64 = 600;

/// Finds out where this process, which has just started, runs.
///
/// # Errors
/// [`NoPlace`] with what was looked for.
pub async fn find(clues: &Clues, origins: &Origins, clock: &Clock) -> Result<Place, NoPlace> {
    match (&clues.task_metadata, &clues.role_arn, &clues.token_file) {
        (Some(metadata), ..) => task(clues, metadata, origins).await,
        (None, Some(role_arn), Some(token_file)) => {
            pod(clues, role_arn, token_file.into(), origins, clock.now_ms() / 1000).await
        }
        _ => Err(advice::no_credentials(clues)),
    }
}

/// An ECS task. Its ARN names the region, and no task definition can change it.
async fn task(clues: &Clues, metadata: &str, origins: &Origins) -> Result<Place, NoPlace> {
    let Some(credentials_path) = clues.task_credentials.clone() else {
        return Err(advice::no_task_role());
    };
    if !is_path(&credentials_path) {
        return Err(advice::bad_credentials_path(&credentials_path));
    }
    let path = metadata_path(metadata, origins)
        .ok_or_else(|| advice::bad_metadata_uri(metadata, &origins.container().to_string()))?;
    let path = format!("{path}/task");
    let fetch = Fetch { address: origins.container(), path: &path, timeout: METADATA_TIMEOUT };
    let mut reply = fetch.text().await;
    for _ in 1..METADATA_ATTEMPTS {
        if reply.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        reply = fetch.text().await;
    }
    let text = reply.map_err(NoPlace::NoMetadata)?;
    let (identity, region, older) = from_task_metadata(&text)?;
    Ok(Place { region, identity, older, role: Role::Task { credentials_path } })
}

/// The path of the task's metadata, if the URI leads to the address of ECS and nowhere else.
fn metadata_path(uri: &str, origins: &Origins) -> Option<String> {
    let rest = uri.strip_prefix("http://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = origins.container();
    let expected = address.to_string();
    let with_port = authority == expected;
    let without_port = address.port() == 80 && Some(authority) == expected.strip_suffix(":80");
    let path = format!("/{}", path.trim_end_matches('/'));
    ((with_port || without_port) && is_path(&path)).then_some(path)
}

/// A path that cannot be read as anything else: `//host`, `@`, control characters and fragments are out.
fn is_path(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~?=&%".contains(&b);
    path.len() <= 1024 && path.starts_with('/') && !path.starts_with("//") && path.bytes().all(plain)
}

/// Identity, region and whether a container was restarted, from the reply of `${ECS_CONTAINER_METADATA_URI_V4}/task`.
fn from_task_metadata(text: &str) -> Result<(String, Region, bool), NoPlace> {
    #[derive(serde::Deserialize)]
    struct Task {
        #[serde(rename = "TaskARN")]
        arn: String,
        #[serde(rename = "Containers", default)]
        containers: Vec<Container>,
    }
    /// ECS restarts containers inside a task only under a restart policy, and counts that.
    #[derive(serde::Deserialize)]
    struct Container {
        #[serde(rename = "RestartCount", default)]
        restarts: u64,
    }
    let task: Task = serde_json::from_str(text)
        .map_err(|error| NoPlace::NoMetadata(anyhow::anyhow!("the task metadata has no readable TaskARN: {error}")))?;
    let parts: Vec<&str> = task.arn.splitn(6, ':').collect();
    let region = match parts.as_slice() {
        ["arn", _, "ecs", region, _, resource] if resource.starts_with("task/") => Region::parse(region),
        _ => Err(NotARegion(task.arn.clone())),
    };
    let region = region.map_err(|_| NoPlace::NoRegion {
        looked_for: format!("TaskARN in the task metadata of ECS: {:?} is not the ARN of a task", task.arn),
    })?;
    Ok((task.arn, region, task.containers.iter().any(|container| container.restarts > 0)))
}

/// An EKS pod with IRSA.
async fn pod(
    clues: &Clues,
    role_arn: &str,
    token_file: PathBuf,
    origins: &Origins,
    now_s: u64,
) -> Result<Place, NoPlace> {
    let token = tokio::fs::read_to_string(&token_file).await.map(Zeroizing::new);
    let token = token.map_err(anyhow::Error::from).and_then(|token| pod::Token::read(token.trim()));
    let token = token.map_err(|error| advice::bad_token(&token_file, &error))?;
    let region = pod_region(clues, origins).await?;
    let older = token.made_s.is_none_or(|made_s| now_s.saturating_sub(made_s) > POD_YOUNG_S);
    Ok(Place { region, identity: token.pod_uid, older, role: Role::Pod { role_arn: role_arn.to_owned(), token_file } })
}

/// By the variables EKS sets; by the instance only if there is none.
async fn pod_region(clues: &Clues, origins: &Origins) -> Result<Region, NoPlace> {
    for (name, value) in [("AWS_REGION", &clues.region), ("AWS_DEFAULT_REGION", &clues.default_region)] {
        if let Some(value) = value {
            return Region::parse(value).map_err(|error| NoPlace::NoRegion { looked_for: format!("{name}: {error}") });
        }
    }
    let looked_for = "AWS_REGION: not set; AWS_DEFAULT_REGION: not set; instance metadata (IMDSv2)";
    let name = match origins.instance() {
        Some(url) => instance::region(url).await,
        None => Err(anyhow::anyhow!("not available here")),
    };
    let region = name.and_then(|name| Ok(Region::parse(name.trim())?));
    region.map_err(|error| NoPlace::NoRegion { looked_for: format!("{looked_for}: {error:#}") })
}

impl NoPlace {
    /// The operator's words.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoCredentials { looked_for, cause, next } => Exit::new(Why::Place, looked_for, *cause, *next),
            Self::NoRegion { looked_for } => Exit::new(
                Why::Place,
                format!("the AWS region is not known. Looked for:\n{}", looked_for.replace("; ", "\n")),
                "the platform did not tell the container its region",
                "EKS: set AWS_REGION in the container's env to the region of the cluster. ECS sets the region by itself: \
                 do not override its variables",
            ),
            Self::NoMetadata(error) => Exit::new(
                Why::Place,
                format!("{error:#}"),
                "the metadata service of ECS did not answer, or not readably",
                "check that nothing in the task (an iptables rule, a proxy sidecar) holds back 169.254.170.2, then start \
                 the task again",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
