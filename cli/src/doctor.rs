//! `tollgate doctor`: whether this machine has what it takes, and what to do where it has not.

use std::net::TcpListener;
use std::path::Path;

use serde::Serialize;
use serde_json::json;
use tokio::process::Command;

use crate::arguments::Doctor;
use crate::environment;
use crate::toolchain::{self, TARGET};
use crate::trouble::{Result, Trouble};
use crate::words::{self, Progress};

/// The oldest compiler that takes the workspace.
const RUST_MIN: (u32, u32) = (1, 95);
/// The ports that `dev` and `emulator` take unless told otherwise.
const PORTS: [(u16, &str); 3] =
    [(8080, "tollgate dev --listen"), (9080, "tollgate dev --admin"), (4566, "tollgate emulator --listen")];

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// `ok`, `note` (not needed for everything) or `missing`.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; empty if nothing.
    pub next: String,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something works around it.
    Note,
    /// Commands will fail.
    Missing,
}

/// Looks, mends if asked to, and reports.
///
/// # Errors
/// Something is missing.
pub async fn run(arguments: Doctor) -> Result<()> {
    if arguments.fix {
        let progress = Progress::start(&format!("setting up {TARGET}"));
        let toolchain = toolchain::prepare(&progress).await?;
        let rustc = toolchain.rustc.map_or_else(|| "the compiler in use".into(), |path| path.display().to_string());
        progress.done(&rustc);
    }
    let findings = [programs().await, vec![target().await, folder()], ports()].concat();
    let holds = findings.iter().all(|finding| finding.verdict != Verdict::Missing);
    if arguments.json {
        words::data(&json!({ "version": 1, "ok": holds, "checks": findings }).to_string());
    } else {
        findings.iter().for_each(report);
    }
    if holds {
        return Ok(());
    }
    Err(Trouble::fails("something is missing", "", "see above; `tollgate doctor --fix` sets up the target"))
}

fn report(finding: &Finding) {
    let label = match finding.verdict {
        Verdict::Ok => "ok",
        Verdict::Note => "note",
        Verdict::Missing => "missing",
    };
    words::data(&format!("{label:<8}{:<22}{}", finding.check, finding.found));
    if !finding.next.is_empty() {
        words::data(&format!("{:<30}next: {}", "", finding.next));
    }
}

fn finding(check: &str, verdict: Verdict, found: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding { check: check.to_owned(), verdict, found: found.into(), next: next.into() }
}

async fn programs() -> Vec<Finding> {
    let rust = match version(Path::new("rustc")).await {
        None => finding("rust", Verdict::Missing, "no rustc on PATH", "install Rust from https://rustup.rs"),
        Some(text) if number(&text).is_some_and(|found| found >= RUST_MIN) => finding("rust", Verdict::Ok, text, ""),
        Some(text) => finding(
            "rust",
            Verdict::Missing,
            text,
            format!("{}.{} or newer is needed: rustup update stable", RUST_MIN.0, RUST_MIN.1),
        ),
    };
    let cargo = match version(&environment::cargo()).await {
        Some(text) => finding("cargo", Verdict::Ok, text, ""),
        None => finding("cargo", Verdict::Missing, "no cargo on PATH", "install Rust from https://rustup.rs"),
    };
    let compiler = ["cc", "gcc", "clang"].iter().find_map(|name| {
        environment::search_path().into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
    });
    let compiler = match compiler {
        Some(path) => finding("C compiler", Verdict::Ok, path.display().to_string(), ""),
        None => finding(
            "C compiler",
            Verdict::Missing,
            "neither cc, gcc nor clang on PATH",
            "install one: apt-get install build-essential",
        ),
    };
    vec![rust, cargo, compiler]
}

async fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Major and minor number of `rustc 1.95.0 (...)`.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split_whitespace().nth(1)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

async fn target() -> Finding {
    match toolchain::find().await {
        Some(rustc) => finding(TARGET, Verdict::Ok, format!("with {}", rustc.display()), ""),
        None => finding(TARGET, Verdict::Missing, "no compiler here has the target", "tollgate doctor --fix"),
    }
}

fn folder() -> Finding {
    match tempfile::tempdir() {
        Ok(folder) => finding("temporary folder", Verdict::Ok, folder.path().display().to_string(), ""),
        Err(error) => finding(
            "temporary folder",
            Verdict::Missing,
            error.to_string(),
            "set TMPDIR to a folder that you may write to",
        ),
    }
}

fn ports() -> Vec<Finding> {
    let check = |(port, option): &(u16, &str)| match TcpListener::bind(("127.0.0.1", *port)) {
        Ok(_) => finding(&format!("port {port}"), Verdict::Ok, "free", ""),
        Err(error) => {
            finding(&format!("port {port}"), Verdict::Note, error.to_string(), format!("give another: {option}"))
        }
    };
    let loopback = match TcpListener::bind(("127.0.0.1", 0)) {
        Ok(_) => finding("loopback", Verdict::Ok, "127.0.0.1 gives free ports", ""),
        Err(error) => finding("loopback", Verdict::Missing, error.to_string(), "allow programs to listen on 127.0.0.1"),
    };
    std::iter::once(loopback).chain(PORTS.iter().map(check)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_is_compared_by_number() {
        assert_eq!(number("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert!(number("rustc 1.100.0") > Some(RUST_MIN));
        assert_eq!(number("nonsense"), None);
    }
}
