//! Builds the components of a product: cargo compiles, and each artifact is put where product.toml looks for it.
//!
//! Any number of builders may be at work at once: cargo locks its folder, a component is put in place by a rename,
//! and one that has not changed is left alone.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::environment;
use crate::process::{Input, Process, Stream};
use crate::toolchain::{self, TARGET, Toolchain};
use crate::trouble::{Result, Trouble};
use crate::words::Progress;

/// A build on a busy machine with nothing compiled yet.
const BUILD_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Set for this machine's own programs, and wrong for a component.
const FOREIGN_VARIABLES: [&str; 6] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET", "LD_LIBRARY_PATH", "RUSTC"];

/// Makes sure that each of `sources` is there and up to date. `folder` is the product's folder; one without a
/// Cargo.toml is built by other means, and its components only have to be there.
///
/// # Errors
/// No compiler, a build that fails, or a component that nothing makes.
pub async fn components(folder: &Path, sources: &[PathBuf]) -> Result<()> {
    if !folder.join("Cargo.toml").exists() {
        return match sources.iter().find(|source| !source.exists()) {
            None => Ok(()),
            Some(missing) => Err(nothing_makes(missing, "the product's folder has no Cargo.toml")),
        };
    }
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    let progress = Progress::start(&format!("building {name}"));
    let toolchain = toolchain::prepare(&progress).await?;
    let artifacts = cargo_build(folder, &toolchain, &progress).await?;
    for source in sources {
        let artifact = artifacts.iter().find(|artifact| same_name(artifact, source)).ok_or_else(|| {
            let made: Vec<String> = artifacts.iter().map(|path| path.display().to_string()).collect();
            nothing_makes(
                source,
                &format!("cargo made {}", if made.is_empty() { "none".into() } else { made.join(", ") }),
            )
        })?;
        put(artifact, source)?;
    }
    let bytes: u64 = sources.iter().filter_map(|source| source.metadata().ok()).map(|file| file.len()).sum();
    progress.done(&format!("{} component(s), {} KiB", sources.len(), bytes.div_ceil(1024)));
    Ok(())
}

async fn cargo_build(folder: &Path, toolchain: &Toolchain, progress: &Progress) -> Result<Vec<PathBuf>> {
    let mut command = Command::new(environment::cargo());
    command
        .args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .current_dir(folder);
    for name in FOREIGN_VARIABLES {
        command.env_remove(name);
    }
    if let Some(rustc) = &toolchain.rustc {
        command.env("RUSTC", rustc);
    }
    if let Some(target) = target_folder(folder, toolchain) {
        command.env("CARGO_TARGET_DIR", target);
    }
    let mut cargo = Process::start("cargo", &mut command, Input::Nothing)?.patient(BUILD_TIMEOUT);
    let mut next = 0;
    let words = |stream, line: &str| (stream == Stream::Stderr).then(|| line.to_owned());
    while let Some((line, after)) = cargo.watch(next, words).await? {
        next = after;
        progress.step(line.trim());
    }
    let ended = cargo.end().await?;
    if ended.code != Some(0) {
        return Err(Trouble::new(
            format!("cargo build in {} failed:\n{}", folder.display(), ended.stderr.trim_end()),
            "",
            format!("mend it there; the command was: cargo build --release --target {TARGET}"),
        ));
    }
    Ok(ended.stdout.lines().flat_map(wasm_files).collect())
}

/// Compilers do not share a folder: each would throw away what the other made.
fn target_folder(folder: &Path, toolchain: &Toolchain) -> Option<PathBuf> {
    let own = toolchain.rustc.is_some();
    match environment::cargo_target_dir() {
        Some(target) => Some(target.join(if own { "guests-own-rustc" } else { "guests" })),
        None if own => Some(folder.join("target/own-rustc")),
        None => None,
    }
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The components among the files of one line of cargo's JSON.
fn wasm_files(line: &str) -> Vec<PathBuf> {
    match serde_json::from_str::<Message>(line) {
        Ok(message) if message.reason == "compiler-artifact" => {
            message.filenames.into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "wasm")).collect()
        }
        _ => Vec::new(),
    }
}

/// A library's file has underscores where a program's has the hyphens of its name.
fn same_name(artifact: &Path, source: &Path) -> bool {
    let plain = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().replace('-', "_"));
    plain(artifact) == plain(source)
}

fn put(artifact: &Path, source: &Path) -> Result<()> {
    if artifact == source {
        return Ok(());
    }
    let fail = |error| Trouble::file("put the component at", source, &error);
    let bytes = std::fs::read(artifact).map_err(|error| Trouble::file("read", artifact, &error))?;
    if std::fs::read(source).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let folder = source.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder).map_err(fail)?;
    let readable = Permissions::from_mode(0o644);
    let mut new = tempfile::Builder::new().permissions(readable).tempfile_in(folder).map_err(fail)?;
    std::io::Write::write_all(&mut new, &bytes).map_err(fail)?;
    new.persist(source).map(|_| ()).map_err(|error| fail(error.error))
}

fn nothing_makes(source: &Path, why: &str) -> Trouble {
    Trouble::new(
        format!("there is no component {}: {why}", source.display()),
        "`source` in product.toml names another file than the build makes",
        "correct `source`, or build the component to that place",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_found_in_what_cargo_says() {
        let line =
            r#"{"reason":"compiler-artifact","filenames":["/t/release/log-report.wasm","/t/release/log-report.d"]}"#;
        assert_eq!(wasm_files(line), [PathBuf::from("/t/release/log-report.wasm")]);
        assert!(wasm_files(r#"{"reason":"build-finished","success":true}"#).is_empty());
        assert!(wasm_files("Compiling log-report").is_empty());
    }

    #[test]
    fn a_library_and_a_program_of_one_name_are_the_same_component() {
        assert!(same_name(Path::new("/t/log_report.wasm"), Path::new("target/log-report.wasm")));
        assert!(!same_name(Path::new("/t/log.wasm"), Path::new("target/log-report.wasm")));
    }

    #[test]
    fn a_component_that_has_not_changed_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (artifact, source) = (folder.path().join("a.wasm"), folder.path().join("deep/b.wasm"));
        std::fs::write(&artifact, b"one").unwrap();
        put(&artifact, &source).unwrap();
        let inode = || std::os::unix::fs::MetadataExt::ino(&source.metadata().unwrap());
        let first = inode();
        put(&artifact, &source).unwrap();
        assert_eq!(inode(), first);
        std::fs::write(&artifact, b"two").unwrap();
        put(&artifact, &source).unwrap();
        assert_eq!(std::fs::read(&source).unwrap(), b"two");
    }

    #[tokio::test]
    async fn a_component_that_nothing_makes_is_not_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("a.wasm");
        let error = components(folder.path(), &[source]).await.unwrap_err().to_string();
        assert!(error.contains("no Cargo.toml") && error.contains("next step"), "{error}");
    }
}
