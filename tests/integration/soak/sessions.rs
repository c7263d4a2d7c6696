//! What clients of the handshake era do: sessions from beginning to end and without one, streams that are cut and resumed, questions.

use super::site::{ACME, NAMES, Site, UMBRELLA};
use crate::harness::{Event, Events, call_params, count, initialize_params, rpc};
use crate::integration::tenants::Who;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

const WATCHED: &str = "test://watched-resource";

async fn begun(site: &Site, who: Who, revision: &str) -> String {
    let mut params = initialize_params(revision);
    params["capabilities"] = json!({ "elicitation": {} });
    let answer = site.ask("session, begun", site.post(who, None, &rpc(0, "initialize", params)), &["200"]).await;
    let session = answer.header("mcp-session-id").expect("a session").to_owned();
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    site.ask("session, notified", site.post(who, Some(&session), &initialized), &["202"]).await;
    session
}

fn get(site: &Site, who: Who, session: &str, after: Option<&Event>) -> RequestBuilder {
    let request = site.house.legacy(who, "GET", "/mcp", Some(session), None);
    after.iter().fold(request, |request, event| request.header("last-event-id", event.id()))
}

async fn ended(site: &Site, who: Who, session: &str) {
    site.ask("session, deleted", site.house.legacy(who, "DELETE", "/mcp", Some(session), None), &["200", "202", "204"]).await;
}

/// Messages up to so many, those left out that only are a place to come back to.
async fn some(events: &mut Events, wanted: usize) -> Vec<Event> {
    let mut some = Vec::new();
    while some.len() < wanted {
        let event = events.next().await.expect("more");
        if !event.is_priming() {
            some.push(event);
        }
    }
    some
}

/// From its beginning to its end, with all that a client does in between.
pub(super) async fn whole(site: Arc<Site>, n: u64) {
    let who = Who(ACME, NAMES[n as usize % NAMES.len()]);
    let site = &*site;
    let session = begun(site, who, "2025-11-25").await;
    let ask = async |kind, id: &str, method: &str, params| {
        site.ask(kind, site.post(who, Some(&session), &rpc(id, method, params)), &["200"]).await
    };
    ask("session, ping", "p", "ping", json!({})).await;
    ask("session, list", "l", "tools/list", json!({})).await;
    let mut own = site.events("session, own stream", get(site, who, &session, None)).await;
    ask("session, subscribed", "s", "resources/subscribe", json!({ "uri": WATCHED })).await;
    ask("session, call", "t", "tools/call", call_params("test_touch_resource", json!({ "uri": WATCHED }))).await;
    loop {
        let told = some(&mut own, 1).await[0].message();
        if told["method"] == "notifications/resources/updated" {
            break;
        }
        // Plugins and settings are others meanwhile.
        assert!(told["method"].as_str().is_some_and(|method| method.ends_with("/list_changed")), "{told}");
    }
    // Cut, and resumed where it was: all of it, once.
    let mut cut = site.events("session, call, events", site.post(who, Some(&session), &count("c", 6, 20))).await;
    let seen = some(&mut cut, 3).await;
    let rest = if seen[2].id.is_some() {
        drop(cut);
        site.events("session, resumed", get(site, who, &session, seen.last())).await.rest().await
    } else {
        // The disk had a second for it: there is no place to come back to, and so the connection is kept.
        cut.rest().await
    };
    let rest: Vec<_> = rest.into_iter().filter(|event| !event.is_priming()).collect();
    let all: Vec<_> = seen.iter().chain(&rest).map(Event::message).collect();
    let steps: Vec<_> = all.iter().filter_map(|message| message["params"]["progress"].as_u64()).collect();
    assert_eq!((steps, all.len(), &all[6]["result"]["content"][0]["text"]), ((1..=6).collect(), 7, &json!("done")), "{all:?}");
    // Cancelled.
    let sleeps = rpc("z", "tools/call", call_params("sleep", json!({ "ms": 2_500 })));
    let mut sleeping = site.events("session, call, cancelled", site.post(who, Some(&session), &sleeps)).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "z" } });
    site.ask("session, notified", site.post(who, Some(&session), &cancel), &["202"]).await;
    assert_eq!(some(&mut sleeping, 1).await[0].message()["error"]["code"], -32800);

    ended(site, who, &session).await;
    while own.next().await.is_some() {}
    let ping = rpc("p", "ping", json!({}));
    site.ask("session, gone", site.post(who, Some(&session), &ping), &["404 -32600"]).await;
}

/// Nobody ends it: it expires, and so does what it kept; a batch in between.
pub(super) async fn left(site: Arc<Site>, n: u64) {
    let who = Who(UMBRELLA, NAMES[n as usize % NAMES.len()]);
    let revision = ["2025-03-26", "2025-06-18", "2025-11-25"][n as usize % 3];
    let session = begun(&site, who, revision).await;
    if revision == "2025-03-26" {
        let batch = json!([rpc(1, "ping", json!({})), rpc(2, "tools/call", call_params("echo", json!({ "message": "x" })))]);
        let answer = site.ask("session, batch", site.post(who, Some(&session), &batch), &["200"]).await;
        assert_eq!(answer.messages[0].as_array().map(Vec::len), Some(2), "{answer:?}");
    }
    let mut cut = site.events("session, call, events", site.post(who, Some(&session), &count("c", 40, 10))).await;
    some(&mut cut, 2).await;
    let own = site.events("session, own stream", get(&site, who, &session, None)).await;
    // It takes two connections with it.
    drop((cut, own));
}

/// A tool asks on the call's stream, and is answered in a request of its own; or not at all.
pub(super) async fn dialog(site: Arc<Site>, n: u64) {
    let who = Who(ACME, NAMES[n as usize % NAMES.len()]);
    let session = begun(&site, who, "2025-11-25").await;
    let asks = rpc("a", "tools/call", call_params("ask", json!({})));
    let mut events = site.events("session, asks", site.post(who, Some(&session), &asks)).await;
    let asked = some(&mut events, 1).await[0].message();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let began = Instant::now();
    let silent = n % 4 == 3;
    if !silent {
        let said = json!({ "action": "accept", "content": { "name": "Alice" } });
        let answer: Value = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": said });
        site.ask("session, answers", site.post(who, Some(&session), &answer), &["202"]).await;
    }
    let end = some(&mut events, 1).await[0].message();
    assert_eq!(end["error"]["code"] == -32603, silent, "{end}");
    let (kind, class) = if silent { ("session, unanswered", "200 -32603") } else { ("session, answered", "200") };
    site.tally.note(kind, began.elapsed(), class);
    ended(&site, who, &session).await;
}
