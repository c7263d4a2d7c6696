//! Scratch directories: of a call, or of a plugin in a legacy session, and gone with it.

use super::grants::beside;
use crate::harness::{Answer, Gateway, Modern, Setup, call_params, eventually, rpc};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const SETTINGS: &str = "[grants.x]\nplugin = \"reader\"\nscratch_bytes_max = 1_000\nscratch_files_max = 2\n";

async fn serving(asks: &str) -> Gateway {
    let gateway = Gateway::with(Setup { fixtures: vec!["reader"], settings: SETTINGS.to_owned(), ..Setup::default() }).await;
    beside(&gateway.plugins, "reader", &format!("[asks]\nconfig = []\n{asks}\n"));
    eventually("it is served", SOON, async || gateway.tools().await.contains(&"file".to_owned()).then_some(())).await;
    gateway
}

fn arguments(what: &str, path: &str, bytes: u64) -> Value {
    json!({ "in": "/scratch", "do": what, "path": path, "bytes": bytes, "to": "other" })
}

async fn once(gateway: &Gateway, what: &str, path: &str, bytes: u64) -> Value {
    gateway.modern(Modern::call("file", arguments(what, path, bytes))).await.result()["structuredContent"].clone()
}

async fn within(gateway: &Gateway, session: &str, what: &str, path: &str, bytes: u64) -> Value {
    let call = rpc(1, "tools/call", call_params("file", arguments(what, path, bytes)));
    gateway.legacy(Some(session), call).await.result()["structuredContent"].clone()
}

/// Scratch directories that are there.
fn there(gateway: &Gateway) -> usize {
    let Ok(processes) = fs::read_dir(gateway.data().join("scratch")) else { return 0 };
    let of = processes.filter_map(|entry| fs::read_dir(entry.expect("an entry").path()).ok());
    of.map(|of_process| of_process.count()).sum()
}

async fn left(gateway: &Gateway, count: usize) {
    eventually("the others are removed", SOON, async || (there(gateway) == count).then_some(())).await;
}

#[tokio::test]
async fn one_of_a_call_is_gone_with_it() {
    let gateway = serving("scratch = true").await;
    let (done, quota) = (json!({ "done": true }), json!({ "error": "quota" }));
    for _ in 0..3 {
        assert_eq!(once(&gateway, "put", "a", 1_000).await, done, "each begins anew");
        assert_eq!(once(&gateway, "list", ".", 0).await, json!({ "names": [] }));
    }
    assert_eq!(once(&gateway, "put", "a", 1_001).await, quota);
    assert_eq!(once(&gateway, "hide", "a", 1_000).await, json!({ "while_open": "quota" }));
    left(&gateway, 0).await;
    let directory = gateway.data().join("scratch");
    assert_eq!(fs::metadata(&directory).expect("made").permissions().mode() & 0o777, 0o700);
    let (_, lines) = gateway.command(&["journal", "show", "--event", "files.denied", "--json"]).await;
    assert!(lines.contains("reader x /scratch"), "{lines}");
    let file = gateway.plugins.join("reader.wasm").display().to_string();
    let (_, shown) = gateway.command(&["inspect", &file]).await;
    assert!(shown.contains("its side file asks for: scratch /scratch"), "{shown}");

    // Both have to say so.
    beside(&gateway.plugins, "reader", "[asks]\nconfig = []\n");
    eventually("it has none", SOON, async || (once(&gateway, "list", ".", 0).await == json!({ "error": "no-entry" })).then_some(())).await;
}

#[tokio::test]
async fn one_of_a_session_lasts_as_long_as_it_does() {
    let mut gateway = serving("scratch = true").await;
    let (done, quota) = (json!({ "done": true }), json!({ "error": "quota" }));
    let (one, other) = (gateway.session("2025-11-25").await, gateway.session("2025-11-25").await);
    assert_eq!(within(&gateway, &one, "put", "a", 600).await, done);
    assert_eq!(within(&gateway, &one, "put", "b", 400).await, done, "in the same directory");
    assert_eq!(within(&gateway, &one, "append", "a", 1).await, quota);
    assert_eq!(within(&gateway, &one, "create", "c", 0).await, quota);
    assert_eq!(within(&gateway, &other, "list", ".", 0).await, json!({ "names": [] }), "each has its own");
    assert_eq!(within(&gateway, &one, "list", ".", 0).await, json!({ "names": ["a", "b"] }));
    left(&gateway, 2).await;
    let ended = gateway.client.request(Method::DELETE, gateway.url()).header("mcp-session-id", &one);
    assert_eq!(Answer::of(ended).await.status, 204);
    left(&gateway, 1).await;

    // What a process leaves that is killed, the next one removes. The session goes on, and has an empty one.
    assert_eq!(within(&gateway, &other, "put", "a", 1).await, done);
    gateway.kill().await;
    assert_eq!(there(&gateway), 1);
    gateway.start_again().await;
    assert_eq!(there(&gateway), 0);
    assert_eq!(within(&gateway, &other, "list", ".", 0).await, json!({ "names": [] }));
}

/// However little each may hold, one tenant's do not fill the disk.
#[tokio::test]
async fn those_of_a_tenant_hold_so_much_together() {
    let settings = format!("[limits]\nscratch_per_tenant_bytes_max = 1_500\n{SETTINGS}");
    let gateway = Gateway::with(Setup { fixtures: vec!["reader"], settings, ..Setup::default() }).await;
    beside(&gateway.plugins, "reader", "[asks]\nconfig = []\nscratch = true\n");
    eventually("it is served", SOON, async || gateway.tools().await.contains(&"file".to_owned()).then_some(())).await;
    let (done, quota) = (json!({ "done": true }), json!({ "error": "quota" }));
    let (one, other) = (gateway.session("2025-11-25").await, gateway.session("2025-11-25").await);
    assert_eq!(within(&gateway, &one, "put", "a", 1_000).await, done);
    assert_eq!(within(&gateway, &other, "put", "a", 600).await, quota, "of its own 1,000");
    assert_eq!(within(&gateway, &other, "put", "a", 500).await, done);
    assert_eq!(once(&gateway, "put", "a", 1).await, quota, "whoever it is");
    assert_eq!(within(&gateway, &one, "append", "a", 1).await, quota, "its own is full");
    // What is taken away is room for the others, and so is all of one that is gone.
    assert_eq!(within(&gateway, &one, "remove", "a", 0).await, done);
    assert_eq!(once(&gateway, "put", "a", 1_000).await, done);
    eventually("it is removed", SOON, async || (within(&gateway, &one, "put", "a", 1_000).await == done).then_some(())).await;
    let ended = gateway.client.request(Method::DELETE, gateway.url()).header("mcp-session-id", &one);
    assert_eq!(Answer::of(ended).await.status, 204);
    eventually("there is room", SOON, async || (within(&gateway, &other, "put", "b", 500).await == done).then_some(())).await;
    let (_, lines) = gateway.command(&["journal", "show", "--event", "files.denied", "--json"]).await;
    let reasons = ["tenant_bytes", "bytes"].map(|reason| lines.contains(&format!("\"reason\":\"{reason}\"")));
    assert_eq!(reasons, [true; 2], "{lines}");
}
