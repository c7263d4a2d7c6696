//! What an author of components does with the program: make a folder, build it, test it, fuzz it.

use super::command::Ran;
use crate::harness::{binary, fixture, plugin, root};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// What components are written in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    Python,
    Js,
    Go,
    C,
}

impl Language {
    pub const ALL: [Self; 5] = [Self::Rust, Self::Python, Self::Js, Self::Go, Self::C];

    /// As `--lang` names it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::Go => "go",
            Self::C => "c",
        }
    }
}

/// A working directory of the test's own, with the tools of languages as `make` sets them up for the examples.
pub struct Desk {
    pub directory: TempDir,
    path: String,
}

impl Desk {
    pub fn new() -> Self {
        // Where `make plugins` has componentize-py and, unless the machine's own is new enough, Go; and the program itself, for commands that
        // name it.
        let venvs = root().join("target/guests/venv");
        let own = binary().parent().expect("it lies in a folder").to_owned();
        let mut folders = vec![own, venvs.join("data-helper/bin")];
        folders.extend(newest_below(&venvs, "go-").map(|venv| venv.join("bin")));
        let path: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let path = path.join(":");
        let path = format!("{path}:{}", std::env::var("PATH").unwrap_or_default());
        Self { directory: tempfile::tempdir().expect("a temporary directory"), path }
    }

    /// Where no tool of any language is found.
    fn without_tools() -> Self {
        Self { path: "/nonexistent".to_owned(), ..Self::new() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A program that runs here.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).env("PATH", &self.path).stdin(Stdio::null());
        // What guests depend on is compiled once for all tests, and was fetched for the examples.
        command.env("CARGO_TARGET_DIR", root().join("target/guests/author")).env("CARGO_NET_OFFLINE", "true");
        command.env("GOTOOLCHAIN", "local");
        if go_runtime().is_some() {
            command.env("GOPROXY", "off").env("GOSUMDB", "off");
        }
        command.envs(rust_environment().iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(binary()).args(arguments))
    }

    /// Takes over what was fetched for the examples, where it was: a build then fetches nothing.
    pub fn borrow(&self, language: Language, folder: &str) {
        let folder = self.path().join(folder);
        match language {
            Language::Js => {
                let installed = root().join("plugins/text-template/node_modules");
                if installed.is_dir() {
                    std::os::unix::fs::symlink(installed, folder.join("node_modules")).expect("linked");
                }
            }
            Language::Go => {
                if let Some(runtime) = go_runtime() {
                    let replace = format!("go.bytecodealliance.org/pkg={}", runtime.display());
                    let edited = ran(self.command("go").args(["mod", "edit", "-replace", &replace]).current_dir(folder));
                    assert_eq!(edited.code, 0, "{edited:?}");
                }
            }
            Language::Rust | Language::Python | Language::C => {}
        }
    }

    /// What it takes to build in a language and is not here. Only of Go and C can that be, and not in CI: as for the examples.
    pub fn missing(&self, language: Language) -> Option<&'static str> {
        let runs =
            |program: &str, arguments: &[&str]| self.command(program).args(arguments).output().is_ok_and(|output| output.status.success());
        let missing = match language {
            Language::Rust | Language::Python | Language::Js => None,
            Language::Go if !runs("go", &["version"]) => Some("go"),
            Language::Go => {
                let fetched = go_runtime().is_some() || runs("go", &["mod", "download", "go.bytecodealliance.org/pkg@v0.4.0"]);
                (!fetched).then_some("the runtime of Go bindings")
            }
            Language::C if Path::new("/opt/wasi-sdk/bin/clang").is_file() => None,
            Language::C if !Path::new("/usr/include/wasm32-wasi").is_dir() => Some("wasi-libc"),
            Language::C => (!runs("clang-19", &["--version"])).then_some("clang-19"),
        };
        if let Some(what) = missing {
            assert!(std::env::var_os("CI").is_none(), "{what} is missing; `make plugins` installs it");
            eprintln!("not run: {what} is missing here");
        }
        missing
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.path().join(file), text).expect("written");
    }
}

/// The runtime of Go bindings, where the examples have it from.
fn go_runtime() -> Option<PathBuf> {
    let fetched = newest_below(&root().join("target/guests"), "go-runtime-")?.join("vendor/wit-bindgen-go/src/pkg");
    fetched.is_dir().then_some(fetched)
}

/// The folder with the last of the names that begin so.
fn newest_below(folder: &Path, begin: &str) -> Option<PathBuf> {
    let folders = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.filter(|path| path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin))).max()
}

pub fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// What a plain cargo needs on this machine to build guests: nothing where the target is installed.
fn rust_environment() -> &'static [(String, String)] {
    static ENVIRONMENT: OnceLock<Vec<(String, String)>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let script =
            r#"eval "$(scripts/build-guests env 2>/dev/null)" && printf '%s\n%s\n' "${RUSTC-}" "${CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS-}""#;
        let told = ran(Command::new("bash").args(["-c", script]).current_dir(root()));
        assert_eq!(told.code, 0, "{told:?}");
        let names = ["RUSTC", "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS"];
        let values = names.into_iter().zip(told.out.lines()).filter(|(_, value)| !value.is_empty());
        values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    })
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

#[test]
fn a_new_folder_needs_a_name_and_a_place() {
    let desk = Desk::new();
    for (arguments, code, told) in [
        (&["new", "My-Reader", "--lang", "rust"][..], 64, "`My-Reader` has other characters; a name is 1 to 64 of a-z, 0-9 and -"),
        (&["new", "2nd", "--lang", "rust"], 64, "`2nd` begins or ends with what it may not"),
        (&["new", "cases", "--lang", "rust"], 64, "cases.toml would be its side file"),
        (&["new", "..", "--lang", "rust"], 64, "a name is 1 to 64"),
        (&["new", "reader"], 2, "--lang <LANG>"),
        (&["new", "reader", "--lang", "cobol"], 2, "[possible values: rust, python, js, go, c]"),
        (&["new", "nowhere/reader", "--lang", "c"], 1, "nowhere/reader: No such file"),
    ] {
        let ran = desk.run(arguments);
        assert!(ran.code == code && ran.err.contains(told), "{arguments:?}: {ran:?}");
    }
    assert_eq!(fs::read_dir(desk.path()).expect("a folder").count(), 0);
    for language in ["rust", "python", "js", "go", "c"] {
        for (kind, plain) in [("", false), ("-plain", true)] {
            let name = format!("{language}{kind}");
            let arguments = ["new", &name, "--lang", language, "--plain"];
            let made = desk.run(&arguments[..if plain { 5 } else { 4 }]);
            assert!(made.code == 0 && made.out.contains(&format!("gatehouse build {name}")), "{made:?}");
            let files = files_below(&desk.path().join(&name));
            let marks = ["{{name}}", "{{tool}}", "{{what}}", "{{with}}", "{{world}}", "{{arguments}}"];
            let left = files.iter().find(|file| marks.iter().any(|mark| fs::read_to_string(file).expect("text").contains(mark)));
            assert_eq!(left, None);
            assert!(desk.path().join(&name).join("cases.toml").is_file());
            let again = desk.run(&arguments[..4]);
            let (now, told) = (files_below(&desk.path().join(&name)), format!("{name} is there already; nothing was changed"));
            assert!(again.code == 1 && again.err.contains(&told) && now == files, "{again:?}");
        }
    }
}

#[test]
fn a_missing_tool_is_named_with_what_installs_it() {
    let desk = Desk::without_tools();
    for (language, told) in [
        ("rust", "`cargo` is missing: install Rust 1.95 or later from https://rustup.rs"),
        ("python", "`python3` is missing: install Python 3.10 or later; on Debian: apt-get install python3 python3-venv"),
        ("js", "`npm` is missing: install node 18 or later with npm; on Debian: apt-get install nodejs npm"),
        ("go", "`go` is missing: install Go 1.27 or later"),
        ("c", "apt-get install --no-install-recommends clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc"),
    ] {
        assert_eq!(desk.run(&["new", language, "--lang", language]).code, 0);
        let ran = desk.run(&["build", language]);
        assert!(ran.code == 1 && ran.err.contains(told), "{language}: {ran:?}");
        assert!(!desk.path().join(language).join(format!("{language}.wasm")).exists());
    }
    // A compiler without the target says so in these words.
    let desk = Desk { path: desk.path().display().to_string(), ..desk };
    let script = "#!/bin/sh\necho \"  = note: the \\`wasm32-wasip2\\` target may not be installed\" >&2\nexit 101\n";
    desk.write("cargo", script);
    fs::set_permissions(desk.path().join("cargo"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("made a program");
    let ran = desk.run(&["build", "rust"]);
    let told = "gatehouse: the target wasm32-wasip2 is not installed: rustup target add wasm32-wasip2\n";
    assert!(ran.code == 1 && ran.err.ends_with(told) && ran.err.contains("may not be installed\n"), "{ran:?}");
}

#[test]
fn a_folder_that_is_no_components_is_told_so() {
    let desk = Desk::new();
    fs::create_dir(desk.path().join("empty")).expect("made");
    let none = desk.run(&["build", "empty"]);
    let told = "empty: there is none of Cargo.toml, src/plugin.py, go.mod, src/plugin.c, package.json, so this is no component's folder";
    assert!(none.code == 1 && none.err.contains(told), "{none:?}");
    let nowhere = desk.run(&["test", "nowhere"]);
    assert!(nowhere.code == 1 && nowhere.err.contains("nowhere: No such file"), "{nowhere:?}");
    fs::create_dir(desk.path().join("No Name")).expect("made");
    let named = desk.run(&["build", "No Name"]);
    assert!(
        named.code == 1 && named.err.contains("the component gets the name of its folder, and `No Name` has other characters"),
        "{named:?}"
    );
}

#[test]
fn cases_that_come_out_otherwise_are_told() {
    let desk = Desk::new();
    let component = plugin("text-toolbox").display().to_string();
    desk.write(
        "cases.toml",
        r#"
[[case]]
name = "it says back what it was told"
tool = "echo"
arguments = { message = "hello" }
text = "hello"

[[case]]
name = "counts are right"
tool = "word_stats"
arguments = { text = "one two" }
structured = { words = 3, characters = 7, lines = 1, longest_word = "one", extra = 1 }

[[case]]
tool = "json_query"
arguments = { json = "{", query = "$" }
is_error = true
text_contains = ["not valid JSON", "no such words"]

[[case]]
name = "arguments"
tool = "echo"
arguments = { massage = "hello" }
fails = "arguments"

[[case]]
name = "no such tool"
tool = "shout"
is_error = false
"#,
    );
    let ran = desk.run(&["test", &component, "--cases", "cases.toml"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = [
        "✓ it says back what it was told",
        "✗ counts are right",
        "line 8: word_stats {\"text\":\"one two\"}",
        "/words is 2, not 3",
        "/top_words is there, and was not expected",
        "/extra is missing; it should be 1",
        "✗ json_query in line 14",
        "\"no such words\" is not in the text",
        "✓ arguments",
        "✗ no such tool",
        "the component has no tool `shout`; it has echo, ",
        "2 of 5 cases came out as expected",
    ];
    let missing: Vec<_> = told.into_iter().filter(|told| !ran.out.contains(told)).collect();
    assert!(missing.is_empty(), "{missing:?} of {}", ran.out);
    let report = desk.run(&["test", &component, "--cases", "cases.toml", "--json"]).json();
    let ok: Vec<_> = report["cases"].as_array().expect("cases").iter().map(|case| case["ok"] == true).collect();
    assert_eq!((&report["ok"], ok), (&json!(false), vec![true, false, false, true, false]));
    assert!(report["cases"][0]["cpu_us"].is_u64() && report["cases"][0]["took_us"].is_u64(), "{report}");

    desk.write("cases.toml", "[[case]]\ntool = \"echo\"\n\n[[case]]\ntool = \"echo\"\narguements = {}\n");
    let mistyped = desk.run(&["test", &component, "--cases", "cases.toml"]);
    assert!(mistyped.code == 1 && mistyped.err.contains("cases.toml: line 6: unknown field `arguements`, expected one of"), "{mistyped:?}");
    let none = desk.run(&["test", &component, "--cases", "none.toml"]);
    assert!(none.code == 1 && none.err.contains("none.toml: No such file"), "{none:?}");
}

#[test]
fn cases_know_questions_and_failures() {
    let desk = Desk::new();
    let component = fixture("misbehave").display().to_string();
    desk.write(
        "cases.toml",
        r#"
[[case]]
tool = "ask"
answers.user_name = { action = "accept", content = { name = "Ada" } }
structured = { answers = { user_name = { action = "accept", content = { name = "Ada" } } }, state = "asked once" }
[[case]]
tool = "ask"
answers = {}
asks = ["user_name"]
[[case]]
tool = "ask"
fails = "missing_capability"
[[case]]
tool = "trap"
fails = "trap"
[[case]]
tool = "bad_structured"
fails = "result_invalid"
[[case]]
tool = "fail_unavailable"
fails = "unavailable"
[[case]]
tool = "exit"
arguments = { code = 3 }
fails = "exit"
"#,
    );
    let ran = desk.run(&["test", &component, "--cases", "cases.toml"]);
    assert!(ran.code == 0 && ran.out.contains("7 of 7 cases came out as expected"), "{ran:?}");

    // What a guest says to its operator is its author's to read.
    desk.write("cases.toml", "[[case]]\ntool = \"fail_internal\"\nis_error = false\n[[case]]\ntool = \"panic\"\ntext = \"\"\n");
    let ran = desk.run(&["test", &component, "--cases", "cases.toml"]);
    let told = ["it fails with `guest_failed`: ", "| told to fail: a secret of the guest", "it fails with `trap`: ", "panicked at"];
    assert!(ran.code == 1 && told.iter().all(|told| ran.out.contains(told)), "{ran:?}");
}

fn fuzz(desk: &Desk, component: &str, tool: &str, more: &[&str]) -> (i32, Value) {
    let ran = desk.run(&[&["fuzz", component, "--tool", tool, "--json"], more].concat());
    assert!(ran.err.is_empty(), "{ran:?}");
    (ran.code, ran.json())
}

#[test]
fn fuzzing_finds_what_a_tool_falls_over_and_finds_it_again() {
    let desk = Desk::new();
    let component = fixture("misbehave").display().to_string();
    // It holds up to a size that only some arguments ask for.
    let (code, report) = fuzz(&desk, &component, "big_result", &["--seed", "7"]);
    let finding = report["tools"][0]["finding"].clone();
    assert!(code == 1 && report["ok"] == false && finding.is_object(), "{report}");
    let bytes = finding["arguments"]["bytes"].as_u64().expect("a number");
    assert!(finding["word"] == "result_too_large" || finding["word"] == "memory" || finding["word"] == "trap", "{report}");
    assert!(bytes > 1 << 20, "{report}");
    assert_eq!(fuzz(&desk, &component, "big_result", &["--seed", "7"]), (1, report));
    // One call before it was found, all is well.
    let before = (finding["call"].as_u64().expect("a number") - 1).to_string();
    if before != "0" {
        let (code, report) = fuzz(&desk, &component, "big_result", &["--seed", "7", "--runs", &before]);
        assert_eq!((code, &report["ok"]), (0, &json!(true)), "{report}");
    }

    let (_, panics) = fuzz(&desk, &component, "panic", &["--runs", "1"]);
    let finding = &panics["tools"][0]["finding"];
    assert_eq!((&finding["word"], &finding["call"], &finding["arguments"]), (&json!("trap"), &json!(1), &json!({})));
    assert!(finding["words"].to_string().contains("panicked at"), "{panics}");
    let (_, invalid) = fuzz(&desk, &component, "bad_structured", &["--runs", "1"]);
    assert_eq!(invalid["tools"][0]["finding"]["word"], "result_invalid");

    // For people: the arguments, and two commands that are typed again.
    let ran = desk.run(&["fuzz", &component, "--tool", "exit", "--seed", "3"]);
    assert!(ran.code == 1 && ran.out.contains("✗ exit: exit in call 1: the guest called exit("), "{ran:?}");
    assert!(ran.out.contains("smallest arguments  {\"code\":0}") && ran.out.contains("--tool exit --seed 3 --runs 1\n"), "{ran:?}");
    let again = ran.out.lines().find_map(|line| line.split_once("call it again       gatehouse ")).expect("a command").1;
    let script = format!("\"$0\" {again}");
    let called = self::ran(desk.command("bash").args(["-c", &script]).arg(binary()));
    assert!(called.code == 1 && called.err.contains("The plugin crashed"), "{called:?}");
}

#[test]
fn fuzzing_leaves_sound_tools_standing() {
    let desk = Desk::new();
    // Not those of the fixture that loop, trap, or take seconds: they do as they are told.
    let shapes = ["shapes_maybe", "shapes_letter", "shapes_points", "shapes_rights", "shapes_large", "shapes_floats", "shapes_bytes"];
    let toolbox = ["echo", "word_stats", "base64", "unified_diff"];
    for (component, tools) in [(plugin("units"), &[][..]), (fixture("shapes"), &shapes), (plugin("text-toolbox"), &toolbox)] {
        let component = component.display().to_string();
        let tools: Vec<_> = tools.iter().flat_map(|tool| ["--tool", tool]).collect();
        let ran = desk.run(&[&["fuzz", &component, "--runs", "200", "--seed", "11", "--json"], &tools[..]].concat());
        let report = ran.json();
        assert_eq!(ran.code, 0, "{report}");
        for counts in report["tools"].as_array().expect("tools") {
            let called = counts["results"].as_u64().unwrap_or(0) + counts["tool_errors"].as_u64().unwrap_or(0);
            assert!(called >= 150, "{report}");
        }
    }
    let unknown = desk.run(&["fuzz", &plugin("units").display().to_string(), "--tool", "shout"]);
    assert!(unknown.code == 1 && unknown.err.contains("has no tool `shout`; it has units_convert, "), "{unknown:?}");
}

/// Two questions, of which the second has the first one's answer in it. Each round is an instance of its own.
const ASKS_TWICE: &str = r#"#include "gatehouse.h"

static const char *NOTHING = "{\"type\":\"object\",\"additionalProperties\":false}";
static const char *A_WORD = "{\"type\":\"object\",\"properties\":{\"word\":{\"type\":\"string\"}},\"required\":[\"word\"]}";

bool exports_gatehouse_tool_tools_list_tools(exports_gatehouse_tool_tools_list_tool_t *ret, tool_plugin_string_t *err) {
  (void)err;
  ret->len = 1;
  ret->ptr = calloc(ret->len, sizeof *ret->ptr);
  describe(&ret->ptr[0], "twice", "Asks twice.", NOTHING, NULL);
  return true;
}

bool exports_gatehouse_tool_tools_call_tool(exports_gatehouse_tool_tools_call_t *call, outcome_t *ret,
                                            exports_gatehouse_tool_tools_failure_t *err) {
  bool done = false;
  size_t length = 0;
  char *form = ask(call, "first", "The first?", A_WORD, ret, err, &done);
  if (!form) return done;
  char *first = json_string(form, "word", &length);
  form = ask(call, "second", first, A_WORD, ret, err, &done);
  if (!form) return done;
  char *second = json_string(form, "word", &length), line[128];
  snprintf(line, sizeof line, "%s, %s", first, second);
  return tool_error(ret, line);
}
"#;
const ANSWERED_TWICE: &str = r#"
[[case]]
tool = "twice"
answers.first = { action = "accept", content = { word = "a \"} ] one" } }
answers.second = { content = { more = [{ word = "no" }], word = "two" }, action = "accept" }
is_error = true
text = "a \"} ] one, two"
[[case]]
tool = "twice"
answers.first = { action = "accept", content = { word = "one" } }
answers.second = { action = "decline" }
is_error = true
text = "The user did not answer."
[[case]]
tool = "twice"
answers.first = { action = "accept", content = { word = "one" } }
asks = ["second"]
[[case]]
tool = "twice"
fails = "missing_capability"
"#;

#[test]
fn a_tool_in_c_asks_one_question_after_the_other() {
    let desk = Desk::new();
    if desk.missing(Language::C).is_some() {
        return;
    }
    assert_eq!(desk.run(&["new", "twice", "--lang", "c"]).code, 0);
    desk.write("twice/src/plugin.c", ASKS_TWICE);
    desk.write("twice/cases.toml", ANSWERED_TWICE);
    let built = desk.run(&["build", "twice"]);
    assert_eq!(built.code, 0, "{built:?}");
    let tested = desk.run(&["test", "twice"]);
    assert_eq!(tested.code, 0, "{tested:?}");
}
