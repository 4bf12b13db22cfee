//! The rules of `BatchMeterUsage`, in the order in which they decide: what is wrong with one record refuses the whole
//! request; what is wrong with its customer or its hour is the status of that record alone.

use serde_json::Value;

use crate::{
    account::Task,
    allocation::{self, Allocation, AllocationRefusal, Split},
    ledger::{RecordKey, Sent, Source, Taken},
    meter_usage::{HOUR_MS, Usage},
    operation::Operation,
    options::UnknownCustomer,
    service::Service,
};

/// A `BatchMeterUsage` request whose members are well formed.
#[derive(Debug, Clone)]
pub(crate) struct BatchMeterUsage {
    pub(crate) product_code: Option<String>,
    pub(crate) records: Vec<UsageRecord>,
}

/// One record of it.
#[derive(Debug, Clone)]
pub(crate) struct UsageRecord {
    /// Unix milliseconds.
    pub(crate) timestamp_ms: i64,
    pub(crate) dimension: String,
    pub(crate) usage: Usage,
    pub(crate) allocations: Option<Vec<Split>>,
    pub(crate) customer_identifier: Option<String>,
    pub(crate) customer_account: Option<String>,
    pub(crate) license_arn: Option<String>,
    /// The record as it came, for the answer.
    pub(crate) echo: Value,
}

/// What became of a record that the service processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    CustomerNotSubscribed,
    DuplicateRecord,
    Success(Taken),
}

/// Why a whole request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchRefusal {
    #[error("The API is disabled in the Region {region}.")]
    Disabled { region: String },
    #[error("{0}")]
    InvalidAllocations(AllocationRefusal),
    #[error("You have metered usage for a customer that does not exist: {customer:?}.")]
    InvalidCustomerIdentifier { customer: String },
    #[error("The usage dimension {dimension} does not match one of the usage dimensions of the product.")]
    InvalidDimension { dimension: String },
    #[error("{0}")]
    InvalidLicense(&'static str),
    #[error("The product code {product_code:?} is not one of the caller's.")]
    InvalidProductCode { product_code: String },
    #[error("The timestamp of record {0} is {1}.")]
    TimestampOutOfBounds(usize, &'static str),
    #[error("CustomerIdentifier and CustomerAWSAccountId must not both be set.")]
    TwoCustomers,
}

/// A record that may be taken: for whom, under which product.
#[derive(Debug)]
struct Checked {
    /// `None`: its customer has no agreement on the product, or none any more.
    sent: Option<Sent>,
}

/// Decides one call at `now_ms` (emulator's clock). `ids` gives the id of the n-th record if it is new.
pub(crate) fn batch_meter_usage(
    service: &mut Service,
    task: &Task,
    region: &str,
    request: &BatchMeterUsage,
    now_ms: u64,
    ids: impl Fn(usize) -> String,
) -> Result<Vec<Status>, BatchRefusal> {
    if !service.options.regions.offer(Operation::BatchMeterUsage, task.platform, region) {
        return Err(BatchRefusal::Disabled { region: region.to_owned() });
    }
    let product_code = product_code(service, task, request)?;
    let checked = request.records.iter().enumerate().map(|(index, record)| {
        check_timestamp(record.timestamp_ms, now_ms, service.options.future_tolerance_s)
            .map_err(|why| BatchRefusal::TimestampOutOfBounds(index + 1, why))?;
        check_record(service, &product_code, region, record, now_ms)
    });
    let checked = checked.collect::<Result<Vec<Checked>, BatchRefusal>>()?;
    let statuses = checked.into_iter().enumerate().map(|(index, checked)| match checked.sent {
        None => Status::CustomerNotSubscribed,
        Some(sent) => match service.ledger.take(sent, None, ids(index)) {
            Ok(taken) => Status::Success(taken),
            Err(_) => Status::DuplicateRecord,
        },
    });
    Ok(statuses.collect())
}

/// The one product of the request: the caller's own, named by it or by the licences of all its records.
fn product_code(service: &Service, task: &Task, request: &BatchMeterUsage) -> Result<String, BatchRefusal> {
    let own = |code: &str| service.products.get(code).is_some_and(|product| product.is_published_by(&task.account));
    let mut product_code = request.product_code.clone();
    if let Some(code) = product_code.as_ref().filter(|code| !own(code)) {
        return Err(BatchRefusal::InvalidProductCode { product_code: code.clone() });
    }
    for license_arn in request.records.iter().filter_map(|record| record.license_arn.as_deref()) {
        let agreement = service.entitlements.by_license(license_arn);
        let Some(agreement) = agreement.filter(|agreement| own(&agreement.product_code)) else {
            return Err(BatchRefusal::InvalidLicense("The license is not valid for a product of the caller."));
        };
        let code = product_code.get_or_insert_with(|| agreement.product_code.clone());
        if *code != agreement.product_code {
            return Err(BatchRefusal::InvalidLicense("Each request is for only one product."));
        }
    }
    let named = |record: &UsageRecord| request.product_code.is_some() || record.license_arn.is_some();
    if !request.records.iter().all(named) {
        return Err(BatchRefusal::InvalidProductCode { product_code: String::new() });
    }
    Ok(product_code.unwrap_or_default())
}

fn check_record(
    service: &Service,
    product_code: &str,
    region: &str,
    record: &UsageRecord,
    now_ms: u64,
) -> Result<Checked, BatchRefusal> {
    let sells = service.products.get(product_code).is_some_and(|product| product.sells(&record.dimension));
    if !sells {
        return Err(BatchRefusal::InvalidDimension { dimension: record.dimension.clone() });
    }
    let charset = service.options.tag_charset;
    let allocations = record.allocations.clone().map(|splits| allocation::check(splits, &record.usage, charset));
    let allocations = allocations.transpose().map_err(BatchRefusal::InvalidAllocations)?.unwrap_or_default();
    let source = source(service, product_code, region, record, now_ms)?;
    let sent = source.map(|source| sent(product_code, source, record, allocations));
    Ok(Checked { sent })
}

fn sent(product_code: &str, source: Source, record: &UsageRecord, allocations: Vec<Allocation>) -> Sent {
    let UsageRecord { timestamp_ms, dimension, usage, .. } = record;
    let key = RecordKey {
        product_code: product_code.to_owned(),
        source,
        dimension: dimension.clone(),
        hour: timestamp_ms.div_euclid(HOUR_MS),
        token: None,
    };
    Sent { key, timestamp_ms: *timestamp_ms, quantity: usage.quantity, allocations }
}

/// Whose usage it is; `None` when the customer has no agreement on the product, or none any more.
fn source(
    service: &Service,
    product_code: &str,
    region: &str,
    record: &UsageRecord,
    now_ms: u64,
) -> Result<Option<Source>, BatchRefusal> {
    let UsageRecord { customer_identifier, customer_account, license_arn, timestamp_ms, .. } = record;
    if customer_identifier.is_some() && customer_account.is_some() {
        return Err(BatchRefusal::TwoCustomers);
    }
    let entitlements = &service.entitlements;
    let agreement = match (license_arn, customer_account, customer_identifier) {
        (Some(license_arn), account, _) => {
            let agreement =
                entitlements.by_license(license_arn).filter(|found| Some(&found.account) == account.as_ref());
            let agreement =
                agreement.ok_or(BatchRefusal::InvalidLicense("The license does not match the customer."))?;
            let first_hour = i64::try_from(agreement.since_ms).unwrap_or(i64::MAX).div_euclid(HOUR_MS);
            let ended = agreement.ended_ms.map_or(i64::MAX, |ended_ms| i64::try_from(ended_ms).unwrap_or(i64::MAX));
            if timestamp_ms.div_euclid(HOUR_MS) < first_hour || *timestamp_ms > ended {
                return Err(BatchRefusal::InvalidLicense("The usage is outside the license activation period."));
            }
            agreement
        }
        (None, Some(customer), _) | (None, None, Some(customer)) => {
            // New integrations have no customer identifiers.
            let named =
                customer_identifier.is_none() || service.products.get(product_code).is_some_and(|p| p.is_legacy());
            match entitlements.of_customer(product_code, customer).filter(|_| named) {
                Some(agreement) => agreement,
                None if service.options.unknown_customer == UnknownCustomer::Refuse
                    && !(named && entitlements.knows(customer)) =>
                {
                    return Err(BatchRefusal::InvalidCustomerIdentifier { customer: customer.clone() });
                }
                None => return Ok(None),
            }
        }
        (None, None, None) => return Err(BatchRefusal::InvalidCustomerIdentifier { customer: String::new() }),
    };
    let grace_ms = u64::from(service.options.final_usage_s) * 1_000;
    if agreement.ended_ms.is_some_and(|ended_ms| now_ms > ended_ms.saturating_add(grace_ms)) {
        return Ok(None);
    }
    let (account, license_arn) = (agreement.account.clone(), license_arn.clone());
    Ok(Some(Source::Customer { account, license_arn, region: region.to_owned() }))
}

/// Not "24 hours or more after an event", not in the future, and a month closes at 06:00 UTC of the first day of the
/// next.
fn check_timestamp(timestamp_ms: i64, now_ms: u64, future_tolerance_s: u32) -> Result<(), &'static str> {
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    if timestamp_ms <= now_ms - 24 * HOUR_MS {
        return Err("24 hours or more in the past");
    }
    if timestamp_ms > now_ms + i64::from(future_tolerance_s) * 1_000 {
        return Err("in the future");
    }
    let month = |ms: i64| jiff::Timestamp::from_millisecond(ms).map(|at| at.to_zoned(jiff::tz::TimeZone::UTC)).ok();
    let (Some(at), Some(closed)) = (month(timestamp_ms), month(now_ms - 6 * HOUR_MS)) else {
        return Err("no time at all");
    };
    if (at.year(), at.month()) < (closed.year(), closed.month()) {
        return Err("in a billing month that closed at 06:00 UTC");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    fn check(now: &str, at: &str) -> &'static str {
        check_timestamp(at_ms(at), u64::try_from(at_ms(now)).unwrap(), 0).err().unwrap_or("ok")
    }

    #[test]
    fn a_day_back_and_not_over_the_closed_end_of_a_month() {
        let lines = [
            ("2026-11-20T14:30:00Z", "2026-11-19T14:30:00Z"),
            ("2026-11-20T14:30:00Z", "2026-11-19T14:30:00.001Z"),
            ("2026-11-20T14:30:00Z", "2026-11-20T14:30:00Z"),
            ("2026-11-20T14:30:00Z", "2026-11-20T14:30:00.001Z"),
            ("2026-12-01T05:59:59.999Z", "2026-11-30T23:59:59Z"),
            ("2026-12-01T06:00:00Z", "2026-11-30T23:59:59.999Z"),
            ("2026-12-01T06:00:00Z", "2026-12-01T00:00:00Z"),
            ("2027-01-01T05:00:00Z", "2026-12-31T06:00:00Z"),
            ("2027-01-01T06:00:00Z", "2026-12-31T23:00:00Z"),
        ]
        .map(|(now, at)| format!("at {now} for {at}: {}\n", check(now, at)));
        insta::assert_snapshot!(lines.concat(), @"
        at 2026-11-20T14:30:00Z for 2026-11-19T14:30:00Z: 24 hours or more in the past
        at 2026-11-20T14:30:00Z for 2026-11-19T14:30:00.001Z: ok
        at 2026-11-20T14:30:00Z for 2026-11-20T14:30:00Z: ok
        at 2026-11-20T14:30:00Z for 2026-11-20T14:30:00.001Z: in the future
        at 2026-12-01T05:59:59.999Z for 2026-11-30T23:59:59Z: ok
        at 2026-12-01T06:00:00Z for 2026-11-30T23:59:59.999Z: in a billing month that closed at 06:00 UTC
        at 2026-12-01T06:00:00Z for 2026-12-01T00:00:00Z: ok
        at 2027-01-01T05:00:00Z for 2026-12-31T06:00:00Z: ok
        at 2027-01-01T06:00:00Z for 2026-12-31T23:00:00Z: in a billing month that closed at 06:00 UTC
        ");
    }
}
