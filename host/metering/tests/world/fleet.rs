//! Many pods of one account: AWS allows ten calls a second for all of them together.

use std::collections::BTreeMap;

use tollgate_metering::*;

use super::FIRST;
use super::telling::time;

/// Calls a second for an account and region (quotas of the metering service).
const CALLS_MAX: u32 = 10;
/// Requests of one host under way at once.
const AT_ONCE_MAX: usize = 4;

struct Pod {
    ledger: Ledger,
    /// Answers that arrive in the next second.
    answers: Vec<(SlotId, Reply)>,
}

/// Every pod has used one unit of every dimension in the first hour. How their calls spread over the next.
pub(super) fn fleet(pods: u32, dimensions: u32, outage_until: Option<&str>) -> Vec<String> {
    let rates = (0..dimensions).map(|number| Rate { key: format!("d{number:02}"), per: 1 }).collect();
    let policy = Policy { dimensions: rates, ..super::World::default().policy };
    let mut fleet: Vec<Pod> = (0..pods).map(|number| pod(&policy, number)).collect();
    let outage_until = outage_until.map_or(0, |minute| FIRST.end() + minute.parse::<u64>().unwrap() * 60);
    let mut calls: BTreeMap<u64, u32> = BTreeMap::new();
    let (mut throttled, mut last, mut random) = (0, 0, 1_u64);
    let mut second = FIRST.end();
    while fleet.iter().any(|pod| !pod.answers.is_empty() || pod.ledger.unsent(&policy) > 0) {
        for pod in &mut fleet {
            for (slot, reply) in std::mem::take(&mut pod.answers) {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let verdict = pod.ledger.answer(&slot, &reply, second, random >> 33);
                verdict.records.iter().for_each(|record| pod.ledger.apply(record));
            }
            for (slot, attempted) in due(pod, second, &policy) {
                pod.ledger.apply(&attempted);
                let now = calls.entry(second).or_default();
                *now += 1;
                let taken = *now <= CALLS_MAX && second >= outage_until;
                let reply = if taken {
                    last = second;
                    Reply::Accepted { record_id: "R".to_owned() }
                } else {
                    throttled += 1;
                    Reply::NotProcessed { code: "ThrottlingException".to_owned() }
                };
                pod.answers.push((slot, reply));
            }
        }
        second += 1;
        assert!(second < FIRST.end() + 5 * HOUR_S, "it never ends");
    }
    let busiest = calls.values().max().copied().unwrap_or_default();
    let sum: u32 = calls.values().sum();
    let late = calls.iter().filter(|(second, _)| **second >= outage_until).map(|(_, calls)| *calls).max();
    vec![
        format!(
            "{} records, {sum} calls, {throttled} throttled, the last is accepted at {}",
            pods * dimensions,
            time(last)
        ),
        format!("at most {busiest} calls in one second, after the outage {}", late.unwrap_or_default()),
    ]
}

fn pod(policy: &Policy, number: u32) -> Pod {
    let at = FIRST.start();
    let mut ledger = Ledger::new();
    let identity = format!("arn:aws:ecs:us-east-1:123456789012:task/shop/{number:032x}");
    ledger.apply(&Record::Created { at, ledger: number.into() });
    ledger.apply(&Record::Started { at, identity, boot: 1, first_hour_taken: false });
    for rate in &policy.dimensions {
        let used = ledger.used(&policy.slot(&rate.key, FIRST), 1, "api", Tags::NONE, 1, at + 1_800);
        ledger.apply_used(&used);
    }
    Pod { ledger, answers: Vec::new() }
}

/// Writes what is to be written, and says which tries begin.
fn due(pod: &mut Pod, second: u64, policy: &Policy) -> Vec<(SlotId, Record)> {
    let now = Now { s: second, confirmed: true };
    loop {
        if next_due(&pod.ledger, now, policy, Phase::Running) > second {
            return Vec::new();
        }
        let steps = plan(&pod.ledger, now, policy, Phase::Running);
        let (mut records, mut sends) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Write(batch) => records.extend(batch),
                Step::Send { attempted, slot, .. } => sends.push((slot, attempted)),
            }
        }
        if records.is_empty() {
            sends.truncate(AT_ONCE_MAX);
            return sends;
        }
        records.iter().for_each(|record| pod.ledger.apply(record));
    }
}
