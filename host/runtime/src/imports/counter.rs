//! `tollgate:metering/counter`: the hot half. No call here locks, allocates or waits, but for tagged units.
//!
//! Compiled guests count by themselves (`builtin/counter.wat`) and ask here only what they cannot decide. The interface of
//! the contract is linked as well, for components that were compiled without the builtin: what is measured against.

use wasmtime::StoreContextMut;
use wasmtime::component::{HasData, Linker};

use super::wit::counter::{self, Outcome};
use crate::guest::Guest;
use crate::meter::{self, Counters, TagsId};

/// What only the builtin imports. Outcomes are numbers here.
const ASKED: &str = "tollgate:host/counter@0.1.0";

/// Borrowed for one call.
pub(crate) struct CounterView<'a> {
    pub(crate) counters: &'a Counters,
}

impl counter::Host for CounterView<'_> {
    fn add(&mut self, dimension: u32, units: u32) -> Outcome {
        outcome(self.counters.add(dimension, units))
    }

    fn add_tagged(&mut self, dimension: u32, tags: u32, units: u32) -> Outcome {
        outcome(self.counters.add_tagged(dimension, TagsId(tags), units))
    }
}

fn outcome(outcome: meter::Outcome) -> Outcome {
    match outcome {
        meter::Outcome::Counted => Outcome::Counted,
        meter::Outcome::Unknown => Outcome::Unknown,
        meter::Outcome::OverLimit => Outcome::OverLimit,
        meter::Outcome::Stopped => Outcome::Stopped,
    }
}

struct Interface;

impl HasData for Interface {
    type Data<'a> = CounterView<'a>;
}

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    counter::add_to_linker::<_, Interface>(linker, |guest| CounterView { counters: &guest.counters })?;
    let mut asked = linker.instance(ASKED)?;
    asked.func_wrap("add", |store: StoreContextMut<'_, Guest>, (dimension, units): (u32, u32)| {
        Ok((number(store.data().counters.ask(dimension, units)),))
    })?;
    asked.func_wrap("add-tagged", |store: StoreContextMut<'_, Guest>, (dimension, tags, units): (u32, u32, u32)| {
        Ok((number(store.data().counters.add_tagged(dimension, TagsId(tags), units)),))
    })
}

/// The place of an outcome in the enum of the contract.
fn number(outcome: meter::Outcome) -> u32 {
    match outcome {
        meter::Outcome::Counted => 0,
        meter::Outcome::Unknown => 1,
        meter::Outcome::OverLimit => 2,
        meter::Outcome::Stopped => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::counter::Host;
    use super::*;
    use crate::testing::meter;

    #[test]
    fn every_number_a_guest_sends_has_an_answer() {
        let (meter, desk) = meter();
        desk.set_limit(0, 10);
        let counters = meter.instance(0);
        let mut view = CounterView { counters: &counters };
        assert_eq!(view.add(0, 10), Outcome::Counted);
        assert_eq!(view.add(0, u32::MAX), Outcome::OverLimit);
        assert_eq!(view.add(u32::MAX, u32::MAX), Outcome::Unknown);
        assert_eq!(view.add_tagged(0, u32::MAX, 1), Outcome::Unknown);
        assert_eq!(view.add_tagged(0, 0, 0), Outcome::Counted);
        desk.stop(true);
        assert_eq!(view.add(0, 0), Outcome::Stopped);
        assert_eq!(desk.admitted(0), 10);
    }
}
