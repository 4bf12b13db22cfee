//! What it costs that no response leaves before its usage is on disk: `cargo bench -p tollgate-cli --bench durable`.
//!
//! Two processes: this one sends requests (and holds the emulator, which has nothing to do meanwhile), the host is the
//! other. Everything is measured in alternation in one run, so that a busy machine is unfair to nobody. Never passes or
//! fails: what a machine reaches is not a property of the code.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

mod disk;
#[path = "../../tests/it/manifest.rs"]
mod manifest;
mod servers;
mod table;

use servers::Servers;
use table::{Rates, Spread};
use tollgate_cli::trouble::Result;

/// Each figure is the median of so many.
const ROUNDS: usize = 7;
/// How long one of them is measured.
const SLICE: Duration = Duration::from_millis(1_500);
/// Clients at the same time.
const CLIENTS: [usize; 3] = [1, 8, 64];
/// What one durable request adds to the log of the disk loop: about what its row and its counter are in the ledger.
const BYTES_A_REQUEST: usize = 256;
/// `add` calls in one request, and `commit` calls in one.
const ADDS: u32 = 2_000_000;
const COMMITS: u32 = 300;

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is its output")]
async fn main() -> ExitCode {
    match measured().await {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn measured() -> Result<String> {
    let servers = Servers::start().await?;
    let mut rates: Vec<Rates> = CLIENTS.into_iter().map(Rates::of).collect();
    let (mut add_ns, mut commit_us) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for rates in &mut rates {
            rates.durable.push(servers.rate(&servers.durable, rates.clients, SLICE).await);
            rates.unmetered.push(servers.rate(&servers.unmetered, rates.clients, SLICE).await);
            let sync_s = disk::append_and_sync(servers.disk(), rates.clients * BYTES_A_REQUEST, SLICE / 3);
            rates.sync_us.push(sync_s * 1e6);
        }
        add_ns.push(servers.each(&format!("/add?times={ADDS}"), "/add?times=1", ADDS).await * 1e9);
        commit_us.push(servers.each(&format!("/commit?times={COMMITS}"), "/commit?times=1", COMMITS).await * 1e6);
    }
    servers.stop().await?;
    Ok(table::text(&rates, &Spread::of(&add_ns), &Spread::of(&commit_us)))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}
