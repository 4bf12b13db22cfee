//! The servers, each a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tollgate_cli::host::Host;
use tollgate_cli::trouble::{Result, Trouble};

use super::failed;
use super::slow_disk::SELF_AS_SLOW_DISK;

pub(crate) const SELF_AS_OLDER_KERNEL: &str = "without-pagemap-scan";

/// `wasmtime serve` with the settings that were found to be the fastest.
pub(crate) const TUNED: &[&str] = &[
    "-Opooling-allocator=y",
    "-Opooling-memory-keep-resident=2097152",
    "-Opooling-table-keep-resident=524288",
    "-Opooling-pagemap-scan=y",
];
/// And as it is installed.
pub(crate) const INSTALLED: &[&str] = &[];
/// What a component of WASI 0.3 needs of it, when it is compiled and when it is served.
pub(crate) const LATER: &[&str] = &["-Wcomponent-model-async=y"];
pub(crate) const LATER_TUNED: &[&str] = &[LATER[0], TUNED[0], TUNED[1], TUNED[2], TUNED[3]];

/// A server that takes connections.
pub(crate) enum Server {
    Host(Box<Host>),
    Peer(Peer),
}

/// A server of somebody else. Ends with all that it started when it is dropped.
pub(crate) struct Peer {
    child: Box<Child>,
    address: SocketAddr,
}

impl Peer {
    fn kill(&self) {
        for pid in family(self.child.id()) {
            // One that is gone is what is wanted.
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let _gone = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        match self {
            Self::Host(host) => host.url(path),
            Self::Peer(peer) => format!("http://{}{path}", peer.address),
        }
    }

    fn family(&self) -> Vec<u32> {
        family(match self {
            Self::Host(host) => host.process.id(),
            Self::Peer(peer) => peer.child.id(),
        })
    }

    /// The most memory that it ever had, and what it has now, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.family().into_iter().map(|pid| status_mib(pid, "VmHWM:")).sum()
    }

    pub(crate) fn memory_mib(&self) -> f64 {
        self.family().into_iter().map(|pid| status_mib(pid, "VmRSS:")).sum()
    }

    /// Processor time so far, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        self.family().into_iter().map(process_cpu_s).sum()
    }

    /// Returns when it has next to nothing left to do, or a dozen seconds later.
    pub(crate) async fn quiet(&self) {
        for _ in 0..60 {
            let before = self.cpu_s();
            tokio::time::sleep(Duration::from_millis(200)).await;
            if self.cpu_s() - before < 0.02 {
                return;
            }
        }
    }

    pub(crate) async fn stop(self) -> Result<()> {
        match self {
            Self::Host(host) => host.process.stop().await.map(drop),
            Self::Peer(mut peer) => {
                peer.kill();
                peer.child.wait().await.map(drop).map_err(|error| failed("cannot stop a peer", error))
            }
        }
    }
}

/// A process and those that it started: `jco` serves by another one.
fn family(own: Option<u32>) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, stat(pid).get(1)?.parse().ok()?))).collect();
    let mut all: Vec<u32> = own.into_iter().collect();
    let mut next = 0;
    while let Some(&pid) = all.get(next) {
        all.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| child));
        next += 1;
    }
    all
}

/// The fields of /proc/PID/stat behind the name, which may hold spaces: the state, the parent, and so on.
fn stat(pid: u32) -> Vec<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn process_cpu_s(pid: u32) -> f64 {
    let fields = stat(pid);
    // User time and system time.
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// A line of /proc/PID/status in MiB.
fn status_mib(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1_024.0
}

/// Hyper and nothing else.
pub(crate) async fn native() -> Result<Server> {
    own(&["native"], &[]).await
}

/// The bare server of components.
pub(crate) async fn bare(component: &Path, older_kernel: bool) -> Result<Server> {
    wrapped(older_kernel.then_some(SELF_AS_OLDER_KERNEL), "bare", &[component]).await
}

/// The same with each answer held until a file in this folder has been written after it.
pub(crate) async fn bare_held(component: &Path, disk: &Path, slow: bool) -> Result<Server> {
    let file = disk.join(if slow { "held-slow" } else { "held" });
    wrapped(slow.then_some(SELF_AS_SLOW_DISK), "bare-held", &[component, &file]).await
}

/// One of our own in other surroundings.
async fn wrapped(surroundings: Option<&str>, server: &str, files: &[&Path]) -> Result<Server> {
    let program = std::env::current_exe().map_err(|error| failed("cannot find this program", error))?;
    let program = program.display().to_string();
    match surroundings {
        Some(surroundings) => own(&[surroundings, &program, server], files).await,
        None => own(&[server], files).await,
    }
}

/// The bare server with several copies of the component, each with code and memory of its own.
pub(crate) async fn bare_copies(component: &Path, copies: u32) -> Result<Server> {
    own(&["bare-copies"], &[component, Path::new(&copies.to_string())]).await
}

/// The bare server of components of WASI 0.3.
pub(crate) async fn bare_later(component: &Path) -> Result<Server> {
    own(&["bare-later"], &[component]).await
}

async fn own(words: &[&str], files: &[&Path]) -> Result<Server> {
    let program = std::env::current_exe().map_err(|error| failed("cannot find this program", error))?;
    started(|address| {
        let mut command = Command::new(&program);
        command.args(words).arg(address.to_string()).args(files);
        command
    })
    .await
}

/// `wasmtime serve`, compiled ahead of time with the same settings. None: it is not installed.
pub(crate) async fn wasmtime(component: &Path, settings: &[&str], scratch: &Path) -> Result<Option<Server>> {
    let Some(program) = find("bin/wasmtime") else { return Ok(None) };
    let name = component.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let compiled = scratch.join(format!("{name}-with-{}-settings.cwasm", settings.len()));
    let made = Command::new(&program).arg("compile").args(settings).arg(component).arg("-o").arg(&compiled).output();
    let made = made.await.map_err(|error| failed("cannot start wasmtime", error))?;
    if !made.status.success() {
        return Err(Trouble::new(String::from_utf8_lossy(&made.stderr).into_owned(), "", ""));
    }
    let server = started(|address| {
        let mut command = Command::new(&program);
        let interfaces = if settings.contains(&LATER[0]) { "-Scli,p3" } else { "-Scli" };
        command.args(["serve", interfaces, "--allow-precompiled", "--addr", &address.to_string()]);
        // Its own bound; the load has fewer connections.
        command.args(["--max-concurrent-connections", "10000", "--max-concurrent-requests", "10000"]);
        command.args(settings).arg(&compiled);
        command
    });
    server.await.map(Some)
}

/// `jco serve`, which translates the component to JavaScript and answers by Node.js. None: it is not installed.
pub(crate) async fn jco(component: &Path) -> Result<Option<Server>> {
    let Some(program) = find("jco/node_modules/.bin/jco") else { return Ok(None) };
    let server = started(|address| {
        let mut command = Command::new(&program);
        command.arg("serve").arg(component).args(["--isolate-requests", "instance"]);
        command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
        command
    });
    server.await.map(Some)
}

/// Where script/bench puts it, or by its name on the PATH.
#[expect(clippy::disallowed_methods, reason = "a benchmark finds its peers where whoever runs it has them")]
fn find(place: &str) -> Option<PathBuf> {
    let tools = std::env::var_os("TOLLGATE_TOOLS").map(|tools| PathBuf::from(tools).join(place));
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/tollgate/tools").join(place));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let name = Path::new(place).file_name().unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name)).collect::<Vec<_>>();
    tools.into_iter().chain(home).chain(on_path).find(|program| program.exists())
}

async fn started(command: impl Fn(SocketAddr) -> Command) -> Result<Server> {
    // A port that was free a moment ago: `wasmtime serve` says nothing about one that it chose itself.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
    let address = port.map_err(|error| failed("no free port", error))?;
    let mut command = command(address);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed("cannot start a peer", error))?;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        if let Ok(Some(status)) = child.try_wait() {
            let words = format!("{:?} ended with {status}", command.as_std());
            return Err(Trouble::new(words, "", "start it by hand to see why"));
        }
        tokio::task::yield_now().await;
    }
    Ok(Server::Peer(Peer { child: Box::new(child), address }))
}
