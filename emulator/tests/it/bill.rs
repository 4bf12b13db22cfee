use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::world::{World, http_request, images, send};

/// A world with prices in which one task sent 12 images, split in two, and 3 more, and another one was refused.
async fn sold() -> World {
    let world = World::new().await;
    let body = json!({ "pricing": "custom", "dimensions": ["images", "gigapixels"], "prices": { "images": "0.0025" } });
    world.ask("PUT", "/_tollgate/products/thumbnails", &body.to_string()).await;
    let task = world.task().await;
    let client = world.client(&task);
    let part = |team: Option<&str>, quantity| {
        let tag = |team| aws_sdk_marketplacemetering::types::Tag::builder().key("team").value(team).build().unwrap();
        let builder = aws_sdk_marketplacemetering::types::UsageAllocation::builder().allocated_usage_quantity(quantity);
        team.map_or_else(|| builder.clone(), |team| builder.clone().tags(tag(team))).build().unwrap()
    };
    send(images(&client, 12, 0).usage_allocations(part(Some("red"), 10)).usage_allocations(part(None, 2))).await;
    send(images(&client, 3, -3_600)).await;
    send(images(&client, 4, -3_600)).await;
    send(images(&client, 5, 0).usage_dimension("gigapixels")).await;
    world
}

#[tokio::test]
async fn the_bill_is_by_hour_dimension_customer_and_allocation() {
    let world = sold().await;
    let (status, bill) = world.raw(&http_request("GET", "/_tollgate/bill?format=csv", &[], "")).await;
    assert_eq!(status, 200);
    assert_snapshot!(bill, @"
    product_code,customer,hour,dimension,tags,quantity,unit
    thumbnails,123456789012,2026-11-20T14:00:00Z,gigapixels,,5,units
    thumbnails,123456789012,2026-11-20T13:00:00Z,images,,3,units
    thumbnails,123456789012,2026-11-20T14:00:00Z,images,,2,units
    thumbnails,123456789012,2026-11-20T14:00:00Z,images,team=red,10,units
    ");
    let bill = world.get("/_tollgate/bill").await;
    assert_eq!(bill["usage"].as_array().unwrap().len(), 4);
    assert_eq!(bill["usage"][3]["tags"], json!([["team", "red"]]));
}

#[tokio::test]
async fn the_invoice_multiplies_by_the_prices_and_leaves_out_what_has_none() {
    let world = sold().await;
    let invoices = world.get("/_tollgate/invoices").await["invoices"].take();
    assert_snapshot!(serde_json::to_string_pretty(&invoices).unwrap(), @r#"
    [
      {
        "currency": "USD",
        "customer": "123456789012",
        "lines": [
          {
            "amount": null,
            "dimension": "gigapixels",
            "price": null,
            "product_code": "thumbnails",
            "quantity": 5,
            "unit": "units"
          },
          {
            "amount": "0.0375",
            "dimension": "images",
            "price": "0.0025",
            "product_code": "thumbnails",
            "quantity": 15,
            "unit": "units"
          }
        ],
        "month": "2026-11",
        "total": "0.04"
      }
    ]
    "#);
    let (_, rows) = world.raw(&http_request("GET", "/_tollgate/invoices?format=csv", &[], "")).await;
    assert_snapshot!(rows, @"
    customer,month,product_code,dimension,quantity,unit,price,amount,currency
    123456789012,2026-11,thumbnails,gigapixels,5,units,,,USD
    123456789012,2026-11,thumbnails,images,15,units,0.0025,0.0375,USD
    ");
}

#[tokio::test]
async fn a_task_is_billed_to_its_end_whatever_happens_to_the_subscription() {
    let world = World::new().await;
    let body = json!({ "pricing": "hourly", "price_per_hour": "0.10" });
    world.ask("PUT", "/_tollgate/products/editor", &body.to_string()).await;
    let task = world.task().await;
    let client = world.client(&task);
    client.register_usage().product_code("editor").public_key_version(1).send().await.unwrap();
    assert_eq!(world.get("/_tollgate/bill").await["tasks"][0]["seconds"], 60, "one minute at least");
    world.subscribe("editor", false).await;
    world.advance(90 * 60).await;
    let tasks = world.get("/_tollgate/bill").await["tasks"].take();
    assert!((5_400..5_500).contains(&tasks[0]["seconds"].as_u64().unwrap()), "{tasks}");
    world.ask("DELETE", &format!("/_tollgate/tasks/{}", task.text("id")), "").await;
    let ended = world.get("/_tollgate/bill").await;
    world.advance(24 * 3_600).await;
    let later = world.get("/_tollgate/bill").await;
    assert_eq!((&later["tasks"], &later["task_hours"]), (&ended["tasks"], &ended["task_hours"]));
    let sum: u64 = later["task_hours"].as_array().unwrap().iter().map(|line| line["seconds"].as_u64().unwrap()).sum();
    assert_eq!(sum, later["tasks"][0]["seconds"].as_u64().unwrap());
    assert_eq!(world.get("/_tollgate/invoices").await["invoices"][0]["total"], "0.15");
    assert_eq!(world.ask("DELETE", "/_tollgate/tasks/nobody", "").await["status"], 404);
}

async fn asserted(world: &World, sentence: &str) -> Value {
    let mut answer = world.post("/_tollgate/assertions", &json!({ "assertions": [sentence] })).await;
    assert_eq!(answer["holds"], answer["findings"][0]["holds"]);
    answer["findings"][0].take()
}

#[tokio::test]
async fn a_test_can_say_what_must_be_billed_and_is_shown_what_is_there_instead() {
    let world = sold().await;
    for holds in [
        "exactly one record of 12 for images at 14:00",
        "no records of 12 for images at 13:00",
        "15 units for images in thumbnails by 123456789012",
        "at least 3 records",
        "exactly one call answered DuplicateRequestException",
        "at most three calls to MeterUsage judged accepted",
        "no tasks",
    ] {
        assert_eq!(asserted(&world, holds).await["holds"], true, "{holds}");
    }
    let finding = asserted(&world, "exactly one record of 13 for images at 14:00").await;
    assert_eq!((&finding["holds"], &finding["found"]), (&json!(false), &json!(0)));
    let near = finding["near"][0].as_str().unwrap().split(" from ").next().unwrap().to_owned();
    assert_snapshot!(near, @"of 12 for images at 2026-11-20T14:00:00Z in thumbnails by 123456789012");
    let unreadable = world.post("/_tollgate/assertions", &json!({ "assertions": ["many records"] })).await;
    assert_eq!(unreadable["status"], 400);
    assert_snapshot!(unreadable["error"].as_str().unwrap(), @r#"cannot read "many records": "many" is not a count: write for example exactly one, at least 3, at most 3, no"#);
}

#[tokio::test]
async fn the_calls_can_be_exported() {
    let world = sold().await;
    let (_, rows) = world.raw(&http_request("GET", "/_tollgate/calls?format=csv", &[], "")).await;
    let mut lines = rows.lines();
    assert_snapshot!(lines.next().unwrap(), @"seq,at,operation,resource,product_code,dimension,quantity,status,code,record_id,verdict,rule,fault");
    let third: Vec<&str> = lines.nth(2).unwrap().split(',').collect();
    assert_eq!((third[0], third[2], third[6], third[8]), ("3", "MeterUsage", "4", "DuplicateRequestException"));
    let page = world.get("/_tollgate/calls?after=3").await;
    assert_eq!((&page["calls"][0]["seq"], &page["last"], &page["dropped"]), (&json!(4), &json!(4), &json!(0)));
    assert_eq!(world.get("/_tollgate/calls?after=x").await["status"], 400);
}
