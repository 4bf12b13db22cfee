//! Credentials of the task role or of the pod's IRSA role, and of nothing else.
//!
//! No static keys, no profile files, no credential process, no full URI: AWS Marketplace refuses all of them for
//! containers, and each is a way to sign with somebody else's name.
//!
//! What is read here is wiped when it is dropped, and so are the credentials that are kept. Copies that the SDK makes are
//! not ours: the request that signs with them, the bodies of replies, the token in the request to STS.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{Origins, Wires, failure};
use crate::clock::Clock;
use crate::place::{Fetch, Place, Role};

/// New ones are fetched this long before the old ones end. ECS and STS have the new ones by then.
const REFRESH_BEFORE_MS: u64 = 300_000;
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Fetches credentials and keeps them until shortly before they end.
#[derive(Debug)]
pub(super) struct RoleCredentials {
    source: Source,
    clock: Clock,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
enum Source {
    Ecs { address: std::net::SocketAddr, path: String },
    Irsa { sts: aws_sdk_sts::Client, role_arn: String, token_file: PathBuf, session: String },
}

#[derive(Clone, Debug)]
struct Kept {
    credentials: Credentials,
    ends_ms: u64,
}

/// There are no credentials to sign with.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct NoCredentials {
    /// The error code with which AWS refused to hand out the role. None: it did not answer, or not readably.
    pub(super) refused: Option<String>,
    text: String,
}

impl RoleCredentials {
    pub(super) fn new(place: &Place, origins: &Origins, wires: &Wires) -> Self {
        let source = match &place.role {
            Role::Task { credentials_path } => {
                Source::Ecs { address: origins.container(), path: credentials_path.clone() }
            }
            Role::Pod { role_arn, token_file } => Source::Irsa {
                sts: sts(place, origins, wires),
                role_arn: role_arn.clone(),
                token_file: token_file.clone(),
                session: format!("tollgate-{}", place.identity),
            },
        };
        Self { source, clock: wires.clock.clone(), kept: Mutex::new(None) }
    }

    /// AWS refused the ones in use: the next call fetches new ones.
    pub(super) async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    async fn current(&self) -> Result<Credentials, CredentialsError> {
        // Held over the fetch, so that a burst of calls makes one fetch.
        let mut kept = self.kept.lock().await;
        let now_ms = self.clock.now_ms();
        if let Some(kept) = kept.as_ref().filter(|kept| now_ms.saturating_add(REFRESH_BEFORE_MS) < kept.ends_ms) {
            return Ok(kept.credentials.clone());
        }
        match self.fetch().await {
            Ok(new) => Ok(kept.insert(new).credentials.clone()),
            Err(error) => match kept.as_ref().filter(|kept| now_ms < kept.ends_ms) {
                Some(old) => {
                    tracing::warn!(%error, "no new credentials; the old ones are good for a while");
                    Ok(old.credentials.clone())
                }
                None => Err(CredentialsError::provider_error(error)),
            },
        }
    }

    async fn fetch(&self) -> Result<Kept, NoCredentials> {
        match &self.source {
            Source::Ecs { address, path } => {
                let fetch = Fetch { address: *address, path, timeout: FETCH_TIMEOUT };
                let reply = async { from_ecs(&fetch.text().await?) };
                reply.await.map_err(|error| NoCredentials { refused: None, text: format!("{error:#}") })
            }
            Source::Irsa { sts, role_arn, token_file, session } => from_sts(sts, role_arn, token_file, session).await,
        }
    }
}

impl ProvideCredentials for RoleCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

/// The reply of the ECS credential endpoint, as its documentation names the fields.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EcsReply {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: String,
}

fn from_ecs(text: &str) -> anyhow::Result<Kept> {
    // The text holds a secret: the error names the place of a mistake, never the content.
    let reply: EcsReply = serde_json::from_str(text).context("the credentials of the task role are unreadable")?;
    let expiration: jiff::Timestamp =
        reply.expiration.parse().context("the expiration of the task role's credentials")?;
    let ends_ms = u64::try_from(expiration.as_millisecond()).unwrap_or(0);
    Ok(keep(reply.access_key_id, reply.secret_access_key, reply.token, ends_ms))
}

async fn from_sts(
    sts: &aws_sdk_sts::Client,
    role_arn: &str,
    token_file: &PathBuf,
    session: &str,
) -> Result<Kept, NoCredentials> {
    // Read each time: the kubelet replaces the file before the token ends.
    let token = tokio::fs::read_to_string(token_file)
        .await
        .map_err(|error| NoCredentials { refused: None, text: format!("{}: {error}", token_file.display()) })?;
    let token = Zeroizing::new(token);
    let call = sts.assume_role_with_web_identity().role_arn(role_arn).role_session_name(session);
    let reply = call.web_identity_token(token.trim()).send().await.map_err(|error| {
        let outage = error.raw_response().is_none_or(|raw| raw.status().as_u16() >= 500);
        let refused = error.code().filter(|code| !outage && *code != "IDPCommunicationError").map(str::to_owned);
        NoCredentials { refused, text: format!("STS: {}", failure::innermost(&error)) }
    })?;
    let Some(new) = reply.credentials else {
        return Err(NoCredentials { refused: None, text: "STS replied without credentials".into() });
    };
    let ends_ms = u64::try_from(new.expiration.to_millis().unwrap_or(0)).unwrap_or(0);
    Ok(keep(new.access_key_id, new.secret_access_key, new.session_token, ends_ms))
}

fn keep(key: String, secret: String, token: String, ends_ms: u64) -> Kept {
    let ends = UNIX_EPOCH + Duration::from_millis(ends_ms);
    Kept { credentials: Credentials::new(key, secret, Some(token), Some(ends), "tollgate"), ends_ms }
}

/// A client for the one call of STS that needs no credentials.
fn sts(place: &Place, origins: &Origins, wires: &Wires) -> aws_sdk_sts::Client {
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(place.region.to_string()))
        .endpoint_url(origins.sts(&place.region))
        .http_client(wires.http.clone())
        .retry_config(aws_sdk_sts::config::retry::RetryConfig::disabled())
        .timeout_config(wires.timeouts.clone())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(wires.time.clone())
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_of_ecs_becomes_credentials_that_end() {
        let kept = from_ecs(
            r#"{"RoleArn":"arn:aws:iam::1:role/r","AccessKeyId":"ASIA1","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-20T14:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!(kept.credentials.access_key_id(), "ASIA1");
        assert_eq!(kept.ends_ms, 1_795_183_200_000);
    }

    #[test]
    fn an_unreadable_reply_is_not_repeated_in_the_error() {
        let error = from_ecs(r#"{"AccessKeyId":"ASIA1","SecretAccessKey":"s3cr3t","Token":7}"#).unwrap_err();
        assert!(!format!("{error:#}").contains("s3cr3t"), "{error:#}");
    }
}
