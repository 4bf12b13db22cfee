//! What the token of a pod's service account says about the pod.

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

#[derive(serde::Deserialize)]
struct Claims {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
    iat: Option<u64>,
}

#[derive(serde::Deserialize)]
struct Kubernetes {
    pod: Option<Pod>,
}

#[derive(serde::Deserialize)]
struct Pod {
    uid: String,
}

/// The token, as far as it is of use here.
#[derive(Debug)]
pub(super) struct Token {
    /// By what AWS tells pods apart.
    pub(super) pod_uid: String,
    /// When it was made, in unix seconds. The kubelet makes the first one when it starts the pod, and a new one long
    /// before the day it is good for is over.
    pub(super) made_s: Option<u64>,
}

impl Token {
    /// Reads a JWT. The signature is not checked here: STS does that when it takes the token, and a wrong UID only gives
    /// the ledger another name.
    pub(super) fn read(token: &str) -> anyhow::Result<Self> {
        let payload = token.split('.').nth(1).context("not a JWT")?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok().context("not a JWT")?;
        let claims: Claims = serde_json::from_slice(&payload).context("unreadable claims")?;
        let pod = claims.kubernetes.and_then(|kubernetes| kubernetes.pod).context("no claim kubernetes.io/pod/uid")?;
        // The UID names a folder and a session: nothing but the form of a UUID.
        if pod.uid.len() != 36 || !pod.uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            bail!("the claim kubernetes.io/pod/uid is not a UUID");
        }
        Ok(Self { pod_uid: pod.uid, made_s: claims.iat })
    }
}
