//! The pod's UID out of the token of its service account.

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

#[derive(serde::Deserialize)]
struct Claims {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(serde::Deserialize)]
struct Kubernetes {
    pod: Option<Pod>,
}

#[derive(serde::Deserialize)]
struct Pod {
    uid: String,
}

/// The UID of the pod the token was made for. The signature is not checked here: STS does that when it takes the
/// token, and a wrong UID only gives the ledger another name.
pub(super) fn uid(token: &str) -> anyhow::Result<String> {
    let payload = token.split('.').nth(1).context("not a JWT")?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok().context("not a JWT")?;
    let claims: Claims = serde_json::from_slice(&payload).context("unreadable claims")?;
    let pod = claims.kubernetes.and_then(|kubernetes| kubernetes.pod).context("no claim kubernetes.io/pod/uid")?;
    // The UID names a folder and a session: nothing but the form of a UUID.
    if pod.uid.len() != 36 || !pod.uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
        bail!("the claim kubernetes.io/pod/uid is not a UUID");
    }
    Ok(pod.uid)
}
