//! A running emulator, tasks on it, and the SDK client each of them would use.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_marketplacemetering::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::meter_usage::builders::MeterUsageFluentBuilder,
    primitives::DateTime,
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use tollgate_emulator::{Emulator, Options, Pricing, Product, Subscription, WireClock};

/// 2026-11-20T14:30:00Z.
pub(crate) const NOON: u64 = 1_795_185_000;

/// The account that publishes `board`.
pub(crate) const SELLER: &str = "210987654321";

/// An emulator on a free port; it stops when the world is dropped.
pub(crate) struct World {
    pub(crate) addr: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

/// What the control API answers when a task starts.
pub(crate) struct Task {
    pub(crate) json: Value,
}

impl World {
    /// A world in which `thumbnails` is sold by use, `editor` by the hour and `board` as a service, all subscribed, at
    /// half past two. Its clients may live by its clock.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with some options changed. Quotas are off.
    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            products: [
                ("thumbnails".to_owned(), Product::new(Pricing::Custom, ["images", "gigapixels", "start"])),
                ("editor".to_owned(), Product::new(Pricing::Hourly, [""; 0])),
                ("board".to_owned(), Product::new(Pricing::Saas, ["users", "storage"]).with_publisher(SELLER)),
            ]
            .into(),
            quota: None,
            start_s: Some(NOON),
            subscribed: ["thumbnails", "editor", "board"].map(subscription).into(),
            wire_clock: WireClock::Emulator,
            ..Options::default()
        };
        change(&mut options);
        let emulator = Emulator::bind("127.0.0.1:0", options).unwrap();
        let addr = emulator.addr();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(emulator.serve(async {
            // Both a message and a dropped sender mean "stop".
            let _ = stopped.await;
        }));
        Self { addr, stop, serving }
    }

    /// Stops it in order.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.serving.await.unwrap().unwrap();
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

    /// A holder of keys in the seller's account.
    pub(crate) async fn seller(&self) -> Task {
        self.task_with(json!({ "platform": "static", "account": SELLER })).await
    }

    /// One call of the service with a body as it is, signed for `region` by somebody else's code.
    pub(crate) async fn call(&self, task: &Task, operation: &str, region: &str, body: &str) -> Answer {
        self.call_as(task, &format!("AWSMPMeteringService.{operation}"), region, body).await
    }

    pub(crate) async fn call_as(&self, task: &Task, target: &str, region: &str, body: &str) -> Answer {
        let request = self.signed(task, target, region, body).await;
        let (status, answer) = self.raw(&request).await;
        let body: Value = serde_json::from_str(&answer).unwrap_or(Value::Null);
        let code = body["__type"].as_str().and_then(|name| name.rsplit('#').next()).unwrap_or("-").to_owned();
        Answer { status, code, body }
    }

    /// The bytes of a signed request at the emulator's time.
    pub(crate) async fn signed(&self, task: &Task, target: &str, region: &str, body: &str) -> String {
        let now_ms = self.get("/_tollgate/clock").await["now_ms"].as_u64().unwrap();
        let token = task.json["session_token"].as_str().map(str::to_owned);
        let identity =
            Credentials::new(task.text("access_key_id"), task.text("secret_access_key"), token, None, "test");
        let identity = identity.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("aws-marketplace")
            .time(UNIX_EPOCH + Duration::from_millis(now_ms))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let headers = [("host", "emulator"), ("x-amz-target", target)];
        let signable =
            SignableRequest::new("POST", "http://emulator/", headers.into_iter(), SignableBody::Bytes(body.as_bytes()));
        let (instructions, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
        let mut all = vec![("x-amz-target", target)];
        all.extend(instructions.headers());
        http_request("POST", "/", &all, body)
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
        crate::openapi::check(method, path, status, &body);
        let mut body = serde_json::from_str(&body).unwrap_or(Value::Null);
        if status != 200 {
            body["status"] = json!(status);
        }
        body
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// So many calls that nobody signed, one after the other on one connection.
    pub(crate) async fn unsigned_calls(&self, count: usize) {
        let target = [("x-amz-target", "AWSMPMeteringService.MeterUsage")];
        let call = |index| {
            let body = json!({ "ProductCode": "thumbnails", "UsageDimension": "images", "UsageQuantity": index });
            let request = http_request("POST", "/", &target, &body.to_string());
            if index == count { request } else { request.replace("connection: close", "connection: keep-alive") }
        };
        let requests: String = (1..=count).map(call).collect();
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let mut answers = Vec::new();
        let (written, read) = tokio::join!(writing.write_all(requests.as_bytes()), reading.read_to_end(&mut answers));
        written.unwrap();
        read.unwrap();
    }

    /// Sends bytes as they are; the answer with its head.
    pub(crate) async fn whole(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Sends bytes as they are; status and body of the answer, or 0 when there is none.
    pub(crate) async fn raw(&self, request: &str) -> (u16, String) {
        let answer = self.whole(request).await;
        let status = answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

/// An answer of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The error code; `-` if there is none.
    pub(crate) code: String,
    pub(crate) body: Value,
}

impl Task {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap()
    }
}

/// The subscription of the account that tasks have unless told otherwise.
fn subscription(product_code: &str) -> Subscription {
    Subscription { account: "123456789012".to_owned(), product_code: product_code.to_owned() }
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
