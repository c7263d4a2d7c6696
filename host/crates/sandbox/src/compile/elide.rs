//! Growth elision: a component that would make its memory grow in its first steps has what it needs from the beginning.
//!
//! Linkers give a module just what its data need, so an ordinary guest asks for more with its first allocation, in every fresh instance. In a pool
//! that is two system calls which stop all processors: one when memory grows, one when the place is reset. Such a module is written anew, with
//! [`PAGES`] more that it does not see: `memory.size` reads a size of its own, in a global, and `memory.grow` a function that moves it, and reaches
//! for more only where there is no more.
//!
//! One thing is different then. An access beyond what the module knows of, and within those pages, meets memory of its own, zeros at first, where
//! it would trap. Whatever the component asked for is still its own, and nobody else's.

use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, component_utils, utils};
use wasm_encoder::{
    BlockType, CodeSection, Component, ConstExpr, Function, FunctionSection, GlobalSection, Instruction, TypeSection, ValType,
};
use wasmparser::{CompositeInnerType, ConstExpr as Constant, CustomSectionReader, Encoding, Operator, Parser, Payload, TypeRef};

/// What a module gets beside what it asks for. Each has to be reset after each call, whether it was used or not.
const PAGES: u64 = 2;
const PAGE_BYTES: u64 = 64 << 10;
/// A larger memory is given back to the kernel anyway when it is reset.
const PAGES_MAX: u64 = (crate::engine::FAST_RESIDENT_BYTES as u64) / PAGE_BYTES;

/// The same component with memory in reserve; none where it has no use for it, or nobody could say what would become of it.
pub(super) fn elide(component: &[u8]) -> Option<Vec<u8>> {
    let mut plans = plans(component).ok().flatten()?.into_iter();
    let mut written = Component::new();
    let mut writer = Writer { plans: &mut plans };
    writer.parse_component(&mut written, Parser::new(0), component).ok()?;
    Some(written.finish())
}

/// What is done to one module.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Pages that the module asks for.
    pages: u64,
    /// Where the added type, function and global come to stand: behind its own.
    ty: u32,
    grow: u32,
    size: u32,
}

/// One module, as far as this is about.
#[derive(Debug, Default)]
struct Module {
    types: u32,
    functions: u32,
    globals: u32,
    /// Pages of its own memories, and how many it may have.
    memories: Vec<(u64, u64)>,
    /// It has memories or types of another kind than those that everybody has.
    is_odd: bool,
    imports_memory: bool,
    /// It has sections for functions and globals of its own.
    defines: (bool, bool),
    /// Where what it says of its memory ends: its data and its stack.
    known_bytes: u64,
    /// It asks for the size of its memory, or for more.
    asks: bool,
    grows: bool,
}

impl Module {
    fn see(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(groups) => {
                for group in groups {
                    for ty in group?.into_types() {
                        self.types += 1;
                        self.is_odd |= !matches!(ty.composite_type.inner, CompositeInnerType::Func(_));
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => self.functions += 1,
                        TypeRef::Global(_) => self.globals += 1,
                        TypeRef::Memory(_) => self.imports_memory = true,
                        TypeRef::Table(_) | TypeRef::Tag(_) => {}
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                self.functions = self.functions.saturating_add(functions.count());
                self.defines.0 = true;
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory?;
                    self.is_odd |= memory.memory64 || memory.shared || memory.page_size_log2.is_some();
                    self.memories.push((memory.initial, memory.maximum.unwrap_or(1 << 16)));
                }
            }
            Payload::GlobalSection(globals) => {
                self.defines.1 = true;
                for global in globals {
                    let global = global?;
                    self.globals += 1;
                    // The stack's begin, where the stack is above the data.
                    if global.ty.mutable {
                        self.speaks_of(number(&global.init_expr));
                    }
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    if let wasmparser::DataKind::Active { offset_expr, .. } = segment.kind {
                        self.speaks_of(number(&offset_expr).map(|begin| begin.saturating_add(segment.data.len() as u64)));
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let mut operators = body.get_operators_reader()?;
                while !operators.eof() {
                    match operators.read()? {
                        Operator::MemoryGrow { .. } => (self.asks, self.grows) = (true, true),
                        Operator::MemorySize { .. } => self.asks = true,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Of its memory up to there, if that is a place in it: any number may stand in a global.
    fn speaks_of(&mut self, end: Option<u64>) {
        let bytes = self.memories.first().map_or(0, |(pages, _)| pages.saturating_mul(PAGE_BYTES));
        self.known_bytes = self.known_bytes.max(end.filter(|end| *end <= bytes).unwrap_or(0));
    }

    /// None where nothing is to be done.
    fn plan(&self) -> Option<Plan> {
        let [(pages, maximum)] = self.memories[..] else { return None };
        let is_usual = !self.is_odd && !self.imports_memory && self.defines == (true, true);
        // Whoever has a page more than it speaks of uses that first. One page holds no linker's usual stack, so somebody has thought of what the module
        // needs, and to reset three of them would cost it more than anything else does.
        let spare_bytes = pages.saturating_mul(PAGE_BYTES).saturating_sub(self.known_bytes);
        let has_room = spare_bytes >= if pages == 1 { PAGE_BYTES / 4 } else { PAGE_BYTES };
        let fits = pages.saturating_add(PAGES) <= maximum.min(PAGES_MAX);
        (self.grows && is_usual && !has_room && fits).then_some(Plan { pages, ty: self.types, grow: self.functions, size: self.globals })
    }
}

fn number(constant: &Constant<'_>) -> Option<u64> {
    match constant.get_operators_reader().read() {
        Ok(Operator::I32Const { value }) => Some(u64::from(value.cast_unsigned())),
        _ => None,
    }
}

/// One for each module, in the order of their bytes; none where no module is written anew.
fn plans(component: &[u8]) -> wasmparser::Result<Option<Vec<Option<Plan>>>> {
    let mut modules: Vec<Module> = Vec::new();
    let mut inside: Vec<Encoding> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { encoding, .. } => {
                inside.push(encoding);
                if encoding == Encoding::Module {
                    modules.push(Module::default());
                }
            }
            Payload::End(_) => {
                inside.pop();
            }
            payload if inside.last() == Some(&Encoding::Module) => {
                if let Some(module) = modules.last_mut() {
                    module.see(payload)?;
                }
            }
            _ => {}
        }
    }
    // Who uses another's memory knows its true size, and what it takes of it the owner would give away once more.
    if modules.iter().any(|module| module.imports_memory && module.asks) {
        return Ok(None);
    }
    let plans: Vec<_> = modules.iter().map(Module::plan).collect();
    Ok(plans.iter().any(Option::is_some).then_some(plans))
}

/// Writes a component as it was, but for modules with a plan.
struct Writer<'a> {
    plans: &'a mut dyn Iterator<Item = Option<Plan>>,
}

impl Reencode for Writer<'_> {
    type Error = Infallible;
}

impl ReencodeComponent for Writer<'_> {
    fn parse_component_submodule(&mut self, component: &mut Component, parser: Parser, module: &[u8]) -> Result<(), Error> {
        match self.plans.next().flatten() {
            Some(plan) => component_utils::parse_component_submodule(&mut Elided(plan), component, parser, module),
            None => {
                component.section(&wasm_encoder::RawSection { id: wasm_encoder::ComponentSectionId::CoreModule.into(), data: module });
                Ok(())
            }
        }
    }

    /// The compiler reads none of them.
    fn parse_component_custom_section(&mut self, _: &mut Component, _: CustomSectionReader<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Writes one module anew.
struct Elided(Plan);

impl Elided {
    /// As `memory.grow`: pages more → pages before, or -1.
    fn grow(&self) -> Function {
        let Plan { size, .. } = self.0;
        let (more, after) = (0, 1);
        let refuse = [Instruction::I32Const(-1), Instruction::Return, Instruction::End];
        let mut function = Function::new([(1, ValType::I32)]);
        let mut write = |instructions: &[Instruction<'_>]| {
            instructions.iter().for_each(|instruction| {
                function.instruction(instruction);
            });
        };
        // More than there can ever be would begin at zero again when it is added.
        write(&[Instruction::LocalGet(more), Instruction::I32Const(1 << 16), Instruction::I32GtU, Instruction::If(BlockType::Empty)]);
        write(&refuse);
        write(&[Instruction::GlobalGet(size), Instruction::LocalGet(more), Instruction::I32Add, Instruction::LocalTee(after)]);
        write(&[Instruction::MemorySize(0), Instruction::I32GtU, Instruction::If(BlockType::Empty)]);
        write(&[Instruction::LocalGet(after), Instruction::MemorySize(0), Instruction::I32Sub, Instruction::MemoryGrow(0)]);
        write(&[Instruction::I32Const(-1), Instruction::I32Eq, Instruction::If(BlockType::Empty)]);
        write(&refuse);
        write(&[
            Instruction::End,
            Instruction::GlobalGet(size),
            Instruction::LocalGet(after),
            Instruction::GlobalSet(size),
            Instruction::End,
        ]);
        function
    }
}

impl Reencode for Elided {
    type Error = Infallible;

    fn parse_type_section(&mut self, types: &mut TypeSection, section: wasmparser::TypeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.0.ty);
        Ok(())
    }

    fn memory_type(&mut self, memory: wasmparser::MemoryType) -> Result<wasm_encoder::MemoryType, Error> {
        let memory = utils::memory_type(self, memory);
        Ok(wasm_encoder::MemoryType { minimum: self.0.pages + PAGES, ..memory })
    }

    fn parse_global_section(&mut self, globals: &mut GlobalSection, section: wasmparser::GlobalSectionReader<'_>) -> Result<(), Error> {
        utils::parse_global_section(self, globals, section)?;
        let ty = wasm_encoder::GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        // No more than `PAGES_MAX`.
        globals.global(ty, &ConstExpr::i32_const(i32::try_from(self.0.pages).unwrap_or(0)));
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: wasmparser::CodeSectionReader<'_>) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.grow());
        Ok(())
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error> {
        match operator {
            Operator::MemorySize { .. } => Ok(Instruction::GlobalGet(self.0.size)),
            Operator::MemoryGrow { .. } => Ok(Instruction::Call(self.0.grow)),
            operator => utils::instruction(self, operator),
        }
    }

    /// Some speak of places in the code, which are others now.
    fn parse_custom_section(&mut self, _: &mut wasm_encoder::Module, _: CustomSectionReader<'_>) -> Result<(), Error> {
        Ok(())
    }
}

impl ReencodeComponent for Elided {}

#[cfg(test)]
mod tests;
