//! Virtual servers: selections of what is offered, each under an address of its own.

use super::file::{Mistakes, Section};
use super::{Pattern, QuotaConfig, ServerId, TenantConfig, TenantId, policy_names, quota};
use std::collections::BTreeMap;

/// A virtual server: a selection of what is offered, at `/servers/{id}/mcp`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Its name in the path.
    pub id: ServerId,
    /// Whose it is; none: every tenant's, each with what it has.
    pub tenant: Option<TenantId>,
    /// Which tools it shows.
    pub tools: Vec<Pattern>,
    /// Other names that tools go by here: the plugin's name, and the new one.
    pub rename: BTreeMap<Box<str>, Box<str>>,
    /// Which resources and resource templates it shows, by URI.
    pub resources: Vec<Pattern>,
    /// Which prompts it shows.
    pub prompts: Vec<Pattern>,
    /// What it says of itself to models.
    pub instructions: Option<String>,
    /// Policies that are asked here, behind those of the gateway and of the tenant, in their order.
    pub policies: Vec<String>,
    /// What each tenant may use here.
    pub quota: QuotaConfig,
}

pub(super) fn read(
    (name, offset, section): (String, usize, Section<'_, '_>),
    tenants: &[TenantConfig],
    policies: &[&str],
    mistakes: &Mistakes<'_>,
    default: QuotaConfig,
) -> Option<ServerConfig> {
    let id = ServerId::parse(&name);
    if id.is_none() {
        let message = "a server's id has 1 to 64 of a-z, 0-9 and `-`, and begins with a letter or digit";
        mistakes.note(Some(offset), &format!("servers.{name}"), message);
    }
    let tenant = section.parsed("tenant", |text| {
        let known = tenants.iter().find(|tenant| tenant.id.as_str() == text);
        known.map(|tenant| tenant.id.clone()).ok_or_else(|| format!("there is no section [tenants.{text}]"))
    });
    let patterns = |key: &str, parse: fn(&str) -> Option<Pattern>, rule: &str| -> Vec<Pattern> {
        let patterns = section.texts(key).into_iter().filter_map(|text| {
            let pattern = parse(&text);
            if pattern.is_none() {
                section.note(key, format!("`{text}` {rule} and `*` for any of them"));
            }
            pattern
        });
        patterns.collect()
    };
    let named = !section.texts("tools").is_empty() || !section.texts("resources").is_empty() || !section.texts("prompts").is_empty();
    if !named {
        section.note("tools", "must name at least one tool, such as [\"echo\", \"text_*\"], unless resources or prompts name something");
    }
    let tools = patterns("tools", Pattern::of_names, "is no tool name: 1 to 128 of A-Z a-z 0-9 _ . -");
    let resources = patterns("resources", Pattern::of_uris, "is no URI: 1 to 1024 visible ASCII characters");
    let prompts = patterns("prompts", Pattern::of_names, "is no prompt name: 1 to 128 of A-Z a-z 0-9 _ . -");
    let rename = read_rename(&section, &tools);
    let instructions = section.text("instructions");
    let policies = policy_names(&section, section.texts("policies"), policies);
    // One that cannot be told apart from a server of all tenants would be that.
    let tenant = if section.has("tenant") { Some(tenant?) } else { None };
    let quota = quota::read(section.section("quota"), default);
    section.end();
    Some(ServerConfig { id: id?, tenant, tools, rename, resources, prompts, instructions, policies, quota })
}

fn read_rename(section: &Section<'_, '_>, tools: &[Pattern]) -> BTreeMap<Box<str>, Box<str>> {
    let mut rename: BTreeMap<Box<str>, Box<str>> = BTreeMap::new();
    let Some(serde_json::Value::Object(members)) = section.json("rename") else { return rename };
    for (from, to) in members {
        let is_name = mcp::tool::is_tool_name;
        match to.as_str() {
            Some(to) if is_name(&from) && is_name(to) => {
                if !tools.iter().any(|pattern| pattern.matches(&from)) {
                    section.note("rename", format!("`{from}` is not selected by `tools`"));
                }
                if rename.values().any(|other| **other == *to) {
                    section.note("rename", format!("two tools would have the name `{to}`"));
                }
                rename.insert(from.into(), to.into());
            }
            _ => section.note("rename", format!("`{from}` must be a tool's name, and its new name another one, as text")),
        }
    }
    rename
}
