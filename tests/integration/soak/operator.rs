//! What the operator does meanwhile: settings read again, good and broken; policies and plugins replaced, taken out, spoilt; revocations.

use super::site::{ACME, HOOLI, Rules, SOON, Site};
use crate::harness::{Modern, eventually, fixture, initialize_params, rpc};
use crate::integration::tenants::Who;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

const OPERATOR: Who = Who(ACME, "operator");

/// Until a request of the operator is answered like this.
async fn until(site: &Site, what: &str, request: Modern, class: &str) {
    let classes = ["200", "404", "200 -32602", "403 -31006 policy_denied", "401"];
    let asked = async || {
        let answer = site.ask("operator, looks", site.by(OPERATOR, request.clone()), &classes).await;
        let there = super::site::class(&answer) == class;
        tokio::time::sleep(Duration::from_millis(if there { 0 } else { 100 })).await;
        there.then_some(())
    };
    eventually(what, SOON, asked).await;
}

async fn reload(site: &Site, kind: &'static str, rules: Rules, class: &str) {
    site.set(rules);
    site.ask(kind, site.admin(Method::POST, "/v1/reload"), &[class]).await;
}

/// A server comes and goes, and sessions with it; a tool is forbidden and allowed; a mistake and a broken policy change nothing.
pub(super) async fn settings(site: Arc<Site>, _: u64) {
    let echo = || Modern::call("echo", json!({ "message": "x" }));
    let extra = || echo().path("/servers/extra/mcp");
    site.set(Rules { extra: true, ..Rules::default() });
    let began = Instant::now();
    site.gateway().hang_up();
    until(&site, "the server", extra(), "200").await;
    site.tally.note("operator, SIGHUP", began.elapsed(), "taken");
    let begin = rpc(0, "initialize", initialize_params("2025-11-25"));
    let begin = site.house.legacy(OPERATOR, "POST", "/servers/extra/mcp", None, Some(&begin));
    let begun = site.ask("session, begun", begin, &["200"]).await;
    let session = begun.header("mcp-session-id").expect("a session").to_owned();
    let own = site.house.legacy(OPERATOR, "GET", "/servers/extra/mcp", Some(&session), None);
    let mut own = site.events("session, own stream", own).await;

    let broken = Rules { extra: false, broken: true, ..Rules::default() };
    reload(&site, "operator, broken settings", broken, "422").await;
    until(&site, "nothing of them", extra(), "200").await;
    reload(&site, "operator, reload", Rules::default(), "200").await;
    until(&site, "it is gone", extra(), "404").await;
    while own.next().await.is_some() {}

    let hash = || Modern::call("hash", json!({ "text": "x", "algorithm": "sha256" }));
    reload(&site, "operator, reload", Rules { forbidden: Some("base64"), ..Rules::default() }, "200").await;
    until(&site, "it is not forbidden", hash(), "200").await;
    until(&site, "it is forbidden", Modern::call("base64", json!({ "direction": "encode", "text": "x" })), "403 -31006 policy_denied")
        .await;
    let file = site.place.path().join("verdict.wasm");
    let put = |bytes: &[u8]| {
        let new = site.place.path().join("verdict.new");
        fs::write(&new, bytes).and_then(|()| fs::rename(&new, &file)).expect("in place");
    };
    put(b"\0asm, or not");
    site.ask("operator, broken policy", site.admin(Method::POST, "/v1/reload"), &["422"]).await;
    put(&fs::read(fixture("verdict")).expect("the policy"));
    reload(&site, "operator, reload", Rules::default(), "200").await;
}

/// The fixture as another version of itself.
fn version(number: u64) -> Vec<u8> {
    let mut bytes = fs::read(fixture("versioned")).expect("the fixture");
    let from = b"VERSION-0001";
    let at = bytes.windows(from.len()).position(|window| window == from).expect("its version");
    bytes[at..at + from.len()].copy_from_slice(format!("VERSION-{:04}", number % 10_000).as_bytes());
    bytes
}

/// A plugin comes, is another one, is broken, goes.
pub(super) async fn plugins(site: Arc<Site>, n: u64) {
    let gateway = site.gateway();
    let shown = async |number: u64| {
        let (text, began) = (format!("VERSION-{:04}", number % 10_000), Instant::now());
        let asked = async || {
            let request = site.by(OPERATOR, Modern::call("version", json!({})));
            let answer = site.ask("operator, looks", request, &["200", "200 -32602"]).await;
            let there = answer.message().get("error").is_none() && answer.tool_text() == text;
            tokio::time::sleep(Duration::from_millis(if there { 0 } else { 100 })).await;
            there.then_some(())
        };
        eventually(&text, SOON, asked).await;
        site.tally.note("operator, plugin", began.elapsed(), "served");
    };
    let problems = async |wanted: usize| {
        let asked = async || {
            let answer = site.ask("operator, plugins", site.admin(Method::GET, "/v1/plugins"), &["200"]).await;
            let there = answer.message()["problems"].as_array().map(Vec::len) == Some(wanted);
            tokio::time::sleep(Duration::from_millis(if there { 0 } else { 100 })).await;
            there.then_some(())
        };
        eventually("problems with plugins", SOON, asked).await;
    };
    gateway.drop_in("versioned", &version(2 * n));
    shown(2 * n).await;
    gateway.drop_in("versioned", b"\0asm, or not");
    problems(1).await;
    shown(2 * n).await;
    gateway.drop_in("versioned", &version(2 * n + 1));
    shown(2 * n + 1).await;
    problems(0).await;
    gateway.take_out("versioned");
    until(&site, "it is gone", Modern::call("version", json!({})), "200 -32602").await;
}

/// A caller, a plugin, a tenant is revoked while it works, and restored: all of it ends, and afterwards all of it can begin anew.
pub(super) async fn revocations(site: Arc<Site>, n: u64) {
    const CALLER: Who = Who(HOOLI, "max");
    let (target, is_caller): (Value, bool) = match n % 3 {
        0 => (json!({ "kind": "principal", "issuer": "https://login.example", "subject": CALLER.1 }), true),
        1 => (json!({ "kind": "plugin", "plugin": "misbehave", "tenant": HOOLI }), false),
        _ => (json!({ "kind": "tenant", "tenant": HOOLI }), true),
    };
    let begin = rpc(0, "initialize", initialize_params("2025-11-25"));
    let begun = site.ask("session, begun", site.post(CALLER, None, &begin), &["200"]).await;
    let session = begun.header("mcp-session-id").expect("a session").to_owned();
    let own = site.house.legacy(CALLER, "GET", "/mcp", Some(&session), None);
    let mut own = site.events("session, own stream", own).await;
    let sleeps = || Modern::call("sleep", json!({ "ms": 2_500 }));
    // It may have slept enough before anybody was told to stop it, where the machine is busy.
    let ends = ["403 -31014 revoked", "200"];
    let call = site.ask("call, revoked", site.by(CALLER, sleeps()), &ends);
    let began = Instant::now();
    let revoke = async {
        let in_flight = async || {
            let page = site.metrics().await;
            (page.value("gatehouse_permits_in_use", &[("tenant", HOOLI)]) > 0.0 || began.elapsed() > Duration::from_secs(3)).then_some(())
        };
        eventually("the call runs", SOON, in_flight).await;
        let began = Instant::now();
        let told = site.revoke(&target, false).await;
        site.tally.note("operator, revokes", began.elapsed(), "done");
        told
    };
    let (_, _) = tokio::join!(call, revoke);
    let class = if is_caller { "403" } else { "200 -32602" };
    let refused = site.ask("call of who is revoked", site.by(CALLER, sleeps()), &[class]).await;
    assert_eq!(refused.text == "access is revoked\n", is_caller, "{refused:?}");
    if is_caller {
        while own.next().await.is_some() {}
    }
    site.revoke(&target, true).await;
    let echo = Modern::call("echo", json!({ "message": "x" }));
    site.ask("call of who is restored", site.by(CALLER, echo), &["200"]).await;
    let class = if is_caller { "404 -32600" } else { "200" };
    site.ask("session of who is restored", site.post(CALLER, Some(&session), &rpc(1, "ping", json!({}))), &[class]).await;
}
