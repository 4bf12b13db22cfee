//! Faults on demand: what goes wrong, for which calls, how often.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// The call is decided at once, its answer comes late.
    Delay,
    /// The call is decided and kept, then the connection closes without an answer.
    DropAfter,
    /// The connection closes before anything is decided.
    DropBefore,
    /// `InternalServiceErrorException`; nothing is kept.
    #[serde(rename = "error-500")]
    Error500,
    /// 503 of a load balancer, in HTML; nothing is kept.
    #[serde(rename = "error-503")]
    Error503,
    /// `ExpiredTokenException` for the credentials; nothing is kept.
    ExpiredCredentials,
    /// The record is kept, the answer is 200 without a `MeteringRecordId`.
    NoRecordId,
    /// The call is decided and kept, then the connection is reset.
    ResetAfter,
    /// The connection is reset before anything is decided.
    ResetBefore,
    /// `ThrottlingException`; nothing is kept.
    Throttle,
    /// The call is decided and kept, the answer ends in the middle of its body.
    Truncate,
    /// `BatchMeterUsage` hands back the records as unprocessed; nothing is kept.
    Unprocessed,
    /// The `Date` of the answer is wrong.
    WrongDate,
}

impl Fault {
    /// The name in the control API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::DropAfter => "drop-after",
            Self::DropBefore => "drop-before",
            Self::Error500 => "error-500",
            Self::Error503 => "error-503",
            Self::ExpiredCredentials => "expired-credentials",
            Self::NoRecordId => "no-record-id",
            Self::ResetAfter => "reset-after",
            Self::ResetBefore => "reset-before",
            Self::Throttle => "throttle",
            Self::Truncate => "truncate",
            Self::Unprocessed => "unprocessed",
            Self::WrongDate => "wrong-date",
        }
    }
}

/// A fault and the calls it waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planned {
    pub(crate) fault: Fault,
    /// Only this operation; absent: any.
    pub(crate) operation: Option<String>,
    /// Only calls that name this dimension; absent: any.
    pub(crate) dimension: Option<String>,
    /// Only calls of this task, pod or instance; absent: any.
    pub(crate) resource: Option<String>,
    /// How many calls it hits. Absent: one, or without end if it has a probability or a duration.
    pub(crate) count: Option<u32>,
    /// With which probability a call that it waits for is hit, 0 to 1; absent: always.
    pub(crate) probability: Option<f64>,
    /// What the probability is drawn from, so that a run can be repeated.
    #[serde(default)]
    pub(crate) seed: u64,
    /// How long it waits, in seconds on the emulator's clock; absent: until it has hit often enough.
    pub(crate) for_s: Option<u64>,
    /// How late the answer of a `delay` is, in real milliseconds.
    #[serde(default)]
    pub(crate) delay_ms: u64,
    /// By how much the `Date` of a `wrong-date` is off, in seconds.
    #[serde(default = "an_hour")]
    pub(crate) skew_s: i64,
}

impl Planned {
    /// What is wrong with it, if anything.
    pub(crate) fn mistake(&self) -> Option<&'static str> {
        match self {
            Self { count: Some(0), .. } => Some("count must be at least 1"),
            Self { probability: Some(p), .. } if !(0.0..=1.0).contains(p) => Some("probability must be from 0 to 1"),
            Self { delay_ms, .. } if *delay_ms > DELAY_MAX_MS => Some("delay_ms must be at most 600000"),
            _ => None,
        }
    }
}

/// A call, as far as faults care.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) operation: &'a str,
    pub(crate) dimensions: Vec<&'a str>,
    pub(crate) resource: &'a str,
    /// The emulator's clock, Unix milliseconds.
    pub(crate) now_ms: u64,
}

/// What one call suffers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Suffered {
    pub(crate) fault: Option<Fault>,
    pub(crate) delay_ms: u64,
    /// How wrong the `Date` is.
    pub(crate) skew_s: i64,
}

/// All faults that wait, in the order they were planned.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Waiting>,
    last_id: u64,
}

/// A planned fault and how far it has come.
#[derive(Debug, Serialize)]
pub(crate) struct Waiting {
    id: u64,
    #[serde(flatten)]
    planned: Planned,
    /// How many more calls it hits; `None`: without end.
    left: Option<u32>,
    /// How many it has hit.
    hits: u64,
    until_ms: Option<u64>,
    #[serde(skip)]
    random: u64,
}

impl Faults {
    /// Adds a fault and gives it an id; `None` when too many wait already.
    pub(crate) fn plan(&mut self, planned: Planned, now_ms: u64) -> Option<u64> {
        if self.waiting.len() >= FAULTS_MAX {
            return None;
        }
        self.last_id += 1;
        let endless = planned.probability.is_some() || planned.for_s.is_some();
        self.waiting.push(Waiting {
            id: self.last_id,
            left: planned.count.or_else(|| (!endless).then_some(1)),
            hits: 0,
            until_ms: planned.for_s.map(|seconds| now_ms.saturating_add(seconds.saturating_mul(1_000))),
            random: planned.seed,
            planned,
        });
        Some(self.last_id)
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Takes one fault away; `false` when there is none of that id.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.id != id);
        self.waiting.len() < before
    }

    pub(crate) fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// Uses up what waits for this call: the first delay and the first of the other faults.
    pub(crate) fn take(&mut self, call: &Target<'_>) -> Suffered {
        self.waiting.retain(|waiting| waiting.until_ms.is_none_or(|until_ms| call.now_ms < until_ms));
        let delay_ms = self.take_one(call, true).map_or(0, |planned| planned.delay_ms);
        let other = self.take_one(call, false);
        let fault = other.as_ref().map(|planned| planned.fault);
        let skew_s = other.filter(|planned| planned.fault == Fault::WrongDate).map_or(0, |planned| planned.skew_s);
        Suffered { fault, delay_ms, skew_s }
    }

    fn take_one(&mut self, call: &Target<'_>, delay: bool) -> Option<Planned> {
        let waiting = self.waiting.iter_mut();
        let mut ours =
            waiting.filter(|waiting| (waiting.planned.fault == Fault::Delay) == delay && waiting.wants(call));
        let hit = ours.find_map(|waiting| waiting.draw().then_some(waiting))?;
        hit.hits += 1;
        hit.left = hit.left.map(|left| left.saturating_sub(1));
        let planned = hit.planned.clone();
        self.waiting.retain(|waiting| waiting.left != Some(0));
        Some(planned)
    }
}

impl Waiting {
    fn wants(&self, call: &Target<'_>) -> bool {
        let Planned { operation, dimension, resource, .. } = &self.planned;
        operation.as_deref().is_none_or(|only| only == call.operation)
            && dimension.as_deref().is_none_or(|only| call.dimensions.contains(&only))
            && resource.as_deref().is_none_or(|only| only == call.resource)
            && (self.planned.fault != Fault::Unprocessed || call.operation == "BatchMeterUsage")
    }

    /// Whether this call is hit. The numbers are those of SplitMix64.
    fn draw(&mut self) -> bool {
        let Some(probability) = self.planned.probability else { return true };
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default()) / 4_294_967_296.0;
        unit < probability
    }
}

fn an_hour() -> i64 {
    3_600
}

const FAULTS_MAX: usize = 1_000;
const DELAY_MAX_MS: u64 = 600_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call<'a>(operation: &'a str, dimension: &'a str, now_ms: u64) -> Target<'a> {
        Target { operation, dimensions: vec![dimension], resource: "task", now_ms }
    }

    fn plan(faults: &mut Faults, planned: serde_json::Value) {
        faults.plan(serde_json::from_value(planned).unwrap(), 0).unwrap();
    }

    #[test]
    fn a_fault_hits_only_the_calls_it_waits_for_and_only_so_often() {
        let mut faults = Faults::default();
        plan(&mut faults, json!({"fault": "throttle", "operation": "MeterUsage", "dimension": "images", "count": 2}));
        plan(&mut faults, json!({"fault": "delay", "delay_ms": 7}));
        plan(&mut faults, json!({"fault": "error-500", "resource": "another"}));
        let mut hits = |operation, dimension| faults.take(&call(operation, dimension, 0));
        let throttled = Suffered { fault: Some(Fault::Throttle), ..Suffered::default() };
        assert_eq!(hits("RegisterUsage", ""), Suffered { delay_ms: 7, ..Suffered::default() });
        assert_eq!(hits("MeterUsage", "start"), Suffered::default());
        assert_eq!(hits("MeterUsage", "images"), throttled);
        assert_eq!(hits("MeterUsage", "images"), throttled);
        assert_eq!(hits("MeterUsage", "images"), Suffered::default());
    }

    #[test]
    fn a_seed_repeats_which_calls_are_hit() {
        let run = |seed: u64| {
            let mut faults = Faults::default();
            plan(&mut faults, json!({"fault": "throttle", "probability": 0.25, "seed": seed}));
            let calls = (0..1_000).map(|_| faults.take(&call("MeterUsage", "d", 0)).fault.is_some());
            calls.collect::<Vec<bool>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let hits = run(1).into_iter().filter(|hit| *hit).count();
        assert!((200..300).contains(&hits), "{hits}");
    }

    #[test]
    fn an_outage_lasts_as_long_as_the_clock_says() {
        let mut faults = Faults::default();
        plan(&mut faults, json!({"fault": "error-500", "for_s": 7_200}));
        let mut hit = |now_ms| faults.take(&call("MeterUsage", "d", now_ms)).fault.is_some();
        assert_eq!([hit(0), hit(7_199_999), hit(7_200_000), hit(0)], [true, true, false, false]);
    }
}
