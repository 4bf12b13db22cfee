//! Holds 2,000 signed `MeterUsage` calls a second for a minute, from 10,000 tasks, each call a new record; once in
//! memory, once with the state in a file. Emulator and clients share the process and its cores, so the figures are
//! worse than those of an emulator that has its cores for itself.
//!
//! `cargo bench -p tollgate-emulator`, or with `-- SECONDS` for less.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark talks to the one who started it")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::{digest, hmac};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use tollgate_emulator::{Emulator, Options, Pricing, Product, Subscription};

const CALLS_A_SECOND: u64 = 2_000;
const TASKS: u64 = 10_000;
const CONNECTIONS: u64 = 16;
const DIMENSIONS: [&str; 2] = ["images", "gigapixels"];
const HOURS: u64 = 6;
const ACCOUNT: &str = "123456789012";
const PRODUCT: &str = "thumbnails";

fn main() {
    let seconds = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(60);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run("in memory", seconds, None));
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(run("state in a file", seconds, Some(folder.path().join("state"))));
}

async fn run(title: &str, seconds: u64, state: Option<std::path::PathBuf>) {
    let subscription = Subscription { account: ACCOUNT.to_owned(), product_code: PRODUCT.to_owned() };
    let options = Options {
        products: [(PRODUCT.to_owned(), Product::new(Pricing::Custom, DIMENSIONS))].into(),
        quota: None,
        subscribed: vec![subscription],
        state,
        ..Options::default()
    };
    let emulator = Emulator::bind("127.0.0.1:0", options).unwrap();
    let addr = emulator.addr();
    let serving = tokio::spawn(emulator.serve(std::future::pending()));
    let mut connection = Connection::open(addr).await;
    let mut signers = Vec::new();
    for _ in 0..TASKS {
        signers.push(Signer::new(&connection.send("POST", "/_tollgate/tasks", "", r#"{"platform":"ecs"}"#).await.1));
    }
    println!("\n{title}: {CALLS_A_SECOND} calls a second for {seconds} s from {TASKS} tasks");
    println!("  at the start {} MiB", resident_mib());
    let now_s = connection.send("GET", "/_tollgate/clock", "", "").await.1["now_ms"].as_u64().unwrap() / 1_000;
    let signers = Arc::new(signers);
    let start = Instant::now();
    let clients =
        (0..CONNECTIONS).map(|first| tokio::spawn(client(addr, Arc::clone(&signers), first, seconds, now_s, start)));
    let clients: Vec<_> = clients.collect();
    for tenth in 1..=6 {
        tokio::time::sleep_until(start + Duration::from_millis(seconds * 1_000 * tenth / 6)).await;
        println!("  after {:>3} s {} MiB", seconds * tenth / 6, resident_mib());
    }
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.unwrap());
    }
    let took = start.elapsed();
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 1_000).min(times.len() - 1)];
    let calls = u64::try_from(times.len()).unwrap();
    println!(
        "  {calls} accepted in {:.1} s: {} a second",
        took.as_secs_f64(),
        calls * 1_000 / u64::try_from(took.as_millis()).unwrap()
    );
    println!(
        "  from the moment a call was due to its answer: half within {:?}, 99 % within {:?}, all within {:?}",
        at(500),
        at(990),
        at(1_000)
    );
    // The first one was idle for too long.
    let mut connection = Connection::open(addr).await;
    let page = connection.send("GET", "/_tollgate/calls?after=0", "", "").await.1;
    println!("  the log dropped {} of {} calls", page["dropped"], page["newest"]);
    let truth = connection.send("GET", "/_tollgate/bill", "", "").await.1;
    let billed: u64 = truth["usage"].as_array().unwrap().iter().map(|line| line["quantity"].as_u64().unwrap()).sum();
    println!("  billed {billed} units of {calls} sent");
    serving.abort();
}

/// Sends every 16th call when it is due; answers how late each answer was.
async fn client(
    addr: SocketAddr,
    signers: Arc<Vec<Signer>>,
    first: u64,
    seconds: u64,
    now_s: u64,
    start: Instant,
) -> Vec<Duration> {
    let mut connection = Connection::open(addr).await;
    let mut times = Vec::new();
    for number in (first..CALLS_A_SECOND * seconds).step_by(usize::try_from(CONNECTIONS).unwrap()) {
        let due = start + Duration::from_micros(number * 1_000_000 / CALLS_A_SECOND);
        tokio::time::sleep_until(due).await;
        let round = number / TASKS;
        let dimension = DIMENSIONS[usize::try_from(round / HOURS % 2).unwrap()];
        let timestamp = now_s - 3_600 * (round % HOURS);
        let token = format!("{number:036}");
        let body = json!({ "ProductCode": PRODUCT, "UsageDimension": dimension, "UsageQuantity": 1, "Timestamp": timestamp, "ClientToken": token });
        let (body, signer) = (body.to_string(), &signers[usize::try_from(number % TASKS).unwrap()]);
        let (status, answer) = connection.send("POST", "/", &signer.headers(&body), &body).await;
        assert_eq!(status, 200, "{answer}");
        times.push(due.elapsed());
    }
    times
}

/// An HTTP connection that is used again and again.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    async fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        self.stream.write_all(request.as_bytes()).await.unwrap();
        loop {
            if let Some((status, body, end)) = whole(&self.buffer) {
                let body = serde_json::from_slice(&self.buffer[body..end]).unwrap();
                self.buffer.drain(..end);
                return (status, body);
            }
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the emulator hung up");
        }
    }
}

/// Status, start and end of the body, once all of an answer is there.
fn whole(buffer: &[u8]) -> Option<(u16, usize, usize)> {
    let body = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..body]).unwrap();
    let length: usize = head.split_once("content-length: ")?.1.split('\r').next()?.parse().ok()?;
    (buffer.len() >= body + length).then(|| (head[9..12].parse().unwrap(), body, body + length))
}

/// One task's credentials, ready to sign today.
struct Signer {
    key: hmac::Key,
    access_key_id: String,
    session_token: String,
    time: String,
}

impl Signer {
    fn new(task: &Value) -> Self {
        let text = |name: &str| task[name].as_str().unwrap().to_owned();
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let parts = [&time[..8], "us-east-1", "aws-marketplace", "aws4_request"];
        let secret = format!("AWS4{}", text("secret_access_key"));
        let key = parts.iter().fold(secret.into_bytes(), |key, part| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec()
        });
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Self { key, access_key_id: text("access_key_id"), session_token: text("session_token"), time }
    }

    fn headers(&self, body: &str) -> String {
        let Self { time, session_token, access_key_id, .. } = self;
        let names = "host;x-amz-date;x-amz-security-token;x-amz-target";
        let target = "AWSMPMeteringService.MeterUsage";
        let canonical = format!(
            "POST\n/\n\nhost:localhost\nx-amz-date:{time}\nx-amz-security-token:{session_token}\nx-amz-target:{target}\n\n{names}\n{}",
            hash(body)
        );
        let scope = format!("{}/us-east-1/aws-marketplace/aws4_request", &time[..8]);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(&canonical));
        let signature = hex(hmac::sign(&self.key, to_sign.as_bytes()).as_ref());
        format!(
            "content-type: application/x-amz-json-1.1\r\nx-amz-date: {time}\r\nx-amz-security-token: {session_token}\r\n\
             x-amz-target: {target}\r\nauthorization: AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, \
             SignedHeaders={names}, Signature={signature}\r\n"
        )
    }
}

fn hash(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the process has in memory, the clients' side included.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}
