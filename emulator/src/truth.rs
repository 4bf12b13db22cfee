//! The truth for those who test a client: every call with its verdict and the rule that decided it, and each record
//! that AWS would bill. Only appended to. Calls are kept up to a number of bytes; then the oldest go, and
//! [`Truth::dropped`] says how many.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    bill::{hour_text, parts},
    ledger::{Ledger, Record, RecordKey, Source},
    quantity::Quantity,
    state::Change,
};

/// One call of the AWS API, as it was decided.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Call {
    /// Counts from 1, without gaps.
    pub(crate) seq: u64,
    /// The emulator's clock, Unix milliseconds.
    pub(crate) at_ms: u64,
    pub(crate) operation: String,
    /// Empty when the caller could not be told.
    pub(crate) resource: String,
    /// Account of the caller; empty likewise.
    pub(crate) account: String,
    /// Region of the endpoint called; empty likewise.
    pub(crate) region: String,
    pub(crate) request: Value,
    /// HTTP status; 0 when the connection was closed without an answer.
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    /// The answer as it was decided, whatever a fault made of it.
    pub(crate) reply: Value,
    pub(crate) record_id: Option<String>,
    pub(crate) verdict: Verdict,
    /// Which rule decided.
    pub(crate) rule: String,
    /// The fault that spoilt the call or its answer.
    pub(crate) fault: Option<&'static str>,
}

/// What became of a call, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// The service took it, whatever the client saw.
    Accepted,
    /// A dry run that would have been taken.
    DryRun,
    /// A fault or the quota; nothing was decided.
    NotProcessed,
    /// A rule said no.
    Refused,
}

/// The log of calls, each as the JSON it is shown in: a fifth of what it takes as values.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    calls: VecDeque<Box<RawValue>>,
    bytes: usize,
    last: u64,
    /// What was added since the state was written last.
    pub(crate) changes: Vec<Change>,
}

impl Truth {
    /// Appends a call and gives it its number.
    pub(crate) fn append(&mut self, mut call: Call) -> u64 {
        self.last += 1;
        call.seq = self.last;
        let line = serde_json::value::to_raw_value(&call).unwrap_or_default();
        self.changes.push(Change::Call(line.clone()));
        self.keep(line);
        self.last
    }

    /// Takes a call as it was written down.
    pub(crate) fn restore(&mut self, line: Box<RawValue>) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Numbered {
            seq: u64,
        }
        let Numbered { seq } = serde_json::from_str(line.get()).map_err(|error| error.to_string())?;
        if seq != self.last + 1 {
            return Err(format!("call {seq} follows call {}", self.last));
        }
        self.last = seq;
        self.keep(line);
        Ok(())
    }

    fn keep(&mut self, line: Box<RawValue>) {
        self.bytes += weight(&line);
        self.calls.push_back(line);
        while self.bytes > BYTES_MAX
            && let Some(oldest) = self.calls.pop_front()
        {
            self.bytes -= weight(&oldest);
        }
    }

    /// The calls after number `seq`, oldest first, at most `max` of them.
    pub(crate) fn after(&self, seq: u64, max: usize) -> Vec<Box<RawValue>> {
        let known = usize::try_from(seq.saturating_sub(self.dropped())).unwrap_or(usize::MAX);
        self.calls.iter().skip(known).take(max).cloned().collect()
    }

    /// The number of the newest call; 0 before the first.
    pub(crate) fn newest(&self) -> u64 {
        self.last
    }

    /// How many of the first calls are kept no longer.
    pub(crate) fn dropped(&self) -> u64 {
        self.last - u64::try_from(self.calls.len()).unwrap_or(u64::MAX)
    }
}

/// Bytes a call takes in memory, its place in the list included.
fn weight(line: &RawValue) -> usize {
    line.get().len() + size_of::<Box<RawValue>>()
}

/// Each record that AWS would bill, for the control API.
#[derive(Debug, Serialize)]
pub(crate) struct Records {
    records: Vec<BillRecord>,
    registrations: Vec<BillRegistration>,
    /// Units of each dimension over all products, resources and hours.
    billed: BTreeMap<String, Quantity>,
    /// The same, split as the buyer's bill is.
    billed_by_hour: Vec<BillLine>,
}

#[derive(Debug, Serialize)]
struct BillRecord {
    product_code: String,
    /// Empty for usage that a service reports of its customers.
    resource: String,
    /// Whose usage a service reports.
    customer: Option<BillCustomer>,
    dimension: String,
    hour: String,
    /// Unix seconds.
    timestamp: i64,
    quantity: Quantity,
    allocations: Vec<BillAllocation>,
    record_id: String,
    seen: u32,
}

#[derive(Debug, Serialize)]
struct BillCustomer {
    account: String,
    license_arn: Option<String>,
    region: String,
}

#[derive(Debug, Serialize)]
struct BillAllocation {
    quantity: Quantity,
    tags: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct BillRegistration {
    product_code: String,
    resource: String,
    at_ms: u64,
}

#[derive(Debug, Serialize)]
struct BillLine {
    product_code: String,
    dimension: String,
    hour: String,
    tags: Vec<(String, String)>,
    quantity: Quantity,
}

impl Records {
    /// Sums up what the ledger holds.
    pub(crate) fn of(ledger: &Ledger) -> Self {
        let mut billed: BTreeMap<String, Quantity> = BTreeMap::new();
        let mut lines = BTreeMap::new();
        for (key, record) in ledger.records() {
            *billed.entry(key.dimension.clone()).or_default() += record.quantity;
            for (tags, quantity) in parts(record) {
                let line = (key.product_code.clone(), key.dimension.clone(), key.hour, tags);
                *lines.entry(line).or_default() += quantity;
            }
        }
        let lines = lines.into_iter().map(|((product_code, dimension, hour, tags), quantity)| BillLine {
            product_code,
            dimension,
            hour: hour_text(hour),
            tags,
            quantity,
        });
        let registrations = ledger.registrations().iter().cloned().map(|registration| BillRegistration {
            product_code: registration.product_code,
            resource: registration.resource,
            at_ms: registration.at_ms,
        });
        Self {
            records: ledger.records().map(|(key, record)| bill_record(key, record)).collect(),
            registrations: registrations.collect(),
            billed,
            billed_by_hour: lines.collect(),
        }
    }
}

fn bill_record(key: &RecordKey, record: &Record) -> BillRecord {
    let allocations = record.allocations.iter().cloned();
    let (resource, customer) = match key.source.clone() {
        Source::Customer { account, license_arn, region } => {
            (String::new(), Some(BillCustomer { account, license_arn, region }))
        }
        Source::Resource(resource) => (resource, None),
    };
    BillRecord {
        product_code: key.product_code.clone(),
        resource,
        customer,
        dimension: key.dimension.clone(),
        hour: hour_text(key.hour),
        timestamp: record.timestamp_ms.div_euclid(1_000),
        quantity: record.quantity,
        allocations: allocations.map(|a| BillAllocation { quantity: a.quantity, tags: a.tags }).collect(),
        record_id: record.id.clone(),
        seen: record.seen,
    }
}

/// What the calls may take in memory.
const BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn call(bytes: usize) -> Call {
        Call {
            seq: 0,
            at_ms: 0,
            operation: "MeterUsage".to_owned(),
            resource: String::new(),
            account: String::new(),
            region: String::new(),
            request: Value::String("x".repeat(bytes)),
            status: 200,
            code: None,
            reply: Value::Null,
            record_id: None,
            verdict: Verdict::Accepted,
            rule: "recorded".to_owned(),
            fault: None,
        }
    }

    #[test]
    fn the_oldest_calls_go_when_the_log_is_full_and_the_numbers_stay() {
        let mut truth = Truth::default();
        for _ in 0..70 {
            truth.append(call(1 << 20));
        }
        assert!((6..10).contains(&truth.dropped()), "{} dropped", truth.dropped());
        let seq = |line: &RawValue| serde_json::from_str::<Value>(line.get()).unwrap()["seq"].as_u64().unwrap();
        let all = truth.after(0, 100);
        assert_eq!((seq(&all[0]), seq(&all[all.len() - 1])), (truth.dropped() + 1, 70));
        assert_eq!(truth.after(68, 100).iter().map(|line| seq(line)).collect::<Vec<_>>(), [69, 70]);
        assert_eq!(truth.after(68, 1).len(), 1);
        assert!(truth.after(70, 100).is_empty() && truth.after(u64::MAX, 100).is_empty());
    }
}
