//! The table at the end of the demo: what was served, written, accepted and billed, side by side.

use serde::Serialize;

/// One dimension, counted by four who do not know each other's numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The dimension.
    pub dimension: String,
    /// Units in responses that arrived whole, as the client counted them.
    pub served: u64,
    /// Units in requests whose response never arrived, because the host was killed: on disk or not, both are right.
    pub uncertain: u64,
    /// Units in the host's ledger.
    pub ledger: u64,
    /// Units in records that AWS accepted, as the host was told.
    pub accepted: u64,
    /// Units that AWS would bill, as the emulator knows.
    pub truth: u64,
}

impl Row {
    /// Nothing served is missing from the ledger, nothing unserved is in it, and all in it is billed once.
    pub fn holds(&self) -> bool {
        let served = self.served..=self.served.saturating_add(self.uncertain);
        served.contains(&self.ledger) && self.ledger == self.accepted && self.accepted == self.truth
    }
}

/// The rows as lines of text.
pub fn lines(rows: &[Row]) -> Vec<String> {
    let wide = rows.iter().map(|row| row.dimension.len()).max().unwrap_or(0).max(9);
    let head =
        format!("{:wide$}  {:>14}  {:>10}  {:>10}  {:>10}", "dimension", "served", "ledger", "accepted", "truth");
    let mut lines = vec![head];
    lines.extend(rows.iter().map(|row| {
        let served = match row.uncertain {
            0 => row.served.to_string(),
            more => format!("{} (+ 0..{more})", row.served),
        };
        let verdict = if row.holds() { "equal" } else { "NOT EQUAL" };
        format!(
            "{:wide$}  {served:>14}  {:>10}  {:>10}  {:>10}  {verdict}",
            row.dimension, row.ledger, row.accepted, row.truth
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(served: u64, uncertain: u64, ledger: u64, accepted: u64, truth: u64) -> Row {
        Row { dimension: "images".into(), served, uncertain, ledger, accepted, truth }
    }

    #[test]
    fn a_row_holds_only_if_nothing_is_lost_and_nothing_is_billed_twice() {
        assert!(row(10, 0, 10, 10, 10).holds());
        assert!(row(10, 3, 12, 12, 12).holds());
        assert!(!row(10, 3, 14, 14, 14).holds(), "more than was asked for");
        assert!(!row(10, 3, 9, 9, 9).holds(), "a served unit is lost");
        assert!(!row(10, 0, 10, 9, 10).holds(), "AWS holds a record that the host does not know");
        assert!(!row(10, 0, 10, 10, 11).holds(), "a unit is billed twice");
    }

    #[test]
    fn the_table_reads_without_colour() {
        let rows = [row(10, 3, 12, 12, 12), row(10, 0, 10, 9, 10)];
        insta::assert_snapshot!(lines(&rows).join("\n"), @r"
        dimension          served      ledger    accepted       truth
        images        10 (+ 0..3)          12          12          12  equal
        images                 10          10           9          10  NOT EQUAL
        ");
    }
}
