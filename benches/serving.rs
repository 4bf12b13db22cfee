//! Start to ready and memory under load: `cargo bench -p tollgate-cli --bench serving`.
//!
//! Prints figures and their ratio to `wasmtime serve` on the same component in the same run, where that is installed.
//! Never passes or fails: what a machine reaches is not a property of the code.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Method;
use tokio::process::{Child, Command};
use tollgate_cli::arguments::{Keygen, Pack};
use tollgate_cli::control::Task;
use tollgate_cli::host::HostCommand;
use tollgate_cli::http::Http;
use tollgate_cli::process::{Ended, Process};
use tollgate_cli::product::Product;
use tollgate_cli::service::Service;
use tollgate_cli::trouble::Result;
use tollgate_cli::{keygen, pack};

const STARTS: usize = 7;
const CONNECTIONS: usize = 32;
const REQUESTS: usize = 20_000;
/// What the example is asked to count.
const WORDS: &[u8] = b"the quick brown fox jumps over the lazy dog";

/// The baseline.
const SERVE: &str = "wasmtime serve";

/// What one server needed.
struct Figures {
    name: &'static str,
    start_ms: Vec<f64>,
    idle_mib: f64,
    peak_mib: f64,
    requests_per_s: f64,
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is its output")]
async fn main() -> ExitCode {
    match figures().await {
        Ok(all) => {
            println!("{}", table(&all));
            ExitCode::SUCCESS
        }
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn figures() -> Result<Vec<Figures>> {
    let product = Product::read(&root().join("examples/plain-http"))?;
    product.build().await?;
    let scratch = tempfile::tempdir_in(root().join("benches")).expect("a folder for ledgers, on a disk");
    let (key, packed) = (scratch.path().join("vendor.pem"), scratch.path().join("packed"));
    keygen::run(&Keygen { file: key.clone() })?;
    let host = Some(PathBuf::from(TOLLGATE));
    let cpu = "x86-64-v3".to_owned();
    let folder = product.folder.clone();
    pack::run(Pack { product: folder.clone(), key, output: packed.clone(), host, cpu, preview: false, lab: true })
        .await?;
    let mut all = vec![
        tollgate("tollgate, packed", &product, &packed, &packed, &scratch.path().join("ledger-packed")).await?,
        tollgate("tollgate, folder", &product, TOLLGATE.as_ref(), &folder, &scratch.path().join("ledger")).await?,
    ];
    all.extend(wasmtime_serve(&product.sources()[0]).await);
    Ok(all)
}

/// The tool that is measured; packed, it is the host around its product.
const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

/// The host of this build, metering on, responses held until their usage is on disk, entitlement answered at once.
async fn tollgate(
    name: &'static str,
    product: &Product,
    program: &Path,
    source: &Path,
    ledger: &Path,
) -> Result<Figures> {
    let service = Service::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    product.announce(&service.control).await?;
    for listing in &product.manifest.listings {
        service.control.subscribe(&listing.product_code, true).await?;
    }
    let task: Task = service.control.task("ecs").await?;
    let emulator = format!("http://{}", service.address);
    let command =
        HostCommand::new(program, &emulator, &task, source, ledger).variable("TOLLGATE_LISTING", "by-request");
    let mut start_ms = Vec::new();
    for _ in 0..STARTS {
        let since = now();
        let host = command.serve().await?;
        start_ms.push(milliseconds(since));
        let _: Ended = host.process.stop().await?;
    }
    let host = command.serve().await?;
    let pid = host.process.id().unwrap_or_default();
    let idle_mib = memory_mib(pid, "VmRSS:");
    let requests_per_s = load(&host.url("/")).await;
    let peak_mib = memory_mib(pid, "VmHWM:");
    let process: Process = host.process;
    process.stop().await?;
    service.stop().await;
    Ok(Figures { name, start_ms, idle_mib, peak_mib, requests_per_s })
}

/// None: `wasmtime` is not on the PATH, or not with `serve`.
async fn wasmtime_serve(component: &Path) -> Option<Figures> {
    let mut start_ms = Vec::new();
    let mut running: Option<(Child, SocketAddr)> = None;
    for _ in 0..STARTS {
        if let Some((mut child, _)) = running.take() {
            child.kill().await.ok()?;
        }
        // A port that was free a moment ago; `serve` says nothing about one that it chose itself.
        let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).ok()?;
        let since = now();
        let mut child = Command::new("wasmtime")
            .args(["serve", "-Scli", "--addr", &address.to_string()])
            .arg(component)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            if child.try_wait().ok()?.is_some() {
                return None;
            }
            tokio::task::yield_now().await;
        }
        start_ms.push(milliseconds(since));
        running = Some((child, address));
    }
    let (mut child, address) = running?;
    let pid = child.id().unwrap_or_default();
    let idle_mib = memory_mib(pid, "VmRSS:");
    let requests_per_s = load(&format!("http://{address}/")).await;
    let peak_mib = memory_mib(pid, "VmHWM:");
    child.kill().await.ok()?;
    Some(Figures { name: SERVE, start_ms, idle_mib, peak_mib, requests_per_s })
}

/// Requests a second over all connections. The load generator shares the machine.
async fn load(url: &str) -> f64 {
    let since = now();
    let mut customers = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let url = url.to_owned();
        customers.spawn(async move {
            let http = Http::http1();
            let mut answered = 0;
            for _ in 0..REQUESTS / CONNECTIONS {
                let reply = http.send(Method::POST, &url, &[], Bytes::from_static(WORDS)).await;
                answered += usize::from(reply.is_ok_and(|reply| reply.status.is_success()));
            }
            answered
        });
    }
    let answered: usize = customers.join_all().await.into_iter().sum();
    assert_eq!(answered, REQUESTS, "a server that refuses requests is not measured");
    let seconds = milliseconds(since) / 1_000.0;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = answered as f64 / seconds;
    rate
}

fn table(all: &[Figures]) -> String {
    let ours = &all[0];
    let mut text = String::from(
        "| server | start to ready, median (min to max) | idle | peak under load | requests/s |\n|---|---|---|---|---|\n",
    );
    for figures in all {
        let (low, median, high) = spread(&figures.start_ms);
        text.push_str(&format!(
            "| {} | {median:.0} ms ({low:.0} to {high:.0}) | {:.0} MiB | {:.0} MiB | {:.0} |\n",
            figures.name, figures.idle_mib, figures.peak_mib, figures.requests_per_s
        ));
    }
    match all.iter().find(|figures| figures.name == SERVE) {
        Some(theirs) => text.push_str(&format!(
            "| ratio | {:.2} | {:.2} | {:.2} | {:.2} |\n",
            spread(&ours.start_ms).1 / spread(&theirs.start_ms).1,
            ours.idle_mib / theirs.idle_mib,
            ours.peak_mib / theirs.peak_mib,
            ours.requests_per_s / theirs.requests_per_s
        )),
        None => text.push_str("\n`wasmtime serve` is not installed here, so there is no baseline in this run.\n"),
    }
    text
}

fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}

/// A line of /proc/PID/status in MiB.
fn memory_mib(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1_024.0
}

fn milliseconds(since: Instant) -> f64 {
    let elapsed: Duration = now() - since;
    elapsed.as_secs_f64() * 1_000.0
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}
