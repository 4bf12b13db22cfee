use std::net::{SocketAddr, TcpListener as StdListener};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::component::Run;
use crate::meter::Desk;
use crate::stats::Snapshot;
use crate::testing::{Keeper, guest, load, meter, runtime, spec};

/// A server with the guest of `guest.wat` at `/`.
struct Running {
    address: SocketAddr,
    keeper: Keeper,
    runtime: Runtime,
    drain: watch::Sender<bool>,
    serving: JoinHandle<std::io::Result<()>>,
}

fn start(limits: Limits, permits: usize, at_start: impl FnOnce(&Desk)) -> Running {
    let runtime = runtime(limits);
    let (meter, desk) = meter();
    at_start(&desk);
    let component = load(&runtime, &guest("http", include_str!("tests/guest.wat")), Run::Http);
    let server = Server::new(&runtime, vec![component], meter).unwrap();
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (drain, drained) = watch::channel(false);
    let serving = tokio::spawn(async move { server.serve(listener, drained).await });
    Running { address, keeper: Keeper::start(desk, permits), runtime, drain, serving }
}

impl Running {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        read_all(&mut stream).await
    }

    /// Drains the server and says what was recorded.
    async fn finish(self) -> (String, Snapshot) {
        self.drain.send(true).unwrap();
        self.serving.await.unwrap().unwrap();
        (self.keeper.totals(), self.runtime.stats().snapshot())
    }
}

/// Status line, `retry-after`, and body with its chunk frames.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return format!("no response: {text:?}") };
    let status = head.lines().next().unwrap_or_default().trim_start_matches("HTTP/1.1 ");
    let retry = head.lines().find_map(|line| line.strip_prefix("retry-after: "));
    if head.contains("transfer-encoding: chunked") && !body.ends_with("0\r\n\r\n") {
        return format!("{status}, then cut off");
    }
    let body: Vec<&str> = body.split("\r\n").filter(|part| !part.is_empty()).collect();
    let retry = retry.map_or(String::new(), |seconds| format!(" (retry after {seconds} s)"));
    format!("{status}{retry}: {}", body.join("|")).trim_end().trim_end_matches(':').to_string()
}

const FREE: usize = Semaphore::MAX_PERMITS;

#[tokio::test]
async fn each_request_has_its_answer_and_its_usage() {
    let server = start(Limits::default(), FREE, |_| ());
    let mut lines = Vec::new();
    for path in ["/hello", "/2", "/trap", "/nothing", "/broken", "/error", "/excluded", "/hello?again"] {
        lines.push(format!("{path} {}", server.get(path).await));
    }
    let (totals, stats) = server.finish().await;
    lines.push(format!("{totals}; traps {}, instances {}", stats.traps, stats.instances_created));
    insta::assert_snapshot!(lines.join("\n"), @r"
    /hello 200 OK: hello
    /2 200 OK: 4|one,|3|two|0
    /trap 500 Internal Server Error: The request could not be answered.
    /nothing 500 Internal Server Error: The request could not be answered.
    /broken 500 Internal Server Error: The request could not be answered.
    /error 404 Not Found
    /excluded 404 Not Found
    /hello?again 200 OK: hello
    images 17, requests 7, ok 3, in 0, out 17; traps 3, instances 8
    ");
}

#[tokio::test]
async fn request_bodies_are_measured_and_limited() {
    let server = start(Limits { body_mib: 1, ..Limits::default() }, FREE, |_| ());
    let post = |path: &str, head: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}\r\n\r\n{body}")
    };
    let mut lines = Vec::new();
    let chunk = format!("80000\r\n{}\r\n", "x".repeat(0x80000));
    for request in [
        post("/read", "content-length: 5", "12345"),
        post("/read", "content-length: 1048577", ""),
        post("/read", "transfer-encoding: chunked", &format!("{chunk}0\r\n\r\n")),
        post("/read", "transfer-encoding: chunked", &format!("{chunk}{chunk}1\r\nx\r\n0\r\n\r\n")),
        "GET /hello HTTP/1.0\r\n\r\n".to_string(),
        "HEAD /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_string(),
    ] {
        lines.push(read_all(&mut server.send(&request).await).await);
    }
    lines.push(server.finish().await.0);
    insta::assert_snapshot!(lines.join("\n"), @r"
    200 OK: hello
    413 Payload Too Large: The request body is too large.
    200 OK: hello
    413 Payload Too Large: The request body is too large.
    HTTP/1.0 400 Bad Request: The request names no host.
    200 OK
    images 12, requests 4, ok 3, in 1572869, out 10
    ");
}

#[tokio::test]
async fn no_byte_leaves_before_its_usage_is_on_disk() {
    let server = start(Limits::default(), 0, |_| ());
    let mut stream = server.send("GET /2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut buffer = [0; 1024];
    // Nobody writes to the disk, so the server has nothing to say, however long it is given.
    let early = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(server.keeper.totals(), "images 0, requests 0, ok 0, in 0, out 0");

    server.keeper.permits.add_permits(1);
    let read = stream.read(&mut buffer).await.unwrap();
    let head = String::from_utf8_lossy(&buffer[..read]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200 OK") && !head.contains("one"), "{head}");
    assert!(server.keeper.totals().contains("requests 1, ok 1"), "{}", server.keeper.totals());

    server.keeper.permits.add_permits(1);
    let read = stream.read(&mut buffer).await.unwrap();
    assert!(String::from_utf8_lossy(&buffer[..read]).contains("one,"));
    let early = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buffer)).await;
    assert!(early.is_err(), "the second chunk waits for a commit of its own");

    server.keeper.permits.add_permits(FREE / 2);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("two"));
    assert_eq!(server.finish().await.0, "images 2, requests 1, ok 1, in 0, out 7");
}

#[tokio::test]
async fn a_guest_that_never_ends_is_stopped_and_does_not_hold_up_others() {
    let server = start(Limits { request_timeout: Duration::from_millis(400), ..Limits::default() }, FREE, |_| ());
    let (endless, hello) = tokio::join!(server.get("/loop"), server.get("/hello"));
    assert_eq!(
        (endless.as_str(), hello.as_str()),
        ("504 Gateway Timeout: The request took too long.", "200 OK: hello")
    );
    let (totals, stats) = server.finish().await;
    assert_eq!((totals.as_str(), stats.timeouts), ("images 3, requests 2, ok 1, in 0, out 5", 1));
}

#[tokio::test]
async fn one_request_too_many_is_told_to_come_again() {
    let limits = Limits { concurrency: 1, request_timeout: Duration::from_millis(400), ..Limits::default() };
    let server = start(limits, FREE, |_| ());
    let (first, second) = tokio::join!(server.get("/loop"), server.get("/loop"));
    let mut answers = [first, second];
    answers.sort();
    assert_eq!(
        answers,
        [
            "503 Service Unavailable (retry after 1 s): Too many requests at the same time.",
            "504 Gateway Timeout: The request took too long.",
        ]
    );
    assert_eq!(server.finish().await.1.refused_full, 1);
}

#[tokio::test]
async fn a_stopped_meter_refuses_new_work() {
    let server = start(Limits::default(), FREE, |desk| desk.stop(true));
    let answer = server.get("/hello").await;
    assert_eq!(answer, "503 Service Unavailable (retry after 60 s): Usage cannot be recorded at the moment.");
    let (totals, stats) = server.finish().await;
    assert_eq!((totals.as_str(), stats.refused_stopped), ("images 0, requests 0, ok 0, in 0, out 0", 1));
}

#[tokio::test]
async fn when_the_client_goes_away_the_guest_stops_and_its_usage_stays() {
    let server = start(Limits::default(), FREE, |_| ());
    let stream = server.send("GET /loop HTTP/1.1\r\nhost: x\r\n\r\n").await;
    while server.runtime.stats().snapshot().instances_created == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    // Draining waits for guests, and this one would run for a minute.
    let drained = tokio::time::timeout(Duration::from_secs(20), server.finish()).await;
    let (totals, stats) = drained.expect("the guest runs on without a client");
    assert_eq!((totals.as_str(), stats.clients_gone), ("images 0, requests 1, ok 0, in 0, out 0", 1));
}

#[tokio::test]
async fn speaks_http_2_without_tls() {
    let server = start(Limits::default(), FREE, |_| ());
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = hyper::Request::get(format!("http://{}/hello", server.address));
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.version(), response.status()), (hyper::Version::HTTP_2, hyper::StatusCode::OK));
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(&body[..], b"hello");
    drop(sender);
    connection.await.unwrap().unwrap();
    assert_eq!(server.finish().await.0, "images 3, requests 1, ok 1, in 0, out 5");
}

#[tokio::test]
async fn routes_that_cannot_be_served_are_refused() {
    let runtime = runtime(Limits::default());
    let bytes = guest("http", include_str!("tests/guest.wat"));
    let component = |id: &str, route: &str| Component::compile(&runtime, &bytes, Run::Http, spec(id, route)).unwrap();
    let refused = |components| Server::new(&runtime, components, meter().0).unwrap_err().to_string();
    let lines = [
        refused(vec![component("a", "/api"), component("b", "/"), component("c", "/api/")]),
        refused(vec![component("a", "api")]),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    components "c" and "a" both answer "/api/". Give one of them another `route`
    component "a": its route "api" does not begin with a slash
    "#);
}
