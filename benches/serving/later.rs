//! The same for a component of WASI 0.3, whose instances answer one request after the other.

use tollgate_cli::trouble::Result;

use super::Effort;
use super::lab::{COMPONENT, Lab, METERED, UNMETERED, Way};
use super::peers::{self, LATER, LATER_TUNED, Server};
use super::throughput::{BARE, Measured, WASMTIME, WASMTIME_TUNED, compared};

const ON: &str = "tollgate: metering on, held, reuse";
const OFF: &str = "tollgate: metering off, reuse";
const FRESH: &str = "tollgate: metering on, held, an instance a request";

/// As many requests as one instance answers under `wasmtime serve`.
const REUSE: &str = "[component.reuse]\nrequests = 128\n";

pub(crate) async fn measured(lab: &Lab, effort: &Effort) -> Result<String> {
    let mut all = vec![Measured::new(BARE, peers::bare_later(&lab.later).await?)];
    for (name, settings) in [(WASMTIME, LATER), (WASMTIME_TUNED, LATER_TUNED)] {
        all.extend(peers::wasmtime(&lab.later, settings, lab.disk()).await?.map(|server| Measured::new(name, server)));
    }
    // A place for each connection: between the steps of one guest others have theirs.
    let fresh = COMPONENT.to_owned() + "concurrency = 300\n";
    let reused = fresh.replace("[limits]", &format!("{REUSE}\n[limits]"));
    for (name, folder, manifest, component) in [
        (ON, "later-on", METERED.to_owned() + &reused, &lab.later_counted),
        (OFF, "later-off", UNMETERED.to_owned() + &reused, &lab.later),
        (FRESH, "later-fresh", METERED.to_owned() + &fresh, &lab.later_counted),
    ] {
        let host = lab.host(folder, &manifest, component, Way::default()).await?;
        all.push(Measured::new(name, Server::Host(Box::new(host))));
    }
    compared("Hello of WASI 0.3", all, &[BARE, WASMTIME, WASMTIME_TUNED], &[(ON, OFF)], lab, effort).await
}
