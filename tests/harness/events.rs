//! An event stream, read event by event as it comes.

use reqwest::RequestBuilder;
use serde_json::Value;
use std::time::Duration;

/// Longer than any event of a test takes.
const LIMIT: Duration = Duration::from_secs(40);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: Option<String>,
    /// When to come back.
    pub retry_ms: Option<u64>,
    /// What it holds, byte for byte.
    pub data: Option<String>,
}

impl Event {
    /// Its message; fails if it has none.
    pub fn message(&self) -> Value {
        let data = self.data.as_deref().filter(|data| !data.is_empty()).unwrap_or_else(|| panic!("no message in {self:?}"));
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))
    }

    /// Whether it is a place to come back to and nothing else.
    pub fn is_priming(&self) -> bool {
        self.id.is_some() && self.data.as_deref() == Some("")
    }

    /// Its id; fails if it has none.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_else(|| panic!("no id in {self:?}"))
    }
}

/// A response that is an event stream. Dropping it closes the connection.
#[derive(Debug)]
pub struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    /// Sends a request that is answered with an event stream.
    pub async fn of(request: RequestBuilder) -> Self {
        Self::in_response(request.send().await.expect("an answer"))
    }

    /// Reads what an answer's body brings, which must be an event stream.
    pub fn in_response(response: reqwest::Response) -> Self {
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        assert_eq!((response.status().as_u16(), &*kind), (200, "text/event-stream"), "{response:?}");
        Self { response, text: String::new() }
    }

    /// The next event, comments left out; none when the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = parse(&block) {
                    return Some(event);
                }
                continue;
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await.expect("an event in time");
            match chunk {
                Ok(Some(chunk)) => self.text.push_str(std::str::from_utf8(&chunk).expect("whole characters")),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// All that is left, up to the stream's end.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// What is left of a stream, without the places to come back to.
pub async fn messages(events: Events) -> Vec<Event> {
    events.rest().await.into_iter().filter(|event| !event.is_priming()).collect()
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    };
    let event = Event { id: field("id"), retry_ms: field("retry").map(|retry| retry.parse().expect("milliseconds")), data: field("data") };
    (event != Event { id: None, retry_ms: None, data: None }).then_some(event)
}
