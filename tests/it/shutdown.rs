//! Asked to stop, the host lets running work end, sends what it has, and leaves; what AWS cannot take by then is said.

use rustix::process::Signal;
use tollgate_cli::http::Http;

use crate::support::{Begun, Lab, METER_HTTP, body};

async fn flushes_on(signal: Signal) {
    let lab = Lab::http(METER_HTTP).await;
    let host = lab.host().await.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/add?n=9")).await), "counted");
    host.process.signal(signal);
    let ended = host.process.end().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(lab.billed("images").await, 9, "the running hour is sent at the end");
}

#[tokio::test]
async fn sigterm_sends_the_running_hour_and_exits_0() {
    flushes_on(Signal::TERM).await;
}

#[tokio::test]
async fn sigint_does_the_same() {
    flushes_on(Signal::INT).await;
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_paid() {
    let lab = Lab::http(METER_HTTP).await;
    let mut host = lab.host().await.serve().await.unwrap();
    let held = Begun::new(&host, "/hold?n=4", 1).await;
    host.process.signal(Signal::TERM);
    let stopping = |_, line: &str| tollgate_cli::host::log_fields(line, "stopping");
    host.process.watch(0, stopping).await.unwrap().expect("the host says that it stops");
    let answer = held.end().await;
    assert!(answer.contains("counted 4"), "{answer}");
    let ended = host.process.end().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(lab.billed("images").await, 4);
}

#[tokio::test]
async fn usage_that_aws_cannot_take_is_kept_and_said_with_exit_74() {
    let lab = Lab::http(METER_HTTP).await;
    let command = lab.host().await.variable("TOLLGATE_GRACE", "3s");
    let host = command.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/add?n=9")).await), "counted");
    let Lab { service, folder, .. } = lab;
    service.stop().await;
    let ended = host.process.stop().await.unwrap();
    insta::assert_snapshot!(crate::support::operator_sees(&ended, folder.path()));
}
