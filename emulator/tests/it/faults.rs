use insta::assert_snapshot;
use serde_json::json;

use aws_sdk_marketplacemetering::primitives::{DateTime, DateTimeFormat};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::{NOON, World, images, send};

#[tokio::test]
async fn a_record_kept_before_the_connection_dropped_has_the_same_id_when_it_is_sent_again() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    world.fault(json!({ "fault": "drop-after", "count": 1 })).await;
    assert_eq!(send(images(&client, 5, 0)).await, "no answer");
    let kept = world.truth().await["records"][0]["record_id"].as_str().unwrap().to_owned();
    assert_eq!(send(images(&client, 5, 0)).await, kept);
    assert_eq!(world.truth().await["billed"], json!({ "images": 5 }));
    assert_snapshot!(world.calls().await, @"
    1 MeterUsage 0 - accepted recorded fault=drop-after
    2 MeterUsage 200 - accepted identical-record-was-there fault=-
    ");
}

#[tokio::test]
async fn each_fault_spoils_what_it_says_and_no_more() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    let mut answers = String::new();
    for (hour, fault) in ["throttle", "error-500", "drop-before", "no-record-id", "delay"].into_iter().enumerate() {
        world.fault(json!({ "fault": fault, "count": 1, "delay_ms": 20 })).await;
        let call = || images(&client, 5, -3_600 * i64::try_from(hour).unwrap());
        let first = send(call()).await;
        let kept = world.truth().await["records"].as_array().unwrap().len();
        let first = if first.len() == 36 { "an id" } else { &first };
        answers.push_str(&format!("{fault}: {first}, {kept} kept; "));
        let second = send(call()).await;
        let kept = world.truth().await["records"].as_array().unwrap().len();
        answers.push_str(&format!("again: {}, {kept} kept\n", if second.len() == 36 { "an id" } else { &second }));
    }
    assert_snapshot!(answers, @"
    throttle: ThrottlingException, 0 kept; again: an id, 1 kept
    error-500: InternalServiceErrorException, 1 kept; again: an id, 2 kept
    drop-before: no answer, 2 kept; again: an id, 3 kept
    no-record-id: no id, 4 kept; again: an id, 4 kept
    delay: an id, 5 kept; again: an id, 5 kept
    ");
    assert_snapshot!(world.calls().await, @"
    1 MeterUsage 400 ThrottlingException not-processed fault fault=throttle
    2 MeterUsage 200 - accepted recorded fault=-
    3 MeterUsage 500 InternalServiceErrorException not-processed fault fault=error-500
    4 MeterUsage 200 - accepted recorded fault=-
    5 MeterUsage 0 - not-processed fault fault=drop-before
    6 MeterUsage 200 - accepted recorded fault=-
    7 MeterUsage 200 - accepted recorded fault=no-record-id
    8 MeterUsage 200 - accepted identical-record-was-there fault=-
    9 MeterUsage 200 - accepted recorded fault=delay
    10 MeterUsage 200 - accepted identical-record-was-there fault=-
    ");
}

#[tokio::test]
async fn a_fault_waits_for_its_operation_and_dimension() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    world.fault(json!({ "fault": "throttle", "operation": "RegisterUsage" })).await;
    world.fault(json!({ "fault": "throttle", "operation": "MeterUsage", "dimension": "start", "count": 5 })).await;
    assert_eq!(send(images(&client, 5, 0)).await.len(), 36);
    assert_eq!(send(images(&client, 5, 0).usage_dimension("start")).await, "ThrottlingException");
    world.ask("DELETE", "/_tollgate/faults", "").await;
    assert_eq!(send(images(&client, 5, 0).usage_dimension("start")).await.len(), 36);
}

#[tokio::test]
async fn a_fault_that_is_not_known_is_refused() {
    let world = World::new().await;
    let answer = world.post("/_tollgate/faults", &json!({ "fault": "gremlins" })).await;
    assert_eq!(answer["status"], 400);
    assert_eq!(world.post("/_tollgate/faults", &json!({ "fault": "throttle", "count": 0 })).await["status"], 400);
    assert_eq!(world.post("/_tollgate/faults", &json!({ "fault": "throttle", "probability": 2 })).await["status"], 400);
}

/// Status, `Date` and body of one answer to `request`, or how the connection ended.
async fn exchange(world: &World, request: &str) -> String {
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return end.map_or_else(|error| format!("{:?}", error.kind()), |_| "closed".to_owned());
    };
    let value =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or("-").to_owned();
    let status = head.split(' ').nth(1).unwrap();
    format!("{status} {} {} of {} bytes", value("content-type"), body.len(), value("content-length"))
}

#[tokio::test]
async fn a_connection_is_broken_off_as_the_fault_says() {
    let world = World::new().await;
    let task = world.task().await;
    let body = json!({ "ProductCode": "thumbnails", "Timestamp": NOON, "UsageDimension": "images" }).to_string();
    let mut answers = String::new();
    for fault in ["drop-before", "reset-before", "error-503", "truncate", "drop-after", "reset-after"] {
        world.fault(json!({ "fault": fault })).await;
        let request = world.signed(&task, "AWSMPMeteringService.MeterUsage", "us-east-1", &body).await;
        let answer = exchange(&world, &request).await;
        let seen = world.truth().await["records"][0]["seen"].as_u64().unwrap_or_default();
        answers.push_str(&format!("{fault}: {answer}, kept {seen} times\n"));
    }
    assert_snapshot!(answers, @"
    drop-before: closed, kept 0 times
    reset-before: ConnectionReset, kept 0 times
    error-503: 503 text/html 58 of 58 bytes, kept 0 times
    truncate: 200 application/x-amz-json-1.1 29 of 59 bytes, kept 1 times
    drop-after: closed, kept 2 times
    reset-after: ConnectionReset, kept 3 times
    ");
}

#[tokio::test]
async fn an_sdk_sees_a_broken_answer_as_none_and_a_503_without_a_code() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    let mut answers = String::new();
    for fault in ["truncate", "reset-after", "error-503", "expired-credentials", "wrong-date"] {
        world.fault(json!({ "fault": fault })).await;
        let answer = send(images(&client, 5, 0)).await;
        answers.push_str(&format!("{fault}: {}\n", if answer.len() == 36 { "an id" } else { &answer }));
    }
    assert_snapshot!(answers, @"
    truncate: unreadable
    reset-after: no answer
    error-503: unreadable
    expired-credentials: ExpiredTokenException
    wrong-date: an id
    ");
    assert_eq!(world.truth().await["billed"], json!({ "images": 5 }));
}

#[tokio::test]
async fn the_date_is_wrong_by_as_much_as_the_fault_says() {
    let world = World::new().await;
    let date_ms = async |request: &str| {
        let mut stream = TcpStream::connect(world.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let date = answer.lines().find_map(|line| line.strip_prefix("date: ")).unwrap().to_owned();
        DateTime::from_str(&date, DateTimeFormat::HttpDate).unwrap().secs()
    };
    let task = world.task().await;
    let request = world.signed(&task, "AWSMPMeteringService.MeterUsage", "us-east-1", "{}").await;
    let right = date_ms(&request).await;
    world.fault(json!({ "fault": "wrong-date", "skew_s": -7_200 })).await;
    let wrong = date_ms(&request).await;
    assert!((7_100..=7_200).contains(&(right - wrong)), "{right} {wrong}");
}

#[tokio::test]
async fn faults_are_listed_with_their_hits_and_can_be_taken_away_one_by_one() {
    let world = World::new().await;
    let task = world.task().await;
    let arn = task.json["task_arn"].clone();
    let first = world.post("/_tollgate/faults", &json!({ "fault": "throttle", "resource": arn, "for_s": 60 })).await;
    world.post("/_tollgate/faults", &json!({ "fault": "delay", "probability": 0.5, "seed": 3 })).await;
    let (one, other) = (world.client(&task), world.client(&world.task().await));
    assert_eq!(send(images(&one, 1, 0)).await, "ThrottlingException");
    assert_eq!(send(images(&other, 1, 0)).await.len(), 36, "another resource");
    let listed = world.get("/_tollgate/faults").await["faults"].take();
    assert_eq!(
        (&listed[0]["hits"], &listed[0]["fault"], &listed[1]["left"]),
        (&json!(1), &json!("throttle"), &json!(null))
    );
    let path = format!("/_tollgate/faults/{}", first["id"]);
    assert_eq!(world.ask("DELETE", &path, "").await, json!({}));
    assert_eq!(world.ask("DELETE", &path, "").await["status"], 404);
    assert_eq!(send(images(&one, 1, 0)).await.len(), 36);
}
