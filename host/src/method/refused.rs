//! What is refused for want of room or of an answer, and what callers name that is not for them, as events of the journal. Refusals of calls
//! have lines of their own; an event says what a line does not, and is told by tenant, however often it happens.

use super::Rooms;
use crate::auth::{Caller, Denied, Owner};
use crate::catalog::{Readable, Server};
use crate::config::ServerId;
use crate::failure::Failure;
use crate::journal::{Event, Journal, Kind, Source};
use crate::tenant::{Refused, TenantId};

impl Rooms {
    /// Of something that is no call of a guest: those tell of themselves.
    pub fn note_refusal(&self, owner: &Owner, server: Option<&ServerId>, failure: &Failure, method: &str) {
        let asked = if method.ends_with("/list") { "list" } else { "subscription" };
        note(&self.journal, failure.word(), asked, owner.tenant(), |event| event.by(owner.identity()).at_server(server));
    }

    /// A caller named what it may not know of, or watched what it may not read. `name` is one of the catalog's.
    pub(super) fn note_denied(&self, caller: &Caller, server: &Server, name: &str, denied: &Denied) {
        let reason = match denied {
            Denied::Hidden => "hidden",
            Denied::Forbidden { .. } => "forbidden",
            Denied::NoAnswer => return,
        };
        let owner = caller.owner();
        let source = Source::Tenant(owner.tenant().clone());
        self.journal
            .note_often(Kind::PolicyDenied, &source, reason, |event| event.by(owner.identity()).at_server(server.id.as_ref()).to(name));
    }
}

/// A refusal by the word of its failure, if it is one for want of room or of an answer.
pub(super) fn note(journal: &Journal, word: &'static str, asked: &'static str, tenant: &TenantId, more: impl FnOnce(Event) -> Event) {
    let (kind, reason) = match word {
        "tenant_full" | "host_full" | "processor_full" | "memory_full" | "pool_full" | "host_memory" | "too_many_sessions" | "broken" => {
            (Kind::OverloadShed, word)
        }
        "tenant_memory" | "session_quota" | "stream_quota" | "task_quota" | "subscription_quota" | "too_many_requests" => {
            (Kind::QuotaHit, word)
        }
        "policy_unavailable" => (Kind::PolicyFailed, asked),
        "bad_event_id" => (Kind::StreamBadEventId, word),
        // The word says whose quota of what it is.
        word if word.contains('.') => (Kind::QuotaHit, word),
        _ => return,
    };
    journal.note_often(kind, &Source::Tenant(tenant.clone()), reason, more);
}

/// The most that can be said in a word: of a quota, whose and of what.
pub(super) fn word(failure: &Failure) -> &'static str {
    match failure {
        Failure::NoSlot(Refused::Quota(exceeded)) => exceeded.word(),
        other => other.word(),
    }
}

/// A resource as it is listed, or the template that it is of: nothing of what a client wrote.
pub(super) fn listed(readable: &Readable) -> &str {
    match readable {
        Readable::Listed(resource) => &resource.definition.uri,
        Readable::OfTemplate(template) => &template.definition.uri_template,
    }
}
