//! Calls of both eras, as bytes.

use crate::load::{ID_PLACEHOLDER, Request};
use serde_json::{Value, json};

/// Of 2026-07-28.
pub(crate) fn modern_call(tool: &str, arguments: &Value, authorization: Option<&str>) -> Request {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool)];
    headers.extend(authorization.map(|value| ("authorization", value)));
    Request::post("/mcp", &headers, &body)
}

/// An echo of so many bytes, of 2026-07-28.
pub(crate) fn modern_echo(bytes: usize, authorization: Option<&str>) -> Request {
    modern_call("echo", &message(bytes), authorization)
}

/// An echo of so many bytes in a session of 2025-11-25. One id for all connections would be a duplicate in flight, so each connection's
/// requests get their own.
pub(crate) fn legacy_echo(bytes: usize, session: &str) -> Request {
    legacy_call(&json!({ "name": "echo", "arguments": message(bytes) }), session)
}

/// The same, but it says on its way how far it is: the answer is an event stream of two events, each kept before it is shown.
pub(crate) fn legacy_stream(bytes: usize, session: &str) -> Request {
    let arguments = json!({ "message": "x".repeat(bytes), "n": 1 });
    legacy_call(&json!({ "name": "slow_count", "arguments": arguments, "_meta": { "progressToken": ID_PLACEHOLDER } }), session)
}

/// The same of the guest that has next to nothing to do.
pub(crate) fn telling_stream(bytes: usize, session: &str) -> Request {
    legacy_call(&json!({ "name": "telling_echo", "arguments": message(bytes), "_meta": { "progressToken": ID_PLACEHOLDER } }), session)
}

fn legacy_call(params: &Value, session: &str) -> Request {
    let body = json!({ "jsonrpc": "2.0", "id": ID_PLACEHOLDER, "method": "tools/call", "params": params });
    Request::post("/mcp", &[("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")], &body)
}

/// An echo of so many bytes of the bare route.
pub(crate) fn bare_echo(bytes: usize) -> Request {
    Request::post("/echo", &[], &json!({ "jsonrpc": "2.0", "id": 1, "params": message(bytes) }))
}

/// The arguments of an echo of so many bytes.
pub(crate) fn message(bytes: usize) -> Value {
    json!({ "message": "x".repeat(bytes) })
}
