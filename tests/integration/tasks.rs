//! The tasks extension: handles that are kept before they are given out, and what clients can ask of them.

use crate::harness::{Answer, Events, Gateway, MODERN, Modern, Setup, eventually, rpc};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";

async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["conformance-tasks"], settings: settings.to_owned() }).await
}

/// A request that declares the extension, and forms for its user.
pub(super) fn declaring(method: &str, params: Value) -> Modern {
    let name = params.get("taskId").and_then(Value::as_str).map(ToOwned::to_owned);
    let request = Modern::new(method, params).body(|body| {
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({ "elicitation": {}, "extensions": { EXTENSION: {} } });
    });
    match name {
        Some(name) => request.header("mcp-name", name),
        None => request,
    }
}

fn call(tool: &str, arguments: Value) -> Modern {
    declaring("tools/call", json!({ "name": tool, "arguments": arguments }))
}

async fn begun(gateway: &Gateway, tool: &str, arguments: Value) -> String {
    let answer = gateway.modern(call(tool, arguments)).await;
    assert_eq!((answer.status, &answer.result()["resultType"]), (200, &json!("task")), "{answer:?}");
    answer.result()["taskId"].as_str().expect("a name").to_owned()
}

async fn get(gateway: &Gateway, id: &str) -> Answer {
    gateway.modern(declaring("tasks/get", json!({ "taskId": id }))).await
}

async fn reached(gateway: &Gateway, id: &str, status: &str) -> Value {
    let there = async || Some(get(gateway, id).await.result().clone()).filter(|task| task["status"] == status);
    eventually(status, Duration::from_secs(20), there).await
}

#[tokio::test]
async fn a_call_that_goes_on_for_long_becomes_a_task() {
    let gateway = with("[limits]\ntask_after_ms = 200\ntask_poll_interval_ms = 50\ntask_keep_s = 120\n").await;
    // The tool said nothing of tasks: the settings decide. In time, it is an answer like any other.
    let fast = gateway.modern(call("slow_count", json!({ "message": "fast", "n": 1, "interval_ms": 1 }))).await;
    assert_eq!((&fast.result()["resultType"], fast.tool_text()), (&json!("complete"), "fast"));
    let slow = gateway.modern(call("slow_count", json!({ "message": "slow", "n": 3, "interval_ms": 200 }))).await;
    let created = slow.result();
    assert_eq!((&created["resultType"], &created["status"]), (&json!("task"), &json!("working")));
    assert_eq!((&created["ttlMs"], &created["pollIntervalMs"]), (&json!(120_000), &json!(50)));
    let id = created["taskId"].as_str().expect("a name");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let done = reached(&gateway, id, "completed").await;
    assert_eq!((&done["resultType"], &done["result"]["content"][0]["text"]), (&json!("complete"), &json!("slow")));
    // Without the extension it takes its time, and so it does in the handshake era.
    let plain = gateway.call("slow_count", json!({ "message": "plain", "n": 2, "interval_ms": 200 })).await;
    assert_eq!(plain.tool_text(), "plain");
    let session = gateway.session("2025-11-25").await;
    let params = json!({ "name": "slow_count", "arguments": { "message": "legacy", "n": 2, "interval_ms": 200 } });
    assert_eq!(gateway.legacy(Some(&session), rpc(1, "tools/call", params)).await.tool_text(), "legacy");
}

#[tokio::test]
async fn results_outlive_the_process() {
    let mut gateway = with("").await;
    let done = begun(&gateway, "failing_job", json!({})).await;
    let finished = reached(&gateway, &done, "completed").await;
    assert_eq!(finished["result"]["isError"], true);
    let failed = begun(&gateway, "protocol_error_job", json!({})).await;
    let error = reached(&gateway, &failed, "failed").await;
    assert_eq!(error["error"]["code"], -32603);
    let asking = begun(&gateway, "confirm_delete", json!({ "filename": "x.txt" })).await;
    let question = reached(&gateway, &asking, "input_required").await;
    assert_eq!(question["inputRequests"]["confirm"]["method"], "elicitation/create");
    let running = begun(&gateway, "slow_compute", json!({ "seconds": 60 })).await;
    let cancelled = begun(&gateway, "slow_compute", json!({ "seconds": 60 })).await;
    gateway.modern(declaring("tasks/cancel", json!({ "taskId": cancelled }))).await.result();

    gateway.restart().await;
    assert_eq!(get(&gateway, &done).await.result(), &finished);
    assert_eq!(get(&gateway, &failed).await.result(), &error);
    assert_eq!(get(&gateway, &cancelled).await.result()["status"], "cancelled");
    // What ran is not run again, and that is said; what waited goes on with the answer.
    let lost = get(&gateway, &running).await.result().clone();
    assert_eq!((&lost["status"], &lost["error"]["code"]), (&json!("failed"), &json!(-31011)));
    assert_eq!(get(&gateway, &asking).await.result()["inputRequests"], question["inputRequests"]);
    let answers = json!({ "taskId": asking, "inputResponses": { "confirm": { "action": "accept", "content": { "confirm": true } } } });
    assert_eq!(gateway.modern(declaring("tasks/update", answers.clone())).await.result()["resultType"], "complete");
    let deleted = reached(&gateway, &asking, "completed").await;
    assert_eq!(deleted["result"]["content"][0]["text"], "deleted x.txt");
    gateway.restart().await;
    assert_eq!(get(&gateway, &running).await.result(), &lost);
    // Answers that come too late change nothing.
    assert_eq!(gateway.modern(declaring("tasks/update", answers)).await.status, 200);
    assert_eq!(get(&gateway, &asking).await.result(), &deleted);
}

#[tokio::test]
async fn what_is_no_task_is_refused() {
    let gateway = with("[limits]\ntasks_per_principal_max = 1\n").await;
    let unknown = "0".repeat(32);
    for id in [&*unknown, "x", "", "0000"] {
        for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
            let answer = gateway.modern(declaring(method, json!({ "taskId": id, "inputResponses": {} }))).await;
            assert_eq!((answer.status, answer.code()), (200, -32602), "{method} {id}");
        }
    }
    for method in ["tasks/list", "tasks/result"] {
        assert_eq!(gateway.modern(declaring(method, json!({}))).await.code(), -32601, "{method}");
    }
    let undeclared = Modern::new("tasks/get", json!({ "taskId": unknown })).header("mcp-name", &unknown);
    assert_eq!(gateway.modern(undeclared).await.code(), -32021);
    assert_eq!(gateway.call("failing_job", json!({})).await.code(), -32021);
    let session = gateway.session("2025-11-25").await;
    assert_eq!(gateway.legacy(Some(&session), rpc(1, "tasks/get", json!({ "taskId": unknown }))).await.code(), -32601);
    let running = begun(&gateway, "slow_compute", json!({ "seconds": 60 })).await;
    let full = gateway.modern(call("failing_job", json!({}))).await;
    assert_eq!((full.status, full.code()), (429, -31005));
    // A tool that does not need to be a task is answered all the same.
    assert_eq!(gateway.modern(call("slow_compute", json!({ "seconds": 1 }))).await.tool_text(), "slept for 1 s");
    gateway.modern(declaring("tasks/cancel", json!({ "taskId": running }))).await.result();
    assert_eq!(reached(&gateway, &running, "cancelled").await.get("result"), None);
    begun(&gateway, "failing_job", json!({})).await;
}

/// A dialog first, a task then; and its state opens for the request that it was given out for, and for no other.
#[tokio::test]
async fn a_sealed_state_is_good_for_one_dialog() {
    let gateway = with("").await;
    let asked = gateway.modern(call("test_tool_with_task", json!({}))).await;
    assert_eq!(asked.result()["resultType"], "input_required");
    let state = asked.result()["requestState"].as_str().expect("a state").to_owned();
    let answer = json!({ "user_name": { "action": "accept", "content": { "name": "Alice" } } });
    let back = |state: &str, arguments: Value| {
        declaring(
            "tools/call",
            json!({ "name": "test_tool_with_task", "arguments": arguments, "inputResponses": answer, "requestState": state }),
        )
    };
    let mut changed = state.clone().into_bytes();
    changed[40] ^= 1;
    let changed = String::from_utf8(changed).expect("ASCII");
    for (bad, arguments) in [(&*changed, json!({})), ("", json!({})), ("AAAA", json!({})), (&*state, json!({ "other": 1 }))] {
        let refused = gateway.modern(back(bad, arguments)).await;
        assert_eq!((refused.code(), refused.error()["message"].as_str().is_some_and(|text| text.contains("requestState"))), (-32602, true));
    }
    let mut other = back(&state, json!({}));
    other.body["params"]["name"] = "multi_input".into();
    assert_eq!(gateway.modern(other.instead("mcp-name", "multi_input")).await.code(), -32602, "another tool");
    let malformed = call("test_tool_with_task", json!({})).body(|body| body["params"]["inputResponses"] = json!({ "user_name": 5 }));
    assert_eq!(gateway.modern(malformed).await.code(), -32602);
    let made = gateway.modern(back(&state, json!({}))).await;
    assert_eq!(made.result()["resultType"], "task");
    let done = reached(&gateway, made.result()["taskId"].as_str().expect("a name"), "completed").await;
    assert_eq!(done["result"]["content"][0]["text"], "Hello, Alice!");
}

/// R34: it is good for as long as its client may take to answer, as often as it comes, also to the process that comes after; and then no more.
#[tokio::test]
async fn a_sealed_state_is_good_for_its_time() {
    const PATIENCE: Duration = Duration::from_secs(3);
    let mut gateway = with("[limits]\ntask_keep_s = 3\n").await;
    let asked_at = Instant::now();
    let asked = gateway.modern(call("test_tool_with_task", json!({}))).await;
    let state = asked.result()["requestState"].as_str().expect("a state").to_owned();
    let answer = json!({ "user_name": { "action": "accept", "content": { "name": "Alice" } } });
    let params = json!({ "name": "test_tool_with_task", "arguments": {}, "inputResponses": answer, "requestState": state });
    // Each time is a call of its own.
    let mut tasks = BTreeSet::new();
    let mut again = false;
    let refused = loop {
        let told = gateway.modern(declaring("tools/call", params.clone())).await;
        if told.message().get("error").is_some() {
            break told;
        }
        assert_eq!(told.result()["resultType"], "task", "{told:?}");
        assert!(tasks.insert(told.result()["taskId"].as_str().expect("a name").to_owned()), "{told:?}");
        if !std::mem::replace(&mut again, true) {
            gateway.restart().await;
        }
        assert!(asked_at.elapsed() < Duration::from_secs(60), "it is never over");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!((refused.status, refused.code()), (200, -32602), "{refused:?}");
    assert_eq!(refused.error()["message"], "params.requestState was not given out for this request, or its time is over");
    assert!(asked_at.elapsed() >= PATIENCE, "{:?}", asked_at.elapsed());
}

fn listen(notifications: Value) -> Modern {
    declaring("subscriptions/listen", json!({ "notifications": notifications })).body(|body| body["id"] = "L".into())
}

/// Listeners hear of their tasks and of their tools, after an acknowledgement, and of nothing else.
#[tokio::test]
async fn listeners_hear_what_they_asked_for() {
    let gateway = with("").await;
    let task = begun(&gateway, "failing_job", json!({})).await;
    let foreign = "0".repeat(32);
    let wanted = json!({ "taskIds": [task, foreign], "toolsListChanged": true, "promptsListChanged": true });
    let mut events = Events::of(listen(wanted).build(&gateway)).await;
    let subscription = |message: &Value| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    let first = events.next().await.expect("an acknowledgement");
    assert_eq!((first.id.as_deref(), subscription(&first.message())), (None, json!("L")));
    assert_eq!(first.message()["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(
        first.message()["params"]["notifications"],
        json!({ "toolsListChanged": true, "promptsListChanged": true, "taskIds": [task] })
    );
    let other = begun(&gateway, "failing_job", json!({})).await;
    let mut last = Value::Null;
    while last["params"]["status"] != "completed" {
        last = events.next().await.expect("a change").message();
        assert_eq!(
            (&last["method"], &last["params"]["taskId"], subscription(&last)),
            (&json!("notifications/tasks"), &json!(task), json!("L"))
        );
    }
    assert_eq!(last["params"]["result"]["isError"], true);
    reached(&gateway, &other, "completed").await;
    gateway.take_out("text-toolbox");
    let changed = events.next().await.expect("a change").message();
    assert_eq!((&changed["method"], subscription(&changed)), (&json!("notifications/tools/list_changed"), json!("L")));

    let undeclared = Modern::new("subscriptions/listen", json!({ "notifications": { "taskIds": [task] } }));
    assert_eq!(gateway.modern(undeclared).await.code(), -32021);
    assert_eq!(gateway.modern(Modern::new("subscriptions/listen", json!({}))).await.code(), -32602);
    let json_only = listen(json!({ "toolsListChanged": true })).instead("accept", "application/json");
    assert_eq!(gateway.modern(json_only).await.status, 406);
    // E17: a stop ends it, in the words of both pages of the specification.
    gateway.terminate();
    let cancelled = events.next().await.expect("a word").message();
    assert_eq!((&cancelled["method"], &cancelled["params"]["requestId"]), (&json!("notifications/cancelled"), &json!("L")));
    let end = events.next().await.expect("an end").message();
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!("L"), &json!("complete")));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn what_is_served_is_announced() {
    let gateway = with("").await;
    let capabilities = gateway.modern(Modern::new("server/discover", json!({}))).await.result()["capabilities"].clone();
    assert_eq!(capabilities["extensions"], json!({ EXTENSION: {} }), "{MODERN}");
}
