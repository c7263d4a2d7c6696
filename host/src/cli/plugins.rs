//! `gatehouse plugins`: what may be served, what waits to be approved, and why.

mod approve;
mod difference;
mod list;

use super::{Failed, Settings, output, runtime};
use crate::catalog::{Loader, Lock, LockError, Plugin, PluginError, PluginId, Rules, TrustError, Ward, among_plugins, load_each};
use crate::config::{Config, TenantId, TrustMode};
use crate::gateway::CodeIsKept;
use clap::{Args, Subcommand};
use std::path::Path;
use std::sync::Arc;

const EXAMPLES: &str = "How plugins become trusted:\n  \
    plugins.trust = \"open\"      whatever loads is served; the lock file is not asked\n  \
    plugins.trust = \"prompt\"    what the lock file does not name waits; what is approved goes on meanwhile\n  \
    plugins.trust = \"locked\"    what the lock file does not name is not even compiled\n\n\
    Examples:\n  \
    gatehouse plugins lock                  approve everything that lies there now, to begin with\n  \
    gatehouse plugins list                  what is served, what waits, and why\n  \
    gatehouse plugins diff echo             what a new version says that the approved one did not\n  \
    gatehouse plugins approve echo          show that, ask, and approve it\n  \
    gatehouse plugins approve acme/echo     the same of a tenant's own\n  \
    gatehouse plugins approve --all --yes   everything that waits, for scripts\n\n\
    The lock file is plugins.lock beside the settings file, unless the setting plugins.lock names another. Keep it with the settings, where \
    changes of it are looked at. A gateway that runs takes it up within two seconds.";

/// Say which plugins may be served, and see what waits to be approved
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show each plugin: whether it would be served, what is approved of it, and who signed it
    List(list::Arguments),
    /// Show what lies there and is not what is approved, definition by definition
    Diff(difference::Arguments),
    /// Approve plugins as they lie there now, after showing what is new
    Approve(approve::Approve),
    /// Approve everything that lies there now, and nothing else: write the lock file anew
    Lock(approve::Anew),
    /// Take approvals back
    Remove(approve::Remove),
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    match &arguments.what {
        What::List(arguments) => list::run(arguments),
        What::Diff(arguments) => difference::run(arguments),
        What::Approve(arguments) => approve::approve(arguments),
        What::Lock(arguments) => approve::anew(arguments),
        What::Remove(arguments) => approve::remove(arguments),
    }
}

impl From<LockError> for Failed {
    fn from(error: LockError) -> Self {
        let code = match &error {
            LockError::Unwritable { .. } => 74, // EX_IOERR
            LockError::Unreadable { .. }
            | LockError::Missing(_)
            | LockError::Exposed { .. }
            | LockError::AmongPlugins(_)
            | LockError::Wrong { .. } => 78, // EX_CONFIG
        };
        Self { code, message: error.to_string() }
    }
}

impl From<TrustError> for Failed {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::Lock(error) => error.into(),
            TrustError::Key(_) => Self::config(error.to_string()),
        }
    }
}

/// Reads `NAME` or `TENANT/NAME`.
fn plugin_id(text: &str) -> Result<PluginId, String> {
    PluginId::parse(text).ok_or_else(|| "a plugin is named by its file without .wasm, a tenant's own as TENANT/NAME".to_owned())
}

/// Settings whose lock file may be changed, and what it says.
fn with_lock(settings: &Settings) -> Result<(Config, Lock), Failed> {
    let config = settings.load(None)?;
    among_plugins(&config)?;
    let lock = Lock::read(&config.trust.lock)?.unwrap_or_default();
    Ok((config, lock))
}

/// One that lies in a plugin directory.
type There = (PluginId, Result<Plugin, PluginError>);

/// Loads those that are wanted, as a gateway would, whatever the lock file says. Each is looked at by itself.
fn load(config: &Config, wanted: impl Fn(&PluginId) -> bool) -> Result<Vec<There>, Failed> {
    let rules = Arc::new(Rules::of_signatures(config)?);
    runtime()?.block_on(async {
        let (sandbox, _) = crate::gateway::make_sandbox(config, CodeIsKept::WhereOneIs)?;
        let loader = Loader::new(sandbox, config.limits.plugins.clone());
        let mut there = Vec::new();
        for (tenant, directory) in directories(config) {
            crate::gateway::check_plugin_directory(directory)?;
            let id = |name: &str| PluginId { tenant: tenant.cloned(), name: name.to_owned() };
            let ward = Ward::new(Arc::clone(&rules), tenant.cloned());
            let loaded = load_each(&loader, directory, &ward, |name| wanted(&id(name))).await;
            let loaded = loaded.map_err(|error| Failed::config(format!("the plugin directory {}: {error}", directory.display())))?;
            there.extend(loaded.into_iter().map(|(name, plugin)| (id(&name), plugin)));
        }
        Ok(there)
    })
}

fn directories(config: &Config) -> impl Iterator<Item = (Option<&TenantId>, &Path)> {
    let own = config.tenants.iter().filter_map(|tenant| Some((Some(&tenant.id), tenant.plugin_directory.as_deref()?)));
    [(None, config.plugin_directory.as_path())].into_iter().chain(own)
}

/// Loads those of these names; all if there are none.
fn load_named(config: &Config, names: &[PluginId]) -> Result<Vec<There>, Failed> {
    let there = load(config, |id| names.is_empty() || names.contains(id))?;
    match names.iter().find(|name| !there.iter().any(|(id, _)| id == *name)) {
        None => Ok(there),
        Some(name) => {
            let own = name.tenant.as_ref().map(|tenant| format!("tenants.{tenant}.plugin_directory"));
            let place = own.unwrap_or_else(|| "plugins.directory".to_owned());
            Err(Failed::other(format!("there is no plugin `{name}`: no file {}.wasm lies in {place}", name.name)))
        }
    }
}

/// What to know of a lock file that nobody asks.
fn note_if_open(config: &Config) {
    if config.lock_file().is_none() {
        output::note(&format!(
            "gatehouse: plugins.trust is \"{}\", so that gateways of these settings do not ask the lock file",
            TrustMode::Open.as_str()
        ));
    }
}
