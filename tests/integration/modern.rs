//! The modern era (protocol 1.6 and 1.7): what is answered, in which form, and what a closed connection means.

use crate::harness::{Answer, Gateway, Modern, Setup, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

fn list() -> Modern {
    Modern::new("tools/list", json!({}))
}

/// Counts to 5, as fast as it can.
fn count() -> Modern {
    Modern::call_with_progress("slow_count", json!({ "message": "done", "n": 5 }))
}

/// One call at a time; the next one waits for a moment.
async fn one_slot() -> Gateway {
    let settings = "[limits]\ncalls_per_tenant_max = 1\ncall_queue_timeout_ms = 200\n".to_owned();
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await
}

async fn is_slot_free(gateway: &Gateway) -> bool {
    let answer = gateway.call("echo", json!({ "message": "free" })).await;
    match answer.status {
        200 => true,
        429 => {
            assert_eq!((answer.code(), answer.kind(), answer.retry_after_s() <= 5), (-31005, "quota", true));
            false
        }
        _ => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn discover_says_what_is_served() {
    let settings = "[gateway]\ninstructions = \"Be kind.\"\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let answer = gateway.modern(Modern::new("server/discover", json!({}))).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let result = answer.result();
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(
        result["capabilities"],
        json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "listChanged": true, "subscribe": true },
            "completions": {},
            "logging": {},
            "extensions": { "io.modelcontextprotocol/tasks": {} },
        })
    );
    assert_eq!(result["instructions"], "Be kind.");
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(1000), &json!("private")));
    assert_eq!(result["_meta"][SERVER_INFO]["name"], "gatehouse");
    assert!(answer.header("mcp-session-id").is_none(), "the modern era has no sessions");
}

#[tokio::test]
async fn a_list_is_whole_stable_and_private() {
    let gateway = Gateway::start().await;
    let answer = gateway.modern(list()).await;
    let result = answer.result();
    assert_eq!(result["resultType"], "complete");
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(1000), &json!("private")));
    assert_eq!(result["_meta"][SERVER_INFO]["name"], "gatehouse");
    assert_eq!(result.get("nextCursor"), None);
    let stats = result["tools"].as_array().expect("a list").iter().find(|tool| tool["name"] == "word_stats").expect("it is shown");
    assert_eq!((&stats["inputSchema"]["type"], &stats["outputSchema"]["type"]), (&json!("object"), &json!("object")));
    assert_eq!((&stats["title"], &stats["annotations"]["readOnlyHint"]), (&json!("Word statistics"), &json!(true)));
    assert_eq!(gateway.modern(list()).await.text, answer.text);
    assert_eq!(answer.header("cache-control"), Some("no-store"), "what a caller was shown is for nobody on the way to keep");
}

#[tokio::test]
async fn a_call_without_notifications_is_answered_in_json() {
    let gateway = Gateway::start().await;
    let answer = gateway.call("word_stats", json!({ "text": "a b a" })).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let result = answer.result();
    assert_eq!((&result["resultType"], &result["structuredContent"]["words"]), (&json!("complete"), &json!(3)));
    assert_eq!(result.get("isError"), None);
    assert_eq!(result["_meta"][SERVER_INFO]["name"], "gatehouse");
    let text: Value = serde_json::from_str(answer.tool_text()).expect("the structure once more, as text");
    assert_eq!(text, result["structuredContent"]);
    // A tool that reports progress to nobody who asked says nothing on the way.
    let unasked = gateway.call("slow_count", json!({ "message": "done", "n": 5 })).await;
    assert_eq!((unasked.is_stream(), unasked.tool_text()), (false, "done"));
}

#[tokio::test]
async fn progress_comes_on_the_response_stream() {
    let gateway = Gateway::start().await;
    for token in [json!("p"), json!(7), json!("7"), json!(0), json!("")] {
        let answer = gateway.modern(count().body(|body| body["params"]["_meta"]["progressToken"] = token.clone())).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(answer.header("cache-control"), Some("no-store, no-transform"));
        assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        let field = |name: &str| answer.text.lines().any(|line| line.starts_with(name));
        assert!(!field("id:") && !field("retry:"), "modern streams are not resumed: {}", answer.text);
        let mut last = 0.0;
        for notification in answer.notifications() {
            assert_eq!((&notification["method"], notification.get("id")), (&json!("notifications/progress"), None));
            assert_eq!((&notification["params"]["progressToken"], &notification["params"]["total"]), (&token, &json!(5)));
            let progress = notification["params"]["progress"].as_f64().expect("a number");
            assert!(progress > last, "{answer:?}");
            last = progress;
        }
        assert_eq!(last, 5.0, "{answer:?}");
        assert_eq!((answer.tool_text(), &answer.result()["resultType"]), ("done", &json!("complete")));
    }
}

/// Decision 7: in a form that the client takes.
#[tokio::test]
async fn the_form_is_one_that_the_client_takes() {
    let gateway = Gateway::start().await;
    let json_only = gateway.modern(count().instead("accept", "application/json")).await;
    assert_eq!((json_only.header("content-type"), json_only.tool_text()), (Some("application/json"), "done"));
    assert!(json_only.notifications().is_empty());
    for request in [Modern::call("echo", json!({ "message": "done" })), count()] {
        let answer = gateway.modern(request.instead("accept", "text/event-stream")).await;
        assert_eq!((answer.header("content-type"), answer.tool_text()), (Some("text/event-stream"), "done"));
    }
    let answer = gateway.modern(list().instead("accept", "text/event-stream")).await;
    assert!(answer.is_stream() && answer.result()["tools"].is_array());
    for accept in ["*/*", "application/*", "text/*;q=0.1, application/json", "text/html, application/json"] {
        let answer = gateway.modern(list().instead("accept", accept)).await;
        assert_eq!((answer.status, answer.is_stream()), (200, false), "{accept}");
    }
    // A refusal has a status of its own, which only a plain answer can carry.
    let refused = gateway.modern(Modern::new("ping", json!({})).instead("accept", "text/event-stream")).await;
    assert_eq!((refused.status, refused.code()), (404, -32601));
}

#[tokio::test]
async fn a_silent_call_becomes_a_stream_that_is_kept_alive() {
    let settings = "[limits]\nkeep_alive_interval_s = 1\n".to_owned();
    let gateway = Gateway::with(Setup { fixtures: vec!["misbehave"], settings, ..Setup::default() }).await;
    // One second until it is a stream, one more until the stream has been silent for too long.
    let answer = gateway.call("sleep", json!({ "ms": 2_200 })).await;
    assert!(answer.is_stream() && answer.text.starts_with(": keep-alive\n\n"), "{answer:?}");
    assert_eq!(answer.tool_text(), "slept 2200 ms");
}

/// Decision 10: a disconnect cancels, whether the answer has begun or not.
#[tokio::test]
async fn a_closed_connection_ends_the_call() {
    let gateway = one_slot().await;
    let endless = json!({ "message": "never", "n": 1000, "interval_ms": 10_000 });
    let mut begun = Modern::call_with_progress("slow_count", endless).build(&gateway).send().await.expect("an answer");
    assert!(begun.chunk().await.expect("a first event").is_some());
    assert!(!is_slot_free(&gateway).await);
    drop(begun);
    eventually("the slot is free", Duration::from_secs(5), async || is_slot_free(&gateway).await.then_some(())).await;

    tokio::select! {
        answer = Answer::of(Modern::call("sleep", json!({ "ms": 25_000 })).build(&gateway)) => panic!("{answer:?}"),
        () = eventually("the slot is taken", Duration::from_secs(5), async || (!is_slot_free(&gateway).await).then_some(())) => {}
    }
    eventually("the slot is free again", Duration::from_secs(5), async || is_slot_free(&gateway).await.then_some(())).await;
}

/// M4: no id belongs to a connection or a session, so anybody could name anybody's.
#[tokio::test]
async fn a_posted_cancellation_ends_nothing() {
    let gateway = Gateway::start().await;
    let slow = Modern::call_with_progress("slow_count", json!({ "message": "done", "n": 3, "interval_ms": 100 }));
    let mut begun = slow.build(&gateway).send().await.expect("an answer");
    let first = begun.chunk().await.expect("a first event").expect("not the end");
    let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    assert_eq!(gateway.modern(list().body(|body| *body = cancelled)).await.status, 202);
    let rest = begun.text().await.expect("the rest");
    assert!(String::from_utf8_lossy(&first).contains("notifications/progress") && rest.contains("\"done\""), "{rest}");
}
