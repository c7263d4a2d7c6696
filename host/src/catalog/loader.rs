//! One file → one plugin.

use super::Plugin;
use super::definition::{self, DefinitionError};
use super::directory::{self, Owners, Read, Stamp, Unread};
use super::side::Side;
use super::trust::{Signer, Untrusted, Ward};
use super::watch::is_large;
use crate::config::PluginLimits;
use sandbox::{Compartment, CompileError, Guest, Lists, LoadError, Sandbox};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Makes plugins of files.
#[derive(Debug, Clone)]
pub struct Loader {
    sandbox: Arc<Sandbox>,
    /// Where what it makes runs.
    compartment: Compartment,
    limits: PluginLimits,
    /// Components may import what they do not ask for: somebody wants to learn what they would.
    learning: bool,
    /// One small component and one large one at a time, over all directories, each directory in its turn.
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// Leave to load one component, until it is dropped: a small one, or any.
#[derive(Debug)]
pub(super) struct Turn {
    large: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Who signed a file that is let in, or why it is not.
type Admitted = Result<Option<Signer>, Box<Untrusted>>;

/// Why a file is no plugin.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is not the small file any more that its turn was for.
    #[error("it grew while its turn came; it is read again")]
    Grown,
    /// Its side file cannot be read.
    #[error("its side file cannot be read: {0}")]
    ReadSide(io::Error),
    /// Others can change it.
    #[error("{0}")]
    Exposed(String),
    /// It is not approved, or not signed as it must be.
    #[error("{0}")]
    Untrusted(Box<Untrusted>),
    /// Its side file is wrong.
    #[error("its side file: {0}")]
    Side(String),
    /// It is not a component that can be run here.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What it offers is not as it must be.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// Another plugin of the directory has something of the same name.
    #[error("its {kind} `{name}` has the name of a {kind} of `{other}`, which was there before; rename one of them")]
    NameTaken {
        /// A tool, a prompt, a resource or a template.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The plugin that keeps the name.
        other: String,
    },
    /// The gateway's own code fell over it.
    #[error("the gateway has a fault that it brings out; the log has more, and the gateway's makers want to hear of it")]
    Panicked,
}

impl PluginError {
    /// The word for metrics.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Read(_) | Self::ReadSide(_) | Self::Grown => "unreadable",
            Self::Exposed(_) => "permissions",
            Self::Untrusted(_) => "untrusted",
            Self::Load(error) => match error {
                LoadError::Survey(_) => "component",
                LoadError::Imports { .. } => "imports",
                LoadError::Exports(_) | LoadError::NoFunctions(_) | LoadError::NoPolicy(_) => "exports",
                LoadError::Compile(CompileError::Worker(_) | CompileError::Died(_)) => "compile_worker",
                LoadError::Compile(CompileError::Refused(_) | CompileError::TooLong(_)) => "compile",
                LoadError::Link(_) => "link",
                LoadError::List(_) | LoadError::Refused(_) => "lists",
            },
            Self::Side(_) | Self::Definition(_) => "definition",
            Self::NameTaken { .. } => "name_taken",
            Self::Panicked => "other",
        }
    }

    /// The machine is to blame and not the file: another attempt might succeed.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            // What this crate finds wrong with a file comes as `Other`; the rest is the system's.
            Self::Read(error) | Self::ReadSide(error) => error.kind() != io::ErrorKind::Other,
            Self::Grown | Self::Load(LoadError::Compile(CompileError::Worker(_))) => true,
            Self::Load(_) | Self::Side(_) | Self::Definition(_) | Self::NameTaken { .. } | Self::Panicked => false,
            // Whatever makes it right changes the files, or the rules.
            Self::Exposed(_) | Self::Untrusted(_) => false,
        }
    }

    /// Why it is not trusted, if that is the reason.
    pub(super) fn untrusted(&self) -> Option<&Untrusted> {
        match self {
            Self::Untrusted(untrusted) => Some(untrusted),
            _ => None,
        }
    }
}

impl Loader {
    /// With this sandbox and these limits, for everybody.
    pub fn new(sandbox: Arc<Sandbox>, limits: PluginLimits) -> Self {
        let compartment = sandbox.shared().clone();
        Self { sandbox, compartment, limits, learning: false, small: Arc::new(Semaphore::new(1)), large: Arc::new(Semaphore::new(1)) }
    }

    /// For components that are to be tried out before they ask for anything.
    #[must_use]
    pub fn learning(self) -> Self {
        Self { learning: true, ..self }
    }

    /// The same for plugins that run elsewhere. It takes its turns with this one.
    pub fn within(&self, compartment: &Compartment) -> Self {
        Self { compartment: compartment.clone(), ..self.clone() }
    }

    /// Waits until a component of that size may be loaded. Cancel-safe.
    pub(super) async fn turn(&self, bytes: u64) -> Turn {
        let large = is_large(bytes);
        let lane = if large { &self.large } else { &self.small };
        Turn { large, _permit: Arc::clone(lane).acquire_owned().await.ok() }
    }

    pub(super) fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    /// Reads a file, compares it with what is approved and signed, compiles and checks it. Whoever loads several at once waits for a `turn`.
    pub(super) async fn load(
        &self,
        name: Arc<str>,
        path: &Path,
        ward: Ward,
        owners: Owners,
        turn: Option<Turn>,
    ) -> (Option<Stamp>, Result<Plugin, PluginError>) {
        let (path, wanted) = (path.to_owned(), Arc::clone(&name));
        let small = turn.as_ref().is_some_and(|turn| !turn.large);
        let taken = tokio::task::spawn_blocking(move || take(&path, &wanted, &ward, owners, small)).await;
        let (read, admitted) = match taken.unwrap_or_else(|error| Err(PluginError::Read(io::Error::other(error)))) {
            Ok(taken) => taken,
            Err(error) => return (None, Err(error)),
        };
        let made = match admitted {
            Ok(signer) => {
                self.make(name, read.component.into(), read.side).await.map(|plugin| Plugin { signer: signer.map(Arc::new), ..plugin })
            }
            Err(untrusted) => Err(PluginError::Untrusted(untrusted)),
        };
        (read.stamp, made)
    }

    async fn make(&self, name: Arc<str>, bytes: Arc<[u8]>, side: Option<Vec<u8>>) -> Result<Plugin, PluginError> {
        let side = side.as_deref().map(Side::read).transpose().map_err(PluginError::Side)?.map(Arc::new);
        let mut asks = side.as_ref().map(|side| side.asks.clone()).unwrap_or_default();
        if self.learning {
            asks.http.get_or_insert_default();
            asks.config.get_or_insert_default();
            asks.keyvalue.get_or_insert_default();
        }
        let guest = self.sandbox.load(bytes, &asks, &self.compartment).await?;
        definition::check(name, guest, side, &self.limits)
    }

    /// The same plugin with those lists as they are now.
    pub(super) async fn list_again(&self, plugin: &Plugin, lists: Lists) -> Result<Plugin, PluginError> {
        let guest = self.sandbox.list_again(&plugin.guest, lists).await?;
        self.made_again(plugin, guest)
    }

    /// The same plugin, running where this loader's do. `before` is what it was there until now.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub async fn copy(&self, plugin: &Plugin, before: Option<&Plugin>) -> Result<Plugin, PluginError> {
        let guest = self.sandbox.copy(&plugin.guest, &self.compartment, before.map(|before| &before.guest)).await?;
        self.made_again(plugin, guest)
    }

    fn made_again(&self, plugin: &Plugin, guest: Guest) -> Result<Plugin, PluginError> {
        let signer = plugin.signer.clone();
        definition::check(Arc::clone(&plugin.name), guest, plugin.side.clone(), &self.limits).map(|plugin| Plugin { signer, ..plugin })
    }
}

/// Reads a file that was perhaps `small` when it was looked at, and says whether it is let in, and as whose.
fn take(path: &Path, name: &str, ward: &Ward, owners: Owners, small: bool) -> Result<(Read, Admitted), PluginError> {
    let read = directory::read_plugin(path, owners).map_err(|unread| match unread {
        Unread::Component(error) => PluginError::Read(error),
        Unread::Side(error) => PluginError::ReadSide(error),
        Unread::Exposed(reason) => PluginError::Exposed(reason),
    })?;
    // To copy one takes a while: perhaps only its beginning was there.
    if small && is_large(read.component.len() as u64) {
        return Err(PluginError::Grown);
    }
    // To hash a large one takes its time. What is compiled is these very bytes, and nothing that is read again.
    let admitted = ward.admit(name, &read);
    Ok((read, admitted))
}

/// Loads one named file, for the command line.
///
/// # Errors
///
/// For each reason why it is no plugin.
pub async fn load_file(loader: &Loader, path: &Path) -> Result<Plugin, PluginError> {
    let name = name_of(path);
    // A link that somebody names is meant to be followed, unlike one that turns up in the directory.
    let path = tokio::fs::canonicalize(path).await?;
    loader.load(name, &path, Ward::default(), Owners::Any, None).await.1
}

/// The same, where only what that ward lets pass is a plugin.
///
/// # Errors
///
/// As above, and when it is not trusted.
pub async fn load_trusted(loader: &Loader, path: &Path, ward: Ward) -> Result<Plugin, PluginError> {
    let name = name_of(path);
    let path = tokio::fs::canonicalize(path).await?;
    let plugin = loader.load(name, &path, ward.clone(), Owners::Any, None).await.1?;
    ward.judge(&plugin).map_err(PluginError::Untrusted)?;
    Ok(plugin)
}

fn name_of(path: &Path) -> Arc<str> {
    path.file_stem().map_or_else(|| "plugin".into(), |stem| stem.to_string_lossy()).into()
}

/// Loads the files of a plugin directory whose names are wanted, each by itself, for the command line.
///
/// # Errors
///
/// When the directory cannot be read.
pub async fn load_each(
    loader: &Loader,
    directory: &Path,
    ward: &Ward,
    wanted: impl Fn(&str) -> bool,
) -> io::Result<Vec<(String, Result<Plugin, PluginError>)>> {
    let mut loaded = Vec::new();
    for (name, (path, _)) in directory::scan(directory)?.files {
        if wanted(&name) {
            let plugin = loader.load(Arc::from(name.as_str()), &path, ward.clone(), Owners::Ours, None).await.1;
            loaded.push((name, plugin));
        }
    }
    Ok(loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_meanwhile_keeps_no_small_one_waiting() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("copied.wasm");
        let file = std::fs::File::create_new(&path).expect("its own");
        let taken = |small| take(&path, "copied", &Ward::default(), Owners::Any, small);
        file.set_len(1 << 20).expect("room");
        assert!(taken(true).is_ok(), "as it was seen");
        file.set_len(16 << 20).expect("room");
        assert!(matches!(taken(true), Err(PluginError::Grown)), "it is another's turn");
        assert!(taken(false).is_ok());
        assert!(PluginError::Grown.is_passing(), "it is tried again");
    }
}
