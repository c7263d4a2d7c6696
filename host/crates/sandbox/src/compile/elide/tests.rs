use super::*;
use crate::engine;
use proptest::prelude::*;
use wasm_encoder::{DataSection, ExportKind, ExportSection, GlobalType, ImportSection, MemArg, MemorySection, MemoryType, ModuleSection};
use wasmtime::{Engine, Instance, Store, StoreLimits, StoreLimitsBuilder, Trap};

/// What a module is made of; the default is what a linker makes.
#[derive(Debug, Clone, Copy)]
struct Made {
    pages: u64,
    maximum: Option<u64>,
    /// Where its stack begins.
    stack: i32,
    data: Option<i32>,
    imports_memory: bool,
    grows: bool,
}

impl Default for Made {
    fn default() -> Self {
        Self { pages: 1, maximum: None, stack: 65_536, data: None, imports_memory: false, grows: true }
    }
}

impl Made {
    /// Exports `size`, `grow`, `load`, `store` and `fail`.
    fn module(self) -> wasm_encoder::Module {
        let (mut module, i32) = (wasm_encoder::Module::new(), ValType::I32);
        let byte = MemArg { offset: 0, align: 0, memory_index: 0 };
        let mut types = TypeSection::new();
        [(&[][..], &[i32][..]), (&[i32], &[i32]), (&[i32, i32], &[])].iter().for_each(|(parameters, results)| {
            types.ty().function(parameters.iter().copied(), results.iter().copied());
        });
        module.section(&types);
        let memory = MemoryType { minimum: self.pages, maximum: self.maximum, memory64: false, shared: false, page_size_log2: None };
        if self.imports_memory {
            module.section(ImportSection::new().import("env", "memory", memory));
        }
        let grow = if self.grows { Instruction::MemoryGrow(0) } else { Instruction::I32Const(0) };
        let functions: [(&str, u32, Vec<Instruction<'_>>); 5] = [
            ("size", 0, vec![Instruction::MemorySize(0)]),
            ("grow", 1, vec![Instruction::LocalGet(0), grow]),
            ("load", 1, vec![Instruction::LocalGet(0), Instruction::I32Load8U(byte)]),
            ("store", 2, vec![Instruction::LocalGet(0), Instruction::LocalGet(1), Instruction::I32Store8(byte)]),
            ("fail", 0, vec![Instruction::Unreachable]),
        ];
        let (mut declared, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
        for (at, (name, ty, body)) in (0..).zip(&functions) {
            declared.function(*ty);
            exports.export(name, ExportKind::Func, at);
            let mut function = Function::new([]);
            body.iter().chain([&Instruction::End]).for_each(|instruction| {
                function.instruction(instruction);
            });
            code.function(&function);
        }
        module.section(&declared);
        if !self.imports_memory {
            module.section(MemorySection::new().memory(memory));
        }
        let ty = GlobalType { val_type: i32, mutable: true, shared: false };
        module.section(GlobalSection::new().global(ty, &ConstExpr::i32_const(self.stack)));
        module.section(&exports).section(&code);
        if let Some(at) = self.data {
            module.section(DataSection::new().active(0, &ConstExpr::i32_const(at), *b"data"));
        }
        module
    }
}

fn component(modules: &[Made]) -> Vec<u8> {
    let mut component = Component::new();
    modules.iter().for_each(|made| {
        component.section(&ModuleSection(&made.module()));
    });
    component.finish()
}

/// Its modules one after the other, those of components within it too.
fn modules(component: &[u8]) -> Vec<&[u8]> {
    let found = Parser::new(0).parse_all(component).filter_map(|payload| match payload.expect("a component") {
        Payload::ModuleSection { unchecked_range, .. } => Some(&component[unchecked_range]),
        _ => None,
    });
    found.collect()
}

/// A module's functions, with so much memory at most.
struct Running {
    store: Store<StoreLimits>,
    instance: Instance,
}

const MEMORY_BYTES_MAX: usize = 8 * PAGE_BYTES as usize;

impl Running {
    fn of(engine: &Engine, module: &[u8]) -> Self {
        let mut store = Store::new(engine, StoreLimitsBuilder::new().memory_size(MEMORY_BYTES_MAX).build());
        store.limiter(|limits| limits);
        store.set_epoch_deadline(1);
        let module = wasmtime::Module::new(engine, module).expect("a module");
        let instance = Instance::new(&mut store, &module, &[]).expect("no imports");
        Self { store, instance }
    }

    fn run(&mut self, step: Step) -> Result<u32, Trap> {
        let (store, instance) = (&mut self.store, self.instance);
        let trapped = |error: wasmtime::Error| *error.downcast_ref::<Trap>().expect("a trap");
        macro_rules! call {
            ($name:literal, $arguments:expr) => {
                instance.get_typed_func(&mut *store, $name).expect("a function").call(&mut *store, $arguments).map_err(trapped)
            };
        }
        match step {
            Step::Size => call!("size", ()),
            Step::Grow(pages) => call!("grow", pages),
            Step::Load(at) => call!("load", at),
            Step::Store(at, byte) => call!("store", (at, u32::from(byte))).map(|()| 0),
            Step::Fail => call!("fail", ()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Size,
    Grow(u32),
    Load(u32),
    Store(u32, u8),
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    // Beyond what it may ever have, too.
    let address = prop_oneof![8 => 0..10 * 65_536_u32, 1 => any::<u32>()];
    prop_oneof![
        1 => Just(Step::Size),
        4 => prop_oneof![6 => 0..4_u32, 1 => any::<u32>(), 1 => 65_530..65_540_u32].prop_map(Step::Grow),
        4 => address.clone().prop_map(Step::Load),
        4 => (address, any::<u8>()).prop_map(|(at, byte)| Step::Store(at, byte)),
        1 => Just(Step::Fail),
    ]
}

proptest! {
    /// Whatever a module does within the memory that it knows of, and beyond all that it has, ends alike: values, refusals and traps.
    #[test]
    fn a_module_written_anew_behaves_as_before(
        pages in 0..6_u64,
        maximum in proptest::option::of(0..12_u64),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let made = Made { pages, maximum: maximum.map(|more| pages + more), stack: 0, data: None, ..Made::default() };
        // A stack up to the end of the memory leaves no room.
        let made = Made { stack: i32::try_from(pages * PAGE_BYTES).expect("small"), ..made };
        let component = component(&[made]);
        let Some(elided) = elide(&component) else {
            prop_assert!(maximum.is_some_and(|more| more < PAGES), "it is written anew");
            return Ok(());
        };
        let engine = Engine::new(engine::config().concurrency_support(false)).expect("an engine");
        let [mut before, mut after] = [&component, &elided].map(|component| Running::of(&engine, modules(component)[0]));
        for step in steps {
            let bytes = u64::from(before.run(Step::Size).expect("a number")) * PAGE_BYTES;
            let reserved = bytes.max((pages + PAGES) * PAGE_BYTES);
            let is_reserved = |at: u32| (bytes..reserved).contains(&u64::from(at));
            match step {
                // The one difference.
                Step::Load(at) if is_reserved(at) => prop_assert_eq!((before.run(step), after.run(step)), (Err(Trap::MemoryOutOfBounds), Ok(0))),
                Step::Store(at, _) if is_reserved(at) => prop_assert_eq!(before.run(step), Err(Trap::MemoryOutOfBounds)),
                step => prop_assert_eq!(before.run(step), after.run(step), "{:?}", step),
            }
        }
    }
}

#[test]
fn what_has_room_or_could_tell_stays_as_it_is() {
    let elided = |modules: &[Made]| elide(&component(modules)).is_some();
    let usual = Made::default();
    assert!(elided(&[usual]) && elided(&[usual, usual]));
    for (what, made) in [
        ("a page beyond its stack", Made { pages: 2, ..usual }),
        ("one page, made to measure", Made { stack: 49_152, ..usual }),
        ("a page beyond its data", Made { pages: 3, data: Some(131_000), ..usual }),
        ("no growth", Made { grows: false, ..usual }),
        ("a maximum", Made { maximum: Some(2), ..usual }),
        ("a large memory", Made { pages: PAGES_MAX - 1, stack: i32::try_from((PAGES_MAX - 1) * PAGE_BYTES).expect("small"), ..usual }),
        ("another's memory", Made { imports_memory: true, ..usual }),
    ] {
        assert!(!elided(&[made]), "{what}");
    }
    for (what, made) in [
        ("one page and little left of it", Made { stack: 49_153, ..usual }),
        ("data up to the end", Made { pages: 2, data: Some(131_000), ..usual }),
        ("a global that is no place, and data up to the end", Made { stack: -1, data: Some(65_000), ..usual }),
        ("room below the maximum", Made { maximum: Some(3), ..usual }),
    ] {
        assert!(elided(&[made]), "{what}");
    }
    // Whoever uses another's memory may see, and take, what the other does not know of.
    let user = Made { imports_memory: true, ..usual };
    assert!(!elided(&[usual, user]) && !elided(&[user, usual]));
    assert!(elide(b"\0asm").is_none() && elide(&component(&[usual])[..40]).is_none());
}

#[test]
fn other_modules_stay_byte_for_byte() {
    let (usual, roomy) = (Made::default(), Made { pages: 2, ..Made::default() });
    let mut within = Component::new();
    within.section(&ModuleSection(&roomy.module())).section(&ModuleSection(&usual.module()));
    let mut whole = Component::new();
    whole.section(&ModuleSection(&usual.module())).section(&wasm_encoder::NestedComponentSection(&within));
    whole.section(&ModuleSection(&roomy.module()));
    let before = whole.finish();
    let after = elide(&before).expect("it is written anew");
    wasmparser::Validator::new().validate_all(&after).expect("a component");
    let same: Vec<_> = modules(&before).iter().zip(modules(&after)).map(|(before, after)| **before == *after).collect();
    assert_eq!(same, [false, true, false, true]);
}
