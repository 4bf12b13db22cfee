//! The production host that a product is packed on: the one named, the one beside us, or built from the source.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::environment;
use crate::process::{Input, Process, Stream};
use crate::trouble::{Result, Trouble};
use crate::words::Progress;

/// A whole build of the host on a busy machine.
const BUILD_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// The name of the program.
pub const NAME: &str = "tollgate-host";

/// The file of the host to pack on; one that is built for it runs components of WASI 0.3 if `p3`.
///
/// # Errors
/// There is none, and none can be built.
pub async fn find(named: Option<&Path>, p3: bool) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let source = source();
    if source.join("host/Cargo.toml").exists() {
        return build(&source, Program::Shipped, Profile::Release, p3).await;
    }
    let own = std::env::current_exe().map_err(|error| Trouble::file("find", Path::new("tollgate itself"), &error))?;
    let beside = own.with_file_name(NAME);
    if beside.exists() {
        return Ok(beside);
    }
    Err(Trouble::new(
        format!("there is no {NAME} beside {}, and its source is not on this machine", own.display()),
        "tollgate was installed alone",
        format!("name the host of the same version with --host, or put it beside {}", own.display()),
    ))
}

/// How to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// To be shipped.
    Release,
    /// To be tested: the same, sooner.
    Dev,
}

/// What to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The production host.
    Shipped,
    /// A program around the same library: the target of this name among the benchmarks of its package.
    Bench(&'static str),
}

impl Program {
    /// How cargo knows it: its kind, and its name.
    fn target(self) -> [&'static str; 2] {
        match self {
            Self::Shipped => ["--bin", NAME],
            Self::Bench(name) => ["--bench", name],
        }
    }
}

/// Where this program was built from.
pub fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Builds the host by a command of its own, so that nothing of the tool gets into it, and without a dynamic linker, so
/// that it runs in an empty image and nothing of the image gets into it.
///
/// # Errors
/// The build fails.
pub async fn build(source: &Path, program: Program, profile: Profile, p3: bool) -> Result<PathBuf> {
    let [kind, name] = program.target();
    let progress = Progress::start(&format!("building {NAME}"));
    let mut command = Command::new(environment::cargo());
    command
        .args(["rustc", "-p", NAME, kind, name, "--locked", "--message-format=json-render-diagnostics"])
        .current_dir(source)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if profile == Profile::Release {
        command.arg("--release");
    }
    if p3 {
        command.args(["--features", "p3"]);
    }
    // Only how the program is linked: libraries, build scripts and macros stay as they are.
    command.args(["--", "-C", "target-feature=+crt-static"]);
    let mut cargo = Process::start("cargo", &mut command, Input::Nothing)?.patient(BUILD_TIMEOUT);
    let mut next = 0;
    let words = |stream, line: &str| (stream == Stream::Stderr).then(|| line.to_owned());
    while let Some((line, after)) = cargo.watch(next, words).await? {
        next = after;
        progress.step(line.trim());
    }
    let ended = cargo.end().await?;
    let made = ended.stdout.lines().find_map(|line| executable(line, name)).filter(|_| ended.code == Some(0));
    let Some(made) = made else {
        return Err(Trouble::new(
            format!("the host could not be built:\n{}", ended.stderr.trim_end()),
            "",
            "mend it there, or name a host with --host",
        ));
    };
    progress.done(&made.display().to_string());
    Ok(made)
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    target: Target,
    #[serde(default)]
    executable: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
struct Target {
    name: String,
}

/// The program in one line of cargo's JSON, if it is that of the target.
fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    message.executable.filter(|_| message.reason == "compiler-artifact" && message.target.name == name)
}
