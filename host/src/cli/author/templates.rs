//! What a new folder is filled with. The sources lie in `host/templates`, and the contract in `wit`; both are in the binary, so that a folder
//! needs nothing but its language's tools.

use super::project::Language;

/// A file of a new folder, with its text. In texts, `{{name}}` and the like are filled in.
type File = (&'static str, &'static str);

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../templates/", $path))
    };
}

const CONTRACT: [File; 2] = [
    ("wit/tool.wit", include_str!("../../../../wit/tool/tool.wit")),
    ("wit/deps/host/host.wit", include_str!("../../../../wit/host/host.wit")),
];
const SHARED: [File; 2] = [("README.md", template!("README.md.in")), (".gitignore", template!("gitignore.in"))];
const CASES: File = ("cases.toml", template!("cases.toml"));
const PLAIN: [File; 2] = [("wit/component.wit", template!("plain/component.wit")), ("cases.toml", template!("plain/cases.toml.in"))];

const RUST: [File; 5] = [
    ("Cargo.toml", template!("rust/Cargo.toml.in")),
    ("build.rs", template!("rust/build.rs")),
    ("src/lib.rs", template!("rust/src/lib.rs")),
    ("src/gatehouse.rs", template!("rust/src/gatehouse.rs")),
    CASES,
];
const RUST_PLAIN: [File; 3] = [
    ("Cargo.toml", template!("rust-plain/Cargo.toml.in")),
    ("build.rs", template!("rust/build.rs")),
    ("src/lib.rs", template!("rust-plain/src/lib.rs")),
];
const PYTHON: [File; 4] = [
    ("requirements.txt", template!("python/requirements.txt")),
    ("src/plugin.py", template!("python/src/plugin.py")),
    ("src/gatehouse.py", template!("python/src/gatehouse.py")),
    CASES,
];
const PYTHON_PLAIN: [File; 3] = [
    ("requirements.txt", template!("python/requirements.txt")),
    ("src/plugin.py", template!("python-plain/src/plugin.py")),
    ("{{name}}.toml", template!("plain/side.toml.in")),
];
const JS: [File; 6] = [
    ("package.json", template!("js/package.json.in")),
    ("src/plugin.js", template!("js/src/plugin.js")),
    ("src/gatehouse.js", template!("js/src/gatehouse.js")),
    ("wit/with-environment.wit", template!("js/wit/with-environment.wit")),
    ("wit/deps/cli/environment.wit", template!("js/wit/deps/cli/environment.wit")),
    CASES,
];
const JS_PLAIN: [File; 3] = [
    ("package.json", template!("js/package.json.in")),
    ("src/plugin.js", template!("js-plain/src/plugin.js")),
    ("{{name}}.toml", template!("plain/side.toml.in")),
];

const GO: [File; 13] = [
    ("go.mod", template!("go/go.mod.in")),
    ("export_gatehouse_tool_tools/plugin.go", template!("go/export_gatehouse_tool_tools/plugin.go")),
    ("export_gatehouse_tool_tools/gatehouse.go", template!("go/export_gatehouse_tool_tools/gatehouse.go")),
    ("wit_exports.go", template!("go/wit_exports.go")),
    ("gatehouse_host_log/empty.s", template!("go/gatehouse_host_log/empty.s")),
    ("gatehouse_host_log/wit_bindings.go", template!("go/gatehouse_host_log/wit_bindings.go")),
    ("gatehouse_host_progress/empty.s", template!("go/gatehouse_host_progress/empty.s")),
    ("gatehouse_host_progress/wit_bindings.go", template!("go/gatehouse_host_progress/wit_bindings.go")),
    ("gatehouse_tool_tool_types/empty.s", template!("go/gatehouse_tool_tool_types/empty.s")),
    ("gatehouse_tool_tool_types/wit_bindings.go", template!("go/gatehouse_tool_tool_types/wit_bindings.go")),
    ("gatehouse_tool_tools/empty.s", template!("go/gatehouse_tool_tools/empty.s")),
    ("gatehouse_tool_tools/wit_bindings.go", template!("go/gatehouse_tool_tools/wit_bindings.go")),
    CASES,
];
const GO_PLAIN: [File; 5] = [
    ("go.mod", template!("go-plain/go.mod.in")),
    ("export_local_component_reading/plugin.go", template!("go-plain/export_local_component_reading/plugin.go")),
    ("wit_exports.go", template!("go-plain/wit_exports.go")),
    ("local_component_reading/empty.s", template!("go-plain/local_component_reading/empty.s")),
    ("local_component_reading/wit_bindings.go", template!("go-plain/local_component_reading/wit_bindings.go")),
];
const C: [File; 6] = [
    ("src/plugin.c", template!("c/src/plugin.c")),
    ("src/gatehouse.h", template!("c/src/gatehouse.h")),
    ("bindings/tool_plugin.c", template!("c/bindings/tool_plugin.c")),
    ("bindings/tool_plugin.h", template!("c/bindings/tool_plugin.h")),
    ("bindings/component_type.c", template!("c/bindings/component_type.c")),
    CASES,
];
const C_PLAIN: [File; 4] = [
    ("src/plugin.c", template!("c-plain/src/plugin.c")),
    ("bindings/component.c", template!("c-plain/bindings/component.c")),
    ("bindings/component.h", template!("c-plain/bindings/component.h")),
    ("bindings/component_type.c", template!("c-plain/bindings/component_type.c")),
];

/// All files of a new folder, filled in.
pub(super) fn files(language: Language, plain: bool, name: &str) -> Vec<(String, String)> {
    let own: &[File] = match (language, plain) {
        (Language::Rust, false) => &RUST,
        (Language::Rust, true) => &RUST_PLAIN,
        (Language::Python, false) => &PYTHON,
        (Language::Python, true) => &PYTHON_PLAIN,
        (Language::Js, false) => &JS,
        (Language::Js, true) => &JS_PLAIN,
        (Language::Go, false) => &GO,
        (Language::Go, true) => &GO_PLAIN,
        (Language::C, false) => &C,
        (Language::C, true) => &C_PLAIN,
    };
    let rest = if plain { &PLAIN } else { &CONTRACT };
    let tool = if plain { format!("{name}_reading_time").replace('-', "_") } else { "reading_time".to_owned() };
    let what = if plain {
        "A component whose functions (`wit/component.wit`) become tools for MCP clients."
    } else {
        "Tools for MCP clients, by the contract of Gatehouse (`wit/tool.wit`)."
    };
    let with = match language {
        Language::Rust => "; needs Rust 1.95 with the target wasm32-wasip2",
        Language::Python => "; needs Python 3.10",
        Language::Js => "; needs node 18 with npm",
        Language::Go => "; needs Go 1.27",
        Language::C => "; needs clang with a libc for WASI",
    };
    let world = match (language, plain) {
        (_, true) => "component",
        (Language::Js, false) => "with-environment",
        (_, false) => "tool-plugin",
    };
    let arguments = "--arg text='How long does this take?'";
    let filled = [("name", name), ("tool", &tool), ("what", what), ("with", with), ("world", world), ("arguments", arguments)];
    let fill = |text: &str| filled.iter().fold(text.to_owned(), |text, (key, value)| text.replace(&format!("{{{{{key}}}}}"), value));
    SHARED.iter().chain(own).chain(rest).map(|(path, text)| (fill(path), fill(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        for language in Language::ALL {
            for plain in [false, true] {
                let files = files(language, plain, "my-reader");
                assert!(files.iter().any(|(path, _)| *path == language.mark()), "{language:?}");
                // Go has such braces of its own.
                let marks = ["name", "tool", "what", "with", "world", "arguments"].map(|mark| format!("{{{{{mark}}}}}"));
                let left = files.iter().find(|(path, text)| marks.iter().any(|mark| path.contains(mark) || text.contains(mark)));
                assert_eq!(left, None);
            }
        }
    }
}
