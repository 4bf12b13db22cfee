//! The engine for components of WASI 0.3, made when the product has one.
//!
//! Its calls keep books of the concurrent tasks of a guest, which guests of WASI 0.2 would pay for and not use. Everything
//! else is as in the other engine: the same pool, limits, walls and counters.

use wasmtime::Engine;
use wasmtime::component::Linker;

use super::{EngineError, Runtime, Wasi, config, linker, pool, tick};
use crate::guest::Guest;
use crate::limits::Limits;

/// The engine, with the interfaces of WASI 0.3 linked beside those of WASI 0.2: the standard libraries of languages still
/// import those.
pub(crate) struct Concurrent {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<Guest>,
}

impl Runtime {
    /// The engine, made at the first call.
    pub(crate) fn concurrent(&self) -> Result<&Concurrent, EngineError> {
        let made = self.concurrent.get_or_init(|| self.make_concurrent().map_err(|error| error.detail));
        made.as_ref().map_err(|detail| EngineError { detail: detail.clone() })
    }

    fn make_concurrent(&self) -> Result<Concurrent, EngineError> {
        // As many as work may wait for work.
        let limits = Limits { concurrency: self.limits.concurrency.saturating_mul(2), ..self.limits.clone() };
        let pooled = self.pooled.then(|| Engine::new(&config(Some(pool(&limits)), Wasi::P3)));
        let engine = match pooled {
            Some(Ok(engine)) => engine,
            _ => Engine::new(&config(None, Wasi::P3)).map_err(EngineError::new)?,
        };
        let mut linker = linker(&engine).map_err(EngineError::new)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker).map_err(EngineError::new)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker).map_err(EngineError::new)?;
        tick(engine.weak())?;
        Ok(Concurrent { engine, linker })
    }
}
