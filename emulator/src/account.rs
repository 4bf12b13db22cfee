//! Who calls: simulated tasks, pods, instances and keys. AWS knows a caller by its credentials and derives from them
//! the resource that usage is deduplicated by; so does this map.

use std::{collections::HashMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

use crate::state::Change;

/// Where the credentials of a caller come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Platform {
    /// The execution role of Amazon Bedrock AgentCore Runtime: may report many times an hour.
    AgentCore,
    /// The role of an EC2 instance that runs the product's own machine image.
    Ec2,
    /// The task role of an ECS task.
    Ecs,
    /// An EKS pod with a role for its service account.
    EksIrsa,
    /// EKS Pod Identity: not supported for metering.
    EksPodIdentity,
    /// The instance role of a node under containers: not supported for them.
    NodeRole,
    /// Long-term access keys: not supported for metering of the caller's own usage.
    Static,
}

impl Platform {
    /// Whether `MeterUsage` can be called from here.
    pub(crate) fn meters(self) -> bool {
        matches!(self, Self::AgentCore | Self::Ec2 | Self::Ecs | Self::EksIrsa)
    }

    /// Whether `RegisterUsage` can be called from here: containers only.
    pub(crate) fn registers(self) -> bool {
        matches!(self, Self::Ecs | Self::EksIrsa)
    }

    /// Whether instance metadata is what its processes ask.
    pub(crate) fn has_instance_metadata(self) -> bool {
        matches!(self, Self::Ec2 | Self::NodeRole | Self::EksIrsa | Self::EksPodIdentity)
    }
}

/// One simulated task, pod, instance or holder of keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) platform: Platform,
    pub(crate) account: String,
    pub(crate) region: String,
    /// The credentials it started with.
    pub(crate) keys: Keys,
    /// Operations its role permits; `None` permits all.
    pub(crate) permits: Option<Vec<String>>,
    /// When it started, on the emulator's clock.
    pub(crate) started_ms: u64,
}

/// What a caller signs with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
    /// When AWS takes them no longer; `None`: the endpoint that hands them out keeps them good.
    pub(crate) expires_ms: Option<u64>,
}

impl Keys {
    /// Keys drawn from 48 random bytes. Those of a role have a session token, long-term ones have none.
    pub(crate) fn draw(entropy: &[u8], of_role: bool, expires_ms: Option<u64>) -> Self {
        Self {
            access_key_id: format!("{}{}", if of_role { "ASIA" } else { "AKIA" }, hex(&entropy[..8]).to_uppercase()),
            secret_access_key: hex(&entropy[8..28]),
            session_token: of_role.then(|| format!("IQoJ{}", hex(&entropy[28..]))),
            expires_ms,
        }
    }
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
        let keys = Keys::draw(&entropy[16..], platform != Platform::Static, None);
        Self { id: hex(&entropy[..16]), keys, platform, account, region, permits, started_ms }
    }

    /// What AWS deduplicates usage by: the task's ARN, the pod, the instance, or else whoever holds the credentials.
    pub(crate) fn resource(&self) -> String {
        let Self { region, account, id, .. } = self;
        match self.platform {
            Platform::AgentCore => {
                format!("arn:aws:bedrock-agentcore:{region}:{account}:runtime/tollgate-{}", &id[..10])
            }
            Platform::Ecs => format!("arn:aws:ecs:{region}:{account}:task/tollgate/{id}"),
            Platform::EksIrsa | Platform::EksPodIdentity => {
                format!("arn:aws:eks:{region}:{account}:pod/tollgate/{}", self.pod_uid())
            }
            Platform::Ec2 | Platform::NodeRole => {
                format!("arn:aws:ec2:{region}:{account}:instance/{}", self.instance_id())
            }
            Platform::Static => format!("arn:aws:iam::{account}:user/{}", &id[..8]),
        }
    }

    /// The UID Kubernetes gives a pod.
    pub(crate) fn pod_uid(&self) -> String {
        let id = &self.id;
        format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
    }

    pub(crate) fn instance_id(&self) -> String {
        format!("i-{}", &self.id[..17])
    }

    /// The role whose credentials these are.
    pub(crate) fn role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/{ROLE}", self.account)
    }

    /// Whether the role permits `operation`.
    pub(crate) fn may(&self, operation: &str) -> bool {
        self.permits.as_ref().is_none_or(|permits| permits.iter().any(|permitted| permitted == operation))
    }
}

/// All tasks, found by id and by the credentials that were issued to them.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    by_id: HashMap<String, Task>,
    keys: HashMap<String, (String, Keys)>,
    /// What was added since the state was written last.
    pub(crate) changes: Vec<Change>,
}

impl Tasks {
    /// Adds a task; `false` when there are too many already.
    pub(crate) fn add(&mut self, task: Task) -> bool {
        let issued = self.by_id.len() < TASKS_MAX && self.issue(&task.id, task.keys.clone());
        if issued {
            self.changes.push(Change::Task(task.clone()));
            self.by_id.insert(task.id.clone(), task);
        }
        issued
    }

    /// Lets a task sign with `keys` as well; `false` when there are too many already.
    pub(crate) fn issue(&mut self, id: &str, keys: Keys) -> bool {
        let fits = self.keys.len() < KEYS_MAX;
        if fits {
            self.changes.push(Change::Keys(id.to_owned(), keys.clone()));
            self.keys.insert(keys.access_key_id.clone(), (id.to_owned(), keys));
        }
        fits
    }

    /// Whose access key this is.
    pub(crate) fn by_access_key(&self, access_key_id: &str) -> Option<(&Task, &Keys)> {
        let (id, keys) = self.keys.get(access_key_id)?;
        Some((self.by_id.get(id)?, keys))
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Task> {
        self.by_id.get(id)
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

/// The name of every task's role.
pub(crate) const ROLE: &str = "tollgate";

/// Enough for any fleet a test starts.
const TASKS_MAX: usize = 100_000;
/// Sessions of STS included.
const KEYS_MAX: usize = 1_000_000;
