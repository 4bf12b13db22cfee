//! Calls a second, counted by account and region as AWS does: all containers of a buyer in a region share them.

use std::collections::BTreeMap;

use crate::operation::Operation;

/// How many calls a second an account may make in a region; as many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// `BatchMeterUsage` calls a second.
    pub batch_meter_usage: u32,
    /// `MeterUsage` calls a second.
    pub meter_usage: u32,
    /// `RegisterUsage` calls a second.
    pub register_usage: u32,
}

impl Quota {
    /// What the service's quota page lists.
    pub const DOCUMENTED: Self = Self { batch_meter_usage: 10, meter_usage: 10, register_usage: 5 };
}

impl Quota {
    /// Calls a second of one operation; the quota page has no line for `ResolveCustomer`.
    pub(crate) fn of(&self, operation: Operation) -> Option<u32> {
        match operation {
            Operation::BatchMeterUsage => Some(self.batch_meter_usage),
            Operation::MeterUsage => Some(self.meter_usage),
            Operation::RegisterUsage => Some(self.register_usage),
            Operation::ResolveCustomer => None,
        }
    }
}

/// One token bucket for each account, region and operation.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    buckets: BTreeMap<String, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Thousandths of a call.
    level: u64,
    filled_ms: u64,
}

impl Buckets {
    /// Takes one call out of the bucket `name` that holds `per_second`; `false` when it is empty.
    pub(crate) fn take(&mut self, name: String, per_second: u32, now_ms: u64) -> bool {
        let full = u64::from(per_second) * CALL;
        let bucket = self.buckets.entry(name).or_insert(Bucket { level: full, filled_ms: now_ms });
        // A clock that went back fills nothing.
        let elapsed_ms = now_ms.saturating_sub(bucket.filled_ms);
        bucket.level = bucket.level.saturating_add(elapsed_ms.saturating_mul(u64::from(per_second))).min(full);
        bucket.filled_ms = now_ms;
        match bucket.level.checked_sub(CALL) {
            Some(left) => {
                bucket.level = left;
                true
            }
            None => false,
        }
    }
}

/// One call, in the unit of a bucket's level: one call a second fills one thousandth each millisecond.
const CALL: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_refuses_when_it_is_empty_and_fills_with_the_clock() {
        let mut buckets = Buckets::default();
        let mut take = |now_ms| buckets.take("account/region/MeterUsage".to_owned(), 2, now_ms);
        assert_eq!(
            [take(0), take(0), take(0), take(499), take(500), take(500)],
            [true, true, false, false, true, false]
        );
        // An hour later there is no more than one second's worth.
        assert_eq!([take(3_600_000), take(3_600_000), take(3_600_000)], [true, true, false]);
        assert_eq!([take(0), take(500)], [false, true]);
    }
}
