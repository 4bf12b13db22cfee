//! The real client against a scripted server on loopback: what is known after each way a call can end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::place::Role;

mod proxy;

const CREDENTIALS: &str =
    r#"{"AccessKeyId":"ASIATEST","SecretAccessKey":"s","Token":"session","Expiration":"2999-01-01T00:00:00Z"}"#;

/// What the server does with a `POST /`.
#[derive(Clone, Copy)]
enum Act {
    Answer(&'static str, &'static str),
    /// Reads the request, then closes the connection.
    Drop,
}

/// Serves credentials to GET and `act` to POST, and notes the head of each POST.
async fn server(credentials: &'static str, act: Act) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let posts: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&posts);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, credentials, act, Arc::clone(&seen)));
        }
    });
    (address, posts)
}

async fn serve(mut stream: TcpStream, credentials: &'static str, act: Act, posts: Arc<Mutex<Vec<String>>>) {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(length @ 1..) = stream.read(&mut buffer).await else { return };
        request.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let wanted =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= wanted.unwrap_or(0) {
            break;
        }
    }
    let (status, body) = match act {
        _ if request.starts_with("GET /v2/credentials") => ("200 OK", credentials),
        Act::Answer(status, body) => (status, body),
        Act::Drop => ("", ""),
    };
    if request.starts_with("POST / ") {
        posts.lock().unwrap().push(request);
    }
    if !status.is_empty() {
        let reply = format!(
            "HTTP/1.1 {status}\r\ndate: Fri, 20 Nov 2026 14:00:00 GMT\r\nx-tollgate-clock: 2\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        // A client that has gone away has its answer already.
        let _ = stream.write_all(reply.as_bytes()).await;
    }
}

fn place() -> Place {
    Place {
        region: crate::place::Region::parse("us-east-1").unwrap(),
        identity: "arn:aws:ecs:us-east-1:1:task/t".into(),
        older: false,
        role: Role::Task { credentials_path: "/v2/credentials/1".into() },
    }
}

fn aws(metering: &str, container: SocketAddr) -> Aws {
    Aws::new(&place(), &Origins::lab(metering, container), &Clock::system(), None).unwrap()
}

fn record(dry_run: bool) -> MeterUsage {
    MeterUsage {
        product_code: "abc".into(),
        dimension: "images".into(),
        timestamp: 1_795_183_200,
        quantity: 7,
        allocations: vec![super::super::Allocation { quantity: 7, tags: vec![("team".into(), "a".into())] }],
        client_token: Some("token-1".into()),
        dry_run,
    }
}

async fn meter(act: Act, dry_run: bool) -> (Answer, Vec<String>) {
    let (address, posts) = server(CREDENTIALS, act).await;
    let answer = aws(&format!("http://{address}"), address).meter_usage(record(dry_run)).await;
    let posts = posts.lock().unwrap().clone();
    (answer, posts)
}

#[tokio::test]
async fn a_record_id_is_an_acceptance_and_the_request_is_what_was_asked_for() {
    let (answer, posts) = meter(Act::Answer("200 OK", r#"{"MeteringRecordId":"r-1"}"#), false).await;
    assert_eq!(answer.reply, Reply::Accepted { record_id: "r-1".into() });
    assert_eq!(answer.date, Some(1_795_183_200));
    let [post] = posts.as_slice() else { panic!("{posts:?}") };
    let lower = post.to_ascii_lowercase();
    assert!(lower.contains("x-amz-target: awsmpmeteringservice.meterusage"), "{post}");
    assert!(lower.contains("/us-east-1/aws-marketplace/aws4_request"), "{post}");
    assert!(lower.contains("x-amz-security-token: session"), "{post}");
    let body = post.split_once("\r\n\r\n").unwrap().1;
    insta::assert_snapshot!(body, @r#"{"ProductCode":"abc","Timestamp":1795183200,"UsageDimension":"images","UsageQuantity":7,"UsageAllocations":[{"AllocatedUsageQuantity":7,"Tags":[{"Key":"team","Value":"a"}]}],"ClientToken":"token-1"}"#);
}

#[tokio::test]
async fn the_time_of_a_clock_that_was_moved_counts_once_the_move_was_followed() {
    let (clock, steer) = Clock::steered();
    let mut dates = Vec::new();
    for version in 1..=3 {
        steer.run(0, 1, version);
        let (address, _) = server(CREDENTIALS, Act::Answer("200 OK", r#"{"MeteringRecordId":"r-1"}"#)).await;
        let origins = Origins::lab(format!("http://{address}"), address);
        let aws = Aws::new(&place(), &origins, &clock, None).unwrap();
        dates.push(aws.meter_usage(record(false)).await.date);
    }
    assert_eq!(dates, [None, Some(1_795_183_200), Some(1_795_183_200)]);
}

#[tokio::test]
async fn one_call_is_one_request_whatever_comes_back() {
    let code = |code: &'static str| Reply::NotProcessed { code: code.into() };
    let unknown = |reply: &Reply| matches!(reply, Reply::Unknown { .. });
    let (answer, posts) = meter(Act::Answer("400 Bad Request", r#"{"__type":"ThrottlingException"}"#), false).await;
    assert_eq!((answer.reply, posts.len()), (code("ThrottlingException"), 1));
    assert_eq!(answer.date, Some(1_795_183_200), "errors tell the time too");
    let (answer, posts) = meter(Act::Answer("403 Forbidden", r#"{"__type":"AccessDeniedException"}"#), false).await;
    assert_eq!((answer.reply, posts.len()), (code("AccessDeniedException"), 1));
    for act in [
        Act::Drop,
        Act::Answer("500 Internal Server Error", r#"{"__type":"InternalServiceErrorException"}"#),
        Act::Answer("503 Service Unavailable", "<html>"),
        Act::Answer("200 OK", "{}"),
        Act::Answer("200 OK", r#"{"MeteringRecordId":""}"#),
        Act::Answer("200 OK", "not json"),
        Act::Answer("407 Proxy Authentication Required", ""),
        Act::Answer("302 Found", ""),
    ] {
        let (answer, posts) = meter(act, false).await;
        assert!(unknown(&answer.reply), "{answer:?}");
        assert_eq!(posts.len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn a_dry_run_is_permitted_in_both_shapes() {
    let (answer, posts) = meter(Act::Answer("412 Precondition Failed", r#"{"__type":"DryRunOperation"}"#), true).await;
    assert_eq!(answer.reply, Reply::DryRunOk);
    assert!(posts[0].contains(r#""DryRun":true"#), "{posts:?}");
    assert_eq!(meter(Act::Answer("200 OK", "{}"), true).await.0.reply, Reply::DryRunOk);
    let refused = meter(Act::Answer("400 Bad Request", r#"{"__type":"UnauthorizedException"}"#), true).await.0;
    assert_eq!(refused.reply, Reply::NotProcessed { code: "UnauthorizedException".into() });
}

#[tokio::test]
async fn what_never_left_is_not_processed() {
    let (address, posts) = server(CREDENTIALS, Act::Drop).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = aws(&format!("http://{nobody}"), address).meter_usage(record(false)).await;
    assert!(matches!(&refused.reply, Reply::NotProcessed { code } if code.starts_with("no connection")), "{refused:?}");
    // A server without a certificate of AWS: the handshake fails before the request is written.
    let impostor = aws(&format!("https://{address}"), address).meter_usage(record(false)).await;
    assert!(
        matches!(&impostor.reply, Reply::NotProcessed { code } if code.starts_with("no connection")),
        "{impostor:?}"
    );
    let (broken, _) = server("{}", Act::Drop).await;
    let unsigned = aws(&format!("http://{address}"), broken).meter_usage(record(false)).await;
    assert!(
        matches!(&unsigned.reply, Reply::NotProcessed { code } if code.starts_with("no credentials")),
        "{unsigned:?}"
    );
    assert!(posts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_signature_comes_back_with_the_time_of_rotation() {
    let ask = || RegisterUsage { product_code: "abc".into(), public_key_version: 1, nonce: "n".into() };
    for (body, expected) in [
        (r#"{"Signature":"a.b.c"}"#, Ok(Registered { signature: "a.b.c".into(), rotation: None })),
        (
            r#"{"Signature":"a.b.c","PublicKeyRotationTimestamp":1.79e9}"#,
            Ok(Registered { signature: "a.b.c".into(), rotation: Some(1_790_000_000) }),
        ),
        ("{}", Err(AskError::Retry { code: "a reply without a signature".into() })),
    ] {
        let (address, _) = server(CREDENTIALS, Act::Answer("200 OK", body)).await;
        assert_eq!(aws(&format!("http://{address}"), address).register_usage(ask()).await, expected, "{body}");
    }
    let (address, _) =
        server(CREDENTIALS, Act::Answer("400 Bad Request", r#"{"__type":"x#CustomerNotEntitledException:http"}"#))
            .await;
    let refused = aws(&format!("http://{address}"), address).register_usage(ask()).await;
    assert_eq!(refused, Err(AskError::NotEntitled { code: "CustomerNotEntitledException".into() }));
}
