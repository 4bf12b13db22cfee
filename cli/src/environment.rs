//! The only reader of the environment in the vendor's tool.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// The cargo that runs us, or the one on PATH.
pub fn cargo() -> PathBuf {
    path("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Where the user wants compiled things to go, if anywhere in particular. Absolute.
pub fn cargo_target_dir() -> Option<PathBuf> {
    path("CARGO_TARGET_DIR").and_then(|path| std::path::absolute(path).ok())
}

/// The search path for programs.
pub fn search_path() -> Vec<PathBuf> {
    path("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// Where things are kept that can be made again.
pub fn cache() -> PathBuf {
    path("XDG_CACHE_HOME").unwrap_or_else(|| path("HOME").unwrap_or_default().join(".cache"))
}

/// A variable that a product asks for by name.
pub fn operator_variable(name: &str) -> Option<OsString> {
    value(name)
}

/// Everything, for a host composed here; what is not UTF-8 is left out.
pub fn all() -> BTreeMap<String, String> {
    let utf8 = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(utf8).collect()
}

fn path(name: &str) -> Option<PathBuf> {
    value(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the environment")]
fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
