//! One file → one plugin.

use super::Plugin;
use super::definition::{self, DefinitionError};
use super::directory::{self, Read, Stamp, Unread};
use super::side::Side;
use super::watch::is_large;
use crate::config::PluginLimits;
use sandbox::{CompileError, Lists, LoadError, Sandbox};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Makes plugins of files.
#[derive(Debug, Clone)]
pub struct Loader {
    sandbox: Arc<Sandbox>,
    limits: PluginLimits,
    /// One small component and one large one at a time, over all directories, each directory in its turn.
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// Why a file is no plugin.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Its side file cannot be read.
    #[error("its side file cannot be read: {0}")]
    ReadSide(io::Error),
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
            Self::Read(_) | Self::ReadSide(_) => "unreadable",
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
            Self::Load(LoadError::Compile(CompileError::Worker(_))) => true,
            Self::Load(_) | Self::Side(_) | Self::Definition(_) | Self::NameTaken { .. } | Self::Panicked => false,
        }
    }
}

impl Loader {
    /// With this sandbox and these limits.
    pub fn new(sandbox: Arc<Sandbox>, limits: PluginLimits) -> Self {
        Self { sandbox, limits, small: Arc::new(Semaphore::new(1)), large: Arc::new(Semaphore::new(1)) }
    }

    /// Waits until a component of that size may be loaded. Cancel-safe.
    pub(super) async fn lane(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let lane = if is_large(bytes) { &self.large } else { &self.small };
        Arc::clone(lane).acquire_owned().await.ok()
    }

    pub(super) fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    /// Reads, compiles and checks a file.
    pub(super) async fn load(&self, name: Arc<str>, path: &Path) -> (Option<Stamp>, Result<Plugin, PluginError>) {
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || directory::read_plugin(&path)).await;
        match read.map_err(|error| Unread::Component(io::Error::other(error))).flatten() {
            Ok(Read { component, side, stamp }) => (Some(stamp), self.make(name, component.into(), side).await),
            Err(Unread::Component(error)) => (None, Err(PluginError::Read(error))),
            Err(Unread::Side(error)) => (None, Err(PluginError::ReadSide(error))),
        }
    }

    async fn make(&self, name: Arc<str>, bytes: Arc<[u8]>, side: Option<Vec<u8>>) -> Result<Plugin, PluginError> {
        let side = side.as_deref().map(Side::read).transpose().map_err(PluginError::Side)?.map(Arc::new);
        let asks = side.as_ref().map(|side| side.asks.clone()).unwrap_or_default();
        let guest = self.sandbox.load(bytes, &asks).await?;
        definition::check(name, guest, side, &self.limits)
    }

    /// The same plugin with those lists as they are now.
    pub(super) async fn list_again(&self, plugin: &Plugin, lists: Lists) -> Result<Plugin, PluginError> {
        let guest = self.sandbox.list_again(&plugin.guest, lists).await?;
        definition::check(Arc::clone(&plugin.name), guest, plugin.side.clone(), &self.limits)
    }
}

/// Loads one named file, for the command line.
///
/// # Errors
///
/// For each reason why it is no plugin.
pub async fn load_file(loader: &Loader, path: &Path) -> Result<Plugin, PluginError> {
    let name = path.file_stem().map_or_else(|| "plugin".into(), |stem| stem.to_string_lossy());
    // A link that somebody names is meant to be followed, unlike one that turns up in the directory.
    let path = tokio::fs::canonicalize(path).await?;
    loader.load(Arc::from(&*name), &path).await.1
}
