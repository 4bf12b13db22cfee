//! What a script says about slots, requests and entries.

use tollgate_metering::*;

use super::FIRST;

pub(super) fn name(id: &SlotId) -> String {
    format!("{}@{}", id.dimension, id.hour.0 - FIRST.0)
}

pub(super) fn time(at: u64) -> String {
    let (sign, s) = if at < FIRST.start() { ("-", FIRST.start() - at) } else { ("", at - FIRST.start()) };
    format!("{sign}{}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
}

pub(super) fn buckets(buckets: &Buckets) -> String {
    buckets.iter().map(|(tags, units)| format!("{}{units}", tagged(tags))).collect::<Vec<_>>().join(" + ")
}

pub(super) fn tagged(tags: &Tags) -> String {
    let pairs: Vec<String> = tags.pairs().iter().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { String::new() } else { format!("{}:", pairs.join(",")) }
}

pub(super) fn sent(request: &Request) -> String {
    let parts: Vec<String> = request.allocations.iter().map(|a| format!("{}{}", tagged(&a.tags), a.quantity)).collect();
    let parts = match parts.len() {
        0 => String::new(),
        1..=9 => format!(" [{}]", parts.join(" + ")),
        many => format!(" [{many} parts, first {}, last {}]", parts[0], parts[many - 1]),
    };
    format!("{}{parts} stamped {}", request.quantity, time(request.timestamp))
}

pub(super) fn line(record: &Record) -> Option<String> {
    Some(match record {
        Record::HandedOver(handed) => {
            format!("hand over {:?} of {}: {}", handed.part, name(&handed.slot), buckets(&handed.units))
        }
        Record::Adopted { number, slot, units, .. } => {
            format!("adopt number {number} into {}: {}", name(slot), buckets(units))
        }
        Record::Sealed { slot, request, remainder, .. } if remainder.is_empty() => {
            format!("seal {} {}", name(slot), sent(request))
        }
        Record::Sealed { slot, request, remainder, .. } => {
            format!("seal {} {} remainder {}", name(slot), sent(request), buckets(remainder))
        }
        Record::Resealed { slot, request } => format!("seal again {} {}", name(slot), sent(request)),
        Record::Closed { slot, why } => format!("close {} {why:?}", name(slot)),
        Record::Carried { from, to, part, units, .. } => {
            format!("carry {part:?} of {} to {}: {}", name(from), to.0 - FIRST.0, buckets(units))
        }
        Record::Beyond { slot, units } => format!("give up {} {}", name(slot), buckets(units)),
        Record::Deferred { slot, unknown, retry_at, .. } => {
            let known = if *unknown { "unknown" } else { "not processed" };
            format!("{known} {} again at {}", name(slot), time(*retry_at))
        }
        Record::Ended { slot, end, .. } => format!("end {} {end:?}", name(slot)),
        Record::Kept { slot, state } => format!("forget {}", shown(slot, state)),
        _ => return None,
    })
}

pub(super) fn shown(id: &SlotId, slot: &Slot) -> String {
    let balance = Balance::of(slot);
    let amounts = [
        ("carried in", balance.carried_in),
        ("adopted", balance.adopted),
        ("open", balance.open),
        ("counted", balance.counted),
        ("carried out", balance.carried_out),
        ("handed over", balance.handed_over),
        ("beyond", slot.beyond.into()),
        ("remainder", balance.remainder),
        ("late", slot.late.into()),
    ];
    let amounts: String =
        amounts.iter().filter(|(_, units)| *units > 0).map(|(name, units)| format!(" {name} {units}")).collect();
    let request = slot.request.as_ref().map(|request| format!(" quantity {}", request.quantity)).unwrap_or_default();
    format!("{} {}: recorded {}{request}{amounts}", name(id), slot.life.name(), slot.recorded)
}
