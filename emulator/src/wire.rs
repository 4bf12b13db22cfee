//! The awsJson1.1 forms of requests and answers. Nothing behind this file knows them.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    allocation::{Allocation, AllocationRefusal},
    meter_usage::{MeterRefusal, MeterUsage},
    register_usage::{RegisterRefusal, RegisterUsage},
};

/// An answer before it becomes HTTP.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The error code, if it is an error.
    pub(crate) code: Option<&'static str>,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        Self { status: 200, code: None, body }
    }

    /// An error. Only `InternalServiceErrorException` is the service's fault (500), all else is 400.
    pub(crate) fn error(code: &'static str, message: &str) -> Self {
        let status = if code == "InternalServiceErrorException" { 500 } else { 400 };
        let body = json!({ "__type": format!("com.amazonaws.marketplacemetering#{code}"), "message": message });
        Self { status, code: Some(code), body }
    }
}

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    /// `SerializationException`: not JSON, or a member of the wrong type.
    #[error("{0}")]
    Unreadable(String),
    /// `ValidationException`: a member is missing or out of bounds.
    #[error("{} validation error{} detected: {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, .0.join("; "))]
    Invalid(Vec<String>),
}

impl BadRequest {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "SerializationException",
            Self::Invalid(_) => "ValidationException",
        }
    }
}

/// Reads a `RegisterUsage` request.
pub(crate) fn register_usage(body: &[u8]) -> Result<RegisterUsage, BadRequest> {
    let wire: WireRegisterUsage = read(body)?;
    let mut members = Members::default();
    let product_code = members.product_code(wire.product_code);
    let version = members.integer("publicKeyVersion", wire.public_key_version, 1, i64::from(i32::MAX));
    let nonce = members.optional_text("nonce", wire.nonce, 0, 255);
    members.finish()?;
    Ok(RegisterUsage { product_code, public_key_version: version, nonce })
}

/// Reads a `MeterUsage` request.
pub(crate) fn meter_usage(body: &[u8]) -> Result<MeterUsage, BadRequest> {
    let wire: WireMeterUsage = read(body)?;
    let mut members = Members::default();
    let product_code = members.product_code(wire.product_code);
    let timestamp = members.required("timestamp", wire.timestamp);
    let dimension = members.text("usageDimension", wire.usage_dimension, 1, 255);
    let quantity = members.quantity("usageQuantity", wire.usage_quantity.or(Some(0)));
    let client_token = members.optional_text("clientToken", wire.client_token, 1, 64);
    if wire.usage_quantity_as_decimal.is_some() {
        members.problem("usageQuantityAsDecimal", "Member must not be set: this emulator takes integers only");
    }
    let allocations = wire.usage_allocations.map(|list| list.into_iter().map(|a| members.allocation(a)).collect());
    members.finish()?;
    Ok(MeterUsage {
        product_code,
        timestamp_ms: milliseconds(timestamp),
        dimension,
        quantity,
        allocations,
        client_token,
        dry_run: wire.dry_run.unwrap_or_default(),
    })
}

/// The code and message of a refused `RegisterUsage`.
pub(crate) fn register_refusal(refusal: &RegisterRefusal) -> Reply {
    let code = match refusal {
        RegisterRefusal::CustomerNotEntitled => "CustomerNotEntitledException",
        RegisterRefusal::InvalidProductCode { .. } => "InvalidProductCodeException",
        RegisterRefusal::InvalidPublicKeyVersion { .. } => "InvalidPublicKeyVersionException",
        RegisterRefusal::InvalidRegion { .. } => "InvalidRegionException",
        RegisterRefusal::PlatformNotSupported => "PlatformNotSupportedException",
    };
    Reply::error(code, &refusal.to_string())
}

/// The code and message of a refused `MeterUsage`; the code for an unsupported platform is a choice.
pub(crate) fn meter_refusal(refusal: &MeterRefusal, platform_error: &'static str) -> Reply {
    let code = match refusal {
        MeterRefusal::CustomerNotEntitled => "CustomerNotEntitledException",
        MeterRefusal::Duplicate { .. } => "DuplicateRequestException",
        MeterRefusal::IdempotencyConflict { .. } => "IdempotencyConflictException",
        MeterRefusal::InvalidAllocations(AllocationRefusal::Tag(_)) => "InvalidTagException",
        MeterRefusal::InvalidAllocations(AllocationRefusal::Usage(_)) => "InvalidUsageAllocationsException",
        MeterRefusal::InvalidDimension { .. } => "InvalidUsageDimensionException",
        MeterRefusal::InvalidEndpointRegion { .. } => "InvalidEndpointRegionException",
        MeterRefusal::InvalidProductCode { .. } => "InvalidProductCodeException",
        MeterRefusal::PlatformNotSupported => platform_error,
        MeterRefusal::TimestampOutOfBounds(_) => "TimestampOutOfBoundsException",
    };
    Reply::error(code, &refusal.to_string())
}

/// Members the model does not know are ignored, as the protocol has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireRegisterUsage {
    product_code: Option<String>,
    public_key_version: Option<i64>,
    nonce: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireMeterUsage {
    product_code: Option<String>,
    /// Seconds since 1970, fractions allowed.
    timestamp: Option<f64>,
    usage_dimension: Option<String>,
    usage_quantity: Option<i64>,
    usage_quantity_as_decimal: Option<String>,
    dry_run: Option<bool>,
    usage_allocations: Option<Vec<WireAllocation>>,
    client_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireAllocation {
    allocated_usage_quantity: Option<i64>,
    #[serde(default)]
    tags: Option<Vec<WireTag>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireTag {
    key: Option<String>,
    value: Option<String>,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadRequest> {
    serde_json::from_slice(body).map_err(|error| BadRequest::Unreadable(error.to_string()))
}

/// Collects what is wrong with the members, so that the answer names all of it, as the service does.
#[derive(Debug, Default)]
struct Members {
    problems: Vec<String>,
}

impl Members {
    fn problem(&mut self, member: &str, constraint: &str) {
        self.problems.push(format!("Value at '{member}' failed to satisfy constraint: {constraint}"));
    }

    fn required<T: Default>(&mut self, member: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.problem(member, "Member must not be null");
            T::default()
        })
    }

    /// A string within its bounds; an absent one is a problem of its own.
    fn text(&mut self, member: &str, value: Option<String>, min: usize, max: usize) -> String {
        if value.as_ref().is_some_and(|value| !(min..=max).contains(&value.chars().count())) {
            self.problem(member, &format!("Member must have length between {min} and {max}"));
        }
        self.required(member, value)
    }

    /// The same for a member that may be absent.
    fn optional_text(&mut self, member: &str, value: Option<String>, min: usize, max: usize) -> Option<String> {
        value.map(|value| self.text(member, Some(value), min, max))
    }

    fn integer<T: TryFrom<i64> + Default>(&mut self, member: &str, value: Option<i64>, min: i64, max: i64) -> T {
        if value.is_some_and(|value| !(min..=max).contains(&value)) {
            self.problem(member, &format!("Member must be between {min} and {max}"));
        }
        T::try_from(self.required(member, value)).unwrap_or_default()
    }

    fn quantity(&mut self, member: &str, value: Option<i64>) -> u32 {
        self.integer(member, value, 0, QUANTITY_MAX)
    }

    fn product_code(&mut self, value: Option<String>) -> String {
        let value = self.text("productCode", value, 0, 255);
        if !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-/=:_.@".contains(&b)) {
            self.problem("productCode", "Member must satisfy regular expression pattern: ^[-a-zA-Z0-9/=:_.@]*$");
        }
        value
    }

    fn allocation(&mut self, wire: WireAllocation) -> Allocation {
        let member = "usageAllocations.member.allocatedUsageQuantity";
        let quantity = self.quantity(member, wire.allocated_usage_quantity);
        let tags = wire.tags.unwrap_or_default().into_iter().map(|tag| {
            let key = self.required("usageAllocations.member.tags.member.key", tag.key);
            (key, self.required("usageAllocations.member.tags.member.value", tag.value))
        });
        Allocation { tags: tags.collect(), quantity }
    }

    fn finish(self) -> Result<(), BadRequest> {
        if self.problems.is_empty() { Ok(()) } else { Err(BadRequest::Invalid(self.problems)) }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates; a time that far off is out of bounds anyway")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1_000.0).round().clamp(-1e16, 1e16) as i64
}

const QUANTITY_MAX: i64 = 2_147_483_647;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn check(bodies: &[&str]) -> String {
        let answer = |body: &&str| match meter_usage(body.as_bytes()) {
            Ok(request) => format!("{} ms, {} units", request.timestamp_ms, request.quantity),
            Err(bad) => format!("{}: {bad}", bad.code()),
        };
        bodies.iter().map(|body| answer(body) + "\n").collect()
    }

    #[test]
    fn every_bad_member_is_named_at_once() {
        assert_snapshot!(check(&[
            r#"{"ProductCode":"p","Timestamp":1790000000.123,"UsageDimension":"d","UsageQuantity":5,"New":1}"#,
            r#"{"ProductCode":"p","Timestamp":1790000000,"UsageDimension":"d"}"#,
            "{}",
            r#"{"ProductCode":"a b","Timestamp":1,"UsageDimension":"","UsageQuantity":2147483648}"#,
            r#"{"ProductCode":"p","Timestamp":1,"UsageDimension":"d","UsageAllocations":[{"Tags":[{"Key":"k"}]}]}"#,
            r#"{"ProductCode":"p","Timestamp":1,"UsageDimension":"d","UsageQuantityAsDecimal":"1.5"}"#,
            r#"{"ProductCode":"p","Timestamp":"noon","UsageDimension":"d"}"#,
            "not json",
        ]), @r#"
        1790000000123 ms, 5 units
        1790000000000 ms, 0 units
        ValidationException: 3 validation errors detected: Value at 'productCode' failed to satisfy constraint: Member must not be null; Value at 'timestamp' failed to satisfy constraint: Member must not be null; Value at 'usageDimension' failed to satisfy constraint: Member must not be null
        ValidationException: 3 validation errors detected: Value at 'productCode' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[-a-zA-Z0-9/=:_.@]*$; Value at 'usageDimension' failed to satisfy constraint: Member must have length between 1 and 255; Value at 'usageQuantity' failed to satisfy constraint: Member must be between 0 and 2147483647
        ValidationException: 2 validation errors detected: Value at 'usageAllocations.member.allocatedUsageQuantity' failed to satisfy constraint: Member must not be null; Value at 'usageAllocations.member.tags.member.value' failed to satisfy constraint: Member must not be null
        ValidationException: 1 validation error detected: Value at 'usageQuantityAsDecimal' failed to satisfy constraint: Member must not be set: this emulator takes integers only
        SerializationException: invalid type: string "noon", expected f64 at line 1 column 37
        SerializationException: expected ident at line 1 column 2
        "#);
    }
}
