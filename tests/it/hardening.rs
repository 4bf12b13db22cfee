//! What the process has given up, seen from outside, and how it ends when something in it goes wrong.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::process::Command;
use tollgate_cli::host::log_fields;
use tollgate_cli::http::Http;
use tollgate_cli::process::{Ended, Input, Process};

use crate::bad_input::pod_token;
use crate::bundle::ship;
use crate::support::{HOUR_AND_SENT_S, Lab, METER_HTTP, body};

mod fallback;

/// The user of the image.
const USER: u32 = 65532;

/// `program` as the user of the image, if we may choose.
fn as_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if geteuid().is_root() {
        command.uid(USER).gid(USER);
    }
    command
}

/// What of /proc/PID/status is about hardening, of each thread.
fn threads(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let about = |line: &&str| ["NoNewPrivs:", "Seccomp:", "Seccomp_filters:"].iter().any(|name| line.starts_with(name));
    status.map(|status| status.lines().filter(about).collect::<Vec<_>>().join(" ").replace('\t', " ")).collect()
}

/// All threads have taken the same measures.
fn check_threads(pid: u32, status: &str) {
    let threads = threads(pid);
    assert!(threads.len() > 1, "{threads:?}");
    for thread in &threads {
        assert_eq!(thread, status);
    }
}

fn check_hardened(pid: u32) {
    check_threads(pid, "NoNewPrivs: 1 Seccomp: 2 Seccomp_filters: 2");
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core: Vec<&str> = limits.lines().filter(|line| line.starts_with("Max core file size")).collect();
    assert_eq!(core[0].split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{limits}");
}

/// Whether a program of the same user can read the memory of the process.
async fn readable(pid: u32) -> bool {
    let mut look = as_user("head");
    look.args(["-c", "0", &format!("/proc/{pid}/mem")]);
    let ended = Process::start("head", &mut look, Input::Nothing).unwrap().end().await.unwrap();
    assert!(ended.code == Some(0) || ended.stderr.contains("Permission denied"), "{}", ended.stderr);
    ended.code == Some(0)
}

#[tokio::test]
async fn the_production_host_gives_up_rights_dumps_and_calls_before_it_reads_anything() {
    let folder = TempDir::new().unwrap();
    let program = ship(folder.path(), METER_HTTP).await;
    let (token, ledger) = (folder.path().join("token"), folder.path().join("ledger"));
    std::fs::write(&token, pod_token()).unwrap();
    std::fs::create_dir(&ledger).unwrap();
    for path in [folder.path(), &ledger] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut command = as_user(&program);
    command
        .env_clear()
        .env("TOLLGATE_LEDGER", &ledger)
        .env("TOLLGATE_LISTEN", "127.0.0.1:0")
        .env("TOLLGATE_ADMIN", "127.0.0.1:0")
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/product")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        // There is no such region, so it asks again and again.
        .env("AWS_REGION", "xx-nowhere-1");
    let mut host = Process::start("tollgate-host", &mut command, Input::Nothing).unwrap();
    let asking = host.watch(0, |_, line| log_fields(line, "place found")).await.unwrap();
    assert!(asking.is_some(), "{}", host.text(tollgate_cli::process::Stream::Stderr));
    let pid = host.id().unwrap();
    check_hardened(pid);
    let said = host.text(tollgate_cli::process::Stream::Stderr);
    assert!(!said.contains("refuses a measure"), "{said}");
    // What belongs to root may not be read by this user, and the host itself has open what it needs of it.
    assert_eq!(std::fs::metadata(format!("/proc/{pid}/status")).unwrap().uid(), 0);
    assert!(!readable(pid).await, "a program of the same user reads its memory");
    assert!(has_open(pid, "pagemap"), "wasmtime clears memory of guests with it");
    host.kill().await.unwrap();
    // A process that was not hardened is readable, so the check can fail.
    let plain = Process::start("sleep", as_user("sleep").arg("600"), Input::Nothing).unwrap();
    assert!(readable(plain.id().unwrap()).await);
}

/// Whether the process has a file of this name open.
fn has_open(pid: u32, name: &str) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|path| path.ends_with(Path::new(name))))
}

#[tokio::test]
async fn a_host_at_work_has_no_thread_without_the_filter() {
    let lab = Lab::http(METER_HTTP).await;
    let host = lab.host().await.serve().await.unwrap();
    assert_eq!(body(Http::http1().get(&host.url("/add?n=1")).await), "counted");
    check_hardened(host.process.id().unwrap());
}

/// Serves usage, then panics where `words` are logged, which `make` brings about. Returns how it ended.
async fn panics_at(words: &str, make: impl AsyncFnOnce(&Lab, &tollgate_cli::host::Host)) {
    let lab = Lab::http(METER_HTTP).await;
    let command = lab.host().await;
    let host = command.clone().variable("TOLLGATE_LOG", "debug").panic_at(words).serve().await.unwrap();
    for _ in 0..5 {
        assert_eq!(body(Http::http1().get(&host.url("/add?n=3")).await), "counted");
    }
    make(&lab, &host).await;
    let Ended { code, stderr, .. } = host.process.end().await.unwrap();
    assert_eq!(code, Some(70), "{stderr}");
    assert!(stderr.contains("tollgate-host: internal error (exit 70)\n  what : panicked at "), "{stderr}");
    // What was acknowledged is in the ledger, once.
    let mut host = command.serve().await.unwrap();
    assert_eq!(host.admin("/usage/verify").await.unwrap().status, 200);
    lab.hour_passes(&mut host).await;
    assert_eq!(lab.billed("images").await, 15);
    assert_eq!(host.process.stop().await.unwrap().code, Some(0));
}

#[tokio::test]
async fn a_panic_below_a_guest_ends_the_process() {
    panics_at("out tripped 0", async |_, host| {
        let answer = Http::http1().get(&host.url("/log?text=tripped")).await;
        assert!(answer.is_err(), "no answer leaves");
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_a_task_ends_the_process() {
    panics_at("SIGTERM", async |_, host| host.process.signal(rustix::process::Signal::TERM)).await;
}

#[tokio::test]
async fn a_panic_of_the_meter_ends_the_process() {
    panics_at("usage accepted", async |lab, _| lab.control().advance(HOUR_AND_SENT_S).await.unwrap()).await;
}

#[tokio::test]
async fn a_panic_in_a_thread_of_its_own_ends_the_process() {
    panics_at("the emulator's clock was moved", async |lab, _| lab.control().advance(1).await.unwrap()).await;
}
