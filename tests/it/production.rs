//! The production binary cannot be led to another service than AWS: not by its environment, not by an argument.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tollgate_cli::process::{Ended, Input, Process};

use crate::bad_input::pod_token;
use crate::bundle::{production_host, ship};
use crate::support::{METER_HTTP, operator_sees, root};

/// A listener that counts who comes.
async fn trap() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let caught = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&caught);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, caught)
}

/// Everything that leads other software elsewhere.
fn redirections(port: u16) -> Vec<(&'static str, String)> {
    let url = format!("http://127.0.0.1:{port}");
    [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_MARKETPLACE_METERING",
        "AWS_ENDPOINT_URL_STS",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ]
    .into_iter()
    .map(|name| (name, url.clone()))
    .collect()
}

/// Packs a product on the production host and runs it.
async fn run(folder: &Path, environment: &[(&str, String)], arguments: &[&str]) -> Ended {
    let program = folder.join("packed");
    if !program.exists() {
        ship(folder, METER_HTTP).await;
    }
    let mut command = tokio::process::Command::new(&program);
    command
        .args(arguments)
        .env_clear()
        .env("TOLLGATE_LEDGER", folder.join("ledger"))
        .env("TOLLGATE_LISTEN", "127.0.0.1:0")
        .env("TOLLGATE_ADMIN", "127.0.0.1:0")
        .env("TOLLGATE_START_BUDGET", "1s")
        .envs(environment.iter().map(|(name, value)| (*name, value)));
    Process::start("tollgate-host", &mut command, Input::Nothing).unwrap().end().await.unwrap()
}

#[tokio::test]
async fn no_variable_leads_a_task_elsewhere() {
    let folder = TempDir::new().unwrap();
    let (port, caught) = trap().await;
    let mut environment = redirections(port);
    environment.push(("ECS_CONTAINER_METADATA_URI_V4", format!("http://127.0.0.1:{port}/v4/task")));
    environment.push(("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/task".into()));
    let ended = run(folder.path(), &environment, &[]).await;
    insta::assert_snapshot!(operator_sees(&ended, folder.path()));
    assert_eq!(caught.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn no_variable_leads_a_pod_elsewhere() {
    let folder = TempDir::new().unwrap();
    let (port, caught) = trap().await;
    let partition = folder.path().join("partition.json");
    std::fs::write(&partition, "{}").unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, pod_token()).unwrap();
    let mut environment = redirections(port);
    environment.extend([
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/product".into()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
        // There is no such region, so its names lead nowhere.
        ("AWS_REGION", "xx-nowhere-1".into()),
        ("SMITHY_CLIENT_SDK_CUSTOM_PARTITION", partition.display().to_string()),
    ]);
    let ended = run(folder.path(), &environment, &[]).await;
    assert_eq!(ended.code, Some(71), "{}", ended.stderr);
    assert_eq!(caught.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn no_argument_leads_elsewhere() {
    let folder = TempDir::new().unwrap();
    let (port, caught) = trap().await;
    let url = format!("http://127.0.0.1:{port}");
    for argument in ["--endpoint", "--endpoint-url", "--emulator", "lab-host"] {
        let ended = run(folder.path(), &[], &[argument, &url]).await;
        assert_eq!(ended.code, Some(64), "{argument}: {}", ended.stderr);
    }
    assert_eq!(caught.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn neither_the_lab_nor_a_compiler_is_in_it() {
    let contains = |binary: &Path, word: &str| {
        let bytes = std::fs::read(binary).unwrap();
        // The first byte alone is quick to look for, and a debug build is slow at the rest.
        let first = word.as_bytes()[0];
        let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
        starts.into_iter().any(|(at, _)| bytes[at..].starts_with(word.as_bytes()))
    };
    for word in ["_tollgate/clock", "lab-host", "emulator-clock", "regalloc2", "cranelift_codegen"] {
        assert!(!contains(production_host().await, word), "{word}");
        assert!(contains(Path::new(crate::support::TOLLGATE), word), "the tool has {word}, so the search works");
    }
}

/// It would compute for 30 ms at each start, and three times as long on a busy machine.
#[tokio::test]
async fn the_first_random_number_costs_no_time() {
    let symbols = Command::new("nm").arg(production_host().await).output().unwrap();
    let symbols = String::from_utf8_lossy(&symbols.stdout).into_owned();
    assert!(symbols.contains("RAND_bytes"), "the names of functions are in the file");
    assert!(!symbols.contains("jent_entropy"), "AWS-LC is built as .cargo/config.toml says");
}

/// By its dependencies, too: whatever a linker drops today.
#[test]
fn the_production_host_does_not_depend_on_a_compiler() {
    let tree = |package: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--locked", "--offline", "-e", "normal", "--prefix", "none", "-p", package]);
        let output = cargo.current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for name in ["cranelift-codegen", "wasmtime-internal-cranelift", "regalloc2"] {
        assert!(!tree("tollgate-host").contains(name), "{name}");
        assert!(tree("tollgate-cli").contains(name), "the tool has {name}, so the search works");
    }
}
