//! What the host measures by itself, against what the client and the kernel measured.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_cli::host::Host;
use tollgate_cli::http::Http;

use crate::support::{Lab, METER_HTTP};
use crate::torture::Dice;

/// A product that is sold by everything that the host measures.
fn manifest() -> String {
    let requests = "[[dimension]]\nkey = \"requests\"\nfrom = \"host:requests\"\n";
    let measures = ["responses-ok", "request-bytes", "response-bytes", "compute-ms", "wall-ms"];
    let all: Vec<String> =
        measures.iter().map(|name| format!("\n[[dimension]]\nkey = \"{name}\"\nfrom = \"host:{name}\"\n")).collect();
    METER_HTTP
        .replace(requests, &format!("{requests}{}", all.concat()))
        .replace("route = \"/\"", "route = \"/\"\nexclude_paths = [\"/healthz\"]")
}

/// What has no row has no unit yet: a request may take less than a millisecond.
async fn recorded(host: &Host, dimension: &str) -> u64 {
    let tallies = host.tallies().await.unwrap();
    tallies.into_iter().find(|tally| tally.dimension == dimension).map_or(0, |tally| tally.recorded)
}

#[tokio::test]
async fn requests_responses_and_bytes_are_those_that_the_client_counted() {
    let lab = Lab::http(&manifest()).await;
    let mut host = lab.host().await.serve().await.unwrap();
    let mut dice = Dice::new(5);
    let (mut requests, mut ok, mut sent, mut received) = (0, 0, 0, 0);
    for round in 0..60 {
        let body = Bytes::from(vec![b'x'; dice.index(200_000)]);
        let (method, path) = match round % 6 {
            0 => (Method::POST, "/echo".to_owned()),
            1 => (Method::GET, "/add?n=1".to_owned()),
            2 => (Method::GET, format!("/status?code={}", dice.pick(&["204", "404", "500"]))),
            3 => (Method::GET, "/healthz".to_owned()),
            4 => (Method::POST, "/echo".to_owned()),
            _ => (Method::GET, "/stream?chunks=7&size=1000".to_owned()),
        };
        let body = if method == Method::POST { body } else { Bytes::new() };
        let http = if round % 2 == 0 { Http::http1() } else { Http::h2c() };
        let reply = http.send(method, &host.url(&path), &[], body.clone()).await.unwrap();
        let counted = path != "/healthz";
        requests += u64::from(counted);
        ok += u64::from(counted && reply.status.is_success());
        sent += body.len();
        received += reply.body.len();
    }
    lab.hour_passes(&mut host).await;
    let mut billed = Vec::new();
    for dimension in ["requests", "responses-ok", "request-bytes", "response-bytes"] {
        billed.push(lab.billed(dimension).await);
    }
    assert_eq!(billed, [requests, ok, sent as u64, received as u64]);
    assert!(sent > 100_000 && ok < requests, "the requests were worth counting");
}

#[tokio::test]
async fn times_lie_between_what_the_kernel_and_the_client_measured() {
    let lab = Lab::http(&manifest()).await;
    let host = lab.host().await.serve().await.unwrap();
    let http = Http::http1();
    // The first request pays for what is made once.
    http.get(&host.url("/healthz")).await.unwrap();
    let before = [recorded(&host, "compute-ms").await, recorded(&host, "wall-ms").await];
    let (kernel, held_since) = (processor_time(&host), now());
    let mut held = TcpStream::connect(host.listen).await.unwrap();
    let head = "POST /hold HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbo";
    held.write_all(head.as_bytes()).await.unwrap();
    host.in_flight(1).await.unwrap();
    let surely_held_since = now();
    let mut client = Duration::ZERO;
    for _ in 0..5 {
        let begun = now();
        let reply = http.get(&host.url("/compute?rounds=200000000")).await.unwrap();
        assert_eq!(reply.status, 200);
        client += begun.elapsed();
    }
    let surely_held = surely_held_since.elapsed();
    held.write_all(b"dy").await.unwrap();
    held.read_to_end(&mut Vec::new()).await.unwrap();
    client += held_since.elapsed();
    let kernel = processor_time(&host).saturating_sub(kernel);

    let compute = Duration::from_millis(recorded(&host, "compute-ms").await - before[0]);
    let wall = Duration::from_millis(recorded(&host, "wall-ms").await - before[1]);
    let said = format!("compute {compute:?} of {kernel:?}, wall {surely_held:?} < {wall:?} < {client:?}");
    // The kernel counts in steps of 10 ms, and everything that the process did; the guest did nearly all of it.
    assert!(compute <= kernel + Duration::from_millis(20), "{said}");
    assert!(compute >= kernel.mul_f64(0.8), "{said}");
    // The request that waited counts all of its time, those that computed at least what they computed.
    assert!(wall + Duration::from_millis(2) >= surely_held + compute.mul_f64(0.9), "{said}");
    assert!(wall <= client + Duration::from_millis(2), "{said}");
}

/// What the process of a host has used, by the kernel.
fn processor_time(host: &Host) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", host.process.id().unwrap())).unwrap();
    // After the name in parentheses: state is field 3, utime and stime are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // A hundred a second on every processor that we build for.
    Duration::from_millis(ticks * 10)
}

#[expect(clippy::disallowed_methods, reason = "the client's own clock, to compare with")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
