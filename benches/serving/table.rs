//! Figures of several rounds, and their ratios.

use std::fmt;

/// The smallest, the middle and the largest of some figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        match sorted.as_slice() {
            [] => Self { low: f64::NAN, median: f64::NAN, high: f64::NAN },
            some => Self { low: some[0], median: some[some.len() / 2], high: some[some.len() - 1] },
        }
    }

    /// Round by round: what slows the machine down slows down both.
    pub(crate) fn of_ratios(ours: &[f64], theirs: &[f64]) -> Self {
        Self::of(&ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    }
}

impl fmt::Display for Spread {
    /// With as many places as asked for: `{:.2}`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = out.precision().unwrap_or(0);
        write!(out, "{:.places$} ({:.places$} to {:.places$})", self.median, self.low, self.high)
    }
}

/// A table in Markdown.
pub(crate) fn table(title: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("\n{title}\n\n| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}
