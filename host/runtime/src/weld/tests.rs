use wasmparser::{Parser, Payload};
use wasmtime::component::Component;

use super::*;
use crate::builtin;
use crate::limits::Limits;
use crate::testing::{self, guest, runtime};

mod shapes;

/// How many core modules a component has, and how many once it is welded; and what its function answers, which is the same.
///
/// What is made of a pair is valid by itself: that only what is valid is used hides no fault here.
fn check(component: &[u8]) -> String {
    let survey = Survey::of(component).unwrap();
    for made in survey.pairs().iter().filter_map(|pair| component::weld(component, &survey, pair, 0).ok()) {
        Validator::new_with_features(WasmFeatures::all()).validate_all(&made).unwrap();
    }
    let welded = weld(component.into());
    let answers = [component, &welded].map(answer);
    assert_eq!(answers[0], answers[1]);
    format!("{} -> {}: {}", modules(component), modules(&welded), answers[0])
}

/// At the outermost level.
fn modules(component: &[u8]) -> usize {
    Parser::new(0).parse_all(component).filter(|part| matches!(part, Ok(Payload::ModuleSection { .. }))).count()
}

/// Of its export `run`; or how it traps.
fn answer(component: &[u8]) -> String {
    let runtime = runtime(Limits::default());
    let component = Component::new(&runtime.engine, component).unwrap();
    let (meter, _desk) = testing::meter();
    let mut store = testing::store(&runtime, meter.clone(), meter.instance(0));
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(async {
        let instance = runtime.linker.instantiate_async(&mut store, &component).await.unwrap();
        let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run").unwrap();
        match run.call_async(&mut store, ()).await {
            Ok((answer,)) => answer.to_string(),
            Err(trap) => {
                let text = format!("{trap:?}");
                let calls = text.lines().filter_map(|line| line.split_once(" - ")).map(|(_, call)| call.to_owned());
                calls.chain([trap.root_cause().to_string()]).collect::<Vec<_>>().join(", ")
            }
        }
    })
}

/// A main module that takes a support, in a component that goes on as `rest` says.
fn pair(support: &str, main: &str, rest: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
          (core module $support {support})
          (core module $main {main})
          (core instance $s (instantiate $support))
          {rest}
          (func (export "run") (result u32) (canon lift (core func $m "run"))))"#
    ))
    .unwrap()
}

/// A table that others fill, and calls through it. In front of them what gives its functions other numbers.
const SUPPORT: &str = r#"
  (type (func (param i64)))
  (type $call (func (param i32) (result i32)))
  (table $t (export "table") 2 2 funcref)
  (func $unused (param i64) unreachable)
  (func (export "first") (type $call) (call_indirect $t (type $call) (local.get 0) (i32.const 0)))
  (func (export "second") (type $call) (call_indirect $t (type $call) (local.get 0) (i32.const 1)))"#;

/// Calls them beside functions of its own, which it also calls through a table of its own.
const MAIN: &str = r#"
  (type $call (func (param i32) (result i32)))
  (import "s" "second" (func $second (type $call)))
  (import "s" "first" (func $first (type $call)))
  (table $own 3 3 funcref)
  (elem (table $own) (i32.const 0) func $second $double $first)
  (memory (export "memory") 1)
  (global $start (mut i32) (i32.const 0))
  (func $begin (global.set $start (i32.const 100000)))
  (start $begin)
  (func $double (type $call) (i32.mul (local.get 0) (i32.const 2)))
  (func $run (export "run") (result i32)
    (i32.add (global.get $start)
      (i32.add
        (call_indirect $own (type $call) (i32.const 1) (i32.const 0))
        (i32.add (call_indirect $own (type $call) (i32.const 50) (i32.const 1)) (call $first (i32.const 3))))))"#;

/// Fills the table, after the main module is there.
const FILL: &str = r#"
  (core instance $m (instantiate $main (with "s" (instance $s))))
  (core module $fill
    (import "" "table" (table 2 2 funcref))
    (func $one (param i32) (result i32) (i32.mul (local.get 0) (i32.const 10)))
    (func $two (param i32) (result i32) (i32.mul (local.get 0) (i32.const 1000)))
    (elem (i32.const 0) func $one $two))
  (core instance (instantiate $fill (with "" (instance (export "table" (table $s "table"))))))"#;

fn filled_and(more: &str) -> Vec<u8> {
    pair(SUPPORT, MAIN, &format!("{FILL} {more}"))
}

fn filled_after(more: &str) -> Vec<u8> {
    pair(SUPPORT, MAIN, &format!("{more} {FILL}"))
}

#[test]
fn a_module_of_functions_and_tables_becomes_part_of_the_one_it_is_for() {
    let through = r#"
      (alias core export $s "first" (core func $first))
      (alias core export $s "second" (core func $second))
      (core instance $both (export "second" (func $second)) (export "first" (func $first)))
      FILL"#
        .replace("FILL", &FILL.replace(r#"(instance $s))"#, r#"(instance $both))"#));
    let without_tables = MAIN
        .replace("(table $own 3 3 funcref)", "")
        .replace("(elem (table $own) (i32.const 0) func $second $double $first)", "(elem declare func $double)")
        .replace("call_indirect $own (type $call) (i32.const 1) (i32.const 0)", "call $second (i32.const 1)")
        .replace("call_indirect $own (type $call) (i32.const 50) (i32.const 1)", "call $double (i32.const 50)");
    let cases = [
        ("directly", pair(SUPPORT, MAIN, FILL)),
        ("through another instance", pair(SUPPORT, MAIN, &through)),
        ("a main module without tables", pair(SUPPORT, &without_tables, FILL)),
        (
            "others take a function",
            filled_and(
                r#"(core module $more (import "" "f" (func (param i32) (result i32))))
                   (core instance (instantiate $more (with "" (instance (export "f" (func $s "first"))))))"#,
            ),
        ),
        (
            "others take it as it is",
            filled_and(
                r#"(core module $more (import "s" "second" (func (param i32) (result i32))))
                   (core instance (instantiate $more (with "s" (instance $s))))"#,
            ),
        ),
    ];
    let lines = cases.map(|(name, component)| format!("{name}: {}", check(&component)));
    insta::assert_snapshot!(lines.join("\n"), @r"
    directly: 3 -> 2: 101130
    through another instance: 3 -> 2: 101130
    a main module without tables: 3 -> 2: 101130
    others take a function: 4 -> 3: 101130
    others take it as it is: 4 -> 3: 101130
    ");
}

#[test]
fn a_support_that_has_more_than_functions_and_tables_is_left() {
    let with = |extra: &str| pair(&format!("{SUPPORT} {extra}"), MAIN, FILL);
    let cases = [
        ("memory", with("(memory 1)")),
        ("data", with(r#"(memory 1) (data (i32.const 0) "a")"#)),
        ("a filled table", with("(elem (i32.const 0) func $unused)")),
        ("a call to begin with", with("(func $begin) (start $begin)")),
        ("a global", with("(global i32 (i32.const 1))")),
    ];
    let lines = cases.map(|(name, component)| format!("{name}: {}", check(&component)));
    insta::assert_snapshot!(lines.join("\n"), @r"
    memory: 3 -> 3: 101130
    data: 3 -> 3: 101130
    a filled table: 3 -> 3: 101130
    a call to begin with: 3 -> 3: 101130
    a global: 3 -> 3: 101130
    ");
}

#[test]
fn what_would_not_be_the_same_is_left() {
    let alone = MAIN
        .replace(r#"(import "s" "first" (func $first (type $call)))"#, "(func $first (type $call) (i32.const 30))")
        .replace(
            r#"(import "s" "second" (func $second (type $call)))"#,
            "(func $second (type $call) (i32.const 1000))",
        );
    let cases = [
        (
            "the main module is made twice",
            filled_and(r#"(core instance (instantiate $main (with "s" (instance $s))))"#),
        ),
        ("the support is made twice", filled_and("(core instance (instantiate $support))")),
        (
            "the support is used before the main module is made",
            filled_after(
                r#"(core module $early (import "s" "table" (table 2 2 funcref)))
                   (core instance (instantiate $early (with "s" (instance $s))))"#,
            ),
        ),
        (
            "a function of the support is used before",
            filled_after(
                r#"(core module $early (import "" "f" (func (param i32) (result i32))))
                   (core instance (instantiate $early (with "" (instance (export "f" (func $s "first"))))))"#,
            ),
        ),
        (
            "a nested component makes the support as well",
            filled_and(
                "(component $inner (alias outer 1 $support (core module $a)) (core instance (instantiate $a)))
                 (instance (instantiate $inner))",
            ),
        ),
        (
            "the main module takes the table",
            pair(
                SUPPORT,
                &MAIN.replace("(table $own 3", r#"(import "s" "table" (table 2 2 funcref)) (table $own 3"#),
                FILL,
            ),
        ),
        (
            "names that a welded module has",
            pair(SUPPORT, &format!(r#"{MAIN} (export "welded-0:table" (table $own))"#), FILL),
        ),
        ("nobody takes anything", pair("", &alone, "(core instance $m (instantiate $main))")),
        (
            "a module from elsewhere takes it as it is",
            filled_and(
                "(component $more (export \"more\" (core module $support))) (instance $more (instantiate $more))
                 (alias export $more \"more\" (core module $more))
                 (core instance (instantiate $more (with \"s\" (instance $s))))",
            ),
        ),
    ];
    let lines = cases.map(|(name, component)| format!("{name}: {}", check(&component)));
    insta::assert_snapshot!(lines.join("\n"), @r"
    the main module is made twice: 3 -> 3: 101130
    the support is made twice: 3 -> 3: 101130
    the support is used before the main module is made: 4 -> 4: 101130
    a function of the support is used before: 4 -> 4: 101130
    a nested component makes the support as well: 3 -> 3: 101130
    the main module takes the table: 3 -> 3: 101130
    names that a welded module has: 3 -> 3: 101130
    nobody takes anything: 2 -> 2: 101130
    a module from elsewhere takes it as it is: 3 -> 3: 101130
    ");
}

#[test]
fn traps_name_the_functions_that_were_called() {
    let main = MAIN.replace("(func $double (type $call)", "(func $double (type $call) (drop (unreachable))");
    insta::assert_snapshot!(check(&pair(SUPPORT, &main, FILL)), @"3 -> 2: main!double, main!run, wasm trap: wasm `unreachable` instruction executed");
}

/// Looks up a dimension, which takes its memory, and counts.
const COUNTS: &str = r#"(module
  (import "tollgate:metering/usage@0.1.0" "dimension" (func $dimension (param i32 i32 i32)))
  (import "tollgate:metering/counter@0.1.0" "add" (func $add (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "images")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "wasi:cli/run@0.2.10#run") (result i32)
    (call $dimension (i32.const 0) (i32.const 6) (i32.const 16))
    (if (i32.load8_u (i32.const 16)) (then (return (i32.const 1))))
    (call $add (i32.load (i32.const 20)) (i32.const 7))))"#;

#[test]
fn what_wit_component_and_the_builtin_put_beside_a_guest_becomes_part_of_it() {
    let guest = guest("command", COUNTS);
    let (composed, _) = builtin::compose(&guest, "guest").unwrap();
    let welded = weld(composed.clone());
    assert_eq!([&*guest, &composed, &welded].map(modules), [3, 4, 2], "main, shim, fixup; the builtin; main and fixup");
    // Nothing of the builtin: what others get is the table that the last module fills.
    let exports = Parser::new(0).parse_all(&welded).filter_map(|part| match part {
        Ok(Payload::ExportSection(section)) => Some(section),
        _ => None,
    });
    let names: Vec<&str> = exports.flatten().map(|export| export.unwrap().name).collect();
    insta::assert_snapshot!(names.join(", "), @"memory, cabi_realloc, wasi:cli/run@0.2.10#run, welded-0:$imports");
}
