//! `[limits]` and `[metering]`.

use super::reader::Section;

/// Limits of the guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of one instance, in MiB.
    pub memory_mib: u32,
    /// How long a request may take, in seconds.
    pub request_timeout_s: u32,
    /// Requests at the same time; more are refused.
    pub concurrency: u32,
    /// The longest request body, in MiB.
    pub body_mib: u32,
    /// Outgoing requests of one component at the same time; more are refused.
    pub egress_requests: u32,
    /// The longest body of an outgoing request and of its answer, in MiB.
    pub egress_body_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 256,
            request_timeout_s: 60,
            concurrency: 200,
            body_mib: 16,
            egress_requests: 64,
            egress_body_mib: 64,
        }
    }
}

/// How usage is delivered, and what happens when it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeteringPolicy {
    /// Age of unaccepted usage at which the operator is warned, in seconds.
    pub warn_after_s: u32,
    /// Age of unaccepted usage at which new billable work is refused, in seconds; 2 h to 4 h, as AWS asks.
    pub stop_after_s: u32,
    /// How long a command waits at its end for usage to be accepted, in seconds.
    pub final_send_s: u32,
    /// Whether finished hours without usage are sent as zero.
    pub zero_records: bool,
}

impl Default for MeteringPolicy {
    fn default() -> Self {
        Self { warn_after_s: 3600, stop_after_s: 14_400, final_send_s: 25, zero_records: false }
    }
}

pub(super) fn limits(section: &Section<'_>) -> Option<Limits> {
    let default = Limits::default();
    let memory_mib = section.number_or("memory_mib", default.memory_mib, 1, 4096);
    let request_timeout_s = section.number_or("request_timeout_s", default.request_timeout_s, 1, 3600);
    let concurrency = section.number_or("concurrency", default.concurrency, 1, 10_000);
    let body_mib = section.number_or("body_mib", default.body_mib, 1, 1024);
    let egress_requests = section.number_or("egress_requests", default.egress_requests, 1, 1024);
    let egress_body_mib = section.number_or("egress_body_mib", default.egress_body_mib, 1, 1024);
    section.finish();
    Some(Limits {
        memory_mib: memory_mib?,
        request_timeout_s: request_timeout_s?,
        concurrency: concurrency?,
        body_mib: body_mib?,
        egress_requests: egress_requests?,
        egress_body_mib: egress_body_mib?,
    })
}

pub(super) fn metering(section: &Section<'_>) -> Option<MeteringPolicy> {
    let default = MeteringPolicy::default();
    let warn_after_s = section.number_or("warn_after_s", default.warn_after_s, 60, 14_400);
    let stop_after_s = section.number_or("stop_after_s", default.stop_after_s, 7200, 14_400);
    let final_send_s = section.number_or("final_send_s", default.final_send_s, 1, 600);
    let zero_records = section.boolean("zero_records", default.zero_records);
    section.finish();
    if let (Some(warn_s), Some(stop_s)) = (warn_after_s, stop_after_s)
        && warn_s > stop_s
    {
        let what = format!("warn_after_s is {warn_s}, later than stop_after_s, {stop_s}");
        section.mistake_at(section.at_of("warn_after_s"), what, "warn before new work is refused");
    }
    Some(MeteringPolicy {
        warn_after_s: warn_after_s?,
        stop_after_s: stop_after_s?,
        final_send_s: final_send_s?,
        zero_records: zero_records?,
    })
}
