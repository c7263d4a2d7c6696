//! Components that export more than anybody would.

use super::super::{FUNCTIONS_MAX, Functions, NAMES_MAX};
use crate::state::State;
use crate::survey::tests::{MODULE, component, leb, section};
use crate::survey::{NAME_BYTES_MAX, survey};
use serde_json::json;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

// Of what an export is.
const FUNCTION: &[u8] = b"\x01\0";
const TYPE: &[u8] = b"\x03\x01";

fn named(name: &str) -> Vec<u8> {
    [&leb(name.len()), name.as_bytes()].concat()
}

/// A section with one thing in it.
fn one(id: u8, content: &[u8]) -> Vec<u8> {
    section(id, &[&[1], content].concat())
}

/// A component with one function, which takes and gives nothing, and one type; an interface of each name exports them under these.
fn exporting(interfaces: &[&str], exports: &[(String, &[u8])], docs: &[u8]) -> Vec<u8> {
    taking(None, interfaces, exports, docs)
}

/// The same, where the function takes a 32-bit number of that name.
fn taking(parameter: Option<&str>, interfaces: &[&str], exports: &[(String, &[u8])], docs: &[u8]) -> Vec<u8> {
    let (types, parameters) = match parameter {
        None => (section(1, b"\x01\x60\0\0"), vec![0]),
        Some(name) => (section(1, b"\x01\x60\x01\x7f\0"), [&[1], &named(name)[..], &[0x79]].concat()),
    };
    let function = [&[2, 0x40], &parameters[..], &[1, 0, 0x7d]].concat();
    let code = section(10, b"\x01\x02\0\x0b");
    let module = [MODULE, &types, &section(3, b"\x01\0"), &section(7, b"\x01\x01f\0\0"), &code].concat();
    let inline = exports.iter().map(|(name, of)| [&[0][..], &named(name), of].concat()).collect::<Vec<_>>().concat();
    let instance = [&[1][..], &leb(exports.len()), &inline].concat();
    let interfaces = interfaces.iter().map(|name| one(11, &[&[0][..], &named(name), b"\x05\0\0"].concat()));
    let lifted = [
        section(0, &[&named("package-docs")[..], docs].concat()),
        section(1, &module),
        // An instance of it, its function, a type for that and another one, the function lifted.
        one(2, b"\0\0\0"),
        one(6, b"\0\0\x01\0\x01f"),
        section(7, &function),
        one(8, b"\0\0\0\0\0"),
        one(5, &instance),
    ];
    component(&lifted.into_iter().chain(interfaces).collect::<Vec<_>>())
}

fn looked_at(bytes: &[u8]) -> Result<Functions, String> {
    let engine = Engine::default();
    let component = Component::new(&engine, bytes).expect("it is valid");
    let pre = Linker::<State>::new(&engine).instantiate_pre(&component).expect("it imports nothing");
    Functions::of(&pre, &survey(bytes).expect("it is a component")).map_err(|error| error.to_string())
}

fn many(prefix: &str, count: usize, of: &'static [u8]) -> Vec<(String, &'static [u8])> {
    (0..count).map(|at| (format!("{prefix}{at}"), of)).collect()
}

/// None of them is left out without a word.
#[test]
fn more_functions_than_are_looked_at_are_refused() {
    let at_limit = looked_at(&exporting(&["a:b/c"], &many("f", FUNCTIONS_MAX, FUNCTION), b"")).expect("at the limit");
    assert_eq!((at_limit.offered.len(), at_limit.skipped.len()), (FUNCTIONS_MAX, 0));
    let beyond = looked_at(&exporting(&["a:b/c"], &many("f", FUNCTIONS_MAX + 1, FUNCTION), b""));
    assert_eq!(beyond.err().as_deref(), Some("the component has 1001 functions in its interfaces; the limit is 1000"));
    // The same interface under two names.
    let twice = looked_at(&exporting(&["a:b/c", "a:b/d"], &many("f", 501, FUNCTION), b""));
    assert_eq!(twice.err().as_deref(), Some("the component has 1001 functions in its interfaces; the limit is 1000"));
    let name = |bytes: usize| looked_at(&exporting(&["a:b/c"], &[("x".repeat(bytes), FUNCTION)], b"")).err();
    assert_eq!(name(NAME_BYTES_MAX), None);
    let long = "the component has 1025 bytes in the name of a function; the limit is 1024";
    assert_eq!(name(NAME_BYTES_MAX + 1).as_deref(), Some(long));
}

#[test]
fn more_names_than_are_looked_at_are_refused() {
    let types = many("t", 5_000, TYPE);
    let names: Vec<_> = (0..=NAMES_MAX / types.len()).map(|at| format!("a:b/c{at}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let told = looked_at(&exporting(&names, &types, b"")).err();
    assert_eq!(told.as_deref(), Some("the component has 50001 names in its interfaces; the limit is 50000"));
    assert_eq!(looked_at(&exporting(&names[..1], &types, b"")).err(), None);
}

/// One text of the docs may be about functions of many interfaces.
#[test]
fn docs_take_room_for_each_function_that_they_are_of() {
    let json = json!({ "interfaces": { "x": { "funcs": { "f": { "docs": "y".repeat(200 << 10) } } } } }).to_string();
    let docs = [&[1], json.as_bytes()].concat();
    let names: Vec<_> = (0..30).map(|at| format!("a{at}:b/x")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let found = looked_at(&exporting(&names, &many("f", 1, FUNCTION), &docs)).expect("it is small");
    assert_eq!((found.offered.len(), found.skipped.len()), (30, 0), "of another name");
    let found = looked_at(&exporting(&names, &[("f".to_owned(), FUNCTION)], &docs)).expect("it is small");
    assert_eq!((found.offered.len(), found.skipped.len()), (20, 10));
    assert!(found.skipped.iter().all(|skipped| skipped.reason == "the types and docs of all functions together are too large"));
}

/// Of a name that is shared by many functions only so much is said as a line holds.
#[test]
fn a_parameters_name_takes_room_and_is_cut_where_it_is_told() {
    let found = |bytes: usize| {
        let name = "p".repeat(bytes);
        looked_at(&taking(Some(&name), &["a:b/c"], &many("f", 500, FUNCTION), b"")).expect("its functions are few")
    };
    let short = found(100);
    assert_eq!((short.offered.len(), short.skipped.len()), (500, 0));
    let long = found(90_000);
    let reason = format!("its parameter `{}` has a type that is too large", "p".repeat(128));
    assert_eq!((long.offered.len(), long.skipped.len(), &long.skipped[0].reason), (0, 500, &reason));
    // Each fits, and all of them together do not.
    let together = found(40_000);
    assert_eq!((together.offered.len(), together.skipped.len()), (104, 396));
}
