//! Tenants: whose plugins, policies and share of the host there are.

use super::file::{Mistakes, Section};
use super::{Pattern, QuotaConfig, TenantId, TrustMode, policy_names, quota};
use std::path::{Path, PathBuf};

/// Tenants with compartments of their own: what the pools of more would reserve is no longer sure to fit into an address space of 128 TiB, beside the
/// shared ones and those of settings that are being replaced.
pub(super) const STRICT_TENANTS_MAX: usize = 16;

/// What a tenant's guests share with those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Engines, pools, stacks and compiled code, one after the other and reset in between.
    Shared,
    /// None of these.
    Strict,
}

impl Isolation {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "shared" => Ok(Self::Shared),
            "strict" => Ok(Self::Strict),
            _ => Err("must be \"shared\" or \"strict\"".to_owned()),
        }
    }

    /// The word for it in settings and records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Strict => "strict",
        }
    }
}

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
    /// What its guests share with those of others.
    pub isolation: Isolation,
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
            isolation: Isolation::Shared,
            weight: 1,
            quota: QuotaConfig::NONE,
        }
    }

    /// How many of its calls may run at once, where tenants that do not say so have that many. In a compartment of its own there are only so many places.
    pub fn calls_in_flight_max(&self, of_tenants: usize) -> usize {
        let calls = self.calls_in_flight_max.unwrap_or(of_tenants);
        match self.isolation {
            Isolation::Shared => calls,
            Isolation::Strict => calls.min(sandbox::STRICT_CALLS_MAX as usize),
        }
    }

    /// Whether it has the plugin of that name in the shared directory.
    pub fn has_shared(&self, plugin: &str) -> bool {
        self.shared_plugins.iter().any(|pattern| pattern.matches(plugin))
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
        let isolation = tenant.parsed("isolation", Isolation::parse).unwrap_or(Isolation::Shared);
        let calls_max = match isolation {
            Isolation::Shared => 4_000,
            Isolation::Strict => sandbox::STRICT_CALLS_MAX.into(),
        };
        let calls = tenant.given("calls_in_flight_max", 1..=calls_max, "429, -31005");
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
            isolation,
            weight,
            quota,
        })
    });
    let tenants: Vec<TenantConfig> = tenants.collect();
    if let Some(one) = tenants.iter().filter(|tenant| tenant.isolation == Isolation::Strict).nth(STRICT_TENANTS_MAX) {
        let message = format!(
            "is \"strict\" for more than {STRICT_TENANTS_MAX} tenants, whose pools the address space may not hold; serve some from another gateway"
        );
        mistakes.note(None, &format!("tenants.{}.isolation", one.id), message);
    }
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
