//! The emulator's control interface: its clock, subscriptions, calls, faults and truth.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::http::Http;
use crate::trouble::{Result, Trouble};

mod task;
mod truth;

pub use task::Task;
pub use truth::{Allocation, Record, Truth};

/// A client of one emulator.
#[derive(Clone, Debug)]
pub struct Control {
    origin: String,
    http: Http,
}

/// The emulator's clock.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct EmulatedTime {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Distance from the machine's clock, in milliseconds.
    pub offset_ms: i64,
    /// Its seconds to one of the machine's; 0: it stands still.
    pub speed: u32,
    /// Goes up with every move.
    pub version: u64,
}

/// One call of the metering service.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Call {
    /// Position in the log of calls.
    pub seq: u64,
    /// When, on the emulator's clock.
    pub at_ms: u64,
    /// `RegisterUsage`, `MeterUsage`, `BatchMeterUsage` or `ResolveCustomer`.
    pub operation: String,
    /// Task or pod of the caller.
    pub resource: String,
    /// Account of the caller.
    pub account: String,
    /// Region that was called.
    pub region: String,
    /// The body of the request.
    pub request: Value,
    /// HTTP status of the reply.
    pub status: u16,
    /// Error code of the reply.
    pub code: Option<String>,
    /// Record id of an accepted record.
    pub record_id: Option<String>,
    /// What the emulator decided: `accepted`, `dry-run`, `not-processed` or `refused`.
    pub verdict: String,
    /// The rule behind it.
    pub rule: String,
    /// The fault that spoilt the call or its answer.
    pub fault: Option<String>,
}

#[derive(Deserialize)]
struct Calls {
    calls: Vec<Call>,
    last: u64,
}

/// A page of the log of calls, as the emulator tells it.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// Oldest first.
    pub calls: Vec<Value>,
    /// Where to go on.
    pub last: u64,
    /// The number of the newest call there is.
    pub newest: u64,
}

/// What came of an assertion.
#[derive(Debug, Deserialize, Serialize)]
pub struct Finding {
    /// The sentence.
    pub assertion: String,
    /// Whether it is true.
    pub holds: bool,
    /// How many there are.
    pub found: u64,
    /// What there is instead, some of it.
    pub near: Vec<String>,
}

/// A fault to cause: `throttle`, `error-500`, `delay`, `drop-before`, `drop-after`, `no-record-id`.
#[derive(Clone, Debug, Serialize)]
pub struct Fault<'a> {
    /// What happens.
    pub fault: &'a str,
    /// Only to this operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'a str>,
    /// Only to records of this dimension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimension: Option<&'a str>,
    /// How many times.
    pub count: u32,
}

impl Control {
    /// How long one long poll may hang, in seconds; then it is asked anew.
    pub const POLL_S: u32 = 20;

    /// A client of the emulator at `origin`, such as `http://127.0.0.1:4000`.
    pub fn new(origin: impl Into<String>) -> Self {
        Self { origin: origin.into(), http: Http::http1() }
    }

    /// Where the emulator listens.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The clock as it is.
    ///
    /// # Errors
    /// The emulator does not answer, as with every method here.
    pub async fn clock(&self) -> Result<EmulatedTime> {
        self.get("/_tollgate/clock").await
    }

    /// Waits until the clock has moved past `version`, or some seconds, and returns it.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn clock_after(&self, version: u64) -> Result<EmulatedTime> {
        self.get(&format!("/_tollgate/clock?after={version}")).await
    }

    /// Lets `seconds` pass.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn advance(&self, seconds: u64) -> Result<()> {
        self.put(Method::POST, "/_tollgate/clock", &json!({ "advance_s": seconds })).await
    }

    /// Moves the clock to `unix_s`.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn set_clock(&self, unix_s: u64) -> Result<()> {
        self.put(Method::POST, "/_tollgate/clock", &json!({ "set_s": unix_s })).await
    }

    /// Lets the clock run `speed` times as fast as the machine's; 0 stops it.
    ///
    /// # Errors
    /// The emulator does not answer, or refuses.
    pub async fn run_clock(&self, speed: u32) -> Result<()> {
        self.put(Method::POST, "/_tollgate/clock", &json!({ "speed": speed })).await
    }

    /// Makes a product known.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn product(&self, code: &str, pricing: &str, dimensions: &[String]) -> Result<()> {
        let body = json!({ "pricing": pricing, "dimensions": dimensions });
        self.put(Method::PUT, &format!("/_tollgate/products/{code}"), &body).await
    }

    /// Subscribes the buyer to a product, or ends the subscription.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn subscribe(&self, code: &str, subscribed: bool) -> Result<()> {
        self.put(Method::PUT, &format!("/_tollgate/subscriptions/{code}"), &json!({ "subscribed": subscribed })).await
    }

    /// The public keys of a product by version, PEM.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn keys(&self, code: &str) -> Result<BTreeMap<u32, String>> {
        self.get(&format!("/_tollgate/keys/{code}")).await
    }

    /// A new task on the platform `ecs`, or a caller on `eks-irsa`, `eks-pod-identity`, `node-role` or `static`.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn task(&self, platform: &str) -> Result<Task> {
        self.start(&json!({ "platform": platform })).await
    }

    /// The same in a region that is not the emulator's own.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn task_in(&self, platform: &str, region: &str) -> Result<Task> {
        self.start(&json!({ "platform": platform, "region": region })).await
    }

    async fn start(&self, task: &Value) -> Result<Task> {
        let path = "/_tollgate/tasks";
        let body = self.exchange(Method::POST, path, Some(task)).await?;
        self.parse(path, &body)
    }

    /// The calls after `seq`, as soon as there is one or after some seconds, and where to go on.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn calls(&self, seq: u64) -> Result<(Vec<Call>, u64)> {
        let calls: Calls = self.get(&format!("/_tollgate/calls?after={seq}&wait_s={}", Self::POLL_S)).await?;
        Ok((calls.calls, calls.last))
    }

    /// The calls after `seq`, whole; waits `wait_s` seconds for the first.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn page(&self, seq: u64, wait_s: u32) -> Result<Page> {
        self.get(&format!("/_tollgate/calls?after={seq}&wait_s={wait_s}")).await
    }

    /// The codes of the products on sale.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn products(&self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Products {
            products: BTreeMap<String, Value>,
        }
        let on_sale: Products = self.get("/_tollgate/products").await?;
        Ok(on_sale.products.into_keys().collect())
    }

    /// Checks sentences such as `exactly one record of 12 for images at 14:00`.
    ///
    /// # Errors
    /// The emulator does not answer, or cannot read one.
    pub async fn check(&self, sentences: &[String]) -> Result<Vec<Finding>> {
        #[derive(Deserialize)]
        struct Findings {
            findings: Vec<Finding>,
        }
        let path = "/_tollgate/assertions";
        let body = self.exchange(Method::POST, path, Some(&json!({ "assertions": sentences }))).await?;
        let findings: Findings = self.parse(path, &body)?;
        Ok(findings.findings)
    }

    /// Changes something by any request of the interface.
    ///
    /// # Errors
    /// The emulator does not answer, or refuses.
    pub async fn change(&self, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
        self.exchange(method, path, body).await.map(|_| ())
    }

    /// All calls so far, at once.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn calls_so_far(&self) -> Result<(Vec<Call>, u64)> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page: Calls = self.get(&format!("/_tollgate/calls?after={after}&wait_s=0")).await?;
            if page.calls.is_empty() {
                return Ok((all, page.last));
            }
            after = page.last;
            all.extend(page.calls);
        }
    }

    /// What AWS would bill.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn truth(&self) -> Result<Truth> {
        self.get("/_tollgate/truth").await
    }

    /// Causes a fault.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn fault(&self, fault: &Fault<'_>) -> Result<()> {
        let body = serde_json::to_value(fault).map_err(|error| self.odd("/_tollgate/faults", &error.to_string()))?;
        self.put(Method::POST, "/_tollgate/faults", &body).await
    }

    /// Ends all faults.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn heal(&self) -> Result<()> {
        self.exchange(Method::DELETE, "/_tollgate/faults", None).await.map(|_| ())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let body = self.exchange(Method::GET, path, None).await?;
        self.parse(path, &body)
    }

    async fn put(&self, method: Method, path: &str, body: &Value) -> Result<()> {
        self.exchange(method, path, Some(body)).await.map(|_| ())
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes> {
        let url = format!("{}{path}", self.origin);
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let reply = self
            .http
            .send(method, &url, &[("content-type", "application/json")], bytes)
            .await
            .map_err(|error| self.odd(path, &error.to_string()))?;
        if reply.status.is_client_error() {
            // The emulator says what is wrong with the request; it is not the emulator that is wrong.
            let error: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let why =
                error["error"].as_str().map_or_else(|| format!("{}: {}", reply.status, reply.text()), str::to_owned);
            return Err(Trouble::new(format!("the emulator at {} refuses: {why}", self.origin), "", ""));
        }
        if !reply.status.is_success() {
            return Err(self.odd(path, &format!("{}: {}", reply.status, reply.text())));
        }
        Ok(reply.body)
    }

    fn parse<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T> {
        serde_json::from_slice(body).map_err(|error| self.odd(path, &error.to_string()))
    }

    fn odd(&self, path: &str, why: &str) -> Trouble {
        Trouble::new(
            format!("the emulator at {} did not answer {path} as expected: {why}", self.origin),
            "it has stopped, or another program listens there",
            "start it again with `tollgate emulator`",
        )
    }
}
