//! What the emulator saw: its log of calls, read as it grows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tollgate_cli::http::Http;

/// Faults after which nobody knows whether AWS took the record.
const DOUBTFUL: [&str; 4] = ["drop-before", "drop-after", "error-500", "no-record-id"];

#[derive(Deserialize)]
struct Page {
    calls: Vec<Call>,
    last: u64,
}

#[derive(Deserialize)]
struct Call {
    at_ms: u64,
    resource: String,
    request: Value,
    verdict: String,
    code: Option<String>,
    fault: Option<String>,
}

pub(super) struct Calls {
    origin: String,
    http: Http,
    after: u64,
    /// Calls that a fault spoilt, by its kind.
    pub(super) faults: BTreeMap<String, u64>,
    /// Client tokens of records with a doubtful fault.
    pub(super) spoilt: BTreeSet<String>,
    /// Client tokens of records that the emulator took.
    pub(super) taken: BTreeSet<String>,
    /// Client tokens of records that came after the six hours of AWS.
    pub(super) too_late: BTreeSet<String>,
    /// Client tokens of records that came before the time they are of.
    pub(super) too_early: BTreeSet<String>,
    /// How often each client token arrived.
    pub(super) arrived: BTreeMap<String, u64>,
    /// How many records with usage have arrived.
    pub(super) records: u64,
    /// The resources that asked for entitlement and were told yes.
    pub(super) entitled: BTreeSet<String>,
}

impl Calls {
    pub(super) fn of(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            http: Http::http1(),
            after: 0,
            faults: BTreeMap::new(),
            spoilt: BTreeSet::new(),
            taken: BTreeSet::new(),
            too_late: BTreeSet::new(),
            too_early: BTreeSet::new(),
            arrived: BTreeMap::new(),
            records: 0,
            entitled: BTreeSet::new(),
        }
    }

    /// Reads what is there.
    pub(super) async fn read(&mut self) {
        while self.page(0).await {}
    }

    /// Waits until `enough`, but not longer than `at_most`.
    pub(super) async fn until(&mut self, at_most: Duration, enough: impl Fn(&Self) -> bool) -> bool {
        let wait = async {
            while !enough(self) {
                self.page(5).await;
            }
        };
        tokio::time::timeout(at_most, wait).await.is_ok()
    }

    async fn page(&mut self, wait_s: u64) -> bool {
        let url = format!("{}/_tollgate/calls?after={}&wait_s={wait_s}", self.origin, self.after);
        let page: Page = serde_json::from_slice(&self.http.get(&url).await.unwrap().body).unwrap();
        self.after = page.last;
        page.calls.iter().for_each(|call| self.note(call));
        !page.calls.is_empty()
    }

    fn note(&mut self, call: &Call) {
        if let Some(fault) = &call.fault {
            *self.faults.entry(fault.clone()).or_default() += 1;
        }
        if call.code.as_deref() == Some("ThrottlingException") && call.fault.is_none() {
            *self.faults.entry("quota".to_owned()).or_default() += 1;
        }
        if call.request["UsageDimension"] == "start" {
            if call.verdict == "accepted" {
                self.entitled.insert(call.resource.clone());
            }
            return;
        }
        let Some(token) = call.request["ClientToken"].as_str() else { return };
        self.records += 1;
        *self.arrived.entry(token.to_owned()).or_default() += 1;
        if call.fault.as_deref().is_some_and(|fault| DOUBTFUL.contains(&fault)) {
            self.spoilt.insert(token.to_owned());
        }
        if call.verdict == "accepted" {
            self.taken.insert(token.to_owned());
        }
        let (at_s, of_s) = (call.at_ms / 1_000, call.request["Timestamp"].as_u64().unwrap());
        if at_s < of_s {
            self.too_early.insert(token.to_owned());
        }
        let age_s = at_s.saturating_sub(of_s);
        // In whole seconds: six hours and a fraction, which AWS refuses, are six hours here.
        if age_s >= 6 * 3_600 {
            self.too_late.insert(token.to_owned());
        }
    }
}
