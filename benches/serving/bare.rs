//! A server of components with the settings that were found to be the fastest, and nothing of Tollgate in it: no
//! limits, no metering, no time-outs, no drain, HTTP/1.1 only. An instance for each request. With a file, each answer waits
//! until that has been written after it. Of several copies of the component the number in the path says which one answers.

use std::path::Path;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::sync::oneshot;
use tollgate_cli::trouble::Result;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, bail};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::held::{Disk, Held};
use super::{failed, native};

pub(crate) fn serve(address: &str, component: &Path, copies: usize, file: Option<&Path>) -> Result<()> {
    let all = Arc::new(prepare(component, copies).map_err(|error| failed("cannot load the component", error))?);
    let disk = file.map(Disk::open).transpose()?;
    native::each_core(address, move |listener| {
        let (all, disk) = (all.clone(), disk.clone());
        async move {
            let held = disk.map(|disk| {
                let held = Arc::<Held>::default();
                tokio::spawn(held.clone().keep(disk));
                held
            });
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (all, held, _) = (all.clone(), held.clone(), stream.set_nodelay(true));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (all, held) = (all.clone(), held.clone());
                    async move {
                        let number = request.uri().path().trim_start_matches("/c").parse().unwrap_or(0);
                        let answer = answer(&all[number % all.len()], request).await;
                        if let Some(held) = held {
                            held.wait().await;
                        }
                        answer
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        }
    })
}

fn prepare(component: &Path, copies: usize) -> wasmtime::Result<Vec<ProxyPre<State>>> {
    let engine = engine(false)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let prepared = (0..copies).map(|_| {
        let component = Component::from_file(&engine, component)?;
        component.initialize_copy_on_write_image()?;
        ProxyPre::new(linker.instantiate_pre(&component)?)
    });
    prepared.collect()
}

/// With the best settings, for components of WASI 0.2 or, `later`, of WASI 0.3.
pub(super) fn engine(later: bool) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(4_000)
        .total_component_instances(1_000)
        .total_memories(1_000)
        .total_tables(2_000)
        .total_stacks(1_000)
        .max_memory_size(64 << 20)
        .linear_memory_keep_resident(2 << 20)
        .table_keep_resident(512 << 10)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(later)
        .wasm_component_model_async(later)
        .async_stack_size(256 << 10)
        .max_wasm_stack(128 << 10)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

async fn answer(pre: &ProxyPre<State>, request: Request<Incoming>) -> wasmtime::Result<Response<HyperOutgoingBody>> {
    let mut store = Store::new(pre.engine(), State::new());
    let (sender, receiver) = oneshot::channel();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    let pre = pre.clone();
    let task = tokio::spawn(async move {
        let proxy = pre.instantiate_async(&mut store).await?;
        proxy.wasi_http_incoming_handler().call_handle(store, request, out).await
    });
    match receiver.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => match task.await {
            Ok(Ok(())) => bail!("no response"),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.into()),
        },
    }
}

/// What an instance sees.
pub(super) struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoWayOut,
    table: ResourceTable,
}

impl State {
    pub(super) fn new() -> Self {
        let (wasi, http, table) = (WasiCtx::builder().build(), WasiHttpCtx::new(), ResourceTable::new());
        Self { wasi, http, hooks: NoWayOut, table }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// The measured component sends no requests.
struct NoWayOut;

type Done = Box<dyn Future<Output = std::result::Result<(), wasmtime_wasi_http::Error>> + Send>;
type Sent = std::result::Result<(Response<wasmtime_wasi_http::WasiBody>, Done), wasmtime_wasi_http::Error>;

impl WasiHttpHooks for NoWayOut {
    fn send_request(
        &mut self,
        _: Request<wasmtime_wasi_http::WasiBody>,
        _: Option<wasmtime_wasi_http::RequestOptions>,
        _: Done,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) })
    }
}
