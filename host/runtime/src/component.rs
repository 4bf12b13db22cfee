//! Admits components: from bytes to something that can be instantiated, or the reason why not.

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Component as Compiled;
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::backoff::Backoff;
#[cfg(any(test, feature = "compiler"))]
use crate::builtin;
use crate::code::Code;
use crate::egress::{Egress, Origin};
use crate::engine::Runtime;
use crate::gauge::Carry;
use crate::guest::Guest;
use crate::limits::{MEMORIES_MAX, RANDOM_BYTES_MAX, TABLES_MAX};
use crate::meter::{Counters, Meter};
#[cfg(any(test, feature = "compiler"))]
use crate::stats::bump;
use crate::stdio::{Lines, Log};

/// Packages of which a guest may import any interface, up to the version this host has.
const PACKAGES: [&str; 9] = [
    // Only our own part of a component imports it; guests that do are refused before they are compiled.
    "tollgate:host/",
    "tollgate:metering/",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

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

#[derive(Clone)]
pub(crate) enum Pre {
    Http(ProxyPre<Guest>),
    Command(CommandPre<Guest>),
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
        let composed = builtin::compose(bytes, &spec.id)?;
        let compiler = builtin::compiler(&runtime.engine, &composed).map_err(refused)?;
        let compiled = compiler.compile_component().map_err(refused)?;
        bump(&runtime.stats.components_compiled);
        Self::link(runtime, compiled, run, spec)
    }

    fn link(runtime: &Runtime, compiled: Compiled, run: Run, spec: ComponentSpec) -> Result<Self, LoadError> {
        let id = &spec.id;
        let refused = |error: wasmtime::Error| LoadError::Compile { id: id.clone(), detail: format!("{error:#}") };
        check_exports(runtime, &compiled, run, id)?;
        check_imports(runtime, &compiled, id)?;
        check_size(runtime, &compiled, id)?;
        // Names are known by now; what is left is an interface of which this host has an older text.
        let unknown = |error: wasmtime::Error| LoadError::UnknownImport { id: id.clone(), names: format!("{error:#}") };
        let instance = runtime.linker.instantiate_pre(&compiled).map_err(unknown)?;
        let pre = match run {
            Run::Http => Pre::Http(ProxyPre::new(instance).map_err(refused)?),
            Run::Command => Pre::Command(CommandPre::new(instance).map_err(refused)?),
        };
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
        match self.pre {
            Pre::Http(_) => Run::Http,
            Pre::Command(_) => Run::Command,
        }
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
        Guest::store(&self.runtime.engine, &self.runtime.limits, meter, counters, wasi, self.egress.clone())
    }
}

fn check_exports(runtime: &Runtime, compiled: &Compiled, run: Run, id: &str) -> Result<(), LoadError> {
    let ty = compiled.component_type();
    let exports: Vec<&str> = ty.exports(&runtime.engine).map(|(name, _)| name).collect();
    let has = |interface: &str, version: &str| {
        let (name, version) = (format!("{interface}@"), format!("@{version}"));
        exports.iter().any(|export| export.starts_with(&name) && export.contains(&version))
    };
    if has(run.export(), "0.2.") {
        return Ok(());
    }
    let other = if run == Run::Http { Run::Command } else { Run::Http };
    let cause = if has(other.export(), "0.2.") {
        match other {
            Run::Http => "it answers requests. Say run = \"http\"",
            Run::Command => "it is a command. Say run = \"command\"",
        }
    } else if has("wasi:http/handler", "0.3.") || has("wasi:cli/run", "0.3.") {
        "it is built for WASI 0.3. Build for WASI 0.2"
    } else {
        "built as a library, or for a world of another host. Build for the world in `wit/worlds.wit`"
    };
    let exports = if exports.is_empty() { "nothing".to_string() } else { exports.join(", ") };
    Err(LoadError::WrongWorld { id: id.to_string(), run: run.name(), missing: run.export(), exports, cause })
}

fn check_imports(runtime: &Runtime, compiled: &Compiled, id: &str) -> Result<(), LoadError> {
    let ty = compiled.component_type();
    let known = |name: &str| {
        let version = name.split_once('@').map_or("", |(_, version)| version);
        let right = if name.starts_with("wasi:") { "0.2." } else { "0.1." };
        PACKAGES.iter().any(|package| name.starts_with(package)) && version.starts_with(right)
    };
    let names: Vec<&str> = ty.imports(&runtime.engine).map(|(name, _)| name).filter(|name| !known(name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(LoadError::UnknownImport { id: id.to_string(), names: names.join(", ") })
}

fn check_size(runtime: &Runtime, compiled: &Compiled, id: &str) -> Result<(), LoadError> {
    let Some(needs) = compiled.resources_required() else { return Ok(()) };
    let too_large = |needs: String, allowed: String| Err(LoadError::TooLarge { id: id.to_string(), needs, allowed });
    let pages = needs.max_initial_memory_size.unwrap_or(0);
    let pages_max = u64::from(runtime.limits.memory_mib) * 16;
    if pages > pages_max {
        return too_large(format!("{} MiB of memory", pages.div_ceil(16)), format!("{} MiB", pages_max / 16));
    }
    if needs.num_memories > MEMORIES_MAX || needs.num_tables > TABLES_MAX {
        let needs = format!("{} memories and {} tables", needs.num_memories, needs.num_tables);
        return too_large(needs, format!("{MEMORIES_MAX} and {TABLES_MAX}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
