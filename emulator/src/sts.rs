//! The Security Token Service, as far as a pod needs it: `AssumeRoleWithWebIdentity` in the query protocol. The token is
//! the one the emulator gave the pod's service account when it started the pod; the credentials are the pod's.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    account::{Keys, ROLE, Task, hex},
    fault::{Fault, Target},
    jwt::{Algorithm, KeyError},
    service::{Answer, Moment, Service, delivery, uuid},
    wire::{Body, Reply},
};

/// Why no credentials are given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
}

/// What is asked.
#[derive(Debug)]
struct Ask {
    role_arn: String,
    session: String,
    token: String,
    duration_s: u64,
}

impl Service {
    /// Decides one request to STS. Faults wait for it under the name of its operation.
    pub(crate) fn assume_role(&mut self, body: &[u8], moment: &Moment) -> Answer {
        let target = Target { operation: OPERATION, dimensions: Vec::new(), resource: "", now_ms: moment.now_ms };
        let suffered = self.faults.take(&target);
        let decided = match suffered.fault {
            Some(Fault::Throttle) => Err(refusal(400, "Throttling", "Rate exceeded")),
            Some(Fault::Error500 | Fault::Error503) => {
                Err(refusal(500, "InternalFailure", "An internal error occurred."))
            }
            Some(Fault::DropBefore | Fault::ResetBefore) => Err(refusal(500, "InternalFailure", "")),
            _ => ask(body).and_then(|ask| self.credentials(&ask, moment)),
        };
        let request_id = uuid(&moment.entropy, 1);
        let reply = match decided {
            Ok(result) => Reply { status: 200, code: None, body: Body::Xml(response(&result, &request_id)) },
            Err(refusal) => {
                let body = Body::Xml(error(&refusal, &request_id));
                Reply { status: refusal.status, code: None, body }
            }
        };
        let delivery = delivery(suffered.fault);
        Answer { reply, delivery, delay_ms: suffered.delay_ms, date_skew_s: suffered.skew_s, seq: None }
    }

    /// The result element.
    fn credentials(&mut self, ask: &Ask, moment: &Moment) -> Result<String, Refusal> {
        let claims = self.issuer.as_ref().and_then(|issuer| issuer.claims(&ask.token));
        let claims = claims.ok_or_else(|| {
            refusal(400, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
        })?;
        let now_s = moment.times.wire_ms / 1_000;
        let expires_s = claims["exp"].as_u64().unwrap_or_default();
        if expires_s <= now_s {
            let message =
                format!("Token expired: current date/time {now_s} must be before the expiration date/time{expires_s}");
            return Err(refusal(400, "ExpiredTokenException", &message));
        }
        if !claims["aud"].as_array().is_some_and(|audience| audience.contains(&json!(AUDIENCE))) {
            return Err(refusal(400, "InvalidIdentityToken", "Incorrect token audience"));
        }
        let uid = claims["kubernetes.io"]["pod"]["uid"].as_str().unwrap_or_default();
        let task = self.tasks.by_id(&uid.replace('-', ""));
        let Some(task) = task.filter(|task| task.role_arn() == ask.role_arn).cloned() else {
            return Err(refusal(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
        };
        let expires_ms = moment.times.wire_ms.saturating_add(ask.duration_s * 1_000);
        let keys = Keys::draw(&moment.entropy[..48], true, Some(expires_ms));
        if !self.tasks.issue(&task.id, keys.clone()) {
            return Err(refusal(400, "Throttling", "Rate exceeded"));
        }
        Ok(result(&task, &keys, ask, &claims))
    }
}

/// The claims of a service account's token, as the API server of a cluster makes them.
pub(crate) fn token_claims(task: &Task, now_ms: u64) -> impl Serialize {
    let (now_s, uid, short) = (now_ms / 1_000, task.pod_uid(), &task.id[..8]);
    json!({
        "aud": [AUDIENCE],
        "exp": now_s + TOKEN_LIFE_S,
        "iat": now_s,
        "nbf": now_s,
        "iss": issuer(task),
        "sub": format!("system:serviceaccount:default:{ROLE}"),
        "kubernetes.io": {
            "namespace": "default",
            "pod": { "name": format!("{ROLE}-{short}"), "uid": uid },
            "serviceaccount": { "name": ROLE, "uid": uid },
        },
    })
}

impl Service {
    /// The token of the pod's service account.
    ///
    /// # Errors
    /// When there is no key to sign with, or it refuses.
    pub(crate) fn web_identity_token(&self, task: &Task, now_ms: u64) -> Result<String, KeyError> {
        let issuer = self.issuer.as_ref().ok_or(KeyError::Sign)?;
        issuer.sign(Algorithm::Rs256, &token_claims(task, now_ms))
    }
}

fn ask(body: &[u8]) -> Result<Ask, Refusal> {
    let form: HashMap<String, String> = serde_urlencoded::from_bytes(body)
        .map_err(|_| refusal(400, "MalformedQueryString", "The query string is malformed."))?;
    let action = form.get("Action").map(String::as_str).unwrap_or_default();
    if action.is_empty() {
        return Err(refusal(400, "MissingAction", "The request is missing an Action."));
    }
    if action != OPERATION || form.get("Version").is_none_or(|version| version != VERSION) {
        let message = format!("Could not find operation {action} for version {VERSION}");
        return Err(refusal(400, "InvalidAction", &message));
    }
    let member = |name: &str, min: usize, max: usize| {
        let value = form.get(name).cloned().unwrap_or_default();
        match value.chars().count() {
            length if (min..=max).contains(&length) => Ok(value),
            _ => Err(invalid(&format!("'{name}' must have length between {min} and {max}"))),
        }
    };
    let session = member("RoleSessionName", 2, 64)?;
    if !session.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)) {
        return Err(invalid(r"'roleSessionName' must satisfy regular expression pattern: [\w+=,.@-]*"));
    }
    let duration_s = match form.get("DurationSeconds").map(|text| text.parse::<u64>()) {
        None => SESSION_LIFE_S,
        Some(Ok(seconds @ 900..=43_200)) => seconds,
        Some(_) => return Err(invalid("'durationSeconds' must be between 900 and 43200")),
    };
    if duration_s > SESSION_LIFE_S {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(refusal(400, "ValidationError", message));
    }
    let (role_arn, token) = (member("RoleArn", 20, 2_048)?, member("WebIdentityToken", 4, 20_000)?);
    Ok(Ask { role_arn, session, token, duration_s })
}

fn issuer(task: &Task) -> String {
    format!("https://oidc.eks.{}.amazonaws.com/id/TOLLGATE", task.region)
}

fn invalid(what: &str) -> Refusal {
    refusal(400, "ValidationError", &format!("1 validation error detected: Value at {what}"))
}

fn refusal(status: u16, code: &'static str, message: &str) -> Refusal {
    Refusal { status, code, message: message.to_owned() }
}

fn result(task: &Task, keys: &Keys, ask: &Ask, claims: &Value) -> String {
    let Ask { session, .. } = ask;
    let (account, subject) = (&task.account, escaped(claims["sub"].as_str().unwrap_or_default()));
    let provider = issuer(task).replace("https://", "");
    let (key, secret) = (&keys.access_key_id, &keys.secret_access_key);
    let token = keys.session_token.as_deref().unwrap_or_default();
    let ends = keys.expires_ms.and_then(|ms| jiff::Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
    let ends = ends.map(|ends| ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
    let role_id = hex(account.as_bytes()).to_uppercase();
    format!(
        "<SubjectFromWebIdentityToken>{subject}</SubjectFromWebIdentityToken><Audience>{AUDIENCE}</Audience>\
         <AssumedRoleUser><Arn>arn:aws:sts::{account}:assumed-role/{ROLE}/{session}</Arn>\
         <AssumedRoleId>AROA{role_id:.16}:{session}</AssumedRoleId></AssumedRoleUser>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{ends}</Expiration></Credentials>\
         <Provider>arn:aws:iam::{account}:oidc-provider/{provider}</Provider>"
    )
}

fn response(result: &str, request_id: &str) -> String {
    format!(
        "<{OPERATION}Response xmlns=\"{NAMESPACE}\"><{OPERATION}Result>{result}</{OPERATION}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{OPERATION}Response>"
    )
}

fn error(refusal: &Refusal, request_id: &str) -> String {
    let (code, message) = (refusal.code, escaped(&refusal.message));
    let kind = if refusal.status >= 500 { "Receiver" } else { "Sender" };
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{kind}</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const OPERATION: &str = "AssumeRoleWithWebIdentity";
const VERSION: &str = "2011-06-15";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const AUDIENCE: &str = "sts.amazonaws.com";
/// Tokens that EKS gives a pod live a day.
const TOKEN_LIFE_S: u64 = 86_400;
/// A role's sessions live an hour unless its owner allows more.
const SESSION_LIFE_S: u64 = 3_600;
