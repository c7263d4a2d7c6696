//! The guest of a call, as lines name it that are about what it may not do.

use super::{Event, Journal, Kind, Source};
use crate::config::TenantId;
use std::fmt;
use std::sync::Arc;

/// Whose guest it is, and which.
#[derive(Debug, Clone)]
pub struct OfGuest {
    /// On whose behalf it runs.
    pub tenant: TenantId,
    /// Who called, as [`principal`](super::principal) names it.
    pub principal: Option<String>,
    /// At which virtual server.
    pub server: Option<String>,
    /// The plugin.
    pub plugin: Arc<str>,
    /// The digest of its component.
    pub component: String,
}

impl OfGuest {
    /// Notes that it was refused something: why, as one word of a closed set, and of what, which is told after the plugin's name.
    pub fn note_refusal(&self, journal: &Journal, kind: Kind, word: &'static str, what: Option<fmt::Arguments<'_>>) {
        journal.note_often(kind, &Source::Tenant(self.tenant.clone()), word, |event| {
            let (principal, server) = (self.principal.clone(), self.server.clone());
            let event = Event { principal, server, component: Some(self.component.clone()), ..event };
            match what {
                Some(what) => event.to(&format!("{} {what}", self.plugin)),
                None => event,
            }
        });
    }
}
