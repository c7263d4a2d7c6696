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

const RUST: [File; 4] = [
    ("Cargo.toml", template!("rust/Cargo.toml.in")),
    ("build.rs", template!("rust/build.rs")),
    ("src/lib.rs", template!("rust/src/lib.rs")),
    ("src/gatehouse.rs", template!("rust/src/gatehouse.rs")),
];
const RUST_PLAIN: [File; 3] = [
    ("Cargo.toml", template!("rust-plain/Cargo.toml.in")),
    ("build.rs", template!("rust/build.rs")),
    ("src/lib.rs", template!("rust-plain/src/lib.rs")),
];
const PYTHON: [File; 3] = [
    ("requirements.txt", template!("python/requirements.txt")),
    ("src/plugin.py", template!("python/src/plugin.py")),
    ("src/gatehouse.py", template!("python/src/gatehouse.py")),
];
const PYTHON_PLAIN: [File; 2] =
    [("requirements.txt", template!("python/requirements.txt")), ("src/plugin.py", template!("python-plain/src/plugin.py"))];
const JS: [File; 3] = [
    ("package.json", template!("js/package.json.in")),
    ("src/plugin.js", template!("js/src/plugin.js")),
    ("src/gatehouse.js", template!("js/src/gatehouse.js")),
];
const JS_PLAIN: [File; 2] = [("package.json", template!("js/package.json.in")), ("src/plugin.js", template!("js-plain/src/plugin.js"))];

/// All files of a new folder, filled in.
pub(super) fn files(language: Language, plain: bool, name: &str) -> Vec<(&'static str, String)> {
    let own: &[File] = match (language, plain) {
        (Language::Rust, false) => &RUST,
        (Language::Rust, true) => &RUST_PLAIN,
        (Language::Python, false) => &PYTHON,
        (Language::Python, true) => &PYTHON_PLAIN,
        (Language::Js, false) => &JS,
        (Language::Js, true) => &JS_PLAIN,
    };
    let rest = if plain { PLAIN.to_vec() } else { [&CONTRACT[..], &[CASES]].concat() };
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
    };
    let world = if plain { "component" } else { "tool-plugin" };
    let arguments = "--arg text='How long does this take?'";
    let filled = [("name", name), ("tool", &tool), ("what", what), ("with", with), ("world", world), ("arguments", arguments)];
    let fill = |text: &str| filled.iter().fold(text.to_owned(), |text, (key, value)| text.replace(&format!("{{{{{key}}}}}"), value));
    SHARED.iter().chain(own).chain(&rest).map(|(path, text)| (*path, fill(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        for language in [Language::Rust, Language::Python, Language::Js] {
            for plain in [false, true] {
                let files = files(language, plain, "my-reader");
                assert!(files.iter().any(|(path, _)| *path == language.mark()), "{language:?}");
                let left = files.iter().find(|(_, text)| text.contains("{{"));
                assert_eq!(left, None);
            }
        }
    }
}
