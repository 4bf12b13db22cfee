//! What can be chosen when an emulator is made. Each undocumented point of AWS is a field here.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{product::Product, quota::Quota, region::Regions};

/// How the emulated service behaves. `Options::default()` is AWS as documented, with no product on sale.
#[derive(Debug, Clone)]
pub struct Options {
    /// Account of tasks made without one: twelve digits. Default `123456789012`.
    pub account: String,
    /// HTTP status of errors of the signature and the credentials. The documentation's copies disagree between 400
    /// and 403. Default 400, which is what other services with the same protocol answer.
    pub auth_error_status: u16,
    /// From when a task or pod is billed after `RegisterUsage`. Documented is that AWS meters the task by itself, and
    /// that one registered within six hours of its start loses nothing. Default: from the start of the task, since
    /// only then the six hours have a meaning.
    pub billed_from: BilledFrom,
    /// Whether `DryRun` looks at the subscription. Documented is only that it checks permissions. Default `false`:
    /// a client that takes a dry run for a proof of entitlement must be found out.
    pub dry_run_checks_subscription: bool,
    /// What a permitted `DryRun` answers. The code `DryRunOperation` is documented, the HTTP status is not.
    /// Default: that code with status 400.
    pub dry_run: DryRunReply,
    /// Whether `RegisterUsage` still signs under a key version that has been rotated out. Undocumented.
    /// Default: it does, and the answer carries the time of the rotation.
    pub expired_key: ExpiredKey,
    /// How long after the end of an agreement `BatchMeterUsage` still takes its usage, in seconds. AWS speaks of about
    /// an hour. Default 3600.
    pub final_usage_s: u32,
    /// How far a `Timestamp` may lie ahead of the emulator's clock, in seconds. AWS documents no limit. Default 300,
    /// the skew that signatures are allowed.
    pub future_tolerance_s: u32,
    /// Names under which browsers may use the page and the control API, besides addresses and names that nobody
    /// outside can own. Default: none.
    pub host_names: Vec<String>,
    /// The oldest `Timestamp` taken. Documented is "six hours". Default: exactly that.
    pub past_window: PastWindow,
    /// Error code of `MeterUsage` from a platform that is not supported. Its list of errors names none. Default
    /// `PlatformNotSupportedException`, which the integration guide names for both operations.
    pub platform_error_of_meter_usage: &'static str,
    /// Products on sale from the start, by product code. More can be put by the control API.
    pub products: BTreeMap<String, Product>,
    /// Account that publishes products sold as a service without a publisher of their own. Default `999999999999`.
    pub publisher: String,
    /// Calls a second, each account and region. `None`: never throttles by itself. Default: the documented quotas.
    pub quota: Option<Quota>,
    /// Where each operation is offered. Default: the documented lists.
    pub regions: Regions,
    /// What a resource meets that calls again after `CustomerNotEntitledException`. Documented is that the exception
    /// is thrown "only on the initial call". Default: it is asked again until it was once entitled, since by the
    /// letter a refused container would get in by restarting.
    pub refused_resource: RefusedResource,
    /// Refuse a `Timestamp` before the start of its task or pod. The rule is documented, how AWS learns of the start
    /// and what it answers are not. Default `false`.
    pub refuse_before_start: bool,
    /// How long a registration token can be resolved, in seconds. AWS says to redeem it at once, and in its own sample
    /// material that it lives for about four hours. Default 14,400.
    pub registration_token_life_s: u32,
    /// Region of tasks made without one. Default `us-east-1`.
    pub region: String,
    /// The time the emulator's clock shows at first, in Unix seconds. Default `None`: the real time.
    pub start_s: Option<u64>,
    /// The file in which the state is kept. Default `None`: it ends with the process.
    pub state: Option<PathBuf>,
    /// The subscriptions there are from the start.
    pub subscribed: Vec<Subscription>,
    /// Which characters a tag may have. The regular expression of the service model allows more than the sentence
    /// beside it. Default: the expression, since machines enforce that one.
    pub tag_charset: TagCharset,
    /// Among whose calls a `ClientToken` is unique. Undocumented, as is how long it is remembered (here: for ever).
    /// Default: those of one resource, since then a resend from another task shows up as the second bill it may be.
    pub token_scope: TokenScope,
    /// What `BatchMeterUsage` says of a customer it has never heard of. The model documents both an exception for the
    /// whole request and a status of the one record. Default: the exception, which is harder on the client.
    pub unknown_customer: UnknownCustomer,
    /// Which clock the `Date` header and the ends of credentials show, and signatures are held to. Default: the real
    /// one, so that real clients are not refused however the emulator's clock is moved.
    pub wire_clock: WireClock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            account: "123456789012".to_owned(),
            auth_error_status: 400,
            billed_from: BilledFrom::TaskStart,
            dry_run_checks_subscription: false,
            dry_run: DryRunReply::ErrorCode { status: 400 },
            expired_key: ExpiredKey::Sign,
            final_usage_s: 3_600,
            future_tolerance_s: 300,
            host_names: Vec::new(),
            past_window: PastWindow::Exact,
            platform_error_of_meter_usage: "PlatformNotSupportedException",
            products: BTreeMap::new(),
            publisher: "999999999999".to_owned(),
            quota: Some(Quota::DOCUMENTED),
            regions: Regions::documented(),
            refused_resource: RefusedResource::AskAgain,
            refuse_before_start: false,
            registration_token_life_s: 4 * 3_600,
            region: "us-east-1".to_owned(),
            start_s: None,
            state: None,
            subscribed: Vec::new(),
            tag_charset: TagCharset::Model,
            token_scope: TokenScope::Resource,
            unknown_customer: UnknownCustomer::Refuse,
            wire_clock: WireClock::Real,
        }
    }
}

/// From when `RegisterUsage` bills a task or pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BilledFrom {
    /// The first call.
    Registration,
    /// The start of the task; for one registered later than six hours after it, of the month at most.
    TaskStart,
}

/// An account's subscription to a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Twelve digits.
    pub account: String,
    /// The product code.
    pub product_code: String,
}

/// The answer to a permitted `DryRun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRunReply {
    /// 200 with an empty object: no `MeteringRecordId`.
    Empty,
    /// The error code `DryRunOperation`.
    ErrorCode {
        /// HTTP status; 400 and 412 are both seen in other services.
        status: u16,
    },
}

/// What `RegisterUsage` does under a key version that has been rotated out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiredKey {
    /// Answers `InvalidPublicKeyVersionException`.
    Refuse,
    /// Signs with the old key and says when it was rotated.
    Sign,
}

/// The oldest `Timestamp` that `MeterUsage` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastWindow {
    /// Six hours before now.
    Exact,
    /// Six hours before the start of the running hour, as observed in the field on `BatchMeterUsage`.
    FromHourStart,
}

/// What a resource meets that calls again after it was refused as not entitled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedResource {
    /// Its subscription is looked at again, until it was once entitled.
    AskAgain,
    /// It passes: by the letter, only the initial call can be refused.
    LetPass,
}

/// What becomes of a record for a customer that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownCustomer {
    /// Status `CustomerNotSubscribed`, for this record alone.
    NotSubscribed,
    /// `InvalidCustomerIdentifierException`, for the whole request.
    Refuse,
}

/// What clients see of time outside the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireClock {
    /// The emulator's clock: for clients whose own clock follows it. A signature may also be of the real time, or of a
    /// time the emulator showed before it was moved.
    Emulator,
    /// The real clock.
    Real,
}

/// Which characters a tag's key and value may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagCharset {
    /// `^[a-zA-Z0-9+ -=._:\/@]+$`, where ` -=` is a range from space to the equals sign.
    Model,
    /// Letters, digits, space and `+ - = . _ : / @`, as the prose lists them.
    Prose,
}

/// Among whose calls a `ClientToken` is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    /// All of one account.
    Account,
    /// Those of one ECS task or EKS pod.
    Resource,
}
