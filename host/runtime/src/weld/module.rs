//! What a core module is made of.

use wasmparser::{
    BinaryReader, BinaryReaderError, CodeSectionReader, Export, FunctionSectionReader, Import, Parser, Payload,
    TableInit, TableSectionReader, TypeRef, TypeSectionReader,
};

/// A valid core module.
#[derive(Debug, Default)]
pub(super) struct Module<'a> {
    pub(super) imports: Vec<Import<'a>>,
    pub(super) exports: Vec<Export<'a>>,
    /// How many types it has.
    pub(super) types: u32,
    /// Imported ones first, as everywhere.
    pub(super) functions: u32,
    pub(super) tables: u32,
    pub(super) type_section: Option<TypeSectionReader<'a>>,
    pub(super) function_section: Option<FunctionSectionReader<'a>>,
    pub(super) table_section: Option<TableSectionReader<'a>>,
    pub(super) code_section: Option<CodeSectionReader<'a>>,
    /// It has something beside functions and empty tables of its own, and imported functions.
    pub(super) more: bool,
}

impl<'a> Module<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            module.read(payload?, bytes)?;
        }
        Ok(module)
    }

    fn read(&mut self, payload: Payload<'a>, bytes: &'a [u8]) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    self.types += count(group?.types().len());
                }
                self.type_section = Some(section);
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(_) => self.functions += 1,
                        TypeRef::Table(_) => (self.tables, self.more) = (self.tables + 1, true),
                        _ => self.more = true,
                    }
                    self.imports.push(import);
                }
            }
            Payload::FunctionSection(section) => {
                self.functions += section.count();
                self.function_section = Some(section);
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    self.more |= !matches!(table?.init, TableInit::RefNull);
                }
                self.tables += section.count();
                self.table_section = Some(section);
            }
            Payload::ExportSection(section) => self.exports = section.into_iter().collect::<Result<_, _>>()?,
            Payload::CodeSectionStart { range, .. } => {
                let reader = BinaryReader::new(bytes.get(range.clone()).unwrap_or_default(), range.start);
                self.code_section = Some(CodeSectionReader::new(reader)?);
            }
            Payload::Version { .. } | Payload::CodeSectionEntry(_) | Payload::CustomSection(_) | Payload::End(_) => {}
            _ => self.more = true,
        }
        Ok(())
    }

    /// The functions that it imports, in the order of their numbers.
    pub(super) fn imported_functions(&self) -> impl Iterator<Item = &Import<'a>> {
        self.imports.iter().filter(|import| matches!(import.ty, TypeRef::Func(_)))
    }

    pub(super) fn own_functions(&self) -> u32 {
        self.functions - count(self.imported_functions().count())
    }
}

/// The binary format has no more than fit.
pub(super) fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}
