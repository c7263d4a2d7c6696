//! The file that revocations are kept in: whole or not at all, and never taken for empty because it cannot be read.

use super::set::Revocation;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Its name.
pub const FILE: &str = "revocations.json";
const LOCK: &str = "LOCK";
const VERSION: u64 = 1;
/// As many as there may be, each as long as it may be, would be more: then it is refused when it is written, and the one before stays.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The revocations cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another process has them.
    #[error("what is revoked, in {}, is in use by another process", .0.display())]
    Locked(PathBuf),
    /// It cannot be read.
    #[error("what is revoked cannot be read from {path}: {source}; without it nobody knows who must not come in")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what this program writes.
    #[error(
        "what is revoked cannot be understood: {path}: {reason}; mend it, or move it away to begin with nothing revoked, and revoke again \
         what has to be"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A newer program wrote it.
    #[error("what is revoked was written by a newer version, in {path}: it is of form {version}, and this program knows {VERSION}")]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its form.
        version: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<R> {
    version: u64,
    revocations: R,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// The right to change what lies there, until it is dropped; none where another process has it.
pub(super) fn lock(directory: &Path) -> io::Result<Option<File>> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(directory.join(LOCK))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn read(directory: &Path) -> Result<Vec<Revocation>, FileError> {
    let path = directory.join(FILE);
    let unreadable = |source| FileError::Unreadable { path: path.clone(), source };
    let damaged = |reason: String| FileError::Damaged { path: path.clone(), reason };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(damaged(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    let Version { version } = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if version > VERSION {
        return Err(FileError::Newer { path, version });
    }
    let form: Form<Vec<Revocation>> = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    match form.revocations.iter().position(|revocation| !revocation.is_sound()) {
        Some(at) => Err(damaged(format!("revocation {} has an empty name, or one that is too long", at + 1))),
        None => Ok(form.revocations),
    }
}

/// When this returns, it is on the disk.
pub(super) fn write(directory: &Path, revocations: &[Revocation]) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(&Form { version: VERSION, revocations }).map_err(io::Error::other)?;
    text.push(b'\n');
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it would be longer than {FILE_BYTES_MAX} bytes")));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let (path, new) = (directory.join(FILE), directory.join(format!("{FILE}.new")));
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    // The name too.
    File::open(directory)?.sync_all()
}
