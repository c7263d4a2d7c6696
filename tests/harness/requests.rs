//! Requests of both eras, as a correct client makes them; tests then break one thing.

use super::{Answer, Event, Events, Gateway};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The modern revision.
pub const MODERN: &str = "2026-07-28";

/// A JSON-RPC request.
pub fn rpc(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// The parameters of `tools/call`.
pub fn call_params(name: &str, arguments: Value) -> Value {
    json!({ "name": name, "arguments": arguments })
}

/// A call of `slow_count`: n progress reports and a final answer, n + 1 events.
pub fn count(id: impl Into<Value>, n: u64, interval_ms: u64) -> Value {
    let mut call = rpc(id, "tools/call", call_params("slow_count", json!({ "message": "done", "n": n, "interval_ms": interval_ms })));
    call["params"]["_meta"]["progressToken"] = "p".into();
    call
}

/// The parameters of `initialize`.
pub fn initialize_params(revision: &str) -> Value {
    json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } })
}

/// A request of 2026-07-28, complete until something is changed.
#[derive(Clone)]
pub struct Modern {
    /// The body.
    pub body: Value,
    /// The headers; one that is sent twice stands here twice.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The path.
    pub path: String,
    /// The HTTP method.
    pub verb: Method,
    /// Sent in place of the body.
    pub bytes: Option<Vec<u8>>,
}

impl Modern {
    /// A complete request.
    pub fn new(method: &str, params: Value) -> Self {
        let mut params = params;
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let mut request = Self { body: Value::Null, headers: Vec::new(), path: "/mcp".to_owned(), verb: Method::POST, bytes: None }
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", method);
        if let Some(name) = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str) {
            request = request.header("mcp-name", name);
        }
        request.body = rpc(1, method, params);
        request
    }

    /// Calls a tool.
    pub fn call(name: &str, arguments: Value) -> Self {
        Self::new("tools/call", call_params(name, arguments))
    }

    /// Calls a tool and asks for progress.
    pub fn call_with_progress(name: &str, arguments: Value) -> Self {
        let mut request = Self::call(name, arguments);
        request.body["params"]["_meta"]["progressToken"] = "p".into();
        request
    }

    /// Sends a header more.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sends a header not at all.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| header != name);
        self
    }

    /// Sends a header with another value.
    pub fn instead(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).header(name, value)
    }

    /// Changes the body.
    pub fn body(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.body);
        self
    }

    /// Goes to another path.
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// Goes with another HTTP method.
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = verb.parse().expect("a method");
        self
    }

    /// Sends these bytes in place of the body.
    pub fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes = Some(bytes.as_ref().to_vec());
        self
    }

    /// As a request of the test's client.
    pub fn build(&self, gateway: &Gateway) -> RequestBuilder {
        let body = self.bytes.clone().unwrap_or_else(|| self.body.to_string().into_bytes());
        let request = gateway.client.request(self.verb.clone(), format!("{}{}", gateway.origin, self.path)).body(body);
        self.headers.iter().fold(request, |request, (name, value)| {
            let name: HeaderName = name.parse().expect("a header name");
            request.header(name, HeaderValue::from_bytes(value).expect("a header value"))
        })
    }
}

impl Gateway {
    /// Sends a modern request and reads the whole answer.
    pub async fn modern(&self, request: Modern) -> Answer {
        Answer::of(request.build(self)).await
    }

    /// Calls a tool in the modern era.
    pub async fn call(&self, name: &str, arguments: Value) -> Answer {
        self.modern(Modern::call(name, arguments)).await
    }

    /// The names of the tools that the default server shows.
    pub async fn tools(&self) -> Vec<String> {
        let answer = self.modern(Modern::new("tools/list", json!({}))).await;
        let tools = answer.result()["tools"].as_array().expect("a list").clone();
        tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// A legacy POST with a session or without.
    pub fn legacy_request(&self, session: Option<&str>, body: &Value) -> RequestBuilder {
        let request = self
            .client
            .post(self.url())
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(body.to_string());
        match session {
            Some(session) => request.header("mcp-session-id", session),
            None => request,
        }
    }

    /// Sends a legacy POST and reads the whole answer.
    pub async fn legacy(&self, session: Option<&str>, body: Value) -> Answer {
        Answer::of(self.legacy_request(session, &body)).await
    }

    /// A GET of a session: its own stream, or the rest of one after an event.
    pub fn events_request(&self, session: &str, last_event_id: Option<&str>) -> RequestBuilder {
        let request = self.client.get(self.url()).header("accept", "text/event-stream").header("mcp-session-id", session);
        last_event_id.iter().fold(request, |request, id| request.header("last-event-id", *id))
    }

    /// Goes on with a stream after an event.
    pub async fn resume(&self, session: &str, event: &Event) -> Events {
        Events::of(self.events_request(session, Some(event.id()))).await
    }

    /// Shakes hands for a revision and gives the session's id.
    pub async fn session(&self, revision: &str) -> String {
        self.session_at("/mcp", revision).await
    }

    /// The same at another server.
    pub async fn session_at(&self, path: &str, revision: &str) -> String {
        let post = |session: Option<&str>, body: Value| {
            let request =
                self.client.post(format!("{}{path}", self.origin)).header("content-type", "application/json").body(body.to_string());
            Answer::of(session.iter().fold(request, |request, session| request.header("mcp-session-id", *session)))
        };
        let answer = post(None, rpc(0, "initialize", initialize_params(revision))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.result()["protocolVersion"], revision);
        let session = answer.header("mcp-session-id").expect("a session").to_owned();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(post(Some(&session), initialized).await.status, 202);
        session
    }
}
