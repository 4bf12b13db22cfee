use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::*;
use crate::engine::Runtime;
use crate::limits::Limits;
use crate::testing::{self, runtime};

/// A component that imports and exports by these names.
fn check(text: &str) -> String {
    let bytes = wat::parse_str(text).unwrap();
    let (composed, _) = match compose(&bytes, "api") {
        Ok(composed) => composed,
        Err(error) => return format!("refused: {error}"),
    };
    let runtime = runtime(Limits::default());
    let component = match compiler(&runtime.engine, &composed).unwrap().compile_component() {
        Ok(component) => component,
        Err(error) => return format!("not compiled: {error:#}"),
    };
    let ty = component.component_type();
    let names = |items: Vec<(&str, ComponentItem)>| items.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let imports = names(ty.imports(&runtime.engine).map(|(name, item)| (name, item.ty)).collect());
    let exports = names(ty.exports(&runtime.engine).map(|(name, item)| (name, item.ty)).collect());
    format!("imports {imports}; exports [{exports}]")
}

/// A guest that calls a counter of `interface`, whose `add` takes this.
fn counter(interface: &str, parameters: &str) -> String {
    format!(
        r#"(component
          (import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64)))))
          (import "{interface}" (instance $counter
            (type $enum (enum "counted" "unknown" "over-limit" "stopped"))
            (export "outcome" (type $outcome (eq $enum)))
            (export "add" (func {parameters} (result $outcome)))))
          (core func $add (canon lower (func $counter "add")))
          (component $run (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))
          (instance $run (instantiate $run))
          (export "a:b/c" (instance $run)))"#
    )
}

const ADD: &str = r#"(param "dimension" u32) (param "units" u32)"#;

#[test]
fn a_guest_gets_the_builtin_for_its_counter_and_keeps_everything_else() {
    let imports_and_exports = [
        counter("tollgate:metering/counter@0.1.0", ADD),
        // A later text of the same contract.
        counter("tollgate:metering/counter@0.1.7", ADD),
        r#"(component (import "a:b/d" (instance)))"#.to_string(),
    ]
    .map(|text| check(&text));
    insta::assert_snapshot!(imports_and_exports.join("\n"), @r"
    imports wasi:clocks/monotonic-clock@0.2.0, tollgate:metering/counter@0.1.0, tollgate:host/counter@0.1.0; exports [a:b/c]
    imports wasi:clocks/monotonic-clock@0.2.0, tollgate:metering/counter@0.1.7, tollgate:host/counter@0.1.0; exports [a:b/c]
    imports a:b/d; exports []
    ");
}

#[test]
fn who_asks_for_what_is_the_builtins_alone_is_refused() {
    let refused = [
        // Not refused here: the linker says best what is wrong with an interface.
        counter("tollgate:metering/counter@0.1.0", r#"(param "dimension" u64) (param "units" u32)"#),
        counter("tollgate:metering/counter@0.1.0", r#"(param "dimension" u32)"#),
        r#"(component (import "tollgate-unsafe-intrinsics" (instance
             (export "u64-native-store" (func (param "pointer" u64) (param "value" u64))))))"#
            .to_string(),
        r#"(component (import "tollgate:host/counter@0.1.0" (instance
             (export "add" (func (param "dimension" u32) (param "units" u32) (result u32))))))"#
            .to_string(),
        // Another name is no name of ours: whoever links it does not know it.
        r#"(component (import "intrinsics" (instance
             (export "u64-native-store" (func (param "pointer" u64) (param "value" u64))))))"#
            .to_string(),
    ]
    .map(|text| check(&text));
    insta::assert_snapshot!(refused.join("\n"), @r#"
    imports wasi:clocks/monotonic-clock@0.2.0, tollgate:metering/counter@0.1.0; exports [a:b/c]
    imports wasi:clocks/monotonic-clock@0.2.0, tollgate:metering/counter@0.1.0; exports [a:b/c]
    refused: component "api": it imports what this host does not have: tollgate-unsafe-intrinsics. Likely cause: built for another host, or with a newer version of an interface. Remove the dependency that needs it, or use its version for WASI 0.2
    refused: component "api": it imports what this host does not have: tollgate:host/counter@0.1.0. Likely cause: built for another host, or with a newer version of an interface. Remove the dependency that needs it, or use its version for WASI 0.2
    imports intrinsics; exports []
    "#);
}

/// A guest with items of every kind before its counter is lowered and after it, which refer to each other, also from inside
/// of nested components. Its counter is lowered twice in one section, between others, and once more for another module.
const AROUND: &str = r#"(component $guest
  (import "tollgate:metering/counter@0.1.0" (instance $counter
    (type $enum (enum "counted" "unknown" "over-limit" "stopped"))
    (export "outcome" (type $outcome (eq $enum)))
    (export "add" (func (param "dimension" u32) (param "units" u32) (result $outcome)))
    (export "add-tagged" (func (param "dimension" u32) (param "tags" u32) (param "units" u32) (result $outcome)))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (export "now" (func (result u64))) (export "resolution" (func (result u64)))))
  (type $early-type (func (result u32)))
  (core module $early (func (export "seven") (result i32) (i32.const 7)))
  (core instance $early (instantiate $early))
  (func $seven (type $early-type) (canon lift (core func $early "seven")))
  (component $other
    (alias outer $guest $early-type (type $type))
    (core module $module (func (export "eight") (result i32) (i32.const 8)))
    (core instance $made (instantiate $module))
    (func (export "eight") (type $type) (canon lift (core func $made "eight"))))
  (instance $early-other (instantiate $other))
  (alias export $clock "now" (func $now))
  (alias export $counter "add" (func $add))
  (alias export $counter "add-tagged" (func $add-tagged))
  (core func $now (canon lower (func $now)))
  (core func $tagged (canon lower (func $add-tagged)))
  (core func $resolution (canon lower (func $clock "resolution")))
  (core func $plain (canon lower (func $add)))
  (type $late-type (func (param "units" u32) (result u32)))
  (core module $late
    (import "a" "now" (func $now (result i64)))
    (import "a" "resolution" (func $resolution (result i64)))
    (import "a" "tagged" (func $tagged (param i32 i32 i32) (result i32)))
    (import "a" "plain" (func $plain (param i32 i32) (result i32)))
    (func (export "count") (param $units i32) (result i32)
      (i32.add
        (i32.mul (i32.const 1000) (i32.add (i64.lt_u (i64.const 9) (call $now)) (i32.wrap_i64 (call $resolution))))
        (i32.add
          (i32.mul (i32.const 10) (call $plain (i32.const 0) (local.get $units)))
          (call $tagged (i32.const 1) (i32.const 0) (local.get $units))))))
  (core instance $late (instantiate $late (with "a" (instance
    (export "now" (func $now)) (export "resolution" (func $resolution))
    (export "tagged" (func $tagged)) (export "plain" (func $plain))))))
  (func $count (type $late-type) (canon lift (core func $late "count")))
  (core func $once-more (canon lower (func $add)))
  (core instance $too (instantiate $late (with "a" (instance
    (export "now" (func $now)) (export "resolution" (func $resolution))
    (export "tagged" (func $tagged)) (export "plain" (func $once-more))))))
  (func $count-too (type $late-type) (canon lift (core func $too "count")))
  (component $inner
    (alias outer $guest $late-type (type $type))
    (alias outer $guest $early (core module $module))
    (alias outer $guest $other (component $component))
    (import "count" (func $count (type $type)))
    (core instance $made (instantiate $module))
    (type $own (func (result u32)))
    (func $made-seven (type $own) (canon lift (core func $made "seven")))
    (instance $eight (instantiate $component))
    (export "count" (func $count))
    (export "seven" (func $made-seven))
    (export "eight" (func $eight "eight")))
  (instance $nested (instantiate $inner (with "count" (func $count))))
  (export "count" (func $nested "count"))
  (export "count-too" (func $count-too))
  (export "seven" (func $seven))
  (export "nested-seven" (func $nested "seven"))
  (export "nested-eight" (func $nested "eight")))"#;

/// What the functions of a guest answer, and what it counted.
fn told(runtime: &Runtime, component: &Component) -> String {
    let (meter, mut desk) = testing::meter();
    let counters = meter.instance(0);
    let mut store = testing::store(runtime, meter.clone(), counters.clone());
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answers = tokio.block_on(async {
        let instance = runtime.linker.instantiate_async(&mut store, component).await.unwrap();
        let mut answers = Vec::new();
        for (name, units) in [("count", 5), ("count-too", 6)] {
            let function = instance.get_typed_func::<(u32,), (u32,)>(&mut store, name).unwrap();
            answers.push(function.call_async(&mut store, (units,)).await.unwrap().0);
        }
        for name in ["seven", "nested-seven", "nested-eight"] {
            let function = instance.get_typed_func::<(), (u32,)>(&mut store, name).unwrap();
            answers.push(function.call_async(&mut store, ()).await.unwrap().0);
        }
        answers
    });
    drop((store, counters));
    let deltas: Vec<_> = desk.commits.waiting().into_iter().flat_map(|commit| commit.deltas).collect();
    let counted: Vec<String> = deltas.iter().map(|delta| format!("{} +{}", delta.dimension, delta.units)).collect();
    format!("{answers:?}, counted {}", counted.join(", "))
}

#[test]
fn a_guest_does_the_same_with_the_builtin_in_the_middle_of_it() {
    let runtime = runtime(Limits::default());
    let guest = wat::parse_str(AROUND).unwrap();
    let (composed, _) = compose(&guest, "guest").unwrap();
    assert!(composed.len() > guest.len());
    let calls = told(&runtime, &Component::new(&runtime.engine, &guest).unwrap());
    let counts = told(&runtime, &compiler(&runtime.engine, &composed).unwrap().compile_component().unwrap());
    // The clock is past nine, and its resolution is one; counted, and unknown, since the second dimension is for the host to measure.
    assert_eq!(calls, "[2001, 2001, 7, 7, 8], counted 0 +11");
    assert_eq!(counts, calls);
}

#[test]
fn no_adapter_stands_between_a_guest_and_the_builtin() {
    let guest = wat::parse_str(AROUND).unwrap();
    let modules = |component: &[u8]| {
        let parts = wasmparser::Parser::new(0).parse_all(component);
        let module = |part: &wasmparser::Payload<'_>| matches!(part, wasmparser::Payload::ModuleSection { .. });
        let nested = |part: &wasmparser::Payload<'_>| matches!(part, wasmparser::Payload::ComponentSection { .. });
        let all: Vec<_> = parts.map(Result::unwrap).collect();
        (all.iter().filter(|part| module(part)).count(), all.iter().filter(|part| nested(part)).count())
    };
    let (composed, _) = compose(&guest, "guest").unwrap();
    assert_eq!(modules(&guest), (3, 2));
    assert_eq!(modules(&composed), (4, 2), "one module more, and no component");
}

#[test]
fn streams_and_futures_keep_their_types() {
    let types = [("stream", "(stream u8)"), ("future", "(future u8)")];
    let of = |(kind, ty): (&str, &str)| {
        let functions = ["new", "cancel-read", "cancel-write", "drop-readable", "drop-writable"];
        let canon = |name: &&str| format!("(core func (canon {kind}.{name} $later-{kind}))");
        format!("(type $later-{kind} {ty}) {}", functions.iter().map(canon).collect::<Vec<_>>().join(" "))
    };
    let guest = counter("tollgate:metering/counter@0.1.0", ADD);
    let (body, end) = guest.rsplit_once(')').unwrap();
    let guest = wat::parse_str(format!("{body} {} {}){end}", of(types[0]), of(types[1]))).unwrap();
    let (composed, _) = compose(&guest, "guest").unwrap();
    // A function of a stream whose type has another number now would not be valid: the old number is of something else.
    let (before, after) = (Outline::of(&guest).unwrap().numbers, Outline::of(&composed).unwrap().numbers);
    assert_eq!(after.core_functions - before.core_functions, 5, "what the builtin lowers, and none is lost");
}
