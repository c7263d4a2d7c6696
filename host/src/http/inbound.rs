//! A request's head, read once: what the endpoint and the methods need of it, as plain data.

use super::error::ladder::{self, Rung};
use crate::config::HttpLimits;
use crate::failure::Failure;
use crate::method::MirroredHeaders;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use mcp::header::HeaderValues;
use mcp::meta::TraceContext;
use mcp::mirrored::HEADER_PREFIX;
use mcp::modern::ModernHeaders;

/// The header that names a session.
pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Of a name that may be looked for at all.
const SESSION_BYTES_MAX: usize = 128;
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Which forms of answer the client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepts {
    pub(super) json: bool,
    pub(super) events: bool,
}

/// The rung that does not hold.
pub(super) type Refusal = &'static Rung;

/// Header fields and target within their limits (H09, H10).
pub(super) fn check_head(uri: &Uri, headers: &HeaderMap, limits: &HttpLimits) -> Result<(), Refusal> {
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.uri_bytes_max {
        return Err(&ladder::TARGET_LENGTH);
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > limits.header_bytes_max || headers.len() > limits.header_fields_max {
        return Err(&ladder::HEAD_LENGTH);
    }
    Ok(())
}

/// H9: JSON, in UTF-8, not compressed.
pub(super) fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = &ladder::MEDIA_TYPE;
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    if encodings.iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(refused);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else { return Err(refused) };
    let value = value.to_str().map_err(|_| refused)?;
    let mut parts = value.split(';').map(str::trim);
    if !parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Err(refused);
    }
    let charset = parts.find_map(|part| part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset")));
    match charset {
        Some((_, value)) if !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8") => Err(refused),
        _ => Ok(()),
    }
}

/// H10 and decision 7: nothing said, or `*/*`, means both; refused only if neither form is taken.
pub(super) fn accepts(headers: &HeaderMap) -> Result<Accepts, Refusal> {
    let mut accepts = Accepts { json: false, events: false };
    let mut said = false;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            if kind.is_empty() {
                continue;
            }
            said = true;
            // `q=0` is how a client says that it does not take a form.
            let refused = parts.any(|part| {
                part.split_once('=').is_some_and(|(name, q)| name.trim().eq_ignore_ascii_case("q") && q.trim().parse() == Ok(0.0))
            });
            if refused {
                continue;
            }
            accepts.json |= matches!(kind.as_str(), "*/*" | "application/*" | "application/json");
            accepts.events |= matches!(kind.as_str(), "*/*" | "text/*" | "text/event-stream");
        }
    }
    match (said, accepts.json || accepts.events) {
        (false, _) => Ok(Accepts { json: true, events: true }),
        (true, true) => Ok(accepts),
        (true, false) => Err(&ladder::ACCEPT),
    }
}

/// `Content-Length`, which hyper has checked.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `MCP-Protocol-Version` as it was sent.
pub(super) fn version(headers: &HeaderMap) -> HeaderValues<'_> {
    values(headers, &VERSION)
}

/// The session that a request names: exactly one name of visible ASCII, which is then compared byte by byte.
pub(super) fn session(headers: &HeaderMap) -> Result<&str, Failure> {
    let mut names = headers.get_all(SESSION).iter();
    let name = names.next().ok_or(Failure::SessionRequired)?.as_bytes();
    let good = names.next().is_none() && name.len() <= SESSION_BYTES_MAX && name.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(name).ok().filter(|_| good).ok_or(Failure::SessionMalformed)
}

/// After which event a stream is to go on.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<&[u8]>, Failure> {
    let mut ids = headers.get_all(LAST_EVENT_ID).iter();
    let id = ids.next().map(HeaderValue::as_bytes);
    if ids.next().is_some() { Err(Failure::BadEventId) } else { Ok(id) }
}

/// The three headers that a modern request repeats its body in.
pub(super) fn modern(headers: &HeaderMap) -> ModernHeaders<'_> {
    ModernHeaders { version: values(headers, &VERSION), method: values(headers, &METHOD), name: values(headers, &NAME) }
}

/// Where a request belongs in a trace, by its headers: one parent that is well formed, or none.
pub(super) fn trace(headers: &HeaderMap) -> TraceContext {
    match only(headers, &TRACEPARENT) {
        Some(parent) => TraceContext::of_headers(parent, only(headers, &TRACESTATE)),
        None => TraceContext::default(),
    }
}

/// The text of a header that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// The headers that repeat arguments.
pub(super) fn mirrored(headers: &HeaderMap) -> MirroredHeaders {
    let found = headers.iter().filter(|(name, _)| is_mirrored(name.as_str()));
    MirroredHeaders(found.map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec())).collect())
}

fn is_mirrored(name: &str) -> bool {
    name.get(..HEADER_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(HEADER_PREFIX))
}

/// The headers that a page may send: those of the protocol, and of the ones that repeat arguments all that it asks for.
pub(super) fn headers_to_allow(asked: &HeaderMap) -> String {
    let names = asked.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
    let mirrored = names.flat_map(|names| names.split(',')).map(str::trim).filter(|name| is_mirrored(name));
    let ours =
        ["content-type", "accept", "authorization", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "last-event-id"];
    ours.into_iter().chain(mirrored).collect::<Vec<_>>().join(", ")
}

fn values<'h>(headers: &'h HeaderMap, name: &HeaderName) -> HeaderValues<'h> {
    HeaderValues::collect(headers.get_all(name).iter().map(|value| value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn accept_is_read_generously() {
        let both = Accepts { json: true, events: true };
        let check = |value: Option<&'static str>| accepts(&value.map_or_else(HeaderMap::new, |value| headers(&[("accept", value)])));
        for value in [None, Some("*/*"), Some(""), Some("text/event-stream, application/json;q=0.9"), Some("APPLICATION/JSON, text/*")] {
            assert_eq!(check(value), Ok(both), "{value:?}");
        }
        assert_eq!(check(Some("application/json")), Ok(Accepts { json: true, events: false }));
        assert_eq!(check(Some("text/event-stream")), Ok(Accepts { json: false, events: true }));
        assert_eq!(check(Some("*/*;q=0")), Err(&ladder::ACCEPT));
        assert_eq!(check(Some("text/html")), Err(&ladder::ACCEPT));
    }

    #[test]
    fn only_plain_json_is_taken() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""] {
            assert_eq!(check_media_type(&headers(&[("content-type", good)])), Ok(()), "{good}");
        }
        for bad in ["text/plain", "application/json; charset=utf-16", "application/jsonp", ""] {
            assert!(check_media_type(&headers(&[("content-type", bad)])).is_err(), "{bad}");
        }
        assert!(check_media_type(&HeaderMap::new()).is_err());
        assert!(check_media_type(&headers(&[("content-type", "application/json"), ("content-encoding", "gzip")])).is_err());
    }
}
