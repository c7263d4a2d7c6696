//! What a run is given: settings, environment variables, directories. All of it is made ready once for each generation, and shared by
//! its runs.

use super::{GuestPath, SettingName, Several, VariableName};
use crate::files::{Writable, open_directory};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::{FsPerms, OpenMode, WasiCtxBuilder};
use wasmtime_wasi_config::WasiConfigVariables;

/// Settings that a guest reads by `wasi:config/store`. A value may be a secret, so that none is ever shown.
#[derive(Clone, Default)]
pub struct Settings(Option<Arc<WasiConfigVariables>>, usize);

impl Settings {
    /// Those.
    pub fn new(settings: impl Iterator<Item = (SettingName, Arc<str>)>) -> Self {
        let mut variables = WasiConfigVariables::new();
        let mut count = 0;
        for (name, value) in settings {
            variables.insert(name.as_str(), &*value);
            count += 1;
        }
        Self((count > 0).then(|| Arc::new(variables)), count)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.1 == 0
    }

    pub(crate) fn variables(&self) -> &WasiConfigVariables {
        static NONE: LazyLock<WasiConfigVariables> = LazyLock::new(WasiConfigVariables::new);
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({})", self.1)
    }
}

/// The environment of a guest. The same holds for its values.
#[derive(Clone, Default)]
pub struct Environment(Several<(VariableName, Arc<str>)>);

impl Environment {
    /// Those, each name once.
    pub fn new(variables: impl Iterator<Item = (VariableName, Arc<str>)>) -> Self {
        Self(variables.collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn give(&self, wasi: &mut WasiCtxBuilder) {
        for (name, value) in &*self.0 {
            wasi.env(name.as_str(), value);
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name.as_str())).finish()
    }
}

/// Directories of a guest, open. Nothing outside of them is reached from them: not by `..`, and not by a link.
#[derive(Clone, Default)]
pub struct Directories(Several<Opened>);

/// Where a directory is.
#[derive(Debug, Clone)]
pub enum Directory<'a> {
    /// To read.
    Read(&'a Path),
    /// To read and to write.
    Write(Arc<Writable>),
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) path: GuestPath,
    pub(crate) open: Dir,
    pub(crate) writable: Option<Arc<Writable>>,
}

impl Directories {
    /// Opens those to read; each is found under its path. What cannot be opened is not among them, and `on_error` hears of it.
    pub fn open<'a>(
        directories: impl Iterator<Item = (&'a GuestPath, Directory<'a>)>,
        mut on_error: impl FnMut(&GuestPath, String),
    ) -> Self {
        let opened = directories.filter_map(|(path, directory)| {
            let opened = Opened::of(path, directory);
            opened.map_err(|error| on_error(path, error.to_string())).ok()
        });
        Self(opened.collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and one to write.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub(crate) fn with(&self, path: &GuestPath, writable: Arc<Writable>) -> std::io::Result<Self> {
        let one = Opened::of(path, Directory::Write(writable))?;
        Ok(Self(self.0.iter().cloned().chain([one]).collect()))
    }

    /// Whether any may be written.
    pub(crate) fn are_written(&self) -> bool {
        self.0.iter().any(|directory| directory.writable.is_some())
    }

    pub(crate) fn all(&self) -> Several<Opened> {
        self.0.clone()
    }
}

impl Opened {
    fn of(path: &GuestPath, directory: Directory<'_>) -> std::io::Result<Self> {
        // What blocks does so on threads that are there for it: the runtime's others have all the other calls.
        const MAY_BLOCK: bool = false;
        let (open, writable) = match directory {
            Directory::Read(directory) => (Dir::new(open_directory(directory)?, FsPerms::ReadOnly, OpenMode::READ, MAY_BLOCK), None),
            Directory::Write(writable) => {
                let directory = writable.directory().try_clone()?;
                (Dir::new(directory, FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE, MAY_BLOCK), Some(writable))
            }
        };
        Ok(Self { path: path.clone(), open, writable })
    }
}

impl fmt::Debug for Directories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|directory| &directory.path)).finish()
    }
}
