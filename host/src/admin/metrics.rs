//! The state of the host as OpenMetrics text. Made anew for each question from what the parts know, so that there is no
//! second set of counters that could disagree with the ledger.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::{Phase, Shown};
use crate::meter::{Places, Snapshot, Total};

/// What `/metrics` answers with.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Units = Gauge<u64, AtomicU64>;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Usage {
    listing: String,
    dimension: String,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Dimension {
    listing: String,
    dimension: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Standing {
    state: &'static str,
}

pub(super) fn text(shown: &Shown, snapshot: Option<&Snapshot>) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("tollgate");
    process(&mut registry, shown);
    guests(&mut registry, shown);
    if let Some(snapshot) = snapshot {
        metering(&mut registry, snapshot);
        usage(&mut registry, &snapshot.totals);
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

fn process(registry: &mut Registry, shown: &Shown) {
    let info = Info::new(vec![
        ("product", shown.product.name.clone()),
        ("version", shown.product.version.clone()),
        ("listing", shown.listing.clone()),
        ("host_version", env!("CARGO_PKG_VERSION").to_owned()),
    ]);
    registry.register("product", "What runs here", info);
    gauge(registry, "ready", "1 while the product answers", u64::from(shown.phase == Phase::Ready));
    if let Some(at) = shown.rotation_s {
        let help = "When AWS rotated the listing's public key, Unix seconds; the vendor should ship the next version";
        gauge(registry, "public_key_rotation_timestamp_seconds", help, at);
    }
}

fn guests(registry: &mut Registry, shown: &Shown) {
    let stats = shown.stats.as_ref().map(|stats| stats.snapshot()).unwrap_or_default();
    counter(registry, "requests", "Requests received", stats.requests);
    gauge(registry, "requests_in_flight", "Requests in guests now", stats.in_flight);
    let refused = Family::<Reason, Counter>::default();
    refused.get_or_create(&Reason { reason: "full" }).inc_by(stats.refused_full);
    refused.get_or_create(&Reason { reason: "stopped" }).inc_by(stats.refused_stopped);
    refused.get_or_create(&Reason { reason: "trapping" }).inc_by(stats.refused_trapping);
    registry.register("requests_refused", "Requests answered with 503 and not delivered", refused);
    counter(registry, "guest_traps", "Guests that trapped or gave no response", stats.traps);
    counter(registry, "guest_timeouts", "Guests stopped because their time was up", stats.timeouts);
    counter(registry, "clients_gone", "Requests whose client went away", stats.clients_gone);
    counter(registry, "guest_lines_dropped", "Lines of guests over the log's rate limit", stats.guest_lines_dropped);
    counter(registry, "egress_requests", "Outgoing requests of guests", stats.egress_requests);
    let refused = Family::<Reason, Counter>::default();
    let reasons = [
        ("origin", stats.egress_refused_origin),
        ("address", stats.egress_refused_address),
        ("full", stats.egress_refused_full),
        ("failed", stats.egress_failed),
    ];
    for (reason, count) in reasons {
        refused.get_or_create(&Reason { reason }).inc_by(count);
    }
    registry.register("egress_unanswered", "Outgoing requests of guests that were refused or failed", refused);
    counter(registry, "components_compiled", "Components compiled; none before AWS agreed", stats.components_compiled);
    counter(registry, "instances_created", "Component instances created", stats.instances_created);
}

fn metering(registry: &mut Registry, snapshot: &Snapshot) {
    let standing = Family::<Standing, Units>::default();
    for state in ["good", "late", "stopping"] {
        standing.get_or_create(&Standing { state }).set(u64::from(snapshot.standing == state));
    }
    registry.register("standing", "Whether usage reaches AWS in time: 1 for the state that holds", standing);
    let age = snapshot.oldest_waiting.map_or(0, |hour| snapshot.at.saturating_sub(hour));
    gauge(registry, "oldest_waiting_seconds", "Age of the oldest hour that waits for AWS, from its start", age);
    let unsent = u64::try_from(snapshot.unsent).unwrap_or(u64::MAX);
    gauge(registry, "records_unsent", "Sealed records that AWS has not answered finally", unsent);
    gauge(
        registry,
        "clock_confirmed",
        "0 while the clock is in doubt and nothing is sealed",
        u64::from(snapshot.clock_confirmed),
    );
    gauge(
        registry,
        "ledger_balanced",
        "1 if every recorded unit is in exactly one place",
        u64::from(snapshot.balanced),
    );
    let help = "1 while no new usage is taken because the disk of the ledger is almost full";
    gauge(registry, "ledger_space_low", help, u64::from(snapshot.space_low));
    gauge(
        registry,
        "ledger_space_bytes",
        "Free bytes on the disk of the ledger, without its reserve",
        snapshot.space_free,
    );
    counter(registry, "ledger_boots", "Processes that had this ledger", snapshot.boots);
}

fn usage(registry: &mut Registry, totals: &[Total]) {
    let units = Family::<Usage, Units>::default();
    let turned_away = Family::<Dimension, Counter>::default();
    for total in totals {
        for (state, amount) in states(&total.places) {
            let labels = Usage { listing: total.listing.clone(), dimension: total.dimension.clone(), state };
            units.get_or_create(&labels).set(u64::try_from(amount).unwrap_or(u64::MAX));
        }
        let labels = Dimension { listing: total.listing.clone(), dimension: total.dimension.clone() };
        turned_away.get_or_create(&labels).inc_by(total.turned_away);
    }
    registry.register("usage_units", "Units of guests since the ledger began, by what became of them", units);
    registry.register("usage_turned_away", "Units over the hourly cap, since the process started", turned_away);
}

fn states(places: &Places) -> [(&'static str, u128); 15] {
    [
        ("recorded", places.recorded),
        ("carried_in", places.carried_in),
        ("adopted", places.adopted),
        ("acked", places.acked),
        ("open", places.open),
        ("counted", places.counted),
        ("sealed", places.sealed),
        ("attempted", places.attempted),
        ("carried_out", places.carried_out),
        ("handed_over", places.handed_over),
        ("in_doubt", places.in_doubt),
        ("conflict", places.conflict),
        ("expired", places.expired),
        ("rejected", places.rejected),
        ("remainder", places.remainder),
    ]
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Units::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}
