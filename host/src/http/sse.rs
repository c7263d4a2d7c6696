//! A call's messages as an event stream.

use super::error;
use super::stall::Watched;
use crate::outbox::{Reply, Run};
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use mcp::{Era, Id};
use std::convert::Infallible;
use std::time::Duration;

/// A comment: nobody's event, and a sign of life for proxies, which cut connections that are silent.
pub(super) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// One message as one event. Control characters and line separators inside of it are escaped, so it cannot forge another event.
pub(super) fn event(message: &[u8], id: Option<&str>) -> Bytes {
    let text = String::from_utf8_lossy(message);
    let line = mcp::text::json_line(&text);
    let mut event = Vec::with_capacity(line.len() + 72);
    if let Some(id) = id {
        event.extend_from_slice(b"id: ");
        event.extend_from_slice(id.as_bytes());
        event.push(b'\n');
    }
    event.extend_from_slice(b"event: message\ndata: ");
    event.extend_from_slice(line.as_bytes());
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// An event without a message: gives a place to come back to, and says when.
pub(super) fn priming(id: &str, retry_ms: u64) -> Bytes {
    format!("id: {id}\nretry: {retry_ms}\ndata: \n\n").into()
}

/// When to come back.
pub(super) fn retry(retry_ms: u64) -> Bytes {
    format!("retry: {retry_ms}\n\n").into()
}

/// The response to a request, of which `first` was read already, up to its end. A comment line goes out whenever nothing else did for
/// `keep_alive`. The run ends with the connection, unless it is held.
pub(super) fn response(
    first: Option<Reply>,
    run: Box<dyn Run>,
    id: Id,
    era: Era,
    keep_alive: Duration,
    watched: Watched,
) -> Response<Body> {
    let state = State { first, run: Some(run), id, era };
    let events = stream::unfold(state, move |mut state| async move {
        let reply = match state.first.take() {
            Some(reply) => Some(reply),
            None => tokio::time::timeout(keep_alive, state.run.as_mut()?.next()).await.ok(),
        };
        let bytes = match reply {
            None => KEEP_ALIVE,
            Some(Reply::Notification(message) | Reply::Question(message)) => event(&message, None),
            Some(Reply::End(end)) => {
                // The stream ends with the answer, and with it the call's last resources.
                state.run = None;
                event(&error::message(&state.id, *end, state.era), None)
            }
        };
        Some((bytes, state))
    });
    body(events, watched)
}

/// A stream of one message.
pub(super) fn single(message: &[u8]) -> Response<Body> {
    stream_of(Body::from(event(message, None)))
}

/// Chunks as a response whose connection is closed if its peer does not take them.
pub(super) fn body(chunks: impl Stream<Item = Bytes> + Send + 'static, watched: Watched) -> Response<Body> {
    stream_of(Body::from_stream(watched.watch(chunks).map(Ok::<_, Infallible>)))
}

fn stream_of(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    // nginx would hold events back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct State {
    first: Option<Reply>,
    run: Option<Box<dyn Run>>,
    id: Id,
    era: Era,
}
