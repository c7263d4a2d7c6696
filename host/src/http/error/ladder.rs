//! The ladder of protocol 1.4 as one table, to be held beside that page: what must hold of a request, from top to bottom as it is looked at, and
//! what is answered by the first rung that does not. Every refusal of these layers takes its status from here.
//!
//! `tests/integration/ladder.rs` has a row for each rung, and looks here for those that it has none of.

use crate::failure::Failure;
use axum::http::StatusCode;
use mcp::json::JsonErrorKind;
use mcp::jsonrpc::ParseErrorKind;
use mcp::modern::{self, Refusal};
use mcp::{Era, ErrorCode};

/// One rung.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Rung {
    /// Its name in protocol 1.4.
    pub(in crate::http) clause: &'static str,
    /// What must hold.
    pub(in crate::http) demands: &'static str,
    pub(in crate::http) status: StatusCode,
    /// The JSON-RPC error; none: HTTP's own refusal, in a line of text.
    pub(in crate::http) code: Option<ErrorCode>,
    /// That line. An error's message says what is wrong with this very request.
    pub(in crate::http) says: &'static str,
}

const fn http(clause: &'static str, demands: &'static str, status: StatusCode, says: &'static str) -> Rung {
    Rung { clause, demands, status, code: None, says }
}

const fn rpc(clause: &'static str, demands: &'static str, status: StatusCode, code: ErrorCode) -> Rung {
    Rung { clause, demands, status, code: Some(code), says: "" }
}

use ErrorCode as E;
use StatusCode as S;

// HTTP, both eras. Host and origin come first, so that a page of somewhere else learns nothing, not even which paths there are.
pub(in crate::http) const HOST_MALFORMED: Rung = http("H2", "one host", S::BAD_REQUEST, "the request must name one host\n");
pub(in crate::http) const HOST: Rung = http("H2", "a host of ours", S::FORBIDDEN, "this host is not served; see http.allowed_hosts\n");
pub(in crate::http) const ORIGIN_REPEATED: Rung = http("H3", "one origin", S::BAD_REQUEST, "the request must name one origin\n");
pub(in crate::http) const ORIGIN: Rung =
    http("H3", "an allowed origin", S::FORBIDDEN, "this origin may not call; see http.allowed_origins\n");
pub(in crate::http) const TARGET_LENGTH: Rung = http("limits", "a short target", S::URI_TOO_LONG, "the request target is too long\n");
pub(in crate::http) const HEAD_LENGTH: Rung =
    http("limits", "a short head", S::REQUEST_HEADER_FIELDS_TOO_LARGE, "the header fields are too large\n");
pub(in crate::http) const PATH: Rung = http("H1", "a path of ours", S::NOT_FOUND, "not found\n");
pub(in crate::http) const VERB: Rung = http("H6", "POST, GET or DELETE", S::METHOD_NOT_ALLOWED, "method not allowed\n");
pub(in crate::http) const SESSION_VERB: Rung =
    http("H7", "GET and DELETE in the legacy era", S::METHOD_NOT_ALLOWED, "method not allowed\n");
pub(in crate::http) const MEDIA_TYPE: Rung =
    http("H9", "JSON in UTF-8", S::UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json, not compressed\n");
pub(in crate::http) const ACCEPT: Rung =
    http("H10", "a form that we have", S::NOT_ACCEPTABLE, "accept application/json, text/event-stream or both\n");
pub(in crate::http) const ACCEPT_EVENTS: Rung =
    http("H10", "events, where nothing else will do", S::NOT_ACCEPTABLE, "this is answered as an event stream: accept text/event-stream\n");
pub(in crate::http) const BODY_LENGTH: Rung = http("H8", "a short body", S::PAYLOAD_TOO_LARGE, "the body is too large\n");
pub(in crate::http) const BODY_PACE: Rung = http("H8", "a body in time", S::REQUEST_TIMEOUT, "the body came too slowly\n");
pub(in crate::http) const BODY_WHOLE: Rung = http("H8", "a whole body", S::BAD_REQUEST, "the body is broken\n");
pub(in crate::http) const JSON: Rung = rpc("H11", "JSON", S::BAD_REQUEST, E::PARSE_ERROR);

// Messages.
pub(in crate::http) const BATCH: Rung = rpc("M1", "a batch in a session of 2025-03-26, whole, or none", S::BAD_REQUEST, E::INVALID_REQUEST);
pub(in crate::http) const MESSAGE: Rung = rpc("M2", "a JSON-RPC 2.0 message within limits", S::BAD_REQUEST, E::INVALID_REQUEST);
pub(in crate::http) const RESPONSE: Rung = rpc("M3", "a response that somebody waits for", S::BAD_REQUEST, E::INVALID_REQUEST);
pub(in crate::http) const NOTIFICATION: Rung = rpc("M4", "no request without an id", S::BAD_REQUEST, E::INVALID_REQUEST);

// E1 to E4 choose the road. What they refuse is told as by rungs 2 and 5.

// Modern.
pub(in crate::http) const META: Rung = rpc("1", "_meta with pv and cc", S::BAD_REQUEST, E::INVALID_PARAMS);
pub(in crate::http) const VERSION_HEADER: Rung = rpc("2", "MCP-Protocol-Version is pv", S::BAD_REQUEST, E::HEADER_MISMATCH);
pub(in crate::http) const METHOD_HEADER: Rung = rpc("3", "Mcp-Method is the method", S::BAD_REQUEST, E::HEADER_MISMATCH);
pub(in crate::http) const NAME_HEADER: Rung = rpc("4", "Mcp-Name is the name, the URI or the task", S::BAD_REQUEST, E::HEADER_MISMATCH);
pub(in crate::http) const ONE_EACH: Rung = rpc("4b", "none of the three twice", S::BAD_REQUEST, E::HEADER_MISMATCH);
pub(in crate::http) const SERVED: Rung = rpc("5", "a version that is served", S::BAD_REQUEST, E::UNSUPPORTED_VERSION);
pub(in crate::http) const PARAM_HEADERS: Rung = rpc("6", "Mcp-Param-* are the arguments", S::BAD_REQUEST, E::HEADER_MISMATCH);
pub(in crate::http) const METHOD: Rung = rpc("7", "a method that there is", S::NOT_FOUND, E::METHOD_NOT_FOUND);
pub(in crate::http) const CAPABILITY: Rung = rpc("8", "a client that can what it takes", S::BAD_REQUEST, E::MISSING_CLIENT_CAPABILITY);
pub(in crate::http) const PARAMS: Rung = rpc("9", "parameters, names and cursors that there are", S::OK, E::INVALID_PARAMS);
pub(in crate::http) const WORKS: Rung = rpc("10", "nothing of ours fails", S::OK, E::INTERNAL_ERROR);

/// The word of one of HTTP's own, for metrics.
pub(in crate::http) fn word(rung: &Rung) -> &'static str {
    let words = [
        (HOST_MALFORMED, "host_malformed"),
        (HOST, "host"),
        (ORIGIN_REPEATED, "origin_repeated"),
        (ORIGIN, "origin"),
        (TARGET_LENGTH, "target_length"),
        (HEAD_LENGTH, "head_length"),
        (PATH, "path"),
        (VERB, "verb"),
        (SESSION_VERB, "session_verb"),
        (MEDIA_TYPE, "media_type"),
        (ACCEPT, "accept"),
        (ACCEPT_EVENTS, "accept_events"),
        (BODY_LENGTH, "body_length"),
        (BODY_PACE, "body_pace"),
        (BODY_WHOLE, "body_whole"),
    ];
    words.into_iter().find(|(known, _)| known == rung).map_or("other", |(_, word)| word)
}

/// The rung that a failure is of, if it is of the ladder. The handshake era has no statuses for what a method finds.
pub(in crate::http) fn of(failure: &Failure, era: Era) -> Option<&'static Rung> {
    Some(match failure {
        Failure::Body(error) => match &error.kind {
            ParseErrorKind::Json(error) if error.kind == JsonErrorKind::NotJson => &JSON,
            ParseErrorKind::EmptyBatch
            | ParseErrorKind::BatchTooLong
            | ParseErrorKind::BatchElement
            | ParseErrorKind::ModernInBatch
            | ParseErrorKind::InitializeInBatch => &BATCH,
            _ => &MESSAGE,
        },
        Failure::BatchNotAllowed => &BATCH,
        Failure::NotARequest => &NOTIFICATION,
        Failure::Ladder(refusal) => match refusal {
            Refusal::MetaMissing { .. } | Refusal::Meta(_) => &META,
            Refusal::Header { header, fault: modern::HeaderFault::Repeated } if is_one_of_three(header) => &ONE_EACH,
            Refusal::Header { header, .. } if **header == *modern::VERSION_HEADER => &VERSION_HEADER,
            Refusal::Header { header, .. } if **header == *modern::METHOD_HEADER => &METHOD_HEADER,
            Refusal::Header { header, .. } if **header == *modern::NAME_HEADER => &NAME_HEADER,
            Refusal::Header { .. } => &PARAM_HEADERS,
            Refusal::UnsupportedVersion { .. } => &SERVED,
            Refusal::UnexpectedResponse => &RESPONSE,
        },
        Failure::Params(error) if error.in_meta() => &META,
        Failure::MethodNotFound(_) if era == Era::Modern => &METHOD,
        Failure::MissingCapability(_) if era == Era::Modern => &CAPABILITY,
        Failure::Params(_) | Failure::BadCursor | Failure::UnknownTool(_) | Failure::UnknownPrompt(_) | Failure::UnknownTemplate => &PARAMS,
        Failure::GuestFailed => &WORKS,
        _ => return None,
    })
}

fn is_one_of_three(header: &str) -> bool {
    [modern::VERSION_HEADER, modern::METHOD_HEADER, modern::NAME_HEADER].contains(&header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::map;
    use mcp::capability::Capability;

    #[test]
    fn what_a_rung_says_is_what_is_answered() {
        let header = |header: &str, fault| Failure::Ladder(Refusal::Header { header: header.into(), fault });
        let body = |text: &str| Failure::Body(mcp::jsonrpc::parse(text.as_bytes(), &mcp::JsonLimits::default()).expect_err("refused"));
        let table = [
            (body("{"), &JSON),
            (body("[]"), &BATCH),
            (body("7"), &MESSAGE),
            (body(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#), &MESSAGE),
            (Failure::BatchNotAllowed, &BATCH),
            (Failure::NotARequest, &NOTIFICATION),
            (Failure::Ladder(Refusal::UnexpectedResponse), &RESPONSE),
            (Failure::Ladder(Refusal::MetaMissing { protocol_version: true, client_capabilities: false }), &META),
            (header(modern::VERSION_HEADER, modern::HeaderFault::Absent), &VERSION_HEADER),
            (header(modern::METHOD_HEADER, modern::HeaderFault::Absent), &METHOD_HEADER),
            (header(modern::NAME_HEADER, modern::HeaderFault::Unmatched), &NAME_HEADER),
            (header(modern::NAME_HEADER, modern::HeaderFault::Repeated), &ONE_EACH),
            (header("Mcp-Param-X", modern::HeaderFault::Repeated), &PARAM_HEADERS),
            (Failure::Ladder(Refusal::UnsupportedVersion { requested: "v".into() }), &SERVED),
            (Failure::MethodNotFound("m".into()), &METHOD),
            (Failure::MissingCapability(Capability::Roots), &CAPABILITY),
            (Failure::UnknownTool("t".into()), &PARAMS),
            (Failure::BadCursor, &PARAMS),
            (Failure::GuestFailed, &WORKS),
        ];
        for (failure, rung) in table {
            let mapped = map(&failure, Era::Modern);
            assert_eq!(of(&failure, Era::Modern), Some(rung), "{failure:?}");
            assert_eq!((mapped.status, Some(mapped.error.code)), (rung.status, rung.code), "{failure:?}");
        }
    }
}
