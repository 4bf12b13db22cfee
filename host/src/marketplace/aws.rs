//! The AWS side of [`Marketplace`]: with the files below it, the only code that names the AWS SDK.
//!
//! Everything the client needs is given as a value: endpoint by region, TLS roots from this binary, credentials of the
//! task or pod. The SDK's own configuration loading is not used, its retries are off (one call is one HTTP request),
//! its clock is ours, and what it frees during a call is wiped. It knows nothing of the ledger and decides nothing: it
//! reports what is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use aws_sdk_marketplacemetering::Client;
use aws_sdk_marketplacemetering::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_marketplacemetering::config::retry::RetryConfig;
use aws_sdk_marketplacemetering::config::timeout::TimeoutConfig;
use aws_sdk_marketplacemetering::config::{
    BehaviorVersion, ConfigBag, IdentityCache, Intercept, ProvideCredentials, Region, RuntimeComponents,
    SharedAsyncSleep, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_marketplacemetering::error::BoxError;
use aws_sdk_marketplacemetering::primitives::{DateTime, DateTimeFormat};
use aws_sdk_marketplacemetering::types::{Tag, UsageAllocation};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use tollgate_metering::Reply;

use self::credentials::RoleCredentials;
use self::table::Failure;
use super::{Answer, AskError, Marketplace, MeterUsage, RegisterUsage, Registered};
use crate::clock::Clock;
use crate::memory::wiped;
use crate::place::Place;

mod credentials;
mod failure;
pub(crate) mod instance;
mod origins;
mod proxy;
mod table;

pub use origins::Origins;
pub use proxy::{NotAProxy, Proxy};

/// A TCP and TLS connection is up by then, or there is none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// From the last byte of the request to the first of the reply.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// For everything, fetching credentials included.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The certificate authorities AWS signs its endpoints with. Nothing else is trusted, least of all the buyer's image.
const ROOTS: [&str; 5] = [
    include_str!("roots/amazon-root-ca-1.pem"),
    include_str!("roots/amazon-root-ca-2.pem"),
    include_str!("roots/amazon-root-ca-3.pem"),
    include_str!("roots/amazon-root-ca-4.pem"),
    include_str!("roots/starfield-services-root-g2.pem"),
];

/// AWS as this task or pod sees it.
#[derive(Clone, Debug)]
pub struct Aws {
    client: Client,
    clock: Clock,
    credentials: Arc<RoleCredentials>,
}

impl Aws {
    /// A client for the place this process runs at, through `proxy` if there is one. Makes no request yet.
    ///
    /// # Errors
    /// Only if the embedded TLS roots cannot be used.
    pub fn new(place: &Place, origins: &Origins, clock: &Clock, proxy: Option<&Proxy>) -> anyhow::Result<Self> {
        Self::trusting(&ROOTS, place, origins, clock, proxy)
    }

    fn trusting(
        roots: &[&str],
        place: &Place,
        origins: &Origins,
        clock: &Clock,
        proxy: Option<&Proxy>,
    ) -> anyhow::Result<Self> {
        let wires = Wires::new(roots, clock, proxy)?;
        let credentials = Arc::new(RoleCredentials::new(place, origins, &wires));
        let config = aws_sdk_marketplacemetering::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(place.region.to_string()))
            .endpoint_url(origins.metering(&place.region))
            .credentials_provider(SharedCredentialsProvider::new(
                Arc::clone(&credentials) as Arc<dyn ProvideCredentials>
            ))
            // RoleCredentials keeps them itself, so that refused ones can be forgotten.
            .identity_cache(IdentityCache::no_cache())
            .http_client(wires.http)
            .retry_config(RetryConfig::disabled())
            .timeout_config(wires.timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(wires.time)
            .build();
        Ok(Self { client: Client::from_conf(config), clock: clock.clone(), credentials })
    }

    /// Credentials that AWS does not accept are not used again.
    async fn after(&self, failure: Failure) -> Failure {
        if failure.blames_credentials() {
            self.credentials.forget().await;
        }
        tracing::debug!(?failure, "AWS call failed");
        failure
    }
}

impl Marketplace for Aws {
    async fn register_usage(&self, ask: RegisterUsage) -> Result<Registered, AskError> {
        let version = i32::try_from(ask.public_key_version)
            .map_err(|_| AskError::Listing { code: format!("key version {} is too large", ask.public_key_version) })?;
        let call = self.client.register_usage().product_code(ask.product_code).public_key_version(version);
        match wiped(call.nonce(ask.nonce).send()).await {
            Ok(reply) => match reply.signature {
                Some(signature) => Ok(Registered { signature, rotation: seconds(reply.public_key_rotation_timestamp) }),
                None => Err(AskError::Retry { code: "a reply without a signature".into() }),
            },
            Err(error) => Err(table::ask_error(self.after(failure::of(&error)).await)),
        }
    }

    async fn meter_usage(&self, record: MeterUsage) -> Answer {
        let date = DateOfReply::heard_by(&self.clock);
        let dry_run = record.dry_run;
        let reply = match self.call(record) {
            Err(detail) => Reply::Refused { code: detail },
            Ok(call) => match wiped(call.customize().interceptor(date.clone()).send()).await {
                // A dry run that succeeds is documented as an error; a plain 200 would say the same.
                Ok(_) if dry_run => Reply::DryRunOk,
                Ok(reply) => match reply.metering_record_id {
                    Some(record_id) if !record_id.is_empty() => Reply::Accepted { record_id },
                    _ => Reply::Unknown { detail: "200 without a record id".into() },
                },
                Err(error) => table::reply(self.after(failure::of(&error)).await, dry_run),
            },
        };
        Answer { reply, date: date.seconds() }
    }
}

type MeterUsageCall = aws_sdk_marketplacemetering::operation::meter_usage::builders::MeterUsageFluentBuilder;

impl Aws {
    /// The request as the SDK wants it, or what the wire format cannot say.
    fn call(&self, record: MeterUsage) -> Result<MeterUsageCall, String> {
        let quantity = wire_quantity(record.quantity)?;
        let timestamp = i64::try_from(record.timestamp).map_err(|_| "the timestamp is out of range".to_owned())?;
        let allocations = record.allocations.into_iter().map(wire_allocation).collect::<Result<Vec<_>, _>>()?;
        Ok(self
            .client
            .meter_usage()
            .product_code(record.product_code)
            .timestamp(DateTime::from_secs(timestamp))
            .usage_dimension(record.dimension)
            .usage_quantity(quantity)
            .set_usage_allocations((!allocations.is_empty()).then_some(allocations))
            .set_client_token(record.client_token)
            .set_dry_run(record.dry_run.then_some(true)))
    }
}

fn wire_quantity(quantity: u32) -> Result<i32, String> {
    i32::try_from(quantity).map_err(|_| format!("the quantity {quantity} is over 2147483647"))
}

fn wire_allocation(allocation: super::Allocation) -> Result<UsageAllocation, String> {
    let tags = allocation.tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    let tags = tags.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    UsageAllocation::builder()
        .allocated_usage_quantity(wire_quantity(allocation.quantity)?)
        .set_tags((!tags.is_empty()).then_some(tags))
        .build()
        .map_err(|error| error.to_string())
}

fn seconds(time: Option<DateTime>) -> Option<u64> {
    time.and_then(|time| u64::try_from(time.secs()).ok())
}

/// What all clients of this process share.
struct Wires {
    http: SharedHttpClient,
    timeouts: TimeoutConfig,
    time: SharedTimeSource,
    clock: Clock,
}

impl Wires {
    fn new(roots: &[&str], clock: &Clock, proxy: Option<&Proxy>) -> anyhow::Result<Self> {
        let roots = roots.iter().fold(TrustStore::empty(), |store, pem| store.with_pem_certificate(*pem));
        let tls = TlsContext::builder().with_trust_store(roots).build().context("the embedded TLS roots")?;
        // Without an answer here the SDK asks nobody either: a builder reads no environment.
        let proxy = proxy.map_or_else(|| Ok(ProxyConfig::disabled()), Proxy::config)?;
        Ok(Self {
            http: Builder::new().build_with_connector_fn(move |settings, components| {
                let mut connector = Connector::builder()
                    .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                    .tls_context(tls.clone())
                    .proxy_config(proxy.clone());
                connector.set_connector_settings(settings.cloned());
                connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
                connector.build()
            }),
            timeouts: TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .operation_attempt_timeout(CALL_TIMEOUT)
                .operation_timeout(CALL_TIMEOUT)
                .build(),
            time: SharedTimeSource::new(OurTime(clock.clone())),
            clock: clock.clone(),
        })
    }
}

/// Requests are signed by the same clock that decides the hours.
#[derive(Debug)]
struct OurTime(Clock);

impl TimeSource for OurTime {
    fn now(&self) -> std::time::SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.now_ms())
    }
}

/// Takes the `Date` header out of a reply, whatever else the reply says.
#[derive(Clone, Debug)]
struct DateOfReply {
    clock: Clock,
    /// Unix seconds. Zero: there was none.
    seconds: Arc<AtomicU64>,
}

impl DateOfReply {
    fn heard_by(clock: &Clock) -> Self {
        Self { clock: clock.clone(), seconds: Arc::default() }
    }

    fn seconds(&self) -> Option<u64> {
        Some(self.seconds.load(Ordering::Relaxed)).filter(|seconds| *seconds > 0)
    }
}

impl Intercept for DateOfReply {
    fn name(&self) -> &'static str {
        "DateOfReply"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        // In development: said by a clock that was moved, and ours will be in a moment. Taken for true it would be counted
        // twice, once as the difference and once as the move.
        let version = headers.get("x-tollgate-clock").and_then(|text| text.parse().ok());
        if version.is_some_and(|version| !self.clock.has_made(version)) {
            return Ok(());
        }
        let date = headers.get("date");
        let date = date.and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok());
        self.seconds.store(seconds(date).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
