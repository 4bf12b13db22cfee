use aws_sdk_marketplacemetering::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::DateTime,
    types::{Tag, UsageAllocation, UsageRecord},
};
use serde_json::{Value, json};

use super::{Stage, check};

/// `ok` with its answer, or the code of an error that is the SDK's own variant for it.
fn outcome<T, E>(result: Result<T, SdkError<E>>, answer: impl FnOnce(T) -> Value) -> (String, Value)
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let error = match result {
        Ok(output) => return ("ok".to_owned(), answer(output)),
        Err(error) => error.into_service_error_or_panic(),
    };
    let variant = format!("{error:?}");
    let variant = variant.split('(').next().unwrap();
    let code = error.code().unwrap_or("-").to_owned();
    // What the model does not list stays without a variant.
    let right = variant == code || code == "DryRunOperation";
    (if right { code } else { format!("{code} as {variant}") }, json!(error.to_string()))
}

trait ServiceError<E> {
    fn into_service_error_or_panic(self) -> E;
}

impl<E: std::error::Error + Send + Sync + 'static> ServiceError<E> for SdkError<E> {
    fn into_service_error_or_panic(self) -> E {
        match self {
            Self::ServiceError(context) => context.into_err(),
            other => panic!("no answer of the service: {other:?}"),
        }
    }
}

async fn call(client: &Client, operation: &str, input: &Value) -> (String, Value) {
    let text = |name: &str| input[name].as_str().map(str::to_owned);
    match operation {
        "RegisterUsage" => {
            let version = input["PublicKeyVersion"].as_i64().map(|version| i32::try_from(version).unwrap());
            let call = client.register_usage().set_product_code(text("ProductCode")).set_nonce(text("Nonce"));
            let result = call.set_public_key_version(version).send().await;
            outcome(result, |output| json!({ "Signature": output.signature() }))
        }
        "MeterUsage" => {
            let call = client.meter_usage().set_product_code(text("ProductCode"));
            let call = call.set_usage_dimension(text("UsageDimension")).set_client_token(text("ClientToken"));
            let call = call.set_timestamp(Some(time(input))).set_usage_quantity(quantity(&input["UsageQuantity"]));
            let call = call.set_usage_allocations(splits(input)).set_dry_run(input["DryRun"].as_bool());
            outcome(call.send().await, |output| json!({ "MeteringRecordId": output.metering_record_id() }))
        }
        "BatchMeterUsage" => {
            let records = input["UsageRecords"].as_array().unwrap().iter().map(record).collect();
            let call = client.batch_meter_usage().set_usage_records(Some(records));
            outcome(call.set_product_code(text("ProductCode")).send().await, |output| {
                let status = output.results()[0].status().unwrap().as_str();
                json!({ "Results": [{ "Status": status }] })
            })
        }
        _ => {
            let call = client.resolve_customer().set_registration_token(text("RegistrationToken"));
            outcome(call.send().await, |output| json!({ "ProductCode": output.product_code() }))
        }
    }
}

fn record(record: &Value) -> UsageRecord {
    let text = |name: &str| record[name].as_str().map(str::to_owned);
    UsageRecord::builder()
        .timestamp(time(record))
        .set_dimension(text("Dimension"))
        .set_quantity(quantity(&record["Quantity"]))
        // The SDK sends this member empty when it is not set.
        .customer_identifier(text("CustomerIdentifier").unwrap_or_default())
        .set_customer_aws_account_id(text("CustomerAWSAccountId"))
        .set_license_arn(text("LicenseArn"))
        .set_usage_allocations(splits(record))
        .build()
        .unwrap()
}

fn splits(input: &Value) -> Option<Vec<UsageAllocation>> {
    let tag = |tag: &Value| {
        let text = |name: &str| tag[name].as_str().unwrap().to_owned();
        Tag::builder().key(text("Key")).value(text("Value")).build().unwrap()
    };
    let split = |split: &Value| {
        let tags = split["Tags"].as_array().map(|tags| tags.iter().map(tag).collect());
        let builder = UsageAllocation::builder().set_tags(tags);
        builder.set_allocated_usage_quantity(quantity(&split["AllocatedUsageQuantity"])).build().unwrap()
    };
    input["UsageAllocations"].as_array().map(|splits| splits.iter().map(split).collect())
}

fn quantity(value: &Value) -> Option<i32> {
    value.as_i64().map(|units| i32::try_from(units).unwrap())
}

fn time(input: &Value) -> DateTime {
    DateTime::from_secs(input["Timestamp"].as_i64().unwrap())
}

#[tokio::test]
async fn the_sdk_for_rust_gets_each_answer_as_its_own_variant() {
    let stage = Stage::new().await;
    let cases = stage.cases();
    let mut outcomes = Vec::new();
    for case in &cases {
        let task = &stage.callers[case.caller];
        let token = task.json["session_token"].as_str().map(str::to_owned);
        let (key, secret) = (task.text("access_key_id"), task.text("secret_access_key"));
        let client = stage.world.client_with(key, secret, token, case.region);
        outcomes.push(call(&client, case.operation, &case.input).await);
    }
    check(&cases, &outcomes);
}
