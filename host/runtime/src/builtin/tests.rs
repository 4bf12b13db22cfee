use wasmtime::component::types::ComponentItem;

use super::*;
use crate::limits::Limits;
use crate::testing::runtime;

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

/// An import of the counter as `interface`, whose `add` takes this.
fn counter(interface: &str, parameters: &str) -> String {
    format!(
        r#"(component
          (import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64)))))
          (import "{interface}" (instance
            (type $enum (enum "counted" "unknown" "over-limit" "stopped"))
            (export "outcome" (type $outcome (eq $enum)))
            (export "add" (func {parameters} (result $outcome)))))
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
    imports wasi:clocks/monotonic-clock@0.2.0, tollgate:host/counter@0.1.0; exports [a:b/c]
    imports wasi:clocks/monotonic-clock@0.2.0, tollgate:host/counter@0.1.0; exports [a:b/c]
    imports a:b/d; exports []
    ");
}

#[test]
fn who_asks_for_what_is_the_builtins_alone_is_refused() {
    let refused = [
        // Not refused here: the linker says best what is wrong with an interface.
        counter("tollgate:metering/counter@0.1.0", r#"(param "dimension" u64)"#),
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
    refused: component "api": it imports what this host does not have: tollgate-unsafe-intrinsics. Likely cause: built for another host, or with a newer version of an interface. Remove the dependency that needs it, or use its version for WASI 0.2
    refused: component "api": it imports what this host does not have: tollgate:host/counter@0.1.0. Likely cause: built for another host, or with a newer version of an interface. Remove the dependency that needs it, or use its version for WASI 0.2
    imports intrinsics; exports []
    "#);
}
