//! Two hosts that differ in one thing: whether there is something to put on disk before a response leaves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tollgate_cli::build;
use tollgate_cli::host::{Host, HostCommand};
use tollgate_cli::http::Http;
use tollgate_cli::product::Product;
use tollgate_cli::service::Service;
use tollgate_cli::trouble::Result;

use crate::manifest::METER_HTTP;

/// Of what is sold by the request, which the host counts itself: one call of a guest may take minutes.
const PATIENT: &str = "\n[limits]\nrequest_timeout_s = 600\n";

/// The same component and the same request, but nothing is counted, so nothing waits for the disk.
const UNMETERED: &str = r#"
[product]
name = "unmetered"
version = "1.0.0"

[[listing]]
id = "gratis"
product_code = "unmetered"
pricing = "free"

[[component]]
id = "api"
source = "guest.wasm"
run = "http"
route = "/"
listings = ["gratis"]
"#;

pub(crate) struct Servers {
    pub(crate) durable: Host,
    pub(crate) unmetered: Host,
    service: Service,
    folder: TempDir,
}

impl Servers {
    pub(crate) async fn start() -> Result<Self> {
        // A folder of the working copy is on a disk; /tmp may not be.
        let folder = tempfile::tempdir_in(super::root().join("benches")).expect("a folder for the ledgers");
        let guest = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests/meter_http.wasm");
        build::components(&super::root().join("tests/guests"), std::slice::from_ref(&guest)).await?;
        let service = Service::start(([127, 0, 0, 1], 0).into()).await?;
        let mut hosts = Vec::new();
        for (name, manifest) in [("durable", format!("{METER_HTTP}{PATIENT}")), ("unmetered", UNMETERED.to_owned())] {
            let place = folder.path().join(name);
            std::fs::create_dir(&place).expect("a folder for the product");
            std::fs::write(place.join("product.toml"), manifest).expect("room for a manifest");
            std::fs::copy(&guest, place.join("guest.wasm")).expect("room for a component");
            let product = Product::read(&place)?;
            product.sell(&service.control).await?;
            let task = service.control.task("ecs").await?;
            let ledger = place.join("ledger");
            let origin = service.control.origin();
            let program = Path::new(env!("CARGO_BIN_EXE_tollgate"));
            hosts.push(HostCommand::new(program, origin, &task, &product.folder, &ledger).serve().await?);
        }
        let (Some(unmetered), Some(durable)) = (hosts.pop(), hosts.pop()) else { unreachable!("two manifests") };
        Ok(Self { durable, unmetered, service, folder })
    }

    /// The disk of the ledgers.
    pub(crate) fn disk(&self) -> &Path {
        self.folder.path()
    }

    /// Responses a second to so many clients, each of which sends its next request when it has its response.
    pub(crate) async fn rate(&self, host: &Host, clients: usize, slice: Duration) -> f64 {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut all = JoinSet::new();
        for _ in 0..clients {
            let (url, stop, answered) = (host.url("/echo"), stop.clone(), answered.clone());
            all.spawn(async move {
                let http = Http::http1();
                while !stop.load(Relaxed) {
                    let reply = http.get(&url).await.expect("a response");
                    assert!(reply.status.is_success(), "a server that refuses requests is not measured");
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        // Connections are made and caches are warm by now.
        tokio::time::sleep(slice / 5).await;
        let (before, since) = (answered.load(Relaxed), super::now());
        tokio::time::sleep(slice).await;
        let (responses, seconds) = (answered.load(Relaxed) - before, since.elapsed().as_secs_f64());
        stop.store(true, Relaxed);
        all.join_all().await;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = responses as f64 / seconds;
        rate
    }

    /// Seconds for one of the `number` calls that a request makes, without what the request itself costs.
    pub(crate) async fn each(&self, many: &str, one: &str, number: u32) -> f64 {
        let http = Http::http1();
        let mut seconds = [0.0, 0.0];
        for (path, seconds) in [one, many].into_iter().zip(&mut seconds) {
            let since = super::now();
            let reply = http.get(&self.durable.url(path)).await.expect("a response");
            assert!(reply.text().starts_with("counted"), "{}", reply.text());
            *seconds = since.elapsed().as_secs_f64();
        }
        (seconds[1] - seconds[0]) / f64::from(number - 1)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.durable.process.stop().await?;
        self.unmetered.process.stop().await?;
        self.service.stop().await;
        Ok(())
    }
}
