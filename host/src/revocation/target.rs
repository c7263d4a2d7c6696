//! What can be revoked.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Of one name. What is named comes from tokens and files, so that it may be long.
const NAME_BYTES_MAX: usize = 8_192;

/// One thing that is revoked. Whatever is left out stands for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// All callers of a tenant.
    Tenant {
        /// Its name.
        tenant: Box<str>,
    },
    /// One caller.
    Principal {
        /// Who vouches for it.
        issuer: Box<str>,
        /// Its name there.
        subject: Box<str>,
        /// Of that tenant only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<Box<str>>,
    },
    /// Everything that a plugin offers.
    Plugin {
        /// Its name, whichever directory it lies in.
        plugin: Box<str>,
        /// For that tenant only: what it has of that name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<Box<str>>,
    },
    /// One tool.
    Tool {
        /// The name that its plugin gave it.
        tool: Box<str>,
        /// For that tenant only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<Box<str>>,
        /// At that virtual server only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<Box<str>>,
    },
}

/// Somebody, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// On whose behalf.
    pub tenant: &'a str,
    /// None for an anonymous caller.
    pub issuer: Option<&'a str>,
    /// None for an anonymous caller.
    pub subject: Option<&'a str>,
}

/// Something that a server shows, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct What<'a> {
    /// Whose it is.
    pub plugin: &'a str,
    /// The tool's own name; none for anything else.
    pub tool: Option<&'a str>,
    /// None for the default server.
    pub server: Option<&'a str>,
}

impl Target {
    /// Whether somebody may not come in.
    pub fn bars(&self, who: Who<'_>) -> bool {
        match self {
            Self::Tenant { tenant } => **tenant == *who.tenant,
            Self::Principal { issuer, subject, tenant } => {
                who.issuer == Some(issuer) && who.subject == Some(subject) && is_of(tenant, who.tenant)
            }
            Self::Plugin { .. } | Self::Tool { .. } => false,
        }
    }

    /// Whether something is not there for a tenant.
    pub fn hides(&self, whose: &str, what: What<'_>) -> bool {
        match self {
            Self::Tenant { .. } | Self::Principal { .. } => false,
            Self::Plugin { plugin, tenant } => **plugin == *what.plugin && is_of(tenant, whose),
            Self::Tool { tool, tenant, server } => {
                what.tool == Some(tool) && is_of(tenant, whose) && server.as_deref().is_none_or(|server| what.server == Some(server))
            }
        }
    }

    /// Whether it is about callers, and not about what they use.
    pub fn is_of_callers(&self) -> bool {
        match self {
            Self::Tenant { .. } | Self::Principal { .. } => true,
            Self::Plugin { .. } | Self::Tool { .. } => false,
        }
    }

    /// What it is looked up by.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Tenant { tenant } => tenant,
            Self::Principal { subject, .. } => subject,
            Self::Plugin { plugin, .. } => plugin,
            Self::Tool { tool, .. } => tool,
        }
    }

    /// Whether its names can be names.
    pub(super) fn is_sound(&self) -> bool {
        let sound = |text: &str| (1..=NAME_BYTES_MAX).contains(&text.len());
        let or_none = |text: &Option<Box<str>>| text.as_deref().is_none_or(sound);
        match self {
            Self::Tenant { tenant } => sound(tenant),
            Self::Principal { issuer, subject, tenant } => sound(issuer) && sound(subject) && or_none(tenant),
            Self::Plugin { plugin, tenant } => sound(plugin) && or_none(tenant),
            Self::Tool { tool, tenant, server } => sound(tool) && or_none(tenant) && or_none(server),
        }
    }
}

fn is_of(tenant: &Option<Box<str>>, whose: &str) -> bool {
    tenant.as_deref().is_none_or(|tenant| tenant == whose)
}

/// For people; not escaped.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tenant, server) = match self {
            Self::Tenant { tenant } => return write!(f, "tenant {tenant}"),
            Self::Principal { issuer, subject, tenant } => {
                write!(f, "principal {issuer} {subject}")?;
                (tenant, &None)
            }
            Self::Plugin { plugin, tenant } => {
                write!(f, "plugin {plugin}")?;
                (tenant, &None)
            }
            Self::Tool { tool, tenant, server } => {
                write!(f, "tool {tool}")?;
                (tenant, server)
            }
        };
        if let Some(server) = server {
            write!(f, " at server {server}")?;
        }
        tenant.as_ref().map_or(Ok(()), |tenant| write!(f, " of tenant {tenant}"))
    }
}
