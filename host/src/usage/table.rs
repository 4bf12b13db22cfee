//! Rows as a table for people, with their sums below.

use jiff::Timestamp;

use crate::meter::{Row, Total};

const HEAD: [&str; 14] = [
    "hour",
    "listing",
    "dimension",
    "state",
    "recorded",
    "late",
    "in",
    "out",
    "sealed",
    "sent",
    "in doubt",
    "conflict",
    "remainder",
    "record id or code",
];
const NOTE: &str = "sealed: billed units in the request; sent: tries to send it; all else in units of the guest\n";

/// One line an hour and dimension, columns as wide as they have to be; then one a dimension since the ledger began.
pub(super) fn of(rows: &[Row], totals: &[Total]) -> String {
    let head = HEAD.map(str::to_owned).to_vec();
    let lines: Vec<Vec<String>> =
        std::iter::once(head).chain(rows.iter().map(cells)).chain(totals.iter().map(sums)).collect();
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text + NOTE
}

fn cells(row: &Row) -> Vec<String> {
    let hour = i64::try_from(row.hour).ok().and_then(|hour| Timestamp::from_second(hour).ok());
    let last = row.record_id.as_ref().or(row.code.as_ref()).cloned().unwrap_or_default();
    vec![
        hour.map_or_else(|| row.hour.to_string(), |hour| hour.to_string()),
        row.listing.clone(),
        row.dimension.clone(),
        row.state.to_owned(),
        row.recorded.to_string(),
        row.late.to_string(),
        (row.carried_in + row.adopted).to_string(),
        (row.carried_out + row.handed_over).to_string(),
        row.quantity.map_or_else(String::new, |quantity| quantity.to_string()),
        row.attempts.to_string(),
        row.in_doubt.to_string(),
        row.conflict.to_string(),
        row.remainder.to_string(),
        last,
    ]
}

/// Hours that are forgotten are in the sums too.
fn sums(total: &Total) -> Vec<String> {
    let places = &total.places;
    vec![
        "since the beginning".to_owned(),
        total.listing.clone(),
        total.dimension.clone(),
        format!("acked {}", places.acked),
        places.recorded.to_string(),
        String::new(),
        (places.carried_in + places.adopted).to_string(),
        (places.carried_out + places.handed_over).to_string(),
        String::new(),
        String::new(),
        places.in_doubt.to_string(),
        places.conflict.to_string(),
        places.remainder.to_string(),
        lost(total),
    ]
}

fn lost(total: &Total) -> String {
    let lost = [("expired", total.places.expired), ("rejected", total.places.rejected)];
    let lost: Vec<String> =
        lost.iter().filter(|(_, units)| *units > 0).map(|(name, units)| format!("{name} {units}")).collect();
    lost.join(", ")
}
