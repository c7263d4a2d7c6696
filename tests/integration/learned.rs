//! `gatehouse call --learn`: what a component reaches for, told as what would let it, while nothing is reached.

use super::command::{Place, Ran};
use crate::harness::{Gateway, Setup, eventually, fixture};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

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
    assert!(
        ran.out.contains("# It looked at its environment by wasi:cli/environment")
            && ran.out.contains("# It asked which settings there are"),
        "{ran:?}"
    );

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
    let (ran, learned) = learn(&place, "reader", "file", json!({ "in": "/", "do": "put", "path": "scratch/a.txt", "bytes": 1 }));
    assert_eq!(learned["asks"]["scratch"], toml::Value::from(true), "{ran:?}");
    assert!(learned["grants"]["reader"].get("scratch_bytes_max").is_some() && learned["asks"].get("files_write").is_none(), "{ran:?}");
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

/// What is proposed is what lets it: with both parts where they belong, the same call of the same bucket works.
#[tokio::test]
async fn buckets_are_learned_and_what_is_proposed_is_enough() {
    let place = Place::new();
    let arguments = json!({ "bucket": "notes/today", "do": [{ "op": "set", "key": "a", "value": "b" }] });
    let (ran, learned) = learn(&place, "keeper", "keep", arguments.clone());
    assert!(ran.err.contains("access denied"), "{ran:?}");
    assert_eq!(learned["asks"]["keyvalue"], toml::Value::from(vec!["notes/today"]), "{ran:?}");
    assert_eq!(learned["grants"]["keeper"]["keyvalue"]["buckets"], toml::Value::from(vec!["notes/today"]), "{ran:?}");
    // What no bucket can be called is told, and not proposed.
    let (ran, none) = learn(&place, "keeper", "keep", json!({ "bucket": "a b", "do": [] }));
    assert!(none.is_empty() && ran.out.contains("# It also asked for what nothing can grant: the bucket a b"), "{ran:?}");

    let mut settings = learned.clone();
    let asks = settings.remove("asks").expect("it asks");
    let gateway = Gateway::with(Setup { fixtures: vec![], settings: settings.to_string(), ..Setup::default() }).await;
    fs::write(gateway.plugins.join("keeper.toml"), toml::Table::from_iter([("asks".to_owned(), asks)]).to_string()).expect("written");
    gateway.drop_in("keeper", &fs::read(fixture("keeper")).expect("the fixture"));
    let there = || async { gateway.tools().await.contains(&"keep".to_owned()).then_some(()) };
    eventually("it is loaded", Duration::from_secs(20), there).await;
    let kept = gateway.call("keep", arguments).await;
    assert!(!kept.result()["structuredContent"].to_string().contains("error"), "{kept:?}");
}
