//! Everything that a ledger holds, one JSON object a line, for somebody who recomputes it without this code.
//!
//! docs/ledger.md describes each field; `format` goes up when one changes its meaning or goes.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;
use tollgate_metering::{Buckets, Ledger, Life, Request, Slot, SlotId, Tags};

use super::settlement::rfc3339;
use crate::ledger::{self, Archive, Entry, Image, Pages, RecordedRow, UsageRow};
use crate::meter::Places;

/// The version of what [`export`] writes.
const FORMAT: u32 = 1;

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Export {
        format: u32,
        host_version: &'a str,
        identity: &'a str,
        ledger: u64,
        boots: u64,
        problem: Option<&'a str>,
    },
    Chain {
        first: u64,
        before: String,
    },
    Transition {
        seq: i64,
        hash: String,
        text: &'a str,
    },
    ArchiveChain {
        first: u64,
        before: String,
        whole: bool,
    },
    Archived {
        seq: i64,
        hour: i64,
        hash: String,
        text: &'a str,
    },
    Usage(UsageLine<'a>),
    Recorded {
        listing: &'a str,
        payer: &'a str,
        dimension: &'a str,
        hour: i64,
        units: i64,
    },
    Slot(Box<SlotLine<'a>>),
    Total {
        listing: &'a str,
        dimension: &'a str,
        #[serde(flatten)]
        places: Places,
    },
    End {
        lines: u64,
    },
}

#[derive(Serialize)]
struct UsageLine<'a> {
    listing: &'a str,
    payer: &'a str,
    dimension: &'a str,
    hour: i64,
    tags: &'a str,
    component: &'a str,
    per: i64,
    units: i64,
    late: i64,
    at: i64,
    hash: String,
}

#[derive(Serialize)]
struct SlotLine<'a> {
    listing: &'a str,
    payer: &'static str,
    dimension: &'a str,
    hour: u32,
    start: String,
    state: &'static str,
    per: u64,
    late: u64,
    beyond: u64,
    last_at: u64,
    #[serde(flatten)]
    places: Places,
    brought: Vec<Bucket<'a>>,
    request: Option<RequestLine<'a>>,
    attempts: u32,
    unknown: u32,
    pending: bool,
    attempted_by: &'a str,
    attempted_at: u64,
    retry_at: u64,
    record_id: Option<&'a str>,
    code: &'a str,
}

#[derive(Serialize)]
struct RequestLine<'a> {
    generation: u32,
    product_code: &'a str,
    quantity: u32,
    allocations: Vec<Bucket<'a>>,
    timestamp: u64,
    token: &'a str,
}

#[derive(Serialize)]
struct Bucket<'a> {
    units: u64,
    tags: BTreeMap<&'a str, &'a str>,
}

/// Writes all lines. Of a damaged ledger there are the rows of its tables only, and the problem in the first line, which is
/// returned too.
///
/// # Errors
/// `out` takes no more.
pub fn export(image: &Image, pages: &mut Pages<'_>, out: &mut dyn Write) -> std::io::Result<Option<String>> {
    let (ledger, problem) = match ledger::verify(image, pages) {
        Ok(ledger) => (ledger, None),
        Err(problem) => (Ledger::new(), Some(problem)),
    };
    let mut lines = Lines { out, count: 0 };
    lines.put(&Line::Export {
        format: FORMAT,
        host_version: env!("CARGO_PKG_VERSION"),
        identity: ledger.identity(),
        ledger: ledger.id(),
        boots: ledger.boots(),
        problem: problem.as_deref(),
    })?;
    lines.put(&Line::Chain { first: image.first, before: hex(&image.before) })?;
    for Entry { seq, text, hash } in &image.transitions {
        lines.put(&Line::Transition { seq: *seq, hash: hex(hash), text })?;
    }
    image.usage.iter().try_for_each(|row| lines.put(&used(row)))?;
    image.recorded.iter().try_for_each(|row| lines.put(&counter(row)))?;
    archive(&image.archive, pages, &mut lines)?;
    ledger.slots().try_for_each(|(id, slot)| lines.put(&of_slot(id, slot)))?;
    for ((listing, dimension), balance) in &ledger.balances() {
        lines.put(&Line::Total { listing, dimension, places: Places::from(balance) })?;
    }
    let count = lines.count + 1;
    lines.put(&Line::End { lines: count })?;
    Ok(problem)
}

fn archive(archive: &Archive, pages: &mut Pages<'_>, lines: &mut Lines<'_>) -> std::io::Result<()> {
    let (first, before, whole) = (archive.first, hex(&archive.before), archive.whole);
    lines.put(&Line::ArchiveChain { first, before, whole })?;
    let mut failed = None;
    let read = archive.each(pages, |row| {
        let line = Line::Archived { seq: row.seq, hour: row.hour, hash: hex(&row.hash), text: &row.text };
        lines.put(&line).map_err(|error| {
            let said = error.to_string();
            failed = Some(error);
            said
        })
    });
    // That it cannot be read is what `verify` has said.
    drop(read);
    match failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

struct Lines<'a> {
    out: &'a mut dyn Write,
    count: u64,
}

impl Lines<'_> {
    fn put(&mut self, line: &Line<'_>) -> std::io::Result<()> {
        self.count += 1;
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.out.write_all(&text)
    }
}

fn used(row: &UsageRow) -> Line<'_> {
    Line::Usage(UsageLine {
        listing: &row.key.listing,
        payer: &row.key.payer,
        dimension: &row.key.dimension,
        hour: row.key.hour,
        tags: &row.tags,
        component: &row.component,
        per: row.per,
        units: row.units,
        late: row.late,
        at: row.at,
        hash: hex(&row.hash),
    })
}

fn counter(row: &RecordedRow) -> Line<'_> {
    let key = &row.key;
    let (listing, payer, dimension) = (key.listing.as_str(), key.payer.as_str(), key.dimension.as_str());
    Line::Recorded { listing, payer, dimension, hour: key.hour, units: row.units }
}

fn of_slot<'a>(id: &'a SlotId, slot: &'a Slot) -> Line<'a> {
    let attempts = &slot.attempts;
    let code = match &slot.life {
        Life::Rejected { code } => code,
        _ => &attempts.code,
    };
    Line::Slot(Box::new(SlotLine {
        listing: &id.listing,
        payer: "self",
        dimension: &id.dimension,
        hour: id.hour.0,
        start: rfc3339(id.hour),
        state: slot.life.name(),
        per: slot.per,
        late: slot.late,
        beyond: slot.beyond,
        last_at: slot.last_at,
        places: Places::from(&tollgate_metering::Balance::of(slot)),
        brought: buckets(&slot.brought),
        request: slot.request.as_ref().map(|request| of_request(request, slot.generation)),
        attempts: attempts.count,
        unknown: attempts.unknown,
        pending: attempts.pending,
        attempted_by: &attempts.identity,
        attempted_at: attempts.at,
        retry_at: attempts.retry_at,
        record_id: match &slot.life {
            Life::Acked { record_id } => Some(record_id),
            _ => None,
        },
        code,
    }))
}

fn of_request(request: &Request, generation: u32) -> RequestLine<'_> {
    let allocations = request.allocations.iter();
    RequestLine {
        generation,
        product_code: &request.product_code,
        quantity: request.quantity,
        allocations: allocations.map(|part| bucket(&part.tags, part.quantity.into())).collect(),
        timestamp: request.timestamp,
        token: &request.token,
    }
}

fn buckets(buckets: &Buckets) -> Vec<Bucket<'_>> {
    buckets.iter().map(|(tags, units)| bucket(tags, units)).collect()
}

fn bucket(tags: &Tags, units: u64) -> Bucket<'_> {
    Bucket { units, tags: tags.pairs().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
