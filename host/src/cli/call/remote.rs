//! Calling a tool of a running gateway, as a client of 2026-07-28: two requests, no session.

use super::arguments::Given;
use super::{refused, show_progress};
use crate::cli::{Failed, mirrored};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader};
use std::time::Duration;

const REVISION: &str = "2026-07-28";
/// Longer than any call may take.
const TIMEOUT: Duration = Duration::from_secs(330);
/// Of one list.
const PAGES_MAX: usize = 10_000;
/// Of one line of an answer.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// A gateway, and how it is talked to.
struct Gateway<'a> {
    agent: ureq::Agent,
    url: &'a str,
    /// As a header has it.
    authorization: Option<String>,
}

pub(super) fn call(url: &str, token: Option<&str>, tool: &str, given: Given) -> Result<Map<String, Value>, Failed> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .build()
        .into();
    let gateway = Gateway { agent, url, authorization: token.map(|token| format!("Bearer {token}")) };
    let tools = list(&gateway)?;
    let named = |wanted: &&Value| wanted.get("name").and_then(Value::as_str) == Some(tool);
    let Some(found) = tools.iter().find(named) else {
        let names: Vec<_> = tools.iter().filter_map(|tool| tool.get("name").and_then(Value::as_str)).collect();
        let names = if names.is_empty() { "none for this caller".to_owned() } else { names.join(", ") };
        return Err(Failed::other(format!("{url} has no tool `{tool}`; it has {names}")));
    };
    let arguments = given.resolve(found.get("inputSchema"));
    let mut headers = mirrored::headers(found.get("inputSchema"), &arguments);
    headers.push(("mcp-name".to_owned(), mcp::header::encode(tool).into_owned()));
    let mut params = Map::new();
    params.insert("name".to_owned(), tool.into());
    params.insert("arguments".to_owned(), arguments.into());
    request(&gateway, "tools/call", &headers, params)
}

/// All pages of the tools.
fn list(gateway: &Gateway<'_>) -> Result<Vec<Value>, Failed> {
    let (mut tools, mut params) = (Vec::new(), Map::new());
    for _ in 0..PAGES_MAX {
        let mut page = request(gateway, "tools/list", &[], params)?;
        if let Some(Value::Array(items)) = page.remove("tools") {
            tools.extend(items);
        }
        let Some(cursor) = page.remove("nextCursor") else { return Ok(tools) };
        params = Map::from_iter([("cursor".to_owned(), cursor)]);
    }
    Err(Failed::other(format!("{} lists tools without end", gateway.url)))
}

fn request(
    gateway: &Gateway<'_>,
    method: &str,
    headers: &[(String, String)],
    mut params: Map<String, Value>,
) -> Result<Map<String, Value>, Failed> {
    let meta = json!({
        mcp::meta::PROTOCOL_VERSION: REVISION,
        mcp::meta::CLIENT_CAPABILITIES: {},
        mcp::meta::CLIENT_INFO: { "name": "gatehouse-call", "version": env!("CARGO_PKG_VERSION") },
        "progressToken": 1,
    });
    params.insert("_meta".to_owned(), meta);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let url = gateway.url;
    let mut request = gateway
        .agent
        .post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", REVISION)
        .header("mcp-method", method);
    if let Some(authorization) = &gateway.authorization {
        request = request.header("authorization", authorization);
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let failed =
        |error: &dyn std::fmt::Display| Failed::other(format!("{url}: {error}; is the gateway running? `gatehouse serve` starts it"));
    let mut response = request.send(&body).map_err(|error| failed(&error))?;
    let status = response.status();
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let body = response.body_mut().with_config().limit(LINE_BYTES_MAX).reader();
    if kind.starts_with("text/event-stream") {
        return events(BufReader::new(body)).map_err(|error| failed(&error))?;
    }
    let text = std::io::read_to_string(body).map_err(|error| failed(&error))?;
    if status.as_u16() == 401 {
        let why = match &gateway.authorization {
            None => "it wants a token: give --token-file FILE",
            Some(_) => "the token does not count there; `gatehouse token inspect` says why",
        };
        return Err(Failed::other(format!("{url} answered {status}: {why}")));
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(message) => ended(&message).unwrap_or_else(|| Err(Failed::other(format!("{url} answered {status} without a result")))),
        Err(_) => Err(Failed::other(format!("{url} answered {status}: {}", mcp::text::line(text.trim(), 300)))),
    }
}

/// Reads events up to the answer, and shows progress on the way.
fn events(body: impl BufRead) -> std::io::Result<Result<Map<String, Value>, Failed>> {
    for line in body.lines() {
        let line = line?;
        let Some(data) = line.strip_prefix("data:") else { continue };
        let message: Value = serde_json::from_str(data.trim_start()).unwrap_or_default();
        if let Some(end) = ended(&message) {
            return Ok(end);
        }
        if message.get("method").and_then(Value::as_str) == Some("notifications/progress") {
            show_progress(message.get("params").unwrap_or(&Value::Null));
        }
    }
    Ok(Err(Failed::other("the connection ended before the answer")))
}

/// The result or the error of a message that is an answer.
fn ended(message: &Value) -> Option<Result<Map<String, Value>, Failed>> {
    match (message.get("result"), message.get("error")) {
        (Some(Value::Object(result)), _) => Some(Ok(result.clone())),
        (_, Some(error)) => Some(Err(refused(error))),
        _ => None,
    }
}
