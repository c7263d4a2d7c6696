//! What is there after the process was killed: sessions, streams, answers.

use crate::harness::{
    Answer, Events, Gateway, Modern, Setup, call_params, count, eventually, fixture, initialize_params, messages, plugin, rpc,
};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings: settings.to_owned() }).await
}

#[tokio::test]
async fn sessions_go_on_after_a_crash() {
    let mut gateway = with("[servers.one]\ntools = [\"echo\"]\n").await;
    let mut sessions = Vec::new();
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        sessions.push((revision, gateway.session(revision).await));
    }
    let at_one = gateway.session_at("/servers/one/mcp", "2025-11-25").await;
    let ended = gateway.session("2025-11-25").await;
    let delete = gateway.client.delete(gateway.url()).header("mcp-session-id", &ended).send().await.expect("an answer");
    assert_eq!(delete.status(), 204);

    gateway.restart().await;
    for (revision, session) in &sessions {
        // Its revision is there: bad arguments were an error before 2025-11-25, and are a result since.
        let call = rpc(1, "tools/call", call_params("echo", json!({ "message": 1 })));
        let answer = gateway.legacy(Some(session), call).await;
        assert_eq!((answer.status, answer.message().get("error").is_some()), (200, *revision != "2025-11-25"), "{revision}: {answer:?}");
        let batch = json!([rpc(1, "ping", json!({}))]);
        let status = if *revision == "2025-03-26" { 200 } else { 400 };
        assert_eq!(gateway.legacy(Some(session), batch).await.status, status, "{revision}");
    }
    // Its server is there, and who was sent away stays away.
    assert_eq!(gateway.legacy(Some(&at_one), rpc(1, "ping", json!({}))).await.status, 404);
    assert_eq!(gateway.legacy(Some(&ended), rpc(1, "ping", json!({}))).await.status, 404);
    let again = gateway.legacy(Some(&sessions[2].1), rpc(0, "initialize", initialize_params("2025-11-25"))).await;
    assert_eq!((again.status, again.code()), (400, -32600), "it is initialized already");
}

/// D01 by the wire: every event whose id was seen comes again, byte by byte; the finished answer too.
#[tokio::test]
async fn a_finished_answer_is_there_after_a_crash() {
    let mut gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut whole = Events::of(gateway.legacy_request(Some(&session), &count("c", 20, 2))).await;
    let priming = whole.next().await.expect("a first event");
    let all = messages(whole).await;
    assert_eq!(all.len(), 21);
    for after in [0, 7, 19] {
        gateway.restart().await;
        let rest = messages(Events::of(gateway.events_request(&session, Some(all[after].id()))).await).await;
        assert_eq!(rest, &all[after + 1..], "after {after}");
    }
    assert_eq!(messages(Events::of(gateway.events_request(&session, Some(priming.id()))).await).await, all);
}

/// Decision 9: a call that ran at the crash is answered when it is asked for, and not run again.
#[tokio::test]
async fn a_call_that_ran_at_the_crash_is_answered_and_not_run_again() {
    let mut gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut live = Events::of(gateway.legacy_request(Some(&session), &count("lost", 1_000, 20))).await;
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let event = live.next().await.expect("more");
        if !event.is_priming() {
            seen.push(event);
        }
    }
    gateway.restart().await;
    let mut ends = Vec::new();
    for _ in 0..2 {
        let rest = messages(Events::of(gateway.events_request(&session, Some(seen[2].id()))).await).await;
        assert_eq!(&rest[..2], &seen[3..], "what was shown is there");
        let end = rest.last().expect("an end").clone();
        let message = end.message();
        assert_eq!((&message["id"], &message["error"]["code"]), (&json!("lost"), &json!(-31011)));
        assert_eq!(message["error"]["data"]["kind"], "outcome_unknown");
        ends.push(end);
    }
    assert_eq!(ends[0], ends[1], "it was decided once");
    // The id is free again, and another crash changes nothing.
    assert_eq!(gateway.legacy(Some(&session), count("lost", 1, 1)).await.message()["result"]["content"][0]["text"], "done");
    gateway.restart().await;
    let rest = messages(Events::of(gateway.events_request(&session, Some(seen[4].id()))).await).await;
    assert_eq!(rest.last(), ends.last());
}

/// The standalone stream goes on, and says that lists may have changed meanwhile.
#[tokio::test]
async fn the_standalone_stream_goes_on_after_a_crash() {
    let mut gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut events = Events::of(gateway.events_request(&session, None)).await;
    assert!(events.next().await.expect("a first event").is_priming());
    gateway.drop_in("text-template", &fs::read(plugin("text-template")).expect("read"));
    let changed = events.next().await.expect("a change");
    gateway.kill().await;
    drop(events);
    gateway.start_again().await;
    let mut events = Events::of(gateway.events_request(&session, Some(changed.id()))).await;
    assert!(events.next().await.expect("a first event").is_priming());
    for list in ["tools", "prompts", "resources"] {
        let told = events.next().await.expect("a word");
        assert_eq!(told.message()["method"], format!("notifications/{list}/list_changed"));
        assert_ne!(told.id, changed.id);
    }
    gateway.drop_in("mirrored", &fs::read(fixture("mirrored")).expect("read"));
    assert_eq!(events.next().await.expect("a change").message()["method"], "notifications/tools/list_changed");
}

/// Without the store on disk nothing outlives the process; in memory, streams can be resumed all the same.
#[tokio::test]
async fn other_back_ends_promise_less() {
    let mut gateway = with("[store]\nbackend = \"memory\"\n").await;
    let session = gateway.session("2025-11-25").await;
    let all = Events::of(gateway.legacy_request(Some(&session), &count(1, 3, 5))).await.rest().await;
    let rest = messages(Events::of(gateway.events_request(&session, Some(all[1].id()))).await).await;
    assert_eq!(rest, &all[2..]);
    gateway.restart().await;
    assert_eq!(gateway.legacy(Some(&session), rpc(1, "ping", json!({}))).await.status, 404);

    let gateway = with("[store]\nbackend = \"none\"\n").await;
    let session = gateway.session("2025-11-25").await;
    let all = Events::of(gateway.legacy_request(Some(&session), &count(1, 3, 5))).await.rest().await;
    assert!(all.len() == 4 && all.iter().all(|event| event.id.is_none()), "{all:?}");
    assert_eq!(Answer::of(gateway.events_request(&session, Some("A"))).await.code(), -31012);
    let mut events = Events::of(gateway.events_request(&session, None)).await;
    gateway.drop_in("mirrored", &fs::read(fixture("mirrored")).expect("read"));
    let changed = events.next().await.expect("a change");
    assert_eq!((changed.id.as_deref(), &changed.message()["method"]), (None, &json!("notifications/tools/list_changed")));
}

/// A session whose time is over while the gateway is down does not come back.
#[tokio::test]
async fn down_time_counts_for_the_lifetime() {
    let mut gateway = with("[limits]\nsession_lifetime_s = 2\n").await;
    let session = gateway.session("2025-11-25").await;
    gateway.restart().await;
    let over = async || (gateway.legacy(Some(&session), rpc(1, "ping", json!({}))).await.status == 404).then_some(());
    eventually("it is over", Duration::from_secs(10), over).await;
}

/// The log level that a client set is kept with its session.
#[tokio::test]
async fn the_log_level_is_kept() {
    let mut gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let call = || rpc(1, "tools/call", call_params("log_forge", json!({})));
    let quiet = gateway.legacy(Some(&session), call()).await;
    assert_eq!(quiet.notifications(), &[] as &[Value], "nobody asked for lines");
    let unknown = gateway.legacy(Some(&session), rpc(2, "logging/setLevel", json!({ "level": "loud" }))).await;
    assert_eq!((unknown.status, unknown.code()), (200, -32602));
    for level in ["emergency", "debug"] {
        let set = gateway.legacy(Some(&session), rpc(2, "logging/setLevel", json!({ "level": level }))).await;
        assert_eq!(set.result(), &json!({}));
        gateway.restart().await;
        let told = gateway.legacy(Some(&session), call()).await;
        let lines: Vec<_> = told.notifications().iter().filter(|told| told["method"] == "notifications/message").collect();
        assert_eq!(lines.is_empty(), level == "emergency", "{level}: {told:?}");
        assert!(lines.iter().all(|line| line["params"]["level"].is_string() && !line["params"]["data"].is_null()), "{lines:?}");
    }
    // The modern era says it in each request.
    let modern =
        Modern::call("log_forge", json!({})).body(|body| body["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = "debug".into());
    assert!(!gateway.modern(modern).await.notifications().is_empty());
    assert!(gateway.call("log_forge", json!({})).await.notifications().is_empty());
    let unknown =
        Modern::call("log_forge", json!({})).body(|body| body["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = "loud".into());
    assert_eq!(gateway.modern(unknown).await.code(), -32602);
}
