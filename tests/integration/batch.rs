//! Batches (decision 6): one revision has them, in its sessions only.

use crate::harness::{Answer, Gateway, Setup, call_params, eventually, initialize_params, rpc};
use serde_json::{Value, json};
use std::time::Duration;

fn echo(id: impl Into<Value>, message: &str) -> Value {
    rpc(id, "tools/call", call_params("echo", json!({ "message": message })))
}

fn notification() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/unknown" })
}

#[tokio::test]
async fn a_batch_is_answered_as_one_array() {
    let gateway = Gateway::start().await;
    let session = gateway.session("2025-03-26").await;
    let mut counted = rpc("c", "tools/call", call_params("slow_count", json!({ "message": "three", "n": 3, "interval_ms": 100 })));
    counted["params"]["_meta"]["progressToken"] = 1.into();
    let batch = json!([
        echo(1, "one"),
        notification(),
        rpc(2, "ping", json!({})),
        counted,
        rpc("x", "no/such", json!({})),
        rpc("c", "ping", json!({}))
    ]);
    let answer = gateway.legacy(Some(&session), batch.clone()).await;
    assert_eq!((answer.status, answer.is_stream(), answer.header("mcp-session-id")), (200, false, Some(&*session)));
    let [Value::Array(answers)] = &answer.messages[..] else { panic!("{answer:?}") };
    let [one, ping, three, unknown, again] = &answers[..] else { panic!("{answer:?}") };
    assert_eq!((&one["id"], &one["result"]["content"][0]["text"]), (&json!(1), &json!("one")));
    assert_eq!((&ping["id"], &ping["result"]), (&json!(2), &json!({})));
    assert_eq!((&three["id"], &three["result"]["content"][0]["text"]), (&json!("c"), &json!("three")), "without its progress");
    assert_eq!((&unknown["id"], &unknown["error"]["code"]), (&json!("x"), &json!(-32601)));
    assert_eq!((&again["id"], &again["error"]["code"]), (&json!("c"), &json!(-32600)), "an id is used once at a time");

    let notifications = gateway.legacy(Some(&session), json!([notification(), notification()])).await;
    assert_eq!((notifications.status, &*notifications.text), (202, ""));

    let request = gateway.client.post(gateway.url()).header("content-type", "application/json").header("mcp-session-id", &session);
    let events = Answer::of(request.header("accept", "text/event-stream").body(batch.to_string())).await;
    assert!(events.is_stream());
    assert_eq!(events.messages, answer.messages);
}

#[tokio::test]
async fn a_batch_has_at_most_32_elements() {
    let gateway = Gateway::start().await;
    let session = gateway.session("2025-03-26").await;
    let batch = |count: u32| Value::Array((0..count).map(|id| rpc(id, "ping", json!({}))).collect());
    let answer = gateway.legacy(Some(&session), batch(32)).await;
    assert_eq!((answer.status, answer.message().as_array().map(Vec::len)), (200, Some(32)));
    let answer = gateway.legacy(Some(&session), batch(33)).await;
    assert_eq!((answer.status, answer.code(), &answer.message()["id"]), (400, -32600, &Value::Null));
}

/// J09: refused whole, once, and nothing of it ran.
#[tokio::test]
async fn other_batches_are_refused_whole() {
    let settings = "[log]\nfilter = \"gatehouse=debug\"\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let session = gateway.session("2025-03-26").await;
    let good = echo(1, "never");
    let modern = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
    let mut claiming = good.clone();
    claiming["params"]["_meta"] = modern;
    let cases = [
        ("empty", json!([])),
        ("nested", json!([[good]])),
        ("a number", json!([good, 1])),
        ("an id that is none", json!([good, rpc(Value::Null, "ping", json!({}))])),
        ("initialize", json!([good, rpc(2, "initialize", initialize_params("2025-03-26"))])),
        ("a modern element", json!([good, claiming])),
        ("a request without an id", json!([good, { "jsonrpc": "2.0", "method": "tools/list" }])),
        ("a response that nobody waits for", json!([good, { "jsonrpc": "2.0", "id": 1, "result": {} }])),
    ];
    for (name, batch) in cases {
        let answer = gateway.legacy(Some(&session), batch).await;
        assert_eq!((answer.status, answer.code(), &answer.message()["id"]), (400, -32600, &Value::Null), "{name}: {answer:?}");
    }
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let session = gateway.session(revision).await;
        let answer = gateway.legacy(Some(&session), json!([good])).await;
        assert_eq!((answer.status, answer.code()), (400, -32600), "{revision}");
        assert_eq!(answer.error()["message"], "Batches are accepted only in sessions of protocol version 2025-03-26");
    }
    for (name, session, status) in [("no session", None, 400), ("an unknown session", Some("0"), 404)] {
        let answer = gateway.legacy(session, json!([good])).await;
        assert_eq!((answer.status, answer.code()), (status, -32600), "{name}");
    }
    // A header that names another era, or none at all, is refused as it is for a single message.
    for (version, code) in [("2026-07-28", -32600), ("2099-01-01", -32022)] {
        let answer = Answer::of(gateway.legacy_request(Some(&session), &json!([good])).header("mcp-protocol-version", version)).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{version}");
    }
    assert!(!gateway.log().contains("tools/call"), "{}", gateway.log());
    let allowed = Answer::of(gateway.legacy_request(Some(&session), &json!([good])).header("mcp-protocol-version", "2025-03-26")).await;
    assert_eq!(allowed.message()[0]["result"]["content"][0]["text"], "never");
    let logged = async || gateway.log().contains("tools/call").then_some(());
    eventually("what ran is logged", Duration::from_secs(5), logged).await;
}

#[tokio::test]
async fn without_sessions_there_are_no_batches() {
    let settings = "[legacy]\nstateful_sessions = false\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    for version in [None, Some("2025-03-26")] {
        let request = gateway.legacy_request(None, &json!([echo(1, "never")]));
        let answer = Answer::of(version.iter().fold(request, |request, version| request.header("mcp-protocol-version", *version))).await;
        assert_eq!((answer.status, answer.code()), (400, -32600), "{version:?}");
    }
}
