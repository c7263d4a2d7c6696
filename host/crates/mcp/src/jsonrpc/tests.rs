use super::{Body, ID_BYTES_MAX, Id, Message, Outcome, ParseError, ParseErrorKind as Kind, parse};
use crate::{ErrorCode, JsonLimits, write};
use proptest::prelude::*;
use serde_json::value::RawValue;

fn read(text: &str) -> Result<Body, ParseError> {
    parse(text.as_bytes(), &JsonLimits::default())
}

#[track_caller]
fn one(text: &str) -> Message {
    match read(text) {
        Ok(Body::One(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn refuses(text: &str, kind: Kind, id: Option<Id>) {
    let error = read(text).unwrap_err();
    assert_eq!(error, ParseError { kind, id }, "{text}");
    assert_eq!(error.error().code, ErrorCode::INVALID_REQUEST);
}

#[track_caller]
fn refuses_json(text: &str, code: ErrorCode, data: Option<&str>) {
    let error = read(text).unwrap_err();
    let object = error.error();
    assert_eq!(error.id, None);
    assert_eq!(object.code, code, "{object:?}");
    assert_eq!(object.data.as_ref().map(crate::JsonText::as_str), data);
}

fn string(text: &str) -> Id {
    Id::String(text.into())
}

#[test]
fn requests() {
    let Message::Request(request) = one(r#" {"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a": [1]},"x":1} "#) else { panic!() };
    assert_eq!(request.id, Id::Number(1));
    assert_eq!(&*request.method, "tools/list");
    assert_eq!(request.params.unwrap().get(), r#"{"a": [1]}"#);
    let Message::Request(request) = one(r#"{"jsonrpc":"2.0","\u0069d":"a","m\u0065thod":"x\ny"}"#) else { panic!() };
    assert_eq!((request.id, &*request.method), (string("a"), "x\ny"));
    assert!(request.params.is_none());
}

#[test]
fn notifications_and_responses() {
    assert!(matches!(one(r#"{"jsonrpc":"2.0","method":"tools/call"}"#), Message::Notification(_)));
    let Message::Response(response) = one(r#"{"jsonrpc":"2.0","id":"s-1","result":null}"#) else { panic!() };
    assert_eq!(response.id, string("s-1"));
    assert!(matches!(response.outcome, Outcome::Result(raw) if raw.get() == "null"));
    let Message::Response(response) = one(r#"{"jsonrpc":"2.0","id":2,"error":{"code":1}}"#) else { panic!() };
    assert!(matches!(response.outcome, Outcome::Error(raw) if raw.get() == r#"{"code":1}"#));
}

/// J01, J02, J13.
#[test]
fn not_json() {
    for text in ["{", "", "  ", "\u{feff}{}", "[1e400]", "{\"a\":01}", "[NaN]", "\"\\ud800\""] {
        refuses_json(text, ErrorCode::PARSE_ERROR, None);
    }
}

/// J03: the whole depth is there for the arguments.
#[test]
fn depth_counts_below_params() {
    let call = |depth: usize| {
        let arguments = format!("{}{}", "{\"a\":".repeat(depth - 1) + "{}", "}".repeat(depth - 1));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"arguments":{arguments}}}}}"#)
    };
    one(&call(64));
    refuses_json(&call(65), ErrorCode::INVALID_REQUEST, Some(r#"{"kind":"json_too_deep"}"#));
    assert!(matches!(read(&format!("[{}]", call(64).replace("tools/call", "x"))), Ok(Body::Batch(_))));
    let call = call(65);
    refuses_json(&format!("[{call}]"), ErrorCode::INVALID_REQUEST, Some(r#"{"kind":"json_too_deep"}"#));
}

/// J05, J07, J23.
#[test]
fn limits_have_kinds() {
    let zeros = format!("[{}0]", "0,".repeat(2_000_000));
    refuses_json(&zeros, ErrorCode::INVALID_REQUEST, Some(r#"{"kind":"json_too_many_nodes"}"#));
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{}}"#;
    refuses_json(twice, ErrorCode::INVALID_REQUEST, Some(r#"{"kind":"duplicate_key"}"#));
    let long = "x".repeat((1 << 20) + 1);
    let args = Some(r#"{"kind":"args_too_large"}"#);
    let string = Some(r#"{"kind":"json_string_too_long"}"#);
    for (params, kind) in [
        (format!(r#"{{"name":"t","arguments":{{"a":"{long}"}}}}"#), args),
        (format!(r#"{{"arguments":{{"b":1,"a":{{"c":[1,["{long}"]]}}}}}}"#), args),
        (format!(r#"{{"arguments":{{"{long}":1}}}}"#), args),
        (format!(r#"{{"argument":{{"a":"{long}"}}}}"#), string),
        (format!(r#"{{"arguments":["{long}"]}}"#), string),
        (format!(r#"{{"arguments":{{}},"x":{{"a":"{long}"}}}}"#), string),
        (format!(r#"{{"_meta":{{"arguments":{{"a":"{long}"}}}}}}"#), string),
        (format!(r#""{long}""#), string),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        refuses_json(&text, ErrorCode::INVALID_REQUEST, kind);
    }
}

/// J10.
#[test]
fn the_version_is_exact() {
    for version in [r#""1.0""#, "2.0", "null", r#""2.0 ""#] {
        let text = format!(r#"{{"jsonrpc":{version},"id":1,"method":"x"}}"#);
        refuses(&text, Kind::Version, Some(Id::Number(1)));
    }
    refuses(r#"{"id":"a","method":"x"}"#, Kind::Version, Some(string("a")));
    refuses(r#"{"id":"a","result":1}"#, Kind::Version, None);
    one(r#"{"jsonrpc":"2\u002e0","method":"x"}"#);
}

/// J11.
#[test]
fn what_is_no_id() {
    let long = format!("\"{}\"", "x".repeat(ID_BYTES_MAX + 1));
    let wide = format!("\"{}\"", "é".repeat(ID_BYTES_MAX / 2 + 1));
    for id in ["null", "1.5", "1.0", "1e2", "-0", "true", "{}", "[]", "9223372036854775808", &long, &wide] {
        refuses(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#), Kind::Id, None);
    }
}

#[track_caller]
fn echoes(id: &str, as_written: &str) {
    let Message::Request(request) = one(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#)) else { panic!() };
    assert_eq!(request.id.write().as_str(), as_written);
}

/// J12.
#[test]
fn ids_are_echoed_exactly() {
    for id in ["0", "9007199254740993", "-9223372036854775808", "9223372036854775807", r#""""#, r#""é\n""#, r#""1""#] {
        echoes(id, id);
    }
    echoes(r#""\u00e9\/""#, r#""é/""#);
    echoes(&format!("\"{}\"", "x".repeat(256)), &format!("\"{}\"", "x".repeat(256)));
}

#[test]
fn shapes() {
    let id = Some(Id::Number(1));
    refuses(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#, Kind::Params, id.clone());
    refuses(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":null}"#, Kind::Params, id.clone());
    refuses(r#"{"jsonrpc":"2.0","method":"x","params":"p"}"#, Kind::Params, None);
    refuses(r#"{"jsonrpc":"2.0","id":1,"method":7}"#, Kind::Shape, id.clone());
    refuses(r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#, Kind::Shape, id);
    refuses(r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, Kind::Shape, None);
    refuses(r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#, Kind::Shape, None);
    refuses(r#"{"jsonrpc":"2.0","id":1}"#, Kind::Shape, None);
    refuses(r#"{"jsonrpc":"2.0","result":{}}"#, Kind::Shape, None);
    for text in ["1", "null", "\"x\"", "true"] {
        refuses(text, Kind::NotAMessage, None);
    }
}

/// M1.
#[test]
fn batches() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let Ok(Body::Batch(messages)) = read(&format!(" [{ping},{note}]")) else { panic!() };
    assert_eq!(messages.len(), 2);
    let many = |count: usize| format!("[{}]", vec![ping; count].join(","));
    assert!(matches!(read(&many(32)), Ok(Body::Batch(messages)) if messages.len() == 32));
    refuses(&many(33), Kind::BatchTooLong, None);
    refuses("[]", Kind::EmptyBatch, None);
    for bad in ["1", "[]", "{}", r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, &format!("[{ping}]")] {
        refuses(&format!("[{ping},{bad}]"), Kind::BatchElement, None);
    }
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    refuses(&format!("[{ping},{initialize}]"), Kind::InitializeInBatch, None);
    let modern = r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":0}}}"#;
    refuses(&format!("[{modern}]"), Kind::ModernInBatch, None);
}

#[test]
fn an_unreadable_id_is_answered_with_null() {
    let error = read(r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#).unwrap_err();
    assert_eq!(
        String::from_utf8(write::failure(error.id.as_ref(), &error.error())).unwrap(),
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"id must be an integer or a string of at most 256 bytes"}}"#
    );
}

proptest! {
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &JsonLimits::default());
    }

    #[test]
    fn never_panics_on_messages(
        members in prop::collection::vec((
            prop::sample::select(vec!["jsonrpc", "id", "method", "params", "result", "error", "x"]),
            prop::sample::select(vec!["\"2.0\"", "1", "null", "{}", "[]", "\"a\"", "{\"_meta\":{}}", "{\"_meta\":3}"]),
        ), 0..6),
        array in any::<bool>(),
    ) {
        let inside: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let object = format!("{{{}}}", inside.join(","));
        let text = if array { format!("[{object}]") } else { object };
        if let Err(error) = read(&text) {
            prop_assert!(!error.error().message.is_empty());
        }
    }

    #[test]
    fn ids_survive(number in any::<i64>(), text in ".{0,60}") {
        for id in [Id::Number(number), Id::String(text.into())] {
            let written = id.write();
            let raw: &RawValue = serde_json::from_str(written.as_str()).unwrap();
            prop_assert_eq!(Id::from_json(raw), Some(id));
        }
    }
}
