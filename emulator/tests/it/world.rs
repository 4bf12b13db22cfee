//! A running emulator, tasks on it, and the SDK client each of them would use.

use std::net::SocketAddr;

use aws_sdk_marketplacemetering::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::meter_usage::builders::MeterUsageFluentBuilder,
    primitives::DateTime,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};
use tollgate_emulator::{Emulator, Options, Pricing, Product};

/// 2026-11-20T14:30:00Z.
pub(crate) const NOON: u64 = 1_795_185_000;

/// An emulator on a free port; it stops when the world is dropped.
pub(crate) struct World {
    addr: SocketAddr,
    _stop: oneshot::Sender<()>,
}

/// What the control API answers when a task starts.
pub(crate) struct Task {
    pub(crate) json: Value,
}

impl World {
    /// A world in which `thumbnails` is sold by use, `editor` by the hour, both subscribed, at half past two.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with some options changed. Quotas are off.
    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            products: [
                ("thumbnails".to_owned(), Product::new(Pricing::Custom, ["images", "gigapixels", "start"])),
                ("editor".to_owned(), Product::new(Pricing::Hourly, [""; 0])),
            ]
            .into(),
            quota: None,
            start_s: Some(NOON),
            subscribed: vec!["thumbnails".to_owned(), "editor".to_owned()],
            ..Options::default()
        };
        change(&mut options);
        let emulator = Emulator::bind("127.0.0.1:0", options).unwrap();
        let addr = emulator.addr();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(emulator.serve(async {
            // Both a message and a dropped sender mean "stop".
            let _ = stopped.await;
        }));
        Self { addr, _stop: stop }
    }

    /// Starts an ECS task.
    pub(crate) async fn task(&self) -> Task {
        self.task_with(json!({ "platform": "ecs" })).await
    }

    pub(crate) async fn task_with(&self, body: Value) -> Task {
        Task { json: self.post("/_tollgate/tasks", &body).await }
    }

    /// The SDK client of `task`, without retries.
    pub(crate) fn client(&self, task: &Task) -> Client {
        let token = task.json["session_token"].as_str().map(str::to_owned);
        self.client_with(task.text("access_key_id"), task.text("secret_access_key"), token, task.text("region"))
    }

    pub(crate) fn client_with(&self, key: &str, secret: &str, token: Option<String>, region: &str) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new(key, secret, token, None, "test"))
            .endpoint_url(format!("http://{}", self.addr))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    pub(crate) async fn advance(&self, seconds: i64) -> Value {
        self.post("/_tollgate/clock", &json!({ "advance_s": seconds })).await
    }

    pub(crate) async fn subscribe(&self, product_code: &str, subscribed: bool) {
        let path = format!("/_tollgate/subscriptions/{product_code}");
        self.ask("PUT", &path, &json!({ "subscribed": subscribed }).to_string()).await;
    }

    pub(crate) async fn fault(&self, fault: Value) {
        self.post("/_tollgate/faults", &fault).await;
    }

    pub(crate) async fn truth(&self) -> Value {
        self.get("/_tollgate/truth").await
    }

    /// The log of calls, one line each.
    pub(crate) async fn calls(&self) -> String {
        let calls = self.get("/_tollgate/calls").await["calls"].take();
        let line = |call: &Value| {
            let text = |name: &str| call[name].as_str().unwrap_or("-").to_owned();
            let (operation, code, fault) = (text("operation"), text("code"), text("fault"));
            let (seq, status) = (&call["seq"], &call["status"]);
            format!("{seq} {operation} {status} {code} {} {} fault={fault}\n", text("verdict"), text("rule"))
        };
        calls.as_array().unwrap().iter().map(line).collect()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, &body.to_string()).await
    }

    /// One request of the control API; anything but 200 comes back as `{"status": ..}` beside its body.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, body) = self.raw(&http_request(method, path, &[], body)).await;
        let mut body = serde_json::from_str(&body).unwrap_or(Value::Null);
        if status != 200 {
            body["status"] = json!(status);
        }
        body
    }

    /// Sends bytes as they are; status and body of the answer, or 0 when there is none.
    pub(crate) async fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

impl Task {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap()
    }
}

pub(crate) fn http_request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: emulator\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

/// `quantity` images at `seconds` from the start of the world.
pub(crate) fn images(client: &Client, quantity: i32, seconds: i64) -> MeterUsageFluentBuilder {
    let at = DateTime::from_secs(i64::try_from(NOON).unwrap() + seconds);
    client.meter_usage().product_code("thumbnails").usage_dimension("images").usage_quantity(quantity).timestamp(at)
}

/// The error code, or `ok`.
pub(crate) fn code<T, E: ProvideErrorMetadata, R>(result: &Result<T, SdkError<E, R>>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(SdkError::ServiceError(error)) => error.err().code().unwrap_or("no code").to_owned(),
        Err(SdkError::DispatchFailure(_)) => "no answer".to_owned(),
        Err(_) => "unreadable".to_owned(),
    }
}

/// The record id of an accepted call, or the error code.
pub(crate) async fn send(call: MeterUsageFluentBuilder) -> String {
    let result = call.send().await;
    match &result {
        Ok(output) => output.metering_record_id().unwrap_or("no id").to_owned(),
        Err(_) => code(&result),
    }
}
