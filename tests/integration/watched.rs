//! Watching resources in the handshake era: who subscribes hears of it, also after a crash, and nobody else does.

use super::resources::{REVISIONS, next, with};
use crate::harness::{Answer, Events, Gateway, call_params, rpc};
use serde_json::{Value, json};

pub async fn watch(gateway: &Gateway, session: &str, verb: &str, uri: &str) -> Answer {
    gateway.legacy(Some(session), rpc("w", &format!("resources/{verb}"), json!({ "uri": uri }))).await
}

pub async fn subscribe(gateway: &Gateway, session: &str, uri: &str) {
    let answer = watch(gateway, session, "subscribe", uri).await;
    assert_eq!((answer.status, answer.result()), (200, &json!({})), "{uri}");
}

/// A plugin says that a resource changed; `twin` is the other one's tool.
pub async fn touch(gateway: &Gateway, tool: &str, uri: &str) {
    assert_eq!(gateway.call(tool, json!({ "uri": uri })).await.tool_text(), "It was touched");
}

const TOUCH: &str = "test_touch_resource";
const WATCHED: &str = "test://watched-resource";
const TEXT: &str = "test://static-text";
const OF_TEMPLATE: &str = "test://template/7/data";

fn updated(uri: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } })
}

#[tokio::test]
async fn who_watches_a_resource_hears_of_it_and_nobody_else_does() {
    let gateway = with("").await;
    for revision in REVISIONS {
        let (mine, other) = (gateway.session(revision).await, gateway.session(revision).await);
        // Before there is a stream, and after.
        subscribe(&gateway, &mine, WATCHED).await;
        let (mut to_me, mut to_other) =
            (Events::of(gateway.events_request(&mine, None)).await, Events::of(gateway.events_request(&other, None)).await);
        subscribe(&gateway, &mine, OF_TEMPLATE).await;
        subscribe(&gateway, &mine, OF_TEMPLATE).await;
        subscribe(&gateway, &other, TEXT).await;
        touch(&gateway, TOUCH, "test://static-binary").await;
        touch(&gateway, TOUCH, WATCHED).await;
        assert_eq!(next(&mut to_me).await, updated(WATCHED), "{revision}");
        touch(&gateway, TOUCH, OF_TEMPLATE).await;
        assert_eq!(next(&mut to_me).await, updated(OF_TEMPLATE), "{revision}");
        // What nobody shows changed for nobody.
        touch(&gateway, TOUCH, "test://nothing").await;
        // A session's own call says it to the session, and not on the call's stream.
        let call = rpc("c", "tools/call", call_params(TOUCH, json!({ "uri": WATCHED })));
        assert!(gateway.legacy(Some(&mine), call).await.notifications().is_empty(), "{revision}");
        assert_eq!(next(&mut to_me).await, updated(WATCHED), "{revision}: and once for two subscriptions to the one before");

        assert_eq!(watch(&gateway, &mine, "unsubscribe", WATCHED).await.result(), &json!({}));
        assert_eq!(watch(&gateway, &mine, "unsubscribe", WATCHED).await.result(), &json!({}), "it is unsubscribed from already");
        assert_eq!(watch(&gateway, &mine, "unsubscribe", "test://nothing").await.result(), &json!({}));
        touch(&gateway, TOUCH, WATCHED).await;
        touch(&gateway, TOUCH, TEXT).await;
        touch(&gateway, TOUCH, OF_TEMPLATE).await;
        assert_eq!(next(&mut to_me).await, updated(OF_TEMPLATE), "{revision}: nothing of the others");
        assert_eq!(next(&mut to_other).await, updated(TEXT), "{revision}: nothing before it");
    }
}

#[tokio::test]
async fn what_cannot_be_read_cannot_be_watched() {
    let gateway = with("[servers.some]\nresources = [\"test://static-*\"]\n").await;
    for revision in REVISIONS {
        let session = gateway.session(revision).await;
        for uri in ["test://nothing", "TEST://static-text", "test://template/1/2/data", "", "no scheme"] {
            let answer = watch(&gateway, &session, "subscribe", uri).await;
            assert_eq!((answer.status, answer.code(), &answer.error()["data"]), (200, -32002, &json!({ "uri": uri })), "{revision}: {uri}");
        }
        for verb in ["subscribe", "unsubscribe"] {
            let answer = gateway.legacy(Some(&session), rpc(1, &format!("resources/{verb}"), json!({ "uri": 7 }))).await;
            assert_eq!((answer.status, answer.code()), (200, -32602), "{revision}: {verb}");
        }
    }
    // At a server that does not show it, it is not there.
    let path = "/servers/some/mcp";
    let session = gateway.session_at(path, "2025-11-25").await;
    let at = async |uri: &str| {
        let request = gateway.client.post(format!("{}{path}", gateway.origin)).header("content-type", "application/json");
        let body = rpc(1, "resources/subscribe", json!({ "uri": uri })).to_string();
        Answer::of(request.header("mcp-session-id", &session).body(body)).await
    };
    assert_eq!(at(WATCHED).await.code(), -32002);
    assert_eq!(at(TEXT).await.result(), &json!({}));
}

#[tokio::test]
async fn subscriptions_are_there_after_a_crash_and_all_may_have_changed() {
    let mut gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut events = Events::of(gateway.events_request(&session, None)).await;
    assert!(events.next().await.expect("a first event").is_priming());
    for uri in [WATCHED, TEXT, OF_TEMPLATE] {
        subscribe(&gateway, &session, uri).await;
    }
    assert_eq!(watch(&gateway, &session, "unsubscribe", OF_TEMPLATE).await.result(), &json!({}));
    touch(&gateway, TOUCH, WATCHED).await;
    let last = events.next().await.expect("a change");
    assert_eq!(last.message(), updated(WATCHED));
    // Killed as soon as the client knows that it is subscribed.
    subscribe(&gateway, &session, "test://static-binary").await;
    gateway.restart().await;
    let mut events = gateway.resume(&session, &last).await;
    for list in ["tools", "prompts", "resources"] {
        assert_eq!(next(&mut events).await["method"], format!("notifications/{list}/list_changed"));
    }
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(next(&mut events).await["params"]["uri"].as_str().expect("a resource").to_owned());
    }
    told.sort();
    assert_eq!(told, ["test://static-binary", TEXT, WATCHED], "each that it watches, once");
    touch(&gateway, TOUCH, OF_TEMPLATE).await;
    touch(&gateway, TOUCH, TEXT).await;
    assert_eq!(next(&mut events).await, updated(TEXT));
}

#[tokio::test]
async fn a_session_watches_only_so_many() {
    let mut gateway = with("").await;
    let (session, other) = (gateway.session("2025-11-25").await, gateway.session("2025-11-25").await);
    let uri = |number: u32| format!("test://template/{number}/data");
    for number in 0..256 {
        subscribe(&gateway, &session, &uri(number)).await;
    }
    for _ in 0..2 {
        let full = watch(&gateway, &session, "subscribe", &uri(256)).await;
        assert_eq!((full.status, full.code(), full.kind(), &full.message()["id"]), (429, -31005, "quota", &json!("w")));
        gateway.restart().await;
    }
    subscribe(&gateway, &session, &uri(255)).await;
    subscribe(&gateway, &other, &uri(256)).await;
    assert_eq!(watch(&gateway, &session, "unsubscribe", &uri(0)).await.result(), &json!({}));
    subscribe(&gateway, &session, &uri(256)).await;
}
