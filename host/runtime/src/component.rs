//! Admits components: from bytes to something that can be instantiated, or the reason why not.

mod check;
mod pre;

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Component as Compiled;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::backoff::Backoff;
#[cfg(any(test, feature = "compiler"))]
use crate::builtin;
use crate::code::Code;
use crate::egress::{Egress, Origin};
use crate::engine::{Runtime, Wasi};
use crate::gauge::Carry;
use crate::guest::Guest;
use crate::limits::RANDOM_BYTES_MAX;
use crate::meter::{Counters, Meter};
#[cfg(any(test, feature = "compiler"))]
use crate::stats::bump;
use crate::stdio::{Lines, Log};
pub(crate) use pre::Pre;

/// What a component is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// It answers requests: exports `wasi:http/incoming-handler`.
    Http,
    /// It runs once: exports `wasi:cli/run`.
    Command,
}

impl Run {
    /// The interface it has to export, without version.
    fn export(self) -> &'static str {
        match self {
            Self::Http => "wasi:http/incoming-handler",
            Self::Command => "wasi:cli/run",
        }
    }

    /// The same of WASI 0.3.
    fn later_export(self) -> &'static str {
        match self {
            Self::Http => "wasi:http/handler",
            Self::Command => "wasi:cli/run",
        }
    }

    /// The word in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Command => "command",
        }
    }
}

/// How a product uses a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSpec {
    /// Its id in the manifest, for logs.
    pub id: String,
    /// Its number in commits.
    pub index: u32,
    /// Path prefix of the requests it answers, such as `/` or `/api`; of no use to commands.
    pub route: String,
    /// Variables it sees, and no others.
    pub env: Vec<(String, String)>,
    /// Paths that do not count as `requests` or `responses-ok`, such as a health check; exact, without query.
    pub uncounted: Vec<String>,
    /// Where it may send requests.
    pub egress: Vec<Origin>,
    /// The only folders it sees.
    pub mounts: Vec<Mount>,
    /// None: each request has an instance of its own.
    pub reuse: Option<Reuse>,
}

/// How long an instance may answer one request after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Requests of one instance at most.
    pub requests: u32,
    /// Seconds from its first request on.
    pub seconds: u32,
    /// One that has grown larger is not used again.
    pub memory_mib: u32,
}

impl Reuse {
    /// Whether an instance may answer one request more that has answered so many, was made so long ago and is so large.
    #[cfg(feature = "p3")]
    pub(crate) fn allows(self, answered: u32, age: std::time::Duration, memory_bytes: usize) -> bool {
        let mib = u64::from(self.memory_mib) << 20;
        answered < self.requests && age.as_secs() < self.seconds.into() && memory_bytes as u64 <= mib
    }
}

/// A folder of the host that a component sees. No path and no symbolic link leads out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The folder; whoever composes the host answers for it.
    pub host: PathBuf,
    /// Its absolute path in the guest.
    pub guest: String,
    /// Whether the guest may write there.
    pub write: bool,
}

/// Why a component was not admitted. Each message says what, where, the likely cause and the next step.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are no WebAssembly.
    #[error(
        "component \"{id}\": not WebAssembly (it starts with {start}). Likely cause: `source` names another file. \
         Point it to the .wasm file of the build"
    )]
    NotWasm {
        /// The component.
        id: String,
        /// The first bytes in hexadecimal.
        start: String,
    },
    /// A module without the component layer.
    #[error(
        "component \"{id}\": a core module, not a component. Likely cause: built for wasm32-unknown-unknown or \
         wasm32-wasip1. Build for wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule {
        /// The component.
        id: String,
    },
    /// A component for another world.
    #[error(
        "component \"{id}\": it does not export {missing}, which run = \"{run}\" needs. It exports: {exports}. \
         Likely cause: {cause}"
    )]
    WrongWorld {
        /// The component.
        id: String,
        /// How it was to be run.
        run: &'static str,
        /// The interface that is missing.
        missing: &'static str,
        /// What there is instead.
        exports: String,
        /// The likely cause and the next step.
        cause: &'static str,
    },
    /// It imports what this host does not have.
    #[error(
        "component \"{id}\": it imports what this host does not have: {names}. Likely cause: built for another host, or \
         with a newer version of an interface. Remove the dependency that needs it, or use its version for WASI 0.2"
    )]
    UnknownImport {
        /// The component.
        id: String,
        /// The imports by name.
        names: String,
    },
    /// It needs more than an instance may have.
    #[error(
        "component \"{id}\": it needs {needs}, allowed are {allowed}. Raise `memory_mib` in [limits], or make it smaller"
    )]
    TooLarge {
        /// The component.
        id: String,
        /// What it needs at start.
        needs: String,
        /// The limit.
        allowed: String,
    },
    /// Instances of WASI 0.2 that were to be used again.
    #[error(
        "component \"{id}\": [component.reuse] is for components of WASI 0.3, and this one is of WASI 0.2, where what an \
         instance has left open after a request would keep the next one waiting. Remove it, or build for WASI 0.3"
    )]
    NotReusable {
        /// The component.
        id: String,
    },
    /// Compiled code that this host cannot use.
    #[error(
        "component \"{id}\": its compiled code cannot be used: {detail}. Likely cause: packed with another version of \
         tollgate than the host, or for another processor. Pack it again, with the host of the same version"
    )]
    Code {
        /// The component.
        id: String,
        /// What the engine says.
        detail: String,
    },
    /// The engine refuses it.
    #[error(
        "component \"{id}\": {detail}. Likely cause: a damaged file, or a feature of WebAssembly that is switched off here"
    )]
    Compile {
        /// The component.
        id: String,
        /// What the engine says.
        detail: String,
    },
}

/// A compiled and linked component. Clones share it.
#[derive(Clone)]
pub struct Component {
    pub(crate) spec: Arc<ComponentSpec>,
    pub(crate) runtime: Runtime,
    pub(crate) pre: Pre,
    pub(crate) carry: Arc<Carry>,
    pub(crate) backoff: Arc<Backoff>,
    log: Arc<Log>,
    egress: Arc<Egress>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Component {
    /// Links code that was compiled ahead of time; nothing of it runs, and nothing is compiled.
    ///
    /// # Errors
    ///
    /// Each [`LoadError`] is a fault of the product; trying again does not help.
    pub fn load(runtime: &Runtime, code: Code, run: Run, spec: ComponentSpec) -> Result<Self, LoadError> {
        let made = code.component(&runtime.engine);
        // Each engine takes only code that was compiled for one like it, and says so before anything is mapped.
        #[cfg(feature = "p3")]
        let made = made.or_else(|error| match runtime.concurrent() {
            Ok(concurrent) => code.component(&concurrent.engine).map_err(|_| error),
            Err(_) => Err(error),
        });
        let id = spec.id.clone();
        Self::link(runtime, made.map_err(|error| LoadError::Code { id, detail: format!("{error:#}") })?, run, spec)
    }

    /// Compiles and links. This takes processor time in proportion to the size of the component; nothing of it runs.
    ///
    /// # Errors
    ///
    /// Each [`LoadError`] is a fault of the product; trying again does not help.
    #[cfg(any(test, feature = "compiler"))]
    pub fn compile(runtime: &Runtime, bytes: &[u8], run: Run, spec: ComponentSpec) -> Result<Self, LoadError> {
        crate::compile::check_form(bytes, &spec.id)?;
        let refused = |error| LoadError::Compile { id: spec.id.clone(), detail: format!("{error:#}") };
        let (composed, wasi) = builtin::compose(bytes, &spec.id)?;
        let (engine, _) = runtime.of(wasi).map_err(|error| refused(error.into()))?;
        let compiler = builtin::compiler(engine, &composed).map_err(refused)?;
        let compiled = compiler.compile_component().map_err(refused)?;
        bump(&runtime.stats.components_compiled);
        Self::link(runtime, compiled, run, spec)
    }

    fn link(runtime: &Runtime, compiled: Compiled, run: Run, spec: ComponentSpec) -> Result<Self, LoadError> {
        let id = &spec.id;
        let refused = |error: wasmtime::Error| LoadError::Compile { id: id.clone(), detail: format!("{error:#}") };
        let wasi = check::exports(&compiled, run, id)?;
        if spec.reuse.is_some() && (wasi == Wasi::P2 || run == Run::Command) {
            return Err(LoadError::NotReusable { id: id.clone() });
        }
        check::imports(&compiled, wasi, id)?;
        check::size(&runtime.limits, &compiled, id)?;
        let (_, linker) = runtime.of(wasi).map_err(|error| refused(error.into()))?;
        // Names are known by now; what is left is an interface of which this host has an older text.
        let unknown = |error: wasmtime::Error| LoadError::UnknownImport { id: id.clone(), names: format!("{error:#}") };
        let instance = linker.instantiate_pre(&compiled).map_err(unknown)?;
        let pre = Pre::new(instance, run, wasi).map_err(refused)?;
        compiled.initialize_copy_on_write_image().map_err(refused)?;
        let log = Arc::new(Log::new(id.clone(), runtime.stats.clone()));
        let Runtime { network, limits, stats, .. } = runtime;
        let egress = Arc::new(Egress::new(id.clone(), spec.egress.clone(), network, limits, stats.clone()));
        Ok(Self {
            spec: Arc::new(spec),
            runtime: runtime.clone(),
            pre,
            carry: Arc::default(),
            backoff: Arc::new(Backoff::new()),
            log,
            egress,
        })
    }

    /// How the product uses it.
    pub fn spec(&self) -> &ComponentSpec {
        &self.spec
    }

    /// What it is for.
    pub fn run(&self) -> Run {
        self.pre.run()
    }

    /// A store for one request: output goes to the log.
    pub(crate) fn http_store(&self, meter: Arc<Meter>, counters: Counters) -> wasmtime::Store<Guest> {
        let mut wasi = self.wasi();
        wasi.stdout(Lines::new(self.log.clone(), "stdout"));
        self.store(meter, counters, wasi.build())
    }

    /// A store for one run: input and output are those of the process, and its errors go to the log, which shares that
    /// stream with the host.
    pub(crate) fn command_store(
        &self,
        meter: Arc<Meter>,
        counters: Counters,
        args: &[String],
    ) -> wasmtime::Store<Guest> {
        let mut wasi = self.wasi();
        wasi.args(args).inherit_stdin().inherit_stdout();
        self.store(meter, counters, wasi.build())
    }

    /// What both kinds see of the host.
    fn wasi(&self) -> WasiCtxBuilder {
        let mut wasi = WasiCtx::builder();
        wasi.envs(&self.spec.env).max_random_size(RANDOM_BYTES_MAX);
        wasi.stderr(Lines::new(self.log.clone(), "stderr"));
        for mount in &self.spec.mounts {
            let perms = if mount.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            if let Err(error) = wasi.preopened_dir(&mount.host, &mount.guest, perms) {
                let (component, folder) = (self.spec.id.as_str(), mount.host.display());
                tracing::error!(component, %folder, "a folder cannot be mounted, the guest does without it: {error:#}");
            }
        }
        wasi
    }

    fn store(&self, meter: Arc<Meter>, counters: Counters, wasi: WasiCtx) -> wasmtime::Store<Guest> {
        Guest::store(self.pre.engine(), &self.runtime.limits, meter, counters, wasi, self.egress.clone())
    }
}

#[cfg(test)]
mod tests;
