//! Real work: processor time for a thumbnail, beside the same code under `wasmtime serve`.

use std::path::Path;

use tollgate_cli::product::Product;
use tollgate_cli::trouble::Result;

use super::lab::{Lab, Way};
use super::peers::{self, INSTALLED, Server, TUNED};
use super::table::{Spread, table};
use super::{Effort, failed, load, progress, root};

const CONNECTIONS: usize = 8;

struct Measured {
    name: &'static str,
    server: Server,
    cpu_ms: Vec<f64>,
    rates: Vec<f64>,
}

impl Measured {
    fn new(name: &'static str, server: Server) -> Self {
        Self { name, server, cpu_ms: Vec::new(), rates: Vec::new() }
    }
}

pub(crate) async fn measured(lab: &Lab, effort: &Effort) -> Result<String> {
    let product = Product::read(&root().join("examples/thumbnails"))?;
    let host = lab.serve(&product, "thumbnails", Way::default()).await?;
    let mut all = vec![Measured::new("tollgate, metering on, held", Server::Host(Box::new(host)))];
    for (name, settings) in [("`wasmtime serve` as installed", INSTALLED), ("`wasmtime serve`, best tuning", TUNED)] {
        let server = peers::wasmtime(&lab.thumbnails, settings, lab.disk()).await?;
        all.extend(server.map(|server| Measured::new(name, server)));
    }
    let script = lab.disk().join("thumbnails.lua");
    write_script(&script)?;
    for _ in 0..effort.rounds {
        for measured in &mut all {
            let url = measured.server.url("/?width=120");
            let before = measured.server.cpu_s();
            let closed = load::script(&url, CONNECTIONS, effort.slice, Some(&script)).await?;
            let requests = closed.requests_per_s * effort.slice.as_secs_f64();
            let cpu_ms = (measured.server.cpu_s() - before) * 1e3 / requests;
            progress(&format!("{}: {cpu_ms:.3} ms, {closed:?}", measured.name));
            measured.cpu_ms.push(cpu_ms);
            measured.rates.push(closed.requests_per_s);
        }
    }
    let ours: Vec<f64> = all[0].cpu_ms.clone();
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|measured| {
            vec![
                measured.name.to_owned(),
                format!("{:.3}", Spread::of(&measured.cpu_ms)),
                format!("{:.3}", Spread::of_ratios(&ours, &measured.cpu_ms)),
                format!("{:.0}", Spread::of(&measured.rates)),
                format!("{:.0}", measured.server.peak_mib()),
            ]
        })
        .collect();
    for measured in all {
        measured.server.stop().await?;
    }
    let title = format!(
        "Thumbnails of samples/picture.jpg, {CONNECTIONS} connections. The peers get the same code without its meter."
    );
    let head = ["server", "processor time a request, ms", "tollgate to it", "requests/s", "peak, MiB"];
    Ok(table(&title, &head, &rows))
}

/// `wrk` sends the picture.
fn write_script(script: &Path) -> Result<()> {
    let picture = root().join("examples/thumbnails/samples/picture.jpg");
    let text = format!(
        "wrk.method = \"POST\"\nlocal file = io.open(\"{}\", \"rb\")\nwrk.body = file:read(\"*a\")\nfile:close()\n",
        picture.display()
    );
    std::fs::write(script, text).map_err(|error| failed("cannot write the script", error))
}
