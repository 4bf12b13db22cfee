//! The tool as its user meets it.

use rustix::process::Signal;
use tokio::process::Command;
use tollgate_cli::control::Control;
use tollgate_cli::http::Http;
use tollgate_cli::process::{Ended, Input, Process, Stream};

use crate::support::{TOLLGATE, body, example};

fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    let mut command = Command::new(TOLLGATE);
    command.args(arguments).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").envs(variables.iter().copied());
    Process::start("tollgate", &mut command, Input::Nothing).unwrap()
}

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    start(arguments, variables).end().await.unwrap()
}

#[tokio::test]
async fn help_lists_the_commands_and_not_the_hidden_one() {
    let ended = run(&["--help"], &[]).await;
    assert_eq!(ended.code, Some(0));
    insta::assert_snapshot!(ended.stdout);
}

#[tokio::test]
async fn a_wrong_argument_is_exit_2_and_no_argument_shows_help() {
    assert_eq!(run(&["dmeo"], &[]).await.code, Some(2));
    let ended = run(&[], &[]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("Usage"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_doctor_reports_as_data() {
    let ended = run(&["doctor", "--json"], &[]).await;
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["version"], 1);
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["check"] == "wasm32-wasip2"), "{report}");
    assert!(checks.iter().all(|check| check["verdict"] == "ok" || check["next"] != ""), "{report}");
    assert_eq!(ended.code, Some(if report["ok"] == true { 0 } else { 1 }));
}

#[tokio::test]
async fn completions_are_a_script() {
    for (shell, word) in [("bash", "complete -F"), ("zsh", "#compdef tollgate"), ("fish", "complete -c tollgate")] {
        let ended = run(&["completions", shell], &[]).await;
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains(word), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn no_color_is_honoured_and_nothing_is_said_by_colour_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let coloured = run(&["dev", folder], &[("CLICOLOR_FORCE", "1")]).await;
    assert!(coloured.stderr.contains('\x1b'), "{}", coloured.stderr);
    let plain = run(&["dev", folder], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).await;
    assert!(plain.stderr.starts_with("error: ") && !plain.stderr.contains('\x1b'), "{}", plain.stderr);
}

#[tokio::test]
async fn a_folder_that_is_no_product_is_told_with_a_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(&["dev", folder.path().to_str().unwrap()], &[]).await;
    assert_eq!(ended.code, Some(3));
    insta::assert_snapshot!(ended.stderr.replace(folder.path().to_str().unwrap(), "[folder]"));
}

#[tokio::test]
async fn the_emulator_says_where_it_is_and_stops_when_asked() {
    let mut emulator = start(&["emulator", "--listen", "127.0.0.1:0", "--json"], &[]);
    let endpoint = |stream, line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok().filter(|_| stream == Stream::Stdout)?;
        Some(line["endpoint"].as_str()?.to_owned())
    };
    let (endpoint, _) = emulator.watch(0, endpoint).await.unwrap().unwrap();
    assert!(Control::new(endpoint).clock().await.unwrap().now_ms > 0);
    assert_eq!(emulator.stop().await.unwrap().code, Some(0));
}

#[tokio::test]
async fn dev_serves_shows_the_calls_and_stops_on_ctrl_c() {
    let product = example("plain-http").await;
    let folder = product.folder.to_str().unwrap();
    let mut dev = start(&["dev", folder, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json"], &[]);
    let serving = |_, line: &str| Some(line.split("serving on ").nth(1)?.split(',').next()?.to_owned());
    let (url, _) = dev.watch(0, serving).await.unwrap().expect("it says where it serves");
    let reply = Http::http1().send(hyper::Method::POST, &url, &[], bytes::Bytes::from_static(b"two words")).await;
    body(reply);
    dev.signal(Signal::INT);
    let ended = dev.end().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let sent = ended.stdout.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let sent: Vec<_> = sent.filter(|call| call["request"]["UsageDimension"] == "requests").collect();
    assert_eq!(sent.len(), 1, "{}", ended.stdout);
    assert_eq!((&sent[0]["request"]["UsageQuantity"], &sent[0]["verdict"]), (&1.into(), &"accepted".into()));
}
