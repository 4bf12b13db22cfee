//! Writes down what the host is made of: every crate that is linked into it, for `src/sbom.rs` to carry.
//!
//! In the form of `cargo auditable`, which scanners of images read. Its own tool has to be installed and run in place of
//! cargo; this needs nothing but cargo, so every build has the list. It is cargo's answer for this package alone: the
//! lock file names everything that any program of the workspace could use.

#![expect(clippy::disallowed_methods, reason = "how cargo and a build script talk")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::process::Command;

/// Files that decide what is linked.
const INPUTS: [&str; 6] =
    ["build.rs", "Cargo.toml", "../Cargo.toml", "../Cargo.lock", "metering/Cargo.toml", "runtime/Cargo.toml"];

/// Name and version.
type Name = (String, String);

/// A crate as far as the list tells.
struct Crate {
    source: &'static str,
    root: bool,
    uses: BTreeSet<Name>,
}

fn main() -> Result<(), Box<dyn Error>> {
    for path in INPUTS {
        println!("cargo::rerun-if-changed={path}");
    }
    let list = list(&crates(&tree()?)?);
    let path = std::path::Path::new(&std::env::var("OUT_DIR")?).join("sbom");
    std::fs::write(path, miniz_oxide::deflate::compress_to_vec_zlib(list.as_bytes(), 9))?;
    Ok(())
}

/// The tree of this package with its features, for its target: without macros, build scripts and tests, whose code is
/// not in the program. One line a crate, its depth in front.
fn tree() -> Result<String, Box<dyn Error>> {
    let mut cargo = Command::new(std::env::var("CARGO")?);
    cargo.args(["tree", "--locked", "--offline", "--prefix", "depth", "--format", "{p}", "--charset", "ascii"]);
    cargo.args(["--edges", "normal,no-proc-macro", "--target", &std::env::var("TARGET")?]);
    cargo.args(["--package", &std::env::var("CARGO_PKG_NAME")?, "--no-default-features"]);
    if std::env::var("CARGO_FEATURE_COMPILER").is_ok() {
        cargo.args(["--features", "compiler"]);
    }
    let output = cargo.output()?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Each crate once, with those it uses. Where a crate comes again, what is below it is left out of the tree.
fn crates(tree: &str) -> Result<BTreeMap<Name, Crate>, Box<dyn Error>> {
    let mut crates: BTreeMap<Name, Crate> = BTreeMap::new();
    let mut above: Vec<Name> = Vec::new();
    for line in tree.lines() {
        let odd = || format!("cargo tree: {line:?} is not a crate");
        let digits = line.find(|c: char| !c.is_ascii_digit()).ok_or_else(odd)?;
        let depth: usize = line[..digits].parse()?;
        let (name, rest) = line[digits..].split_once(" v").ok_or_else(odd)?;
        let (version, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b));
        if !plain(name) || !plain(version) {
            return Err(odd().into());
        }
        let found = (name.to_owned(), version.to_owned());
        above.truncate(depth);
        if let Some(user) = above.last().and_then(|user| crates.get_mut(user)) {
            user.uses.insert(found.clone());
        }
        above.push(found.clone());
        // In brackets: where it is, unless it is of crates.io; or that it was listed before.
        let source = match more.strip_prefix('(') {
            Some(place) if place.starts_with('/') => "local",
            Some(place) if place.starts_with("http") => "git",
            _ => "crates.io",
        };
        crates.entry(found).or_insert(Crate { source, root: depth == 0, uses: BTreeSet::new() });
    }
    Ok(crates)
}

/// JSON by hand: there is nothing to escape, and a library for it would change the features of what the host links.
fn list(crates: &BTreeMap<Name, Crate>) -> String {
    let numbers: BTreeMap<&Name, usize> = crates.keys().zip(0..).collect();
    let entry = |((name, version), found): (&Name, &Crate)| {
        let uses: Vec<String> = found.uses.iter().map(|used| numbers[used].to_string()).collect();
        let (source, root) = (found.source, if found.root { r#","root":true"# } else { "" });
        let uses = uses.join(",");
        format!(r#"{{"name":"{name}","version":"{version}","source":"{source}","dependencies":[{uses}]{root}}}"#)
    };
    let entries: Vec<String> = crates.iter().map(entry).collect();
    format!(r#"{{"packages":[{}]}}"#, entries.join(","))
}
