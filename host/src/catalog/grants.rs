//! What is in force of what plugins ask for and the operator grants: what both say, made once for each generation.

use super::Plugins;
use crate::config::{GrantConfig, TenantId};
use sandbox::{Asks, Grants, HttpRule};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The grants of one tenant's plugins, by name; those that have none are not in it.
#[derive(Debug, Default)]
pub(super) struct Granted(BTreeMap<Arc<str>, Grants>);

impl Granted {
    /// `is_own` says which plugins lie in the tenant's own directory.
    pub(super) fn of(grants: &[GrantConfig], tenant: &TenantId, plugins: &Plugins, is_own: impl Fn(&str) -> bool) -> Self {
        let theirs = plugins.iter().filter_map(|(name, plugin)| {
            let of_it = grants.iter().filter(|grant| grant.is_for(tenant, name, is_own(name)));
            let granted = effective(&plugin.asks(), of_it);
            (!granted.http.is_empty()).then(|| (Arc::clone(name), granted))
        });
        Self(theirs.collect())
    }

    /// Nothing for whoever is not in it.
    pub(super) fn of_plugin(&self, name: &str) -> Grants {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

/// What of those grants is in force for a component that asks for this.
pub fn effective<'a>(asks: &Asks, grants: impl Iterator<Item = &'a GrantConfig>) -> Grants {
    let http = grants.filter_map(|grant| grant.http.as_ref()).flat_map(|http| {
        let asked = asks.http.iter().flatten();
        let both = asked.flat_map(|asked| http.allow.iter().filter_map(|allowed| allowed.meet(asked)));
        both.map(|pattern| HttpRule { pattern, terms: Arc::clone(&http.terms) })
    });
    Grants { http: http.collect() }
}
