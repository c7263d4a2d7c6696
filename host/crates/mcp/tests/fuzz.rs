//! Inputs that nobody thought of: bodies, and header values. `make fuzz` looks for longer.

use gatehouse_mutator::{Mutator, fuzz};
use mcp::era::{EraDecision, era};
use mcp::header::{HeaderValues, decode, encode};
use mcp::jsonrpc::{Message, Outcome, parse};
use mcp::listen::ListenParams;
use mcp::meta::RequestMeta;
use mcp::modern::{Envelope, ModernHeaders};
use mcp::params::{
    CallToolParams, CancelledParams, CompleteParams, GetPromptParams, InitializeParams, ListParams, Params, ReadResourceParams,
    SetLevelParams,
};
use mcp::task::{TaskParams, UpdateParams};
use mcp::{Body, JsonLimits, JsonText, Request, Revision, write};
use serde_json::Value;

/// Of every day.
const INPUTS: u64 = 100_000;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{"tools":{}}},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/logLevel":"info","progressToken":"t","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;

fn bodies() -> Vec<String> {
    let modern = |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{META}}}}}"#);
    vec![
        modern("tools/call", r#""name":"echo","arguments":{"message":"hé\n\ud83d\ude00"},"#),
        modern("tools/list", r#""cursor":"abc","#),
        modern("resources/read", r#""uri":"test://static-text","#),
        modern("prompts/get", r#""name":"p","arguments":{"a":"1"},"inputResponses":{"k":{"action":"accept"}},"requestState":"s","#),
        modern("completion/complete", r#""ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""},"context":{"arguments":{"b":"2"}},"#),
        modern("subscriptions/listen", r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:b"],"taskIds":["t"]},"#),
        modern("tasks/update", r#""taskId":"t","inputResponses":{"k":{"a":1e3}},"#),
        r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}}"#.to_owned(),
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"},{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"r"}}]"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":-9007199254740993,"result":{"a":[1.5e-7,null,true,[],{}]}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"no","data":[]}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"debug"}}"#.to_owned(),
    ]
}

const WORDS: &[&str] = &[
    "\"jsonrpc\":\"2.0\"",
    "\"id\":null",
    "\"id\":1.0",
    "\"method\"",
    "\"params\"",
    "\"_meta\"",
    "\"result\"",
    "null",
    "true",
    "1e400",
    "-0",
    "\\ud800",
    "\\u0000",
    "{}",
    "[[[[[[[[",
    "]]]]]]]]",
    "\"io.modelcontextprotocol/protocolVersion\":",
    "\u{feff}",
    "9223372036854775808",
];

/// What is taken is JSON by somebody else's word too; what is refused is refused in words that can be sent; nothing of either panics.
#[test]
fn bodies_are_taken_or_refused() {
    let limits = JsonLimits::default();
    let inputs = fuzz("bodies", Mutator::new(&bodies(), WORDS), INPUTS, |input| match parse(input, &limits) {
        Err(error) => {
            let written = write::failure(error.id.as_ref(), &error.error());
            serde_json::from_slice::<Value>(&written).expect("a refusal is JSON");
            format!("{:?}", error.kind)
        }
        Ok(body) => {
            serde_json::from_slice::<Value>(input).expect("what is taken is JSON");
            match body {
                Body::One(message) => one(&message),
                Body::Batch(messages) => {
                    assert!(!messages.is_empty() && messages.len() <= 32);
                    messages.iter().map(one).collect::<Vec<_>>().join(" ")
                }
            }
        }
    });
    assert!(inputs > 0);
}

/// Everything that is asked of a message on its way.
fn one(message: &Message) -> String {
    for version in [HeaderValues::Absent, HeaderValues::Once(b"2025-11-25"), HeaderValues::Once(b"2026-07-28"), HeaderValues::Many] {
        let _: EraDecision = era(message, &message.params(), version);
    }
    match message {
        Message::Request(request) => {
            let answered = write::success(&request.id, &JsonText::string("x"));
            let back: Value = serde_json::from_slice(&answered).expect("an answer is JSON");
            let id: Value = serde_json::from_str(request.id.write().as_str()).expect("an id is JSON");
            assert_eq!(back.get("id"), Some(&id), "an id comes back as it came");
            format!("{} {}", request.method, climbed(request, &message.params()))
        }
        Message::Notification(notification) => {
            format!("{} {}", notification.method, CancelledParams::read(&message.params()).is_ok())
        }
        Message::Response(response) => format!("{}", matches!(response.outcome, Outcome::Result(_))),
    }
}

fn climbed(request: &Request, params: &Params<'_>) -> String {
    let headers = ModernHeaders {
        version: HeaderValues::Once(b"2026-07-28"),
        method: HeaderValues::Once(request.method.as_bytes()),
        name: HeaderValues::Once(b"echo"),
    };
    let envelope = match Envelope::read(request, params, &headers) {
        Ok(envelope) => {
            assert_eq!(envelope.revision, Revision::V2026_07_28);
            format!("{:?}", envelope.log_level())
        }
        Err(refusal) => {
            serde_json::from_str::<Value>(refusal.error().write().as_str()).expect("a refusal is JSON");
            format!("{:?}", std::mem::discriminant(&refusal))
        }
    };
    if let Ok(Some(shown)) = RequestMeta::read(params).map(|meta| meta.for_guest()) {
        let shown: Value = serde_json::from_str(shown.as_str()).expect("what a guest sees is JSON");
        let keys = shown.as_object().expect("an object").keys();
        assert!(keys.into_iter().all(|key| !mcp::meta::is_reserved(key)), "{shown}");
    }
    let read = [
        CallToolParams::read(params).is_ok(),
        ListParams::read(params).is_ok(),
        ReadResourceParams::read(params).is_ok(),
        GetPromptParams::read(params).is_ok(),
        CompleteParams::read(params).is_ok(),
        InitializeParams::read(params).is_ok(),
        SetLevelParams::read(params).is_ok(),
        ListenParams::read(params).is_ok(),
        TaskParams::read(params).is_ok(),
        UpdateParams::read(params).is_ok(),
    ];
    format!("{envelope} {read:?}")
}

/// A header value has one reading, and what is written is read as it was meant.
#[test]
fn header_values_have_one_reading() {
    let corpus = ["echo", "=?base64?ZWNobw==?=", "=?base64?w6k=?=", "  padded ", "=?base64?", "?=", "=?BASE64?ZQ==?="];
    let words = ["=?base64?", "?=", "=", "==", "/", "+", "-", "_", "\u{e9}", "\t"];
    fuzz("header values", Mutator::new(&corpus, &words), INPUTS, |input| {
        if let Ok(text) = std::str::from_utf8(input) {
            let encoded = encode(text);
            assert!(encoded.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')), "{encoded:?} can stand in a header");
            assert_eq!(decode(encoded.as_bytes()).expect("readable"), text, "{encoded:?}");
        }
        match decode(input) {
            Err(error) => format!("{error:?}"),
            Ok(text) => {
                let literal = !input.starts_with(b"=?base64?") && !input.trim_ascii().starts_with(b"=?base64?");
                if literal {
                    assert_eq!(text.as_bytes(), input.trim_ascii(), "what is not wrapped stands for itself");
                }
                format!("{literal} {}", text.len().min(8))
            }
        }
    });
}
