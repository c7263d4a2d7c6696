//! The gateway's own secret, and the keys that are made of it: one for each purpose, so that what is sealed for one means nothing for
//! another.

mod seal;

pub use seal::{About, Seal};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The root of all keys. Kept in the data directory, because what it seals comes back after a restart.
pub struct Keys {
    root: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Event ids of legacy streams.
    EventIds,
    /// The state of a dialog while it is with a modern client.
    RequestState,
    /// Where the next page of a list begins.
    Cursors,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::EventIds => b"gatehouse event ids 1",
            Self::RequestState => b"gatehouse request state 1",
            Self::Cursors => b"gatehouse cursors 1",
        }
    }
}

impl Keys {
    /// The secret that lies in the file, or a new one that is written there.
    ///
    /// # Errors
    ///
    /// When there is no randomness, or the file cannot be read or written, or is not one of ours.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        match fs::File::open(path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(33).read_to_end(&mut bytes)?;
                let root = bytes.try_into().map_err(|_| io::Error::other(format!("{} does not hold a key of 32 bytes", path.display())))?;
                Ok(Self { root })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let keys = Self::for_this_process()?;
                // Whole or not at all: a crash in between leaves a file of another name.
                let new = path.with_extension("new");
                let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
                file.write_all(&keys.root)?;
                file.sync_all()?;
                fs::rename(&new, path)?;
                Ok(keys)
            }
            Err(error) => Err(error),
        }
    }

    /// A secret that ends with the process.
    ///
    /// # Errors
    ///
    /// When the system gives no randomness.
    pub fn for_this_process() -> io::Result<Self> {
        let mut root = [0; 32];
        getrandom::fill(&mut root).map_err(io::Error::other)?;
        Ok(Self { root })
    }

    /// The key for a purpose.
    pub fn key(&self, purpose: Purpose) -> [u8; 32] {
        // HKDF-Expand (RFC 5869) of one block; the root is uniformly random, so there is nothing to extract.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.root).expect("HMAC takes a key of any length");
        mac.update(purpose.label());
        mac.update(&[1]);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_and_differs_by_purpose() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("data/key");
        let first = Keys::open(&path).expect("made");
        let again = Keys::open(&path).expect("read");
        assert_eq!(first.key(Purpose::EventIds), again.key(Purpose::EventIds));
        assert_ne!(first.key(Purpose::EventIds), first.key(Purpose::RequestState));
        fs::write(&path, b"short").expect("written");
        assert!(Keys::open(&path).expect_err("refused").to_string().contains("does not hold a key"));
    }
}
