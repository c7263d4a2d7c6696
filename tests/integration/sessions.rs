//! Sessions of the handshake era: who may use them, how they end, and how many there may be.

use crate::harness::{Answer, Gateway, Setup, call_params, eventually, initialize_params, rpc};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings: settings.to_owned() }).await
}

async fn ping(gateway: &Gateway, session: &str) -> u16 {
    gateway.legacy(Some(session), rpc(1, "ping", json!({}))).await.status
}

async fn initialize(gateway: &Gateway, session: Option<&str>) -> Answer {
    gateway.legacy(session, rpc(0, "initialize", initialize_params("2025-11-25"))).await
}

/// A session of which nothing more was heard.
async fn begun(gateway: &Gateway) -> String {
    initialize(gateway, None).await.header("mcp-session-id").expect("a session").to_owned()
}

async fn delete(gateway: &Gateway, path: &str, session: Option<&str>) -> Answer {
    let request = gateway.client.request(Method::DELETE, format!("{}{path}", gateway.origin));
    Answer::of(session.iter().fold(request, |request, session| request.header("mcp-session-id", *session))).await
}

async fn post(gateway: &Gateway, path: &str, session: Option<&str>) -> Answer {
    let request = gateway.client.post(format!("{}{path}", gateway.origin)).header("content-type", "application/json");
    let request = session.iter().fold(request, |request, session| request.header("mcp-session-id", *session));
    Answer::of(request.body(rpc("s", "tools/list", json!({})).to_string())).await
}

#[tokio::test]
async fn a_session_is_needed_and_must_be_ones_own() {
    let gateway = with("[servers.one]\ntools = [\"echo\"]\n[servers.two]\ntools = [\"echo\"]\n").await;
    let (alive, ended) = (gateway.session("2025-11-25").await, gateway.session("2025-11-25").await);
    assert_eq!(delete(&gateway, "/mcp", Some(&ended)).await.status, 204);
    let at_one = post_initialize(&gateway, "/servers/one/mcp").await;

    let unknown = "0".repeat(32);
    let upper = alive.to_uppercase();
    let cases = [
        ("missing", "/mcp", None, 400),
        ("empty", "/mcp", Some(""), 404),
        ("unknown", "/mcp", Some(&*unknown), 404),
        ("ended", "/mcp", Some(&*ended), 404),
        ("in another case", "/mcp", Some(&*upper), 404),
        ("of the default server", "/servers/one/mcp", Some(&*alive), 404),
        ("of another server", "/servers/two/mcp", Some(&*at_one), 404),
        ("of a virtual server", "/mcp", Some(&*at_one), 404),
    ];
    for (name, path, session, status) in cases {
        for (verb, answer, id) in
            [("POST", post(&gateway, path, session).await, json!("s")), ("DELETE", delete(&gateway, path, session).await, Value::Null)]
        {
            assert_eq!((answer.status, answer.code(), &answer.message()["id"]), (status, -32600, &id), "{verb}, {name}: {answer:?}");
            let says = if status == 400 { "The header Mcp-Session-Id is missing; begin with initialize" } else { "Session not found" };
            assert_eq!(answer.error()["message"], says, "{verb}, {name}: a stranger learns nothing");
        }
    }
    let twice = gateway.legacy_request(Some(&alive), &rpc(1, "ping", json!({}))).header("mcp-session-id", &alive);
    assert_eq!(Answer::of(twice).await.status, 400);

    // Nobody's session was ended by any of that.
    assert_eq!(post(&gateway, "/mcp", Some(&alive)).await.status, 200);
    assert_eq!(post(&gateway, "/servers/one/mcp", Some(&at_one)).await.status, 200);
}

async fn post_initialize(gateway: &Gateway, path: &str) -> String {
    let request = gateway.client.post(format!("{}{path}", gateway.origin)).header("content-type", "application/json");
    let answer = Answer::of(request.body(rpc(0, "initialize", initialize_params("2025-11-25")).to_string())).await;
    answer.header("mcp-session-id").expect("a session").to_owned()
}

#[tokio::test]
async fn delete_ends_a_session_and_its_calls() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut call = rpc("c", "tools/call", call_params("slow_count", json!({ "message": "never", "n": 1000, "interval_ms": 10_000 })));
    call["params"]["_meta"]["progressToken"] = 1.into();
    let mut running = gateway.legacy_request(Some(&session), &call).send().await.expect("an answer");
    assert!(running.chunk().await.expect("a first event").is_some());

    let ended = delete(&gateway, "/mcp", Some(&session)).await;
    assert_eq!((ended.status, &*ended.text), (204, ""));
    assert!(running.text().await.expect("its end").contains("-32800"));
    assert_eq!(ping(&gateway, &session).await, 404);
    assert_eq!(delete(&gateway, "/mcp", Some(&session)).await.status, 404);
}

#[tokio::test]
async fn initialize_begins_one_session_at_a_time() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let again = initialize(&gateway, Some(&session)).await;
    assert_eq!((again.status, again.code(), &again.message()["id"]), (400, -32600, &json!(0)));
    assert_eq!(again.error()["message"], "The session is initialized already");
    assert_eq!(ping(&gateway, &session).await, 200, "the session goes on");

    // A client that comes back with a session that is over gets a new one (2.1).
    delete(&gateway, "/mcp", Some(&session)).await;
    let fresh = initialize(&gateway, Some(&session)).await;
    assert_eq!(fresh.status, 200);
    assert_ne!(fresh.header("mcp-session-id").expect("a session"), session);
}

#[tokio::test]
async fn there_are_only_so_many_sessions() {
    let gateway = with("[limits]\nsessions_max = 1\n").await;
    let refused = gateway.legacy(None, rpc(1, "initialize", json!({}))).await;
    assert_eq!((refused.status, refused.code()), (200, -32602));
    let session = begun(&gateway).await;
    let full = initialize(&gateway, None).await;
    assert_eq!((full.status, full.code(), full.kind()), (503, -31004, "overloaded"), "what was refused before left nothing behind");
    assert_eq!((full.retry_after_s() <= 5, full.header("mcp-session-id"), &full.message()["id"]), (true, None, &json!(0)));
    assert_eq!(delete(&gateway, "/mcp", Some(&session)).await.status, 204);
    assert_eq!(initialize(&gateway, None).await.status, 200);
}

#[tokio::test]
async fn a_session_has_only_so_many_requests_in_flight() {
    let gateway = with("[limits]\nsession_requests_in_flight_max = 1\n").await;
    let session = gateway.session("2025-11-25").await;
    let mut call = rpc("c", "tools/call", call_params("slow_count", json!({ "message": "done", "n": 4, "interval_ms": 100 })));
    call["params"]["_meta"]["progressToken"] = 1.into();
    let mut running = gateway.legacy_request(Some(&session), &call).send().await.expect("an answer");
    assert!(running.chunk().await.expect("a first event").is_some());
    let full = gateway.legacy(Some(&session), rpc(2, "ping", json!({}))).await;
    assert_eq!((full.status, full.code(), full.kind(), full.retry_after_s() <= 5), (429, -31005, "quota", true));
    assert!(running.text().await.expect("its end").contains("\"done\""));
    assert_eq!(ping(&gateway, &session).await, 200);
}

/// Time is the subject here: nobody asks for a session between, because asking is using.
#[tokio::test]
async fn sessions_that_nobody_uses_end() {
    let gateway = with("[limits]\nsession_initialization_timeout_s = 1\nsession_idle_timeout_s = 2\n").await;
    let (silent, initialized, requested) = (begun(&gateway).await, gateway.session("2025-11-25").await, begun(&gateway).await);
    assert_eq!(ping(&gateway, &requested).await, 200, "a request says as much as notifications/initialized");
    let busy = gateway.session("2025-11-25").await;
    let call = rpc("c", "tools/call", call_params("sleep", json!({ "ms": 2_600 })));
    let others = async {
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(ping(&gateway, &silent).await, 404, "its client never said a word");
        assert_eq!(ping(&gateway, &requested).await, 200);
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        assert_eq!(ping(&gateway, &initialized).await, 404, "idle for two seconds");
        assert_eq!(ping(&gateway, &requested).await, 200, "used one second ago");
        assert_eq!(ping(&gateway, &busy).await, 200, "a call in flight is use");
    };
    let (answer, ()) = tokio::join!(Answer::of(gateway.legacy_request(Some(&busy), &call)), others);
    assert_eq!(answer.tool_text(), "slept 2600 ms");
}

#[tokio::test]
async fn a_session_does_not_live_for_ever() {
    let gateway = with("[limits]\nsession_lifetime_s = 1\n").await;
    let began = Instant::now();
    let session = gateway.session("2025-11-25").await;
    let over = async || (ping(&gateway, &session).await == 404).then_some(());
    eventually("it is over although it is used", Duration::from_secs(5), over).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
}

/// S09: one caller has only so many, all of them in use; and is told how to get on.
#[tokio::test]
async fn a_caller_has_only_so_many_sessions() {
    let gateway = with("[limits]\nsessions_per_principal_max = 3\nsessions_per_tenant_max = 5\n").await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(begun(&gateway).await);
    }
    for _ in 0..5 {
        let full = initialize(&gateway, None).await;
        assert_eq!((full.status, full.code(), full.retry_after_s() >= 26), (429, -31005, true));
        assert!(full.header("mcp-session-id").is_none());
    }
    for session in &sessions {
        assert_eq!(ping(&gateway, session).await, 200, "those that are there go on");
    }
    assert_eq!(delete(&gateway, "/mcp", Some(&sessions[0])).await.status, 204);
    begun(&gateway).await;
}

/// S01: all different, none like another.
#[tokio::test]
async fn names_of_sessions_cannot_be_guessed() {
    let gateway = with("").await;
    let mut names = std::collections::HashSet::new();
    let mut ones = 0_u32;
    for _ in 0..500 {
        let session = begun(&gateway).await;
        assert_eq!(delete(&gateway, "/mcp", Some(&session)).await.status, 204);
        assert!(session.len() == 32 && session.bytes().all(|byte| byte.is_ascii_hexdigit()));
        ones += u128::from_str_radix(&session, 16).expect("hexadecimal").count_ones();
        names.insert(session);
    }
    assert_eq!(names.len(), 500);
    // 64,000 bits: half of them ones, within six standard deviations.
    assert!((31_240..=32_760).contains(&ones), "{ones}");
    let prefixes: std::collections::HashSet<_> = names.iter().map(|name| &name[..8]).collect();
    assert_eq!(prefixes.len(), 500, "no two begin alike");
}

/// S13, S16: what is no name is refused, and nobody chooses a name.
#[tokio::test]
async fn names_of_sessions_are_the_gateways_own() {
    let gateway = with("").await;
    let chosen = "c".repeat(32);
    let fresh = initialize(&gateway, Some(&chosen)).await;
    assert_ne!(fresh.header("mcp-session-id").expect("a session"), chosen);
    assert_eq!(ping(&gateway, &chosen).await, 404);
    let long = "a".repeat(4_096);
    for bad in [&*long, "a b"] {
        assert_eq!(ping(&gateway, bad).await, 400, "{}", bad.len());
    }
    let mut request = gateway.legacy_request(None, &rpc(1, "ping", json!({}))).build().expect("a request");
    request.headers_mut().insert("mcp-session-id", reqwest::header::HeaderValue::from_bytes(b"\xe9").expect("a value"));
    assert_eq!(gateway.client.execute(request).await.expect("an answer").status(), 400);
}
