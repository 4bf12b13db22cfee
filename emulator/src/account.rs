//! Who calls: simulated tasks, pods and keys, each with credentials of its own. AWS knows a caller by its credentials
//! and derives from them the resource that usage is deduplicated by; so does this map.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

/// Where the credentials of a caller come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Platform {
    /// The task role of an ECS task: supported.
    Ecs,
    /// An EKS pod with a role for its service account: supported.
    EksIrsa,
    /// EKS Pod Identity: not supported for metering.
    EksPodIdentity,
    /// The instance role of a node: not supported for containers.
    NodeRole,
    /// Long-term access keys: not supported.
    Static,
}

impl Platform {
    /// Whether the service meters containers that call from here.
    pub(crate) fn is_supported(self) -> bool {
        matches!(self, Self::Ecs | Self::EksIrsa)
    }
}

/// One simulated task, pod or holder of keys.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) platform: Platform,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
    /// Operations its role permits; `None` permits all.
    pub(crate) permits: Option<Vec<String>>,
    /// When it started, on the emulator's clock.
    pub(crate) started_ms: u64,
}

/// What is asked of a new task.
#[derive(Debug, Clone)]
pub(crate) struct NewTask {
    pub(crate) platform: Platform,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) permits: Option<Vec<String>>,
}

impl Task {
    /// A task whose id and credentials are drawn from `entropy`.
    pub(crate) fn new(new: NewTask, entropy: &[u8; 64], started_ms: u64) -> Self {
        let NewTask { platform, account, region, permits } = new;
        let lasting = platform == Platform::Static;
        Self {
            id: hex(&entropy[..16]),
            access_key_id: format!("{}{}", if lasting { "AKIA" } else { "ASIA" }, hex(&entropy[16..24]).to_uppercase()),
            secret_access_key: hex(&entropy[24..44]),
            session_token: (!lasting).then(|| format!("IQoJ{}", hex(&entropy[44..]))),
            platform,
            account,
            region,
            permits,
            started_ms,
        }
    }

    /// What AWS deduplicates usage by: the task's ARN, the pod, or else whoever holds the credentials.
    pub(crate) fn resource(&self) -> String {
        let Self { region, account, id, .. } = self;
        match self.platform {
            Platform::Ecs => format!("arn:aws:ecs:{region}:{account}:task/tollgate/{id}"),
            Platform::EksIrsa | Platform::EksPodIdentity => format!("arn:aws:eks:{region}:{account}:pod/tollgate/{id}"),
            Platform::NodeRole => format!("arn:aws:ec2:{region}:{account}:instance/i-{}", &id[..17]),
            Platform::Static => format!("arn:aws:iam::{account}:user/{}", &id[..8]),
        }
    }

    /// The role whose credentials these are.
    pub(crate) fn role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/tollgate", self.account)
    }

    /// Whether the role permits `operation`.
    pub(crate) fn may(&self, operation: &str) -> bool {
        self.permits.as_ref().is_none_or(|permits| permits.iter().any(|permitted| permitted == operation))
    }
}

/// All tasks by id and by access key.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    by_access_key: BTreeMap<String, Task>,
}

impl Tasks {
    /// Adds a task; `None` when there are too many already.
    pub(crate) fn add(&mut self, task: Task) -> Option<&Task> {
        if self.by_access_key.len() >= TASKS_MAX {
            return None;
        }
        Some(self.by_access_key.entry(task.access_key_id.clone()).or_insert(task))
    }

    pub(crate) fn by_access_key(&self, access_key_id: &str) -> Option<&Task> {
        self.by_access_key.get(access_key_id)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Task> {
        self.by_access_key.values().find(|task| task.id == id)
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Enough for any fleet a test starts.
const TASKS_MAX: usize = 10_000;
