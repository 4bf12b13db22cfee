use std::pin::pin;

use super::*;
use crate::component::Run;
use crate::limits::Limits;
use crate::testing::{Keeper, guest, load, meter, runtime};

/// A command that counts 2 images and then does `then`, with `$exit` and `$commit` imported.
fn command(then: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "tollgate:metering/counter@0.1.0" "add" (func $add (param i32 i32) (result i32)))
            (import "tollgate:metering/usage@0.1.0" "commit" (func $commit (param i32)))
            (import "wasi:cli/exit@0.2.10" "exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "wasi:cli/run@0.2.10#run") (result i32)
                (drop (call $add (i32.const 0) (i32.const 2)))
                {then}))"#
    );
    guest("command", &text)
}

/// How it ends and what was recorded by then.
async fn check(then: &str) -> String {
    let runtime = runtime(Limits::default());
    let component = load(&runtime, &command(then), Run::Command);
    let (meter, desk) = meter();
    let keeper = Keeper::start(desk, tokio::sync::Semaphore::MAX_PERMITS);
    let (_stop, stopped) = watch::channel(false);
    let ended = match run(&component, &meter, &["tool".to_string()], stopped).await {
        Ok(code) => format!("exit code {code}"),
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_string(),
    };
    format!("{ended}; {}", keeper.totals())
}

#[tokio::test]
async fn each_way_to_end_keeps_the_usage() {
    let lines = [
        check("(i32.const 0)").await,
        check("(i32.const 1)").await,
        check("(call $exit (i32.const 0)) (i32.const 0)").await,
        check("(call $exit (i32.const 1)) (i32.const 0)").await,
        check("(call $commit (i32.const 64)) (i32.load8_u (i32.const 64))").await,
        check("unreachable").await,
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    exit code 0; images 2, requests 0, ok 0, in 0, out 0
    exit code 1; images 2, requests 0, ok 0, in 0, out 0
    exit code 0; images 2, requests 0, ok 0, in 0, out 0
    exit code 1; images 2, requests 0, ok 0, in 0, out 0
    exit code 0; images 2, requests 0, ok 0, in 0, out 0
    component "guest" trapped, a fault of the component; what it counted before stays counted: wasm trap: wasm `unreachable` instruction executed; images 2, requests 0, ok 0, in 0, out 0
    "#);
}

#[tokio::test]
async fn a_running_command_commits_each_second_and_ends_when_asked() {
    let runtime = runtime(Limits::default());
    let component = load(&runtime, &command("(loop $forever (br $forever)) unreachable"), Run::Command);
    let (meter, desk) = meter();
    let keeper = Keeper::start(desk, tokio::sync::Semaphore::MAX_PERMITS);
    let (stop, stopped) = watch::channel(false);
    let mut running = pin!(run(&component, &meter, &[], stopped));
    let recorded = async {
        while !keeper.totals().starts_with("images 2,") {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = &mut running => panic!("{ended:?}"),
        () = recorded => stop.send(true).unwrap(),
    }
    assert!(matches!(running.await, Err(RunError::Interrupted { .. })));
}

#[tokio::test]
async fn a_command_whose_usage_cannot_be_recorded_is_stopped() {
    let runtime = runtime(Limits::default());
    let component = load(&runtime, &command("(loop $forever (br $forever)) unreachable"), Run::Command);
    let (meter, desk) = meter();
    drop(desk);
    let (_stop, stopped) = watch::channel(false);
    let ended = run(&component, &meter, &[], stopped).await;
    assert!(matches!(ended, Err(RunError::Stopped { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_command_that_names_its_exit_code_ends_with_it() {
    let text = r#"(component
        (import "wasi:cli/exit@0.2.12" (instance $exit (export "exit-with-code" (func (param "status-code" u8)))))
        (core func $exit (canon lower (func $exit "exit-with-code")))
        (core module $m
            (import "" "exit" (func $exit (param i32)))
            (func (export "run") (result i32) (call $exit (i32.const 42)) (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance (export "exit" (func $exit))))))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $e (export "run" (func $run)))
        (export "wasi:cli/run@0.2.12" (instance $e)))"#;
    let runtime = runtime(Limits::default());
    let component = load(&runtime, &wat::parse_str(text).unwrap(), Run::Command);
    let (meter, _desk) = meter();
    let (_stop, stopped) = watch::channel(false);
    assert_eq!(run(&component, &meter, &[], stopped).await.unwrap(), 42);
}
