//! Tenants: whose plugins, policies and share of the host there are.

use super::file::{Mistakes, Section};
use super::{Pattern, QuotaConfig, TenantId, TrustMode, policy_names, quota};
use std::path::{Path, PathBuf};

/// One tenant.
#[derive(Debug, Clone)]
pub struct TenantConfig {
    /// Its name.
    pub id: TenantId,
    /// Where components that only it has are dropped.
    pub plugin_directory: Option<PathBuf>,
    /// Which of these are served; none: as the settings say of the shared ones.
    pub plugin_trust: Option<TrustMode>,
    /// Which plugins of the shared directory it has.
    pub shared_plugins: Vec<Pattern>,
    /// What its default server says of itself; none: what the gateway's does.
    pub instructions: Option<String>,
    /// Policies that are asked of its callers, behind those of the gateway, in their order.
    pub policies: Vec<String>,
    /// Its calls that may run at once; none: as `limits.calls_per_tenant_max` says.
    pub calls_in_flight_max: Option<usize>,
    /// How much of the host it gets beside others that wait for it.
    pub weight: u32,
    /// What it may use.
    pub quota: QuotaConfig,
}

impl TenantConfig {
    /// With everything that is shared and nothing of its own.
    pub fn plain(id: TenantId) -> Self {
        Self {
            id,
            plugin_directory: None,
            plugin_trust: None,
            shared_plugins: vec![Pattern::any()],
            instructions: None,
            policies: Vec::new(),
            calls_in_flight_max: None,
            weight: 1,
            quota: QuotaConfig::NONE,
        }
    }
}

/// The tenants of the settings; where they name none, everybody is of the one that there always is.
pub(super) fn read(
    root: &Section<'_, '_>,
    base: &Path,
    policies: &[&str],
    mistakes: &Mistakes<'_>,
    default: QuotaConfig,
) -> Vec<TenantConfig> {
    let named = root.sections("tenants");
    if named.is_empty() {
        return vec![TenantConfig { quota: default, ..TenantConfig::plain(TenantId::default()) }];
    }
    let tenants = named.into_iter().filter_map(|(name, offset, tenant)| {
        let id = TenantId::parse(&name);
        if id.is_none() {
            let message = "a tenant's name has 1 to 64 of a-z, 0-9 and `-`, and begins with a letter or digit";
            mistakes.note(Some(offset), &format!("tenants.{name}"), message);
        }
        let plugin_directory = tenant.text("plugin_directory").map(|directory| base.join(directory));
        let plugin_trust = tenant.parsed("plugin_trust", TrustMode::parse);
        if plugin_trust.is_some() && plugin_directory.is_none() {
            tenant.note("plugin_trust", "is of plugin_directory, which is not given");
        }
        let shared = tenant.texts("shared_plugins");
        let shared_plugins = shared.iter().filter_map(|text| {
            let pattern = Pattern::of_plugins(text);
            if pattern.is_none() {
                tenant.note("shared_plugins", format!("`{text}` is no plugin's name, in which `*` stands for any characters"));
            }
            pattern
        });
        let shared_plugins: Vec<_> = if tenant.has("shared_plugins") { shared_plugins.collect() } else { vec![Pattern::any()] };
        let instructions = tenant.text("instructions");
        let policies = policy_names(&tenant, tenant.texts("policies"), policies);
        let calls = tenant.given("calls_in_flight_max", 1..=4_000, "429, -31005");
        let weight = u32::try_from(tenant.number("weight", 1, 1..=100)).unwrap_or(1);
        let quota = quota::read(tenant.section("quota"), default);
        tenant.end();
        let calls_in_flight_max = calls.map(|calls| usize::try_from(calls).unwrap_or(usize::MAX));
        Some(TenantConfig {
            id: id?,
            plugin_directory,
            plugin_trust,
            shared_plugins,
            instructions,
            policies,
            calls_in_flight_max,
            weight,
            quota,
        })
    });
    let tenants: Vec<TenantConfig> = tenants.collect();
    for (at, tenant) in tenants.iter().enumerate() {
        // Two would each be able to bring the other's tools.
        let twice =
            tenants.iter().take(at).any(|other| other.plugin_directory.is_some() && other.plugin_directory == tenant.plugin_directory);
        if twice {
            mistakes.note(None, &format!("tenants.{}.plugin_directory", tenant.id), "is another tenant's as well");
        }
    }
    tenants
}
