//! What AWS bills: usage sent by `MeterUsage`, split by hour, dimension, customer and allocation; and the time of tasks
//! and pods that `RegisterUsage` started to meter. A pure sum over the ledger at one moment.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    ledger::{Ledger, Record, Registration},
    options::BilledFrom,
    quantity::Quantity,
};

/// The bill at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct Bill {
    /// The emulator's clock, Unix milliseconds: tasks that run are billed up to here.
    pub(crate) as_of_ms: u64,
    pub(crate) usage: Vec<UsageLine>,
    pub(crate) tasks: Vec<TaskLine>,
    pub(crate) task_hours: Vec<TaskHourLine>,
}

/// Usage of one hour as the buyer's bill splits it, over all resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct UsageLine {
    pub(crate) product_code: String,
    /// The buyer's account.
    pub(crate) customer: String,
    pub(crate) dimension: String,
    /// Start of the hour, RFC 3339.
    pub(crate) hour: String,
    /// Empty: usage that is allocated to nothing.
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) quantity: Quantity,
}

/// One task or pod that AWS meters by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TaskLine {
    pub(crate) product_code: String,
    pub(crate) customer: String,
    pub(crate) resource: String,
    /// When `RegisterUsage` was called first, Unix milliseconds.
    pub(crate) registered_ms: u64,
    /// Billed from here, Unix milliseconds.
    pub(crate) from_ms: u64,
    /// When it ended; absent while it runs.
    pub(crate) ended_ms: Option<u64>,
    /// Billed seconds, one minute at least.
    pub(crate) seconds: u64,
}

/// Billed seconds of all tasks and pods of a customer in one hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TaskHourLine {
    pub(crate) product_code: String,
    pub(crate) customer: String,
    /// Start of the hour, RFC 3339.
    pub(crate) hour: String,
    pub(crate) seconds: u64,
}

impl Bill {
    /// Sums up what the ledger holds at `as_of_ms`.
    pub(crate) fn of(ledger: &Ledger, billed_from: BilledFrom, as_of_ms: u64) -> Self {
        let mut task_hours = BTreeMap::new();
        let mut tasks = Vec::new();
        for registration in ledger.registrations() {
            let customer = customer_of(&registration.resource);
            let span = Span::of(registration, billed_from, as_of_ms);
            for (hour, seconds) in span.by_hour() {
                let line = (registration.product_code.clone(), customer.to_owned(), hour);
                *task_hours.entry(line).or_insert(0_u64) += seconds;
            }
            tasks.push(TaskLine {
                product_code: registration.product_code.clone(),
                customer: customer.to_owned(),
                resource: registration.resource.clone(),
                registered_ms: registration.at_ms,
                from_ms: span.from_ms,
                ended_ms: registration.ended_ms,
                seconds: span.seconds(),
            });
        }
        let task_hours = task_hours.into_iter().map(|((product_code, customer, hour), seconds)| TaskHourLine {
            product_code,
            customer,
            hour: hour_text(i64::try_from(hour).unwrap_or(i64::MAX)),
            seconds,
        });
        Self { as_of_ms, usage: usage(ledger), tasks, task_hours: task_hours.collect() }
    }
}

fn usage(ledger: &Ledger) -> Vec<UsageLine> {
    let mut lines = BTreeMap::new();
    for (key, record) in ledger.records() {
        for (tags, quantity) in parts(record) {
            let customer = key.source.customer().to_owned();
            let line = (key.product_code.clone(), customer, key.dimension.clone(), key.hour, tags);
            *lines.entry(line).or_insert_with(Quantity::default) += quantity;
        }
    }
    let line = |((product_code, customer, dimension, hour, tags), quantity)| UsageLine {
        product_code,
        customer,
        dimension,
        hour: hour_text(hour),
        tags,
        quantity,
    };
    lines.into_iter().map(line).collect()
}

/// The parts a record is billed in: its allocations, or all of it untagged.
pub(crate) fn parts(record: &Record) -> Vec<(Vec<(String, String)>, Quantity)> {
    if record.allocations.is_empty() {
        return vec![(Vec::new(), record.quantity)];
    }
    record.allocations.iter().map(|allocation| (allocation.tags.clone(), allocation.quantity)).collect()
}

/// Who pays for what a resource uses: the account in its ARN.
pub(crate) fn customer_of(resource: &str) -> &str {
    resource.split(':').nth(4).unwrap_or_default()
}

/// The start of an hour in RFC 3339.
pub(crate) fn hour_text(hour: i64) -> String {
    jiff::Timestamp::from_second(hour.saturating_mul(3_600))
        .map_or_else(|_| hour.to_string(), |start| start.to_string())
}

/// The time for which a task is billed: from its start to its end, whatever happens to the subscription meanwhile.
#[derive(Debug, Clone, Copy)]
struct Span {
    from_ms: u64,
    until_ms: u64,
}

impl Span {
    /// A task that registers within six hours of its start is billed from there. One that is later has no guarantee
    /// for earlier months: it is billed from the start of the month in which it registered, if it ran by then.
    fn of(registration: &Registration, billed_from: BilledFrom, as_of_ms: u64) -> Self {
        let Registration { at_ms, started_ms, ended_ms, .. } = registration;
        let in_time = at_ms.saturating_sub(*started_ms) <= SIX_HOURS_MS;
        let from_ms = match billed_from {
            BilledFrom::Registration => *at_ms,
            BilledFrom::TaskStart if in_time => *started_ms,
            BilledFrom::TaskStart => month_start_ms(*at_ms).max(*started_ms),
        };
        let until_ms = ended_ms.unwrap_or(as_of_ms).max(from_ms.saturating_add(MINIMUM_MS));
        Self { from_ms, until_ms }
    }

    /// Seconds begun.
    fn seconds(self) -> u64 {
        self.seconds_before(self.until_ms)
    }

    /// The same by hours since 1970; the parts add up to the whole.
    fn by_hour(self) -> impl Iterator<Item = (u64, u64)> {
        let hours = self.from_ms / HOUR_MS..self.until_ms.div_ceil(HOUR_MS);
        hours.map(move |hour| {
            let end = self.seconds_before((hour + 1) * HOUR_MS);
            (hour, end - self.seconds_before(hour * HOUR_MS))
        })
    }

    fn seconds_before(self, at_ms: u64) -> u64 {
        at_ms.clamp(self.from_ms, self.until_ms).saturating_sub(self.from_ms).div_ceil(1_000)
    }
}

/// Midnight UTC of the first day of the month in which `at_ms` lies.
fn month_start_ms(at_ms: u64) -> u64 {
    let at = i64::try_from(at_ms).ok().and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
    let first = at.map(|at| {
        jiff::tz::Offset::UTC.to_datetime(at).date().first_of_month().to_datetime(jiff::civil::Time::midnight())
    });
    let start = first.and_then(|first| jiff::tz::Offset::UTC.to_timestamp(first).ok());
    start.and_then(|start| u64::try_from(start.as_millisecond()).ok()).unwrap_or(at_ms)
}

const HOUR_MS: u64 = 3_600_000;
const SIX_HOURS_MS: u64 = 6 * HOUR_MS;
/// AWS: "a minimum of one minute of usage applies to tasks that are short lived".
const MINIMUM_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    /// A task's times (`started registered [ended]`), each on 2026-11-DD, and when the bill is made.
    fn check(times: &[&str], as_of: &str) -> String {
        let at = |time: &str| {
            let at: jiff::Timestamp = format!("2026-{}Z", time.replace(' ', "T")).parse().unwrap();
            u64::try_from(at.as_millisecond()).unwrap()
        };
        let registration = Registration {
            product_code: "p".to_owned(),
            resource: "arn:aws:ecs:us-east-1:111122223333:task/tollgate/a".to_owned(),
            started_ms: at(times[0]),
            at_ms: at(times[1]),
            ended_ms: times.get(2).map(|time| at(time)),
        };
        let span = Span::of(&registration, BilledFrom::TaskStart, at(as_of));
        let hours =
            span.by_hour().map(|(hour, seconds)| format!("{} {seconds}\n", hour_text(i64::try_from(hour).unwrap())));
        format!("{} s\n{}", span.seconds(), hours.collect::<String>())
    }

    #[test]
    fn a_task_is_billed_to_the_second_and_one_minute_at_least() {
        assert_snapshot!(check(&["11-20 14:59:50", "11-20 14:59:51", "11-20 14:59:52"], "11-20 18:00:00"), @"
        60 s
        2026-11-20T14:00:00Z 10
        2026-11-20T15:00:00Z 50
        ");
        assert_snapshot!(check(&["11-20 14:30:00", "11-20 14:30:01"], "11-20 16:00:00.001"), @"
        5401 s
        2026-11-20T14:00:00Z 1800
        2026-11-20T15:00:00Z 3600
        2026-11-20T16:00:00Z 1
        ");
    }

    #[test]
    fn a_late_registration_reaches_back_to_the_start_of_its_month_at_most() {
        assert_snapshot!(check(&["10-31 20:00:00", "11-01 02:00:00", "11-01 02:30:00"], "11-02 00:00:00"), @"
        23400 s
        2026-10-31T20:00:00Z 3600
        2026-10-31T21:00:00Z 3600
        2026-10-31T22:00:00Z 3600
        2026-10-31T23:00:00Z 3600
        2026-11-01T00:00:00Z 3600
        2026-11-01T01:00:00Z 3600
        2026-11-01T02:00:00Z 1800
        ");
        assert_snapshot!(check(&["10-31 20:00:00", "11-01 02:00:00.001", "11-01 02:30:00"], "11-02 00:00:00"), @"
        9000 s
        2026-11-01T00:00:00Z 3600
        2026-11-01T01:00:00Z 3600
        2026-11-01T02:00:00Z 1800
        ");
        assert_snapshot!(check(&["11-01 03:00:00", "11-01 12:00:00", "11-01 12:30:00"], "11-02 00:00:00").lines().next().unwrap(), @"34200 s");
    }
}
