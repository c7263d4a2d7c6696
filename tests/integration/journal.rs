//! The record of calls: one line each, whatever the outcome, and a chain that shows what was done to it.

use crate::harness::{Gateway, Modern, Setup, binary, call_params, eventually, rpc};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

fn journal(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(binary()).arg("journal").args(arguments).arg("--data").arg(gateway.data()).output().expect("it runs")
}

fn records(gateway: &Gateway, arguments: &[&str]) -> Vec<Value> {
    let output = journal(gateway, &[&["show", "--json", "--calls"], arguments].concat());
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

/// The journal's thread is not waited for by anybody, so a test has to.
async fn recorded(gateway: &Gateway, count: usize) -> Vec<Value> {
    eventually("the records", Duration::from_secs(5), async || {
        let found = if gateway.data().join("journal").exists() { records(gateway, &[]) } else { Vec::new() };
        (found.len() >= count).then_some(found)
    })
    .await
}

fn file(gateway: &Gateway) -> PathBuf {
    let entry = fs::read_dir(gateway.data().join("journal")).expect("a journal").next().expect("a file");
    entry.expect("readable").path()
}

fn setup() -> Setup {
    Setup {
        plugins: vec!["text-toolbox"],
        fixtures: vec!["misbehave"],
        settings: "[limits]\ncall_wall_time_ms = 400\ncalls_per_tenant_max = 1\ncall_queue_timeout_ms = 10\n".to_owned(),
    }
}

#[tokio::test]
async fn every_outcome_leaves_its_line() {
    let gateway = Gateway::with(setup()).await;
    gateway.call("echo", json!({ "message": "a secret" })).await;
    gateway.call("regex_extract", json!({ "pattern": "(", "text": "x" })).await;
    gateway.call("spin", json!({})).await;
    gateway.call("echo", json!({ "message": 5 })).await;
    gateway.call("no_such_tool", json!({})).await;
    recorded(&gateway, 4).await;

    let session = gateway.session("2025-11-25").await;
    let running = gateway.legacy_request(Some(&session), &rpc(7, "tools/call", call_params("sleep", json!({ "ms": 300 }))));
    let running = tokio::spawn(crate::harness::Answer::of(running));
    // The one slot is taken once this is refused.
    eventually("a refusal", Duration::from_secs(2), async || {
        (gateway.call("echo", json!({ "message": "x" })).await.status == 429).then_some(())
    })
    .await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
    gateway.legacy(Some(&session), cancel).await;
    assert_eq!(running.await.expect("no panic").code(), -32800);

    let all = eventually("the cancelled call", Duration::from_secs(5), async || {
        let all = records(&gateway, &[]);
        all.iter().any(|record| record["outcome"] == "cancelled").then_some(all)
    })
    .await;
    let told: Vec<_> = all.iter().map(|record| (record["tool"].as_str(), record["outcome"].as_str(), record["reason"].as_str())).collect();
    for expected in [
        (Some("echo"), Some("result"), None),
        (Some("regex_extract"), Some("tool_error"), None),
        (Some("spin"), Some("fault"), Some("wall_time")),
        (Some("echo"), Some("refused"), Some("arguments")),
        (Some("echo"), Some("refused"), Some("tenant_full")),
        (Some("sleep"), Some("cancelled"), None),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
    assert!(!told.iter().any(|(tool, ..)| *tool == Some("no_such_tool")), "there is no such tool to record a call of");

    let echo = &all[0];
    assert_eq!((&echo["tenant"], &echo["plugin"]), (&json!("default"), &json!("text-toolbox")));
    assert_eq!(echo["revision"], "2026-07-28");
    assert_eq!(echo["arguments_bytes"], r#"{"message":"a secret"}"#.len());
    assert!(echo["component"].as_str().is_some_and(|digest| digest.len() == 64));
    assert!(echo["wall_us"].as_u64() >= Some(1));
    let text = fs::read_to_string(file(&gateway)).expect("readable");
    assert!(!text.contains("secret"), "arguments and results are not kept");

    let faults = records(&gateway, &["--outcome", "fault"]);
    assert_eq!(faults.len(), 1);
    let second = (echo["seq"].as_u64().expect("a number") + 1).to_string();
    assert_eq!(records(&gateway, &["--seq", &second])[0]["tool"], "regex_extract");
    let tail = String::from_utf8(journal(&gateway, &["tail", "-n", "1"]).stdout).expect("text");
    assert_eq!(tail.lines().count(), 1, "{tail}");
}

#[tokio::test]
async fn a_client_that_goes_away_is_recorded() {
    let gateway = Gateway::with(Setup { settings: String::new(), ..setup() }).await;
    let request = Modern::call("sleep", json!({ "ms": 20_000 })).build(&gateway).timeout(Duration::from_millis(300));
    request.send().await.expect_err("the client gives up");
    let all = recorded(&gateway, 1).await;
    assert_eq!((&all[0]["tool"], &all[0]["outcome"]), (&json!("sleep"), &json!("cancelled")));
}

#[tokio::test]
async fn a_killed_gateway_leaves_a_whole_chain_and_a_changed_one_shows() {
    let mut gateway = Gateway::start().await;
    for number in 0..50 {
        gateway.call("echo", json!({ "message": number.to_string() })).await;
    }
    let all = recorded(&gateway, 50).await;
    // What happened before the first call, such as the start, has lines too.
    let (first, last) = (all[0]["seq"].as_u64().expect("a number"), all[49]["seq"].as_u64().expect("a number"));
    assert_eq!(last, first + 49);
    gateway.kill().await;

    let proof = journal(&gateway, &["verify", "--json"]);
    let told: Value = serde_json::from_slice(&proof.stdout).expect("JSON");
    assert_eq!((&told["ok"], &told["first_seq"], &told["last_seq"], &told["missed"]), (&json!(true), &json!(1), &json!(last), &json!(0)));

    let path = file(&gateway);
    let text = fs::read_to_string(&path).expect("readable");
    fs::write(&path, text.replacen("\"outcome\":\"result\"", "\"outcome\":\"fault\"", 1)).expect("written");
    let proof = journal(&gateway, &["verify"]);
    assert_eq!(proof.status.code(), Some(1));
    let told = String::from_utf8_lossy(&proof.stderr).into_owned();
    assert!(told.contains(&format!("record {} does not follow the one before it", first + 1)), "{told}");
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let gateway = Gateway::with(Setup { settings: "[journal]\nenabled = false\n".to_owned(), ..setup() }).await;
    gateway.call("echo", json!({ "message": "x" })).await;
    assert!(!gateway.data().join("journal").exists());
}
