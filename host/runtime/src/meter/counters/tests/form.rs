//! The forms that an `add` has, behind one face.

use tokio::runtime::Runtime as Tokio;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, TypedFunc};

use super::super::super::{Meter, Outcome, TagsId};
use super::Counters;
use crate::builtin;
use crate::engine::Runtime;
use crate::guest::Guest;
use crate::limits::Limits;
use crate::testing;

/// How an `add` gets into the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A function of the host.
    Function,
    /// The function that machine code asks.
    Asked,
    /// A guest that calls the host.
    Called,
    /// A guest with the builtin in it.
    Inlined,
}

impl Form {
    pub(super) const ALL: [Self; 4] = [Self::Function, Self::Asked, Self::Called, Self::Inlined];
}

/// A guest that does what it is told.
const GUEST: &str = r#"(component
  (import "tollgate:metering/counter@0.1.0" (instance $counter
    (type $enum (enum "counted" "unknown" "over-limit" "stopped"))
    (export "outcome" (type $outcome (eq $enum)))
    (export "add" (func (param "dimension" u32) (param "units" u32) (result $outcome)))
    (export "add-tagged" (func (param "dimension" u32) (param "tags" u32) (param "units" u32) (result $outcome)))))
  (core func $add (canon lower (func $counter "add")))
  (core func $add-tagged (canon lower (func $counter "add-tagged")))
  (core module $main
    (import "" "add" (func $add (param i32 i32) (result i32)))
    (import "" "add-tagged" (func $add-tagged (param i32 i32 i32) (result i32)))
    (func (export "add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
    (func (export "add-tagged") (param i32 i32 i32) (result i32)
      (call $add-tagged (local.get 0) (local.get 1) (local.get 2)))
    ;; How many of `times` adds of `units` were counted.
    (func (export "many") (param $dimension i32) (param $units i32) (param $times i32) (result i32)
      (local $counted i32)
      (loop $again
        (if (local.get $times)
          (then
            (local.set $counted
              (i32.add (local.get $counted) (i32.eqz (call $add (local.get $dimension) (local.get $units)))))
            (local.set $times (i32.sub (local.get $times) (i32.const 1)))
            (br $again))))
      (local.get $counted)))
  (core instance $made (instantiate $main (with "" (instance
    (export "add" (func $add)) (export "add-tagged" (func $add-tagged))))))
  (func (export "add") (param "dimension" u32) (param "units" u32) (result u32)
    (canon lift (core func $made "add")))
  (func (export "add-tagged") (param "dimension" u32) (param "tags" u32) (param "units" u32) (result u32)
    (canon lift (core func $made "add-tagged")))
  (func (export "many") (param "dimension" u32) (param "units" u32) (param "times" u32) (result u32)
    (canon lift (core func $made "many"))))"#;

/// An instance that counts.
pub(super) struct User {
    pub(super) counters: Counters,
    form: Form,
    machine: Option<Machine>,
}

struct Machine {
    tokio: Tokio,
    store: Store<Guest>,
    instance: Instance,
}

impl User {
    pub(super) fn new(form: Form, meter: &Meter) -> Self {
        Self::of(form, meter, &testing::runtime(Limits::default()))
    }

    pub(super) fn of(form: Form, meter: &Meter, runtime: &Runtime) -> Self {
        let counters = meter.instance(7);
        let guest = wat::parse_str(GUEST).unwrap();
        let machine = match form {
            Form::Function | Form::Asked => None,
            Form::Called => Some(Component::new(&runtime.engine, &guest).unwrap()),
            Form::Inlined => {
                let (composed, _) = builtin::compose(&guest, "guest").unwrap();
                Some(builtin::compiler(&runtime.engine, &composed).unwrap().compile_component().unwrap())
            }
        };
        let machine = machine.map(|component| Machine::new(runtime, &component, meter, &counters));
        Self { counters, form, machine }
    }

    pub(super) fn add(&mut self, dimension: u32, units: u32) -> Outcome {
        match (self.form, &mut self.machine) {
            (Form::Function, _) => self.counters.add(dimension, units),
            (_, Some(machine)) => machine.outcome("add", (dimension, units)),
            (_, None) => self.counters.ask(dimension, units),
        }
    }

    pub(super) fn add_tagged(&mut self, dimension: u32, tags: u32, units: u32) -> Outcome {
        match &mut self.machine {
            Some(machine) => machine.outcome("add-tagged", (dimension, tags, units)),
            None => self.counters.add_tagged(dimension, TagsId(tags), units),
        }
    }

    /// Of a guest: how many of `times` adds were counted.
    pub(super) fn many(&mut self, dimension: u32, units: u32, times: u32) -> u32 {
        self.machine.as_mut().unwrap().call("many", (dimension, units, times))
    }
}

impl Machine {
    fn new(runtime: &Runtime, component: &Component, meter: &Meter, counters: &Counters) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut store = testing::store(runtime, meter.clone(), counters.clone());
        let instance = tokio.block_on(runtime.linker.instantiate_async(&mut store, component)).unwrap();
        Self { tokio, store, instance }
    }

    fn call<P>(&mut self, name: &str, parameters: P) -> u32
    where
        P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower + Send + Sync,
    {
        let function: TypedFunc<P, (u32,)> = self.instance.get_typed_func(&mut self.store, name).unwrap();
        self.tokio.block_on(function.call_async(&mut self.store, parameters)).unwrap().0
    }

    fn outcome<P>(&mut self, name: &str, parameters: P) -> Outcome
    where
        P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower + Send + Sync,
    {
        match self.call(name, parameters) {
            0 => Outcome::Counted,
            1 => Outcome::Unknown,
            2 => Outcome::OverLimit,
            3 => Outcome::Stopped,
            other => panic!("no outcome {other}"),
        }
    }
}
