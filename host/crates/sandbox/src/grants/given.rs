//! What a run is given to read: settings, environment variables, directories. All of it is made ready once for each generation, and shared by
//! its runs.

use super::{GuestPath, SettingName, VariableName};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};
use wasmtime_wasi_config::WasiConfigVariables;

/// Settings that a guest reads by `wasi:config/store`. A value may be a secret, so that none is ever shown.
#[derive(Clone, Default)]
pub struct Settings(Arc<WasiConfigVariables>, usize);

impl Settings {
    /// Those.
    pub fn new(settings: impl Iterator<Item = (SettingName, Arc<str>)>) -> Self {
        let mut variables = WasiConfigVariables::new();
        let mut count = 0;
        for (name, value) in settings {
            variables.insert(name.as_str(), &*value);
            count += 1;
        }
        Self(Arc::new(variables), count)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.1 == 0
    }

    pub(crate) fn variables(&self) -> Arc<WasiConfigVariables> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({})", self.1)
    }
}

/// The environment of a guest. The same holds for its values.
#[derive(Clone, Default)]
pub struct Environment(Arc<[(VariableName, Arc<str>)]>);

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

/// Directories that a guest may read, open. Nothing outside of them is reached from them: not by `..`, and not by a link.
#[derive(Clone, Default)]
pub struct Directories(Option<Arc<WasiFilesystemCtx>>);

impl Directories {
    /// Opens them, each under the path where the guest finds it. What cannot be opened is not among them, and `on_error` hears of it.
    pub fn open<'a>(directories: impl Iterator<Item = (&'a GuestPath, &'a Path)>, mut on_error: impl FnMut(&GuestPath, String)) -> Self {
        let mut wasi = WasiCtxBuilder::new();
        // What blocks does so on threads that are there for it: the runtime's others have all the other calls.
        wasi.allow_blocking_current_thread(false);
        let mut has_any = false;
        for (guest, host) in directories {
            match wasi.preopened_dir(host, guest.as_str(), FsPerms::ReadOnly) {
                Ok(_) => has_any = true,
                Err(error) => on_error(guest, format!("{error:#}")),
            }
        }
        Self(has_any.then(|| Arc::new(wasi.build().filesystem().clone())))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Those of a guest.
    pub(crate) fn files(&self) -> Option<WasiFilesystemCtx> {
        self.0.as_deref().cloned()
    }
}

impl fmt::Debug for Directories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Directories(none)" } else { "Directories(open)" })
    }
}
