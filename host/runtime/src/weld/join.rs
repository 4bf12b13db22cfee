//! Two core modules become one: types, functions and tables of the support come after those of the main module.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::reencode::{Reencode, utils};
use wasm_encoder::{
    CodeSection, ExportSection, FunctionSection, ImportSection, NameMap, NameSection, SectionId, TableSection,
    TypeSection,
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, ExportSectionReader, ExternalKind, FunctionSectionReader,
    ImportSectionReader, KnownCustom, Name, Parser, TableSectionReader, TypeSectionReader,
};

use super::module::{Module, count};
use super::survey::{Pair, index};
use super::{Error, Left};

/// What the whole calls what comes from the support.
pub(super) fn renamed(number: u32, name: &str) -> String {
    format!("welded-{number}:{name}")
}

/// The main module of a pair with the support in it. `exported` are what others than the main module take of the support:
/// the whole exports it. What the support imports, the whole imports. Both by other names, see [`renamed`].
///
/// # Errors
/// The modules are of other kinds than this knows.
pub(super) fn join(pair: &Pair<'_>, exported: &BTreeSet<String>, number: u32) -> Result<Vec<u8>, Error> {
    let (main, support) = (Module::of(pair.main.bytes)?, Module::of(pair.support.bytes)?);
    let ours = renamed(number, "");
    let mut names =
        main.imports.iter().map(|import| import.module).chain(main.exports.iter().map(|export| export.name));
    if support.more || main.code_section.is_none() || names.any(|name| name.starts_with(&ours)) {
        return Err(Error::UserError(Left));
    }
    let of_support = Numbers::of_support(&main, &support, pair);
    let of_main = Numbers::of_main(&main, &support, pair, &of_support).ok_or(Error::UserError(Left))?;
    let mut joined = wasm_encoder::Module::new();
    let mut join = Join { of_main, of_support, pair, support, exported, number };
    join.parse_core_module(&mut joined, Parser::new(0), pair.main.bytes)?;
    Ok(joined.finish())
}

/// The numbers that the items of a module have in the whole.
struct Numbers {
    /// How far types and tables move.
    types: u32,
    tables: u32,
    functions: Vec<u32>,
}

/// How many imported functions of the main module the whole still imports.
fn kept(main: &Module<'_>, pair: &Pair<'_>) -> u32 {
    count(main.imported_functions().filter(|import| !pair.taken.contains_key(&(import.module, import.name))).count())
}

impl Numbers {
    /// Functions are in this order: imports of the main module, imports of the support, main module, support.
    fn of_support(main: &Module<'_>, support: &Module<'_>, pair: &Pair<'_>) -> Self {
        let (kept, imported) = (kept(main, pair), support.functions - support.own_functions());
        let imports = (0..imported).map(|function| kept + function);
        let own = (0..support.own_functions()).map(|function| kept + imported + main.own_functions() + function);
        Self { types: main.types, tables: main.tables, functions: imports.chain(own).collect() }
    }

    /// None: it takes what the support does not export.
    fn of_main(main: &Module<'_>, support: &Module<'_>, pair: &Pair<'_>, of_support: &Self) -> Option<Self> {
        let mut next = 0..;
        let mut functions = Vec::new();
        for import in main.imported_functions() {
            functions.push(match pair.taken.get(&(import.module, import.name)) {
                None => next.next()?,
                Some(name) => {
                    let export = support.exports.iter().find(|export| export.name == *name)?;
                    (export.kind == ExternalKind::Func).then_some(())?;
                    *of_support.functions.get(index(export.index))?
                }
            });
        }
        let first = kept(main, pair) + support.functions - support.own_functions();
        functions.extend((0..main.own_functions()).map(|function| first + function));
        Some(Self { types: 0, tables: 0, functions })
    }
}

impl Reencode for Numbers {
    type Error = Left;

    fn type_index(&mut self, number: u32) -> Result<u32, Error> {
        Ok(self.types + number)
    }

    fn function_index(&mut self, number: u32) -> Result<u32, Error> {
        self.functions.get(index(number)).copied().ok_or(Error::UserError(Left))
    }

    fn table_index(&mut self, number: u32) -> Result<u32, Error> {
        Ok(self.tables + number)
    }
}

/// Writes the main module with other numbers, and the support at the end of each section.
struct Join<'a> {
    of_main: Numbers,
    of_support: Numbers,
    pair: &'a Pair<'a>,
    support: Module<'a>,
    exported: &'a BTreeSet<String>,
    number: u32,
}

impl Join<'_> {
    /// In the order of the new numbers.
    fn function_names(&mut self, names: wasmparser::NameMap<'_>) -> Result<NameMap, Error> {
        let mut named = BTreeMap::new();
        for naming in names {
            let naming = naming?;
            named.entry(self.function_index(naming.index)?).or_insert(naming.name);
        }
        let mut map = NameMap::new();
        named.into_iter().for_each(|(function, name)| map.append(function, name));
        Ok(map)
    }

    fn support_tables(&mut self, tables: &mut TableSection) -> Result<(), Error> {
        self.support
            .table_section
            .clone()
            .map_or(Ok(()), |section| self.of_support.parse_table_section(tables, section))
    }
}

impl Reencode for Join<'_> {
    type Error = Left;

    fn type_index(&mut self, number: u32) -> Result<u32, Error> {
        self.of_main.type_index(number)
    }

    fn function_index(&mut self, number: u32) -> Result<u32, Error> {
        self.of_main.function_index(number)
    }

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_type_section(self, types, section)?;
        self.support.type_section.clone().map_or(Ok(()), |section| self.of_support.parse_type_section(types, section))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error> {
        for import in section.into_imports() {
            let import = import?;
            if !self.pair.taken.contains_key(&(import.module, import.name)) {
                self.parse_import(imports, import)?;
            }
        }
        for import in &self.support.imports {
            imports.import(&renamed(self.number, import.module), import.name, self.of_support.entity_type(import.ty)?);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        let own = self.support.function_section.clone();
        own.map_or(Ok(()), |section| self.of_support.parse_function_section(functions, section))
    }

    fn parse_table_section(&mut self, tables: &mut TableSection, section: TableSectionReader<'_>) -> Result<(), Error> {
        utils::parse_table_section(self, tables, section)?;
        self.support_tables(tables)
    }

    /// Tables come after functions, which every main module has.
    fn intersperse_section_hook(
        &mut self,
        module: &mut wasm_encoder::Module,
        after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), Error> {
        if after == Some(SectionId::Function) && before != Some(SectionId::Table) {
            let mut tables = TableSection::new();
            self.support_tables(&mut tables)?;
            module.section(&tables);
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_export_section(self, exports, section)?;
        for export in self.support.exports.iter().filter(|export| self.exported.contains(export.name)) {
            let number = self.of_support.external_index(export.kind, export.index)?;
            exports.export(&renamed(self.number, export.name), export.kind.into(), number);
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        self.support.code_section.clone().map_or(Ok(()), |section| self.of_support.parse_code_section(code, section))
    }

    /// Names of functions, for traces. All else would be wrong now: it speaks of places in the code.
    fn parse_custom_section(
        &mut self,
        module: &mut wasm_encoder::Module,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        let KnownCustom::Name(section) = section.as_known() else { return Ok(()) };
        let mut names = NameSection::new();
        for part in section {
            match part? {
                Name::Module { name, .. } => names.module(name),
                Name::Function(functions) => names.functions(&self.function_names(functions)?),
                _ => {}
            }
        }
        module.section(&names);
        Ok(())
    }
}
