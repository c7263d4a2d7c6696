//! The side file of a component, `NAME.toml` beside `NAME.wasm`: what the component asks for, and of a plain one what its functions' types do
//! not say.
//!
//! Whoever may put a component into the directory may put this beside it. It grants nothing: it asks, names, explains, narrows and hides.

use sandbox::{Asks, Digest, Function, Skipped};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a side file says.
#[derive(Debug)]
pub(super) struct Side {
    /// Of its bytes.
    pub(super) digest: Digest,
    /// What its component asks for.
    pub(super) asks: Asks,
    functions: BTreeMap<String, Said>,
}

/// A side file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    asks: Asks,
    #[serde(default)]
    functions: BTreeMap<String, Said>,
}

/// What it says of one function.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Said {
    /// The tool's name, whole.
    pub(super) name: Option<String>,
    /// It is no tool.
    pub(super) hidden: bool,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    /// Descriptions of parameters.
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) read_only: Option<bool>,
    pub(super) destructive: Option<bool>,
    pub(super) idempotent: Option<bool>,
    pub(super) open_world: Option<bool>,
    /// Scopes that a caller must hold, all of them.
    pub(super) scopes: Vec<String>,
    /// How long a call may take, if that is less than the settings say.
    pub(super) wall_time_ms: Option<u64>,
}

impl Side {
    /// Reads a file's bytes.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let written: Written = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| mcp::text::line_number(text, span.start));
            let what = mcp::text::line(error.message(), 400);
            line.map_or_else(|| what.clone(), |line| format!("line {line}: {what}"))
        })?;
        if let Some((name, _)) = written.functions.iter().find(|(_, said)| said.wall_time_ms == Some(0)) {
            return Err(format!("functions.\"{}\".wall_time_ms must be at least 1", mcp::text::line(name, 64)));
        }
        Ok(Self { digest: Digest::of(bytes), asks: written.asks, functions: written.functions })
    }

    /// Whether it says anything of functions.
    pub(super) fn names_functions(&self) -> bool {
        !self.functions.is_empty()
    }

    /// What it says of each function, by its path. A function is named by its path, or by its name where only one has that.
    ///
    /// # Errors
    ///
    /// When it speaks of something that the component does not have.
    pub(super) fn by_path<'a>(&'a self, functions: &'a [Function], skipped: &'a [Skipped]) -> Result<BTreeMap<&'a str, &'a Said>, String> {
        let mut found: BTreeMap<&str, &Said> = BTreeMap::new();
        for (key, said) in &self.functions {
            let all = functions.iter().map(|function| (&function.path, &function.name));
            let all = all.chain(skipped.iter().map(|skipped| (&skipped.path, &skipped.name)));
            let mut named: Vec<&str> = all.filter(|(path, name)| key == *path || key == *name).map(|(path, _)| path.as_str()).collect();
            // The function of the component itself has its name for a path, whatever its interfaces have.
            if named.contains(&key.as_str()) {
                named.retain(|path| path == key);
            }
            let shown = mcp::text::line(key, 128);
            let [path] = named[..] else {
                return Err(match named.len() {
                    0 => format!("the component exports no function `{shown}`; {}", names(functions)),
                    _ => format!("`{shown}` is the name of several functions; say which: {}", quoted(named.into_iter())),
                });
            };
            if let Some(skipped) = skipped.iter().find(|skipped| skipped.path == path && !said.hidden) {
                return Err(format!("`{shown}` cannot be a tool: {}", mcp::text::line(&skipped.reason, 200)));
            }
            if found.insert(path, said).is_some() {
                return Err(format!("it speaks of `{shown}` twice: by its path, and by its name"));
            }
            let function = functions.iter().find(|function| function.path == path);
            if let Some(unknown) = said.parameters.keys().find(|name| function.is_some_and(|function| !function.takes(name))) {
                return Err(format!("`{shown}` has no parameter `{}`", mcp::text::line(unknown, 64)));
            }
        }
        Ok(found)
    }
}

/// Functions that one error names.
const NAMED_MAX: usize = 16;

fn names(functions: &[Function]) -> String {
    let more = if functions.len() > NAMED_MAX { ", and more" } else { "" };
    format!("it has {}{more}", quoted(functions.iter().map(|function| function.path.as_str()).take(NAMED_MAX)))
}

fn quoted<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    paths.map(|path| format!("`{}`", mcp::text::line(path, 128))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_file_is_read_strictly() {
        let side =
            Side::read(b"[functions.add]\ntitle = \"Add\"\nscopes = [\"x\"]\n[functions.add.parameters]\na = \"One\"\n").expect("read");
        let said = &side.functions["add"];
        assert_eq!((said.title.as_deref(), said.scopes.as_slice()), (Some("Add"), &["x".to_owned()][..]));
        assert_eq!(said.parameters["a"], "One");
        assert!(Side::read(b"").is_ok_and(|side| side.functions.is_empty() && side.asks == Asks::default()));
        let asking = Side::read(b"[asks]\nhttp = [\"GET https://api.example.com\"]\n").expect("read");
        assert!(asking.asks.http.is_some_and(|http| http.len() == 1));
        let wrong = [
            (&b"[functions.add]\ntitel = \"Add\"\n"[..], "line 2: unknown field `titel`, expected one of `name`, `hidden`, "),
            (b"\n[function.add]\n", "line 2: unknown field `function`, expected `asks` or `functions`"),
            (
                b"[asks]\nhttps = []\n",
                "line 2: unknown field `https`, expected one of `http`, `config`, `environment`, `files`, `keyvalue`, `files_write`, `scratch`",
            ),
            (b"[asks]\nconfig = [\"a b\"]\n", "line 2: a setting's name has 1 to 128 of"),
            (b"[asks]\nenvironment = [\"A=B\"]\n", "line 2: the name of an environment variable has"),
            (b"[asks]\nfiles = [\"data\"]\n", "line 2: a plugin's path begins with `/`"),
            (b"[asks]\nhttp = [\n \"https://a.example/path\"]\n", "line 2: `https://a.example/path` does not say which requests"),
            (b"[asks]\nhttp = true\n", "line 2: invalid type: boolean `true`, expected a sequence"),
            (b"[functions.add]\nhidden = 1\n", "line 2: invalid type: integer `1`, expected a boolean"),
            (b"[functions.add]\nwall_time_ms = -1\n", "line 2: invalid value: integer `-1`, expected u64"),
            (b"[functions.add]\nwall_time_ms = 0\n", "functions.\"add\".wall_time_ms must be at least 1"),
            (b"[functions\n", "line 1: "),
            (b"\xff", "it is not UTF-8"),
        ];
        for (bytes, expected) in wrong {
            let told = Side::read(bytes).expect_err("it is refused");
            assert!(told.starts_with(expected), "{told}");
        }
    }
}
