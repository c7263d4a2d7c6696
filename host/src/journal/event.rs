//! What happens beside calls, each kind by one word of a closed set.

use super::chain::Hash;
use super::record::Record;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;

/// Bytes of a text that others chose, such as a name of a token's issuer.
const TEXT_BYTES_MAX: usize = 512;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What happened. `host/README.md` has the table for operators; a test compares them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word that stands in lines.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

kinds! {
    /// Who sent a request is not known, or may not come in. Has the address, the true reason, and the server if there is one of that name.
    AuthDenied = "auth.denied",
    /// An address has shown so much that does not count that it is told to wait. Has the address.
    AuthLockedOut = "auth.locked_out",
    /// The admin token was not shown, or another one was. Has the address.
    AdminDenied = "admin.denied",
    /// The operator had the settings read again; `listener` or `socket` says by which way.
    AdminReload = "admin.reload",
    /// The operator had other lines logged. Has the filter as its target.
    AdminLogFilter = "admin.log_filter",
    /// The operator had the whole content of the store read out.
    AdminExport = "admin.export",
    /// A caller named what it may not know of, or watched what it may not read. Other denials of calls are lines of calls.
    PolicyDenied = "policy.denied",
    /// A policy did not come to an answer, which counts as no. Has what was asked for: a `call`, a `list` or a `subscription`.
    PolicyFailed = "policy.failed",
    /// A quota or a limit of one tenant, principal or session is used up. Has which.
    QuotaHit = "quota.hit",
    /// There was no room for a call or a session in the whole gateway, or in the tenant's share of it.
    OverloadShed = "overload.shed",
    /// A plugin wanted to send a request that may not leave. Has the plugin, the method, and where to; neither path nor query.
    EgressDenied = "egress.denied",
    /// A plugin wanted to keep or read values in a bucket that it does not have, or beyond a limit. Has the plugin and the bucket; no key.
    KeyvalueDenied = "keyvalue.denied",
    /// A plugin wanted to add to a directory that may hold no more. Has the plugin, the grant, and where the plugin finds the directory.
    FilesDenied = "files.denied",
    /// A session began. Has the beginning of the digest of its id.
    SessionCreated = "session.created",
    /// A session ended. Has why.
    SessionEnded = "session.ended",
    /// Somebody named a session of somebody else's, or used one at another server than its own.
    SessionOwnerMismatch = "session.owner_mismatch",
    /// Somebody wanted to go on after an event whose id was not given out for that session.
    StreamBadEventId = "stream.bad_event_id",
    /// A component is served from now on. Has its digest; `new`, or `replaced` if it took the place of another one.
    PluginLoaded = "plugin.loaded",
    /// A file is not served, or not in its newest version. Has of what kind the reason is.
    PluginRejected = "plugin.rejected",
    /// A component is not served any more.
    PluginRemoved = "plugin.removed",
    /// A file is not served because it is not approved, or not signed as it must be. Has what lies there and what is approved.
    PluginUntrusted = "plugin.untrusted",
    /// An operator approved a plugin as it lies there. Has its component.
    PluginApproved = "plugin.approved",
    /// An operator took an approval back.
    PluginUnapproved = "plugin.unapproved",
    /// A tool has another definition than before: of a plugin that goes on, or of a version that waits to be approved. Has the plugin and the
    /// tool, and both definitions.
    DefinitionChanged = "tool.definition_changed",
    /// Other settings are in force. Has those that wait for the next start.
    ConfigReloaded = "config.reloaded",
    /// The settings were read again and not taken. Has of what kind the mistake is, and never its text.
    ConfigRejected = "config.rejected",
    /// An operator revoked something. Has the operator's words, and how many calls were stopped.
    Revoke = "revoke",
    /// An operator took a revocation back.
    Restore = "restore",
    /// A revocation ended by itself.
    RevocationOver = "revocation_over",
    /// The store cannot be written, or not be read.
    StoreDegraded = "store.degraded",
    /// The store works again.
    StoreRecovered = "store.recovered",
    /// A damaged store was set aside, and an empty one took its place.
    StoreQuarantined = "store.quarantined",
    /// The journal could not be written for a while, and can be again.
    JournalRecovered = "journal.recovered",
    /// The gateway serves. Has its version.
    LifecycleStarted = "lifecycle.started",
    /// The gateway was asked to stop.
    LifecycleStopping = "lifecycle.stopping",
    /// The gateway has stopped; `calls_lost` says that calls were still in flight. Without this line it was killed.
    LifecycleStopped = "lifecycle.stopped",
}

/// One thing that happened. What does not belong to its kind is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// What: a word of [`Kind`].
    pub event: Cow<'static, str>,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tenant: Option<String>,
    /// Who, as lines of calls name it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub principal: Option<String>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<IpAddr>,
    /// At which virtual server; none for the default one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<String>,
    /// To what.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// SHA-256 of the component that it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub component: Option<String>,
    /// SHA-256 of what counted before, or is approved: of a component, a side file or a definition.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<String>,
    /// SHA-256 of what is there instead.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<String>,
    /// Why: a word of a closed set, or the operator's own words for what an operator did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Cow<'static, str>>,
    /// So many more of the same that have no line of their own; a line without it stands for one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
    /// Calls in flight that it stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub calls: Option<u64>,
}

impl Event {
    /// Happened now.
    pub fn new(kind: Kind) -> Self {
        Self {
            at_ms: Record::now_ms(),
            event: Cow::Borrowed(kind.word()),
            tenant: None,
            principal: None,
            address: None,
            server: None,
            target: None,
            component: None,
            old: None,
            new: None,
            reason: None,
            count: None,
            calls: None,
        }
    }

    /// On behalf of that tenant.
    #[must_use]
    pub fn of_tenant(self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), ..self }
    }

    /// By that issuer and subject; by nobody in particular if there is none.
    #[must_use]
    pub fn by(self, (issuer, subject): (Option<&str>, Option<&str>)) -> Self {
        Self { principal: principal(issuer, subject), ..self }
    }

    /// At that virtual server.
    #[must_use]
    pub fn at_server(self, server: Option<impl ToString>) -> Self {
        Self { server: server.map(|server| server.to_string()), ..self }
    }

    /// To that.
    #[must_use]
    pub fn to(self, target: &str) -> Self {
        Self { target: Some(cut(target).to_owned()), ..self }
    }

    /// For that reason.
    #[must_use]
    pub fn because(self, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}

/// A principal as lines name it; none for an anonymous caller.
pub fn principal(issuer: Option<&str>, subject: Option<&str>) -> Option<String> {
    subject.map(|subject| format!("{} {}", cut(issuer.unwrap_or_default()), cut(subject)))
}

/// What stands for a secret name, such as a session's id: whoever has the name can find its lines, and nobody finds the name.
pub fn tag(name: &str) -> String {
    let mut digest = Hash::of(name.as_bytes()).to_string();
    digest.truncate(8);
    digest
}

/// No more than a line may hold. JSON escapes the rest.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default()
}
