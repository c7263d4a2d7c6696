//! A call's messages as an event stream.

use super::error;
use crate::outbox::{Replies, Reply};
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use futures_util::stream;
use mcp::{Era, Id};
use std::convert::Infallible;
use std::time::Duration;

/// One message as one event. Control characters and line separators inside of it are escaped, so it cannot forge another event.
fn event(message: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(message);
    let line = mcp::text::json_line(&text);
    let mut event = Vec::with_capacity(line.len() + 24);
    event.extend_from_slice(b"event: message\ndata: ");
    event.extend_from_slice(line.as_bytes());
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// The response to a request, of which `first` was read already, up to its end. A comment line goes out whenever nothing else did for
/// `keep_alive`: proxies cut connections that are silent.
pub(super) fn response(first: Option<Reply>, replies: Replies, id: Id, era: Era, keep_alive: Duration) -> Response<Body> {
    let state = State { first, replies: Some(replies), id, era };
    let events = stream::unfold(state, move |mut state| async move {
        let reply = match state.first.take() {
            Some(reply) => Some(reply),
            None => tokio::time::timeout(keep_alive, state.replies.as_mut()?.next()).await.ok(),
        };
        let bytes = match reply {
            None => Bytes::from_static(b": keep-alive\n\n"),
            Some(Reply::Notification(message)) => event(&message),
            Some(Reply::End(end)) => {
                // The stream ends with the answer, and with it the call's last resources.
                state.replies = None;
                event(&match *end {
                    Ok(result) => mcp::write::success(&state.id, &result),
                    Err(failure) => mcp::write::failure(Some(&state.id), &error::map(&failure, state.era).error),
                })
            }
        };
        Some((Ok::<_, Infallible>(bytes), state))
    });
    stream_of(Body::from_stream(events))
}

/// A stream of one message.
pub(super) fn single(message: &[u8]) -> Response<Body> {
    stream_of(Body::from(event(message)))
}

fn stream_of(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // nginx would hold events back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct State {
    first: Option<Reply>,
    replies: Option<Replies>,
    id: Id,
    era: Era,
}
