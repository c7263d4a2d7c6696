//! What lies in the plugin directories: one that all tenants share, and each tenant's own.

use super::{Names, Plugin, Refresh};
use crate::config::{Isolation, TenantConfig, TenantId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Plugins by name.
pub type Plugins = BTreeMap<Arc<str>, Arc<Plugin>>;

/// One directory's plugins of one moment.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// What it serves.
    pub plugins: Arc<Plugins>,
    /// Where its plugins say that their lists changed.
    pub refresh: Arc<Refresh>,
}

/// All directories' plugins of one moment.
#[derive(Debug, Clone, Default)]
pub struct Shelves {
    /// The one that is shared.
    pub shared: Shelf,
    /// Those of tenants that have one.
    pub own: BTreeMap<TenantId, Shelf>,
    /// What strictly isolated tenants have of the shared one, in their own compartments.
    pub copies: BTreeMap<TenantId, Arc<Plugins>>,
}

impl Shelves {
    /// What a tenant has: what is shared with it, and its own. Where two have one name, its own counts, for itself alone.
    pub(super) fn of(&self, tenant: &TenantConfig) -> Plugins {
        let shared = match tenant.isolation {
            Isolation::Shared => Some(&self.shared.plugins),
            // Never what runs beside others, whatever became of the copies.
            Isolation::Strict => self.copies.get(&tenant.id),
        };
        let shared = shared.into_iter().flat_map(|plugins| plugins.iter()).filter(|(name, _)| tenant.has_shared(name));
        let mut plugins: Plugins = shared.map(|(name, plugin)| (Arc::clone(name), Arc::clone(plugin))).collect();
        let Some(own) = self.own.get(&tenant.id) else { return plugins };
        plugins.retain(|name, _| !own.plugins.contains_key(name));
        let names = Names::of(own.plugins.values());
        for plugin in plugins.values_mut() {
            *plugin = plugin.without(&names);
        }
        plugins.extend(own.plugins.iter().map(|(name, plugin)| (Arc::clone(name), Arc::clone(plugin))));
        plugins
    }

    /// Where a plugin that ran for that tenant says that its lists changed.
    pub fn refresh(&self, tenant: &TenantId, plugin: &str) -> &Arc<Refresh> {
        let own = self.own.get(tenant).filter(|own| own.plugins.contains_key(plugin));
        &own.unwrap_or(&self.shared).refresh
    }

    /// Whether nothing is another. Copies are others when what they are of is.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |ours: &Shelf, theirs: &Shelf| Arc::ptr_eq(&ours.plugins, &theirs.plugins);
        same(&self.shared, &other.shared)
            && self.own.len() == other.own.len()
            && self.own.iter().all(|(tenant, shelf)| other.own.get(tenant).is_some_and(|theirs| same(shelf, theirs)))
    }

    /// Every directory; the shared one has no tenant.
    pub fn all(&self) -> impl Iterator<Item = (Option<&TenantId>, &Shelf)> {
        [(None, &self.shared)].into_iter().chain(self.own.iter().map(|(tenant, shelf)| (Some(tenant), shelf)))
    }
}
