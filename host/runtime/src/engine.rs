//! The one place that configures wasmtime.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::code::Pages;
use crate::egress::Network;
use crate::guest::Guest;
use crate::imports;
use crate::limits::{CORE_INSTANCES_MAX, Limits, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use crate::stats::Stats;

#[cfg(feature = "p3")]
mod concurrent;

/// A guest computes for one to two of them before it lets others on its thread go first.
const EPOCH: Duration = Duration::from_millis(2);
/// Memory of a pool slot that stays mapped between two instances, so that the next one faults less.
const MEMORY_KEEP_RESIDENT: usize = 2 << 20;
const TABLE_KEEP_RESIDENT: usize = 512 << 10;
const STACK_KEEP_RESIDENT: usize = 64 << 10;
/// Stack of a guest, inside the stack of the fiber it runs on. Interpreters recurse deeply.
const WASM_STACK: usize = 512 << 10;
const FIBER_STACK: usize = 2 << 20;
/// Slots beyond the admitted requests: an instance may still be on its way out.
const SLOTS_SPARE: u32 = 8;

/// What the engine is sized for, and what its guests reach the network with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The limits of the product: the pool holds as many instances as requests are admitted.
    pub limits: Limits,
    /// The way out.
    pub network: Network,
}

/// The engine could not be made; there is nothing to retry.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly engine could not be made: {detail}. Likely cause: a processor or kernel it does not support")]
pub struct EngineError {
    detail: String,
}

/// An engine with all host interfaces linked. Clones share it.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) linker: Arc<Linker<Guest>>,
    pub(crate) limits: Limits,
    pub(crate) stats: Arc<Stats>,
    pub(crate) network: Network,
    pooled: bool,
    /// Instances that wait for their next request, of all components.
    #[cfg(feature = "p3")]
    pub(crate) kept: Arc<std::sync::atomic::AtomicU32>,
    #[cfg(feature = "p3")]
    concurrent: Arc<std::sync::OnceLock<Result<concurrent::Concurrent, String>>>,
}

/// The generation of WASI that a component is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wasi {
    /// WASI 0.2.
    P2,
    /// WASI 0.3.
    #[cfg(feature = "p3")]
    P3,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("limits", &self.limits).field("pooled", &self.pooled).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Makes the engine, links the host interfaces and starts the ticker.
    ///
    /// The pool of instances reserves address space; where that is refused, instances are allocated one by one.
    ///
    /// # Errors
    ///
    /// The engine itself was refused, with and without a pool.
    pub fn new(options: &EngineOptions) -> Result<Self, EngineError> {
        let (engine, pooled) = match Engine::new(&config(Some(pool(&options.limits)), Wasi::P2)) {
            Ok(engine) => (engine, true),
            Err(error) => {
                tracing::warn!(
                    "no address space for a pool of instances ({error:#}): each request allocates its own memory, \
                     which is slower; likely cause: a limit on virtual memory"
                );
                (Engine::new(&config(None, Wasi::P2)).map_err(EngineError::new)?, false)
            }
        };
        let linker = linker(&engine).map_err(EngineError::new)?;
        tick(engine.weak())?;
        let limits = options.limits.clone();
        let network = options.network.clone();
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            limits,
            stats: Arc::default(),
            network,
            pooled,
            #[cfg(feature = "p3")]
            kept: Arc::default(),
            #[cfg(feature = "p3")]
            concurrent: Arc::default(),
        })
    }

    /// The engine and the interfaces for a generation of WASI.
    pub(crate) fn of(&self, wasi: Wasi) -> Result<(&Engine, &Linker<Guest>), EngineError> {
        match wasi {
            Wasi::P2 => Ok((&self.engine, &self.linker)),
            #[cfg(feature = "p3")]
            Wasi::P3 => self.concurrent().map(|made| (&made.engine, &made.linker)),
        }
    }

    /// Numbers to watch.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// False if instances are allocated one by one.
    pub fn pooled(&self) -> bool {
        self.pooled
    }
}

impl EngineError {
    fn new(error: wasmtime::Error) -> Self {
        Self { detail: format!("{error:#}") }
    }
}

/// Opens the list of the pages of this process, by which the pool resets the memory of an instance, and keeps it open.
///
/// Only for a process that makes itself unreadable (`PR_SET_DUMPABLE`) before its first engine: it cannot open the list
/// any more afterwards, unless it is root.
pub fn open_pagemap() {
    // It is kept whatever the answer is. Without it the pool clears pages that nobody wrote to.
    let _ = PoolingAllocationConfig::is_pagemap_scan_available();
}

/// For the host that runs and for the tool that compiles ahead of time: code is taken only by an engine whose settings
/// are those it was compiled with.
pub(crate) fn config(pool: Option<PoolingAllocationConfig>, wasi: Wasi) -> Config {
    // Guests of WASI 0.2 pay for the bookkeeping of concurrent tasks at each call, and use none of it.
    let concurrent = wasi != Wasi::P2;
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(concurrent)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .memory_init_cow(true)
        .with_custom_code_memory(Some(Arc::new(Pages)))
        // What no guest toolchain for WASI 0.2 emits only adds attack surface.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false);
    // Or each `add` would be a call, and the parts of a component would not be optimised together.
    config.compiler_inlining(wasmtime::Inlining::Yes);
    #[cfg(feature = "p3")]
    config.wasm_component_model_async(concurrent);
    #[cfg(any(test, feature = "compiler"))]
    config.cranelift_opt_level(wasmtime::OptLevel::Speed);
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let instances = limits.concurrency.saturating_add(SLOTS_SPARE);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        // A component has several core instances; five for Go, few dozens for Python with native wheels.
        .total_core_instances(instances.saturating_mul(8).max(CORE_INSTANCES_MAX))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(4).max(TABLES_MAX))
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_tables_per_module(TABLES_MAX)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .table_elements(TABLE_ELEMENTS_MAX / 4)
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT)
        .table_keep_resident(TABLE_KEEP_RESIDENT)
        .async_stack_keep_resident(STACK_KEEP_RESIDENT)
        // Resets only the pages that were written; needs Linux 6.7.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Everything a guest may import. WASI interfaces that reach files or sockets are here too and refuse each call:
/// Python and Go import them always.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    imports::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Advances the epoch from a thread of its own: a timer of the async runtime would be held up by the very guests that
/// it has to interrupt. The thread ends with the engine.
fn tick(engine: EngineWeak) -> Result<(), EngineError> {
    let ticker = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::park_timeout(EPOCH);
        }
    };
    match std::thread::Builder::new().name("epoch".into()).spawn(ticker) {
        Ok(_) => Ok(()),
        Err(error) => Err(EngineError { detail: format!("no thread for its ticker: {error}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_address_space_there_is_still_an_engine() {
        // More memory than any machine can map stands for a machine that cannot map much.
        let limits = Limits { concurrency: u32::MAX / 64, ..Limits::default() };
        assert!(Engine::new(&config(Some(pool(&limits)), Wasi::P2)).is_err());
        let runtime = crate::testing::runtime(limits);
        assert!(!runtime.pooled());
    }

    #[test]
    fn the_default_is_a_pool() {
        assert!(crate::testing::runtime(Limits::default()).pooled());
    }
}
