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
    /// The record is kept, the answer is 200 without a `MeteringRecordId`.
    NoRecordId,
    /// `ThrottlingException`; nothing is kept.
    Throttle,
}

impl Fault {
    /// The name in the control API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::DropAfter => "drop-after",
            Self::DropBefore => "drop-before",
            Self::Error500 => "error-500",
            Self::NoRecordId => "no-record-id",
            Self::Throttle => "throttle",
        }
    }
}

/// A fault and the calls it waits for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planned {
    pub(crate) fault: Fault,
    /// Only this operation; absent: any.
    pub(crate) operation: Option<String>,
    /// Only `MeterUsage` of this dimension; absent: any.
    pub(crate) dimension: Option<String>,
    /// How many calls it hits.
    #[serde(default = "once")]
    pub(crate) count: u32,
    /// How late the answer of a `delay` is, in real milliseconds.
    #[serde(default)]
    pub(crate) delay_ms: u64,
}

/// What one call suffers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Suffered {
    pub(crate) fault: Option<Fault>,
    pub(crate) delay_ms: u64,
}

/// All faults that wait, in the order they were planned.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    planned: Vec<Planned>,
}

impl Faults {
    /// Adds a fault; `false` when too many wait already.
    pub(crate) fn plan(&mut self, planned: Planned) -> bool {
        let fits = self.planned.len() < FAULTS_MAX;
        if fits {
            self.planned.push(planned);
        }
        fits
    }

    pub(crate) fn clear(&mut self) {
        self.planned.clear();
    }

    /// Uses up what waits for this call: the first delay and the first of the other faults.
    pub(crate) fn take(&mut self, operation: &str, dimension: Option<&str>) -> Suffered {
        let delay_ms = self.take_one(operation, dimension, |fault| fault == Fault::Delay).map_or(0, |hit| hit.1);
        let fault = self.take_one(operation, dimension, |fault| fault != Fault::Delay).map(|hit| hit.0);
        Suffered { fault, delay_ms }
    }

    fn take_one(&mut self, op: &str, dimension: Option<&str>, wanted: impl Fn(Fault) -> bool) -> Option<(Fault, u64)> {
        let hit = self.planned.iter_mut().find(|planned| {
            wanted(planned.fault)
                && planned.operation.as_deref().is_none_or(|only| only == op)
                && planned.dimension.as_deref().is_none_or(|only| dimension == Some(only))
        })?;
        hit.count = hit.count.saturating_sub(1);
        let taken = (hit.fault, hit.delay_ms);
        self.planned.retain(|planned| planned.count > 0);
        Some(taken)
    }
}

fn once() -> u32 {
    1
}

const FAULTS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_only_the_calls_it_waits_for_and_only_so_often() {
        let mut faults = Faults::default();
        let planned = Planned {
            fault: Fault::Throttle,
            operation: Some("MeterUsage".to_owned()),
            dimension: Some("images".to_owned()),
            count: 2,
            delay_ms: 0,
        };
        faults.plan(planned);
        faults.plan(Planned { fault: Fault::Delay, operation: None, dimension: None, count: 1, delay_ms: 7 });
        let mut hits = |op, dimension| faults.take(op, dimension);
        let throttled = Suffered { fault: Some(Fault::Throttle), delay_ms: 0 };
        assert_eq!(hits("RegisterUsage", None), Suffered { fault: None, delay_ms: 7 });
        assert_eq!(hits("MeterUsage", Some("start")), Suffered::default());
        assert_eq!(hits("MeterUsage", Some("images")), throttled);
        assert_eq!(hits("MeterUsage", Some("images")), throttled);
        assert_eq!(hits("MeterUsage", Some("images")), Suffered::default());
    }
}
