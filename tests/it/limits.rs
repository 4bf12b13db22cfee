//! Everything has a limit, and reaching it is an error that the client sees.

use bytes::Bytes;
use hyper::Method;
use tollgate_cli::host::Host;
use tollgate_cli::http::{Http, Reply};
use tollgate_cli::process::PATIENCE;

use crate::support::{Begun, Lab, METER_HTTP, body};

async fn serve(limits: &str) -> (Lab, Host) {
    let lab = Lab::http(&format!("{METER_HTTP}\n[limits]\n{limits}\n")).await;
    let host = lab.host().await.serve().await.unwrap();
    (lab, host)
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let (_lab, host) = serve("body_mib = 1").await;
    let send = async |bytes: usize| {
        Http::http1().send(Method::POST, &host.url("/echo"), &[], Bytes::from(vec![7; bytes])).await.unwrap()
    };
    let whole = send(1 << 20).await;
    assert_eq!((whole.status.as_u16(), whole.body.len()), (200, 1 << 20));
    assert_eq!(send((1 << 20) + 1).await.status, 413);
}

#[tokio::test]
async fn a_request_more_than_fits_is_503_and_says_when_to_come_back() {
    let (_lab, host) = serve("concurrency = 1").await;
    let held = Begun::new(&host, "/hold", 1).await;
    let full = Http::http1().get(&host.url("/healthz")).await.unwrap();
    assert_eq!(full.status, 503);
    assert!(full.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{:?}", full.headers);
    let answer = held.end().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("counted 4"), "{answer}");
    // The client has its answer a moment before the place is free.
    assert_eq!(until_served(&host).await.text(), "ok");
}

/// Asks until there is a place; any other answer than 200 and 503 is wrong.
async fn until_served(host: &Host) -> Reply {
    let asking = async {
        loop {
            let reply = Http::http1().get(&host.url("/healthz")).await.unwrap();
            assert!([200, 503].contains(&reply.status.as_u16()), "{}", reply.text());
            if reply.status == 200 {
                return reply;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap()
}

#[tokio::test]
async fn a_guest_that_never_ends_is_504() {
    let (_lab, host) = serve("request_timeout_s = 1").await;
    assert_eq!(Http::http1().get(&host.url("/loop")).await.unwrap().status, 504);
    assert_eq!(body(Http::http1().get(&host.url("/healthz")).await), "ok");
}

#[tokio::test]
async fn a_trap_is_500_to_that_request_and_what_it_counted_stays() {
    let (lab, mut host) = serve("").await;
    assert_eq!(Http::http1().get(&host.url("/trap-after-add?n=5")).await.unwrap().status, 500);
    assert_eq!(body(Http::http1().get(&host.url("/add?n=2")).await), "counted");
    lab.hour_passes(&mut host).await;
    assert_eq!(lab.billed("images").await, 7);
}

#[tokio::test]
async fn http2_without_tls_is_served() {
    let (_lab, host) = serve("").await;
    assert_eq!(body(Http::h2c().get(&host.url("/healthz")).await), "ok");
}

#[tokio::test]
async fn a_guest_gets_no_more_memory_than_the_limit() {
    let (_lab, host) = serve("memory_mib = 16").await;
    assert_eq!(body(Http::http1().get(&host.url("/big-alloc?mib=4")).await), "4 MiB");
    assert_eq!(Http::http1().get(&host.url("/big-alloc?mib=64")).await.unwrap().status, 500);
}
