//! What a component says of itself: its names, how many items it has, and where it calls a counter.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::component_types::{ComponentDefinedType, ComponentValType};
use wasmparser::types::TypesRef;
use wasmparser::{
    BinaryReaderError, CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentTypeRef,
    Parser, Payload, PrimitiveValType, Validator, WasmFeatures,
};

use super::COUNTER;

/// The functions of the interface, and how many numbers each takes.
const FUNCTIONS: [(&str, usize); 2] = [("add", 2), ("add-tagged", 3)];
const OUTCOMES: [&str; 4] = ["counted", "unknown", "over-limit", "stopped"];

/// A valid component.
#[derive(Debug, Default)]
pub(super) struct Outline<'a> {
    pub(super) imports: Vec<&'a str>,
    pub(super) exports: Vec<&'a str>,
    /// Of all items.
    pub(super) numbers: Numbers,
    pub(super) counting: Counting,
}

/// How many items there are of the kinds that the builtin adds to, which is the number that the next one gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) types: u32,
    pub(super) functions: u32,
    pub(super) instances: u32,
    pub(super) core_modules: u32,
    pub(super) core_functions: u32,
    pub(super) core_instances: u32,
}

/// The functions of the counter that a component imports.
#[derive(Debug, Default)]
pub(super) struct Counting {
    instances: BTreeSet<u32>,
    functions: BTreeMap<u32, &'static str>,
    /// What there is before the first of them is lowered. None: none is.
    pub(super) at: Option<Numbers>,
}

impl<'a> Outline<'a> {
    /// Reads a component. Its core modules are left to the compiler.
    ///
    /// # Errors
    /// It is not valid.
    pub(super) fn of(component: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let (mut outline, mut validator, mut depth) =
            (Self::default(), Validator::new_with_features(WasmFeatures::all()), 0_usize);
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload?;
            let before = validator.types(0).map_or_else(Numbers::default, Numbers::of);
            validator.payload(&payload)?;
            match &payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0
                && let Some(types) = validator.types(0)
            {
                outline.numbers = Numbers::of(types);
                outline.read(payload, before, types)?;
            }
        }
        Ok(outline)
    }

    fn read(&mut self, payload: Payload<'a>, before: Numbers, types: TypesRef<'_>) -> Result<(), BinaryReaderError> {
        let counting = &mut self.counting;
        match payload {
            Payload::ComponentImportSection(section) => {
                let mut instance = before.instances;
                for import in section {
                    let import = import?;
                    let is_instance = matches!(import.ty, ComponentTypeRef::Instance(_));
                    if is_instance && import.name.name.starts_with(COUNTER) {
                        counting.instances.insert(instance);
                    }
                    instance += u32::from(is_instance);
                    self.imports.push(import.name.name);
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.exports.push(export?.name.name);
                }
            }
            Payload::ComponentAliasSection(section) => {
                let mut function = before.functions;
                for alias in section {
                    let ComponentAlias::InstanceExport { kind: ComponentExternalKind::Func, instance_index, name } =
                        alias?
                    else {
                        continue;
                    };
                    if counting.instances.contains(&instance_index) {
                        counting.alias(function, name, types);
                    }
                    function += 1;
                }
            }
            Payload::ComponentCanonicalSection(section) if counting.at.is_none() => {
                let mut at = before;
                for function in section {
                    let function = function?;
                    if counting.lowers(&function).is_some() {
                        counting.at = Some(at);
                        break;
                    }
                    match function {
                        CanonicalFunction::Lift { .. } => at.functions += 1,
                        _ => at.core_functions += 1,
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Numbers {
    fn of(types: TypesRef<'_>) -> Self {
        Self {
            types: types.component_type_count(),
            functions: types.component_function_count(),
            instances: types.component_instance_count(),
            core_modules: types.module_count(),
            core_functions: types.function_count(),
            core_instances: types.core_instance_count(),
        }
    }
}

impl Counting {
    /// The name of the function, if this is where the guest gets one of the counter to call.
    pub(super) fn lowers(&self, function: &CanonicalFunction) -> Option<&'static str> {
        match function {
            CanonicalFunction::Lower { func_index, options } if !options.contains(&CanonicalOption::Async) => {
                self.functions.get(func_index).copied()
            }
            _ => None,
        }
    }

    /// Remembers a function of the counter, if it is as in our text. What is wrong with another, the linker says best.
    fn alias(&mut self, function: u32, name: &str, types: TypesRef<'_>) {
        let Some(&(ours, parameters)) = FUNCTIONS.iter().find(|(ours, _)| *ours == name) else { return };
        let ty = &types[types.component_function_at(function)];
        let number = |ty: &ComponentValType| matches!(ty, ComponentValType::Primitive(PrimitiveValType::U32));
        let numbers = ty.params.iter().all(|(_, ty)| number(ty));
        let outcome = match ty.result {
            Some(ComponentValType::Type(id)) => match &types[id] {
                ComponentDefinedType::Enum(cases) => cases.iter().map(|case| case.as_str()).eq(OUTCOMES),
                _ => false,
            },
            _ => false,
        };
        if !ty.async_ && ty.params.len() == parameters && numbers && outcome {
            self.functions.insert(function, ours);
        }
    }
}
