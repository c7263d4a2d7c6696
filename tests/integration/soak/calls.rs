//! What modern clients do: calls, lists, readings, dialogs, tasks, listening, going away.

use super::site::{ACME, INITECH, NAMES, SOON, Site, UMBRELLA};
use crate::harness::{Modern, eventually};
use crate::integration::tasks::declaring;
use crate::integration::tenants::Who;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const FORMS: &str = "io.modelcontextprotocol/clientCapabilities";

/// Somebody of a tenant; another one each time.
fn somebody(tenant: &'static str, n: u64) -> Who {
    Who(tenant, NAMES[n as usize % NAMES.len()])
}

fn either(n: u64) -> Who {
    somebody(if n.is_multiple_of(2) { ACME } else { UMBRELLA }, n / 2)
}

pub(super) async fn json(site: Arc<Site>, n: u64) {
    let text = format!("call {n}");
    let request = Modern::call("echo", json!({ "message": text }));
    let answer = site.ask("call, JSON", site.by(either(n), request), &["200"]).await;
    assert_eq!(answer.tool_text(), text);
}

pub(super) async fn progress(site: Arc<Site>, n: u64) {
    let request = Modern::call_with_progress("slow_count", json!({ "message": "done", "n": 5, "interval_ms": 5 }));
    let answer = site.ask("call, events", site.by(somebody(ACME, n), request), &["200"]).await;
    assert_eq!((answer.notifications().len(), answer.tool_text()), (5, "done"), "{answer:?}");
}

/// All pages of a list.
pub(super) async fn lists(site: Arc<Site>, n: u64) {
    let (method, member) = [("tools/list", "tools"), ("resources/list", "resources"), ("prompts/list", "prompts")][n as usize % 3];
    let (mut cursor, mut items) = (None::<Value>, 0);
    loop {
        let params = cursor.as_ref().map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        let answer = site.ask("list, a page", site.by(either(n), Modern::new(method, params)), &["200"]).await;
        items += answer.result()[member].as_array().map_or(0, Vec::len);
        cursor = answer.result().get("nextCursor").cloned();
        if cursor.is_none() {
            break;
        }
    }
    assert!(items > 0, "{method}");
}

/// Reads, prompts, completions; and who asks for what is not there, or is not allowed.
pub(super) async fn others(site: Arc<Site>, n: u64) {
    let complete =
        json!({ "ref": { "type": "ref/prompt", "name": "test_prompt_with_arguments" }, "argument": { "name": "arg1", "value": "par" } });
    let who = somebody(ACME, n);
    let (kind, request, class) = match n % 6 {
        0 => ("read", Modern::new("resources/read", json!({ "uri": "handbook:///welcome" })), "200"),
        1 => ("read", Modern::new("resources/read", json!({ "uri": "test://static-binary" })), "200"),
        2 => (
            "prompt",
            Modern::new("prompts/get", json!({ "name": "test_prompt_with_arguments", "arguments": { "arg1": "a", "arg2": "b" } })),
            "200",
        ),
        3 => ("completion", Modern::new("completion/complete", complete), "200"),
        4 => ("read of nothing", Modern::new("resources/read", json!({ "uri": "test://nothing" })), "200 -32602"),
        _ => ("call, forbidden", Modern::call("env", json!({})), "403 -31006 policy_denied"),
    };
    site.ask(kind, site.by(who, request), &[class]).await;
}

/// A tool that asks; the state travels with the client.
pub(super) async fn dialog(site: Arc<Site>, n: u64) {
    let asks = || Modern::call("ask", json!({})).body(|body| body["params"]["_meta"][FORMS] = json!({ "elicitation": {} }));
    let who = somebody(ACME, n);
    let asked = site.ask("dialog, question", site.by(who, asks()), &["200"]).await;
    let state = asked.result()["requestState"].clone();
    let again = asks().body(|body| {
        body["params"]["inputResponses"] = json!({ "user_name": { "action": "accept", "content": { "name": "Alice" } } });
        body["params"]["requestState"] = state;
    });
    let told = site.ask("dialog, answer", site.by(who, again), &["200"]).await;
    assert_eq!(told.result()["structuredContent"]["state"], "asked once", "{told:?}");
}

/// A call that becomes a task: fetched, cancelled, or asking.
pub(super) async fn task(site: Arc<Site>, n: u64) {
    if site.tasks_are_over() {
        return;
    }
    let who = somebody(ACME, n);
    let (tool, arguments, end) = match n % 3 {
        0 => ("slow_count", json!({ "message": "slow", "n": 8, "interval_ms": 50 }), "completed"),
        1 => ("slow_compute", json!({ "seconds": 10 }), "cancelled"),
        _ => ("confirm_delete", json!({ "filename": "x.txt" }), "completed"),
    };
    let begin = declaring("tools/call", json!({ "name": tool, "arguments": arguments }));
    let begun = site.ask("task, begun", site.by(who, begin), &["200"]).await;
    let Some(id) = begun.result()["taskId"].as_str() else {
        // On a busy machine a call may find out late that it is one.
        assert_eq!(begun.result()["resultType"], "complete", "{begun:?}");
        return;
    };
    if end == "cancelled" {
        site.ask("task, cancelled", site.by(who, declaring("tasks/cancel", json!({ "taskId": id }))), &["200"]).await;
    }
    let reached = async |status: &'static str| {
        let get = || declaring("tasks/get", json!({ "taskId": id }));
        let asked = async || {
            let told = site.ask("task, fetched", site.by(who, get()), &["200"]).await.result()["status"] == status;
            tokio::time::sleep(Duration::from_millis(if told { 0 } else { 100 })).await;
            told.then_some(())
        };
        eventually(status, SOON, asked).await;
    };
    if tool == "confirm_delete" {
        reached("input_required").await;
        let answers = json!({ "confirm": { "action": "accept", "content": { "confirm": true } } });
        let update = declaring("tasks/update", json!({ "taskId": id, "inputResponses": answers }));
        site.ask("task, answered", site.by(who, update), &["200"]).await;
    }
    reached(end).await;
}

/// A client that goes away in the middle of a call.
pub(super) async fn gone(site: Arc<Site>, n: u64) {
    let sleeps = site.by(somebody(ACME, n), Modern::call("sleep", json!({ "ms": 2_500 })));
    let began = Instant::now();
    let left = sleeps.timeout(Duration::from_millis(100)).send().await.is_err();
    site.tally.note("call, closed by its client", began.elapsed(), if left { "closed" } else { "503 -31010 policy_unavailable" });
}

/// Listens until something happens.
pub(super) async fn listen(site: Arc<Site>, n: u64) {
    const WATCHED: &str = "test://watched-resource";
    let who = somebody(UMBRELLA, n);
    let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] });
    let request = Modern::new("subscriptions/listen", json!({ "notifications": wanted }));
    let mut events = site.events("listen", site.by(who, request)).await;
    let first = events.next().await.expect("an acknowledgement").message();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    site.ask("call, touches", site.by(who, Modern::call("test_touch_resource", json!({ "uri": WATCHED }))), &["200"]).await;
    let began = Instant::now();
    loop {
        let message = events.next().await.expect("more").message();
        if message["method"] == "notifications/resources/updated" {
            break;
        }
        // Plugins come and go meanwhile.
        assert_eq!(message["method"], "notifications/tools/list_changed", "{message}");
    }
    site.tally.note("listen, told", began.elapsed(), "event");
}

/// Every way for a guest to misbehave; each is answered in its own words.
pub(super) async fn guests(site: Arc<Site>, n: u64) {
    let deeds: [(&str, Value, &[&str]); 16] = [
        ("trap", json!({}), &["200 -31002 tool_trap"]),
        ("panic", json!({}), &["200 -31002 tool_trap"]),
        ("spin", json!({}), &["200 -31001 cpu_time", "200 -31001 wall_time"]),
        ("alloc", json!({}), &["200 -31003 resource_limit"]),
        ("log_flood", json!({ "lines": 500, "bytes": 100 }), &["200"]),
        ("big_result", json!({ "bytes": 65_000 }), &["200"]),
        ("big_result", json!({ "bytes": 70_000 }), &["200 -31008 result_too_big"]),
        ("recurse", json!({}), &["200 -31002 stack_exhausted"]),
        ("bad_structured", json!({}), &["200 -31009 result_invalid"]),
        ("bad_utf8", json!({}), &["200 -31002 tool_trap"]),
        ("sleep", json!({ "ms": 60_000 }), &["200 -31001 wall_time"]),
        ("exit", json!({ "code": 7 }), &["200 -31002 tool_trap"]),
        ("progress_flood", json!({ "n": 300 }), &["200"]),
        ("fail_unavailable", json!({}), &["503 -31007 plugin_unavailable"]),
        ("fail_internal", json!({}), &["200 -32603"]),
        ("random_at_once", json!({ "bytes": 1_u64 << 32 }), &["200 -31002 tool_trap"]),
    ];
    let (tool, arguments, classes) = &deeds[n as usize % deeds.len()];
    let request = Modern::call_with_progress(tool, arguments.clone());
    site.ask("guest that misbehaves", site.by(somebody(INITECH, n), request), classes).await;
}
