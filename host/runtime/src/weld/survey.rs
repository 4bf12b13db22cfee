//! What the outermost level of a component instantiates, and who takes what from whom.

use std::collections::BTreeMap;

use wasmparser::{
    BinaryReaderError, CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind,
    ComponentTypeRef, ExternalKind, Import, Instance, Parser, Payload,
};

use super::module::Module;

/// The core items of a component, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Survey<'a> {
    /// None: from elsewhere.
    modules: Vec<Option<&'a [u8]>>,
    instances: Vec<Instance<'a>>,
    /// The functions that are exports of core instances.
    functions: Vec<Option<Export<'a>>>,
}

/// What a core instance exports by a name.
#[derive(Clone, Copy, Debug)]
struct Export<'a> {
    instance: u32,
    name: &'a str,
}

/// Two core instances, the second of which takes functions of the first.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) support: Made<'a>,
    pub(super) main: Made<'a>,
    /// By the names of an import of the second: the export of the first.
    pub(super) taken: BTreeMap<(&'a str, &'a str), &'a str>,
}

/// A core instance of a module that is in the component.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made<'a> {
    pub(super) instance: u32,
    pub(super) module: u32,
    pub(super) bytes: &'a [u8],
}

impl<'a> Survey<'a> {
    /// Reads a valid component.
    pub(super) fn of(component: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut survey = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload?;
            match payload {
                Payload::ModuleSection { unchecked_range, .. } => {
                    if depth == 0 {
                        survey.modules.push(component.get(unchecked_range));
                    }
                    depth += 1;
                }
                Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                payload if depth == 0 => survey.read(payload)?,
                _ => {}
            }
        }
        Ok(survey)
    }

    fn read(&mut self, payload: Payload<'a>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    if let ComponentTypeRef::Module(_) = import?.ty {
                        self.modules.push(None);
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(alias?);
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    if !matches!(function?, CanonicalFunction::Lift { .. }) {
                        self.functions.push(None);
                    }
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.instances.push(instance?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: ComponentAlias<'a>) {
        match alias {
            ComponentAlias::CoreInstanceExport { kind: ExternalKind::Func, instance_index: instance, name } => {
                self.functions.push(Some(Export { instance, name }));
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. }
            | ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. } => self.modules.push(None),
            _ => {}
        }
    }

    /// Whoever takes a function of another, with the first that it takes some of.
    pub(super) fn pairs(&self) -> Vec<Pair<'a>> {
        let supports = (0_u32..).zip(&self.instances).filter_map(|(number, instance)| self.made(number, instance));
        supports.filter_map(|support| self.pair(support)).collect()
    }

    fn pair(&self, support: Made<'a>) -> Option<Pair<'a>> {
        let later = (0_u32..).zip(&self.instances).filter(|(number, _)| *number > support.instance);
        later.into_iter().find_map(|(number, instance)| {
            let main = self.made(number, instance)?;
            let module = Module::of(main.bytes).ok()?;
            let taken = self.taken(support.instance, &module, instance);
            // What else it takes of the support it would have to take of itself.
            let direct = |name| arguments(instance).any(|argument| argument == (name, support.instance));
            let more =
                |import: &Import<'a>| direct(import.module) && !taken.contains_key(&(import.module, import.name));
            (!taken.is_empty() && !module.imports.iter().any(more)).then_some(Pair { support, main, taken })
        })
    }

    fn made(&self, number: u32, instance: &Instance<'a>) -> Option<Made<'a>> {
        let Instance::Instantiate { module_index, .. } = instance else { return None };
        let bytes = (*self.modules.get(index(*module_index))?)?;
        Some(Made { instance: number, module: *module_index, bytes })
    }

    /// Which functions that `main` imports are exports of `support`.
    fn taken(&self, support: u32, main: &Module<'a>, instance: &Instance<'a>) -> BTreeMap<(&'a str, &'a str), &'a str> {
        let arguments: BTreeMap<&str, u32> = arguments(instance).collect();
        let source = |import: &Import<'a>| {
            let (module, name) = (import.module, import.name);
            let number = *arguments.get(module)?;
            if number == support {
                return Some(((module, name), name));
            }
            let Instance::FromExports(exports) = self.instances.get(index(number))? else { return None };
            let export = exports.iter().find(|export| export.name == name && export.kind == ExternalKind::Func)?;
            let from = (*self.functions.get(index(export.index))?)?;
            (from.instance == support).then_some(((module, name), from.name))
        };
        main.imported_functions().filter_map(source).collect()
    }

    /// From which instances an instance imports what. None: its module is not in the component.
    pub(super) fn imports(&self, number: u32) -> Option<impl Iterator<Item = (u32, &'a str)>> {
        let made = self.made(number, self.instances.get(index(number))?)?;
        let arguments: BTreeMap<&str, u32> = self.arguments(number).collect();
        let source = move |import: Import<'a>| Some((*arguments.get(import.module)?, import.name));
        Some(Module::of(made.bytes).ok()?.imports.into_iter().filter_map(source))
    }

    /// The instances that an instance is made with, by the names of its imports.
    pub(super) fn arguments(&self, number: u32) -> impl Iterator<Item = (&'a str, u32)> {
        self.instances.get(index(number)).into_iter().flat_map(arguments)
    }
}

fn arguments<'a>(instance: &Instance<'a>) -> impl Iterator<Item = (&'a str, u32)> {
    let arguments = match instance {
        Instance::Instantiate { args, .. } => &**args,
        Instance::FromExports(_) => &[],
    };
    arguments.iter().map(|argument| (argument.name, argument.index))
}

pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
