//! What a component needs, against what there is.

use wasmtime::component::Component as Compiled;

use super::{LoadError, Run};
use crate::engine::Wasi;
use crate::limits::{Limits, MEMORIES_MAX, TABLES_MAX};

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

/// For which WASI it is built, if it is what it is to be run as.
pub(super) fn exports(compiled: &Compiled, run: Run, id: &str) -> Result<Wasi, LoadError> {
    let ty = compiled.component_type();
    let exports: Vec<&str> = ty.exports(compiled.engine()).map(|(name, _)| name).collect();
    let has = |interface: &str, version: &str| {
        let (name, version) = (format!("{interface}@"), format!("@{version}"));
        exports.iter().any(|export| export.starts_with(&name) && export.contains(&version))
    };
    if has(run.export(), "0.2.") {
        return Ok(Wasi::P2);
    }
    #[cfg(feature = "p3")]
    if has(run.later_export(), "0.3.") {
        return Ok(Wasi::P3);
    }
    let other = if run == Run::Http { Run::Command } else { Run::Http };
    let cause = if has(other.export(), "0.2.") || (cfg!(feature = "p3") && has(other.later_export(), "0.3.")) {
        match other {
            Run::Http => "it answers requests. Say run = \"http\"",
            Run::Command => "it is a command. Say run = \"command\"",
        }
    } else if [run, other].iter().any(|run| has(run.later_export(), "0.3.")) {
        "it is built for WASI 0.3, and this host is not. Build for WASI 0.2, or a host with the feature `p3`"
    } else {
        "built as a library, or for a world of another host. Build for the world in `wit/worlds.wit`"
    };
    let exports = if exports.is_empty() { "nothing".to_string() } else { exports.join(", ") };
    Err(LoadError::WrongWorld { id: id.to_string(), run: run.name(), missing: run.export(), exports, cause })
}

/// Whether the host has all that it imports, by name.
pub(super) fn imports(compiled: &Compiled, wasi: Wasi, id: &str) -> Result<(), LoadError> {
    let ty = compiled.component_type();
    let known = |name: &str| {
        let version = name.split_once('@').map_or("", |(_, version)| version);
        let right: &[&str] = match wasi {
            _ if !name.starts_with("wasi:") => &["0.1."],
            Wasi::P2 => &["0.2."],
            #[cfg(feature = "p3")]
            Wasi::P3 => &["0.2.", "0.3."],
        };
        PACKAGES.iter().any(|package| name.starts_with(package)) && right.iter().any(|right| version.starts_with(right))
    };
    let names: Vec<&str> = ty.imports(compiled.engine()).map(|(name, _)| name).filter(|name| !known(name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(LoadError::UnknownImport { id: id.to_string(), names: names.join(", ") })
}

/// Whether an instance may be as large as it is at the start.
pub(super) fn size(limits: &Limits, compiled: &Compiled, id: &str) -> Result<(), LoadError> {
    let Some(needs) = compiled.resources_required() else { return Ok(()) };
    let too_large = |needs: String, allowed: String| Err(LoadError::TooLarge { id: id.to_string(), needs, allowed });
    let pages = needs.max_initial_memory_size.unwrap_or(0);
    let pages_max = u64::from(limits.memory_mib) * 16;
    if pages > pages_max {
        return too_large(format!("{} MiB of memory", pages.div_ceil(16)), format!("{} MiB", pages_max / 16));
    }
    if needs.num_memories > MEMORIES_MAX || needs.num_tables > TABLES_MAX {
        let needs = format!("{} memories and {} tables", needs.num_memories, needs.num_tables);
        return too_large(needs, format!("{MEMORIES_MAX} and {TABLES_MAX}"));
    }
    Ok(())
}
