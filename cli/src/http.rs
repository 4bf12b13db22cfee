//! A small HTTP client for loopback: the emulator, the host and its admin port.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, header::HeaderMap};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use crate::trouble::reasons;

/// A request that takes longer than this has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// A client with its pool of connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status line's code.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// A request without a whole response.
#[derive(Debug)]
pub struct NoReply {
    /// What was asked.
    pub request: String,
    /// What happened instead.
    pub why: String,
    /// Whether the server may have seen the request. False: no connection was made.
    pub delivered: bool,
}

impl std::fmt::Display for NoReply {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.request, self.why)
    }
}

impl std::error::Error for NoReply {}

impl Default for Http {
    fn default() -> Self {
        Self::http1()
    }
}

impl Http {
    /// Speaks HTTP/1.1.
    pub fn http1() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()) }
    }

    /// Speaks HTTP/2 without TLS, with prior knowledge.
    pub fn h2c() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).http2_only(true).build(HttpConnector::new()) }
    }

    /// Asks for `url`.
    ///
    /// # Errors
    /// No whole response came.
    pub async fn get(&self, url: &str) -> Result<Reply, NoReply> {
        self.send(Method::GET, url, &[], Bytes::new()).await
    }

    /// Sends `body` to `url` and reads the whole response.
    ///
    /// # Errors
    /// No whole response came: the connection failed or broke, or a minute and a half passed.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Reply, NoReply> {
        let asked = format!("{method} {url}");
        let failed = |why: String| NoReply { request: asked.clone(), why, delivered: true };
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| failed(error.to_string()))?;
        let exchange = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| NoReply { delivered: !error.is_connect(), ..failed(reasons(&error)) })?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| failed(reasons(&error)))?.to_bytes();
            Ok(Reply { status: head.status, headers: head.headers, body })
        };
        match tokio::time::timeout(REQUEST_TIMEOUT, exchange).await {
            Ok(result) => result,
            Err(_) => Err(failed(format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()))),
        }
    }
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
