//! Load by public generators: `wrk` as fast as a server answers, `h2load` (HTTP/1.1) at a rate of its own.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tollgate_cli::trouble::{Result, Trouble};

use super::failed;

/// What `wrk` saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Closed {
    pub(crate) requests_per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Answers that are no success, and connections that broke.
    pub(crate) failed: u64,
}

/// Each connection sends its next request when it has its answer.
pub(crate) async fn closed(url: &str, connections: usize, slice: Duration) -> Result<Closed> {
    script(url, connections, slice, None).await
}

/// The same with a script of `wrk`: another request than a plain GET.
pub(crate) async fn script(url: &str, connections: usize, slice: Duration, script: Option<&Path>) -> Result<Closed> {
    let mut command = Command::new("wrk");
    command.args(["--latency", "-t1", "-c", &connections.to_string(), "-d", &format!("{}s", slice.as_secs())]);
    command.args(["--timeout", "60s"]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let text = said(command.arg(url)).await?;
    let after = |words: &str| text.lines().find_map(|line| line.trim().strip_prefix(words)).map(str::trim);
    let number = |words: &str| after(words).and_then(|rest| rest.parse::<f64>().ok());
    let errors = after("Socket errors:")
        .map_or(0, |rest| rest.split([',', ' ']).filter_map(|word| word.parse::<u64>().ok()).sum());
    let refused = after("Non-2xx or 3xx responses:").and_then(|rest| rest.parse::<u64>().ok()).unwrap_or(0);
    let odd = || Trouble::new(format!("wrk said:\n{text}"), "", "");
    Ok(Closed {
        requests_per_s: number("Requests/sec:").ok_or_else(odd)?,
        p50_ms: after("50%").and_then(milliseconds).ok_or_else(odd)?,
        p99_ms: after("99%").and_then(milliseconds).ok_or_else(odd)?,
        failed: errors + refused,
    })
}

fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4)];
    units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

/// Answers that `h2load` got: status, and milliseconds from sending to the end of the answer.
pub(crate) type Answers = Vec<(u16, f64)>;

/// So many requests in all, over so many connections, at a rate in requests a second.
pub(crate) async fn paced(url: &str, requests: usize, connections: usize, rate: f64, log: &Path) -> Result<Answers> {
    let _ = std::fs::remove_file(log);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let each = rate / connections as f64;
    let mut command = Command::new("h2load");
    command.args(["--h1", "-t1", "-c", &connections.to_string(), "-n", &requests.to_string()]);
    // They begin one after the other over the time between two requests of one, or their requests would come all at once.
    command.args(["--rate-period", "10ms", "--rate", &format!("{:.0}", (rate / 100.0).max(1.0))]);
    command.args(["--rps", &format!("{each:.3}"), "--log-file"]).arg(log).arg(url);
    said(&mut command).await?;
    let text = std::fs::read_to_string(log).map_err(|error| failed("h2load left no log", error))?;
    let answer = |line: &str| {
        let mut fields = line.split('\t').skip(1);
        let (status, us) = (fields.next()?.parse().ok()?, fields.next()?.parse::<f64>().ok()?);
        Some((status, us / 1e3))
    };
    Ok(text.lines().filter_map(answer).collect())
}

async fn said(command: &mut Command) -> Result<String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.kill_on_drop(true).output().await.map_err(|error| {
        Trouble::new(format!("{program} cannot be started: {error}"), "it is not installed", "script/bench installs it")
    })?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(Trouble::new(format!("{program}: {text}"), "", "")) }
}
