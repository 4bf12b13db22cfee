//! The forms of requests and answers on the wire. Nothing behind this file and those below it knows them.

use serde_json::{Value, json};

mod members;
mod refusal;
mod request;

pub(crate) use members::BadRequest;
pub(crate) use refusal::{batch_refusal, meter_refusal, register_refusal, resolve_refusal};
pub(crate) use request::{batch_meter_usage, dimensions, meter_usage, register_usage, resolve_customer};

/// An answer before it becomes HTTP.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The error code, if it is an error of the service.
    pub(crate) code: Option<&'static str>,
    pub(crate) body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// What a load balancer says that has nobody behind it.
    Html(&'static str),
    /// awsJson1.1.
    Json(Value),
    /// The query protocol of STS.
    Xml(String),
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, code: None, body: Body::Json(body) }
    }

    /// An error of the service's own. Only `InternalServiceErrorException` is its fault (500), all else is 400.
    pub(crate) fn error(code: &'static str, message: &str) -> Self {
        Self::named("com.amazonaws.marketplacemetering", code, message)
    }

    /// An error that the framework under every service gives: signature, permission, form of the request.
    pub(crate) fn common(code: &'static str, message: &str) -> Self {
        Self::named("com.amazon.coral.service", code, message)
    }

    fn named(namespace: &str, code: &'static str, message: &str) -> Self {
        let status = if code == "InternalServiceErrorException" { 500 } else { 400 };
        let body = json!({ "__type": format!("{namespace}#{code}"), "message": message });
        Self { status, code: Some(code), body: Body::Json(body) }
    }

    /// What a load balancer answers while the service is away: no code, nothing for an SDK to read.
    pub(crate) fn unavailable() -> Self {
        let html = "<html><body><h1>503 Service Unavailable</h1></body></html>";
        Self { status: 503, code: None, body: Body::Html(html) }
    }

    /// The body as JSON; null for anything else.
    pub(crate) fn json(&self) -> &Value {
        match &self.body {
            Body::Json(body) => body,
            Body::Html(_) | Body::Xml(_) => &Value::Null,
        }
    }
}
