//! A component with one core instance less: the main module of a pair has the support in it.
//!
//! What others take of the support, they take of the whole; so nobody may take it before that is there. Whether that is so
//! is seen while the component is written.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::reencode::component_utils::{
    component_alias, parse_component_canonical, parse_component_payload, parse_instance,
};
use wasm_encoder::reencode::{Reencode, ReencodeComponent};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentSectionId, ExportKind, InstanceSection,
    ModuleArg, RawSection,
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentAliasSectionReader, CustomSectionReader, ExternalKind, Instance,
    InstanceSectionReader, Parser, Payload,
};

use super::join::{join, renamed};
use super::survey::{Pair, Survey, index};
use super::{Error, Left};

/// # Errors
/// Something that this does not know, or somebody else takes a part of what would be one.
pub(super) fn weld(component: &[u8], survey: &Survey<'_>, pair: &Pair<'_>, number: u32) -> Result<Vec<u8>, Error> {
    // Once to see what others take, and once more to give it to them.
    let (_, wanted) = write(component, survey, pair, (number, BTreeSet::new()))?;
    let (written, _) = write(component, survey, pair, (number, wanted))?;
    Ok(written)
}

/// The component, and what others take of the support.
fn write(
    component: &[u8],
    survey: &Survey<'_>,
    pair: &Pair<'_>,
    (number, exported): (u32, BTreeSet<String>),
) -> Result<(Vec<u8>, BTreeSet<String>), Error> {
    let whole = join(pair, &exported, number)?;
    let mut writer = Writer {
        survey,
        pair,
        whole,
        number,
        exported,
        wanted: BTreeSet::new(),
        given: None,
        functions: Items::default(),
        tables: Items::default(),
        instances: 0,
        partial: BTreeSet::new(),
        refused: false,
        depth: 0,
    };
    let mut written = Component::new();
    writer.parse_component(&mut written, Parser::new(0), component)?;
    if writer.refused {
        return Err(Error::UserError(Left));
    }
    Ok((written.finish(), writer.wanted))
}

/// Where the core items of one kind went, and the number of the next one.
#[derive(Default)]
struct Items {
    places: Vec<Place>,
    next: u32,
}

#[derive(Clone)]
enum Place {
    /// It has this number now.
    Now(u32),
    /// It is of the support, by this name.
    Support(String),
}

impl Items {
    /// One more, as before.
    fn keep(&mut self) {
        let number = self.add();
        self.places.push(Place::Now(number));
    }

    /// The number of one that was not there before.
    fn add(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

struct Writer<'a> {
    survey: &'a Survey<'a>,
    pair: &'a Pair<'a>,
    /// Both modules.
    whole: Vec<u8>,
    number: u32,
    /// Of the support, by the whole.
    exported: BTreeSet<String>,
    /// What should be.
    wanted: BTreeSet<String>,
    /// The numbers of what is exported, once the whole is there.
    given: Option<BTreeMap<String, u32>>,
    functions: Items,
    tables: Items,
    /// Core instances so far.
    instances: u32,
    /// Core instances that lack what the main module took through them.
    partial: BTreeSet<u32>,
    /// Somebody takes what is not there any more.
    refused: bool,
    /// How far inside of nested components and types: there, numbers are their own.
    depth: u32,
}

impl Writer<'_> {
    fn place(&mut self, place: Option<Place>) -> Result<u32, Error> {
        match (place, &self.given) {
            (Some(Place::Now(number)), _) => Ok(number),
            (Some(Place::Support(name)), Some(given)) => {
                let number = given.get(&name).copied();
                self.wanted.insert(name);
                // None: this is the first time, to see what is wanted.
                Ok(number.unwrap_or_default())
            }
            _ => Err(Error::UserError(Left)),
        }
    }

    fn items(&mut self, kind: ExternalKind) -> Option<&mut Items> {
        match kind {
            ExternalKind::Func => Some(&mut self.functions),
            ExternalKind::Table => Some(&mut self.tables),
            _ => None,
        }
    }

    /// The number of a core instance that is complete.
    fn complete(&mut self, number: u32) -> u32 {
        let early = number == self.pair.support.instance && self.given.is_none();
        self.refused |= early || self.partial.contains(&number);
        self.present(number)
    }

    /// The support is gone, and just behind the whole is an instance that has its exports.
    fn present(&self, number: u32) -> u32 {
        let (support, main) = (self.pair.support.instance, self.pair.main.instance);
        match number {
            _ if number == support => main,
            _ if number > support && number <= main => number - 1,
            _ => number,
        }
    }

    fn aliases(&mut self, component: &mut Component, section: ComponentAliasSectionReader<'_>) -> Result<(), Error> {
        let mut aliases = ComponentAliasSection::new();
        for alias in section {
            let alias = alias?;
            if let ComponentAlias::CoreInstanceExport { kind, instance_index, name } = alias {
                let of_support = instance_index == self.pair.support.instance;
                match self.items(kind) {
                    Some(items) if of_support => {
                        items.places.push(Place::Support(name.to_owned()));
                        continue;
                    }
                    Some(items) => items.keep(),
                    None => {}
                }
            }
            aliases.alias(component_alias(self, alias)?);
        }
        component.section(&aliases);
        Ok(())
    }

    fn core_instances(&mut self, component: &mut Component, section: InstanceSectionReader<'_>) -> Result<(), Error> {
        let mut instances = InstanceSection::new();
        for instance in section {
            let (instance, number) = (instance?, self.instances);
            self.instances += 1;
            if number == self.pair.support.instance {
                continue;
            }
            if number == self.pair.main.instance {
                self.make_whole(&mut instances)?;
                component.section(&std::mem::take(&mut instances));
                self.give(component)?;
                continue;
            }
            match instance {
                Instance::FromExports(exports) if self.given.is_none() => {
                    let exports = self.present_exports(number, &exports)?;
                    instances.export_items(exports.iter().map(|(name, kind, number)| (*name, *kind, *number)));
                }
                instance => {
                    self.want(number)?;
                    parse_instance(self, &mut instances, instance)?;
                }
            }
        }
        component.section(&instances);
        Ok(())
    }

    /// What an instance takes of the support where it is made with it as a whole.
    fn want(&mut self, instance: u32) -> Result<(), Error> {
        let support = self.pair.support.instance;
        if self.survey.arguments(instance).any(|(_, argument)| argument == support) {
            let imports = self.survey.imports(instance).ok_or(Error::UserError(Left))?;
            self.wanted.extend(imports.filter(|(from, _)| *from == support).map(|(_, name)| name.to_owned()));
        }
        Ok(())
    }

    /// Those that are not functions of the support: whoever takes one can only be the main module.
    fn present_exports<'e>(
        &mut self,
        instance: u32,
        exports: &[wasmparser::Export<'e>],
    ) -> Result<Vec<(&'e str, ExportKind, u32)>, Error> {
        let mut present = Vec::new();
        for export in exports {
            let place = self.items(export.kind).and_then(|items| items.places.get(index(export.index)));
            if let (ExternalKind::Func, Some(Place::Support(_))) = (export.kind, place) {
                self.partial.insert(instance);
            } else {
                let number = self.external_index(export.kind, export.index)?;
                present.push((export.name, export.kind.into(), number));
            }
        }
        Ok(present)
    }

    /// With what both were made with.
    fn make_whole(&mut self, instances: &mut InstanceSection) -> Result<(), Error> {
        let (pair, survey) = (self.pair, self.survey);
        let mut arguments = Vec::new();
        for (name, instance) in survey.arguments(pair.main.instance) {
            if instance != pair.support.instance {
                arguments.push((name.to_owned(), ModuleArg::Instance(self.present(instance))));
            }
        }
        for (name, instance) in survey.arguments(pair.support.instance) {
            arguments.push((renamed(self.number, name), ModuleArg::Instance(self.complete(instance))));
        }
        let module = pair.main.module - u32::from(pair.main.module > pair.support.module);
        instances.instantiate(module, arguments.iter().map(|(name, argument)| (name.as_str(), *argument)));
        Ok(())
    }

    /// What the whole exports of the support, by numbers and as an instance.
    fn give(&mut self, component: &mut Component) -> Result<(), Error> {
        let support = super::module::Module::of(self.pair.support.bytes)?;
        let (mut aliases, mut given, mut exports) = (ComponentAliasSection::new(), BTreeMap::new(), Vec::new());
        let instance = self.present(self.pair.main.instance);
        for export in &support.exports {
            let wanted = self.exported.contains(export.name);
            let Some(items) = self.items(export.kind).filter(|_| wanted) else { continue };
            let number = items.add();
            given.insert(export.name.to_owned(), number);
            exports.push((export.name, ExportKind::from(export.kind), number));
            let name = renamed(self.number, export.name);
            aliases.alias(Alias::CoreInstanceExport { instance, kind: export.kind.into(), name: &name });
        }
        self.given = Some(given);
        component.section(&aliases);
        component.section(InstanceSection::new().export_items(exports));
        Ok(())
    }
}

impl Reencode for Writer<'_> {
    type Error = Left;

    fn function_index(&mut self, number: u32) -> Result<u32, Error> {
        if self.depth > 0 {
            return Ok(number);
        }
        let place = self.functions.places.get(index(number)).cloned();
        self.place(place)
    }

    fn table_index(&mut self, number: u32) -> Result<u32, Error> {
        if self.depth > 0 {
            return Ok(number);
        }
        let place = self.tables.places.get(index(number)).cloned();
        self.place(place)
    }
}

impl ReencodeComponent for Writer<'_> {
    fn module_index(&mut self, number: u32) -> u32 {
        self.outer_module_index(0, number)
    }

    /// Of a module that is none of the two: those are made nowhere else.
    fn outer_module_index(&mut self, count: u32, number: u32) -> u32 {
        if count != self.depth {
            return number;
        }
        let (main, support) = (self.pair.main.module, self.pair.support.module);
        self.refused |= number == main || number == support;
        number - u32::from(number > support)
    }

    fn instance_index(&mut self, number: u32) -> u32 {
        if self.depth > 0 { number } else { self.complete(number) }
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
    ) -> Result<(), Error> {
        match payload {
            Payload::ComponentAliasSection(section) if self.depth == 0 => self.aliases(component, section),
            Payload::InstanceSection(section) if self.depth == 0 => self.core_instances(component, section),
            payload => parse_component_payload(self, component, payload, whole),
        }
    }

    fn parse_component_canonical(
        &mut self,
        section: &mut CanonicalFunctionSection,
        function: CanonicalFunction,
    ) -> Result<(), Error> {
        let lifts = matches!(function, CanonicalFunction::Lift { .. });
        parse_component_canonical(self, section, function)?;
        if self.depth == 0 && !lifts {
            self.functions.keep();
        }
        Ok(())
    }

    fn parse_component_submodule(&mut self, component: &mut Component, _: Parser, module: &[u8]) -> Result<(), Error> {
        let is = |other: &[u8]| self.depth == 0 && std::ptr::eq(module, other);
        if is(self.pair.support.bytes) {
            return Ok(());
        }
        let data = if is(self.pair.main.bytes) { &self.whole } else { module };
        component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data });
        Ok(())
    }

    /// Names for people, of items that have other numbers now.
    fn parse_component_custom_section(&mut self, _: &mut Component, _: CustomSectionReader<'_>) -> Result<(), Error> {
        Ok(())
    }
}
