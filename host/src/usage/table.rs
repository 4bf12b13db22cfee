//! Rows as a table for people. Units are those of the guest, `quantity` is in billed units.

use crate::meter::Row;

const HEAD: [&str; 11] = [
    "hour",
    "listing",
    "dimension",
    "state",
    "recorded",
    "late",
    "in",
    "out",
    "remainder",
    "quantity",
    "record id or code",
];

/// One line an hour and dimension, columns as wide as they have to be.
pub(super) fn of(rows: &[Row]) -> String {
    let lines: Vec<Vec<String>> =
        std::iter::once(HEAD.map(str::to_owned).to_vec()).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let hour = i64::try_from(row.hour).ok().and_then(|hour| jiff::Timestamp::from_second(hour).ok());
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
        row.remainder.to_string(),
        row.quantity.map_or_else(String::new, |quantity| quantity.to_string()),
        last,
    ]
}
