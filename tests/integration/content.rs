//! Content of every kind on its way to the client, in the words of each revision.

use crate::harness::{Answer, Gateway, Setup, call_params, rpc};
use serde_json::{Value, json};

/// Of one red pixel, and of no sound: what the fixture returns, as base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

async fn gateway() -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], ..Setup::default() }).await
}

/// Calls a tool without arguments in a session of a revision.
async fn legacy(gateway: &Gateway, revision: &str, tool: &str) -> Answer {
    let session = gateway.session(revision).await;
    gateway.legacy(Some(&session), rpc(1, "tools/call", call_params(tool, json!({})))).await
}

/// One block of each kind; what differs between revisions is given.
fn blocks(link: Value, embedded: Value) -> Value {
    let annotations = json!({ "audience": ["user"], "priority": 0.5 });
    json!([
        { "type": "text", "text": "one of each", "annotations": annotations },
        { "type": "image", "data": PNG, "mimeType": "image/png", "annotations": annotations },
        { "type": "audio", "data": WAV, "mimeType": "audio/wav" },
        link,
        embedded,
        { "type": "resource", "resource": { "uri": "fixture://bytes", "mimeType": "application/octet-stream", "blob": "AAEC/w==" } },
    ])
}

fn link() -> Value {
    json!({
        "type": "resource_link",
        "uri": "fixture://link",
        "name": "link",
        "title": "A link",
        "description": "Leads nowhere.",
        "mimeType": "text/plain",
        "annotations": { "audience": ["user"], "priority": 0.5 },
    })
}

fn embedded() -> Value {
    json!({
        "type": "resource",
        "resource": { "uri": "fixture://text", "mimeType": "text/plain", "text": "embedded text", "_meta": { "embedded": true } },
    })
}

#[tokio::test]
async fn every_kind_reaches_a_modern_client() {
    let gateway = gateway().await;
    let answer = gateway.call("image", json!({})).await;
    let result = answer.result();
    assert_eq!(result["content"], blocks(link(), embedded()));
    assert_eq!((&result["resultType"], result.get("isError")), (&json!("complete"), None));
    assert_eq!(result["_meta"]["fixture"], "misbehave");
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "gatehouse");
}

#[tokio::test]
async fn every_kind_reaches_clients_of_the_handshake_era() {
    let gateway = gateway().await;
    for revision in ["2025-06-18", "2025-11-25"] {
        let answer = legacy(&gateway, revision, "image").await;
        assert_eq!(answer.result()["content"], blocks(link(), embedded()), "{revision}");
        assert_eq!(answer.result()["_meta"], json!({ "fixture": "misbehave" }), "{revision}");
        assert_eq!(answer.result().get("resultType"), None, "{revision}");
    }
}

/// It knows neither links to resources nor metadata of what is embedded: the one is told in words, the other is left out.
#[tokio::test]
async fn what_2025_03_26_does_not_know_is_told_in_words() {
    let gateway = gateway().await;
    let answer = legacy(&gateway, "2025-03-26", "image").await;
    let link = json!({ "type": "text", "text": "[A link](fixture://link)", "annotations": { "audience": ["user"], "priority": 0.5 } });
    let embedded =
        json!({ "type": "resource", "resource": { "uri": "fixture://text", "mimeType": "text/plain", "text": "embedded text" } });
    assert_eq!(answer.result()["content"], blocks(link, embedded));
    assert_eq!(answer.result()["_meta"], json!({ "fixture": "misbehave" }));
}

#[tokio::test]
async fn a_guest_cannot_speak_as_the_gateway() {
    let gateway = gateway().await;
    let modern = gateway.call("forge", json!({})).await;
    let info = &modern.result()["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!((&info["name"], info.get("version").is_some()), (&json!("gatehouse"), true));
    assert_eq!(modern.result()["_meta"]["own"], json!({ "kept": true }));
    assert!(!modern.result()["_meta"].to_string().contains("forged"), "{modern:?}");
    // A duplicate key would let two readers see two servers.
    assert_eq!(modern.text.matches("io.modelcontextprotocol/serverInfo").count(), 1);
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let answer = legacy(&gateway, revision, "forge").await;
        assert_eq!(answer.result()["_meta"], json!({ "own": { "kept": true } }), "{revision}");
    }
}

/// A structured result has a text form for those who read only that; a revision that knows no structure gets the text alone.
#[tokio::test]
async fn a_structure_comes_with_its_text() {
    let gateway = gateway().await;
    let stats = json!({ "text": "one two" });
    let modern = gateway.call("word_stats", stats.clone()).await;
    let structured = modern.result()["structuredContent"].clone();
    assert!(structured.is_object(), "{modern:?}");
    let text: Value = serde_json::from_str(modern.tool_text()).expect("JSON");
    assert_eq!(text, structured);
    for (revision, known) in [("2025-03-26", false), ("2025-06-18", true), ("2025-11-25", true)] {
        let session = gateway.session(revision).await;
        let answer = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("word_stats", stats.clone()))).await;
        let text: Value = serde_json::from_str(answer.tool_text()).expect("JSON");
        assert_eq!(text, structured, "{revision}");
        assert_eq!(answer.result().get("structuredContent"), known.then_some(&structured), "{revision}");
    }
}

/// Text that looks like the frame around it stays text.
#[tokio::test]
async fn hostile_text_stays_inside_of_its_frame() {
    let hostile = "\u{0}\u{1b}[31m\r\n\r\ndata: {}\n\nevent: x\u{2028}\u{2029}\u{85}\u{7f}\\u0000 \"}]}} 😀 \u{fffd}";
    let settings = "[gateway]\nsanitize = \"off\"\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let modern = gateway.call("echo", json!({ "message": hostile })).await;
    assert_eq!(modern.tool_text(), hostile);
    let only_events = crate::harness::Modern::call("echo", json!({ "message": hostile })).instead("accept", "text/event-stream");
    let streamed = gateway.modern(only_events).await;
    assert!(streamed.is_stream());
    assert_eq!((streamed.messages.len(), streamed.tool_text()), (1, hostile));
}

/// A tool hands on what others wrote: orders to a terminal, and orders to a model that no person sees.
#[tokio::test]
async fn r35_hidden_characters_are_taken_out_of_what_tools_say() {
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], ..Setup::default() }).await;
    let hostile = "\u{1b}[31mred\u{1b}[0m\u{9b}2J \u{1b}]0;title\u{7}and\u{85} \u{e0048}\u{e0069}é\t😀\r\n";
    let answer = gateway.call("echo", json!({ "message": hostile })).await;
    assert_eq!(answer.tool_text(), "red and é\t😀\r\n");
    // What programs read is theirs.
    let found = gateway.call("regex_extract", json!({ "text": hostile, "pattern": "\\x1b\\[31m" })).await;
    assert!(found.result()["structuredContent"].to_string().contains("\\u001b[31m"), "{found:?}");
}
