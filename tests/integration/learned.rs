//! `gatehouse call --learn`: what a component reaches for, told as what would let it, while nothing is reached.

use super::command::{Place, Ran};
use crate::harness::fixture;
use serde_json::{Value, json};
use std::fs;

/// Calls a tool of a fixture, and reads what was learned.
fn learn(place: &Place, plugin: &str, tool: &str, arguments: Value) -> (Ran, toml::Table) {
    let component = place.path().join(format!("{plugin}.wasm"));
    fs::copy(fixture(plugin), &component).expect("copied");
    let component = component.to_str().expect("text");
    let ran = place.run(&["call", tool, "--plugin", component, "--learn", "--args-json", &arguments.to_string()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let learned = ran.out.parse().expect("TOML");
    (ran, learned)
}

#[test]
fn requests_are_learned_and_not_sent() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let port = listener.local_addr().expect("its address").port();
    let arguments = json!({ "scheme": "http", "authority": format!("127.0.0.1:{port}"), "path": "/secret?token=hush" });
    let (ran, learned) = learn(&place, "sender", "send", arguments);
    let request = toml::Value::from(vec![format!("GET http://127.0.0.1:{port}")]);
    assert_eq!(learned["asks"]["http"], request, "{ran:?}");
    assert_eq!(learned["grants"]["sender"]["http"]["allow"], request);
    assert_eq!(learned["grants"]["sender"]["plugin"].as_str(), Some("sender"));
    assert!(ran.out.starts_with("# What sender asked for in this run, and was refused.") && !ran.out.contains("hush"), "{ran:?}");
    assert!(listener.accept().is_err(), "nobody came");
    // It is not loaded without asking where nothing is learned.
    let component = place.path().join("sender.wasm").display().to_string();
    assert_eq!(place.run(&["call", "send", "--plugin", &component]).code, 1);
}

#[test]
fn settings_and_directories_are_learned() {
    let place = Place::new();
    let (ran, learned) = learn(&place, "reader", "given", json!({ "key": "api/token" }));
    assert_eq!(learned["asks"]["config"], toml::Value::from(vec!["api/token"]), "{ran:?}");
    assert_eq!(learned["grants"]["reader"]["config"]["api/token"].as_str(), Some(""));
    assert!(ran.out.contains("# It looked at its environment") && ran.out.contains("# It asked which settings there are"), "{ran:?}");

    fs::create_dir(place.path().join("data")).expect("made");
    fs::write(place.path().join("data/a.txt"), "hush").expect("written");
    let real = place.path().join("data/a.txt").display().to_string();
    for (what, path, kind) in
        [("read", "var/lib/a.txt", "files"), ("put", "var/lib/a.txt", "files_write"), ("read", real.trim_start_matches('/'), "files")]
    {
        let (ran, learned) = learn(&place, "reader", "file", json!({ "in": "/", "do": what, "path": path, "bytes": 1 }));
        let directory = format!("/{}", path.rsplit_once('/').expect("a directory").0);
        assert_eq!(learned["asks"][kind], toml::Value::from(vec![directory.clone()]), "{ran:?}");
        assert!(learned["grants"]["reader"]["files"].get(&directory).is_some(), "{ran:?}");
        assert!(ran.err.contains("no-entry") && !ran.err.contains("hush"), "{ran:?}");
    }
    // As a language's own library looks for files.
    let (ran, learned) = learn(&place, "misbehave", "read_file", json!({ "path": real }));
    let directory = place.path().join("data").display().to_string();
    assert_eq!(learned["asks"]["files"], toml::Value::from(vec![directory]), "{ran:?}");
    assert!(!ran.err.contains("hush") && !ran.out.contains("hush"), "{ran:?}");

    let (ran, learned) = learn(&place, "calculator", "calculator_add", json!({ "a": 2, "b": 3 }));
    assert!(learned.is_empty() && ran.out.contains("# Nothing that a side file would name.") && ran.err.contains('5'), "{ran:?}");
    // It is of a component alone.
    assert_eq!(place.run(&["call", "echo", "--learn"]).code, 2);
}
