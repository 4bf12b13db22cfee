//! Three times more requests than can be answered: what is answered, what is refused and how soon, and whether the
//! ledger has exactly what was answered.

use std::time::Duration;

use tollgate_cli::host::Host;
use tollgate_cli::trouble::Result;

use super::lab::{COMPONENT, Lab, METERED, Way};
use super::peers::Server;
use super::table::table;
use super::{Effort, failed, load, now, progress};

/// Connections of the load. Each has one request on its way, so it must be more than wait at once.
const CONNECTIONS: usize = 2_000;
const TIMES: f64 = 3.0;
/// Requests that are answered one after the other before the ledger is read.
const SETTLING: u64 = 16;

pub(crate) async fn measured(lab: &Lab, effort: &Effort) -> Result<String> {
    let host = lab.host("overload", &(METERED.to_owned() + COMPONENT), &lab.counted, Way::default()).await?;
    let path = format!("/burn/{}", a_millisecond(&host).await?);
    let url = host.url(&path);
    let server = Server::Host(Box::new(host));
    let Server::Host(host) = &server else { unreachable!("it was made above") };
    let (slice, cpu) = (effort.slice.max(Duration::from_secs(5)), server.cpu_s());
    let peak = load::closed(&url, 64, slice).await?;
    let peak_of_cpu = peak.requests_per_s * slice.as_secs_f64() / (server.cpu_s() - cpu);
    let before = at_rest(host).await?;
    let rate = peak.requests_per_s * TIMES;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of requests")]
    let requests = (rate * effort.overload.as_secs_f64()) as usize / CONNECTIONS * CONNECTIONS;
    progress(&format!("peak {peak:?}; {requests} requests at {rate:.0} a second"));
    let (cpu, since) = (server.cpu_s(), now());
    let answers = load::paced(&url, requests, CONNECTIONS, rate, &lab.disk().join("answers")).await?;
    let (seconds, cpu) = (since.elapsed().as_secs_f64(), server.cpu_s() - cpu);
    let of = |wanted: &dyn Fn(u16) -> bool| -> Vec<f64> {
        let mut times: Vec<f64> = answers.iter().filter(|(status, _)| wanted(*status)).map(|&(_, ms)| ms).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let (answered, refused) = (of(&|status| status == 200), of(&|status| status == 503));
    let other = answers.len() - answered.len() - refused.len();
    // Its own requests are not of the load.
    let counted = at_rest(host).await? - before - SETTLING;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let (goodput, of_cpu) = (answered.len() as f64 / seconds, answered.len() as f64 / cpu);
    let rows = vec![vec![
        format!("{:.0}", peak.requests_per_s),
        format!("{:.0}", requests as f64 / seconds),
        format!("{goodput:.0}, {:.2} of peak", goodput / peak.requests_per_s),
        format!("{} / {}", percentile(&answered, 50), percentile(&answered, 99)),
        refused.len().to_string(),
        format!("{} / {} / {}", percentile(&refused, 50), percentile(&refused, 99), percentile(&refused, 100)),
        format!("{} of {requests}", requests - answers.len() + other),
        format!("{} answered, {counted} in the ledger", answered.len()),
        format!("{:.0}", server.peak_mib()),
        format!("{cpu:.0}"),
        format!("{of_cpu:.0}, {:.2} of peak", of_cpu / peak_of_cpu),
    ]];
    server.stop().await?;
    let title = format!(
        "Overload for {seconds:.0} s: a guest that computes for 1 ms, {TIMES} times the requests that 64 connections get answered, over {CONNECTIONS} connections."
    );
    let head = [
        "peak, requests/s",
        "offered, requests/s",
        "answered, requests/s",
        "answer after, p50 / p99, ms",
        "refused (503)",
        "refused after, p50 / p99 / at most, ms",
        "neither",
        "usage",
        "peak, MiB",
        "processor, s",
        "answered in a second of processor time",
    ];
    Ok(table(&title, &head, &rows))
}

/// Rounds of the guest's loop that take a millisecond here.
async fn a_millisecond(host: &Host) -> Result<u64> {
    const ROUNDS: u64 = 100_000_000;
    let http = tollgate_cli::http::Http::http1();
    let since = now();
    http.get(&host.url(&format!("/burn/{ROUNDS}"))).await.map_err(|error| failed("no answer", error))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "rounds")]
    let rounds = (ROUNDS as f64 / (since.elapsed().as_secs_f64() * 1e3)) as u64;
    Ok(rounds)
}

/// The same when no guest runs any more: the last clients of a load went away without their answers.
async fn at_rest(host: &Host) -> Result<u64> {
    host.in_flight(0).await?;
    // What is gathered now goes to the disk before this one's answer.
    for _ in 0..SETTLING {
        tollgate_cli::http::Http::http1()
            .get(&host.url("/nothing"))
            .await
            .map_err(|error| failed("no answer", error))?;
    }
    recorded(host).await
}

/// Units in the ledger that the guest counted.
async fn recorded(host: &Host) -> Result<u64> {
    Ok(host.tallies().await?.iter().filter(|tally| tally.dimension == "images").map(|tally| tally.recorded).sum())
}

fn percentile(sorted: &[f64], percent: usize) -> String {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"))
}
