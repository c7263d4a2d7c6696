//! Compartments of tenants that are isolated strictly, and what they have of the shared plugins there.

use crate::catalog::{Loader, Plugin, Plugins};
use crate::config::{Config, Isolation, TenantId};
use sandbox::{Compartment, Sandbox, SandboxError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// By tenant; whoever has none is in the one of everybody.
pub(super) type Compartments = BTreeMap<TenantId, Compartment>;

/// Those of the settings. One that is there already and has the same size goes on; of others it depends on the last call in them when they
/// are given back.
pub(super) fn make(config: &Config, sandbox: &Sandbox, before: &Compartments) -> Result<Compartments, SandboxError> {
    let strict = config.tenants.iter().filter(|tenant| tenant.isolation == Isolation::Strict);
    let made = strict.map(|tenant| {
        let calls = tenant.calls_in_flight_max(config.limits.calls.per_tenant_max);
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let known = before.get(&tenant.id).filter(|known| known.calls() == calls);
        Ok((tenant.id.clone(), known.map_or_else(|| sandbox.strict(calls), |known| Ok(known.clone()))?))
    });
    made.collect()
}

/// Plugins of the shared directory, once more for each tenant that shares nothing else.
#[derive(Debug, Default)]
pub(super) struct Copies(BTreeMap<TenantId, BTreeMap<Arc<str>, Copy>>);

#[derive(Debug)]
struct Copy {
    of: Arc<Plugin>,
    plugin: Arc<Plugin>,
}

impl Copies {
    /// Those of what there is now, by tenant. Only what is another is made again; what cannot be made, its tenant does not have.
    pub(super) async fn follow(
        &mut self,
        shared: &Plugins,
        (config, compartments): (&Config, &Compartments),
        loader: &Loader,
    ) -> BTreeMap<TenantId, Arc<Plugins>> {
        let mut before = std::mem::take(&mut self.0);
        for (id, compartment) in compartments {
            let Some(tenant) = config.tenants.iter().find(|tenant| tenant.id == *id) else { continue };
            let mut before = before.remove(id).unwrap_or_default();
            let loader = loader.within(compartment);
            let mut now = BTreeMap::new();
            for (name, plugin) in shared.iter().filter(|(name, _)| tenant.has_shared(name)) {
                let known = before.remove(name);
                match known {
                    Some(known) if Arc::ptr_eq(&known.of, plugin) && known.plugin.guest.is_in(compartment) => {
                        now.insert(Arc::clone(name), known);
                    }
                    known => match loader.copy(plugin, known.as_ref().map(|known| &*known.plugin)).await {
                        Ok(copy) => {
                            now.insert(Arc::clone(name), Copy { of: Arc::clone(plugin), plugin: Arc::new(copy) });
                        }
                        Err(error) => {
                            tracing::error!(tenant = %id, plugin = %name, %error, "a shared plugin cannot be had in the tenant's own compartment");
                        }
                    },
                }
            }
            self.0.insert(id.clone(), now);
        }
        let plugins =
            |copies: &BTreeMap<Arc<str>, Copy>| copies.iter().map(|(name, copy)| (Arc::clone(name), Arc::clone(&copy.plugin))).collect();
        self.0.iter().map(|(tenant, copies)| (tenant.clone(), Arc::new(plugins(copies)))).collect()
    }
}
