//! The author's guide, read as its reader would: its commands are run as they stand there.

use super::author::{Desk, Language, ran};
use crate::harness::root;
use std::fs;

/// The commands of the blocks for one language, in the order of the page.
fn walk(language: &str) -> Vec<String> {
    let guide = fs::read_to_string(root().join("plugins/README.md")).expect("the guide");
    let begin = format!("```sh {language}\n");
    let blocks = guide.split(&begin).skip(1).filter_map(|rest| rest.split("```").next());
    let commands: Vec<_> = blocks.flat_map(str::lines).map(ToOwned::to_owned).collect();
    assert!(commands.len() >= 4, "the guide walks through {language}: {commands:?}");
    commands
}

/// Runs them; the tests of a folder come out well, and what is called in the end counts three words.
fn follow(desk: &Desk, language: Language) {
    if desk.missing(language).is_some() {
        return;
    }
    // Beside all other tests a component of Python's size may take longer to compile than it has by default.
    fs::write(desk.path().join("gatehouse.toml"), "[limits]\ncompile_timeout_s = 600\n").expect("settings");
    for command in walk(language.word()) {
        let done = ran(desk.command("sh").args(["-e", "-c", &command]));
        assert_eq!(done.code, 0, "{command}: {done:?}");
        let words: Vec<_> = command.split(' ').collect();
        match (words[1], words[2]) {
            ("new", folder) => desk.borrow(language, folder),
            ("build", folder) => assert!(done.out.contains(&format!("plugin     {folder}: ok, 1 tool, sha256:")), "{done:?}"),
            ("test", _) => assert!(done.out.contains("cases came out as expected") && !done.out.contains('✗'), "{done:?}"),
            ("call", _) => assert!(done.out.contains("\"seconds\": 3") && done.out.contains("\"words\": 3"), "{done:?}"),
            _ => {}
        }
    }
}

#[test]
fn rust() {
    let desk = Desk::new();
    follow(&desk, Language::Rust);
    // The comments of a plain component's WIT reach its clients, and it stands what its schema allows.
    let shown = desk.run(&["inspect", "plain-reader/plain-reader.wasm"]);
    assert!(shown.out.contains("Counts the words of a text and tells how long a person takes to read them."), "{shown:?}");
    for folder in ["reader", "plain-reader"] {
        let fuzzed = desk.run(&["fuzz", folder, "--runs", "100", "--seed", "1"]);
        assert_eq!(fuzzed.code, 0, "{fuzzed:?}");
    }
    // What is up to date is not built again; a mistake in a source is shown as the compiler shows it.
    let again = desk.run(&["test", "reader"]);
    assert!(again.code == 0 && again.err.is_empty(), "{again:?}");
    let source = desk.path().join("reader/src/lib.rs");
    let text = fs::read_to_string(&source).expect("a source");
    fs::write(&source, text.replace("let mut words = 0;", "let mut wrds = 0;")).expect("written");
    let broken = desk.run(&["test", "reader"]);
    let told = broken.err.contains("cannot find value `words`") && broken.err.contains("cargo failed; what it said stands above");
    assert!(broken.code == 1 && told, "{broken:?}");
    fs::write(&source, text.replace("words += paragraph", "words += 1 + paragraph")).expect("written");
    let wrong = desk.run(&["test", "reader"]);
    assert!(wrong.code == 1 && wrong.out.contains("/words is 4, not 3"), "{wrong:?}");
}

#[test]
fn python() {
    follow(&Desk::new(), Language::Python);
}

#[test]
fn javascript() {
    follow(&Desk::new(), Language::Js);
}

/// A reader of the guide has Go's module proxy; here the bindings' runtime comes from where the examples have it.
#[test]
fn go() {
    follow(&Desk::new(), Language::Go);
}

#[test]
fn c() {
    follow(&Desk::new(), Language::C);
}
