//! Every member and every constraint of botocore's own service model, read when the test runs: one request just inside
//! and one just outside, and each answer against the model's output.

use std::{collections::BTreeMap, process::Command};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    install,
    world::{Answer, NOON, World},
};

mod cases;
mod output;

/// The service model of botocore.
pub(crate) struct Model(Value);

impl Model {
    pub(crate) fn read() -> Self {
        let script = "import glob, gzip, sys, zipfile\n\
                      wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0])\n\
                      name = 'botocore/data/meteringmarketplace/2016-01-14/service-2.json.gz'\n\
                      print(gzip.decompress(wheel.read(name)).decode())";
        let text = install::run(Command::new("python3").arg("-c").arg(script).arg(install::botocore()));
        Self(serde_json::from_str(&text).unwrap())
    }

    fn shape(&self, name: &str) -> &Value {
        &self.0["shapes"][name]
    }

    fn operation(&self, name: &str) -> &Value {
        &self.0["operations"][name]
    }

    /// The error codes that the model lists for an operation, with their status.
    pub(crate) fn errors(&self, operation: &str) -> BTreeMap<String, u16> {
        let listed = self.operation(operation)["errors"].as_array().unwrap();
        let names = listed.iter().map(|error| error["shape"].as_str().unwrap());
        names.map(|name| (name.to_owned(), if self.shape(name)["fault"] == true { 500 } else { 400 })).collect()
    }
}

/// One request and what it must come to.
struct Case {
    operation: &'static str,
    /// Member and constraint.
    name: String,
    body: Value,
    /// Error codes of which one must come; empty: it is well formed.
    refused: Vec<&'static str>,
}

impl Case {
    fn check(&self, model: &Model, answer: &Answer) -> Result<(), String> {
        let Self { operation, name, refused, .. } = self;
        let says = format!("{operation} {name}: {} {} {}", answer.status, answer.code, answer.body);
        if !refused.is_empty() {
            let right = answer.status == 400 && refused.contains(&&*answer.code);
            return if right { Ok(()) } else { Err(format!("{says}\n  wanted one of {refused:?}")) };
        }
        if answer.status == 200 {
            let shape = model.operation(operation)["output"]["shape"].as_str().unwrap();
            return output::check(model, shape, &answer.body).map_err(|why| format!("{says}\n  {why}"));
        }
        // Well formed, but of no use: then by an error that the model lists.
        let listed = model.errors(operation).get(&answer.code) == Some(&answer.status);
        if listed { Ok(()) } else { Err(format!("{says}\n  wanted success or a modelled error")) }
    }
}

#[tokio::test]
async fn every_constraint_of_the_service_model_holds_and_refuses_no_more() {
    let model = Model::read();
    let world = World::new().await;
    let (task, seller) = (world.task().await, world.seller().await);
    let agreement = world.post("/_tollgate/agreements", &json!({ "product_code": "board" })).await;
    let license = agreement["license_arn"].clone();
    let token = world.post("/_tollgate/registration-tokens", &json!({ "license_arn": license })).await["token"].take();
    let split = json!([{ "AllocatedUsageQuantity": 5, "Tags": [{ "Key": "team", "Value": "a" }] }]);
    let record = json!({
        "Timestamp": NOON, "Dimension": "users", "Quantity": 5, "CustomerAWSAccountId": agreement["account"],
        "LicenseArn": license, "UsageAllocations": split,
    });
    let requests = [
        ("RegisterUsage", &task, json!({ "ProductCode": "editor", "PublicKeyVersion": 1, "Nonce": "n" })),
        (
            "MeterUsage",
            &task,
            json!({
                "ProductCode": "thumbnails", "Timestamp": NOON, "UsageDimension": "images", "UsageQuantity": 5,
                "UsageAllocations": split, "ClientToken": "token", "DryRun": false,
            }),
        ),
        ("BatchMeterUsage", &seller, json!({ "UsageRecords": [record] })),
        ("ResolveCustomer", &seller, json!({ "RegistrationToken": token })),
    ];
    let mut covered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (operation, caller, request) in requests {
        for case in cases::of(&model, operation, &request) {
            count += 1;
            let (member, constraint) = case.name.split_once(' ').unwrap_or((&case.name, "whole"));
            covered.entry(format!("{operation}{member}")).or_default().push(constraint.to_owned());
            let answer = world.call(caller, operation, "us-east-1", &case.body.to_string()).await;
            wrong.extend(case.check(&model, &answer).err());
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
    what_was_covered(&covered);
}

/// A member or constraint that the model loses or gains shows here.
fn what_was_covered(covered: &BTreeMap<String, Vec<String>>) {
    let lines: Vec<String> = covered.iter().map(|(member, what)| format!("{member}: {}", what.join(", "))).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    BatchMeterUsage: whole
    BatchMeterUsage.ProductCode: type string, max 255, over max, pattern "", pattern "aA0-/=:_.@", not "a b", not "a,b", not "é", not "a\n"
    BatchMeterUsage.UsageRecords: required, type list, min 0, max 25, beyond max, type of items
    BatchMeterUsage.UsageRecords[].CustomerAWSAccountId: optional, type string, min 1, under min, max 255, over max, pattern "0", pattern "123456789012", not "12a", not "-1", not "１"
    BatchMeterUsage.UsageRecords[].CustomerIdentifier: type string, max 255, over max, pattern "", pattern "é\n"
    BatchMeterUsage.UsageRecords[].Dimension: required, type string, min 1, under min, max 255, over max, pattern "é", pattern "\n"
    BatchMeterUsage.UsageRecords[].LicenseArn: optional, type string, pattern "arn:aws:a:::b", pattern "arn:aws-us-gov:license-manager:r:1:license:l-0", not "", not "arn:aws:a::b", not "arn:gcp:a:::b", not "arn:aws:-a:::b", not "arn:aws:a:::-", not "arn:aws:a:b b::c"
    BatchMeterUsage.UsageRecords[].Quantity: optional, type integer, min 0, beyond min, max 2147483647, beyond max
    BatchMeterUsage.UsageRecords[].QuantityAsDecimal: type string, under min, pattern "0", pattern "17.42", pattern "9999999999.999999", pattern "0.000001", not "00", not "01", not ".5", not "1.", not "-1", not "+1", not "1e3", not "1,5", not "10000000000", not "1.0000000", not "9999999999.9999999"
    BatchMeterUsage.UsageRecords[].Timestamp: required, type timestamp, fraction
    BatchMeterUsage.UsageRecords[].UsageAllocations: optional, type list, min 1, beyond min, max 2500, beyond max, type of items
    BatchMeterUsage.UsageRecords[].UsageAllocations[].AllocatedUsageQuantity: type integer, min 0, beyond min, max 2147483647, beyond max
    BatchMeterUsage.UsageRecords[].UsageAllocations[].AllocatedUsageQuantityAsDecimal: type string, under min, pattern "0", pattern "17.42", pattern "9999999999.999999", pattern "0.000001", not "00", not "01", not ".5", not "1.", not "-1", not "+1", not "1e3", not "1,5", not "10000000000", not "1.0000000", not "9999999999.9999999"
    BatchMeterUsage.UsageRecords[].UsageAllocations[].Tags: optional, type list, min 1, beyond min, max 5, beyond max, type of items
    BatchMeterUsage.UsageRecords[].UsageAllocations[].Tags[].Key: required, type string, min 1, under min, max 100, over max, pattern "aZ09", pattern " !#$%&'()*+,-./:;<=", pattern "_@", not "~", not "é", not "a?b", not "[", not "|"
    BatchMeterUsage.UsageRecords[].UsageAllocations[].Tags[].Value: required, type string, min 1, under min, max 256, over max, pattern "aZ09", pattern " !#$%&'()*+,-./:;<=", pattern "_@", not "~", not "é", not "a?b", not "[", not "|"
    MeterUsage: whole
    MeterUsage.ClientToken: optional, type string, min 1, under min, max 64, over max
    MeterUsage.DryRun: optional, type boolean, true
    MeterUsage.ProductCode: required, type string, max 255, over max, pattern "", pattern "aA0-/=:_.@", not "a b", not "a,b", not "é", not "a\n"
    MeterUsage.Timestamp: required, type timestamp, fraction
    MeterUsage.UsageAllocations: optional, type list, min 1, beyond min, max 2500, beyond max, type of items
    MeterUsage.UsageAllocations[].AllocatedUsageQuantity: type integer, min 0, beyond min, max 2147483647, beyond max
    MeterUsage.UsageAllocations[].AllocatedUsageQuantityAsDecimal: type string, under min, pattern "0", pattern "17.42", pattern "9999999999.999999", pattern "0.000001", not "00", not "01", not ".5", not "1.", not "-1", not "+1", not "1e3", not "1,5", not "10000000000", not "1.0000000", not "9999999999.9999999"
    MeterUsage.UsageAllocations[].Tags: optional, type list, min 1, beyond min, max 5, beyond max, type of items
    MeterUsage.UsageAllocations[].Tags[].Key: required, type string, min 1, under min, max 100, over max, pattern "aZ09", pattern " !#$%&'()*+,-./:;<=", pattern "_@", not "~", not "é", not "a?b", not "[", not "|"
    MeterUsage.UsageAllocations[].Tags[].Value: required, type string, min 1, under min, max 256, over max, pattern "aZ09", pattern " !#$%&'()*+,-./:;<=", pattern "_@", not "~", not "é", not "a?b", not "[", not "|"
    MeterUsage.UsageDimension: required, type string, min 1, under min, max 255, over max, pattern "é", pattern "\n"
    MeterUsage.UsageQuantity: optional, type integer, min 0, beyond min, max 2147483647, beyond max
    MeterUsage.UsageQuantityAsDecimal: type string, under min, pattern "0", pattern "17.42", pattern "9999999999.999999", pattern "0.000001", not "00", not "01", not ".5", not "1.", not "-1", not "+1", not "1e3", not "1,5", not "10000000000", not "1.0000000", not "9999999999.9999999"
    RegisterUsage: whole
    RegisterUsage.Nonce: optional, type string, max 255, over max, pattern "", pattern "é\n"
    RegisterUsage.ProductCode: required, type string, max 255, over max, pattern "", pattern "aA0-/=:_.@", not "a b", not "a,b", not "é", not "a\n"
    RegisterUsage.PublicKeyVersion: required, type integer, min 1, beyond min
    ResolveCustomer: whole
    ResolveCustomer.RegistrationToken: required, type string, pattern "é", pattern "\n"
    "#);
}
