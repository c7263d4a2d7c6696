//! What can be called and read: plugins, what they offer, and the servers that show it to their tenants.
//!
//! A [`Catalog`] is one generation of all of it and never changes; a new generation replaces it whole. A request works with the
//! generation that it began with, so it never sees a tool whose plugin is not there.

mod definition;
mod directory;
mod file;
mod given;
mod grants;
mod loader;
mod names;
mod pattern;
mod refresh;
mod server;
mod shelf;
mod side;
mod trust;
mod watch;

pub use definition::{DefinitionError, Rejection};
pub(crate) use directory::exposed_directory;
pub use given::{Given, GivenError};
pub use grants::InForce;
pub use loader::{Loader, PluginError, load_each, load_file, load_trusted};
pub use refresh::Refresh;
pub use server::{Readable, Server};
pub use shelf::{Plugins, Shelf, Shelves};
pub use trust::{
    Approved, Change, ChangedTool, Definition, Lock, LockError, PluginId, Rules, Signer, Trust, TrustError, Untrusted, Ward, Why,
    among_plugins,
};
pub use watch::{Library, LibraryView, Problem};

use crate::config::{Config, ServerId, TenantId};
use grants::Granted;
use mcp::mirrored::HeaderParameters;
use mcp::{JsonText, Revision};
use names::{Kind, Names};
use sandbox::{Asks, Digest, Guest, Skipped};
use side::Side;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// One tool of one plugin, checked and ready to be called.
#[derive(Debug)]
pub struct Tool {
    /// Its definition as clients see it.
    pub definition: mcp::tool::Tool,
    /// The name that its plugin gave it. Policies and records know it by this one, whatever a server calls it.
    pub own_name: Box<str>,
    /// What its guest knows it by: the same name, or a plain component's function.
    pub called: Box<str>,
    /// Scopes that a caller must hold, all of them.
    pub scopes: Vec<Box<str>>,
    /// How long a call may take, if that is less than the settings say.
    pub wall_max: Option<Duration>,
    /// The component that runs it.
    pub guest: Guest,
    /// The plugin that it belongs to.
    pub plugin: Arc<str>,
    /// Its arguments' validator.
    pub input: Arc<definition::Schema>,
    /// Its structured result's validator.
    pub output: Option<Arc<definition::Schema>>,
    /// Whether and when its calls become tasks.
    pub task: TaskSupport,
    /// How long a connection stays open for a call before its client has to come back (SEP-1699): `gatehouse/connection` of its `_meta`.
    pub connection_max: Option<Duration>,
    /// The arguments that are repeated in headers.
    pub mirrored: HeaderParameters,
    /// The definition in the words of each revision.
    pub written: Written,
}

impl Tool {
    /// The same under another name.
    fn renamed(&self, name: &str) -> Self {
        let definition = mcp::tool::Tool { name: name.into(), ..self.definition.clone() };
        let written = Written::of(|revision| definition.write(revision));
        Self {
            definition,
            own_name: self.own_name.clone(),
            called: self.called.clone(),
            scopes: self.scopes.clone(),
            wall_max: self.wall_max,
            guest: self.guest.clone(),
            plugin: Arc::clone(&self.plugin),
            input: Arc::clone(&self.input),
            output: self.output.clone(),
            task: self.task,
            connection_max: self.connection_max,
            mirrored: self.mirrored.clone(),
            written,
        }
    }
}

/// One resource of one plugin.
#[derive(Debug)]
pub struct Resource {
    /// As clients see it.
    pub definition: mcp::resource::Resource,
    /// The component that has it.
    pub guest: Guest,
    /// The plugin that it belongs to.
    pub plugin: Arc<str>,
    /// The definition in the words of each revision.
    pub written: Written,
}

/// One family of resources of one plugin.
#[derive(Debug)]
pub struct Template {
    /// As clients see it.
    pub definition: mcp::resource::ResourceTemplate,
    /// Which URIs are of it.
    pub pattern: pattern::UriPattern,
    /// The component that has them.
    pub guest: Guest,
    /// The plugin that it belongs to.
    pub plugin: Arc<str>,
    /// The definition in the words of each revision.
    pub written: Written,
}

/// One prompt of one plugin.
#[derive(Debug)]
pub struct Prompt {
    /// As clients see it.
    pub definition: mcp::prompt::Prompt,
    /// The component that fills it in.
    pub guest: Guest,
    /// The plugin that it belongs to.
    pub plugin: Arc<str>,
    /// The definition in the words of each revision.
    pub written: Written,
}

/// A definition in the words of each revision, written once.
#[derive(Debug)]
pub struct Written(Vec<(Revision, JsonText)>);

impl Written {
    fn of(write: impl Fn(Revision) -> JsonText) -> Self {
        Self(Revision::HANDSHAKE.iter().chain(Revision::MODERN).map(|revision| (*revision, write(*revision))).collect())
    }

    /// In the words of one.
    pub fn at(&self, revision: Revision) -> Option<&JsonText> {
        self.0.iter().find(|(known, _)| *known == revision).map(|(_, text)| text)
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
    /// Its tools in its own order, and likewise the rest.
    pub tools: Vec<Arc<Tool>>,
    /// What can be read.
    pub resources: Vec<Arc<Resource>>,
    /// Families of what can be read.
    pub templates: Vec<Arc<Template>>,
    /// Messages to choose from.
    pub prompts: Vec<Arc<Prompt>>,
    /// Functions of a plain component that are no tools.
    pub skipped: Vec<Skipped>,
    /// What it asks for; of a plain component also what is said of its functions.
    side: Option<Arc<Side>>,
    /// Who signed it, if that was asked.
    pub signer: Option<Arc<Signer>>,
    /// What is approved with it, once somebody asked.
    approved: OnceLock<Approved>,
}

impl Plugin {
    /// How much it offers, in words.
    pub fn counts(&self) -> String {
        server::counts([self.tools.len(), self.resources.len(), self.templates.len(), self.prompts.len()])
    }

    /// What is approved with it.
    pub fn approved(&self) -> &Approved {
        self.approved.get_or_init(|| Approved::of(self))
    }

    /// What it asks for, by its side file.
    pub fn asks(&self) -> Asks {
        self.side.as_ref().map(|side| side.asks.clone()).unwrap_or_default()
    }

    /// The bytes that it is made of, by their digests.
    fn made_of(&self) -> (Digest, Option<Digest>) {
        (self.guest.digest(), self.side.as_ref().map(|side| side.digest))
    }

    /// Everything that it offers: of which kind, and its name or address.
    fn names(&self) -> impl Iterator<Item = (Kind, &str)> {
        let tools = self.tools.iter().map(|tool| (Kind::Tool, &*tool.definition.name));
        let prompts = self.prompts.iter().map(|prompt| (Kind::Prompt, &*prompt.definition.name));
        let resources = self.resources.iter().map(|resource| (Kind::Resource, &*resource.definition.uri));
        let templates = self.templates.iter().map(|template| (Kind::Template, &*template.definition.uri_template));
        tools.chain(prompts).chain(resources).chain(templates)
    }

    /// Without what has one of those names; itself if that is nothing.
    fn without(self: &Arc<Self>, names: &Names) -> Arc<Self> {
        if self.names().all(|(kind, name)| !names.has(kind, name)) {
            return Arc::clone(self);
        }
        Arc::new(Self {
            name: Arc::clone(&self.name),
            guest: self.guest.clone(),
            tools: self.tools.iter().filter(|one| !names.has(Kind::Tool, &one.definition.name)).cloned().collect(),
            resources: self.resources.iter().filter(|one| !names.has(Kind::Resource, &one.definition.uri)).cloned().collect(),
            templates: self.templates.iter().filter(|one| !names.has(Kind::Template, &one.definition.uri_template)).cloned().collect(),
            prompts: self.prompts.iter().filter(|one| !names.has(Kind::Prompt, &one.definition.name)).cloned().collect(),
            skipped: self.skipped.clone(),
            side: self.side.clone(),
            signer: self.signer.clone(),
            approved: OnceLock::new(),
        })
    }
}

/// One generation of everything that can be called.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Counted from 1; 0 is the empty one before the first scan.
    pub generation: u64,
    /// What lies in the plugin directories.
    pub shelves: Shelves,
    views: BTreeMap<TenantId, View>,
}

/// What one tenant has.
#[derive(Debug, Default)]
struct View {
    default: Arc<Server>,
    servers: BTreeMap<ServerId, Arc<Server>>,
}

impl Catalog {
    /// Arranges plugins under the tenants and servers of the settings, with what these give.
    pub fn new(generation: u64, shelves: Shelves, config: &Config, given: &Given) -> Self {
        let views = config.tenants.iter().map(|tenant| {
            let plugins = shelves.of(tenant);
            let instructions = tenant.instructions.clone().or_else(|| config.instructions.clone());
            let is_own = |plugin: &str| shelves.own.get(&tenant.id).is_some_and(|own| own.plugins.contains_key(plugin));
            let granted = Arc::new(Granted::of((&config.grants, given), &tenant.id, &plugins, is_own));
            let theirs = config.servers.iter().filter(|server| server.tenant.as_ref().is_none_or(|id| *id == tenant.id));
            let servers = theirs.map(|server| (server.id.clone(), Server::selected((&plugins, &granted), server))).collect();
            (tenant.id.clone(), View { default: Server::whole((&plugins, &granted), instructions, config.quotas.server), servers })
        });
        let views = views.collect();
        Self { generation, shelves, views }
    }

    /// A tenant's default server, or the one of that id. There is no falling back from an unknown id to the default, and another tenant's
    /// is unknown.
    pub fn server(&self, tenant: &TenantId, id: Option<&ServerId>) -> Option<&Arc<Server>> {
        let view = self.views.get(tenant)?;
        match id {
            None => Some(&view.default),
            Some(id) => view.servers.get(id),
        }
    }

    /// Every server of every tenant, the default ones among them.
    pub fn servers(&self) -> impl Iterator<Item = (&TenantId, &Arc<Server>)> {
        self.views.iter().flat_map(|(tenant, view)| {
            let servers = [&view.default].into_iter().chain(view.servers.values());
            servers.map(move |server| (tenant, server))
        })
    }
}
