use insta::assert_snapshot;
use serde_json::json;

use crate::world::{World, images, send};

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
}
