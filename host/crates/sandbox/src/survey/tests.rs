use super::*;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
pub(crate) const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A section: its id, its size, its content.
pub(crate) fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(content.len()), content].concat()
}

pub(crate) fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

pub(crate) fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [COMPONENT, &sections.concat()].concat()
}

/// A component that holds these core modules.
fn with_modules(modules: &[Vec<u8>]) -> Vec<u8> {
    component(&modules.iter().map(|module| section(1, module)).collect::<Vec<_>>())
}

/// A core module with so many functions, each with so many bytes of body.
fn functions(count: usize, body_bytes: usize) -> Vec<u8> {
    let types = section(1, b"\x01\x60\0\0");
    let declared = section(3, &[leb(count), vec![0; count]].concat());
    // No locals, `nop` up to the size, `end`.
    let body = [&[0][..], &vec![1; body_bytes - 2], &[0x0b]].concat();
    let body = [leb(body.len()), body].concat();
    let code = section(10, &[leb(count), body.repeat(count)].concat());
    [MODULE, &types, &declared, &code].concat()
}

fn refused(bytes: &[u8]) -> String {
    survey(bytes).expect_err("it is refused").to_string()
}

#[test]
fn an_empty_component_is_one() {
    let survey = survey(COMPONENT).expect("a component");
    assert_eq!((survey.bytes, survey.functions, survey.core_instances, survey.memory_bytes_min), (8, 0, 0, 0));
    assert_eq!(survey.digest, Digest::of(COMPONENT));
}

/// L01.
#[test]
fn other_files_are_named() {
    for (bytes, expected) in [
        (&b""[..], "the file is empty"),
        (b"\x7fELF\x02\x01", "this is not WebAssembly: it begins with an ELF header"),
        (b"PK\x03\x04", "this is not WebAssembly: it begins with a zip header"),
        (b"\x1f\x8b\x08", "this is not WebAssembly: it begins with a gzip header"),
        (b"(component)", "this is not WebAssembly: it begins with WAT text"),
        (b"ab", "this is not WebAssembly: it begins with 61 62"),
        (MODULE, "this is a core module, not a component: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"),
        (b"\0asm", "the component is broken or cut short at byte 4: unexpected end-of-file"),
    ] {
        assert_eq!(refused(bytes), expected);
    }
}

/// L02: no piece of it is more than it is.
#[test]
fn every_cut_inside_of_a_section_is_seen() {
    let whole = with_modules(&[functions(3, 10)]);
    survey(&whole).expect("a component");
    for length in 0..whole.len() {
        // At the border after its header a piece is a whole component, of nothing.
        let cut = survey(&whole[..length]);
        assert_eq!(cut.is_ok(), length == COMPONENT.len(), "{length}: {cut:?}");
    }
}

/// L12, L13.
#[test]
fn what_a_shared_host_does_not_take_is_counted() {
    assert_eq!(survey(&with_modules(&[functions(FUNCTIONS_MAX as usize, 2)])).expect("at the limit").functions, FUNCTIONS_MAX);
    let half = functions(30_000, 2);
    assert_eq!(refused(&with_modules(&[half.clone(), half])), "the component has 60000 functions; the limit is 50000");
    survey(&with_modules(&[functions(1, FUNCTION_BODY_BYTES_MAX)])).expect("at the limit");
    let long = with_modules(&[functions(1, FUNCTION_BODY_BYTES_MAX + 1)]);
    assert_eq!(refused(&long), "the component has 1048577 bytes in one function; the limit is 1048576");
    survey(&with_modules(&vec![MODULE.to_vec(); MODULES_MAX as usize])).expect("at the limit");
    assert_eq!(refused(&with_modules(&vec![MODULE.to_vec(); 65])), "the component has 65 core modules; the limit is 64");
    let nested = |levels: usize| (1..levels).fold(COMPONENT.to_vec(), |inner, _| component(&[section(4, &inner)]));
    survey(&nested(NESTING_MAX)).expect("at the limit");
    assert_eq!(refused(&nested(1_000)), "the component has 17 levels of nesting; the limit is 16");
}

/// L04.
#[test]
fn a_component_has_a_size() {
    // One custom section, whose size counts and whose content does not.
    let of = |bytes: usize| component(&[section(0, &[&[1, b'x'][..], &vec![0; bytes - 15]].concat())]);
    let most = of(COMPONENT_BYTES_MAX as usize);
    assert_eq!(most.len() as u64, COMPONENT_BYTES_MAX);
    survey(&most).expect("at the limit");
    let more = [most, vec![0]].concat();
    assert_eq!(refused(&more), "the component has 33554433 bytes; the limit is 33554432");
}

/// R03.
#[test]
fn memories_to_begin_with_are_added_up() {
    // No maximum, and a minimum in pages of 64 KiB.
    let memory = |pages: usize| [MODULE, &section(5, &[&[1, 0][..], &leb(pages)].concat())].concat();
    assert_eq!(survey(&with_modules(&[memory(1), memory(16)])).expect("a component").memory_bytes_min, 17 << 16);
    assert_eq!(survey(&with_modules(&[memory(65_536)])).expect("4 GiB of intent").memory_bytes_min, 4 << 30);
}

/// Imports and exports of what is nested are not those of the file.
#[test]
fn imports_are_the_outermost_ones() {
    // Type 0 is an empty instance type; it is imported by this name.
    let types = section(7, b"\x01\x42\0");
    let import = |name: &str| section(10, &[&[1, 0][..], &leb(name.len()), name.as_bytes(), &[5, 0]].concat());
    let inner = component(&[types.clone(), import("evil:host/inner")]);
    let outer = component(&[types, import("evil:host/outer@1.0.0"), section(4, &inner)]);
    let imports = survey(&outer).expect("a component").imports;
    assert_eq!(imports, [Import { name: "evil:host/outer@1.0.0".to_owned(), only_types: true }]);
}

/// An interface of types has nothing to supply, whatever its name; one with a function or a resource has.
#[test]
fn imports_of_nothing_but_types_are_seen() {
    let name = |name: &str| [&leb(name.len()), name.as_bytes()].concat();
    // Inside of an instance type: an exported name for the type before it, which is `u8`.
    let named_type = [&[1, 0x7d, 4, 0][..], &name("t"), &[3, 0, 0]].concat();
    let function = [&[1, 0x40, 0, 1, 0, 4, 0][..], &name("f"), &[1, 0]].concat();
    let resource = [&[4, 0][..], &name("r"), &[3, 1]].concat();
    let instance = |declarations: &[&[u8]], count: usize| [&[0x42][..], &leb(count), &declarations.concat()].concat();
    let import = |at: u8| section(10, &[&[1, 0][..], &name("evil:host/x"), &[5, at]].concat());
    let imported = |ty: &[u8]| {
        // A type of the component's own stands before it, and counts.
        let types = section(7, &[&[2, 0x7d][..], ty].concat());
        let imports = survey(&component(&[types, import(1)])).expect("a component").imports;
        (imports[0].only_types, imports[0].reach())
    };
    assert_eq!(imported(&instance(&[&named_type], 2)), (true, Reach::Nothing));
    assert_eq!(imported(&instance(&[&function], 2)), (false, Reach::Unknown));
    assert_eq!(imported(&instance(&[&resource], 1)), (false, Reach::Unknown));
    assert_eq!(imported(&instance(&[&named_type, &resource], 3)), (false, Reach::Unknown));
    // Of a type that is not there, of a function.
    let of = |import: &[u8]| {
        survey(&component(&[section(10, &[&[1, 0][..], &name("evil:host/x"), import].concat())])).map(|survey| survey.imports[0].only_types)
    };
    assert_eq!((of(&[5, 9]), of(&[1, 0])), (Ok(false), Ok(false)));
}

/// L13: nothing is read by a stack as deep as a file likes.
#[test]
fn types_of_types_are_read_to_a_bound() {
    // An instance type that declares one type, which is an instance type, and so on.
    let nested = |levels: usize| section(7, &[&[1][..], &b"\x42\x01\x01".repeat(levels - 1), b"\x42\0"].concat());
    survey(&component(&[nested(NESTING_MAX)])).expect("at the limit");
    let expected = "the component has 17 levels of nesting in a type; the limit is 16";
    assert_eq!(refused(&component(&[nested(NESTING_MAX + 1)])), expected);
    assert_eq!(refused(&component(&[nested(10_000_000)])), expected);
    // The same with component types, which have imports besides.
    let components = [&[1][..], &b"\x41\x01\x01".repeat(10_000_000), b"\x41\0"].concat();
    assert_eq!(refused(&component(&[section(7, &components)])), expected);
    let with_import = b"\x01\x41\x02\x01\x42\0\x03\0\x01x\x05\0";
    survey(&component(&[section(7, with_import)])).expect("a component");
}

/// L13.
#[test]
fn names_have_a_length() {
    let import = |bytes: usize| section(10, &[&[1, 0][..], &leb(bytes), &vec![b'x'; bytes], &[1, 0]].concat());
    survey(&component(&[import(NAME_BYTES_MAX)])).expect("at the limit");
    assert_eq!(
        refused(&component(&[import(NAME_BYTES_MAX + 1)])),
        "the component has 1025 bytes in the name of an import; the limit is 1024"
    );
    let export = |bytes: usize| section(11, &[&[1, 0][..], &leb(bytes), &vec![b'x'; bytes], &[1, 0, 0]].concat());
    survey(&component(&[export(NAME_BYTES_MAX)])).expect("at the limit");
    assert_eq!(
        refused(&component(&[export(NAME_BYTES_MAX + 1)])),
        "the component has 1025 bytes in the name of an export; the limit is 1024"
    );
}

/// L11: what an import could do, by its name and version.
#[test]
fn imports_are_told_by_what_they_reach() {
    let reach = |name: &str| Import { name: name.to_owned(), only_types: false }.reach();
    for (name, expected) in [
        ("gatehouse:host/progress@0.1.0", Reach::Nothing),
        ("gatehouse:host/log@0.1.7", Reach::Nothing),
        ("gatehouse:host/log@0.2.0", Reach::Unknown),
        ("gatehouse:host/log", Reach::Unknown),
        ("gatehouse:host/other@0.1.0", Reach::Unknown),
        ("wasi:clocks/wall-clock@0.2.0", Reach::Nothing),
        ("wasi:clocks/wall-clock@0.3.0", Reach::Unknown),
        ("wasi:clocks/wall-clock@0.20.0", Reach::Unknown),
        ("wasi:filesystem/preopens@0.2.6", Reach::Files),
        ("wasi:cli/environment@0.2.6", Reach::Environment),
        ("wasi:cli/stdout@0.2.6", Reach::Nothing),
        ("wasi:sockets/tcp@0.2.6", Reach::Sockets),
        ("wasi:http/outgoing-handler@0.2.6", Reach::Http),
        ("wasi:http/types@0.2.6", Reach::Nothing),
        ("wasi:http/incoming-handler@0.2.6", Reach::Unknown),
        ("wasi:http/outgoing-handler@0.3.0", Reach::Unknown),
        ("gatehouse:host/http@0.1.0", Reach::Http),
        ("wasi:config/store@0.2.0-rc.1", Reach::Config),
        ("wasi:keyvalue/store@0.2.0-draft", Reach::KeyValue),
        ("wasi:keyvalue/atomics@0.2.0-draft", Reach::KeyValue),
        ("wasi:keyvalue/batch@0.2.0-draft", Reach::KeyValue),
        ("wasi:keyvalue/watcher@0.2.0-draft", Reach::Unknown),
        ("wasi:keyvalue/store@0.2.0-draft2", Reach::Unknown),
        ("wasi:keyvalue/store@0.2.0", Reach::Unknown),
        ("wasi:config/store@0.2.0", Reach::Unknown),
        ("wasi:config/other@0.2.0-rc.1", Reach::Unknown),
        ("gatehouse:host/http@0.2.0", Reach::Unknown),
        ("evil:host/x@0.2.0", Reach::Unknown),
        ("plain-function", Reach::Unknown),
        ("", Reach::Unknown),
    ] {
        assert_eq!(reach(name), expected, "{name}");
    }
}
