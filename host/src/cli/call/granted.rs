//! With what settings a component file is tried out: those that somebody names grant what a gateway with them would grant to a plugin that lies where the
//! file lies, or in the shared directory. Settings that only happen to lie in the working directory grant nothing.

use super::super::Failed;
use crate::catalog::{Rules, Ward};
use crate::cli::rig::Granted;
use crate::config::{Config, TenantId};
use crate::gateway::StartError;
use std::path::Path;
use std::sync::Arc;

/// What the settings grant to the plugin of that file for calls of that tenant; none if it is nothing.
pub(super) fn of(config: &Config, file: &Path, tenant: Option<&str>) -> Result<Option<Granted>, Failed> {
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if tenant.is_none() && !config.grants.iter().any(|grant| *grant.plugin == *name) {
        return Ok(None);
    }
    let wanted = tenant.unwrap_or(TenantId::DEFAULT);
    let found = config.tenants.iter().find(|known| known.id.as_str() == wanted).ok_or_else(|| {
        let known: Vec<_> = config.tenants.iter().map(|tenant| tenant.id.as_str()).collect();
        let known = known.join(", ");
        Failed::config(format!("these settings have no tenant `{}`; --tenant says who calls, one of {known}", mcp::text::line(wanted, 128)))
    })?;
    let real = |path: &Path| path.canonicalize().ok();
    let own = found.plugin_directory.as_deref().and_then(real);
    let is_own = own.is_some() && real(file).as_deref().and_then(Path::parent) == own.as_deref();
    let tenant = found.id.clone();
    let grants: Vec<_> = config.grants.iter().filter(|grant| grant.is_for(&tenant, &name, is_own)).cloned().collect();
    if grants.is_empty() {
        return Ok(None);
    }
    // What a gateway would not serve gets nothing of what it is trusted with.
    let rules = Rules::load(config).map_err(StartError::from)?;
    let ward = Ward::new(Arc::new(rules), is_own.then(|| tenant.clone()));
    Ok(Some(Granted { tenant, grants, ward }))
}
