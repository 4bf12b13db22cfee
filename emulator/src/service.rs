//! One call of the AWS API from bytes to answer: who signed, whether a fault or the quota stops it, what the rules of
//! its operation say, and the line of truth it leaves. Pure: time and randomness are arguments.

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::digest;
use serde_json::{Value, json};

use crate::{
    account::{Tasks, hex},
    entitlement::Entitlements,
    fault::{Fault, Faults, Suffered, Target},
    jwt::{KeyError, SigningKey},
    ledger::Ledger,
    operation::{Operation, TARGET_PREFIX},
    options::{Options, Subscription},
    product::Product,
    quota::Buckets,
    resolve_customer::RegistrationTokens,
    sigv4::{self, AuthRefusal, Received, Signer, Times},
    state::Change,
    truth::{Call, Truth, Verdict},
    wire::{self, BadRequest, Reply},
};

mod operations;

/// All that the service remembers.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) options: Options,
    pub(crate) products: BTreeMap<String, Product>,
    pub(crate) tasks: Tasks,
    pub(crate) entitlements: Entitlements,
    pub(crate) registration_tokens: RegistrationTokens,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) truth: Truth,
    /// Changes of products and of the issuer since the state was written last.
    pub(crate) changes: Vec<Change>,
    /// Signs the tokens of service accounts; made when the first pod needs it.
    pub(crate) issuer: Option<Arc<SigningKey>>,
    buckets: Buckets,
}

/// When a call arrives, and the randomness it may use.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// The emulator's clock, Unix milliseconds.
    pub(crate) now_ms: u64,
    pub(crate) times: Times,
    pub(crate) entropy: [u8; 64],
}

/// What the shell does with a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// What becomes of the reply on its way.
    pub(crate) delivery: Delivery,
    /// How long the answer is held, in real milliseconds.
    pub(crate) delay_ms: u64,
    /// By how much its `Date` is wrong.
    pub(crate) date_skew_s: i64,
    /// The number of the call in the truth; none for what is not a call of the metering service.
    pub(crate) seq: Option<u64>,
}

/// How an answer reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The connection closes without a byte.
    Dropped,
    /// The connection is reset without a byte.
    Reset,
    /// The connection closes in the middle of the body.
    Truncated,
    Whole,
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
        let mut products = options.products.clone();
        products.values_mut().for_each(|product| product.publish_by(&options.publisher));
        Self {
            products,
            options,
            tasks: Tasks::default(),
            entitlements: Entitlements::default(),
            registration_tokens: RegistrationTokens::default(),
            ledger: Ledger::default(),
            faults: Faults::default(),
            truth: Truth::default(),
            changes: Vec::new(),
            issuer: None,
            buckets: Buckets::default(),
        }
    }

    /// Puts a product on sale, or in the place of what it was.
    pub(crate) fn put_product(&mut self, code: String, product: Product) {
        self.changes.push(Change::Product(code.clone(), product.clone()));
        self.products.insert(code, product);
    }

    /// Notes the key that signs the tokens of service accounts; the first stays.
    pub(crate) fn take_issuer(&mut self, made: SigningKey) {
        if self.issuer.is_none() {
            let made = Arc::new(made);
            self.changes.push(Change::Issuer(Arc::clone(&made)));
            self.issuer = Some(made);
        }
    }

    /// Makes the keys and the subscriptions there are to be from the start. A subscription that was ended since stays
    /// ended.
    pub(crate) fn start(&mut self) -> Result<(), KeyError> {
        for code in self.options.products.keys() {
            if let Some(product) = self.products.get_mut(code) {
                product.generate_expected_keys()?;
                self.changes.push(Change::Product(code.clone(), product.clone()));
            }
        }
        let since_ms = self.options.start_s.unwrap_or_default().saturating_mul(1_000);
        for Subscription { account, product_code } in &self.options.subscribed {
            if self.entitlements.of_customer(product_code, account).is_none() {
                self.entitlements.subscribe(product_code, account, since_ms);
            }
        }
        Ok(())
    }

    /// Decides one call and writes it down.
    pub(crate) fn answer(&mut self, received: Received<'_>, moment: &Moment) -> Answer {
        let target = received.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let name = target.strip_prefix(TARGET_PREFIX).unwrap_or(target);
        let request: Value = serde_json::from_slice(received.body).unwrap_or(Value::Null);

        let signer = sigv4::verify(received, &self.tasks, &moment.times);
        let resource = signer.as_ref().map(|signer| signer.task.resource()).unwrap_or_default();
        let (account, region) = signer.as_ref().map_or_else(
            |_| (String::new(), String::new()),
            |signer| (signer.task.account.clone(), signer.region.clone()),
        );
        let suffered = if signer.is_ok() {
            let (dimensions, now_ms) = (wire::dimensions(&request), moment.now_ms);
            self.faults.take(&Target { operation: name, dimensions, resource: &resource, now_ms })
        } else {
            Suffered::default()
        };
        let decision = match (signer, suffered.fault.and_then(spoilt)) {
            (Err(refusal), _) => self.not_let_in(&refusal),
            (Ok(_), Some(reply)) => {
                let rule = "fault".to_owned();
                Decision { reply, rule, verdict: Verdict::NotProcessed, record_id: None }
            }
            (Ok(signer), None) => {
                let unprocessed = suffered.fault == Some(Fault::Unprocessed);
                self.perform(&signer, Operation::of_target(target), received.body, &request, moment, unprocessed)
            }
        };
        let Decision { reply, verdict, rule, record_id } = decision;
        let decided = reply.json().clone();
        let reply = match suffered.fault {
            Some(Fault::NoRecordId) if record_id.is_some() => Reply::ok(json!({})),
            _ => reply,
        };
        let delivery = delivery(suffered.fault);
        let arrives = !matches!(delivery, Delivery::Dropped | Delivery::Reset);
        let delay = (suffered.delay_ms > 0).then_some(Fault::Delay);
        let call = Call {
            seq: 0,
            at_ms: moment.now_ms,
            operation: name.to_owned(),
            resource,
            account,
            region,
            request,
            status: if arrives { reply.status } else { 0 },
            code: reply.code.filter(|_| arrives).map(str::to_owned),
            reply: decided,
            record_id,
            verdict,
            rule,
            fault: suffered.fault.or(delay).map(Fault::name),
        };
        let seq = Some(self.truth.append(call));
        Answer { seq, reply, delivery, delay_ms: suffered.delay_ms, date_skew_s: suffered.skew_s }
    }

    /// A signed call that no fault stops: permission, quota, then its operation.
    fn perform(
        &mut self,
        signer: &Signer,
        operation: Option<Operation>,
        body: &[u8],
        request: &Value,
        at: &Moment,
        unprocessed: bool,
    ) -> Decision {
        let Some(operation) = operation else {
            return refused(Reply::common("UnknownOperationException", "The requested operation is not known."));
        };
        if !signer.task.may(operation.name()) {
            let dry_run = request["DryRun"].as_bool() == Some(true);
            let (role, name) = (signer.task.role_arn(), operation.name());
            let message = format!("{role} is not authorized to perform: aws-marketplace:{name}");
            let code = if dry_run { "UnauthorizedException" } else { "AccessDeniedException" };
            return refused(Reply::common(code, &message));
        }
        if !self.within_quota(signer, operation, at.now_ms) {
            let reply = Reply::error("ThrottlingException", THROTTLED);
            return Decision { rule: "quota".to_owned(), verdict: Verdict::NotProcessed, ..refused(reply) };
        }
        let decided = match operation {
            Operation::BatchMeterUsage => self.batch_meter_usage(signer, body, at, unprocessed),
            Operation::MeterUsage => self.meter_usage(signer, body, at),
            Operation::RegisterUsage => self.register_usage(signer, body, at),
            Operation::ResolveCustomer => self.resolve_customer(signer, body, at),
        };
        decided.unwrap_or_else(|bad| malformed(&bad))
    }

    fn within_quota(&mut self, signer: &Signer, operation: Operation, now_ms: u64) -> bool {
        let Some(per_second) = self.options.quota.and_then(|quota| quota.of(operation)) else { return true };
        let bucket = format!("{}/{}/{}", signer.task.account, signer.region, operation.name());
        self.buckets.take(bucket, per_second, now_ms)
    }

    fn not_let_in(&self, refusal: &AuthRefusal) -> Decision {
        let reply = Reply::common(refusal.code(), &refusal.to_string());
        refused(Reply { status: self.options.auth_error_status, ..reply })
    }
}

/// A refusal, whose rule is named after its code.
fn refused(reply: Reply) -> Decision {
    let rule = reply.code.unwrap_or_default().to_owned();
    Decision { reply, verdict: Verdict::Refused, rule, record_id: None }
}

fn malformed(bad: &BadRequest) -> Decision {
    refused(Reply::common(bad.code(), &bad.to_string()))
}

/// The answer to a call that a fault stops before anything is decided.
fn spoilt(fault: Fault) -> Option<Reply> {
    match fault {
        Fault::Throttle => Some(Reply::error("ThrottlingException", THROTTLED)),
        Fault::ExpiredCredentials => {
            Some(Reply::common("ExpiredTokenException", "The security token included in the request is expired"))
        }
        Fault::Error503 => Some(Reply::unavailable()),
        Fault::DropBefore | Fault::Error500 | Fault::ResetBefore => {
            let message = "An internal error has occurred. Retry your request.";
            Some(Reply::error("InternalServiceErrorException", message))
        }
        _ => None,
    }
}

pub(crate) fn delivery(fault: Option<Fault>) -> Delivery {
    match fault {
        Some(Fault::DropAfter | Fault::DropBefore) => Delivery::Dropped,
        Some(Fault::ResetAfter | Fault::ResetBefore) => Delivery::Reset,
        Some(Fault::Truncate) => Delivery::Truncated,
        _ => Delivery::Whole,
    }
}

/// A random id in the form the service's examples have; the n-th of one call.
pub(crate) fn uuid(entropy: &[u8], n: usize) -> String {
    let mut seed = entropy.to_vec();
    seed.extend(n.to_be_bytes());
    let hash = digest::digest(&digest::SHA256, &seed);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let [a, b, c, d, e] = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]].map(hex);
    format!("{a}-{b}-{c}-{d}-{e}")
}

const THROTTLED: &str = "The calls to the API are throttled.";
