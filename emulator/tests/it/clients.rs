//! Real clients from their ordinary packages: for each operation a success and every error that its model lists, and
//! each client must parse it as its own typed error.

use std::{collections::BTreeMap, process::Stdio};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};
use tollgate_emulator::WireClock;

use crate::{
    conformance::Model,
    world::{NOON, SELLER, Task, World},
};

mod cli;
mod node;
mod python;
mod rust;

/// A call and what must come of it: `ok` or an error code.
#[derive(Clone)]
struct Case {
    operation: &'static str,
    caller: &'static str,
    region: &'static str,
    input: Value,
    wants: &'static str,
}

/// A world for real clients, who sign by the real clock, and the callers of all cases.
struct Stage {
    world: World,
    callers: BTreeMap<&'static str, Task>,
    license: String,
    token: String,
    expired: String,
    customer: String,
}

impl Stage {
    async fn new() -> Self {
        let world = World::with(|options| options.wire_clock = WireClock::Real).await;
        let old = json!({
            "pricing": "saas", "dimensions": ["users"], "publisher": SELLER, "customer_identifiers": true
        });
        world.ask("PUT", "/_tollgate/products/old", &old.to_string()).await;
        let agreement = world.ask("PUT", "/_tollgate/subscriptions/old", r#"{"subscribed":true}"#).await;
        let text = |name: &str| agreement[name].as_str().unwrap().to_owned();
        let mut callers = BTreeMap::new();
        for (name, body) in [
            ("task", json!({ "platform": "ecs" })),
            ("throttled task", json!({ "platform": "ecs" })),
            ("failing task", json!({ "platform": "ecs" })),
            ("task abroad", json!({ "platform": "ecs", "region": "eu-west-1" })),
            ("task in Hong Kong", json!({ "platform": "ecs", "region": "ap-east-1" })),
            ("stranger", json!({ "platform": "ecs", "account": "000000000001" })),
            ("keys", json!({ "platform": "static" })),
            ("seller", json!({ "platform": "static", "account": SELLER })),
            ("throttled seller", json!({ "platform": "static", "account": SELLER })),
            ("failing seller", json!({ "platform": "static", "account": SELLER })),
        ] {
            let task = world.task_with(body).await;
            let fault = match name {
                "throttled task" | "throttled seller" => "throttle",
                "failing task" | "failing seller" => "error-500",
                _ => "",
            };
            if !fault.is_empty() {
                world.fault(json!({ "fault": fault, "resource": task.json["task_arn"], "for_s": 100_000 })).await;
            }
            callers.insert(name, task);
        }
        let (license, customer) = (text("license_arn"), text("customer_identifier"));
        let token = async || {
            let body = json!({ "license_arn": license });
            world.post("/_tollgate/registration-tokens", &body).await["token"].as_str().unwrap().to_owned()
        };
        world.advance(-5 * 3_600).await;
        let expired = token().await;
        world.advance(5 * 3_600).await;
        let token = token().await;
        Self { world, callers, license, token, expired, customer }
    }

    fn cases(&self) -> Vec<Case> {
        [self.register_usage(), self.meter_usage(), self.batch_meter_usage(), self.resolve_customer()].concat()
    }

    fn register_usage(&self) -> Vec<Case> {
        let good = json!({ "ProductCode": "editor", "PublicKeyVersion": 1, "Nonce": "n-1" });
        let case = |caller, region, input, wants| Case { operation: "RegisterUsage", caller, region, input, wants };
        let home = |caller, input: &Value, wants| case(caller, "us-east-1", input.clone(), wants);
        vec![
            home("task", &good, "ok"),
            home("task", &with(&good, "ProductCode", json!("none")), "InvalidProductCodeException"),
            home("task", &with(&good, "PublicKeyVersion", json!(9)), "InvalidPublicKeyVersionException"),
            home("task abroad", &good, "InvalidRegionException"),
            home("keys", &good, "PlatformNotSupportedException"),
            home("stranger", &good, "CustomerNotEntitledException"),
            home("throttled task", &good, "ThrottlingException"),
            home("failing task", &good, "InternalServiceErrorException"),
            case("task in Hong Kong", "ap-east-1", good.clone(), "DisabledApiException"),
        ]
    }

    fn meter_usage(&self) -> Vec<Case> {
        let split = json!([{ "AllocatedUsageQuantity": 5, "Tags": [{ "Key": "team", "Value": "a" }] }]);
        let good = json!({
            "ProductCode": "thumbnails", "Timestamp": NOON, "UsageDimension": "images", "UsageQuantity": 5,
            "UsageAllocations": split,
        });
        let bad_tag = json!([{ "AllocatedUsageQuantity": 5, "Tags": [{ "Key": "team", "Value": "~" }] }]);
        let bad_sum = json!([{ "AllocatedUsageQuantity": 4 }]);
        let token = with(&with(&good, "UsageDimension", json!("start")), "ClientToken", json!("t"));
        let case =
            |caller, input: Value, wants| Case { operation: "MeterUsage", caller, region: "us-east-1", input, wants };
        vec![
            case("task", good.clone(), "ok"),
            case("task", with(&good, "ProductCode", json!("none")), "InvalidProductCodeException"),
            case("task", with(&good, "UsageDimension", json!("none")), "InvalidUsageDimensionException"),
            case("task", with(&good, "UsageAllocations", bad_tag), "InvalidTagException"),
            case("task", with(&good, "UsageAllocations", bad_sum), "InvalidUsageAllocationsException"),
            case("task abroad", good.clone(), "InvalidEndpointRegionException"),
            case("task", with(&good, "Timestamp", json!(NOON - 86_400)), "TimestampOutOfBoundsException"),
            case(
                "task",
                without(&with(&good, "UsageQuantity", json!(6)), "UsageAllocations"),
                "DuplicateRequestException",
            ),
            case("task", token.clone(), "ok"),
            case("task", with(&token, "Timestamp", json!(NOON - 3_600)), "IdempotencyConflictException"),
            case("throttled task", good.clone(), "ThrottlingException"),
            case("failing task", good.clone(), "InternalServiceErrorException"),
            case("stranger", good.clone(), "CustomerNotEntitledException"),
            case("task", with(&good, "DryRun", json!(true)), "DryRunOperation"),
        ]
    }

    fn batch_meter_usage(&self) -> Vec<Case> {
        let split = |units: u32, value: &str| json!([{ "AllocatedUsageQuantity": units, "Tags": [{ "Key": "team", "Value": value }] }]);
        let good = json!({
            "Timestamp": NOON, "Dimension": "users", "Quantity": 5, "CustomerIdentifier": self.customer,
            "UsageAllocations": split(5, "a"),
        });
        let licensed = json!({
            "Timestamp": NOON, "Dimension": "users", "Quantity": 5, "CustomerAWSAccountId": "123456789012",
            "LicenseArn": self.license,
        });
        let case = |caller, region, input, wants| Case { operation: "BatchMeterUsage", caller, region, input, wants };
        let home = |caller, record: Value, wants| {
            case(caller, "us-east-1", json!({ "ProductCode": "old", "UsageRecords": [record] }), wants)
        };
        let by_license = |record: Value, wants| case("seller", "us-east-1", json!({ "UsageRecords": [record] }), wants);
        let foreign = json!({ "ProductCode": "thumbnails", "UsageRecords": [good] });
        vec![
            home("seller", good.clone(), "ok"),
            case("seller", "us-east-1", foreign, "InvalidProductCodeException"),
            home("seller", with(&good, "Dimension", json!("none")), "InvalidUsageDimensionException"),
            home("seller", with(&good, "UsageAllocations", split(5, "~")), "InvalidTagException"),
            home("seller", with(&good, "UsageAllocations", split(4, "a")), "InvalidUsageAllocationsException"),
            home("seller", with(&good, "CustomerIdentifier", json!("none")), "InvalidCustomerIdentifierException"),
            home("seller", with(&good, "Timestamp", json!(NOON - 86_400)), "TimestampOutOfBoundsException"),
            home("throttled seller", good.clone(), "ThrottlingException"),
            home("failing seller", good.clone(), "InternalServiceErrorException"),
            case("seller", "ca-west-1", json!({ "ProductCode": "old", "UsageRecords": [] }), "DisabledApiException"),
            by_license(licensed.clone(), "ok"),
            by_license(with(&licensed, "CustomerAWSAccountId", json!("1")), "InvalidLicenseException"),
        ]
    }

    fn resolve_customer(&self) -> Vec<Case> {
        let case = |caller, region, token: &str, wants| {
            let input = json!({ "RegistrationToken": token });
            Case { operation: "ResolveCustomer", caller, region, input, wants }
        };
        vec![
            case("seller", "us-east-1", &self.token, "ok"),
            case("seller", "us-east-1", "none", "InvalidTokenException"),
            case("seller", "us-east-1", &self.expired, "ExpiredTokenException"),
            case("throttled seller", "us-east-1", &self.token, "ThrottlingException"),
            case("failing seller", "us-east-1", &self.token, "InternalServiceErrorException"),
            case("seller", "ca-west-1", &self.token, "DisabledApiException"),
        ]
    }

    /// What a program needs to make the calls by itself.
    fn script(&self, cases: &[Case]) -> Value {
        let cases = cases.iter().map(|case| {
            let keys = &self.callers[case.caller].json;
            json!({
                "operation": case.operation, "region": case.region, "input": case.input,
                "key": keys["access_key_id"], "secret": keys["secret_access_key"], "token": keys["session_token"],
            })
        });
        json!({ "endpoint": format!("http://{}", self.world.addr), "cases": cases.collect::<Vec<_>>() })
    }
}

/// Compares what came of each case; the answers of the successes, by operation.
fn check(cases: &[Case], outcomes: &[(String, Value)]) -> BTreeMap<&'static str, Value> {
    assert_eq!(cases.len(), outcomes.len());
    let wrong = cases.iter().zip(outcomes).filter(|(case, (outcome, _))| case.wants != outcome);
    let wrong = wrong.map(|(case, (outcome, answer))| {
        format!("{} by {} must be {}, is {outcome}: {answer}", case.operation, case.caller, case.wants)
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let answers: BTreeMap<_, _> = cases
        .iter()
        .zip(outcomes)
        .filter(|(case, _)| case.wants == "ok")
        .map(|(case, (_, a))| (case.operation, a.clone()))
        .collect();
    assert_eq!(answers["MeterUsage"]["MeteringRecordId"].as_str().unwrap().len(), 36);
    assert_eq!(answers["BatchMeterUsage"]["Results"][0]["Status"], "Success");
    assert_eq!(answers["ResolveCustomer"]["ProductCode"], "old");
    assert_eq!(answers["RegisterUsage"]["Signature"].as_str().unwrap().split('.').count(), 3);
    answers
}

fn with(input: &Value, name: &str, value: Value) -> Value {
    let mut input = input.clone();
    input[name] = value;
    input
}

fn without(input: &Value, name: &str) -> Value {
    let mut input = input.clone();
    input.as_object_mut().unwrap().remove(name);
    input
}

/// The same command, apart from the configuration of whoever runs the test.
fn apart(command: &mut Command) -> &mut Command {
    let nowhere = "/dev/null";
    command.env("AWS_CONFIG_FILE", nowhere).env("AWS_SHARED_CREDENTIALS_FILE", nowhere).env("AWS_PAGER", "");
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_MAX_ATTEMPTS", "1").env("NO_PROXY", "*")
}

/// Runs a program that reads JSON and writes JSON.
async fn run(command: &mut Command, input: &Value) -> Value {
    let command = apart(command);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    let mut child = child.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let (said, wrote) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{said}");
    serde_json::from_str(&wrote).unwrap_or_else(|error| panic!("{error}: {wrote}\n{said}"))
}

fn outcomes(answer: &Value) -> Vec<(String, Value)> {
    let pair = |one: &Value| (one["outcome"].as_str().unwrap().to_owned(), one["answer"].clone());
    answer.as_array().unwrap().iter().map(pair).collect()
}

/// A program beside these tests.
fn program(name: &str) -> String {
    format!("{}/tests/it/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn the_cases_have_every_error_that_the_model_lists() {
    let (model, cases) = (Model::read(), Stage::new().await.cases());
    for operation in ["RegisterUsage", "MeterUsage", "BatchMeterUsage", "ResolveCustomer"] {
        let tried = |code: &String| cases.iter().any(|case| case.operation == operation && case.wants == code);
        let missing: Vec<String> = model.errors(operation).into_keys().filter(|code| !tried(code)).collect();
        assert_eq!(missing, [""; 0], "{operation}");
    }
}
