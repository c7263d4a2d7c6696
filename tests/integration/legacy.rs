//! The handshake era (protocol 2.1 to 2.3): what each revision is told, and how calls run in a session.

use crate::harness::{Answer, Gateway, Setup, call_params, eventually, initialize_params, rpc};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

fn call(id: impl Into<Value>, name: &str, arguments: Value) -> Value {
    rpc(id, "tools/call", call_params(name, arguments))
}

/// Counts to `n` with a tenth of a second between two numbers, and reports each.
fn count(id: impl Into<Value>, n: u32) -> Value {
    let mut call = call(id, "slow_count", json!({ "message": "done", "n": n, "interval_ms": 100 }));
    call["params"]["_meta"]["progressToken"] = "p".into();
    call
}

fn cancelled(id: impl Into<Value>) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id.into() } })
}

/// Sends a call and waits for its first event, so that it surely runs.
async fn begin(gateway: &Gateway, session: &str, call: &Value) -> reqwest::Response {
    let mut response = gateway.legacy_request(Some(session), call).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert!(response.chunk().await.expect("a first event").is_some());
    response
}

async fn end(response: reqwest::Response) -> Value {
    let rest = response.text().await.expect("the rest");
    let last = rest.trim_end().rsplit("\n\n").next().expect("an event");
    serde_json::from_str(last.split_once("data: ").expect("data").1).expect("a message")
}

#[tokio::test]
async fn initialize_settles_the_revision() {
    let gateway = Gateway::start().await;
    let asked = REVISIONS.iter().map(|revision| (*revision, *revision));
    for (asked, settled) in asked.chain([("2026-07-28", "2025-11-25"), ("2099-01-01", "2025-11-25"), ("", "2025-11-25")]) {
        let answer = gateway.legacy(None, rpc("i", "initialize", initialize_params(asked))).await;
        assert_eq!((answer.status, answer.is_stream(), &answer.message()["id"]), (200, false, &json!("i")), "{asked}");
        let result = answer.result();
        assert_eq!(result["protocolVersion"], settled, "{asked}");
        let mut capabilities = json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "listChanged": true, "subscribe": true },
            "logging": {},
        });
        if settled != "2024-11-05" {
            capabilities["completions"] = json!({});
        }
        assert_eq!(result["capabilities"], capabilities, "{asked}");
        assert_eq!(result["serverInfo"]["name"], "gatehouse", "{asked}");
        let titled = result["serverInfo"].get("title").is_some();
        assert_eq!(titled, matches!(settled, "2025-06-18" | "2025-11-25"), "{asked}");
        assert_eq!((result.get("resultType"), result.get("_meta")), (None, None), "{asked}");
        let session = answer.header("mcp-session-id").expect("a session");
        assert!(session.len() >= 32 && session.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{session}");

        let initialized = gateway.legacy(Some(session), json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        assert_eq!((initialized.status, &*initialized.text), (202, ""));
        let ping = gateway.legacy(Some(session), rpc(1, "ping", json!({}))).await;
        assert_eq!((ping.status, ping.result(), ping.header("mcp-session-id")), (200, &json!({}), Some(session)));
    }
}

#[tokio::test]
async fn initialize_that_is_wrong_is_refused() {
    let gateway = Gateway::start().await;
    let without = |member: &str| {
        let mut params = initialize_params("2025-11-25");
        params.as_object_mut().expect("an object").remove(member);
        params
    };
    for member in ["protocolVersion", "capabilities", "clientInfo"] {
        let answer = gateway.legacy(None, rpc(1, "initialize", without(member))).await;
        assert_eq!((answer.status, answer.code()), (200, -32602), "{member}");
        assert_eq!(answer.error()["message"], format!("params.{member} is missing"));
        assert!(answer.header("mcp-session-id").is_none(), "{member}");
    }
    let notification = json!({ "jsonrpc": "2.0", "method": "initialize", "params": initialize_params("2025-11-25") });
    let answer = gateway.legacy(None, notification).await;
    assert_eq!((answer.status, answer.code(), &answer.message()["id"]), (400, -32600, &Value::Null));
}

#[tokio::test]
async fn methods_that_do_not_exist_are_errors_inside_of_200() {
    let gateway = Gateway::start().await;
    let session = gateway.session("2025-11-25").await;
    for method in ["tools/fetch", "tasks/get", "server/discover", "subscriptions/listen"] {
        let answer = gateway.legacy(Some(&session), rpc("m", method, json!({}))).await;
        assert_eq!((answer.status, answer.code(), &answer.message()["id"]), (200, -32601, &json!("m")), "{method}");
    }
    // A request without an id would run and answer nobody; an unknown notification is ignored.
    let nameless = gateway.legacy(Some(&session), json!({ "jsonrpc": "2.0", "method": "tools/list" })).await;
    assert_eq!((nameless.status, nameless.code()), (400, -32600));
    assert_eq!(gateway.legacy(Some(&session), json!({ "jsonrpc": "2.0", "method": "notifications/unknown" })).await.status, 202);
}

/// 2.2. The session's own revision drives what is answered; a header that is wrong is refused all the same.
#[tokio::test]
async fn the_version_header_is_checked_and_does_not_drive() {
    let gateway = Gateway::start().await;
    let session = gateway.session("2025-11-25").await;
    let bad_call = call(1, "echo", json!({}));
    let with = async |version: &[&str]| {
        let request = gateway.legacy_request(Some(&session), &bad_call);
        Answer::of(version.iter().fold(request, |request, version| request.header("mcp-protocol-version", *version))).await
    };
    for accepted in [&[][..], &["2025-11-25"], &["2025-03-26"], &["2024-11-05"], &[" 2025-06-18 "]] {
        let answer = with(accepted).await;
        assert_eq!((answer.status, &answer.result()["isError"]), (200, &json!(true)), "{accepted:?}: as 2025-11-25 has it");
    }
    for (refused, code) in [("2099-01-01", -32022), ("2025-3-26", -32022), ("", -32022), ("2026-07-28", -32602)] {
        let answer = with(&[refused]).await;
        assert_eq!((answer.status, answer.code(), &answer.message()["id"]), (400, code, &json!(1)), "{refused}");
    }
    assert_eq!(with(&["2099-01-01"]).await.error()["data"], json!({ "supported": ["2026-07-28"], "requested": "2099-01-01" }));
    let twice = with(&["2025-11-25", "2025-11-25"]).await;
    assert_eq!((twice.status, twice.code()), (400, -32020));
}

/// J22 and its older form.
#[tokio::test]
async fn arguments_that_break_the_schema_are_told_as_the_revision_wants() {
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], ..Setup::default() }).await;
    for revision in REVISIONS {
        let session = gateway.session(revision).await;
        // The schema refuses the first, the guest itself the second.
        for (tool, says) in [("echo", "\"message\" is a required property"), ("fail_arguments", "told to refuse the arguments")] {
            let answer = gateway.legacy(Some(&session), call(1, tool, json!({}))).await;
            assert_eq!(answer.status, 200);
            if revision == "2025-11-25" {
                assert_eq!(answer.result()["isError"], true);
                assert!(answer.tool_text().contains(says), "{answer:?}");
            } else {
                assert_eq!(answer.code(), -32602, "{revision}");
                assert!(answer.error()["message"].as_str().expect("a message").contains(says), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn each_revision_is_told_what_it_knows() {
    let gateway = Gateway::start().await;
    for revision in REVISIONS {
        let session = gateway.session(revision).await;
        let list = gateway.legacy(Some(&session), rpc(1, "tools/list", json!({}))).await;
        let tool = list.result()["tools"].as_array().expect("a list").iter().find(|tool| tool["name"] == "word_stats").cloned();
        let tool = tool.expect("it is shown");
        let structured = matches!(revision, "2025-06-18" | "2025-11-25");
        assert_eq!((tool.get("title").is_some(), tool.get("outputSchema").is_some()), (structured, structured), "{revision}");
        assert_eq!(tool.get("annotations").is_some(), revision != "2024-11-05", "{revision}");
        assert_eq!((list.result().get("ttlMs"), list.result().get("resultType")), (None, None), "{revision}");

        let stats = gateway.legacy(Some(&session), call(2, "word_stats", json!({ "text": "a b a" }))).await;
        assert_eq!(stats.result().get("structuredContent").is_some(), structured, "{revision}");
        assert_eq!(serde_json::from_str::<Value>(stats.tool_text()).expect("JSON")["words"], 3, "all that older clients can see");
        assert_eq!((stats.result().get("resultType"), stats.result().get("_meta")), (None, None), "{revision}");

        let progress = gateway.legacy(Some(&session), count(3, 1)).await;
        let [notification] = progress.notifications() else { panic!("{progress:?}") };
        assert_eq!(notification["params"].get("message").is_some(), revision != "2024-11-05", "{revision}");
    }
}

#[tokio::test]
async fn a_tool_that_is_not_there_is_an_error_of_the_request() {
    let gateway = Gateway::start().await;
    for revision in REVISIONS {
        let session = gateway.session(revision).await;
        let answer = gateway.legacy(Some(&session), call(1, "nothing", json!({}))).await;
        assert_eq!((answer.status, answer.code()), (200, -32602), "{revision}");
        assert_eq!(answer.error()["message"], "Unknown tool: nothing", "{revision}");
    }
}

#[tokio::test]
async fn an_id_is_used_once_at_a_time() {
    let gateway = Gateway::start().await;
    let session = gateway.session("2025-11-25").await;
    let running = begin(&gateway, &session, &count(7, 6)).await;
    let again = gateway.legacy(Some(&session), rpc(7, "ping", json!({}))).await;
    assert_eq!((again.status, again.code(), &again.message()["id"]), (400, -32600, &json!(7)));
    assert!(again.error()["message"].as_str().expect("a message").contains("in flight"));
    assert_eq!(gateway.legacy(Some(&session), rpc("7", "ping", json!({}))).await.status, 200, "a string is another id");
    let other = gateway.session("2025-11-25").await;
    assert_eq!(gateway.legacy(Some(&other), rpc(7, "ping", json!({}))).await.status, 200, "so is the same id of another session");
    assert_eq!(end(running).await["result"]["content"][0]["text"], "done");
    assert_eq!(gateway.legacy(Some(&session), rpc(7, "ping", json!({}))).await.status, 200, "it is free again");
}

#[tokio::test]
async fn a_cancelled_call_ends_and_frees_its_slot() {
    let settings = "[limits]\ncalls_per_tenant_max = 1\ncall_queue_timeout_ms = 0\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let session = gateway.session("2025-11-25").await;
    let running = begin(&gateway, &session, &count("c", 1000)).await;
    let echo = call(2, "echo", json!({ "message": "free" }));
    let full = gateway.legacy(Some(&session), echo.clone()).await;
    assert_eq!((full.status, full.code()), (429, -31005));
    // Of another session, another id, and none at all: nothing happens.
    let other = gateway.session("2025-11-25").await;
    for (session, notification) in [(&other, cancelled("c")), (&session, cancelled(1)), (&session, cancelled(Value::Null))] {
        assert_eq!(gateway.legacy(Some(session), notification).await.status, 202);
    }
    assert_eq!(gateway.legacy(Some(&session), echo.clone()).await.status, 429);
    assert_eq!(gateway.legacy(Some(&session), cancelled("c")).await.status, 202);
    let last = end(running).await;
    assert_eq!((&last["error"]["code"], &last["id"]), (&json!(-32800), &json!("c")));
    let free = async || (gateway.legacy(Some(&session), echo.clone()).await.status == 200).then_some(());
    eventually("the slot is free", Duration::from_secs(5), free).await;
}

/// Decision 10: in this era a closed connection ends nothing.
#[tokio::test]
async fn a_closed_connection_does_not_end_the_call() {
    let settings = "[limits]\ncalls_per_tenant_max = 1\ncall_queue_timeout_ms = 0\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let session = gateway.session("2025-11-25").await;
    let running = begin(&gateway, &session, &count(1, 11)).await;
    let began = Instant::now();
    drop(running);
    let echo = call(2, "echo", json!({ "message": "free" }));
    let free = async || (gateway.legacy(Some(&session), echo.clone()).await.status == 200).then_some(());
    eventually("the call is over", Duration::from_secs(10), free).await;
    // Ten waits of 100 ms, of which a few may lie before the first event arrived here.
    assert!(began.elapsed() > Duration::from_millis(700), "it ended after {:?}", began.elapsed());
}

#[tokio::test]
async fn json_mode_answers_in_one_body() {
    let settings = "[legacy]\njson_responses = true\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let session = gateway.session("2025-11-25").await;
    let answer = gateway.legacy(Some(&session), count(1, 3)).await;
    assert_eq!((answer.status, answer.header("content-type"), answer.tool_text()), (200, Some("application/json"), "done"));
    assert!(answer.notifications().is_empty(), "{answer:?}");
    let request = gateway.client.post(gateway.url()).header("content-type", "application/json").header("mcp-session-id", &session);
    let events = Answer::of(request.header("accept", "text/event-stream").body(count(2, 3).to_string())).await;
    assert!(events.is_stream(), "who takes nothing else gets a stream: {events:?}");
    assert_eq!(events.tool_text(), "done");
}

/// 2.7: every request stands for itself.
#[tokio::test]
async fn stateless_mode_has_no_sessions() {
    let settings = "[legacy]\nstateful_sessions = false\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let answer = gateway.legacy(None, rpc(0, "initialize", initialize_params("2025-06-18"))).await;
    assert_eq!((answer.status, &answer.result()["protocolVersion"]), (200, &json!("2025-06-18")));
    assert_eq!(answer.header("mcp-session-id"), None);
    // Nothing is announced that needs a session.
    assert_eq!(answer.result()["capabilities"], json!({ "tools": {}, "prompts": {}, "resources": {}, "completions": {} }));
    assert_eq!(gateway.legacy(None, rpc(1, "resources/subscribe", json!({ "uri": "a:b" }))).await.code(), -32601);
    assert_eq!(gateway.legacy(None, rpc(1, "logging/setLevel", json!({ "level": "info" }))).await.code(), -32601);
    assert_eq!(gateway.legacy(None, json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await.status, 202);
    let echo = gateway.legacy(Some("whatever"), call(1, "echo", json!({ "message": "hello" }))).await;
    assert_eq!((echo.tool_text(), echo.header("mcp-session-id")), ("hello", None));
    assert_eq!(gateway.legacy(None, count(1, 3)).await.tool_text(), "done");

    // The header stands in for the session's revision; without one it is 2025-03-26.
    for (version, code_or_result) in [(None, Some(-32602)), (Some("2025-06-18"), Some(-32602)), (Some("2025-11-25"), None)] {
        let request = gateway.legacy_request(None, &call(1, "echo", json!({})));
        let request = version.iter().fold(request, |request, version| request.header("mcp-protocol-version", *version));
        let answer = Answer::of(request).await;
        assert_eq!(answer.message()["error"]["code"].as_i64(), code_or_result, "{version:?}: {answer:?}");
    }
    for verb in [reqwest::Method::GET, reqwest::Method::DELETE] {
        let answer = Answer::of(gateway.client.request(verb.clone(), gateway.url()).header("accept", "text/event-stream")).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{verb}");
    }
}
