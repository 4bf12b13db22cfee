//! What can be chosen when an emulator is made. Each undocumented point of AWS is a field here.

use std::collections::BTreeMap;

use crate::{product::Product, quota::Quota};

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
    /// How far a `Timestamp` may lie ahead of the emulator's clock, in seconds. AWS documents no limit. Default 300,
    /// the skew that signatures are allowed.
    pub future_tolerance_s: u32,
    /// The oldest `Timestamp` taken. Documented is "six hours". Default: exactly that.
    pub past_window: PastWindow,
    /// Error code of `MeterUsage` from a platform that is not supported. Its list of errors names none. Default
    /// `PlatformNotSupportedException`, which the integration guide names for both operations.
    pub platform_error_of_meter_usage: &'static str,
    /// Products on sale from the start, by product code. More can be put by the control API.
    pub products: BTreeMap<String, Product>,
    /// Calls a second, each account and region. `None`: never throttles by itself. Default: the documented quotas.
    pub quota: Option<Quota>,
    /// What a resource meets that calls again after `CustomerNotEntitledException`. Documented is that the exception
    /// is thrown "only on the initial call". Default: it is asked again until it was once entitled, since by the
    /// letter a refused container would get in by restarting.
    pub refused_resource: RefusedResource,
    /// Refuse a `Timestamp` before the start of its task or pod. The rule is documented, how AWS learns of the start
    /// and what it answers are not. Default `false`.
    pub refuse_before_start: bool,
    /// Region of tasks made without one. Default `us-east-1`.
    pub region: String,
    /// The time the emulator's clock shows at first, in Unix seconds. Default `None`: the real time.
    pub start_s: Option<u64>,
    /// Product codes the account is subscribed to from the start.
    pub subscribed: Vec<String>,
    /// Which characters a tag may have. The regular expression of the service model allows more than the sentence
    /// beside it. Default: the expression, since machines enforce that one.
    pub tag_charset: TagCharset,
    /// Among whose calls a `ClientToken` is unique. Undocumented, as is how long it is remembered (here: for ever).
    /// Default: those of one resource, since then a resend from another task shows up as the second bill it may be.
    pub token_scope: TokenScope,
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
            future_tolerance_s: 300,
            past_window: PastWindow::Exact,
            platform_error_of_meter_usage: "PlatformNotSupportedException",
            products: BTreeMap::new(),
            quota: Some(Quota::DOCUMENTED),
            refused_resource: RefusedResource::AskAgain,
            refuse_before_start: false,
            region: "us-east-1".to_owned(),
            start_s: None,
            subscribed: Vec::new(),
            tag_charset: TagCharset::Model,
            token_scope: TokenScope::Resource,
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
