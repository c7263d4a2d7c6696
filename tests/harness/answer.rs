//! What came back.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// The messages: of a JSON body one, of an event stream each event's.
    pub messages: Vec<Value>,
}

impl Answer {
    /// Sends a request and reads its answer to the end.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a whole body");
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let messages = if kind.starts_with("text/event-stream") {
            events(&text)
        } else if kind.starts_with("application/json") {
            vec![serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))]
        } else {
            Vec::new()
        };
        Self { status, headers, text, messages }
    }

    /// When it says that it is worth to come again: seconds within their bounds, not the same for all.
    pub fn retry_after_s(&self) -> u64 {
        let seconds = self.header("retry-after").unwrap_or_else(|| panic!("a time: {self:?}")).parse().expect("seconds");
        assert!((1..=30).contains(&seconds), "{seconds}");
        seconds
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it came as an event stream.
    pub fn is_stream(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// The last message: the one with the result or the error.
    pub fn message(&self) -> &Value {
        self.messages.last().unwrap_or_else(|| panic!("no message in {self:?}"))
    }

    /// The result; fails on an error.
    pub fn result(&self) -> &Value {
        self.message().get("result").unwrap_or_else(|| panic!("no result in {self:?}"))
    }

    /// The error; fails on a result.
    pub fn error(&self) -> &Value {
        self.message().get("error").unwrap_or_else(|| panic!("no error in {self:?}"))
    }

    /// The error's code.
    pub fn code(&self) -> i64 {
        self.error()["code"].as_i64().expect("a code")
    }

    /// `error.data.kind`.
    pub fn kind(&self) -> &str {
        self.error()["data"]["kind"].as_str().unwrap_or_default()
    }

    /// The text of the result's first content.
    pub fn tool_text(&self) -> &str {
        self.result()["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {self:?}"))
    }

    /// The notifications before the last message.
    pub fn notifications(&self) -> &[Value] {
        self.messages.split_last().map_or(&[], |(_, before)| before)
    }
}

/// The messages of an event stream's text. Comments and events without data are no messages.
pub fn events(text: &str) -> Vec<Value> {
    let data = text.split("\n\n").filter_map(|event| {
        let lines: Vec<_> =
            event.lines().filter_map(|line| line.strip_prefix("data:")).map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        let data = lines.join("\n");
        (!data.is_empty()).then_some(data)
    });
    data.map(|data| serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
}
