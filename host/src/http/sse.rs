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

#[cfg(test)]
mod tests {
    use super::event;
    use gatehouse_mutator::{Mutator, fuzz};
    use serde_json::Value;

    /// An event stream as the standard reads it (WHATWG HTML, 9.2.6): the id, the name and the data of each event.
    fn read(stream: &str) -> Vec<(String, String, String)> {
        let (mut events, mut id, mut name, mut data) = (Vec::new(), String::new(), String::new(), None::<String>);
        for line in stream.split(['\r', '\n']) {
            if line.is_empty() {
                if let Some(data) = data.take() {
                    events.push((id.clone(), std::mem::take(&mut name), data));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => value.clone_into(&mut id),
                "event" => value.clone_into(&mut name),
                "data" => data = Some(data.map_or_else(|| value.to_owned(), |data| format!("{data}\n{value}"))),
                _ => {}
            }
        }
        events
    }

    /// Whatever a message holds, it is one event of equal value, and its id is its own.
    #[test]
    fn a_message_is_one_event() {
        let corpus = [
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"a\nb\r\u2028 data: x"}}"#,
            "{\"a\":\"line\u{2028}separator\u{2029}\u{85}\",\n \"b\" : [1,2.5e3,null]}",
            "{\"data\":\"\\n\\nid: 7\\ndata: forged\"}",
        ];
        let words = ["\\n", "\\r", "\n", "\r", "\u{2028}", "\u{2029}", "\u{7f}", "\u{85}", "data: ", "id: ", ":", "\\u2028"];
        fuzz("event streams", Mutator::new(&corpus, &words), 50_000, |input| {
            // Only JSON is ever written.
            let Ok(value) = serde_json::from_slice::<Value>(input) else { return 0 };
            let bytes = event(input, Some("the-id"));
            let text = std::str::from_utf8(&bytes).expect("text");
            let events = read(text);
            let [(id, name, data)] = events.as_slice() else { panic!("{} events in {text:?}", events.len()) };
            assert_eq!((id.as_str(), name.as_str()), ("the-id", "message"));
            assert_eq!(serde_json::from_str::<Value>(data).expect("JSON"), value);
            1 + text.len() / 16
        });
    }
}
