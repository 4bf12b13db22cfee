//! Whatever bytes arrive: an answer in the service's form or a closed connection, and the next call works.

use insta::assert_snapshot;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{Task, World, http_request, images, send};

async fn still_works(world: &World, task: &Task) {
    assert_eq!(send(images(&world.client(task), 1, 0)).await.len(), 36);
}

#[tokio::test]
async fn a_signed_body_that_is_no_request_is_named() {
    let world = World::new().await;
    let task = world.task().await;
    let deep = "[".repeat(5_000);
    let bodies = ["", "{", "null", "[]", "\"text\"", "\u{0}", "{\"ProductCode\":1}", "{\"ProductCode\":{}}", &deep];
    let mut answers = String::new();
    for body in bodies {
        let answer = world.call(&task, "MeterUsage", "us-east-1", body).await;
        let shown: String = body.chars().take(20).collect();
        answers.push_str(&format!("{shown:?}: {} {}\n", answer.status, answer.code));
    }
    for target in ["AWSMPMeteringService.DeleteUsage", "MeterUsage", "DynamoDB_20120810.GetItem", ""] {
        let answer = world.call_as(&task, target, "us-east-1", "{}").await;
        answers.push_str(&format!("target {target:?}: {} {}\n", answer.status, answer.code));
    }
    assert_snapshot!(answers, @r#"
    "": 400 ValidationException
    "{": 400 SerializationException
    "null": 400 SerializationException
    "[]": 400 SerializationException
    "\"text\"": 400 SerializationException
    "\0": 400 SerializationException
    "{\"ProductCode\":1}": 400 SerializationException
    "{\"ProductCode\":{}}": 400 SerializationException
    "[[[[[[[[[[[[[[[[[[[[": 400 SerializationException
    target "AWSMPMeteringService.DeleteUsage": 400 UnknownOperationException
    target "MeterUsage": 400 UnknownOperationException
    target "DynamoDB_20120810.GetItem": 400 UnknownOperationException
    target "": 400 UnknownOperationException
    "#);
    still_works(&world, &task).await;
}

#[tokio::test]
async fn two_megabytes_are_too_much_and_the_answer_says_so() {
    let world = World::new().await;
    let task = world.task().await;
    let body = json!({ "ProductCode": "p".repeat(2 << 20) }).to_string();
    let answer = world.call(&task, "MeterUsage", "us-east-1", &body).await;
    assert_eq!((answer.status, &*answer.code), (413, "RequestEntityTooLargeException"));
    let almost = json!({ "ProductCode": "p".repeat((1 << 20) - 100) }).to_string();
    let answer = world.call(&task, "MeterUsage", "us-east-1", &almost).await;
    assert_eq!((answer.status, &*answer.code), (400, "ValidationException"));
    still_works(&world, &task).await;
}

#[tokio::test]
async fn other_paths_and_methods_are_unknown_operations() {
    let world = World::new().await;
    let mut answers = String::new();
    for (method, path) in [("PUT", "/"), ("DELETE", "/x"), ("POST", "/../etc/passwd"), ("POST", "//")] {
        let (status, body) = world.raw(&http_request(method, path, &[], "")).await;
        answers.push_str(&format!("{method} {path}: {status} {body}\n"));
    }
    assert_snapshot!(answers, @r#"
    PUT /: 404 {"__type":"com.amazon.coral.service#UnknownOperationException","message":"The requested operation is not known."}
    DELETE /x: 404 {"__type":"com.amazon.coral.service#UnknownOperationException","message":"The requested operation is not known."}
    POST /../etc/passwd: 404 {"__type":"com.amazon.coral.service#UnknownOperationException","message":"The requested operation is not known."}
    POST //: 404 {"__type":"com.amazon.coral.service#UnknownOperationException","message":"The requested operation is not known."}
    "#);
}

#[tokio::test]
async fn bytes_that_are_no_http_are_answered_or_dropped() {
    let world = World::new().await;
    let task = world.task().await;
    let long = format!("POST / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(200 << 10));
    let many: String = (0..500).map(|n| format!("x-{n}: 1\r\n")).collect();
    let many = format!("POST / HTTP/1.1\r\nhost: a\r\n{many}\r\n");
    let mut answers = String::new();
    for (name, bytes) in [
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice()),
        ("nothing", b""),
        ("two lengths", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        ("a bad chunk", b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        ("a long head", long.as_bytes()),
        ("many headers", many.as_bytes()),
    ] {
        let mut stream = TcpStream::connect(world.addr).await.unwrap();
        // The server may close before it has read all of it.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        answers.push_str(&format!("{name}: {}\n", answer.split("\r\n").next().unwrap()));
    }
    assert_snapshot!(answers, @"
    a TLS hello: HTTP/1.1 400 Bad Request
    nothing: 
    two lengths: HTTP/1.1 400 Bad Request
    a bad chunk: HTTP/1.1 400 Bad Request
    a long head: HTTP/1.1 431 Request Header Fields Too Large
    many headers: HTTP/1.1 431 Request Header Fields Too Large
    ");
    still_works(&world, &task).await;
}

#[tokio::test]
async fn a_client_that_sends_half_a_request_keeps_nobody_from_calling() {
    let world = World::new().await;
    let task = world.task().await;
    let mut slow = Vec::new();
    for half in ["POST / HT", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{"] {
        for _ in 0..100 {
            let mut stream = TcpStream::connect(world.addr).await.unwrap();
            stream.write_all(half.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    still_works(&world, &task).await;
}

/// Waits as long as the emulator does, half a minute.
#[tokio::test]
async fn a_request_that_does_not_end_is_answered_or_cut_off() {
    let world = World::new().await;
    let body = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{";
    let (nothing, head, body) = tokio::join!(world.whole(""), world.whole("POST / HTTP/1.1\r\nx: "), world.whole(body));
    assert_eq!((&*nothing, &*head), ("", ""), "closed");
    let (head, body) = body.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408 ") && head.contains("connection: close"), "{head}");
    assert_snapshot!(body, @r#"{"__type":"com.amazon.coral.service#RequestTimeoutException","message":"The body of the request did not arrive in time."}"#);
}

/// Seeded noise over signed and unsigned requests: no panic, no lost connection, no answer outside the protocol.
#[tokio::test]
async fn noise_on_the_request_path_never_breaks_the_service() {
    let world = World::new().await;
    let task = world.task().await;
    let body = json!({
        "ProductCode": "thumbnails", "Timestamp": 1_795_185_000, "UsageDimension": "images", "UsageQuantityAsDecimal": "5.5",
        "UsageAllocations": [{ "AllocatedUsageQuantityAsDecimal": "5.5", "Tags": [{ "Key": "a", "Value": "b" }] }],
    });
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(below).unwrap()).unwrap()
    };
    for operation in ["MeterUsage", "RegisterUsage", "BatchMeterUsage", "ResolveCustomer"] {
        for _ in 0..100 {
            let mut bytes = body.to_string().into_bytes();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = b"{}[]\":,0-9.eEtnf\\ "[next(18)],
                    1 => drop(bytes.drain(at..)),
                    _ => bytes.insert(at, b"{}[]\":,0-9"[next(10)]),
                }
                bytes.push(b'}');
            }
            let noise = String::from_utf8(bytes).unwrap();
            let answer = world.call(&task, operation, "us-east-1", &noise).await;
            assert!(answer.status == 200 || (answer.status == 400 && answer.code != "-"), "{noise}: {answer:?}");
        }
    }
    still_works(&world, &task).await;
}
