//! What components may import, what they ask for, and what the settings grant: before anything of it is used.

use super::command::Place;
use crate::harness::{Gateway, Modern, Setup, eventually, fixture};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

/// Writes a component's side file whole.
pub fn beside(directory: &Path, name: &str, text: &str) {
    let temporary = directory.join(format!(".{name}.toml.new"));
    fs::write(&temporary, text).expect("written");
    fs::rename(temporary, directory.join(format!("{name}.toml"))).expect("renamed");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test]
async fn l11_imports_that_are_unknown_or_not_asked_for_are_listed_and_refused() {
    let gateway = Gateway::with(Setup { fixtures: vec!["misbehave", "strange", "sender", "fetcher"], ..Setup::default() }).await;
    // Sockets and files are what language runtimes import: they are there, and refuse.
    assert!(gateway.tools().await.contains(&"connect".to_owned()));
    for (plugin, reason) in [
        (
            "strange",
            "it imports what this gateway does not offer: evil:host/x; it imports what only a component may that asks for it in its side file: wasi:http/outgoing-handler@0.2.",
        ),
        ("sender", "it imports what only a component may that asks for it in its side file: wasi:http/outgoing-handler@0.2."),
        ("fetcher", "it imports what only a component may that asks for it in its side file: gatehouse:host/http@0.1.0"),
    ] {
        let told = |line: &str| line.contains(&format!("plugin={plugin}")) && line.contains("is not served") && line.contains(reason);
        eventually(plugin, SOON, || async { gateway.log().lines().any(told).then_some(()) }).await;
    }

    // A side file that asks is enough to be loaded, and grants nothing.
    beside(&gateway.plugins, "sender", "[asks]\nhttp = []\n");
    beside(&gateway.plugins, "fetcher", "[asks]\nhttp = [\"https://api.example.com\"]\n");
    beside(&gateway.plugins, "strange", "[asks]\nhttp = []\n");
    eventually("both are served", SOON, || async {
        let tools = gateway.tools().await;
        (tools.contains(&"send".to_owned()) && tools.contains(&"fetch".to_owned())).then_some(())
    })
    .await;
    assert!(!gateway.tools().await.contains(&"strange".to_owned()), "no side file makes an interface that is not there");
    let sent = gateway.modern(Modern::call("send", json!({ "scheme": "https", "authority": "api.example.com", "path": "/" }))).await;
    assert_eq!(sent.result()["structuredContent"]["all"][0]["error"], "ErrorCode::HttpRequestDenied");
    let fetched = gateway.modern(Modern::call("fetch", json!({ "url": "https://api.example.com/" }))).await;
    assert_eq!(fetched.result()["structuredContent"]["error"], "denied not_granted");
}

#[tokio::test]
async fn a_side_file_of_a_native_component_asks_and_names_no_functions() {
    let gateway = Gateway::with(Setup { fixtures: vec!["misbehave"], ..Setup::default() }).await;
    beside(&gateway.plugins, "misbehave", "[functions.spin]\nhidden = true\n");
    let refused = "its side file: the component lists its tools itself; `functions` is for components that do not";
    eventually(refused, SOON, || async { gateway.log().contains(refused).then_some(()) }).await;
    beside(&gateway.plugins, "misbehave", "[asks]\nsockets = []\n");
    let refused = "its side file: line 2: unknown field `sockets`, expected one of `http`, `config`, `environment`, `files`, `keyvalue`";
    eventually(refused, SOON, || async { gateway.log().contains(refused).then_some(()) }).await;
    assert!(gateway.tools().await.contains(&"spin".to_owned()), "the last good one goes on");
}

#[test]
fn inspect_tells_what_is_asked_for_and_what_of_it_is_granted() {
    let place = Place::new();
    let sender = place.path().join("sender.wasm");
    fs::copy(fixture("sender"), &sender).expect("copied");
    beside(place.path(), "sender", "[asks]\nhttp = [\"https://*.example.com\", \"GET http://localhost:81\"]\n");
    place.settings(
        "[tenants.default]\n[tenants.a]\n[grants.shared]\nplugin = \"sender\"\ntenants = [\"a\"]\n[grants.shared.http]\n\
         allow = [\"GET,POST https://api.example.com\", \"https://other.example\"]\n[grants.own]\nplugin = \"a/sender\"\n\
         [grants.else]\nplugin = \"else\"\n[grants.else.http]\nallow = [\"https://api.example.com\"]\n",
    );
    let report = place.run(&["inspect", text(&sender), "--json"]).json();
    assert!(report["grants"].as_array().is_some_and(|reach| reach.contains(&json!("http"))), "{}", report["grants"]);
    assert_eq!(report["asks"], json!({ "http": ["https://*.example.com", "GET http://localhost:81"] }));
    assert_eq!(
        report["granted"],
        json!([
            { "grant": "own", "plugin": "a/sender", "tenants": null, "in_force": { "http": [], "config": [], "environment": [], "files": [], "files_write": [], "keyvalue": [], "reuse": [], "scratch": [] } },
            { "grant": "shared", "plugin": "sender", "tenants": ["a"], "in_force": { "http": ["GET,POST https://api.example.com"], "config": [], "environment": [], "files": [], "files_write": [], "keyvalue": [], "reuse": [], "scratch": [] } },
        ])
    );
    let told = place.run(&["inspect", text(&sender)]);
    for part in [
        "its side file asks for: http https://*.example.com, http GET http://localhost:81\n",
        "grants.shared comes to, if it lies in the shared directory, for a: http GET,POST https://api.example.com\n",
        "grants.own comes to, if it lies in the directory of a: nothing that it asks for\n",
    ] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    // Without its side file it is not loaded, and what it could reach is told all the same.
    fs::remove_file(place.path().join("sender.toml")).expect("it was there");
    let alone = place.run(&["inspect", text(&sender), "--json"]);
    let report = alone.json();
    assert_eq!(
        (alone.code, &report["asks"], report["problem"].as_str().is_some_and(|problem| problem.contains("wasi:http/outgoing-handler"))),
        (1, &json!({}), true)
    );
    let problem: &Value = &report["granted"][1]["in_force"]["http"];
    assert_eq!(problem, &json!([]), "what is not asked for is not in force");
}
