//! A folder with the sources of one component: its language, its name, what is built of it.

use super::super::Failed;
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What components can be written in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Language {
    Rust,
    Python,
    Js,
    Go,
    C,
}

impl Language {
    /// In the order in which they are looked for: package.json comes with many a folder, for its tools alone.
    pub(super) const ALL: [Self; 5] = [Self::Rust, Self::Python, Self::Go, Self::C, Self::Js];

    /// The file that a folder of this language has.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Python => "src/plugin.py",
            Self::Js => "package.json",
            Self::Go => "go.mod",
            Self::C => "src/plugin.c",
        }
    }
}

/// What shows that sources are others than before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    youngest: Option<SystemTime>,
    files: usize,
    bytes: u64,
}

/// Files of a project that are looked at. One with more has something in it that does not belong there.
const FILES_MAX: usize = 10_000;

/// Folders that hold what is built, or what is built with.
const NOT_SOURCES: [&str; 5] = ["target", "node_modules", "build", "gen", "__pycache__"];

/// A name's longest.
const NAME_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Project {
    pub(super) folder: PathBuf,
    /// Of the component, and of the folder.
    pub(super) name: String,
    pub(super) language: Language,
}

impl Project {
    /// Looks at a folder.
    ///
    /// # Errors
    ///
    /// When it is none, or what it is written in cannot be seen.
    pub(super) fn find(folder: &Path) -> Result<Self, Failed> {
        let shown = folder.display();
        let whole = folder.canonicalize().map_err(|error| Failed::other(format!("{shown}: {error}")))?;
        if !whole.is_dir() {
            return Err(Failed::other(format!("{shown} is no folder")));
        }
        let name = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        check_name(&name).map_err(|reason| Failed::other(format!("{shown}: the component gets the name of its folder, and {reason}")))?;
        let marked = Language::ALL.into_iter().find(|language| whole.join(language.mark()).is_file());
        let language = marked.ok_or_else(|| {
            let marks: Vec<_> = Language::ALL.iter().map(|language| language.mark()).collect();
            Failed::other(format!(
                "{shown}: there is none of {}, so this is no component's folder; `gatehouse new NAME --lang LANG` makes one",
                marks.join(", ")
            ))
        })?;
        Ok(Self { folder: whole, name, language })
    }

    /// What is built.
    pub(super) fn component(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }

    /// What is kept between commands.
    pub(super) fn kept(&self) -> PathBuf {
        self.folder.join(".gatehouse")
    }

    /// Whether a source is younger than the component, or there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::state`].
    pub(super) fn is_stale(&self) -> Result<bool, Failed> {
        let built = fs::metadata(self.component()).and_then(|metadata| metadata.modified());
        let Ok(built) = built else { return Ok(true) };
        Ok(self.state()?.youngest.is_some_and(|youngest| youngest > built))
    }

    /// How the sources are now.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or holds more files than sources are.
    pub(super) fn state(&self) -> Result<State, Failed> {
        let unreadable = |folder: &Path, error: std::io::Error| Failed::other(format!("{}: {error}", folder.display()));
        let (mut state, mut open) = (State::default(), vec![self.folder.clone()]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
                let entry = entry.map_err(|error| unreadable(&folder, error))?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // What went away meanwhile counts no more.
                let Ok(metadata) = entry.metadata() else { continue };
                if name.starts_with('.') || NOT_SOURCES.contains(&&*name) || !is_source(&name) {
                    continue;
                }
                state.files += 1;
                if state.files > FILES_MAX {
                    return Err(Failed::other(format!(
                        "{}: more than {FILES_MAX} files are no component's sources",
                        self.folder.display()
                    )));
                }
                if metadata.is_dir() {
                    open.push(entry.path());
                } else {
                    state.youngest = state.youngest.max(metadata.modified().ok());
                    state.bytes = state.bytes.wrapping_add(metadata.len());
                }
            }
        }
        Ok(state)
    }
}

/// Whether something is built of a file of that name. Of tests and pages nothing is; and lock files are written while building.
fn is_source(name: &str) -> bool {
    let not = [".wasm", ".md", ".lock", "cases.toml", "package-lock.json", "go.sum", "~"];
    !not.iter().any(|end| name.ends_with(end))
}

/// What a component may be called: it becomes the name of a folder, a package and a file.
///
/// # Errors
///
/// What is wrong with the name, and what would be right.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let shown = mcp::text::line(name, 80);
    let wrong = |what: &str| {
        Err(format!("`{shown}` {what}; a name is 1 to {NAME_MAX} of a-z, 0-9 and -, beginning with a letter and not ending with -"))
    };
    if name.is_empty() || name.len() > NAME_MAX {
        return wrong(if name.is_empty() { "is empty" } else { "is too long" });
    }
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return wrong("has other characters");
    }
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) || name.ends_with('-') {
        return wrong("begins or ends with what it may not");
    }
    if name == "cases" {
        return Err("`cases` cannot be a name: cases.toml would be its side file".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "reader", "my-reader-2", "r2"] {
            assert_eq!(check_name(good), Ok(()));
        }
        for (bad, told) in [
            ("", "is empty"),
            ("Reader", "has other characters"),
            ("my_reader", "has other characters"),
            ("../up", "has other characters"),
            ("2nd", "begins or ends"),
            ("-a", "begins or ends"),
            ("a-", "begins or ends"),
            ("cases", "side file"),
        ] {
            let refused = check_name(bad).expect_err("it is refused");
            assert!(refused.contains(told), "{refused}");
        }
        assert!(check_name(&"a".repeat(65)).expect_err("it is refused").contains("too long"));
    }
}
