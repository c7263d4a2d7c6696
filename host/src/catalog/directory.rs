//! The plugin directory as it lies on disk.

use rustix::fs::{Mode, OFlags};
use sandbox::COMPONENT_BYTES_MAX;
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A side file is a few lines for each function.
const SIDE_BYTES_MAX: u64 = 64 << 10;

/// What tells one state of a plugin's files from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    component: FileStamp,
    /// Of its side file, where it has one.
    side: Option<FileStamp>,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
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
    /// Of the component.
    pub(super) fn inode(&self) -> u64 {
        self.component.inode
    }

    /// Of the component.
    pub(super) fn bytes(&self) -> u64 {
        self.component.bytes
    }

    #[cfg(test)]
    pub(super) fn made_up(inode: u64, bytes: u64) -> Self {
        Self { component: FileStamp { inode, bytes, modified_ns: 0, changed_ns: 0 }, side: None }
    }
}

impl FileStamp {
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

/// Looks for files that end in `.wasm` and do not begin with a dot, and for the side files of these. What has such a name and is no regular
/// file is listed too: [`read`] refuses it, and so somebody hears of it.
pub(super) fn scan(directory: &Path) -> io::Result<Scan> {
    let metadata = std::fs::metadata(directory)?;
    let id = DirectoryId { device: metadata.dev(), inode: metadata.ino() };
    let (mut found, mut sides) = (BTreeMap::new(), BTreeMap::new());
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((name, kind)) = name.to_str().and_then(|name| name.rsplit_once('.')) else { continue };
        if !matches!(kind, "wasm" | "toml") || name.is_empty() || name.starts_with('.') || name.chars().any(char::is_control) {
            continue;
        }
        // Does not follow links. A file that went away meanwhile is simply not there.
        let Ok(metadata) = entry.metadata() else { continue };
        let stamp = FileStamp::of(&metadata);
        if kind == "wasm" {
            found.insert(name.to_owned(), (entry.path(), Stamp { component: stamp, side: None }));
        } else {
            sides.insert(name.to_owned(), stamp);
        }
    }
    for (name, (_, stamp)) in &mut found {
        stamp.side = sides.remove(name);
    }
    Ok(Scan { id, files: found })
}

/// A plugin's files as they were read.
pub(super) struct Read {
    pub(super) component: Vec<u8>,
    pub(super) side: Option<Vec<u8>>,
    pub(super) stamp: Stamp,
}

/// Why a plugin's files cannot be read.
pub(super) enum Unread {
    Component(io::Error),
    Side(io::Error),
}

/// Reads a component, and the side file of the same name if there is one.
pub(super) fn read_plugin(path: &Path) -> Result<Read, Unread> {
    let (component, stamp) = read(path, COMPONENT_BYTES_MAX).map_err(Unread::Component)?;
    let (side, side_stamp) = match read(&path.with_extension("toml"), SIDE_BYTES_MAX) {
        Ok((side, stamp)) => (Some(side), Some(stamp)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
        Err(error) => return Err(Unread::Side(error)),
    };
    Ok(Read { component, side, stamp: Stamp { component: stamp, side: side_stamp } })
}

/// Reads a file that must be a regular one of at most `bytes_max` bytes, and says in which state it was read.
///
/// Neither follows a link nor waits for a pipe's other end, and takes no more than the limit whatever the file grows to.
fn read(path: &Path, bytes_max: u64) -> io::Result<(Vec<u8>, FileStamp)> {
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
    Ok((bytes, FileStamp::of(&file.metadata()?)))
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
