use aws_sdk_marketplacemetering::{
    operation::meter_usage::builders::MeterUsageFluentBuilder,
    primitives::DateTime,
    types::{Tag, UsageAllocation},
};
use insta::assert_snapshot;
use serde_json::json;
use tollgate_emulator::{DryRunReply, PastWindow, Quota, TokenScope};

use crate::world::{NOON, World, images, send};

#[tokio::test]
async fn an_hour_is_recorded_once_for_each_task() {
    let world = World::new().await;
    let (one, other) = (world.client(&world.task().await), world.client(&world.task().await));
    let id = send(images(&one, 5, 0)).await;
    assert_eq!(id.len(), 36, "{id}");
    assert_eq!(send(images(&one, 5, 0)).await, id, "the identical record");
    assert_eq!(send(images(&one, 5, 1_700)).await, "TimestampOutOfBoundsException", "28 minutes ahead");
    assert_eq!(send(images(&one, 5, -1_800)).await, id, "another instant of the same hour");
    assert_eq!(send(images(&one, 6, 0)).await, "DuplicateRequestException");
    assert_ne!(send(images(&one, 5, -1_801)).await, id, "the hour before");
    assert_ne!(send(images(&other, 5, 0)).await, id, "another task");
    assert_ne!(send(images(&one, 5, 0).usage_dimension("start")).await, id, "another dimension");

    let truth = world.truth().await;
    assert_eq!(truth["billed"], json!({ "images": 15, "start": 5 }));
    let seen: u64 = truth["records"].as_array().unwrap().iter().map(|record| record["seen"].as_u64().unwrap()).sum();
    assert_eq!(seen, 6);
    assert_snapshot!(world.calls().await, @"
    1 MeterUsage 200 - accepted recorded fault=-
    2 MeterUsage 200 - accepted identical-record-was-there fault=-
    3 MeterUsage 400 TimestampOutOfBoundsException refused TimestampOutOfBoundsException fault=-
    4 MeterUsage 200 - accepted identical-record-was-there fault=-
    5 MeterUsage 400 DuplicateRequestException refused DuplicateRequestException fault=-
    6 MeterUsage 200 - accepted recorded fault=-
    7 MeterUsage 200 - accepted recorded fault=-
    8 MeterUsage 200 - accepted recorded fault=-
    ");
}

#[tokio::test]
async fn the_window_is_six_hours_on_the_movable_clock() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    assert_eq!(send(images(&client, 1, -6 * 3_600 - 1)).await, "TimestampOutOfBoundsException");
    assert_eq!(send(images(&client, 1, 301 + 5)).await, "TimestampOutOfBoundsException");
    assert_eq!(send(images(&client, 1, 290)).await.len(), 36);
    // The SDK still signs with the time it learned from the last answer; the rules go by the new one.
    world.advance(6 * 3_600).await;
    assert_eq!(send(images(&client, 1, -1)).await, "TimestampOutOfBoundsException");
    assert_eq!(send(images(&client, 1, 3_600)).await.len(), 36);
    world.advance(-6 * 3_600).await;
    assert_eq!(send(images(&client, 1, 3_600)).await, "TimestampOutOfBoundsException");
}

#[tokio::test]
async fn the_window_can_start_with_the_hour() {
    let world = World::with(|options| options.past_window = PastWindow::FromHourStart).await;
    let client = world.client(&world.task().await);
    assert_eq!(send(images(&client, 1, -6 * 3_600 - 1_800)).await.len(), 36);
    assert_eq!(send(images(&client, 1, -6 * 3_600 - 1_801)).await, "TimestampOutOfBoundsException");
}

#[tokio::test]
async fn the_subscription_is_looked_at_until_a_task_was_once_entitled() {
    let world = World::new().await;
    let (first, second) = (world.client(&world.task().await), world.client(&world.task().await));
    world.subscribe("thumbnails", false).await;
    assert_eq!(send(images(&first, 1, 0)).await, "CustomerNotEntitledException");
    assert_eq!(send(images(&first, 1, 0)).await, "CustomerNotEntitledException");
    world.subscribe("thumbnails", true).await;
    assert_eq!(send(images(&first, 1, 0)).await.len(), 36);
    world.subscribe("thumbnails", false).await;
    assert_eq!(send(images(&first, 1, -3_600)).await.len(), 36, "it runs on");
    assert_eq!(send(images(&second, 1, 0)).await, "CustomerNotEntitledException", "a new task does not start");
}

#[tokio::test]
async fn each_bad_member_has_its_code() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    let mut answers = String::new();
    let good = || images(&client, 5, 0);
    let cases: [(&str, MeterUsageFluentBuilder); 10] = [
        ("unknown product", good().product_code("other")),
        ("bad product code", good().product_code("a b")),
        ("display name", good().usage_dimension("Images, each")),
        ("empty dimension", good().usage_dimension("")),
        ("no dimension", good().set_usage_dimension(None)),
        ("no timestamp", good().set_timestamp(None)),
        ("negative", good().usage_quantity(-1)),
        ("long token", good().client_token("t".repeat(65))),
        ("does not add up", good().usage_allocations(part(4, &[("team", "a")]))),
        ("bad tag", good().usage_allocations(part(5, &[("team", "é")]))),
    ];
    for (name, call) in cases {
        answers.push_str(&format!("{name}: {}\n", send(call).await));
    }
    assert_snapshot!(answers, @"
    unknown product: InvalidProductCodeException
    bad product code: ValidationException
    display name: InvalidUsageDimensionException
    empty dimension: ValidationException
    no dimension: ValidationException
    no timestamp: ValidationException
    negative: ValidationException
    long token: ValidationException
    does not add up: InvalidUsageAllocationsException
    bad tag: InvalidTagException
    ");
    assert_eq!(send(good().set_usage_quantity(None)).await.len(), 36, "no quantity is zero");
    assert_eq!(send(images(&client, i32::MAX, -3_600)).await.len(), 36);
}

#[tokio::test]
async fn allocations_are_billed_apart_and_compared_without_order() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    let (a, b, rest) = (part(2, &[("team", "a"), ("env", "x")]), part(2, &[("team", "b")]), part(1, &[]));
    let split = |parts: [&UsageAllocation; 3]| {
        images(&client, 5, 0).set_usage_allocations(Some(parts.into_iter().cloned().collect()))
    };
    let id = send(split([&a, &b, &rest])).await;
    assert_eq!(send(split([&rest, &a, &b])).await, id);
    assert_eq!(send(images(&client, 5, 0)).await, "DuplicateRequestException", "the same sum, split otherwise");
    assert_snapshot!(serde_json::to_string_pretty(&world.truth().await["billed_by_hour"]).unwrap(), @r#"
    [
      {
        "dimension": "images",
        "hour": "2026-11-20T14:00:00Z",
        "product_code": "thumbnails",
        "quantity": 1,
        "tags": []
      },
      {
        "dimension": "images",
        "hour": "2026-11-20T14:00:00Z",
        "product_code": "thumbnails",
        "quantity": 2,
        "tags": [
          [
            "env",
            "x"
          ],
          [
            "team",
            "a"
          ]
        ]
      },
      {
        "dimension": "images",
        "hour": "2026-11-20T14:00:00Z",
        "product_code": "thumbnails",
        "quantity": 2,
        "tags": [
          [
            "team",
            "b"
          ]
        ]
      }
    ]
    "#);
}

#[tokio::test]
async fn a_client_token_stands_for_one_set_of_parameters() {
    let world = World::new().await;
    let (one, other) = (world.client(&world.task().await), world.client(&world.task().await));
    let id = send(images(&one, 5, 0).client_token("t")).await;
    assert_eq!(send(images(&one, 5, 0).client_token("t")).await, id);
    assert_eq!(send(images(&one, 5, -1).client_token("t")).await, "IdempotencyConflictException");
    assert_eq!(send(images(&one, 5, -3_600).client_token("t")).await, "IdempotencyConflictException");
    assert_eq!(send(images(&one, 5, -1).client_token("u")).await, id, "the hour decides");
    assert_eq!(send(images(&other, 5, 0).client_token("t")).await.len(), 36, "tokens are each task's own");
}

#[tokio::test]
async fn client_tokens_can_be_the_accounts() {
    let world = World::with(|options| options.token_scope = TokenScope::Account).await;
    let (one, other) = (world.client(&world.task().await), world.client(&world.task().await));
    assert_eq!(send(images(&one, 5, 0).client_token("t")).await.len(), 36);
    assert_eq!(send(images(&other, 5, 0).client_token("t")).await, "IdempotencyConflictException");
}

#[tokio::test]
async fn a_dry_run_keeps_nothing_and_proves_no_subscription() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    world.subscribe("thumbnails", false).await;
    assert_eq!(send(images(&client, 5, 0).dry_run(true)).await, "DryRunOperation");
    assert_eq!(send(images(&client, 5, 0).dry_run(true).usage_dimension("x")).await, "InvalidUsageDimensionException");
    assert_eq!(world.truth().await["records"], json!([]));
    assert_eq!(send(images(&client, 5, 0)).await, "CustomerNotEntitledException");
    let body = json!({ "platform": "ecs", "permits": ["RegisterUsage"] });
    let without = world.client(&world.task_with(body).await);
    assert_eq!(send(images(&without, 5, 0).dry_run(true)).await, "UnauthorizedException");
    assert_eq!(send(images(&without, 5, 0)).await, "AccessDeniedException");
}

#[tokio::test]
async fn a_dry_run_can_answer_empty_and_look_at_the_subscription() {
    let world = World::with(|options| {
        options.dry_run = DryRunReply::Empty;
        options.dry_run_checks_subscription = true;
    });
    let world = world.await;
    let client = world.client(&world.task().await);
    assert_eq!(send(images(&client, 5, 0).dry_run(true)).await, "no id");
    world.subscribe("thumbnails", false).await;
    assert_eq!(send(images(&client, 5, 0).dry_run(true)).await, "CustomerNotEntitledException");
}

#[tokio::test]
async fn only_tasks_and_pods_with_roles_of_their_own_are_metered_in_their_region() {
    let world = World::new().await;
    let mut answers = String::new();
    for platform in ["ecs", "eks-irsa", "eks-pod-identity", "node-role", "static"] {
        let client = world.client(&world.task_with(json!({ "platform": platform })).await);
        let answer = send(images(&client, 1, 0)).await;
        answers.push_str(&format!("{platform}: {}\n", if answer.len() == 36 { "recorded" } else { &answer }));
    }
    let task = world.task_with(json!({ "platform": "ecs", "region": "eu-west-1" })).await;
    let token = Some(task.text("session_token").to_owned());
    let away = world.client_with(task.text("access_key_id"), task.text("secret_access_key"), token, "us-east-1");
    answers.push_str(&format!("another region: {}\n", send(images(&away, 1, 0)).await));
    assert_snapshot!(answers, @"
    ecs: recorded
    eks-irsa: recorded
    eks-pod-identity: PlatformNotSupportedException
    node-role: PlatformNotSupportedException
    static: PlatformNotSupportedException
    another region: InvalidEndpointRegionException
    ");
}

#[tokio::test]
async fn the_quota_is_shared_by_the_account_and_filled_by_the_clock() {
    let world = World::with(|options| options.quota = Some(Quota { meter_usage: 1, ..Quota::DOCUMENTED })).await;
    let (one, other) = (world.client(&world.task().await), world.client(&world.task().await));
    assert_eq!(send(images(&one, 1, 0)).await.len(), 36);
    // The clock runs while the test does; back in time nothing is filled, however slow the machine.
    world.advance(-60).await;
    assert_eq!(send(images(&other, 1, 0)).await, "ThrottlingException");
    world.advance(1).await;
    assert_eq!(send(images(&other, 1, 0)).await.len(), 36);
}

#[tokio::test]
async fn fractions_of_a_second_are_taken() {
    let world = World::new().await;
    let client = world.client(&world.task().await);
    let at = DateTime::from_fractional_secs(i64::try_from(NOON).unwrap(), 0.123);
    assert_eq!(send(images(&client, 5, 0).timestamp(at)).await.len(), 36);
    assert_eq!(world.truth().await["records"][0]["timestamp"], json!(NOON));
}

fn part(quantity: i32, tags: &[(&str, &str)]) -> UsageAllocation {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build().unwrap());
    let tags: Vec<Tag> = tags.collect();
    let part = UsageAllocation::builder().allocated_usage_quantity(quantity);
    part.set_tags((!tags.is_empty()).then_some(tags)).build().unwrap()
}
