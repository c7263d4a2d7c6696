//! Compiled code, kept across restarts under the gateway's own seal.
//!
//! A file of machine code is as powerful as the gateway's own binary, and the engine checks its version, not its origin. So each entry
//! carries an HMAC-SHA256 under a key that only this directory holds, over its name and its code; it is checked over exactly the
//! bytes that are then mapped; and the directory belongs to the gateway alone (0700), away from the plugins. An entry that
//! does not prove itself is deleted and made again.

use crate::Digest;
use crate::compile::{Growth, MachineCode};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use std::fs::{self, OpenOptions, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use wasmtime::Engine;
use wasmtime::component::Component;

const MAGIC: &[u8; 8] = b"GHCODE1\n";
const SEAL_BYTES: usize = 32;
const KEY_FILE: &str = "seal.key";

/// The cache directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// An operation on it failed.
    #[error("the compiled-code cache {path} cannot be used: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else could write there.
    #[error("the compiled-code cache {path} belongs to user {owner}, not to the gateway's user: code from it cannot be trusted")]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
}

/// A directory of compiled code.
#[derive(Debug)]
pub struct CodeCache {
    directory: PathBuf,
    key: [u8; SEAL_BYTES],
    bytes_max: u64,
    /// Files that did not prove themselves.
    tampered: AtomicU64,
}

impl CodeCache {
    /// Opens the directory, and makes it, with a new key, where there is none. Beyond `bytes_max` the entries that were not used for
    /// longest are removed.
    ///
    /// # Errors
    ///
    /// When it cannot be made or read, or belongs to somebody else.
    pub fn open(directory: &Path, bytes_max: u64) -> Result<Self, CacheError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| CacheError::Io { path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io(directory))?;
        let owner = fs::symlink_metadata(directory).map_err(io(directory))?.uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(CacheError::Owner { path: directory.to_owned(), owner });
        }
        fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(io(directory))?;
        let key_path = directory.join(KEY_FILE);
        let key = match read_key(&key_path).map_err(io(&key_path))? {
            Some(key) => key,
            None => {
                make_key(&key_path).map_err(io(&key_path))?;
                let broken = || io(&key_path)(io::Error::other("it is not a key of 32 bytes; remove it, and compiled code is made again"));
                read_key(&key_path).map_err(io(&key_path))?.ok_or_else(broken)?
            }
        };
        Ok(Self { directory: directory.to_owned(), key, bytes_max, tampered: AtomicU64::new(0) })
    }

    /// How many files did not prove themselves since it was opened.
    pub(crate) fn tampered(&self) -> u64 {
        self.tampered.load(Ordering::Relaxed)
    }

    /// The code for this component and this engine, if it is there and proves itself.
    pub(crate) fn get(&self, component: &Digest, growth: Growth, engine: &Engine) -> Option<MachineCode> {
        let name = entry_name(component, growth, engine);
        let path = self.directory.join(&name);
        let mut bytes = fs::read(&path).ok()?;
        let proven = bytes.get(..MAGIC.len()) == Some(MAGIC)
            && match (bytes.get(MAGIC.len()..MAGIC.len() + SEAL_BYTES), bytes.get(MAGIC.len() + SEAL_BYTES..)) {
                (Some(seal), Some(code)) => self.mac(&name, code).verify_slice(seal).is_ok(),
                _ => false,
            };
        if !proven {
            self.tampered.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(entry = %name, "a file in the compiled-code cache does not bear the gateway's seal; it is removed and made again");
            let _ = fs::remove_file(&path);
            return None;
        }
        // Its age is that of its last use.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        bytes.drain(..MAGIC.len() + SEAL_BYTES);
        Some(MachineCode(bytes))
    }

    /// Keeps code. A failure costs a later start time, nothing else, so it is only logged.
    pub(crate) fn put(&self, component: &Digest, growth: Growth, engine: &Engine, code: &MachineCode) {
        let name = entry_name(component, growth, engine);
        let seal = self.mac(&name, &code.0).finalize().into_bytes();
        if let Err(error) = write_whole(&self.directory.join(&name), 0o400, &[MAGIC, &seal, &code.0]) {
            tracing::warn!(%error, "compiled code could not be kept; the component will be compiled again after a restart");
        }
        self.prune();
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        // Lengths are fixed by the name's form, so joining the parts is unambiguous. HMAC takes keys of any length.
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(MAGIC);
        mac.update(name.as_bytes());
        mac.update(code);
        mac
    }

    fn prune(&self) {
        let Ok(directory) = fs::read_dir(&self.directory) else { return };
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = directory
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name() != KEY_FILE)
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        entries.sort();
        for (_, bytes, path) in entries {
            if total <= self.bytes_max {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                total = total.saturating_sub(bytes);
            }
        }
    }
}

/// Makes a component of machine code: the one place where bytes become code.
#[expect(
    unsafe_code,
    reason = "the engine cannot check machine code; `MachineCode` exists only for bytes that this gateway compiled or sealed itself"
)]
pub(crate) fn map(engine: &Engine, code: &MachineCode) -> wasmtime::Result<Component> {
    // SAFETY: a `MachineCode` is made by `Compiler::compile`, from the gateway's own compiler, or by `CodeCache::get`, after the seal
    // over these very bytes was verified, or by `MachineCode::copied`, from code that was mapped here. Version and settings are checked by the engine.
    unsafe { Component::deserialize(engine, &code.0) }
}

/// 64 hexadecimal digits: of the component, what was done to it, the engine's version and every setting that code depends on.
fn entry_name(component: &Digest, growth: Growth, engine: &Engine) -> String {
    let mut hasher = ShaHasher(Sha256::new());
    hasher.write(component.as_bytes());
    growth.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    HEXLOWER.encode(&hasher.0.finalize()) + ".code"
}

struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        0 // Nobody asks: the digest is read instead.
    }
}

fn read_key(path: &Path) -> io::Result<Option<[u8; SEAL_BYTES]>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes.as_slice().try_into().ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a key unless there is one: of several processes that begin together, one's key becomes everybody's.
fn make_key(path: &Path) -> io::Result<()> {
    let mut key = [0; SEAL_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let made = write_aside(path, 0o600, &[&key], |mine| match fs::hard_link(mine, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    made.and_then(fs::remove_file)
}

/// Under another name first, flushed, then renamed: after a crash the file is whole or not there.
fn write_whole(path: &Path, mode: u32, parts: &[&[u8]]) -> io::Result<()> {
    write_aside(path, mode, parts, |temporary| fs::rename(temporary, path)).map(drop)
}

/// Writes and flushes a file beside `path`, then lets `publish` do something with it. What fails leaves nothing behind. Its name is drawn
/// at random: process ids are the same in two containers that share the directory.
fn write_aside(path: &Path, mode: u32, parts: &[&[u8]], publish: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<PathBuf> {
    let mut suffix = [0_u8; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let temporary = path.with_extension(format!("{:016x}.tmp", u64::from_ne_bytes(suffix)));
    let result = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        publish(&temporary)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.map(|()| temporary)
}

#[cfg(test)]
mod tests;
