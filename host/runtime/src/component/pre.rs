//! A linked component, by what it is for and which WASI it is built for.

use wasmtime::Engine;
use wasmtime::component::InstancePre;
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
#[cfg(feature = "p3")]
use {wasmtime_wasi::p3::bindings::CommandPre as LaterCommandPre, wasmtime_wasi_http::p3::bindings::ServicePre};

use super::Run;
use crate::engine::Wasi;
use crate::guest::Guest;

#[derive(Clone)]
pub(crate) enum Pre {
    Http(ProxyPre<Guest>),
    Command(CommandPre<Guest>),
    #[cfg(feature = "p3")]
    LaterHttp(ServicePre<Guest>),
    #[cfg(feature = "p3")]
    LaterCommand(LaterCommandPre<Guest>),
}

impl Pre {
    pub(super) fn new(instance: InstancePre<Guest>, run: Run, wasi: Wasi) -> wasmtime::Result<Self> {
        Ok(match (run, wasi) {
            (Run::Http, Wasi::P2) => Self::Http(ProxyPre::new(instance)?),
            (Run::Command, Wasi::P2) => Self::Command(CommandPre::new(instance)?),
            #[cfg(feature = "p3")]
            (Run::Http, Wasi::P3) => Self::LaterHttp(ServicePre::new(instance)?),
            #[cfg(feature = "p3")]
            (Run::Command, Wasi::P3) => Self::LaterCommand(LaterCommandPre::new(instance)?),
        })
    }

    pub(super) fn run(&self) -> Run {
        match self {
            Self::Http(_) => Run::Http,
            Self::Command(_) => Run::Command,
            #[cfg(feature = "p3")]
            Self::LaterHttp(_) => Run::Http,
            #[cfg(feature = "p3")]
            Self::LaterCommand(_) => Run::Command,
        }
    }

    /// The engine it runs on.
    pub(super) fn engine(&self) -> &Engine {
        match self {
            Self::Http(pre) => pre.engine(),
            Self::Command(pre) => pre.engine(),
            #[cfg(feature = "p3")]
            Self::LaterHttp(pre) => pre.engine(),
            #[cfg(feature = "p3")]
            Self::LaterCommand(pre) => pre.engine(),
        }
    }
}
