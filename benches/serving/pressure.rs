//! Guests that compute for seconds beside quick ones, and guests that wait.

use std::time::Duration;

use tollgate_cli::trouble::Result;

use super::lab::{COMPONENT, Lab, METERED, Way};
use super::load;
use super::peers::{self, Server};
use super::table::{Spread, table};
use super::{Effort, progress};

/// Rounds of a guest's loop that take longer than the measurement.
const SECONDS_OF_ROUNDS: u64 = 8_000_000_000;
/// Requests that wait at the same time, and how long.
const SLOW: usize = 1_000;
const SLOW_MS: u64 = 2_000;

/// As it is installed it has room for some three hundred instances of this component.
const ROOMY: &[&str] = &[
    "-Opooling-total-core-instances=10000",
    "-Opooling-total-component-instances=10000",
    "-Opooling-total-memories=2000",
    "-Opooling-total-tables=4000",
    "-Opooling-total-stacks=2000",
];

/// What a guest that computes does to those beside it.
pub(crate) async fn neighbour(lab: &Lab, effort: &Effort) -> Result<String> {
    let host = lab.host("neighbour", &(METERED.to_owned() + COMPONENT), &lab.counted, Way::default()).await?;
    let (quick, busy) = (host.url("/"), host.url(&format!("/burn/{SECONDS_OF_ROUNDS}")));
    let mut rows = Vec::new();
    for neighbours in [1, 8] {
        let (mut alone, mut beside, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            let without = load::closed(&quick, effort.connections, effort.slice).await?;
            let busy = busy.clone();
            let length = effort.slice + Duration::from_secs(1);
            let computing = tokio::spawn(async move { load::closed(&busy, neighbours, length).await });
            // It has to be computing by the time others ask.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let with = load::closed(&quick, effort.connections, effort.slice).await?;
            computing.abort();
            progress(&format!("{neighbours} neighbours: {without:?} {with:?}"));
            alone.push(without.p99_ms);
            beside.push(with.p99_ms);
            rates.push(with.requests_per_s / without.requests_per_s);
        }
        let raised: Vec<f64> = beside.iter().zip(&alone).map(|(with, without)| with - without).collect();
        rows.push(vec![
            neighbours.to_string(),
            format!("{:.1}", Spread::of(&alone)),
            format!("{:.1}", Spread::of(&beside)),
            format!("{:.1}", Spread::of(&raised)),
            format!("{:.2}", Spread::of(&rates)),
        ]);
    }
    Server::Host(Box::new(host)).stop().await?;
    let title = format!("Hello beside guests that compute without end, {} connections.", effort.connections);
    let head = ["computing guests", "p99 alone, ms", "p99 beside them, ms", "raised by, ms", "throughput, ratio"];
    Ok(table(&title, &head, &rows))
}

/// What a thousand requests cost that are all in guests at once.
pub(crate) async fn slow(lab: &Lab) -> Result<String> {
    let room = COMPONENT.to_owned() + "concurrency = 1100\n";
    let host = lab.host("slow", &(METERED.to_owned() + &room), &lab.counted, Way::default()).await?;
    let mut servers = vec![("tollgate, metering on, held", Server::Host(Box::new(host)))];
    let theirs = peers::wasmtime(&lab.plain, ROOMY, lab.disk()).await?;
    servers.extend(theirs.map(|server| ("`wasmtime serve`, with room for them", server)));
    let mut rows = Vec::new();
    for (name, server) in servers {
        let idle = server.memory_mib();
        let answers = load::closed(&server.url(&format!("/slow/{SLOW_MS}")), SLOW, Duration::from_secs(6)).await?;
        rows.push(vec![
            name.to_owned(),
            format!("{idle:.0}"),
            format!("{:.0}", server.peak_mib()),
            format!("{:.0}", answers.p50_ms),
            answers.failed.to_string(),
        ]);
        server.stop().await?;
    }
    let title = format!("{SLOW} requests at once that each wait for {SLOW_MS} ms in a guest.");
    Ok(table(&title, &["server", "idle, MiB", "peak, MiB", "p50, ms", "failed"], &rows))
}
