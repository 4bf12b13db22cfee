//! A request to the emulator, over a real connection: any bytes get an answer in the service's form, or none if they
//! are no request. Never a panic, and the log of calls says what the client saw.
//!
//! The first byte chooses what the rest is: all that comes over the connection; the body of a signed call, or its
//! target, a line end, and its body; or the head of an unsigned one, an empty line, and its body.
//! True: it was answered with 200.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use serde_json::Value;
use tokio::runtime::Runtime;
use tollgate_emulator::{Emulator, Options, Pricing, Product, Subscription, WireClock};

/// 2026-11-20T14:30:00Z, when the emulator starts and everything is signed.
const NOW_S: u64 = 1_795_185_000;
const NOW: &str = "20261120T143000Z";
const SCOPE: &str = "20261120/us-east-1/aws-marketplace/aws4_request";
const SELLER: &str = "210987654321";
const OPERATIONS: [&str; 4] = ["RegisterUsage", "MeterUsage", "BatchMeterUsage", "ResolveCustomer"];
/// Longer than the emulator waits for the end of a request.
const PATIENCE: Duration = Duration::from_secs(60);
/// The emulator's threads, by whose panics it is known that one of them panicked.
const THREAD: &str = "emulator";

static PANICKED: AtomicBool = AtomicBool::new(false);
static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);

/// An emulator, a task that meters, and a seller who reports.
struct Service {
    address: SocketAddr,
    task: Value,
    seller: Value,
    _runtime: Runtime,
}

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Some((&how, rest)) = bytes.split_first() else { return false };
    let (target, caller) = operation(how / 4);
    let ok = match how % 4 {
        0 => SERVICE.any(rest),
        1 => SERVICE.signed(&format!("AWSMPMeteringService.{target}"), caller, rest),
        2 => {
            let (target, body) = halves(rest, b"\n");
            let printable = target.iter().all(|byte| (b' '..=b'~').contains(byte));
            printable && SERVICE.signed(&String::from_utf8_lossy(target), caller, body)
        }
        _ => {
            let (head, body) = halves(rest, b"\n\n");
            let head = String::from_utf8_lossy(head).replace('\n', "\r\n");
            SERVICE.any(&request("POST", "/", &format!("{head}\r\n"), body))
        }
    };
    assert!(!PANICKED.load(Ordering::SeqCst), "the emulator panicked");
    ok
}

/// What this byte calls, and who may.
fn operation(choice: u8) -> (&'static str, &'static Value) {
    let index = usize::from(choice) % OPERATIONS.len();
    (OPERATIONS[index], if index < 2 { &SERVICE.task } else { &SERVICE.seller })
}

/// Before and after the first separator.
fn halves<'a>(bytes: &'a [u8], separator: &[u8]) -> (&'a [u8], &'a [u8]) {
    match bytes.windows(separator.len()).position(|window| window == separator) {
        Some(at) => (&bytes[..at], &bytes[at + separator.len()..]),
        None => (bytes, b""),
    }
}

fn request(method: &str, path: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: emulator\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Status, error code and body of an answer, if it is a whole one.
fn answer(bytes: &[u8]) -> Option<(u64, Option<String>, String)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    // A client of 1.0 is answered in its own version.
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let code = head.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: "));
    Some((status, code.map(str::to_owned), body.to_owned()))
}

impl Service {
    fn start() -> Self {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.fetch_or(std::thread::current().name() == Some(THREAD), Ordering::SeqCst);
            previous(panic);
        }));
        let account = "123456789012".to_owned();
        let options = Options {
            products: [
                ("thumbnails".to_owned(), Product::new(Pricing::Custom, ["images", "start"])),
                ("editor".to_owned(), Product::new(Pricing::Hourly, [""; 0])),
                ("board".to_owned(), Product::new(Pricing::Saas, ["users"]).with_publisher(SELLER)),
            ]
            .into(),
            subscribed: ["thumbnails", "editor", "board"]
                .map(|code| Subscription { account: account.clone(), product_code: code.to_owned() })
                .into(),
            quota: None,
            start_s: Some(NOW_S),
            wire_clock: WireClock::Emulator,
            ..Options::default()
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name(THREAD).enable_all().build();
        let (runtime, emulator) = (runtime.unwrap(), Emulator::bind("127.0.0.1:0", options).unwrap());
        let address = emulator.addr();
        runtime.spawn(emulator.serve(std::future::pending()));
        let task = |body: &str| control(address, "POST", "/_tollgate/tasks", body);
        let seller = task(&format!(r#"{{"platform":"static","account":"{SELLER}"}}"#));
        Self { address, task: task(r#"{"platform":"ecs"}"#), seller, _runtime: runtime }
    }

    /// Whatever it is: what comes back is a whole answer or nothing.
    fn any(&self, bytes: &[u8]) -> bool {
        // Faults and clocks are moved by others; the path of the service's requests is looked at here.
        if bytes.windows(9).any(|window| window == b"_tollgate") {
            return false;
        }
        let got = exchange(self.address, bytes, true);
        let answered = answer(&got);
        assert!(got.is_empty() || answered.is_some(), "{:?}", String::from_utf8_lossy(&got));
        answered.is_some_and(|(status, ..)| status == 200)
    }

    /// A signed call is always answered, and is one line in the log.
    fn signed(&self, target: &str, caller: &Value, body: &[u8]) -> bool {
        let newest =
            control(self.address, "GET", "/_tollgate/calls?after=18446744073709551615&wait_s=0", "")["newest"].take();
        let whole = request("POST", "/", &head(target, caller, body), body);
        let got = exchange(self.address, &whole, false);
        let said = String::from_utf8_lossy(&got);
        let (status, code, answer) = answer(&got).unwrap_or_else(|| panic!("no answer: {said:?}"));
        assert!(status == 200 || (matches!(status, 400 | 500) && code.is_some()), "{said}");
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {said}"));
        let calls =
            control(self.address, "GET", &format!("/_tollgate/calls?after={newest}&wait_s=0"), "")["calls"].take();
        let [call] = &calls.as_array().unwrap()[..] else { panic!("{calls} for {said}") };
        assert_eq!((&call["status"], &call["code"]), (&status.into(), &code.into()), "{said}");
        assert_eq!(call["record_id"], answer["MeteringRecordId"], "{said}");
        assert_eq!(call["verdict"] == "accepted", status == 200, "{call}");
        status == 200
    }
}

/// Sends bytes as they are; all that comes back. With `end` nothing more will come, and the other side knows.
fn exchange(address: SocketAddr, bytes: &[u8], end: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Who answers before all is read may hang up.
    let _ = stream.write_all(bytes);
    if end {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut got = Vec::new();
    if let Err(error) = stream.read_to_end(&mut got) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the emulator neither answers nor closes");
    }
    got
}

fn control(address: SocketAddr, method: &str, path: &str, body: &str) -> Value {
    let got = exchange(address, &request(method, path, "", body.as_bytes()), false);
    let (status, _, body) = answer(&got).unwrap();
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// The head of a call to `target`, signed by `caller`.
fn head(target: &str, caller: &Value, body: &[u8]) -> String {
    let text = |name: &str| caller[name].as_str().unwrap();
    let target = target.trim();
    let mut headers = vec![("host", "emulator"), ("x-amz-date", NOW)];
    headers.extend(caller["session_token"].as_str().map(|token| ("x-amz-security-token", token)));
    headers.push(("x-amz-target", target));
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", hash(body));
    let to_sign = format!("AWS4-HMAC-SHA256\n{NOW}\n{SCOPE}\n{}", hash(canonical.as_bytes()));
    let secret = format!("AWS4{}", text("secret_access_key")).into_bytes();
    let key = SCOPE.split('/').fold(secret, |key, part| sign(&key, part));
    let (id, signature) = (text("access_key_id"), hex(&sign(&key, &to_sign)));
    let sent: String = headers[1..].iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!(
        "{sent}content-type: application/x-amz-json-1.1\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={id}/{SCOPE}, SignedHeaders={names}, Signature={signature}\r\n"
    )
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
