//! Start to ready of packed products: `cargo bench -p tollgate-cli --bench start`.
//!
//! From the start of the process to its log line `ready`, entitlement answered at once by the emulator, with an empty
//! ledger and again with that ledger. Beside `wasmtime serve` on the same component, compiled when it starts and ahead of
//! time, where that is installed. Never passes or fails: what a machine reaches is not a property of the code.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use tokio::process::Command;
use tollgate_cli::arguments::{Keygen, Pack};
use tollgate_cli::host::HostCommand;
use tollgate_cli::process::{Ended, Input, Process};
use tollgate_cli::product::Product;
use tollgate_cli::service::Service;
use tollgate_cli::trouble::{Result, Trouble};
use tollgate_cli::{keygen, pack};

#[path = "../tests/it/manifest.rs"]
mod manifest;

use manifest::METER_HTTP;

const STARTS: usize = 15;
/// Of these, so many in which `wasmtime serve` compiles: seconds each.
const COMPILED: usize = 3;
/// The tool that is measured; packed, it is the host around its product.
const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");
/// What makes a component of some Python: 18 MB, most of it the interpreter.
const COMPONENTIZE: &str = "componentize-py==0.25.1";
/// A busy machine takes its time for an interpreter.
const MAKE_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// How a start was made, and how long each took.
struct Starts {
    how: String,
    ms: Vec<f64>,
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is its output")]
async fn main() -> ExitCode {
    let scratch = tempfile::tempdir_in(root().join("benches")).expect("a folder for ledgers, on a disk");
    for (name, product) in [("thumbnails", thumbnails().await), ("large", large(&scratch.path().join("large")).await)] {
        let starts = match product {
            Ok(product) => measure(&product, &scratch.path().join(format!("{name}-packed"))).await,
            Err(trouble) => Err(trouble),
        };
        match starts {
            Ok(starts) => println!("{}", table(name, &starts)),
            Err(trouble) => {
                eprintln!("{name}: {trouble}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

async fn thumbnails() -> Result<Product> {
    let product = Product::read(&root().join("examples/thumbnails"))?;
    product.build().await?;
    Ok(product)
}

/// A product of one large component: an interpreter.
async fn large(folder: &Path) -> Result<Product> {
    let failed = |error: std::io::Error| Trouble::file("write", folder, &error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    for (name, text) in [
        ("product.toml", METER_HTTP.replace("guest.wasm", "large.wasm").as_str()),
        ("app.py", APP),
        ("world.wit", "package bench:large;\nworld large { include wasi:http/proxy@0.2.10; }\n"),
    ] {
        std::fs::write(folder.join(name), text).map_err(failed)?;
    }
    let script = "mkdir wit; mv world.wit wit; cp -r \"$1\" wit/deps; python3 -m venv tools; \
                  tools/bin/pip --quiet install \"$2\"; \
                  tools/bin/componentize-py -q -d wit -w large componentize app -o large.wasm";
    let mut make = Command::new("sh");
    make.args(["-euc", script, "sh"]).arg(root().join("wit/deps")).arg(COMPONENTIZE).current_dir(folder);
    let making = Process::start("componentize-py", &mut make, Input::Nothing)?.patient(MAKE_TIMEOUT);
    let ended = making.end().await?;
    if ended.code != Some(0) {
        return Err(Trouble::fails(ended.stderr, "", "it needs python3 with venv, and PyPI"));
    }
    Product::read(folder)
}

/// All ways to start one product, in turns, so that a busy moment of the machine meets all of them.
async fn measure(product: &Product, packed: &Path) -> Result<Vec<Starts>> {
    let key = packed.with_extension("pem");
    keygen::run(&Keygen { file: key.clone() })?;
    let (folder, host) = (product.folder.clone(), Some(PathBuf::from(TOLLGATE)));
    let cpu = "x86-64-v3".to_owned();
    pack::run(Pack { product: folder, key, output: packed.to_owned(), host, cpu, preview: false, lab: true }).await?;
    let service = Service::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    product.sell(&service.control).await?;
    let (component, compiled) = (product.sources()[0].clone(), packed.with_extension("cwasm"));
    let wasmtime = Command::new("wasmtime").arg("compile").arg(&component).arg("-o").arg(&compiled).status().await;
    let wasmtime = wasmtime.is_ok_and(|status| status.success());
    let mut all = Vec::from(["tollgate, new ledger", "tollgate, its ledger again"].map(Starts::new));
    if wasmtime {
        all.extend(["wasmtime serve, compiles", "wasmtime serve, compiled ahead"].map(Starts::new));
    }
    for turn in 0..STARTS {
        let task = service.control.task("ecs").await?;
        let ledger = packed.with_extension(format!("ledger-{turn}"));
        let origin = format!("http://{}", service.address);
        let command = HostCommand::new(packed, &origin, &task, packed, &ledger);
        for starts in all.iter_mut().take(2) {
            starts.ms.push(ready(&command).await?);
        }
        if wasmtime {
            if turn < COMPILED {
                // Otherwise it compiles once, and reads its own cache from then on.
                all[2].ms.extend(listens(&component, &["-Ccache=n"]).await);
            }
            all[3].ms.extend(listens(&compiled, &["--allow-precompiled"]).await);
        }
    }
    service.stop().await;
    Ok(all)
}

/// Of the host: until it says so.
async fn ready(command: &HostCommand) -> Result<f64> {
    let since = now();
    let host = command.serve().await?;
    let ms = milliseconds(since);
    let _: Ended = host.process.stop().await?;
    Ok(ms)
}

/// Of `wasmtime serve`: until a connection is taken. None: it ended.
async fn listens(component: &Path, more: &[&str]) -> Option<f64> {
    // A port that was free a moment ago; `serve` says nothing about one that it chose itself.
    let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).ok()?;
    let mut command = Command::new("wasmtime");
    command.args(["serve", "-Scli", "--addr", &address.to_string()]).args(more).arg(component);
    let since = now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().ok()?;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        if child.try_wait().ok()?.is_some() {
            return None;
        }
        tokio::task::yield_now().await;
    }
    let ms = milliseconds(since);
    child.kill().await.ok()?;
    Some(ms)
}

fn table(product: &str, all: &[Starts]) -> String {
    let mut text = format!("| {product} | start to ready, median (min to max) | ratio |\n|---|---|---|\n");
    let ours = spread(&all[0].ms).1;
    for Starts { how, ms } in all.iter().filter(|starts| !starts.ms.is_empty()) {
        let (low, median, high) = spread(ms);
        text.push_str(&format!("| {how} | {median:.1} ms ({low:.1} to {high:.1}) | {:.2} |\n", ours / median));
    }
    if all.len() == 2 {
        text.push_str("\n`wasmtime` is not installed here, so there is no baseline in this run.\n");
    }
    text
}

impl Starts {
    fn new(how: &str) -> Self {
        Self { how: how.to_owned(), ms: Vec::new() }
    }
}

fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}

fn milliseconds(since: Instant) -> f64 {
    (now() - since).as_secs_f64() * 1_000.0
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

const APP: &str = r#"
from wit_world import exports
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam
from componentize_py_types import Ok


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam):
        response = OutgoingResponse(Fields.from_list([]))
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with body.write() as stream:
            stream.blocking_write_and_flush(b"ok")
        OutgoingBody.finish(body, None)
"#;
