//! The truth for those who test a client: every call with its verdict and the rule that decided it, and what AWS would
//! bill. Only appended to; when it is full, the oldest calls go.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

use crate::ledger::{Ledger, Record, RecordKey};

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
    pub(crate) request: Value,
    /// HTTP status; 0 when the connection was closed without an answer.
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
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

/// The log of calls.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    calls: VecDeque<Call>,
    last: u64,
}

impl Truth {
    /// Appends a call and gives it its number.
    pub(crate) fn append(&mut self, mut call: Call) -> u64 {
        self.last += 1;
        call.seq = self.last;
        if self.calls.len() == CALLS_MAX {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
        self.last
    }

    /// The calls after number `seq`, oldest first, at most a page of them.
    pub(crate) fn after(&self, seq: u64) -> Vec<Call> {
        let from = self.calls.partition_point(|call| call.seq <= seq);
        self.calls.iter().skip(from).take(PAGE_MAX).cloned().collect()
    }
}

/// What AWS would bill, for the control API.
#[derive(Debug, Serialize)]
pub(crate) struct Bill {
    records: Vec<BillRecord>,
    registrations: Vec<BillRegistration>,
    /// Units of each dimension over all products, resources and hours.
    billed: BTreeMap<String, u64>,
    /// The same, split as the buyer's bill is.
    billed_by_hour: Vec<BillLine>,
}

#[derive(Debug, Serialize)]
struct BillRecord {
    product_code: String,
    resource: String,
    dimension: String,
    hour: String,
    /// Unix seconds.
    timestamp: i64,
    quantity: u32,
    allocations: Vec<BillAllocation>,
    record_id: String,
    seen: u32,
}

#[derive(Debug, Serialize)]
struct BillAllocation {
    quantity: u32,
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
    quantity: u64,
}

impl Bill {
    /// Sums up what the ledger holds.
    pub(crate) fn of(ledger: &Ledger) -> Self {
        let mut billed: BTreeMap<String, u64> = BTreeMap::new();
        let mut lines = BTreeMap::new();
        for (key, record) in ledger.records() {
            *billed.entry(key.dimension.clone()).or_default() += u64::from(record.quantity);
            for (tags, quantity) in parts(record) {
                let line = (key.product_code.clone(), key.dimension.clone(), key.hour, tags);
                *lines.entry(line).or_insert(0_u64) += u64::from(quantity);
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

/// The parts a record is billed in: its allocations, or all of it untagged.
fn parts(record: &Record) -> Vec<(Vec<(String, String)>, u32)> {
    if record.allocations.is_empty() {
        return vec![(Vec::new(), record.quantity)];
    }
    record.allocations.iter().map(|allocation| (allocation.tags.clone(), allocation.quantity)).collect()
}

fn bill_record(key: &RecordKey, record: &Record) -> BillRecord {
    let allocations = record.allocations.iter().cloned();
    BillRecord {
        product_code: key.product_code.clone(),
        resource: key.resource.clone(),
        dimension: key.dimension.clone(),
        hour: hour_text(key.hour),
        timestamp: record.timestamp_ms.div_euclid(1_000),
        quantity: record.quantity,
        allocations: allocations.map(|a| BillAllocation { quantity: a.quantity, tags: a.tags }).collect(),
        record_id: record.id.clone(),
        seen: record.seen,
    }
}

/// The start of an hour in RFC 3339.
fn hour_text(hour: i64) -> String {
    jiff::Timestamp::from_second(hour.saturating_mul(3_600))
        .map_or_else(|_| hour.to_string(), |start| start.to_string())
}

const CALLS_MAX: usize = 1_000_000;
const PAGE_MAX: usize = 1_000;
