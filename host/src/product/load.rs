//! From a source to components that can run: the only place that makes code of anything, and it wants a [`Grant`] first.

#[cfg(feature = "compiler")]
use std::path::Path;
use std::time::Duration;

use tollgate_runtime::component::{Component, ComponentSpec, LoadError, Mount, Run as RuntimeRun};
use tollgate_runtime::egress::Network;
use tollgate_runtime::engine::{EngineOptions, Runtime};
use tollgate_runtime::meter;

use super::manifest::{ComponentEntry, Manifest, Run};
use super::mount::{Mounts, NotMounted};
use super::source::{Held, Source};
use crate::entitlement::Grant;
use crate::exit::{Exit, Why};

/// A component file; more is a mistake of the build.
#[cfg(feature = "compiler")]
const COMPONENT_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The vendor's code under the granted listing, linked.
#[derive(Debug)]
pub struct Product {
    /// Its components in the order of the manifest, only those of the listing.
    pub components: Vec<Component>,
}

/// Why the product cannot run: a fault of the product, not of the operator.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded {
    /// A component's file cannot be read.
    #[error("component \"{id}\": {path} cannot be read: {error}")]
    Unreadable {
        /// The component.
        id: String,
        /// Its file.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A component's file is not what it should be.
    #[error("{error}\nfile: {path}")]
    Refused {
        /// Its file, as the manifest names it.
        path: String,
        /// What the runtime says, with cause and next step.
        error: LoadError,
    },
    /// A folder that it works on is not there.
    #[error("component \"{id}\": {error}")]
    NotMounted {
        /// The component.
        id: String,
        /// What is wrong with the folder.
        error: NotMounted,
    },
}

impl Product {
    /// Links the components of the granted listing, and no others. `variable` looks up the operator's variables; a
    /// component sees those that the manifest names and the operator set. `mounts` finds the folders it sees.
    ///
    /// # Errors
    /// [`NotLoaded`] for the first component that cannot run.
    pub fn load(
        grant: &Grant,
        runtime: &Runtime,
        source: &Source,
        variable: impl Fn(&str) -> Option<String>,
        mounts: &Mounts,
    ) -> Result<Self, NotLoaded> {
        let entries = (0u32..).zip(&source.manifest().components);
        let mine = entries.filter(|(_, entry)| entry.belongs_to(grant.listing()));
        let components = mine.map(|(index, entry)| {
            component(runtime, source, entry, spec(index, entry, &variable, mounted(entry, mounts)?))
        });
        Ok(Self { components: components.collect::<Result<_, _>>()? })
    }
}

/// Links every component of a bundle as a host would, so that what a buyer's host would refuse is found before it is
/// shipped. For the vendor's own machine: there is no Grant, and nothing runs.
///
/// # Errors
/// [`NotLoaded`] for the first component that a host refuses, or the engine could not be made.
#[cfg(feature = "compiler")]
pub fn admit(source: &Source) -> anyhow::Result<()> {
    let runtime = Runtime::new(&engine(source.manifest())?)?;
    for (index, entry) in (0u32..).zip(&source.manifest().components) {
        component(&runtime, source, entry, spec(index, entry, |_| None, Vec::new()))?;
    }
    Ok(())
}

/// What the engine is sized for, and the servers its guests trust.
///
/// # Errors
/// The embedded TLS roots cannot be used.
pub fn engine(manifest: &Manifest) -> anyhow::Result<EngineOptions> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    Ok(EngineOptions { limits: limits(manifest), network: Network::new(roots)? })
}

/// The manifest's dimensions as the runtime counts them; the place in the list is the number of the dimension.
pub fn dimensions(manifest: &Manifest) -> Vec<meter::Dimension> {
    let dimension = |d: &super::manifest::Dimension| meter::Dimension {
        key: d.key.clone(),
        source: d.from,
        tag_keys: d.tags.clone(),
    };
    manifest.dimensions.iter().map(dimension).collect()
}

/// The manifest's limits as the runtime enforces them.
pub fn limits(manifest: &Manifest) -> tollgate_runtime::limits::Limits {
    let limits = &manifest.limits;
    tollgate_runtime::limits::Limits {
        memory_mib: limits.memory_mib,
        request_timeout: Duration::from_secs(limits.request_timeout_s.into()),
        concurrency: limits.concurrency,
        body_mib: limits.body_mib,
        egress_requests: limits.egress_requests,
        egress_body_mib: limits.egress_body_mib,
    }
}

fn component(
    runtime: &Runtime,
    source: &Source,
    entry: &ComponentEntry,
    spec: ComponentSpec,
) -> Result<Component, NotLoaded> {
    let refused = |error| NotLoaded::Refused { path: entry.source.display().to_string(), error };
    match source.held() {
        Held::Bundle(bundle) => {
            let missing = || LoadError::Code { id: entry.id.clone(), detail: "there is none in the bundle".into() };
            let code = bundle.code(spec.index as usize).ok_or_else(missing).map_err(refused)?;
            Component::load(runtime, code, run(entry), spec).map_err(refused)
        }
        #[cfg(feature = "compiler")]
        Held::Folder(..) => {
            let bytes = read(entry)?;
            Component::compile(runtime, &bytes, run(entry), spec).map_err(refused)
        }
    }
}

/// How the product uses a component.
fn spec(
    index: u32,
    entry: &ComponentEntry,
    variable: impl Fn(&str) -> Option<String>,
    mounts: Vec<Mount>,
) -> ComponentSpec {
    ComponentSpec {
        id: entry.id.clone(),
        index,
        route: entry.route.clone(),
        env: entry.env.iter().filter_map(|name| Some((name.clone(), variable(name)?))).collect(),
        uncounted: entry.exclude_paths.clone(),
        egress: entry.egress.clone(),
        mounts,
        reuse: entry.reuse,
    }
}

fn mounted(entry: &ComponentEntry, mounts: &Mounts) -> Result<Vec<Mount>, NotLoaded> {
    let not_mounted = |error| NotLoaded::NotMounted { id: entry.id.clone(), error };
    entry.mounts.iter().map(|mount| mounts.find(mount)).collect::<Result<_, _>>().map_err(not_mounted)
}

/// How a component is run, in the runtime's words.
pub fn run(entry: &ComponentEntry) -> RuntimeRun {
    match entry.run {
        Run::Http => RuntimeRun::Http,
        Run::Command => RuntimeRun::Command,
    }
}

/// The file of a component.
///
/// # Errors
/// [`NotLoaded::Unreadable`].
#[cfg(feature = "compiler")]
pub fn read(entry: &ComponentEntry) -> Result<Vec<u8>, NotLoaded> {
    let unreadable =
        |error| NotLoaded::Unreadable { id: entry.id.clone(), path: entry.source.display().to_string(), error };
    bytes(&entry.source).map_err(unreadable)
}

#[cfg(feature = "compiler")]
fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let length = std::fs::metadata(path)?.len();
    if length > COMPONENT_BYTES_MAX {
        return Err(std::io::Error::other(format!("{length} bytes are over the limit of {COMPONENT_BYTES_MAX}")));
    }
    std::fs::read(path)
}

impl NotLoaded {
    /// The operator's words.
    pub fn exit(&self) -> Exit {
        let (cause, next) = match self {
            Self::Unreadable { error, .. } if error.kind() == std::io::ErrorKind::NotFound => (
                "the component is not built yet, or source in product.toml names another file than the build writes",
                "build the component, then compare source with the path of the .wasm file; paths start at product.toml",
            ),
            Self::Unreadable { .. } => (
                "the file is there, but not readable for the user of the host (65532 in the image)",
                "make the file readable for everybody when the image is built",
            ),
            Self::NotMounted { id, error } => return error.exit(id),
            Self::Refused { .. } => ("", "the vendor corrects the component and builds the image again"),
        };
        Exit::new(Why::Product, self.to_string(), cause, next)
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_is_not_built_yet_is_told_with_its_path() {
        let error = bytes(Path::new("/nowhere/api.wasm")).unwrap_err();
        let error = NotLoaded::Unreadable { id: "api".into(), path: "/nowhere/api.wasm".into(), error };
        insta::assert_snapshot!(error.exit().message(), @r#"
        tollgate-host: bad product (exit 65)
          what : component "api": /nowhere/api.wasm cannot be read: No such file or directory (os error 2)
          cause: the component is not built yet, or source in product.toml names another file than the build writes
          next : build the component, then compare source with the path of the .wasm file; paths start at product.toml
        "#);
    }
}
