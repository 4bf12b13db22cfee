//! Puts the builtin into a guest: where the guest would lower a function of its counter, it takes that of an instance which
//! is made just before.
//!
//! The builtin becomes part of the guest's own component. Beside it, as a component of its own, it would need an adapter in
//! between, and both would be instantiated with each guest. Nothing else of the guest changes but numbers: what comes after
//! the builtin has higher ones.

use std::convert::Infallible;

use wasm_encoder::reencode::component_utils::{parse_component_canonical, parse_component_payload};
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentSectionId, CustomSection, ExportKind,
    RawSection,
};
use wasmparser::{CanonicalFunction, ComponentCanonicalSectionReader, CustomSectionReader, Parser, Payload};

use super::outline::{Counting, Numbers, Outline};

/// Names for people, of items that have other numbers now.
const NAMES: &str = "component-name";

/// The guest with the builtin in it; none if it calls no counter. What it takes is exported by the last core instance of the
/// builtin.
///
/// # Errors
/// The guest has something that is not known here.
pub(super) fn splice(
    (guest, outline): (&[u8], &Outline<'_>),
    (builtin, added): (&[u8], Numbers),
) -> Result<Option<Vec<u8>>, Error<Infallible>> {
    let Some(at) = outline.counting.at else { return Ok(None) };
    let instance = at.core_instances + added.core_instances - 1;
    let insert = Insert { builtin, at, instance, counting: &outline.counting, done: false };
    let mut splicer = Splicer { from: at, by: added, depth: 0, insert: Some(insert) };
    let mut component = Component::new();
    splicer.parse_component(&mut component, Parser::new(0), guest)?;
    Ok(Some(component.finish()))
}

/// Writes a component with higher numbers.
struct Splicer<'a> {
    /// From these on.
    from: Numbers,
    by: Numbers,
    /// How far inside of nested components and types: there, numbers are their own.
    depth: u32,
    insert: Option<Insert<'a>>,
}

/// What is written in the middle of it.
#[derive(Clone, Copy)]
struct Insert<'a> {
    builtin: &'a [u8],
    /// The numbers that it begins with.
    at: Numbers,
    /// Its core instance whose exports are taken.
    instance: u32,
    counting: &'a Counting,
    done: bool,
}

impl Splicer<'_> {
    fn number(&self, number: u32, kind: fn(&Numbers) -> u32) -> u32 {
        self.outer(0, number, kind)
    }

    /// Of something that is so many components and types further out.
    fn outer(&self, count: u32, number: u32, kind: fn(&Numbers) -> u32) -> u32 {
        if count == self.depth && number >= kind(&self.from) { number + kind(&self.by) } else { number }
    }

    /// Lowers what the guest lowers, and takes the functions of the counter from the builtin.
    fn lower(
        &mut self,
        component: &mut Component,
        section: ComponentCanonicalSectionReader<'_>,
        mut insert: Insert<'_>,
    ) -> Result<bool, Error<Infallible>> {
        let mut lowered = CanonicalFunctionSection::new();
        for function in section {
            let function = function?;
            let Some(name) = insert.counting.lowers(&function) else {
                self.parse_component_canonical(&mut lowered, function)?;
                continue;
            };
            component.section(&std::mem::take(&mut lowered));
            if !std::mem::replace(&mut insert.done, true) {
                let mut builtin = Splicer { from: Numbers::default(), by: insert.at, depth: 0, insert: None };
                builtin.parse_component(component, Parser::new(0), insert.builtin)?;
            }
            let mut taken = ComponentAliasSection::new();
            taken.alias(Alias::CoreInstanceExport { instance: insert.instance, kind: ExportKind::Func, name });
            component.section(&taken);
        }
        component.section(&lowered);
        Ok(insert.done)
    }
}

impl Reencode for Splicer<'_> {
    type Error = Infallible;

    /// A core function; core modules are copied as they are.
    fn function_index(&mut self, number: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.number(number, |numbers| numbers.core_functions))
    }
}

impl ReencodeComponent for Splicer<'_> {
    fn component_type_index(&mut self, number: u32) -> u32 {
        self.number(number, |numbers| numbers.types)
    }

    fn component_func_index(&mut self, number: u32) -> u32 {
        self.number(number, |numbers| numbers.functions)
    }

    fn component_instance_index(&mut self, number: u32) -> u32 {
        self.number(number, |numbers| numbers.instances)
    }

    fn module_index(&mut self, number: u32) -> u32 {
        self.number(number, |numbers| numbers.core_modules)
    }

    fn instance_index(&mut self, number: u32) -> u32 {
        self.number(number, |numbers| numbers.core_instances)
    }

    fn outer_component_type_index(&mut self, count: u32, number: u32) -> u32 {
        self.outer(count, number, |numbers| numbers.types)
    }

    fn outer_module_index(&mut self, count: u32, number: u32) -> u32 {
        self.outer(count, number, |numbers| numbers.core_modules)
    }

    fn push_depth(&mut self) {
        self.depth += 1;
    }

    fn pop_depth(&mut self) {
        self.depth -= 1;
    }

    fn parse_component_payload(
        &mut self,
        component: &mut Component,
        payload: Payload<'_>,
        whole: &[u8],
    ) -> Result<(), Error<Infallible>> {
        match (payload, self.insert) {
            (Payload::ComponentCanonicalSection(section), Some(insert)) if self.depth == 0 => {
                let done = self.lower(component, section, insert)?;
                self.insert = Some(Insert { done, ..insert });
                Ok(())
            }
            (payload, _) => parse_component_payload(self, component, payload, whole),
        }
    }

    fn parse_component_canonical(
        &mut self,
        section: &mut CanonicalFunctionSection,
        function: CanonicalFunction,
    ) -> Result<(), Error<Infallible>> {
        // The library forgets the numbers of these.
        match function {
            CanonicalFunction::StreamCancelRead { ty, async_ } => {
                section.stream_cancel_read(self.component_type_index(ty), async_);
            }
            CanonicalFunction::StreamCancelWrite { ty, async_ } => {
                section.stream_cancel_write(self.component_type_index(ty), async_);
            }
            CanonicalFunction::FutureCancelRead { ty, async_ } => {
                section.future_cancel_read(self.component_type_index(ty), async_);
            }
            CanonicalFunction::FutureCancelWrite { ty, async_ } => {
                section.future_cancel_write(self.component_type_index(ty), async_);
            }
            other => parse_component_canonical(self, section, other)?,
        }
        Ok(())
    }

    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _: Parser,
        module: &[u8],
    ) -> Result<(), Error<Infallible>> {
        component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: module });
        Ok(())
    }

    fn parse_component_custom_section(
        &mut self,
        component: &mut Component,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        if section.name() != NAMES {
            component.section(&CustomSection { name: section.name().into(), data: section.data().into() });
        }
        Ok(())
    }
}
