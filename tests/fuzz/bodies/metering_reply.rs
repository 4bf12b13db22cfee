//! A reply of AWS to a usage record, by the real client over a real connection: any bytes are a class of reply. Never a
//! panic, and never an acceptance without a record id.
//!
//! The first byte chooses: the rest is all that comes over the connection, or the status (two bytes) and body of a whole
//! reply. True: it was taken for an acceptance.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tollgate_host::clock::Clock;
use tollgate_host::marketplace::aws::{Aws, Origins};
use tollgate_host::marketplace::{Marketplace as _, MeterUsage};
use tollgate_host::place::{Place, Region, Role};
use tollgate_metering::Reply;

const CREDENTIALS: &str =
    r#"{"AccessKeyId":"ASIATEST","SecretAccessKey":"s","Token":"session","Expiration":"2999-01-01T00:00:00Z"}"#;

/// A client, and a server that says what it is told to say.
struct Line {
    runtime: Runtime,
    aws: Aws,
    says: Arc<Mutex<Vec<u8>>>,
}

static LINE: LazyLock<Line> = LazyLock::new(Line::open);

pub(crate) fn run(bytes: &[u8]) -> bool {
    let Some((&whole, rest)) = bytes.split_first() else { return false };
    let reply = match rest {
        [high, low, body @ ..] if whole % 2 == 1 => {
            let status = 100 + u16::from_be_bytes([*high, *low]) % 500;
            let length = body.len();
            let head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            [head.as_bytes(), body].concat()
        }
        _ => rest.to_vec(),
    };
    let (accepted, dry_run) = (says_accepted(&reply), whole >= 128);
    LINE.says.lock().unwrap().clone_from(&reply);
    let answer = LINE.runtime.block_on(LINE.aws.meter_usage(record(dry_run)));
    let Reply::Accepted { record_id } = answer.reply else { return false };
    assert!(!record_id.is_empty() && !dry_run);
    assert!(accepted.is_none_or(|id| id == record_id), "{:?}", String::from_utf8_lossy(&reply));
    true
}

/// The record id of a plain reply; empty: there is none. `None`: its form is not plain, so it is not judged here.
fn says_accepted(reply: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(reply).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let plain =
        head.starts_with("http/1.1 ") && !head.contains("transfer-encoding") && head.matches("length").count() == 1;
    if !plain || head.starts_with("http/1.1 1") {
        return None;
    }
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    let id = json["MeteringRecordId"].as_str().filter(|_| head.starts_with("http/1.1 2"));
    Some(id.unwrap_or_default().to_owned())
}

fn record(dry_run: bool) -> MeterUsage {
    MeterUsage {
        product_code: "abc".into(),
        dimension: "images".into(),
        timestamp: 1_795_183_200,
        quantity: 7,
        allocations: Vec::new(),
        client_token: Some("token-1".into()),
        dry_run,
    }
}

impl Line {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let says: Arc<Mutex<Vec<u8>>> = Arc::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, says.clone()));
        Self { aws: client(address), runtime, says }
    }
}

fn client(address: SocketAddr) -> Aws {
    let place = Place {
        region: Region::parse("us-east-1").unwrap(),
        identity: "task".into(),
        older: false,
        role: Role::Task { credentials_path: "/v2/credentials/1".into() },
    };
    Aws::new(&place, &Origins::lab(format!("http://{address}"), address), &Clock::system(), None).unwrap()
}

async fn serve(listener: TcpListener, says: Arc<Mutex<Vec<u8>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let reply = says.lock().unwrap().clone();
        tokio::spawn(answer(stream, reply));
    }
}

async fn answer(mut stream: TcpStream, reply: Vec<u8>) {
    let mut request = String::new();
    let mut buffer = [0; 4_096];
    loop {
        let Ok(length @ 1..) = stream.read(&mut buffer).await else { return };
        request.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let wanted = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= wanted.unwrap_or(0) {
            break;
        }
    }
    let length = CREDENTIALS.len();
    let credentials = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{CREDENTIALS}");
    let reply = if request.starts_with("POST") { &reply } else { credentials.as_bytes() };
    // A client that has gone away has its answer already.
    let _ = stream.write_all(reply).await;
}
