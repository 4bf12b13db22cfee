//! A hello component, an instance a request: the host beside its peers, with and without metering, with and without
//! `PAGEMAP_SCAN`.

use std::time::Duration;

use tollgate_cli::trouble::Result;

use super::lab::{COMPONENT, Lab, METERED, UNMETERED, Way};
use super::load::{self, Closed};
use super::peers::{self, INSTALLED, SELF_AS_OLDER_KERNEL, Server, TUNED};
use super::slow_disk::{self, SELF_AS_SLOW_DISK};
use super::table::{Spread, table};
use super::{Effort, facts, progress};

/// One of the servers that are compared.
pub(crate) struct Measured {
    name: &'static str,
    server: Server,
    idle_mib: f64,
    rounds: Vec<Closed>,
    /// Processor time of the server for one request, in microseconds: what other work on the machine changes least.
    cpu_us: Vec<f64>,
}

impl Measured {
    pub(crate) fn new(name: &'static str, server: Server) -> Self {
        let idle_mib = server.memory_mib();
        Self { name, server, idle_mib, rounds: Vec::new(), cpu_us: Vec::new() }
    }

    fn each(&self, figure: impl Fn(&Closed) -> f64) -> Vec<f64> {
        self.rounds.iter().map(figure).collect()
    }

    fn rates(&self) -> Vec<f64> {
        self.each(|closed| closed.requests_per_s)
    }
}

pub(crate) const BARE: &str = "bare server";
const BARE_HELD: &str = "bare server, answers held for one `fdatasync`";
const ON: &str = "tollgate: metering on, responses held";
const ON_PLAIN: &str = "tollgate: only `host:requests`, held";
const OFF: &str = "tollgate: metering off";
pub(crate) const WASMTIME: &str = "`wasmtime serve` as installed";
pub(crate) const WASMTIME_TUNED: &str = "`wasmtime serve`, best tuning";
const ON_BESIDE: &str = "tollgate of --beside: metering on, held";
const BARE_SLOW: &str = "bare server, answers held, `fdatasync` 0.85 ms slower";
const ON_SLOW: &str = "tollgate: metering on, held, `fdatasync` 0.85 ms slower";
const ON_SLOW_BESIDE: &str = "tollgate of --beside: metering on, held, `fdatasync` 0.85 ms slower";
const PAIRS: [(&str, &str); 6] =
    [(ON, OFF), (ON_SLOW, OFF), (BARE_HELD, BARE), (BARE_SLOW, BARE), (ON, ON_BESIDE), (ON_SLOW, ON_SLOW_BESIDE)];
const ON_OLDER: &str = "tollgate: metering on, held, without PAGEMAP_SCAN";

pub(crate) async fn measured(lab: &Lab, effort: &Effort) -> Result<String> {
    slow_disk::told_if_late();
    let mut all = vec![
        Measured::new("hyper, no component", peers::native().await?),
        Measured::new(BARE, peers::bare(&lab.plain, false).await?),
        Measured::new(BARE_HELD, peers::bare_held(&lab.plain, lab.disk(), false).await?),
        Measured::new(BARE_SLOW, peers::bare_held(&lab.plain, lab.disk(), true).await?),
        Measured::new("bare server without PAGEMAP_SCAN", peers::bare(&lab.plain, true).await?),
    ];
    for (name, settings) in [(WASMTIME, INSTALLED), (WASMTIME_TUNED, TUNED)] {
        all.extend(peers::wasmtime(&lab.plain, settings, lab.disk()).await?.map(|server| Measured::new(name, server)));
    }
    all.extend(peers::jco(&lab.plain).await?.map(|server| Measured::new("`jco serve`, on Node.js", server)));
    let (on, off) = (METERED.to_owned() + COMPONENT, UNMETERED.to_owned() + COMPONENT);
    let shipped = Way::default();
    let slower = |host| Way { host, surroundings: Some(SELF_AS_SLOW_DISK) };
    let beside = effort.beside.iter().flat_map(|file| {
        let host = Some(file.as_path());
        [
            (ON_BESIDE, "on-beside", &on, &lab.counted, Way { host, ..shipped }),
            (ON_SLOW_BESIDE, "on-slow-beside", &on, &lab.counted, slower(host)),
        ]
    });
    for (name, folder, manifest, component, way) in [
        (ON, "on", &on, &lab.counted, shipped),
        (ON_PLAIN, "on-plain", &on, &lab.plain, shipped),
        (OFF, "off", &off, &lab.plain, shipped),
        (ON_SLOW, "on-slow", &on, &lab.counted, slower(None)),
        (ON_OLDER, "on-older", &on, &lab.counted, Way { surroundings: Some(SELF_AS_OLDER_KERNEL), ..shipped }),
    ]
    .into_iter()
    .chain(beside)
    {
        let host = lab.host(folder, manifest, component, way).await?;
        all.push(Measured::new(name, Server::Host(Box::new(host))));
    }
    compared("Hello", all, &[BARE, BARE_HELD, WASMTIME, WASMTIME_TUNED], &PAIRS, lab, effort).await
}

/// Asks all servers in turn, round by round, and ends them.
pub(crate) async fn compared(
    what: &str,
    mut all: Vec<Measured>,
    bases: &[&str],
    pairs: &[(&str, &str)],
    lab: &Lab,
    effort: &Effort,
) -> Result<String> {
    all.retain(|measured| effort.only.as_ref().is_none_or(|only| measured.name.contains(only.as_str())));
    let mut sync_us = Vec::new();
    for round in 1..=effort.rounds {
        for measured in &mut all {
            let url = measured.server.url("/");
            load::closed(&url, effort.connections, Duration::from_secs(1)).await?;
            let before = measured.server.cpu_s();
            let closed = load::closed(&url, effort.connections, effort.slice).await?;
            let requests = closed.requests_per_s * effort.slice.as_secs_f64();
            measured.cpu_us.push((measured.server.cpu_s() - before) * 1e6 / requests);
            progress(&format!("round {round}, {}: {closed:?}, {:.1} us", measured.name, measured.cpu_us[round - 1]));
            measured.rounds.push(closed);
            // A slow server works on what was asked of it when nobody waits any more, and would disturb the next.
            measured.server.quiet().await;
        }
        sync_us.push(facts::sync_us(lab.disk(), effort.slice / 8).median);
    }
    let title = format!(
        "{what}, {} connections, {} rounds of {} s; `fdatasync` {:.0} us in the same rounds. Ratios round by round.",
        effort.connections,
        effort.rounds,
        effort.slice.as_secs(),
        Spread::of(&sync_us)
    );
    let mut text = text(&title, &all, bases);
    let rates = |name: &str| all.iter().find(|measured| measured.name == name).map(Measured::rates);
    for (one, other) in pairs {
        if let (Some(ours), Some(theirs)) = (rates(one), rates(other)) {
            text.push_str(&format!("\n{one}, to {other}: {:.2}\n", Spread::of_ratios(&ours, &theirs)));
        }
    }
    for measured in all {
        measured.server.stop().await?;
    }
    Ok(text)
}

fn text(title: &str, all: &[Measured], bases: &[&str]) -> String {
    let of = |name: &str| all.iter().find(|measured| measured.name == name).map(Measured::rates);
    let against = |measured: &Measured, name: &str| {
        of(name)
            .map_or_else(|| "-".to_owned(), |theirs| format!("{:.2}", Spread::of_ratios(&measured.rates(), &theirs)))
    };
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|measured| {
            let failed: u64 = measured.rounds.iter().map(|closed| closed.failed).sum();
            let mut row = vec![measured.name.to_owned(), format!("{:.0}", Spread::of(&measured.rates()))];
            row.extend(bases.iter().map(|name| against(measured, name)));
            row.extend([
                format!("{:.1}", Spread::of(&measured.cpu_us)),
                format!("{:.1}", Spread::of(&measured.each(|closed| closed.p50_ms)).median),
                format!("{:.1}", Spread::of(&measured.each(|closed| closed.p99_ms)).median),
                format!("{:.0}, {:.0}", measured.idle_mib, measured.server.peak_mib()),
                failed.to_string(),
            ]);
            row
        })
        .collect();
    let bases: Vec<String> = bases.iter().map(|name| format!("to {name}")).collect();
    let mut head = vec!["server", "requests/s, median (min to max)"];
    head.extend(bases.iter().map(String::as_str));
    head.extend(["processor time a request, us", "p50, ms", "p99, ms", "memory idle, peak, MiB", "failed"]);
    table(title, &head, &rows)
}
