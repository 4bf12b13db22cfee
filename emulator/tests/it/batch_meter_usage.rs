use insta::assert_snapshot;
use serde_json::{Value, json};
use tollgate_emulator::{Quota, UnknownCustomer};

use crate::world::{Answer, NOON, SELLER, Task, World};

/// A seller and one buyer of `board`, by licence.
struct Sale {
    world: World,
    seller: Task,
    buyer: String,
    license: String,
}

impl Sale {
    async fn new() -> Self {
        Self::of(World::new().await).await
    }

    async fn of(world: World) -> Self {
        let seller = world.seller().await;
        let body = r#"{"subscribed":true,"account":"555555555555"}"#;
        world.advance(-7_200).await;
        let agreement = world.ask("PUT", "/_tollgate/subscriptions/board", body).await;
        world.advance(7_200).await;
        let text = |name: &str| agreement[name].as_str().unwrap().to_owned();
        Self { seller, buyer: text("account"), license: text("license_arn"), world }
    }

    fn record(&self, quantity: Value, seconds: i64) -> Value {
        let at = i64::try_from(NOON).unwrap() + seconds;
        json!({
            "Timestamp": at, "Dimension": "users", "Quantity": quantity,
            "CustomerAWSAccountId": self.buyer, "LicenseArn": self.license,
        })
    }

    async fn send(&self, records: Value) -> Answer {
        self.send_to("us-east-1", json!({ "UsageRecords": records })).await
    }

    async fn send_to(&self, region: &str, body: Value) -> Answer {
        self.world.call(&self.seller, "BatchMeterUsage", region, &body.to_string()).await
    }
}

/// The status of each record, with a letter for each new id; or the error code.
fn statuses(answer: &Answer) -> String {
    let Some(results) = answer.body["Results"].as_array() else { return answer.code.clone() };
    let status = |result: &Value| {
        let id = result["MeteringRecordId"].as_str().map_or(String::new(), |id| format!(" id of {}", id.len()));
        format!("{}{id}", result["Status"].as_str().unwrap())
    };
    results.iter().map(status).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn the_first_record_of_a_customer_licence_and_hour_stays() {
    let sale = Sale::new().await;
    let first = sale.send(json!([sale.record(json!(5), 0), sale.record(json!(7), -3_600)])).await;
    let again = sale.send(json!([sale.record(json!(5), -60), sale.record(json!(8), -3_600)])).await;
    assert_eq!(first.body["Results"][0]["MeteringRecordId"], again.body["Results"][0]["MeteringRecordId"]);
    assert_eq!(first.body["Results"][0]["UsageRecord"], sale.record(json!(5), 0), "a record comes back as it was sent");
    let mut decimal = sale.record(Value::Null, 0);
    decimal["QuantityAsDecimal"] = json!("5.00");
    let by_value = sale.send(json!([decimal])).await;
    let elsewhere = sale.send_to("eu-west-1", json!({ "UsageRecords": [sale.record(json!(5), 0)] })).await;
    let answers = [first, again, by_value, elsewhere].map(|answer| statuses(&answer) + "\n");
    assert_snapshot!(answers.concat(), @"
    Success id of 36, Success id of 36
    Success id of 36, DuplicateRecord
    Success id of 36
    Success id of 36
    ");
    assert_eq!(sale.world.truth().await["billed"], json!({ "users": 17 }), "each region bills for itself");
    assert_snapshot!(sale.world.calls().await, @"
    1 BatchMeterUsage 200 - accepted 2 recorded fault=-
    2 BatchMeterUsage 200 - accepted 1 duplicate-record, 1 identical-record-was-there fault=-
    3 BatchMeterUsage 200 - accepted 1 identical-record-was-there fault=-
    4 BatchMeterUsage 200 - accepted 1 recorded fault=-
    ");
}

#[tokio::test]
async fn one_bad_record_refuses_the_whole_request_and_nothing_is_kept() {
    let sale = Sale::new().await;
    let with = |name: &str, value: Value| {
        let mut record = sale.record(json!(5), 0);
        record[name] = value;
        record
    };
    let split = |units: u32, tags: Value| json!([{ "AllocatedUsageQuantity": units, "Tags": tags }]);
    let other = sale.world.post("/_tollgate/agreements", &json!({ "product_code": "thumbnails" })).await;
    let cases = [
        ("an unknown dimension", with("Dimension", json!("images"))),
        ("a day ago", with("Timestamp", json!(NOON - 86_400))),
        ("in the future", with("Timestamp", json!(NOON + 86_400))),
        ("does not add up", with("UsageAllocations", split(4, json!([{ "Key": "a", "Value": "b" }])))),
        ("a bad tag", with("UsageAllocations", split(5, json!([{ "Key": "a", "Value": "~" }])))),
        ("an unknown licence", with("LicenseArn", json!("arn:aws:license-manager::1:license:l-0"))),
        ("a licence of another seller's product", with("LicenseArn", other["license_arn"].clone())),
        ("a licence of another customer", with("CustomerAWSAccountId", json!("123456789012"))),
        ("before the licence", with("Timestamp", json!(NOON - 3 * 3_600))),
        ("no licence and no product", with("LicenseArn", Value::Null)),
        ("no customer", with("CustomerAWSAccountId", Value::Null)),
        ("two customers", with("CustomerIdentifier", json!("c"))),
        ("an empty customer identifier is none", with("CustomerIdentifier", json!(""))),
    ];
    let mut answers = String::new();
    for (name, bad) in cases {
        let answer = sale.send(json!([sale.record(json!(5), 0), bad])).await;
        answers.push_str(&format!("{name}: {} {}\n", answer.status, statuses(&answer)));
    }
    assert_snapshot!(answers, @"
    an unknown dimension: 400 InvalidUsageDimensionException
    a day ago: 400 TimestampOutOfBoundsException
    in the future: 400 TimestampOutOfBoundsException
    does not add up: 400 InvalidUsageAllocationsException
    a bad tag: 400 InvalidTagException
    an unknown licence: 400 InvalidLicenseException
    a licence of another seller's product: 400 InvalidLicenseException
    a licence of another customer: 400 InvalidLicenseException
    before the licence: 400 InvalidLicenseException
    no licence and no product: 400 InvalidProductCodeException
    no customer: 400 InvalidLicenseException
    two customers: 400 ValidationException
    an empty customer identifier is none: 200 Success id of 36, Success id of 36
    ");
    assert_eq!(sale.world.truth().await["billed"], json!({ "users": 5 }), "the last case alone was kept");
}

#[tokio::test]
async fn a_legacy_product_knows_its_customers_by_identifier() {
    let sale = Sale::new().await;
    let body = json!({
        "pricing": "saas", "dimensions": ["users"], "publisher": SELLER, "customer_identifiers": true
    });
    sale.world.ask("PUT", "/_tollgate/products/old", &body.to_string()).await;
    let agreement = sale.world.ask("PUT", "/_tollgate/subscriptions/old", r#"{"subscribed":true}"#).await;
    let customer = agreement["customer_identifier"].as_str().unwrap();
    let send = async |name: &str, customer: Value| {
        let record = json!({ "Timestamp": NOON, "Dimension": "users", "Quantity": 3, name: customer });
        statuses(&sale.send_to("us-east-1", json!({ "ProductCode": "old", "UsageRecords": [record] })).await)
    };
    let answers = [
        send("CustomerIdentifier", json!(customer)).await,
        send("CustomerAWSAccountId", json!("123456789012")).await,
        send("CustomerIdentifier", json!("nobody")).await,
        send("CustomerAWSAccountId", json!("000000000000")).await,
        send("CustomerAWSAccountId", json!(sale.buyer)).await,
    ];
    assert_snapshot!(answers.join("\n"), @"
    Success id of 36
    Success id of 36
    InvalidCustomerIdentifierException
    InvalidCustomerIdentifierException
    CustomerNotSubscribed
    ");
    let mut both = sale.record(json!(5), 0);
    both["CustomerIdentifier"] = json!("");
    let refused = sale.send_to("us-east-1", json!({ "ProductCode": "old", "UsageRecords": [both] })).await;
    assert_eq!(refused.code, "InvalidLicenseException", "the licence is of another product");
    let foreign = sale.send_to("us-east-1", json!({ "ProductCode": "thumbnails", "UsageRecords": [] })).await;
    assert_eq!(foreign.code, "InvalidProductCodeException");
}

#[tokio::test]
async fn usage_sent_with_and_without_a_licence_is_billed_twice() {
    let sale = Sale::new().await;
    let mut bare = sale.record(json!(5), 0);
    bare["LicenseArn"] = Value::Null;
    sale.send(json!([sale.record(json!(5), 0)])).await;
    sale.send_to("us-east-1", json!({ "ProductCode": "board", "UsageRecords": [bare] })).await;
    assert_eq!(sale.world.truth().await["billed"], json!({ "users": 10 }));
}

#[tokio::test]
async fn final_usage_is_taken_for_an_hour_after_the_end() {
    let sale = Sale::new().await;
    let body = r#"{"subscribed":false,"account":"555555555555"}"#;
    sale.world.ask("PUT", "/_tollgate/subscriptions/board", body).await;
    assert_eq!(statuses(&sale.send(json!([sale.record(json!(5), 0)])).await), "Success id of 36");
    sale.world.advance(3_700).await;
    assert_eq!(statuses(&sale.send(json!([sale.record(json!(6), -1)])).await), "CustomerNotSubscribed");
    let late = sale.send(json!([sale.record(json!(6), 3_000)])).await;
    assert_eq!(late.code, "InvalidLicenseException", "used after the end");
}

#[tokio::test]
async fn an_unknown_customer_can_be_a_matter_of_its_record() {
    let change = |options: &mut tollgate_emulator::Options| options.unknown_customer = UnknownCustomer::NotSubscribed;
    let sale = Sale::of(World::with(change).await).await;
    let record = json!({ "Timestamp": NOON, "Dimension": "users", "CustomerAWSAccountId": "000000000000" });
    let answer = sale.send_to("us-east-1", json!({ "ProductCode": "board", "UsageRecords": [record] })).await;
    assert_eq!(statuses(&answer), "CustomerNotSubscribed");
}

#[tokio::test]
async fn records_that_were_not_processed_come_back() {
    let sale = Sale::new().await;
    sale.world.fault(json!({ "fault": "unprocessed", "dimension": "users" })).await;
    let records = json!([sale.record(json!(5), 0), sale.record(json!(7), -3_600)]);
    let answer = sale.send(records.clone()).await;
    assert_eq!(answer.body, json!({ "Results": [], "UnprocessedRecords": records }));
    assert_eq!(sale.world.truth().await["billed"], json!({}));
    assert_eq!(statuses(&sale.send(records).await), "Success id of 36, Success id of 36");
}

#[tokio::test]
async fn an_empty_request_is_answered_and_the_quota_counts_it() {
    let quota = Quota { batch_meter_usage: 1, ..Quota::DOCUMENTED };
    let sale = Sale::of(World::with(|options| options.quota = Some(quota)).await).await;
    let answer = sale.send(json!([])).await;
    assert_eq!((answer.status, answer.body), (200, json!({ "Results": [], "UnprocessedRecords": [] })));
    sale.world.advance(-60).await;
    assert_eq!(sale.send(json!([])).await.code, "ThrottlingException");
}
