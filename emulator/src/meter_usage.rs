//! The rules of `MeterUsage`, in the order in which they decide.

use crate::{
    account::Task,
    allocation::{self, Allocation, AllocationRefusal},
    ledger::{Clash, RecordKey, Sent, Taken},
    options::{Options, PastWindow, TokenScope},
    service::Service,
};

/// A `MeterUsage` request whose members are well formed.
#[derive(Debug, Clone)]
pub(crate) struct MeterUsage {
    pub(crate) product_code: String,
    /// Unix milliseconds.
    pub(crate) timestamp_ms: i64,
    pub(crate) dimension: String,
    pub(crate) quantity: u32,
    pub(crate) allocations: Option<Vec<Allocation>>,
    pub(crate) client_token: Option<String>,
    pub(crate) dry_run: bool,
}

/// What an accepted call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Metered {
    /// `DryRun`: all rules passed, nothing kept.
    DryRun,
    /// A new record, or the one that was there.
    Kept(Taken),
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MeterRefusal {
    #[error("Exception thrown when the customer does not have a valid subscription for the product.")]
    CustomerNotEntitled,
    #[error(
        "A metering record has already been emitted by the same resource for {dimension} in that hour with other usage."
    )]
    Duplicate { dimension: String },
    #[error("The client token {token} was used before with different parameters.")]
    IdempotencyConflict { token: String },
    #[error("{0}")]
    InvalidAllocations(AllocationRefusal),
    #[error("The usage dimension {dimension} does not match one of the usage dimensions of the product.")]
    InvalidDimension { dimension: String },
    #[error("The endpoint of {called} was called by a container in {home}.")]
    InvalidEndpointRegion { called: String, home: String },
    #[error("The product code {product_code} is not valid.")]
    InvalidProductCode { product_code: String },
    #[error("This operation can only be called from within an ECS task or an EKS pod.")]
    PlatformNotSupported,
    #[error("The timestamp is {0}.")]
    TimestampOutOfBounds(&'static str),
}

/// Decides one call at `now_ms` (emulator's clock). `region` is that of the endpoint called, `fresh_id` the id of the
/// record if there will be a new one.
pub(crate) fn meter_usage(
    service: &mut Service,
    task: &Task,
    region: &str,
    request: MeterUsage,
    now_ms: u64,
    fresh_id: String,
) -> Result<Metered, MeterRefusal> {
    let MeterUsage { product_code, timestamp_ms, dimension, quantity, allocations, client_token, dry_run } = request;
    let Some(product) = service.products.get(&product_code) else {
        return Err(MeterRefusal::InvalidProductCode { product_code });
    };
    if task.region != region {
        return Err(MeterRefusal::InvalidEndpointRegion { called: region.to_owned(), home: task.region.clone() });
    }
    if !task.platform.is_supported() {
        return Err(MeterRefusal::PlatformNotSupported);
    }
    if !product.sells(&dimension) {
        return Err(MeterRefusal::InvalidDimension { dimension });
    }
    check_timestamp(timestamp_ms, task, now_ms, &service.options)?;
    let allocations = allocations.map(|list| allocation::check(list, quantity, service.options.tag_charset));
    let allocations = allocations.transpose().map_err(MeterRefusal::InvalidAllocations)?.unwrap_or_default();

    if dry_run {
        let entitled = !service.options.dry_run_checks_subscription
            || product.is_published_by(&task.account)
            || service.entitlements.is_subscribed(&product_code);
        return if entitled { Ok(Metered::DryRun) } else { Err(MeterRefusal::CustomerNotEntitled) };
    }
    let refused = service.options.refused_resource;
    service.entitlements.ask(task, &product_code, product, refused).ok_or(MeterRefusal::CustomerNotEntitled)?;

    let key = RecordKey { product_code, resource: task.resource(), dimension, hour: timestamp_ms.div_euclid(HOUR_MS) };
    let token = client_token.map(|token| (token_scope(task, service.options.token_scope), token));
    let sent = Sent { key, timestamp_ms, quantity, allocations };
    service.ledger.take(sent.clone(), token.clone(), fresh_id).map(Metered::Kept).map_err(|clash| match clash {
        Clash::Duplicate => MeterRefusal::Duplicate { dimension: sent.key.dimension },
        Clash::Token => MeterRefusal::IdempotencyConflict { token: token.map(|(_, token)| token).unwrap_or_default() },
    })
}

/// "Six hours" in the past, and not in the future.
fn check_timestamp(timestamp_ms: i64, task: &Task, now_ms: u64, options: &Options) -> Result<(), MeterRefusal> {
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let oldest_ms = match options.past_window {
        PastWindow::Exact => now_ms - 6 * HOUR_MS,
        PastWindow::FromHourStart => now_ms - now_ms.rem_euclid(HOUR_MS) - 6 * HOUR_MS,
    };
    if timestamp_ms < oldest_ms {
        return Err(MeterRefusal::TimestampOutOfBounds("more than six hours in the past"));
    }
    if timestamp_ms > now_ms + i64::from(options.future_tolerance_s) * 1_000 {
        return Err(MeterRefusal::TimestampOutOfBounds("in the future"));
    }
    if options.refuse_before_start && timestamp_ms < i64::try_from(task.started_ms).unwrap_or(i64::MAX) {
        return Err(MeterRefusal::TimestampOutOfBounds("before the start of the software usage"));
    }
    Ok(())
}

fn token_scope(task: &Task, scope: TokenScope) -> String {
    match scope {
        TokenScope::Account => task.account.clone(),
        TokenScope::Resource => task.resource(),
    }
}

pub(crate) const HOUR_MS: i64 = 3_600_000;
