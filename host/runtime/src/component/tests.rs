use super::*;
use crate::limits::Limits;
use crate::testing::{guest, runtime, spec};

/// What the operator reads when this is loaded as component `api`.
fn check(run: Run, bytes: &[u8]) -> String {
    let runtime = runtime(Limits { memory_mib: 8, ..Limits::default() });
    match Component::compile(&runtime, bytes, run, spec("api", "/")) {
        Ok(component) => {
            format!("loaded {:?}, compiled {}", component.run(), runtime.stats().snapshot().components_compiled)
        }
        Err(error) => error.to_string(),
    }
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

const COMMAND: &str = r#"(module (func (export "wasi:cli/run@0.2.10#run") (result i32) (i32.const 0)))"#;

#[test]
fn a_command_is_loaded() {
    assert_eq!(check(Run::Command, &guest("command", COMMAND)), "loaded Command, compiled 1");
}

#[test]
fn a_file_that_is_not_web_assembly() {
    insta::assert_snapshot!(check(Run::Http, b"#!/bin/sh\n"), @r#"component "api": not WebAssembly (it starts with 23 21 2f 62 69 6e 2f 73). Likely cause: `source` names another file. Point it to the .wasm file of the build"#);
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(check(Run::Http, b""), @r#"component "api": not WebAssembly (it starts with nothing: it is empty). Likely cause: `source` names another file. Point it to the .wasm file of the build"#);
}

#[test]
fn a_core_module() {
    insta::assert_snapshot!(check(Run::Http, &component("(module)")), @r#"component "api": a core module, not a component. Likely cause: built for wasm32-unknown-unknown or wasm32-wasip1. Build for wasm32-wasip2, or wrap it with `wasm-tools component new`"#);
}

#[test]
fn a_component_of_another_world() {
    insta::assert_snapshot!(check(Run::Http, &component("(component)")), @r#"component "api": it does not export wasi:http/incoming-handler, which run = "http" needs. It exports: nothing. Likely cause: built as a library, or for a world of another host. Build for the world in `wit/worlds.wit`"#);
}

#[test]
fn a_command_that_should_answer_requests() {
    insta::assert_snapshot!(check(Run::Http, &guest("command", COMMAND)), @r#"component "api": it does not export wasi:http/incoming-handler, which run = "http" needs. It exports: wasi:cli/run@0.2.10. Likely cause: it is a command. Say run = "command""#);
}

#[test]
fn imports_that_this_host_does_not_have_are_all_named() {
    let text = r#"(component
        (import "acme:db/query@1.0.0" (instance (export "run" (func))))
        (import "wasi:nn/graph@0.2.0" (instance (export "load" (func))))
        (import "wasi:cli/environment@0.2.0" (instance (export "initial-cwd" (func (result (option string))))))
        (core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $e (export "run" (func $run)))
        (export "wasi:cli/run@0.2.10" (instance $e)))"#;
    insta::assert_snapshot!(check(Run::Command, &component(text)), @r#"component "api": it imports what this host does not have: acme:db/query@1.0.0, wasi:nn/graph@0.2.0. Likely cause: built for another host, or with a newer version of an interface. Remove the dependency that needs it, or use its version for WASI 0.2"#);
}

#[test]
fn a_function_that_this_host_is_too_old_for() {
    let text = r#"(component
        (import "tollgate:metering/counter@0.1.9" (instance (export "subtract" (func (param "units" u32)))))
        (core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $e (export "run" (func $run)))
        (export "wasi:cli/run@0.2.10" (instance $e)))"#;
    insta::assert_snapshot!(check(Run::Command, &component(text)), @r#"component "api": it imports what this host does not have: component imports instance `tollgate:metering/counter@0.1.9`, but a matching implementation was not found in the linker: instance export `subtract` has the wrong type: function implementation is missing. Likely cause: built for another host, or with a newer version of an interface. Remove the dependency that needs it, or use its version for WASI 0.2"#);
}

#[test]
fn more_memory_at_start_than_allowed() {
    let text = COMMAND.replace("(module", "(module (memory 256)");
    insta::assert_snapshot!(check(Run::Command, &guest("command", &text)), @r#"component "api": it needs 16 MiB of memory, allowed are 8 MiB. Raise `memory_mib` in [limits], or make it smaller"#);
}

#[test]
fn a_damaged_component() {
    let mut bytes = guest("command", COMMAND);
    bytes.truncate(bytes.len() / 2);
    insta::assert_snapshot!(check(Run::Command, &bytes), @r#"component "api": unexpected end-of-file (at offset 0x11f). Likely cause: a damaged file, or a feature of WebAssembly that is switched off here"#);
}

#[cfg(feature = "p3")]
#[test]
fn an_instance_is_used_again_until_it_is_worn_old_or_large() {
    let reuse = Reuse { requests: 3, seconds: 60, memory_mib: 1 };
    let allowed = |answered, age_s, bytes| reuse.allows(answered, std::time::Duration::from_secs(age_s), bytes);
    assert!(allowed(2, 59, 1 << 20));
    assert!(!allowed(3, 59, 1 << 20), "as many requests as it may");
    assert!(!allowed(2, 60, 1 << 20), "as old as it may be");
    assert!(!allowed(2, 59, (1 << 20) + 1), "larger than it may be");
}
