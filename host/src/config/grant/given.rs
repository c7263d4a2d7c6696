//! Texts and directories that a plugin is given, under names that are the plugin's own.

use crate::config::file::{Entry, Section};
use sandbox::{FileQuota, GuestPath};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Entries of one table. A plugin that needs more of them reads a file.
const ENTRIES_MAX: usize = 128;
/// Bytes of a text.
pub(crate) const TEXT_BYTES_MAX: u64 = 64 << 10;

/// A text, or where it is found. It may be a secret: nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub enum GivenText {
    /// It stands in the settings.
    Text(Arc<str>),
    /// It is what that file has, without the line feeds at its end.
    File(PathBuf),
}

impl fmt::Debug for GivenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "text",
            Self::File(_) => "file",
        })
    }
}

impl GivenText {
    /// What is wrong with a text, wherever it was found.
    pub(crate) fn mistake(text: &str) -> Option<&'static str> {
        if text.len() as u64 > TEXT_BYTES_MAX {
            return Some("a value has at most 65536 bytes");
        }
        // Languages' libraries end a variable there; in a setting it is no more likely to be meant.
        text.contains('\0').then_some("a value has no NUL")
    }
}

/// A directory of the machine that a plugin is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryGrant {
    /// Where it is.
    pub directory: PathBuf,
    /// How much may be in it for the plugin to write there; none: the plugin only reads it.
    pub write: Option<FileQuota>,
}

type Entries<'a, 't> = Vec<(String, usize, Entry<'a, 't>)>;

pub(super) fn texts<N>(
    entries: Entries<'_, '_>,
    base: &Path,
    parse: fn(&str) -> Result<N, String>,
    note: impl Fn(usize, &str, &str),
) -> Vec<(N, GivenText)> {
    let texts = few(entries, &note).into_iter().filter_map(|(name, offset, entry)| {
        let parsed = parse(&name).map_err(|wrong| note(offset, &name, &wrong)).ok();
        let text = match entry {
            Entry::Text(text) => match GivenText::mistake(&text) {
                Some(wrong) => {
                    note(offset, &name, wrong);
                    None
                }
                None => Some(GivenText::Text(text.into())),
            },
            Entry::Table(place) => {
                let file = place.text("file");
                if file.is_none() {
                    place.note("file", "must name the file with the value");
                }
                place.end();
                file.map(|file| GivenText::File(base.join(file)))
            }
        };
        Some((parsed?, text?))
    });
    texts.collect()
}

pub(super) fn directories(entries: Entries<'_, '_>, base: &Path, note: impl Fn(usize, &str, &str)) -> Vec<(GuestPath, DirectoryGrant)> {
    let directories = few(entries, &note).into_iter().filter_map(|(name, offset, entry)| {
        let parsed = GuestPath::parse(&name).map_err(|wrong| note(offset, &name, &wrong)).ok();
        let directory = match entry {
            Entry::Text(directory) => Some(DirectoryGrant { directory: base.join(directory), write: None }),
            Entry::Table(place) => directory(place, base),
        };
        Some((parsed?, directory?))
    });
    directories.collect()
}

fn directory(place: Section<'_, '_>, base: &Path) -> Option<DirectoryGrant> {
    const REFUSED: &str = "the plugin is told `quota`";
    let directory = place.text("directory");
    if directory.is_none() {
        place.note("directory", "must be the path of a directory, such as \"/srv/weather\"");
    }
    let writes = place.parsed("access", |text| match text {
        "read-only" => Ok(false),
        "read-write" => Ok(true),
        _ => Err("must be \"read-only\" or \"read-write\"".to_owned()),
    });
    let writes = writes.unwrap_or(false);
    let write = if writes {
        Some(FileQuota {
            bytes_max: place.limit("bytes_max", 64 << 20, 1..=1 << 44, "", REFUSED),
            files_max: place.limit("files_max", 1_000, 1..=1_000_000, "", REFUSED),
        })
    } else {
        for key in ["bytes_max", "files_max"] {
            if place.has(key) {
                place.note(key, "counts only with access = \"read-write\"");
            }
        }
        None
    };
    place.end();
    Some(DirectoryGrant { directory: base.join(directory?), write })
}

/// What two tables have both.
pub(super) fn twice<'a, N: PartialEq, T>(ours: &'a [(N, T)], theirs: &[(N, T)]) -> Option<&'a N> {
    ours.iter().map(|(name, _)| name).find(|name| theirs.iter().any(|(other, _)| other == *name))
}

fn few<'a, 't>(entries: Entries<'a, 't>, note: &impl Fn(usize, &str, &str)) -> Entries<'a, 't> {
    if let Some((name, offset, _)) = entries.get(ENTRIES_MAX) {
        note(*offset, name, "this is more than a plugin is given: 128 names at most");
    }
    entries
}
