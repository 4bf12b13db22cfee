//! What the tests of this crate share: small guests made from core modules, and a keeper that records.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::component::{Component, ComponentSpec, Run};
use crate::egress::{Egress, Network};
use crate::engine::{EngineOptions, Runtime};
use crate::guest::Guest;
use crate::limits::Limits;
use crate::meter::{Counters, Desk, Dimension, Granted, Measure, Meter, Pricing, Source, open};

/// A component of a world of `wit/` from the text of its core module.
pub(crate) fn guest(world: &str, text: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(folder).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(text).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

pub(crate) fn runtime(limits: Limits) -> Runtime {
    // No roots: nothing here speaks TLS.
    let network = Network::new(rustls::RootCertStore::empty()).unwrap();
    Runtime::new(&EngineOptions { limits, network }).unwrap()
}

/// A component at `/`, number 0, whose `/excluded` path is not counted.
pub(crate) fn load(runtime: &Runtime, bytes: &[u8], run: Run) -> Component {
    Component::compile(runtime, bytes, run, spec("guest", "/")).unwrap()
}

pub(crate) fn spec(id: &str, route: &str) -> ComponentSpec {
    ComponentSpec {
        id: id.to_string(),
        index: 0,
        route: route.to_string(),
        env: Vec::new(),
        uncounted: vec!["/excluded".to_string()],
        egress: Vec::new(),
        mounts: Vec::new(),
        reuse: None,
    }
}

/// `images` by the guest, then one dimension a measure that does not depend on the speed of the machine.
pub(crate) fn meter() -> (Meter, Desk) {
    let dimension = |key: &str, source| Dimension { key: key.to_string(), source, tag_keys: Vec::new() };
    let dimensions = vec![
        dimension("images", Source::Guest),
        dimension("requests", Source::Host(Measure::Requests)),
        dimension("ok", Source::Host(Measure::ResponsesOk)),
        dimension("in", Source::Host(Measure::RequestBytes)),
        dimension("out", Source::Host(Measure::ResponseBytes)),
    ];
    let granted = Granted { product: "p".into(), listing: "paid".into(), pricing: Pricing::Custom, since: 0 };
    open(dimensions, granted)
}

/// Answers commits, each after taking a permit, and adds up what it recorded.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) permits: Arc<Semaphore>,
    totals: Arc<Mutex<Vec<u64>>>,
}

impl Keeper {
    /// Begins to keep; with `permits` of `Semaphore::MAX_PERMITS` it never holds anything up.
    pub(crate) fn start(mut desk: Desk, permits: usize) -> Self {
        let totals = Arc::new(Mutex::new(vec![0; desk.dimensions().len()]));
        let keeper = Self { permits: Arc::new(Semaphore::new(permits)), totals };
        let own = keeper.clone();
        tokio::spawn(async move {
            loop {
                let commits = desk.commits.next().await;
                if commits.is_empty() {
                    break;
                }
                for commit in commits {
                    own.permits.acquire().await.unwrap().forget();
                    for delta in commit.deltas {
                        own.totals.lock().unwrap()[delta.dimension as usize] += delta.units;
                    }
                    commit.done.send(Ok(()));
                }
            }
        });
        keeper
    }

    /// Units recorded, in the order of the dimensions of [`meter`].
    pub(crate) fn totals(&self) -> String {
        let totals = self.totals.lock().unwrap();
        let names = ["images", "requests", "ok", "in", "out"];
        let parts: Vec<String> = names.iter().zip(&*totals).map(|(name, units)| format!("{name} {units}")).collect();
        parts.join(", ")
    }
}

/// A store for a guest that sees nothing of the host but its counters.
pub(crate) fn store(runtime: &Runtime, meter: Meter, counters: Counters) -> wasmtime::Store<Guest> {
    let wasi = wasmtime_wasi::WasiCtx::builder().build();
    let Runtime { network, limits, stats, .. } = runtime;
    let egress = Egress::new("guest".into(), Vec::new(), network, limits, stats.clone());
    Guest::store(&runtime.engine, limits, Arc::new(meter), counters, wasi, Arc::new(egress))
}

/// Numbers from a seed, by a recurrence that anybody can repeat.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub(crate) fn small(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(end.into())).unwrap()
    }
}
