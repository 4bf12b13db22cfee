//! The four requests, each member with the constraints the service model gives it.

use serde_json::{Map, Value};

use super::members::{BadRequest, Pattern, Place, Problems, Text, read};
use crate::{
    allocation::Split,
    batch_meter_usage::{BatchMeterUsage, UsageRecord},
    meter_usage::{MeterUsage, Usage},
    quantity::{Form, Quantity},
    register_usage::RegisterUsage,
    resolve_customer::ResolveCustomer,
};

/// Reads a `RegisterUsage` request.
pub(crate) fn register_usage(body: &[u8]) -> Result<RegisterUsage, BadRequest> {
    let members = read(body)?;
    let (mut problems, place) = (Problems::default(), Place { members: &members, path: "" });
    let product_code = problems.text(place, "ProductCode", PRODUCT_CODE);
    let product_code = problems.require(place, "ProductCode", product_code);
    let version = problems.integer(place, "PublicKeyVersion", 1, i64::from(i32::MAX));
    let version = problems.require(place, "PublicKeyVersion", version);
    let nonce = problems.text(place, "Nonce", text(0, 255));
    problems.finish()?;
    Ok(RegisterUsage { product_code, public_key_version: u32::try_from(version).unwrap_or_default(), nonce })
}

/// Reads a `MeterUsage` request.
pub(crate) fn meter_usage(body: &[u8]) -> Result<MeterUsage, BadRequest> {
    let members = read(body)?;
    let (mut problems, place) = (Problems::default(), Place { members: &members, path: "" });
    let product_code = problems.text(place, "ProductCode", PRODUCT_CODE);
    let product_code = problems.require(place, "ProductCode", product_code);
    let timestamp_ms = problems.time_ms(place, "Timestamp");
    let timestamp_ms = problems.require(place, "Timestamp", timestamp_ms);
    let dimension = problems.text(place, "UsageDimension", text(1, 255));
    let dimension = problems.require(place, "UsageDimension", dimension);
    let usage = usage(&mut problems, place, "UsageQuantity", "UsageQuantityAsDecimal");
    let allocations = allocations(&mut problems, place);
    let client_token = problems.text(place, "ClientToken", text(1, 64));
    let dry_run = problems.boolean(place, "DryRun").unwrap_or_default();
    problems.finish()?;
    Ok(MeterUsage { product_code, timestamp_ms, dimension, usage, allocations, client_token, dry_run })
}

/// Reads a `BatchMeterUsage` request.
pub(crate) fn batch_meter_usage(body: &[u8]) -> Result<BatchMeterUsage, BadRequest> {
    let members = read(body)?;
    let (mut problems, place) = (Problems::default(), Place { members: &members, path: "" });
    let product_code = problems.text(place, "ProductCode", PRODUCT_CODE).filter(|code| !code.is_empty());
    let listed = problems.list(place, "UsageRecords", (0, RECORDS_MAX));
    let listed = problems.require(place, "UsageRecords", listed);
    let records = listed.iter().map(|(path, members)| usage_record(&mut problems, Place { members, path })).collect();
    problems.finish()?;
    Ok(BatchMeterUsage { product_code, records })
}

/// Reads a `ResolveCustomer` request.
pub(crate) fn resolve_customer(body: &[u8]) -> Result<ResolveCustomer, BadRequest> {
    let members = read(body)?;
    let (mut problems, place) = (Problems::default(), Place { members: &members, path: "" });
    let rule = Text { pattern: pattern(r"[\s\S]+", |text| !text.is_empty()), ..text(0, usize::MAX) };
    let token = problems.text(place, "RegistrationToken", rule);
    let registration_token = problems.require(place, "RegistrationToken", token);
    problems.finish()?;
    Ok(ResolveCustomer { registration_token })
}

/// The dimensions that a request of any operation names, for faults that wait for one.
pub(crate) fn dimensions(request: &Value) -> Vec<&str> {
    let records = request["UsageRecords"].as_array().into_iter().flatten().map(|record| &record["Dimension"]);
    records.chain([&request["UsageDimension"]]).filter_map(Value::as_str).collect()
}

fn usage_record(problems: &mut Problems, place: Place<'_>) -> UsageRecord {
    let timestamp_ms = problems.time_ms(place, "Timestamp");
    let timestamp_ms = problems.require(place, "Timestamp", timestamp_ms);
    let dimension = problems.text(place, "Dimension", text(1, 255));
    let dimension = problems.require(place, "Dimension", dimension);
    let usage = usage(problems, place, "Quantity", "QuantityAsDecimal");
    let allocations = allocations(problems, place);
    let account =
        Text { pattern: pattern("^[0-9]+$", |text| text.bytes().all(|b| b.is_ascii_digit())), ..text(1, 255) };
    let license = Text { pattern: pattern(LICENSE_ARN, is_license_arn), ..text(0, usize::MAX) };
    UsageRecord {
        timestamp_ms,
        dimension,
        usage,
        allocations,
        // An SDK that does not know the member as optional sends it empty.
        customer_identifier: problems.text(place, "CustomerIdentifier", text(0, 255)).filter(|name| !name.is_empty()),
        customer_account: problems.text(place, "CustomerAWSAccountId", account),
        license_arn: problems.text(place, "LicenseArn", license),
        echo: known(place.members),
    }
}

/// A quantity in one of its two forms; none is zero.
fn usage(problems: &mut Problems, place: Place<'_>, whole: &str, decimal: &str) -> Usage {
    match quantity(problems, place, whole, decimal) {
        Some((quantity, form)) => Usage { quantity, form: Some(form) },
        None => Usage { quantity: Quantity::default(), form: None },
    }
}

fn quantity(problems: &mut Problems, place: Place<'_>, whole: &str, decimal: &str) -> Option<(Quantity, Form)> {
    let units = problems.integer(place, whole, 0, i64::from(i32::MAX));
    let text = problems.text(place, decimal, DECIMAL);
    match (units, text) {
        (Some(_), Some(_)) => {
            problems.problem(place.path, &format!("{whole} and {decimal} must not both be set"));
            None
        }
        (Some(units), None) => Some((Quantity::units(u64::try_from(units).unwrap_or_default()), Form::Whole)),
        (None, Some(text)) => Some((Quantity::parse(&text).unwrap_or_default(), Form::Decimal)),
        (None, None) => None,
    }
}

/// Tags keep their constraints for `InvalidTagException`; only missing members are a matter of the framework.
fn allocations(problems: &mut Problems, place: Place<'_>) -> Option<Vec<Split>> {
    let listed = problems.list(place, "UsageAllocations", (1, ALLOCATIONS_MAX))?;
    Some(listed.iter().map(|(path, members)| split(problems, Place { members, path })).collect())
}

fn split(problems: &mut Problems, place: Place<'_>) -> Split {
    let (whole, decimal) = ("AllocatedUsageQuantity", "AllocatedUsageQuantityAsDecimal");
    let quantity = quantity(problems, place, whole, decimal);
    if quantity.is_none() {
        problems.require::<()>(place, whole, None);
    }
    let (quantity, form) = quantity.unwrap_or_else(|| (Quantity::default(), Form::Whole));
    let listed = problems.list(place, "Tags", (1, usize::MAX)).unwrap_or_default();
    let tags = listed.iter().map(|(path, members)| {
        let place = Place { members, path };
        let key = problems.text(place, "Key", text(0, usize::MAX));
        let value = problems.text(place, "Value", text(0, usize::MAX));
        (problems.require(place, "Key", key), problems.require(place, "Value", value))
    });
    Split { tags: tags.collect(), quantity, form }
}

/// A record as it came, without members the model does not know.
fn known(members: &Map<String, Value>) -> Value {
    let known = members.iter().filter(|(name, value)| RECORD_MEMBERS.contains(&name.as_str()) && !value.is_null());
    Value::Object(known.map(|(name, value)| (name.clone(), value.clone())).collect())
}

const fn text(min: usize, max: usize) -> Text {
    Text { min, max, pattern: None }
}

const fn pattern(expression: &'static str, matches: fn(&str) -> bool) -> Option<Pattern> {
    Some(Pattern { expression, matches })
}

fn is_product_code(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-/=:_.@".contains(&b))
}

/// Six parts between colons, the last of which may hold more of them.
fn is_license_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, resource] = parts[..] else { return false };
    let plain = |part: &str, max: usize, more: &[u8]| {
        part.len() <= max && part.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    let starts = |part: &str| part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let partition = partition.strip_prefix("aws");
    partition.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-'))
        && starts(service)
        && plain(service, 63, b"_/.-")
        && plain(region, 63, b"_/.-")
        && plain(account, 63, b"_/.-")
        && starts(resource)
        && plain(resource, 1_024, b":_/+=,@.-")
}

const PRODUCT_CODE: Text = Text { pattern: pattern("^[-a-zA-Z0-9/=:_.@]*$", is_product_code), ..text(0, 255) };
const DECIMAL: Text = Text {
    pattern: pattern(r"^(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?$", |text| Quantity::parse(text).is_some()),
    ..text(1, 17)
};
const LICENSE_ARN: &str = "^arn:aws[a-zA-Z-]*:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:\
                           [A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,1023}$";
const RECORDS_MAX: usize = 25;
const ALLOCATIONS_MAX: usize = 2_500;
const RECORD_MEMBERS: [&str; 8] = [
    "Timestamp",
    "CustomerIdentifier",
    "Dimension",
    "Quantity",
    "QuantityAsDecimal",
    "UsageAllocations",
    "CustomerAWSAccountId",
    "LicenseArn",
];

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn check(bodies: &[&str]) -> String {
        let answer = |body: &&str| match meter_usage(body.as_bytes()) {
            Ok(request) => format!("{} ms, {} units", request.timestamp_ms, request.usage.quantity),
            Err(bad) => format!("{}: {bad}", bad.code()),
        };
        bodies.iter().map(|body| answer(body) + "\n").collect()
    }

    #[test]
    fn every_bad_member_is_named_at_once() {
        assert_snapshot!(check(&[
            r#"{"ProductCode":"p","Timestamp":1790000000.123,"UsageDimension":"d","UsageQuantity":5,"New":1}"#,
            r#"{"ProductCode":"p","Timestamp":1790000000,"UsageDimension":"d"}"#,
            r#"{"ProductCode":"p","Timestamp":1,"UsageDimension":"d","UsageQuantityAsDecimal":"1.50"}"#,
            "",
            r#"{"ProductCode":"a b","Timestamp":1,"UsageDimension":"","UsageQuantity":-1}"#,
            r#"{"ProductCode":"p","Timestamp":1,"UsageDimension":"d","UsageAllocations":[{"Tags":[{"Key":"k"}]}]}"#,
            r#"{"ProductCode":"p","Timestamp":1,"UsageDimension":"d","UsageQuantity":1,"UsageQuantityAsDecimal":"1"}"#,
            r#"{"ProductCode":"p","Timestamp":"noon","UsageDimension":"d"}"#,
            r#"{"ProductCode":"p","Timestamp":1,"UsageDimension":"d","UsageQuantity":2147483648}"#,
            r#"{"ProductCode":"p","Timestamp":1,"UsageDimension":"d","UsageAllocations":{}}"#,
            "[]",
            "not json",
        ]), @"
        1790000000123 ms, 5 units
        1790000000000 ms, 0 units
        1000 ms, 1.5 units
        ValidationException: 3 validation errors detected: Value null at 'productCode' failed to satisfy constraint: Member must not be null; Value null at 'timestamp' failed to satisfy constraint: Member must not be null; Value null at 'usageDimension' failed to satisfy constraint: Member must not be null
        ValidationException: 3 validation errors detected: Value 'a b' at 'productCode' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[-a-zA-Z0-9/=:_.@]*$; Value '' at 'usageDimension' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '-1' at 'usageQuantity' failed to satisfy constraint: Member must have value greater than or equal to 0
        ValidationException: 2 validation errors detected: Value null at 'usageAllocations.1.member.allocatedUsageQuantity' failed to satisfy constraint: Member must not be null; Value null at 'usageAllocations.1.member.tags.1.member.value' failed to satisfy constraint: Member must not be null
        ValidationException: 1 validation error detected: Value at '' failed to satisfy constraint: UsageQuantity and UsageQuantityAsDecimal must not both be set
        SerializationException: STRING_VALUE can not be converted to a Timestamp
        SerializationException: NUMBER_VALUE can not be converted to a Integer
        SerializationException: Start of structure or map found where not expected.
        SerializationException: Start of structure expected.
        SerializationException: expected ident at line 1 column 2
        ");
    }

    #[test]
    fn a_licence_is_an_arn() {
        let good =
            ["arn:aws:license-manager::123456789012:license:l-0f", "arn:aws-us-gov:a:::b", "arn:aws:a:b:c:d:e:f"];
        assert!(good.into_iter().all(is_license_arn));
        let bad = ["", "arn:aws:a:b:c", "arn:gcp:a:b:c:d", "arn:aws:-a:b:c:d", "arn:aws:a:b:c:", "arn:aws1:a:b:c:d"];
        assert!(!bad.into_iter().any(is_license_arn));
    }
}
