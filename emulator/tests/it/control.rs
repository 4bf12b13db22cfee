use insta::assert_snapshot;
use serde_json::json;
use tollgate_emulator::{BindError, Emulator, Options, WireClock};

use crate::world::{NOON, World, http_request, images, send};

#[tokio::test]
async fn a_move_of_the_clock_wakes_who_waits_for_it() {
    let world = World::new().await;
    let start = world.get("/_tollgate/clock").await;
    assert_eq!(start["version"], 0);
    let (woken, moved) = tokio::join!(world.get("/_tollgate/clock?after=0"), world.advance(3_600));
    assert_eq!((&woken["version"], &woken["offset_ms"]), (&json!(1), &moved["offset_ms"]));
    assert_eq!(moved["offset_ms"].as_i64().unwrap() - start["offset_ms"].as_i64().unwrap(), 3_600_000);
    let set = world.post("/_tollgate/clock", &json!({ "set_s": NOON })).await;
    assert_eq!(set["now_ms"].as_u64().unwrap() / 60_000, NOON / 60);
    assert_eq!(world.get("/_tollgate/clock?after=2&wait_s=0").await["version"], 2);
    assert_eq!(world.post("/_tollgate/clock", &json!({ "hours": 1 })).await["status"], 400);
}

#[tokio::test]
async fn a_call_wakes_who_waits_for_it() {
    let world = World::new().await;
    let task = world.task().await;
    let client = world.client(&task);
    let (woken, id) = tokio::join!(world.get("/_tollgate/calls?after=0&wait_s=60"), send(images(&client, 5, 0)));
    assert_eq!(woken["last"], 1);
    let call = &woken["calls"][0];
    assert_eq!((&call["record_id"], &call["resource"]), (&json!(id), &task.json["task_arn"]));
    assert_eq!(call["request"]["UsageQuantity"], 5);
    assert_eq!(
        world.get("/_tollgate/calls?after=1").await,
        json!({ "calls": [], "dropped": 0, "last": 1, "newest": 1 })
    );
}

#[tokio::test]
async fn the_truth_is_what_would_be_billed() {
    let world = World::new().await;
    let task = world.task().await;
    send(images(&world.client(&task), 5, 0)).await;
    let mut truth = world.truth().await;
    let record = &mut truth["records"][0];
    assert_eq!(record["resource"].take(), task.json["task_arn"]);
    assert_eq!(record["record_id"].take().as_str().unwrap().len(), 36);
    assert_snapshot!(serde_json::to_string_pretty(&truth).unwrap(), @r#"
    {
      "billed": {
        "images": 5
      },
      "billed_by_hour": [
        {
          "dimension": "images",
          "hour": "2026-11-20T14:00:00Z",
          "product_code": "thumbnails",
          "quantity": 5,
          "tags": []
        }
      ],
      "records": [
        {
          "allocations": [],
          "customer": null,
          "dimension": "images",
          "hour": "2026-11-20T14:00:00Z",
          "product_code": "thumbnails",
          "quantity": 5,
          "record_id": null,
          "resource": null,
          "seen": 1,
          "timestamp": 1795185000
        }
      ],
      "registrations": []
    }
    "#);
}

#[tokio::test]
async fn an_ecs_task_finds_its_metadata_and_the_credentials_of_its_role() {
    let world = World::new().await;
    let task = world.task_with(json!({ "platform": "ecs", "region": "eu-west-1" })).await;
    let metadata = world.get(&format!("{}/task", task.text("metadata_path"))).await;
    assert_eq!(metadata["TaskARN"], task.json["task_arn"]);
    assert_eq!(metadata["AvailabilityZone"], "eu-west-1a");
    assert_eq!(metadata["LaunchType"], "FARGATE");
    let credentials = world.get(task.text("credentials_path")).await;
    assert_eq!(credentials["AccessKeyId"], task.json["access_key_id"]);
    assert_eq!(credentials["SecretAccessKey"], task.json["secret_access_key"]);
    assert_eq!(credentials["Token"], task.json["session_token"]);
    assert_eq!(credentials["RoleArn"], "arn:aws:iam::123456789012:role/tollgate");
    assert!(credentials["Expiration"].as_str().unwrap().ends_with('Z'));

    let pod = world.task_with(json!({ "platform": "eks-irsa" })).await;
    assert_eq!(pod.json["metadata_path"], json!(null));
    let (status, _) = world.raw(&http_request("GET", "/v2/credentials/nobody", &[], "")).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_product_can_be_put_on_sale_later() {
    let world = World::new().await;
    assert_eq!(world.get("/_tollgate/keys/late").await["status"], 404);
    let early = world.ask("PUT", "/_tollgate/subscriptions/late", r#"{"subscribed":true}"#).await;
    assert_eq!(early["status"], 404);
    let body = json!({ "pricing": "custom", "dimensions": ["images"] }).to_string();
    world.ask("PUT", "/_tollgate/products/late", &body).await;
    world.subscribe("late", true).await;
    let client = world.client(&world.task().await);
    assert_eq!(send(images(&client, 1, 0).product_code("late")).await.len(), 36);
    let pem = world.get("/_tollgate/keys/late").await["1"].as_str().unwrap().to_owned();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
}

#[tokio::test]
async fn a_taken_port_is_an_error_to_act_on() {
    let first = Emulator::bind("127.0.0.1:0", Options::default()).unwrap();
    let second = Emulator::bind(first.addr(), Options::default());
    assert!(matches!(second, Err(BindError::Listen(error)) if error.kind() == std::io::ErrorKind::AddrInUse));
}

#[tokio::test]
async fn a_frozen_clock_shows_one_time_and_a_fast_one_runs_away() {
    let world = World::new().await;
    let frozen = world.post("/_tollgate/clock", &json!({ "speed": 0 })).await;
    assert_eq!(world.get("/_tollgate/clock").await["now_ms"], frozen["now_ms"]);
    world.advance(60).await;
    let later = world.get("/_tollgate/clock").await["now_ms"].as_u64().unwrap();
    assert_eq!(later - frozen["now_ms"].as_u64().unwrap(), 60_000);
    let fast = world.post("/_tollgate/clock", &json!({ "speed": 100_000 })).await;
    // Each request takes some time, a millisecond of which is more than a minute here.
    let mut now = fast["now_ms"].as_u64().unwrap();
    let until = now + 3_600_000;
    while now < until {
        now = world.get("/_tollgate/clock").await["now_ms"].as_u64().unwrap();
    }
    assert_eq!(fast["speed"], 100_000);
    assert_eq!(world.post("/_tollgate/clock", &json!({ "speed": 100_001 })).await["status"], 400);
}

#[tokio::test]
async fn real_clients_are_not_refused_wherever_the_clock_stands() {
    let world = World::with(|options| options.wire_clock = WireClock::Real).await;
    let client = world.client(&world.task().await);
    assert_eq!(send(images(&client, 1, 0)).await.len(), 36);
    world.advance(-90 * 86_400).await;
    assert_eq!(send(images(&client, 1, -90 * 86_400)).await.len(), 36);
    // Another client's clock follows the emulator's: it is the one that is refused now.
    let task = world.task().await;
    let followed = world.call(&task, "MeterUsage", "us-east-1", "{}").await;
    assert_eq!(followed.code, "InvalidSignatureException");
    let shown = world.post("/_tollgate/clock", &json!({ "wire": "emulator" })).await;
    assert_eq!(shown["wire"], "emulator");
    assert_eq!(world.call(&task, "MeterUsage", "us-east-1", "{}").await.code, "ValidationException");
}
