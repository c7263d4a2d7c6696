//! The one table from failures to HTTP statuses and JSON-RPC errors (reliability 2.1, protocol 1.4 and 2.2).
//!
//! Public texts carry no path, no cause and nothing of a guest's own words.

use super::body::NoBody;
pub(super) mod ladder;
pub(super) mod later;

use super::origin::NotAnswered;
use super::room::Unread;
use crate::failure::Failure;
use crate::metrics;
use crate::outbox::End;
use crate::tenant::{Exceeded, Quantity, Refused, Whose};
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use ladder::Rung;
use mcp::{Era, ErrorCode, ErrorObject, Id};
use sandbox::Fault;

/// A status and an error.
pub(super) struct Mapped {
    pub(super) status: StatusCode,
    pub(super) error: ErrorObject,
    retry_after_s: Option<u32>,
}

const SESSION_QUOTA: &str = "The caller has as many sessions in use as it may have; end one with DELETE";

const BROKEN: &str =
    "The plugin failed many of your calls of this lately, and is left alone for a while; try again later, or tell its operator";
const OUTCOME_UNKNOWN: &str =
    "The gateway was restarted while the plugin ran; whether it did its work is unknown, and it was not run again";

const REVOKED: &str = "The operator has revoked this; it was stopped, and what it did until then is unknown";

const WITHHELD: &str = "The policy withholds the result";

const BODIES_FULL: &str = "Requests hold as much memory as they may; try again later";

const TENANT_BODIES_FULL: &str = "The tenant's requests hold as much memory as they may; try again later";

const STORE_UNAVAILABLE: &str = "The gateway cannot use its store now; try again later";

const JOURNAL_UNAVAILABLE: &str = "The gateway cannot write its journal now; try again later";

/// Looks a failure up.
pub(super) fn map(failure: &Failure, era: Era) -> Mapped {
    use StatusCode as S;
    let modern = match era {
        Era::Modern => true,
        Era::Legacy => false,
    };
    let object = |status, error| Mapped { status, error, retry_after_s: None };
    let plain = |status, code, text: &str| object(status, ErrorObject::new(code, text));
    let come_again =
        |status, code, text: &str| Mapped { status, error: ErrorObject::new(code, text), retry_after_s: Some(later::after_s(1)) };
    // The ladder's own table has the statuses of its rungs.
    let rung = ladder::of(failure, era).map_or(S::OK, |rung| rung.status);
    match failure {
        Failure::Body(error) => object(rung, error.error()),
        Failure::Ladder(refusal) => object(rung, refusal.error()),
        Failure::BatchNotAllowed => {
            plain(rung, ErrorCode::INVALID_REQUEST, "Batches are accepted only in sessions of protocol version 2025-03-26")
        }
        Failure::NotARequest => plain(rung, ErrorCode::INVALID_REQUEST, "This method is a request and needs an id"),
        Failure::MethodNotFound(method) => object(rung, ErrorObject::method_not_found(method)),
        Failure::Params(error) => object(rung, error.error()),
        Failure::BadCursor => plain(rung, ErrorCode::INVALID_PARAMS, "params.cursor is not one that this server gave out"),
        Failure::UnknownTool(name) => object(rung, ErrorObject::unknown_tool(name)),
        Failure::UnknownPrompt(name) => object(rung, ErrorObject::unknown_prompt(name)),
        Failure::UnknownResource(uri) => object(S::OK, ErrorObject::resource_not_found(uri, era)),
        Failure::UnknownTemplate => plain(rung, ErrorCode::INVALID_PARAMS, "params.ref.uri names no resource template of this server"),
        Failure::PolicyDenied { .. } => plain(S::FORBIDDEN, ErrorCode::POLICY_DENIED, "The policy does not allow this"),
        Failure::PolicyUnavailable => come_again(
            S::SERVICE_UNAVAILABLE,
            ErrorCode::POLICY_UNAVAILABLE,
            "The policy could not be asked, which counts as no; try again later",
        ),
        // The guest did its work: nothing that invites to do it again.
        Failure::ResultWithheld { .. } => object(S::OK, ErrorObject::new(ErrorCode::POLICY_DENIED, WITHHELD).with_kind("result_withheld")),
        Failure::SubscriptionQuota => {
            plain(S::TOO_MANY_REQUESTS, ErrorCode::QUOTA, "The session watches as many resources as it may; unsubscribe from one")
        }
        Failure::Arguments(text) => plain(S::OK, ErrorCode::INVALID_PARAMS, text),
        Failure::ArgumentsTooLarge => object(S::BAD_REQUEST, ErrorObject::arguments_too_large()),
        Failure::MissingCapability(capability) if modern => object(rung, ErrorObject::missing_capability(capability)),
        Failure::MissingCapability(capability) => {
            plain(S::OK, ErrorCode::INVALID_PARAMS, &format!("This needs the client capability {capability}"))
        }
        Failure::InputNotSupported => {
            plain(S::OK, ErrorCode::INTERNAL_ERROR, "The plugin asks for input, which needs a session and an event stream")
        }
        Failure::NoAnswer => plain(S::OK, ErrorCode::INTERNAL_ERROR, "The plugin asked for input, and no answer came in time"),
        Failure::TooManyRounds => plain(S::OK, ErrorCode::INTERNAL_ERROR, "The plugin asked for input too many times"),
        Failure::NoSlot(refused) => no_slot(refused),
        Failure::BodiesFull => come_again(S::SERVICE_UNAVAILABLE, ErrorCode::OVERLOADED, BODIES_FULL),
        Failure::TenantBodiesFull => come_again(S::TOO_MANY_REQUESTS, ErrorCode::QUOTA, TENANT_BODIES_FULL),
        Failure::Fault(fault) => self::fault(fault),
        Failure::Broken(wait) => Mapped {
            retry_after_s: Some(later::after_s(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX))),
            ..plain(S::SERVICE_UNAVAILABLE, ErrorCode::PLUGIN_UNAVAILABLE, BROKEN)
        },
        Failure::Unavailable => {
            come_again(S::SERVICE_UNAVAILABLE, ErrorCode::PLUGIN_UNAVAILABLE, "The plugin is not available now; try again later")
        }
        Failure::GuestFailed => plain(S::OK, ErrorCode::INTERNAL_ERROR, "The plugin failed for a reason of its own"),
        Failure::ResultInvalid(_) => {
            plain(S::OK, ErrorCode::RESULT_INVALID, "The plugin gave a result that breaks its own schema or is no valid result")
        }
        Failure::SessionRequired => {
            plain(S::BAD_REQUEST, ErrorCode::INVALID_REQUEST, "The header Mcp-Session-Id is missing; begin with initialize")
        }
        Failure::SessionNotFound => plain(S::NOT_FOUND, ErrorCode::INVALID_REQUEST, "Session not found"),
        Failure::SessionMalformed => {
            plain(S::BAD_REQUEST, ErrorCode::INVALID_REQUEST, "The header Mcp-Session-Id must stand once and hold visible ASCII")
        }
        Failure::AlreadyInitialized => plain(S::BAD_REQUEST, ErrorCode::INVALID_REQUEST, "The session is initialized already"),
        Failure::TooManySessions => {
            come_again(S::SERVICE_UNAVAILABLE, ErrorCode::OVERLOADED, "There are as many sessions as there may be; try again later")
        }
        Failure::SessionQuota => {
            Mapped { retry_after_s: Some(later::after_s(30)), ..plain(S::TOO_MANY_REQUESTS, ErrorCode::QUOTA, SESSION_QUOTA) }
        }
        Failure::StreamQuota => {
            come_again(S::TOO_MANY_REQUESTS, ErrorCode::QUOTA, "As many event streams are open as the session or its owner may have")
        }
        Failure::BadEventId => {
            plain(S::BAD_REQUEST, ErrorCode::BAD_EVENT_ID, "Last-Event-ID names no event of this session that can be resumed from")
        }
        Failure::OutcomeUnknown => plain(S::OK, ErrorCode::OUTCOME_UNKNOWN, OUTCOME_UNKNOWN),
        Failure::TaskQuota => come_again(S::TOO_MANY_REQUESTS, ErrorCode::QUOTA, "The caller has as many tasks as it may have"),
        Failure::UnknownTask => plain(S::OK, ErrorCode::INVALID_PARAMS, "params.taskId names no task of this caller"),
        Failure::BadRequestState => {
            plain(S::OK, ErrorCode::INVALID_PARAMS, "params.requestState was not given out for this request, or its time is over")
        }
        Failure::StoreUnavailable => come_again(S::SERVICE_UNAVAILABLE, ErrorCode::OVERLOADED, STORE_UNAVAILABLE),
        Failure::JournalUnavailable => come_again(S::SERVICE_UNAVAILABLE, ErrorCode::OVERLOADED, JOURNAL_UNAVAILABLE),
        Failure::IdInUse => plain(S::BAD_REQUEST, ErrorCode::INVALID_REQUEST, "Another request with this id is in flight"),
        Failure::TooManyRequests => {
            come_again(S::TOO_MANY_REQUESTS, ErrorCode::QUOTA, "The session has as many requests in flight as it may have")
        }
        Failure::Cancelled => plain(S::OK, ErrorCode::REQUEST_CANCELLED, "Request cancelled"),
        Failure::Revoked => plain(S::FORBIDDEN, ErrorCode::REVOKED, REVOKED),
        Failure::Draining => come_again(S::SERVICE_UNAVAILABLE, ErrorCode::DRAINING, "The gateway is stopping; try again later"),
        Failure::Internal => plain(S::INTERNAL_SERVER_ERROR, ErrorCode::INTERNAL_ERROR, "Internal error"),
    }
}

fn fault(fault: &Fault) -> Mapped {
    let (code, text, kind) = match fault {
        Fault::WallTime { limit } => {
            (ErrorCode::TOOL_TIMEOUT, format!("The plugin was stopped after {} ms", limit.as_millis()), "wall_time")
        }
        Fault::CpuTime { limit } => {
            (ErrorCode::TOOL_TIMEOUT, format!("The plugin was stopped after {} ms of processor time", limit.as_millis()), "cpu_time")
        }
        Fault::Resource(sandbox::Resource::Stack) => (ErrorCode::TOOL_TRAP, "The plugin ran out of stack".to_owned(), "stack_exhausted"),
        Fault::Resource(sandbox::Resource::SharedMemory) => {
            let error = ErrorObject::new(
                ErrorCode::QUOTA,
                "The plugin was stopped: the tenant's calls have all the memory that they may have; try again later",
            );
            return Mapped {
                status: StatusCode::TOO_MANY_REQUESTS,
                error: error.with_kind("quota"),
                retry_after_s: Some(later::after_s(1)),
            };
        }
        Fault::Resource(sandbox::Resource::HostMemory) => {
            let error = ErrorObject::new(
                ErrorCode::OVERLOADED,
                "The plugin was stopped: all calls together have all the memory that they may have; try again later",
            );
            return Mapped { status: StatusCode::SERVICE_UNAVAILABLE, error, retry_after_s: Some(later::after_s(1)) };
        }
        Fault::Resource(resource) => (ErrorCode::RESOURCE_LIMIT, format!("The plugin ran out of {resource}"), "resource_limit"),
        Fault::ResultTooLarge { limit, .. } => {
            (ErrorCode::RESULT_TOO_BIG, format!("The result is larger than {limit} bytes"), "result_too_big")
        }
        Fault::Trap(_) | Fault::Exit(_) => (ErrorCode::TOOL_TRAP, "The plugin crashed".to_owned(), "tool_trap"),
        Fault::Busy => {
            let error = ErrorObject::new(ErrorCode::OVERLOADED, "No instance is free to run the plugin; try again later");
            return Mapped { status: StatusCode::SERVICE_UNAVAILABLE, error, retry_after_s: Some(later::after_s(1)) };
        }
        Fault::Engine(_) => {
            let error = ErrorObject::new(ErrorCode::INTERNAL_ERROR, "Internal error");
            return Mapped { status: StatusCode::INTERNAL_SERVER_ERROR, error, retry_after_s: None };
        }
    };
    Mapped { status: StatusCode::OK, error: ErrorObject::new(code, text).with_kind(kind), retry_after_s: None }
}

fn no_slot(refused: &Refused) -> Mapped {
    let (status, code, text) = match refused {
        Refused::Tenant => {
            (StatusCode::TOO_MANY_REQUESTS, ErrorCode::QUOTA, "As many calls are in flight as the tenant may have; try again later")
        }
        Refused::Host => {
            (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::OVERLOADED, "As many calls are in flight as the gateway may have; try again later")
        }
        Refused::Processor => {
            (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::OVERLOADED, "Too many of the tenant's calls compute at once; try again later")
        }
        Refused::Memory => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::OVERLOADED, "The gateway is short of memory; try again later"),
        Refused::Quota(exceeded) => return quota(exceeded),
    };
    Mapped { status, error: ErrorObject::new(code, text), retry_after_s: Some(later::after_s(1)) }
}

/// Which quota is used up, and when it is worth to come again.
fn quota(exceeded: &Exceeded) -> Mapped {
    let whose = match exceeded.whose {
        Whose::Tenant => "the tenant's",
        Whose::Server => "the tenant's at this server",
        Whose::Principal => "the caller's",
        Whose::Tool => "the tenant's with this tool",
    };
    let what = match exceeded.quantity {
        Quantity::InFlight => "calls in flight",
        Quantity::Calls => "calls per second",
        Quantity::Cpu => "processor time per minute",
        Quantity::Memory => "memory per minute",
        Quantity::BytesOut => "bytes per minute",
        // No call is refused for it: its requests are.
        Quantity::Egress => "requests per minute",
        Quantity::Sessions => "sessions",
        Quantity::Streams => "event streams",
    };
    // Rounded up. What it waits for leaks steadily, so that some of a long time is worth a try.
    let wait_s = later::after_s(u32::try_from(exceeded.wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1));
    let error = ErrorObject::new(ErrorCode::QUOTA, format!("A quota is used up, {whose}: {what}; try again in {wait_s} s"));
    Mapped { status: StatusCode::TOO_MANY_REQUESTS, error: error.with_kind("quota"), retry_after_s: Some(wait_s) }
}

/// What a failure says in public, for a command that shows it without HTTP.
pub fn public_error(failure: &Failure) -> ErrorObject {
    map(failure, Era::Modern).error
}

/// The code of a failure's error, for records that have no other words of it.
pub fn public_code(failure: &Failure, era: Era) -> i32 {
    map(failure, era).error.code.get()
}

/// The end of a call as a whole message.
pub(super) fn message(id: &Id, end: End, era: Era) -> Vec<u8> {
    match end {
        Ok(result) => mcp::write::success(id, &result),
        Err(failure) => {
            count(&failure);
            mcp::write::failure(Some(id), &map(&failure, era).error)
        }
    }
}

/// A client is told of it.
fn count(failure: &Failure) {
    if let Some(stage) = failure.stage() {
        metrics::SHED.count(stage);
    }
}

/// Scopes that a refused request needs, for the challenge that goes with its response.
#[derive(Debug, Clone)]
pub(super) struct NeededScopes(pub(super) Vec<Box<str>>);

/// A failure as a whole response.
pub(super) fn response(id: Option<&Id>, failure: &Failure, era: Era) -> Response<Body> {
    let mapped = map(failure, era);
    if failure.is_of_request() {
        metrics::HTTP_REJECTED.count(failure.word());
    }
    count(failure);
    let mut response = json(mapped.status, mcp::write::failure(id, &mapped.error));
    if let Failure::PolicyDenied { scopes, .. } = failure {
        response.extensions_mut().insert(NeededScopes(scopes.clone()));
    }
    if let Some(seconds) = mapped.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A JSON body. What a caller was shown is for nobody else to keep.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A refusal of HTTP's own, in one line of text.
pub(super) fn refusal(rung: &Rung) -> Response<Body> {
    metrics::HTTP_REJECTED.count(ladder::word(rung));
    let mut response = Response::new(Body::from(rung.says));
    *response.status_mut() = rung.status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// As [`refusal`], and the connection ends: what is left of the request is not worth reading.
pub(super) fn final_refusal(rung: &Rung) -> Response<Body> {
    last(refusal(rung))
}

/// The connection ends with it.
fn last(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A method that the endpoint does not have here.
pub(super) fn method_not_allowed(rung: &Rung, allow: &'static str) -> Response<Body> {
    let mut response = refusal(rung);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

impl From<NoBody> for &'static Rung {
    fn from(reason: NoBody) -> Self {
        match reason {
            NoBody::TooLarge => &ladder::BODY_LENGTH,
            NoBody::TooSlow => &ladder::BODY_PACE,
            NoBody::Broken => &ladder::BODY_WHOLE,
        }
    }
}

impl From<Unread> for Response<Body> {
    fn from(reason: Unread) -> Self {
        match reason {
            Unread::NoBody(reason) => final_refusal(reason.into()),
            Unread::Full => last(response(None, &Failure::BodiesFull, Era::Legacy)),
            Unread::TenantFull => last(response(None, &Failure::TenantBodiesFull, Era::Legacy)),
        }
    }
}

impl From<NotAnswered> for &'static Rung {
    fn from(reason: NotAnswered) -> Self {
        match reason {
            NotAnswered::HostMalformed => &ladder::HOST_MALFORMED,
            NotAnswered::OriginRepeated => &ladder::ORIGIN_REPEATED,
            NotAnswered::HostForeign => &ladder::HOST,
            NotAnswered::OriginForeign => &ladder::ORIGIN,
        }
    }
}

impl From<NotAnswered> for Response<Body> {
    fn from(reason: NotAnswered) -> Self {
        final_refusal(reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_counted_by_its_name() {
        let exceeded = Exceeded::open(Whose::Tenant, Quantity::Sessions);
        let all = [
            Failure::NoSlot(Refused::Tenant),
            Failure::NoSlot(Refused::Host),
            Failure::NoSlot(Refused::Processor),
            Failure::NoSlot(Refused::Memory),
            Failure::Fault(Fault::Resource(sandbox::Resource::SharedMemory)),
            Failure::Fault(Fault::Resource(sandbox::Resource::HostMemory)),
            Failure::BodiesFull,
            Failure::TenantBodiesFull,
            Failure::NoSlot(Refused::Quota(exceeded)),
            Failure::Fault(Fault::Busy),
            Failure::TooManySessions,
            Failure::SessionQuota,
            Failure::StreamQuota,
            Failure::TooManyRequests,
            Failure::TaskQuota,
            Failure::SubscriptionQuota,
            Failure::Draining,
        ];
        let known: Vec<_> = metrics::SHED.each().map(|(word, _)| word).collect();
        for failure in all {
            assert!(failure.stage().is_some_and(|stage| known.contains(&stage)), "{failure:?}");
        }
        assert_eq!(Failure::Internal.stage(), None);
    }
}
