//! Signature Version 4, from the service's side: the signature is computed anew over the bytes received and compared.
//! The region in the scope is the region whose endpoint the client meant.

use aws_lc_rs::{constant_time, digest, hmac};
use http::HeaderMap;

use crate::account::{Task, Tasks, hex};

/// A request as received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// Who signed, for which region's endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) task: Task,
    pub(crate) region: String,
}

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthRefusal {
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    #[error("{0}")]
    Incomplete(&'static str),
    #[error("{0}")]
    InvalidSignature(String),
    #[error("Missing Authentication Token")]
    MissingToken,
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
}

impl AuthRefusal {
    /// The error code on the wire.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::ExpiredToken => "ExpiredTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::InvalidSignature(_) => "InvalidSignatureException",
            Self::MissingToken => "MissingAuthenticationTokenException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
        }
    }
}

/// The times a signature and its credentials are judged by.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    /// The spans in which a client may sign, five minutes more on either side; Unix milliseconds.
    pub(crate) signing_ms: Vec<(u64, u64)>,
    /// The time at which credentials must not have ended.
    pub(crate) wire_ms: u64,
}

/// Verifies the signature of `received`.
pub(crate) fn verify(received: Received<'_>, tasks: &Tasks, times: &Times) -> Result<Signer, AuthRefusal> {
    let authorization = header(received.headers, "authorization").ok_or(AuthRefusal::MissingToken)?;
    let parts = Authorization::parse(&authorization)?;
    let amz_date = header(received.headers, "x-amz-date").ok_or(AuthRefusal::Incomplete(NO_DATE))?;
    parts.check_scope(&amz_date)?;

    let (task, keys) = tasks.by_access_key(parts.access_key_id).ok_or(AuthRefusal::UnrecognizedClient)?;
    if header(received.headers, "x-amz-security-token") != keys.session_token {
        return Err(AuthRefusal::UnrecognizedClient);
    }
    if keys.expires_ms.is_some_and(|expires_ms| times.wire_ms >= expires_ms) {
        return Err(AuthRefusal::ExpiredToken);
    }
    check_time(&amz_date, &times.signing_ms)?;
    parts.check_signed_headers(received.headers)?;

    let scope = format!("{}/{}/{SERVICE}/aws4_request", parts.date, parts.region);
    let request_hash =
        hex(digest::digest(&digest::SHA256, canonical_request(received, parts.signed_headers).as_bytes()).as_ref());
    let string_to_sign = format!("{ALGORITHM}\n{amz_date}\n{scope}\n{request_hash}");
    let expected = signature(&keys.secret_access_key, parts.date, parts.region, &string_to_sign);
    if constant_time::verify_slices_are_equal(expected.as_bytes(), parts.signature.as_bytes()).is_err() {
        let message = "The request signature we calculated does not match the signature you provided. \
                       Check your AWS Secret Access Key and signing method.";
        return Err(AuthRefusal::InvalidSignature(message.to_owned()));
    }
    Ok(Signer { task: task.clone(), region: parts.region.to_owned() })
}

/// The `Authorization` header, taken apart.
#[derive(Debug)]
struct Authorization<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(text: &'a str) -> Result<Self, AuthRefusal> {
        let fields = text.strip_prefix(ALGORITHM).ok_or(AuthRefusal::Incomplete("Unsupported signing algorithm."))?;
        let field = |name: &str| {
            let mut named = fields.split(',').filter_map(|field| field.trim().split_once('='));
            named.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let (Some(credential), Some(signed_headers), Some(signature)) =
            (field("Credential"), field("SignedHeaders"), field("Signature"))
        else {
            return Err(AuthRefusal::Incomplete("Authorization needs Credential, SignedHeaders and Signature."));
        };
        let credential: Vec<&str> = credential.split('/').collect();
        let [access_key_id, date, region, service, "aws4_request"] = credential[..] else {
            return Err(AuthRefusal::Incomplete("Credential must be KEY/DATE/REGION/SERVICE/aws4_request."));
        };
        Ok(Self { access_key_id, date, region, service, signed_headers, signature })
    }

    fn check_scope(&self, amz_date: &str) -> Result<(), AuthRefusal> {
        if self.service != SERVICE {
            let message = format!("Credential should be scoped to correct service: '{SERVICE}'.");
            return Err(AuthRefusal::InvalidSignature(message));
        }
        if self.region.is_empty() || !self.region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            let message = format!("Credential should be scoped to a valid region, not '{}'.", self.region);
            return Err(AuthRefusal::InvalidSignature(message));
        }
        if amz_date.split('T').next() != Some(self.date) {
            let message = format!("Date in Credential scope does not match X-Amz-Date: '{}'.", self.date);
            return Err(AuthRefusal::InvalidSignature(message));
        }
        Ok(())
    }

    /// The headers that decide what is done, and for whom, must be under the signature.
    fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), AuthRefusal> {
        let signed: Vec<&str> = self.signed_headers.split(';').collect();
        let required = ["host", "x-amz-date", "x-amz-security-token", "x-amz-target"];
        let missing = required.into_iter().find(|name| headers.contains_key(*name) && !signed.contains(name));
        match missing {
            Some(name) => Err(AuthRefusal::InvalidSignature(format!("'{name}' must be a signed header."))),
            None => Ok(()),
        }
    }
}

fn check_time(amz_date: &str, spans_ms: &[(u64, u64)]) -> Result<(), AuthRefusal> {
    let signed_s = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", amz_date)
        .and_then(|time| jiff::tz::Offset::UTC.to_timestamp(time))
        .map_err(|_| AuthRefusal::Incomplete(NO_DATE))?
        .as_second();
    let signed_ms = u64::try_from(signed_s).unwrap_or(0).saturating_mul(1_000);
    let near = |(first, last): &(u64, u64)| {
        (first.saturating_sub(SKEW_MAX_MS)..=last.saturating_add(SKEW_MAX_MS)).contains(&signed_ms)
    };
    if !spans_ms.iter().any(near) {
        return Err(AuthRefusal::InvalidSignature(format!("Signature expired or not yet current: {amz_date}.")));
    }
    Ok(())
}

fn canonical_request(received: Received<'_>, signed_headers: &str) -> String {
    let mut query: Vec<&str> = received.query.split('&').filter(|pair| !pair.is_empty()).collect();
    query.sort_unstable();
    let headers: String = signed_headers
        .split(';')
        .map(|name| format!("{name}:{}\n", header(received.headers, name).unwrap_or_default()))
        .collect();
    let body_hash = hex(digest::digest(&digest::SHA256, received.body).as_ref());
    let Received { method, path, .. } = received;
    format!("{method}\n{path}\n{}\n{headers}\n{signed_headers}\n{body_hash}", query.join("&"))
}

fn signature(secret: &str, date: &str, region: &str, string_to_sign: &str) -> String {
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let key = sign(format!("AWS4{secret}").as_bytes(), date);
    let key = sign(key.as_ref(), region);
    let key = sign(key.as_ref(), SERVICE);
    let key = sign(key.as_ref(), "aws4_request");
    hex(sign(key.as_ref(), string_to_sign).as_ref())
}

/// A header's values joined by commas, each trimmed and with single spaces: its canonical form.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let values: Vec<String> = values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    (!values.is_empty()).then(|| values.join(","))
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "aws-marketplace";
const SKEW_MAX_MS: u64 = 5 * 60 * 1_000;
const NO_DATE: &str = "Date must be given in the X-Amz-Date header as YYYYMMDD'T'HHMMSS'Z'.";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::account::{NewTask, Platform};

    const AT: &str = "20261120T143000Z";
    const AT_MS: u64 = 1_795_185_000_000;
    const SIGNED: &str = "host;x-amz-date;x-amz-security-token;x-amz-target";

    /// A signed request that `spoil` may change afterwards; `ok` or the refusal's code at the time `clock_ms`.
    fn check(clock_ms: u64, spoil: impl FnOnce(&mut HeaderMap, &mut Vec<u8>)) -> &'static str {
        let new = NewTask { platform: Platform::Ecs, account: "1".into(), region: "us-east-1".into(), permits: None };
        let mut tasks = Tasks::default();
        let task = Task::new(new, &[7; 64], 0);
        assert!(tasks.add(task.clone()));
        let mut headers = HeaderMap::new();
        let token = task.keys.session_token.clone().unwrap();
        for (name, value) in [
            ("host", "emulator"),
            ("x-amz-date", AT),
            ("x-amz-security-token", &*token),
            ("x-amz-target", "AWSMPMeteringService.MeterUsage"),
        ] {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let mut body = b"{}".to_vec();
        let received = Received { method: "POST", path: "/", query: "", headers: &headers, body: &body };
        let hash = hex(digest::digest(&digest::SHA256, canonical_request(received, SIGNED).as_bytes()).as_ref());
        let scope = "20261120/us-east-1/aws-marketplace/aws4_request";
        let to_sign = format!("{ALGORITHM}\n{AT}\n{scope}\n{hash}");
        let signature = signature(&task.keys.secret_access_key, "20261120", "us-east-1", &to_sign);
        let key = &task.keys.access_key_id;
        let value = format!("{ALGORITHM} Credential={key}/{scope}, SignedHeaders={SIGNED}, Signature={signature}");
        headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
        spoil(&mut headers, &mut body);
        let received = Received { method: "POST", path: "/", query: "", headers: &headers, body: &body };
        let times = Times { signing_ms: vec![(0, 0), (clock_ms, clock_ms)], wire_ms: clock_ms };
        verify(received, &tasks, &times).map_or_else(|refusal| refusal.code(), |_| "ok")
    }

    #[test]
    fn nothing_under_the_signature_can_be_changed() {
        let refused = "InvalidSignatureException";
        assert_eq!(check(AT_MS, |_, _| {}), "ok");
        assert_eq!(check(AT_MS, |_, body| body.push(b' ')), refused);
        let other = HeaderValue::from_static("AWSMPMeteringService.RegisterUsage");
        assert_eq!(
            check(AT_MS, |headers, _| {
                headers.insert("x-amz-target", other.clone());
            }),
            refused
        );
        assert_eq!(
            check(AT_MS, |headers, _| {
                headers.append("x-amz-target", other);
            }),
            refused
        );
        let later = HeaderValue::from_static("20261120T143001Z");
        assert_eq!(
            check(AT_MS, |headers, _| {
                headers.insert("x-amz-date", later);
            }),
            refused
        );
        let spaced = HeaderValue::from_static("  emulator ");
        assert_eq!(
            check(AT_MS, |headers, _| {
                headers.insert("host", spaced);
            }),
            "ok",
            "spaces do not count"
        );
    }

    #[test]
    fn a_signature_lives_five_minutes_on_either_side() {
        assert_eq!(check(AT_MS + SKEW_MAX_MS, |_, _| {}), "ok");
        assert_eq!(check(AT_MS - SKEW_MAX_MS, |_, _| {}), "ok");
        assert_eq!(check(AT_MS + SKEW_MAX_MS + 1, |_, _| {}), "InvalidSignatureException");
        assert_eq!(check(AT_MS - SKEW_MAX_MS - 1, |_, _| {}), "InvalidSignatureException");
    }
}
