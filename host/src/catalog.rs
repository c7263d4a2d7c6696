//! What can be called: plugins, their tools, and the servers that show them.
//!
//! A [`Catalog`] is one generation of all of it and never changes; a new generation replaces it whole. A request works with the
//! generation that it began with, so it never sees a tool whose plugin is not there.

mod definition;
mod directory;
mod file;
mod loader;
mod watch;

pub use definition::{DefinitionError, Rejection};
pub(crate) use directory::is_world_writable;
pub use loader::{Loader, PluginError, load_file};
pub use watch::{Library, Problem};

use crate::config::ServerConfig;
use crate::config::ServerId;
use mcp::mirrored::HeaderParameters;
use mcp::{JsonText, Revision};
use sandbox::Guest;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// One tool of one plugin, checked and ready to be called.
#[derive(Debug)]
pub struct Tool {
    /// Its definition as clients see it.
    pub definition: mcp::tool::Tool,
    /// Scopes that a caller must hold, all of them.
    pub scopes: Vec<Box<str>>,
    /// The component that runs it.
    pub guest: Guest,
    /// The plugin that it belongs to.
    pub plugin: Arc<str>,
    /// Its arguments' validator.
    pub input: definition::Schema,
    /// Its structured result's validator.
    pub output: Option<definition::Schema>,
    /// Whether and when its calls become tasks.
    pub task: TaskSupport,
    /// How long a connection stays open for a call before its client has to come back (SEP-1699): `gatehouse/connection` of its `_meta`.
    pub connection_max: Option<Duration>,
    /// The arguments that are repeated in headers.
    pub mirrored: HeaderParameters,
    /// The definition in the words of each revision, written once.
    written: Vec<(Revision, JsonText)>,
}

impl Tool {
    /// The definition in the words of a revision.
    pub fn written(&self, revision: Revision) -> Option<&JsonText> {
        self.written.iter().find(|(known, _)| *known == revision).map(|(_, text)| text)
    }
}

/// Whether and when a tool's calls become tasks: `gatehouse/task` of its `_meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskSupport {
    /// Whether.
    pub need: TaskNeed,
    /// A call that goes on for so long becomes one; none: as the settings say.
    pub after: Option<Duration>,
}

/// Whether a tool's calls become tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskNeed {
    /// If the client can.
    #[default]
    Optional,
    /// Always: a client that cannot is refused.
    Required,
    /// Never.
    Forbidden,
}

/// One loaded component.
#[derive(Debug)]
pub struct Plugin {
    /// The file's name without `.wasm`.
    pub name: Arc<str>,
    /// The component.
    pub guest: Guest,
    /// Its tools in its own order.
    pub tools: Vec<Arc<Tool>>,
}

/// A selection of tools under one address.
#[derive(Debug, Default)]
pub struct Server {
    /// Its id; none for the default server at `/mcp`.
    pub id: Option<ServerId>,
    /// What it says of itself to models.
    pub instructions: Option<String>,
    /// By plugin, then in the plugin's own order: the same list every time.
    tools: Vec<Arc<Tool>>,
    by_name: HashMap<Box<str>, Arc<Tool>>,
}

impl Server {
    /// All its tools in a fixed order.
    pub fn tools(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    /// One tool.
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.by_name.get(name)
    }

    fn of(id: Option<ServerId>, instructions: Option<String>, tools: impl Iterator<Item = Arc<Tool>>) -> Arc<Self> {
        let tools: Vec<_> = tools.collect();
        let by_name = tools.iter().map(|tool| (tool.definition.name.clone(), Arc::clone(tool))).collect();
        Arc::new(Self { id, instructions, tools, by_name })
    }
}

/// One generation of everything that can be called.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Counted from 1; 0 is the empty one before the first scan.
    pub generation: u64,
    /// By name.
    pub plugins: BTreeMap<Arc<str>, Arc<Plugin>>,
    default: Arc<Server>,
    servers: BTreeMap<ServerId, Arc<Server>>,
}

impl Catalog {
    /// Arranges plugins under the configured servers.
    pub fn new(generation: u64, plugins: BTreeMap<Arc<str>, Arc<Plugin>>, instructions: Option<&str>, servers: &[ServerConfig]) -> Self {
        let tools = || plugins.values().flat_map(|plugin| plugin.tools.iter().cloned());
        let default = Server::of(None, instructions.map(ToOwned::to_owned), tools());
        let servers = servers
            .iter()
            .map(|server| {
                let shown = tools().filter(|tool| server.tools.iter().any(|pattern| pattern.matches(&tool.definition.name)));
                (server.id.clone(), Server::of(Some(server.id.clone()), server.instructions.clone(), shown))
            })
            .collect();
        Self { generation, plugins, default, servers }
    }

    /// The default server, or the one of that id. There is no falling back from an unknown id to the default.
    pub fn server(&self, id: Option<&ServerId>) -> Option<&Arc<Server>> {
        match id {
            None => Some(&self.default),
            Some(id) => self.servers.get(id),
        }
    }

    /// Every server with an id.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.servers.values()
    }
}
