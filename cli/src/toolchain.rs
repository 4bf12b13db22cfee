//! The compiler that can make components: the one in use, or what the project's script provides.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::environment;
use crate::process::{Input, Process};
use crate::trouble::{Result, Trouble};
use crate::words::Progress;

/// What guests are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// The same script that people run by hand; embedded, so that an installed `tollgate` has it too.
const SCRIPT: &str = include_str!("../../guest-sdk/rust/wasi-target.sh");
/// The script may fetch 200 MB.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How to call cargo for guests.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Another compiler than the one cargo would take.
    pub rustc: Option<PathBuf>,
}

/// Finds or makes the compiler; costs milliseconds when it is there.
///
/// # Errors
/// Neither rustup nor Debian's packages could provide the target; the script's own words are in it.
pub async fn prepare(progress: &Progress) -> Result<Toolchain> {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "wasi-target.sh"]);
    let mut script = Process::start("wasi-target.sh", &mut command, Input::Nothing)?.patient(SCRIPT_TIMEOUT);
    let mut next = 0;
    while let Some((line, after)) = script.watch(next, |_, line| Some(line.to_owned())).await? {
        next = after;
        progress.step(line.trim_start_matches("wasi-target: "));
    }
    let ended = script.end().await?;
    if ended.code != Some(0) {
        return Err(Trouble::new(
            format!("there is no compiler for {TARGET}, and none could be set up:\n{}", ended.stderr.trim_end()),
            "neither rustup's server nor a Debian mirror can be reached from here",
            "do one of what the lines above list, then run this again",
        ));
    }
    Ok(Toolchain { rustc: ended.stdout.lines().find_map(|line| line.strip_prefix("RUSTC=")).map(PathBuf::from) })
}

/// Where the compiler is without setting anything up. None: `doctor --fix` is needed.
pub async fn find() -> Option<PathBuf> {
    let mut candidates = vec![PathBuf::from("rustc")];
    let made = std::fs::read_dir(environment::cache().join("tollgate/wasi-rust"));
    candidates.extend(made.into_iter().flatten().flatten().map(|entry| entry.path().join("usr/bin/rustc")));
    for rustc in candidates {
        if has_target(&rustc).await {
            return Some(rustc);
        }
    }
    None
}

/// A compiler names the folder of a target's libraries whether or not it is there.
async fn has_target(rustc: &Path) -> bool {
    let asked =
        Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).stderr(Stdio::null()).output();
    let Ok(output) = asked.await else { return false };
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    std::fs::read_dir(folder)
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
}
