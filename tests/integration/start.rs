//! Starting, answering, stopping.

use super::process::ticks;
use crate::harness::{Gateway, Setup};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[tokio::test]
async fn it_says_when_it_is_ready_and_answers() {
    let gateway = Gateway::start().await;
    assert!(gateway.tools().await.contains(&"echo".to_owned()));
    assert_eq!(gateway.call("echo", json!({ "message": "hello" })).await.tool_text(), "hello");
    let client = &gateway.client;
    for (path, expected) in [("/healthz", 200), ("/readyz", 200), ("/", 404), ("/metrics", 404)] {
        let status = client.get(format!("{}{path}", gateway.origin)).send().await.expect("an answer").status().as_u16();
        assert_eq!(status, expected, "{path}");
    }
}

/// Whoever waits for the line `ready` can ask at once, by each way: nothing is there a moment later.
#[tokio::test]
async fn a_command_behind_the_line_is_heard() {
    let mut gateway = Gateway::start().await;
    let socket = gateway.data().join("store/SOCKET");
    for at in 0..8 {
        let mut stream = UnixStream::connect(&socket).unwrap_or_else(|error| panic!("start {at}: {error}"));
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        stream.write_all(b"usage\n").expect("taken");
        let mut told = String::new();
        stream.read_to_string(&mut told).expect("answered");
        assert!(told.ends_with("{\"end\":true}\n"), "{told}");
        // Killed, it leaves its socket behind, which is nobody's then.
        gateway.kill().await;
        assert!(UnixStream::connect(&socket).is_err() && socket.exists());
        gateway.start_again().await;
    }
    gateway.terminate();
    gateway.ended(Duration::from_secs(5)).await;
    assert!(!socket.exists(), "one that stops takes it away");
}

#[tokio::test]
async fn a_stop_lets_calls_in_flight_end() {
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], ..Setup::default() }).await;
    let (client, url) = (gateway.client.clone(), gateway.url());
    let session = gateway.session("2025-11-25").await;
    let call = crate::harness::rpc(1, "tools/call", crate::harness::call_params("sleep", json!({ "ms": 700 })));
    let request = gateway.legacy_request(Some(&session), &call);
    let running = tokio::spawn(crate::harness::Answer::of(request));
    tokio::time::sleep(Duration::from_millis(200)).await;
    gateway.terminate();
    let answer = running.await.expect("no panic");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.message().get("result").is_some(), "{answer:?}");
    let (status, log) = gateway.ended(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(client.get(url).send().await.is_err(), "nobody listens any more");
}

/// The watcher's own look at the directory must not wake it again: once it did, and kept a core busy.
#[tokio::test]
async fn an_idle_gateway_is_idle() {
    let gateway = Gateway::start().await;
    let ticks = || ticks(gateway.pid());
    // A change of the directory, so that there was something to look at.
    gateway.drop_in("text-template", &std::fs::read(crate::harness::plugin("text-template")).expect("built"));
    crate::harness::eventually("the plugin", Duration::from_secs(20), async || {
        gateway.tools().await.contains(&"render_template".to_owned()).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let before = ticks();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = ticks() - before;
    assert!(used <= 10, "{used} hundredths of a second of processor time in an idle second");
}
