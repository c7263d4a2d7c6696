//! The plugin directory as it lies on disk.

use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
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

/// Which directory it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DirectoryId {
    device: u64,
    inode: u64,
}

impl Stamp {
    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn made_up(inode: u64, bytes: u64) -> Self {
        Self { inode, bytes, modified_ns: 0, changed_ns: 0 }
    }

    fn of(metadata: &Metadata) -> Self {
        let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self {
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified_ns: time(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: time(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a look at the directory found.
pub(super) struct Scan {
    pub(super) id: DirectoryId,
    /// Every file that is named like a component, by plugin name.
    pub(super) files: BTreeMap<String, (PathBuf, Stamp)>,
}

/// Looks for files that end in `.wasm` and do not begin with a dot. What has such a name and is no regular file is listed too: [`read`]
/// refuses it, and so somebody hears of it.
pub(super) fn scan(directory: &Path) -> io::Result<Scan> {
    let metadata = std::fs::metadata(directory)?;
    let id = DirectoryId { device: metadata.dev(), inode: metadata.ino() };
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
        found.insert(name.to_owned(), (entry.path(), Stamp::of(&metadata)));
    }
    Ok(Scan { id, files: found })
}

/// Reads a file that must be a regular one of at most `bytes_max` bytes, and says in which state it was read.
///
/// Neither follows a link nor waits for a pipe's other end, and takes no more than the limit whatever the file grows to.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<(Vec<u8>, Stamp)> {
    // Opening a device can already do something, so this is asked of the name first, and of what was opened again.
    regular(&std::fs::symlink_metadata(path)?)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    regular(&metadata)?;
    if metadata.len() > bytes_max {
        return Err(io::Error::other(format!("it has {} bytes; the limit is {bytes_max}", metadata.len())));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    (&file).take(bytes_max).read_to_end(&mut bytes)?;
    Ok((bytes, Stamp::of(&file.metadata()?)))
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    match metadata.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_symlink() => Err(io::Error::other("it is a symbolic link, which is not followed")),
        _ => Err(io::Error::other("it is not a regular file")),
    }
}

/// Whether anybody on this machine may drop a plugin there.
pub(crate) fn is_world_writable(directory: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(directory)?.mode() & 0o002 != 0)
}
