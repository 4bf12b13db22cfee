//! One call of the AWS API from bytes to answer: who signed, whether a fault or the quota stops it, what the rules of
//! its operation say, and the line of truth it leaves. Pure: time and randomness are arguments.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    account::{Task, Tasks, hex},
    entitlement::Entitlements,
    fault::{Fault, Faults, Suffered},
    jwt::Claims,
    ledger::{Ledger, Taken},
    meter_usage::{self, Metered},
    options::{DryRunReply, Options},
    product::Product,
    quota::Buckets,
    register_usage,
    sigv4::{self, AuthRefusal, Received, Signer},
    truth::{Call, Truth, Verdict},
    wire::{self, BadRequest, Reply},
};

/// All that the service remembers.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) options: Options,
    pub(crate) products: BTreeMap<String, Product>,
    pub(crate) tasks: Tasks,
    pub(crate) entitlements: Entitlements,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) truth: Truth,
    buckets: Buckets,
}

/// When a call arrives, and the randomness it may use.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// The emulator's clock, Unix milliseconds.
    pub(crate) now_ms: u64,
    /// The times a signature may be made at, Unix milliseconds.
    pub(crate) signing_ms: Vec<u64>,
    pub(crate) entropy: [u8; 16],
}

/// What the shell does with a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// `None`: the connection is closed without an answer.
    pub(crate) reply: Option<Reply>,
    /// How long the answer is held, in real milliseconds.
    pub(crate) delay_ms: u64,
    /// The number of the call in the truth.
    pub(crate) seq: u64,
}

/// How a call was decided, before faults touch the answer.
#[derive(Debug)]
struct Decision {
    reply: Reply,
    verdict: Verdict,
    rule: String,
    record_id: Option<String>,
}

impl Service {
    pub(crate) fn new(options: Options) -> Self {
        let mut entitlements = Entitlements::default();
        for product_code in &options.subscribed {
            entitlements.subscribe(product_code, true);
        }
        Self {
            products: options.products.clone(),
            options,
            tasks: Tasks::default(),
            entitlements,
            ledger: Ledger::default(),
            faults: Faults::default(),
            truth: Truth::default(),
            buckets: Buckets::default(),
        }
    }

    /// Decides one call and writes it down.
    pub(crate) fn answer(&mut self, received: Received<'_>, moment: &Moment) -> Answer {
        let target = received.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let operation = target.strip_prefix(TARGET_PREFIX).unwrap_or(target);
        let request: Value = serde_json::from_slice(received.body).unwrap_or(Value::Null);

        let signer = sigv4::verify(received, &self.tasks, &moment.signing_ms);
        let resource = signer.as_ref().map(|signer| signer.task.resource()).unwrap_or_default();
        let suffered = match &signer {
            Ok(_) => self.faults.take(operation, request["UsageDimension"].as_str()),
            Err(_) => Suffered::default(),
        };
        let decision = match (signer, suffered.fault) {
            (Err(refusal), _) => self.not_let_in(&refusal),
            (Ok(_), Some(fault @ (Fault::DropBefore | Fault::Error500 | Fault::Throttle))) => spoilt(fault),
            (Ok(signer), _) => self.perform(&signer, operation, received.body, &request, moment),
        };
        let Decision { reply, verdict, rule, record_id } = decision;
        let reply = match suffered.fault {
            Some(Fault::DropAfter | Fault::DropBefore) => None,
            Some(Fault::NoRecordId) if record_id.is_some() => Some(Reply::ok(json!({}))),
            _ => Some(reply),
        };
        let delay = (suffered.delay_ms > 0).then_some(Fault::Delay);
        let call = Call {
            seq: 0,
            at_ms: moment.now_ms,
            operation: operation.to_owned(),
            resource,
            request,
            status: reply.as_ref().map_or(0, |reply| reply.status),
            code: reply.as_ref().and_then(|reply| reply.code).map(str::to_owned),
            record_id,
            verdict,
            rule,
            fault: suffered.fault.or(delay).map(Fault::name),
        };
        Answer { seq: self.truth.append(call), reply, delay_ms: suffered.delay_ms }
    }

    /// A signed call that no fault stops: permission, quota, then its operation.
    fn perform(&mut self, signer: &Signer, operation: &str, body: &[u8], request: &Value, at: &Moment) -> Decision {
        if !signer.task.may(operation) {
            let dry_run = request["DryRun"].as_bool() == Some(true);
            let code = if dry_run { "UnauthorizedException" } else { "AccessDeniedException" };
            let message =
                format!("{} is not authorized to perform: aws-marketplace:{operation}", signer.task.role_arn());
            return refused(Reply::error(code, &message));
        }
        if !self.within_quota(signer, operation, at.now_ms) {
            let reply = Reply::error("ThrottlingException", "The calls to the API are throttled.");
            return Decision { rule: "quota".to_owned(), verdict: Verdict::NotProcessed, ..refused(reply) };
        }
        match operation {
            "MeterUsage" => self.meter_usage(signer, body, at).unwrap_or_else(|bad| malformed(&bad)),
            "RegisterUsage" => self.register_usage(signer, body, at).unwrap_or_else(|bad| malformed(&bad)),
            _ => {
                refused(Reply::error("UnknownOperationException", "This emulator knows RegisterUsage and MeterUsage."))
            }
        }
    }

    fn meter_usage(&mut self, signer: &Signer, body: &[u8], at: &Moment) -> Result<Decision, BadRequest> {
        let request = wire::meter_usage(body)?;
        let Signer { task, region } = signer;
        let decided = meter_usage::meter_usage(self, task, region, request, at.now_ms, uuid(at.entropy));
        Ok(match decided {
            Ok(Metered::DryRun) => {
                let rule = "dry-run".to_owned();
                Decision { reply: self.dry_run(), verdict: Verdict::DryRun, rule, record_id: None }
            }
            Ok(Metered::Kept(taken)) => {
                let (id, rule) = match taken {
                    Taken::New { id } => (id, "recorded"),
                    Taken::Same { id } => (id, "identical-record-was-there"),
                };
                let reply = Reply::ok(json!({ "MeteringRecordId": id }));
                Decision { reply, verdict: Verdict::Accepted, rule: rule.to_owned(), record_id: Some(id) }
            }
            Err(refusal) => refused(wire::meter_refusal(&refusal, self.options.platform_error_of_meter_usage)),
        })
    }

    fn register_usage(&mut self, signer: &Signer, body: &[u8], at: &Moment) -> Result<Decision, BadRequest> {
        let request = wire::register_usage(body)?;
        let Signer { task, region } = signer;
        let registered = match register_usage::register_usage(self, task, region, &request, at.now_ms) {
            Ok(registered) => registered,
            Err(refusal) => return Ok(refused(wire::register_refusal(&refusal))),
        };
        let claims = Claims {
            product_code: &request.product_code,
            public_key_version: request.public_key_version,
            nonce: request.nonce.as_deref(),
            iat: at.now_ms / 1_000,
        };
        let mut answer = match registered.key.sign(&claims) {
            Ok(signature) => json!({ "Signature": signature }),
            Err(error) => return Ok(refused(Reply::error("InternalServiceErrorException", &error.to_string()))),
        };
        if let Some(rotated_s) = registered.rotated_s {
            answer["PublicKeyRotationTimestamp"] = json!(rotated_s);
        }
        let rule = registered.rule.to_owned();
        Ok(Decision { reply: Reply::ok(answer), verdict: Verdict::Accepted, rule, record_id: None })
    }

    fn within_quota(&mut self, signer: &Signer, operation: &str, now_ms: u64) -> bool {
        let Some(quota) = self.options.quota else { return true };
        let per_second = match operation {
            "MeterUsage" => quota.meter_usage,
            "RegisterUsage" => quota.register_usage,
            _ => return true,
        };
        let Signer { task: Task { account, .. }, region } = signer;
        self.buckets.take(format!("{account}/{region}/{operation}"), per_second, now_ms)
    }

    fn dry_run(&self) -> Reply {
        match self.options.dry_run {
            DryRunReply::Empty => Reply::ok(json!({})),
            DryRunReply::ErrorCode { status } => {
                let message = "Request would have succeeded, but DryRun flag is set.";
                Reply { status, ..Reply::error("DryRunOperation", message) }
            }
        }
    }

    fn not_let_in(&self, refusal: &AuthRefusal) -> Decision {
        let reply = Reply::error(refusal.code(), &refusal.to_string());
        refused(Reply { status: self.options.auth_error_status, ..reply })
    }
}

/// A refusal, whose rule is named after its code.
fn refused(reply: Reply) -> Decision {
    let rule = reply.code.unwrap_or_default().to_owned();
    Decision { reply, verdict: Verdict::Refused, rule, record_id: None }
}

fn malformed(bad: &BadRequest) -> Decision {
    refused(Reply::error(bad.code(), &bad.to_string()))
}

/// A call that a fault stops before anything is decided.
fn spoilt(fault: Fault) -> Decision {
    let reply = match fault {
        Fault::Throttle => Reply::error("ThrottlingException", "The calls to the API are throttled."),
        _ => Reply::error("InternalServiceErrorException", "An internal error has occurred. Retry your request."),
    };
    Decision { rule: "fault".to_owned(), verdict: Verdict::NotProcessed, ..refused(reply) }
}

/// A random id in the form the service's examples have.
pub(crate) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let [a, b, c, d, e] = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]].map(hex);
    format!("{a}-{b}-{c}-{d}-{e}")
}

const TARGET_PREFIX: &str = "AWSMPMeteringService.";
