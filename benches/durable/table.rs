//! The figures as a table.

/// The smallest, the middle and the largest of some figures.
pub(crate) struct Spread {
    low: f64,
    pub(crate) median: f64,
    high: f64,
}

impl Spread {
    pub(crate) fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self { low: sorted[0], median: sorted[sorted.len() / 2], high: sorted[sorted.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:.0} ({:.0} to {:.0})", self.median, self.low, self.high)
    }
}

/// What was measured with so many clients, round by round.
pub(crate) struct Rates {
    pub(crate) clients: usize,
    /// Requests a second, each held until its usage is on disk.
    pub(crate) durable: Vec<f64>,
    /// Requests a second of the same component, with nothing to hold.
    pub(crate) unmetered: Vec<f64>,
    /// Microseconds for one append and `fdatasync` of a group of this size.
    pub(crate) sync_us: Vec<f64>,
}

impl Rates {
    pub(crate) fn of(clients: usize) -> Self {
        Self { clients, durable: Vec::new(), unmetered: Vec::new(), sync_us: Vec::new() }
    }
}

pub(crate) fn text(all: &[Rates], add_ns: &Spread, commit_us: &Spread) -> String {
    let mut text = String::from(
        "| clients | durable requests/s, median (min to max) | metering off | ratio | append + fdatasync, us | disk limit, requests/s | ratio |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for rates in all {
        // Each round is a ratio of its own: what slows the machine down slows down both.
        let each = |of: &dyn Fn(usize) -> f64| Spread::of(&(0..rates.durable.len()).map(of).collect::<Vec<_>>()).median;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let limit = |round: usize| rates.clients as f64 * 1e6 / rates.sync_us[round];
        text.push_str(&format!(
            "| {} | {} | {} | {:.2} | {} | {:.0} | {:.2} |\n",
            rates.clients,
            Spread::of(&rates.durable),
            Spread::of(&rates.unmetered),
            each(&|round| rates.durable[round] / rates.unmetered[round]),
            Spread::of(&rates.sync_us),
            each(&limit),
            each(&|round| rates.durable[round] / limit(round)),
        ));
    }
    text.push_str(&format!("\n`add`: {add_ns} ns. `commit`, one caller: {commit_us} us.\n"));
    text
}
