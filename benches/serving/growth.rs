//! What more dimensions, tag sets and components cost.

use std::fmt::Write as _;

use tollgate_cli::trouble::Result;

use super::lab::{Lab, Way};
use super::peers::{self, Server};
use super::table::{Spread, table};
use super::{Effort, load, progress};

const LISTING: &str = r#"
[[listing]]
id = "paid"
product_code = "CODE"
pricing = "custom"
entitlement_dimension = "start"

[[dimension]]
key = "start"
from = "guest"
"#;

/// By whom.
enum Served {
    /// A host with this manifest.
    Host(String),
    /// The bare server with so many copies of the component.
    Bare(u32),
}

/// One size of a product.
struct Size {
    name: String,
    served: Served,
    /// What `wrk` asks for.
    script: Option<String>,
    rates: Vec<f64>,
}

pub(crate) async fn measured(lab: &Lab, effort: &Effort) -> Result<String> {
    let mut groups = [
        ("dimensions", [2, 6, 24].map(dimensions)),
        ("tag sets", [1, 100, 1_000].map(tag_sets)),
        ("components", [1, 10, 50].map(components)),
        ("components of the bare server", [1, 10, 50].map(bare_components)),
    ];
    let mut rows = Vec::new();
    for (what, sizes) in &mut groups {
        let mut hosts = Vec::new();
        for size in sizes.iter() {
            hosts.push(match &size.served {
                Served::Host(manifest) => {
                    let name = size.name.replace(' ', "-");
                    Server::Host(Box::new(lab.host(&name, manifest, &lab.counted, Way::default()).await?))
                }
                Served::Bare(copies) => peers::bare_copies(&lab.plain, *copies).await?,
            });
        }
        let script = lab.disk().join("growth.lua");
        for _ in 0..effort.rounds {
            for (size, host) in sizes.iter_mut().zip(&hosts) {
                if let Some(text) = &size.script {
                    std::fs::write(&script, text).map_err(|error| super::failed("cannot write the script", error))?;
                }
                let script = size.script.is_some().then_some(script.as_path());
                let closed = load::script(&host.url("/"), effort.connections, effort.slice, script).await?;
                progress(&format!("{}: {closed:?}", size.name));
                size.rates.push(closed.requests_per_s);
            }
        }
        for host in hosts {
            host.stop().await?;
        }
        for size in sizes.iter() {
            let ratio = Spread::of_ratios(&size.rates, &sizes[0].rates);
            rows.push(vec![
                (*what).to_owned(),
                size.name.clone(),
                format!("{:.0}", Spread::of(&size.rates)),
                format!("{ratio:.2}"),
            ]);
        }
    }
    let title = format!("Cost of growth, hello, {} connections, metering on, responses held.", effort.connections);
    Ok(table(&title, &["more", "size", "requests/s, median (min to max)", "to the smallest"], &rows))
}

/// All but two are counted by the host for each request; one is counted by the guest, one asks for entitlement.
fn dimensions(number: u32) -> Size {
    let mut manifest = LISTING.to_owned() + "\n[[dimension]]\nkey = \"images\"\nfrom = \"guest\"\n";
    for index in 2..number {
        let _ = write!(manifest, "\n[[dimension]]\nkey = \"d{index}\"\nfrom = \"host:requests\"\n");
    }
    let component = "\n[[component]]\nid = \"api\"\nsource = \"guest.wasm\"\nrun = \"http\"\nroute = \"/\"\n";
    let served = Served::Host(manifest + component);
    Size { name: format!("{number} dimensions"), served, script: None, rates: Vec::new() }
}

/// The guest counts under the tag that the path names.
fn tag_sets(number: u32) -> Size {
    let manifest = LISTING.to_owned()
        + "\n[[dimension]]\nkey = \"images\"\nfrom = \"guest\"\ntags = [\"team\"]\n"
        + "\n[[component]]\nid = \"api\"\nsource = \"guest.wasm\"\nrun = \"http\"\nroute = \"/\"\n";
    let script = format!(
        "local n = 0\nrequest = function()\n  n = (n + 1) % {number}\n  return wrk.format(\"GET\", \"/tagged/\" .. n)\nend\n"
    );
    Size { name: format!("{number} tag sets"), served: Served::Host(manifest), script: Some(script), rates: Vec::new() }
}

/// Each is asked in turn.
fn components(number: u32) -> Size {
    let mut manifest = LISTING.to_owned() + "\n[[dimension]]\nkey = \"images\"\nfrom = \"guest\"\n";
    for index in 0..number {
        let _ = write!(
            manifest,
            "\n[[component]]\nid = \"c{index}\"\nsource = \"guest.wasm\"\nrun = \"http\"\nroute = \"/c{index}\"\n"
        );
    }
    let script = Some(each_component(number));
    Size { name: format!("{number} components"), served: Served::Host(manifest), script, rates: Vec::new() }
}

/// The same without anything of ours: what so much code and memory costs whoever serves it.
fn bare_components(number: u32) -> Size {
    let script = Some(each_component(number));
    Size { name: format!("{number} components"), served: Served::Bare(number), script, rates: Vec::new() }
}

fn each_component(number: u32) -> String {
    format!(
        "local n = 0\nrequest = function()\n  n = (n + 1) % {number}\n  return wrk.format(\"GET\", \"/c\" .. n)\nend\n"
    )
}
