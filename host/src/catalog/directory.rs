//! The plugin directory as it lies on disk.

use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self {
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified_ns: time(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: time(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Every component in the directory, by plugin name. Regular files that end in `.wasm` and do not begin with a dot; anything
/// else, symbolic links included, is not ours to follow.
pub(super) fn scan(directory: &Path) -> io::Result<BTreeMap<String, (PathBuf, Stamp)>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".wasm")) else { continue };
        if name.is_empty() || name.starts_with('.') || name.chars().any(char::is_control) {
            continue;
        }
        // Does not follow links. A file that went away meanwhile is simply not there.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            found.insert(name.to_owned(), (entry.path(), Stamp::of(&metadata)));
        }
    }
    Ok(found)
}

/// Reads a file that must be a regular one of at most `bytes_max` bytes, and says in which state it was read.
///
/// Neither follows a link nor waits for a pipe's other end, and takes no more than the limit whatever the file grows to.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<(Vec<u8>, Stamp)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() > bytes_max {
        return Err(io::Error::other(format!("it has {} bytes; the limit is {bytes_max}", metadata.len())));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    (&file).take(bytes_max).read_to_end(&mut bytes)?;
    Ok((bytes, Stamp::of(&file.metadata()?)))
}

/// Whether anybody on this machine may drop a plugin there.
pub(crate) fn is_world_writable(directory: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(directory)?.mode() & 0o002 != 0)
}
