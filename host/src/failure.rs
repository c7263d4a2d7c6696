//! Everything that can be answered instead of a result. What it becomes on the wire stands in one table, `http/error.rs`.

use crate::tenant::Refused;
use mcp::capability::Capability;
use mcp::modern::Refusal;
use mcp::params::ParamsError;
use sandbox::{Digest, Fault, Resource};
use std::sync::Arc;
use std::time::Duration;

/// Which policy said no, and why, for records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// Its name in the settings.
    pub policy: Arc<str>,
    /// Its component.
    pub component: Digest,
    /// Its own words.
    pub reason: Box<str>,
}

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The body holds no message.
    Body(mcp::jsonrpc::ParseError),
    /// The modern ladder refused it.
    Ladder(Refusal),
    /// A batch where none is allowed.
    BatchNotAllowed,
    /// A request method without an id, or a message that makes no sense here.
    NotARequest,
    /// There is no such method, or not in this era.
    MethodNotFound(Box<str>),
    /// Parameters of a wrong shape.
    Params(ParamsError),
    /// A cursor that no list of this gateway gave out.
    BadCursor,
    /// There is no such tool, or the caller may not know of it.
    UnknownTool(Box<str>),
    /// There is no such prompt, or the caller may not know of it.
    UnknownPrompt(Box<str>),
    /// There is no such resource, or the caller may not know of it.
    UnknownResource(Box<str>),
    /// There is no such resource template to complete an argument of.
    UnknownTemplate,
    /// A policy says no to a caller who may know of the thing.
    PolicyDenied {
        /// Which; none where no policy allowed it.
        by: Option<Blame>,
        /// Scopes that a token would need; none where no policy names any that are missing.
        scopes: Vec<Box<str>>,
    },
    /// A policy did not come to an answer, which counts as no.
    PolicyUnavailable,
    /// The guest ran, and a policy keeps its result from the client.
    ResultWithheld {
        /// Which.
        by: Blame,
    },
    /// The session watches as many resources as it may.
    SubscriptionQuota,
    /// Arguments that break the tool's schema, for a revision that calls this an error of the request.
    Arguments(String),
    /// Arguments beyond their size limit.
    ArgumentsTooLarge,
    /// The client cannot answer what the tool needs to ask.
    MissingCapability(Capability),
    /// The tool asks for input, and this version of the gateway cannot carry the question.
    InputNotSupported,
    /// The client did not answer a question in time.
    NoAnswer,
    /// The tool asks again and again.
    TooManyRounds,
    /// No slot was free.
    NoSlot(Refused),
    /// Bodies in flight hold as many bytes as they may.
    BodiesFull,
    /// Those of the tenant do.
    TenantBodiesFull,
    /// The guest was stopped, or fell.
    Fault(Fault),
    /// Calls like this one fall again and again, and are left alone for so long.
    Broken(Duration),
    /// The guest says that it cannot serve the call now.
    Unavailable,
    /// The guest says that it failed.
    GuestFailed,
    /// The guest's result is no valid result; the text is for the log.
    ResultInvalid(String),
    /// The request needs a session and names none.
    SessionRequired,
    /// There is no such session, or it is somebody else's.
    SessionNotFound,
    /// The session's name breaks the rule for names, or there are two.
    SessionMalformed,
    /// The session was initialized before.
    AlreadyInitialized,
    /// There are as many sessions as there may be in the gateway.
    TooManySessions,
    /// There are as many sessions as there may be of the tenant or the principal.
    SessionQuota,
    /// There are as many event streams as there may be of the session, the principal or the tenant.
    StreamQuota,
    /// `Last-Event-ID` names no place in a stream of this session.
    BadEventId,
    /// The process that ran the call died before its end. It is not run again.
    OutcomeUnknown,
    /// The caller has as many tasks as it may have.
    TaskQuota,
    /// There is no such task, or it is somebody else's.
    UnknownTask,
    /// `requestState` was not given out for this, or its time is over.
    BadRequestState,
    /// The store is needed for this, and cannot be used now.
    StoreUnavailable,
    /// Nothing may be called that leaves no line in the journal, and that cannot be written now.
    JournalUnavailable,
    /// Another request with this id is in flight in the session.
    IdInUse,
    /// The session has as many requests in flight as it may have.
    TooManyRequests,
    /// The client cancelled it.
    Cancelled,
    /// An operator has revoked the caller, or what it uses, while it ran.
    Revoked,
    /// The gateway is stopping.
    Draining,
    /// A fault of the gateway's own.
    Internal,
}

impl From<ParamsError> for Failure {
    fn from(error: ParamsError) -> Self {
        Self::Params(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Ladder(refusal)
    }
}

impl Failure {
    /// One word for logs and records, of a closed set.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Body(_) => "body",
            Self::Ladder(_) => "ladder",
            Self::BatchNotAllowed => "batch_not_allowed",
            Self::NotARequest => "not_a_request",
            Self::MethodNotFound(_) => "method_not_found",
            Self::Params(_) => "params",
            Self::BadCursor => "bad_cursor",
            Self::UnknownTool(_) => "unknown_tool",
            Self::UnknownPrompt(_) => "unknown_prompt",
            Self::UnknownResource(_) => "unknown_resource",
            Self::UnknownTemplate => "unknown_template",
            Self::PolicyDenied { .. } => "policy_denied",
            Self::PolicyUnavailable => "policy_unavailable",
            Self::ResultWithheld { .. } => "result_withheld",
            Self::SubscriptionQuota => "subscription_quota",
            Self::Arguments(_) => "arguments",
            Self::ArgumentsTooLarge => "arguments_too_large",
            Self::MissingCapability(_) => "missing_capability",
            Self::InputNotSupported => "input_not_supported",
            Self::NoAnswer => "no_answer",
            Self::TooManyRounds => "too_many_rounds",
            Self::NoSlot(Refused::Tenant) => "tenant_full",
            Self::NoSlot(Refused::Host) => "host_full",
            Self::NoSlot(Refused::Processor) => "processor_full",
            Self::NoSlot(Refused::Memory) => "memory_full",
            Self::NoSlot(Refused::Quota(_)) => "quota",
            Self::BodiesFull => "bodies_full",
            Self::TenantBodiesFull => "tenant_bodies_full",
            Self::Fault(fault) => fault.word(),
            Self::Broken(_) => "broken",
            Self::Unavailable => "unavailable",
            Self::GuestFailed => "guest_failed",
            Self::ResultInvalid(_) => "result_invalid",
            Self::SessionRequired => "session_required",
            Self::SessionNotFound => "session_not_found",
            Self::SessionMalformed => "session_malformed",
            Self::AlreadyInitialized => "already_initialized",
            Self::TooManySessions => "too_many_sessions",
            Self::SessionQuota => "session_quota",
            Self::StreamQuota => "stream_quota",
            Self::BadEventId => "bad_event_id",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::TaskQuota => "task_quota",
            Self::UnknownTask => "unknown_task",
            Self::BadRequestState => "bad_request_state",
            Self::StoreUnavailable => "store_unavailable",
            Self::JournalUnavailable => "journal_unavailable",
            Self::IdInUse => "id_in_use",
            Self::TooManyRequests => "too_many_requests",
            Self::Cancelled => "cancelled",
            Self::Revoked => "revoked",
            Self::Draining => "draining",
            Self::Internal => "internal",
        }
    }

    /// What there was no room in, where it turns load away.
    pub fn stage(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoSlot(refused) => match refused {
                Refused::Tenant => "tenant",
                Refused::Host => "host",
                Refused::Processor => "processor",
                Refused::Memory => "memory",
                Refused::Quota(_) => "quota",
            },
            Self::Fault(Fault::Busy) => "pool",
            Self::Fault(Fault::Resource(Resource::SharedMemory)) => "tenant_memory",
            Self::Fault(Fault::Resource(Resource::HostMemory)) => "memory",
            Self::Broken(_) => "breaker",
            Self::BodiesFull => "bodies",
            Self::TenantBodiesFull => "tenant_bodies",
            Self::TooManySessions => "sessions_host",
            Self::SessionQuota => "sessions",
            Self::StreamQuota => "streams",
            Self::TooManyRequests => "requests",
            Self::TaskQuota => "tasks",
            Self::SubscriptionQuota => "subscriptions",
            Self::Draining => "draining",
            _ => return None,
        })
    }

    /// Whether the guest fell, or came to a limit of its own.
    pub fn is_fall(&self) -> bool {
        match self {
            Self::Fault(Fault::Busy | Fault::Engine(_) | Fault::Resource(Resource::SharedMemory | Resource::HostMemory)) => false,
            Self::Fault(_) => true,
            _ => false,
        }
    }

    /// Whether it names what is not there.
    pub fn is_of_name(&self) -> bool {
        matches!(self, Self::UnknownTool(_) | Self::UnknownPrompt(_) | Self::UnknownResource(_) | Self::UnknownTemplate)
    }

    /// Whether it refuses the request itself, whatever its method would have done.
    pub fn is_of_request(&self) -> bool {
        matches!(
            self,
            Self::Body(_)
                | Self::Ladder(_)
                | Self::BatchNotAllowed
                | Self::NotARequest
                | Self::MethodNotFound(_)
                | Self::Params(_)
                | Self::BadCursor
                | Self::SessionRequired
                | Self::SessionNotFound
                | Self::SessionMalformed
                | Self::AlreadyInitialized
                | Self::BadEventId
                | Self::BodiesFull
                | Self::TenantBodiesFull
        )
    }

    /// The policy behind it, for records.
    pub fn blame(&self) -> Option<&Blame> {
        if let Self::PolicyDenied { by, .. } = self {
            by.as_ref()
        } else if let Self::ResultWithheld { by } = self {
            Some(by)
        } else {
            None
        }
    }
}
