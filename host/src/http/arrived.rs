//! The span of a request: where it belongs, and what may be said of it before its method has a look at it.

use super::inbound;
use crate::auth::Caller;
use crate::catalog::Server;
use crate::method;
use crate::trace::{Arrival, Span};
use axum::http::HeaderMap;
use mcp::meta::TraceContext;
use mcp::params::Params;
use mcp::{Id, Request, Revision};

/// Nothing where no traces are recorded, or not this one. The parent stands in `_meta`, which is what the protocol says; a header counts where
/// `_meta` names none.
pub(super) fn span(
    arrival: Arrival,
    headers: &HeaderMap,
    (request, params): (&Request, &Params<'_>),
    (caller, server): (&Caller, &Server),
) -> Span {
    let parent = || {
        let said = TraceContext::of_params(params);
        if said.traceparent.is_some() { said } else { inbound::trace(headers) }
    };
    let span = arrival.request(method::known(&request.method), parent);
    span.text("gatehouse.tenant", caller.tenant().id.as_str());
    if let Some(id) = &server.id {
        span.text("gatehouse.server", id.as_str());
    }
    // A text is of the client's choice, and may be anything.
    if let Id::Number(number) = &request.id {
        span.shown("jsonrpc.request.id", number);
    }
    span
}

/// In which words it is answered.
pub(super) fn speaks(span: &Span, revision: Revision) {
    span.word("mcp.protocol.version", revision.as_str());
}
