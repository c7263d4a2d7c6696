//! The audit log when it comes to the worst: denials by the ten thousand, a disk that takes nothing more, a store that falls and rises.

use super::audit::{by_reason, events, shown, whole};
use super::tokens::Trusting;
use crate::harness::{Answer, Gateway, Modern, Setup, eventually, rpc};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(20);
/// Of each of four connections.
const DENIALS: usize = 5_000;

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

/// So many requests with a token that does not count, one behind the other on one connection; how many answers there were.
async fn denied(address: String) -> usize {
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Authorization: Bearer abc\r\nContent-Length: 0\r\n\r\n"
    );
    let (mut reader, mut writer) = TcpStream::connect(&address).await.expect("it answers").into_split();
    let sending = tokio::spawn(async move {
        for _ in 0..DENIALS {
            writer.write_all(request.as_bytes()).await.expect("taken");
        }
        writer
    });
    let (mut answers, mut seen, mut bytes) = (0, Vec::new(), vec![0; 64 << 10]);
    while answers < DENIALS {
        let read = reader.read(&mut bytes).await.expect("answers");
        assert_ne!(read, 0, "closed after {answers} answers");
        seen.extend_from_slice(&bytes[..read]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        let whole = text.rfind("HTTP/1.1 4").unwrap_or_default();
        answers += text[..whole].matches("HTTP/1.1 4").count();
        seen = text.as_bytes()[whole..].to_vec();
        if answers + 1 == DENIALS && text[whole..].contains("\r\n\r\n") {
            answers += 1;
        }
    }
    drop(sending.await.expect("no panic"));
    answers
}

/// O12.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_denials_fills_neither_log_nor_journal() {
    let more = "[limits]\nauth_failures_per_minute_max = 1000\nconnections_per_address_max = 64\n[servers.one]\ntools = [\"echo\"]\n";
    let trusting = Trusting::with(more).await;
    let address = trusting.gateway.address();
    let began = Instant::now();
    let flood: Vec<_> = (0..4).map(|_| tokio::spawn(denied(address.clone()))).collect();
    let mut answers = 0;
    for connection in flood {
        answers += connection.await.expect("no panic");
    }
    let took = began.elapsed();
    assert_eq!(answers, 4 * DENIALS);
    // Who counts goes on to count.
    let good = trusting.token_with("ada", &json!({}));
    assert_eq!(trusting.asks(echo(), &good).await.tool_text(), "hello");
    trusting.gateway.terminate();
    eventually("its end", SOON, async || (!shown(&trusting.gateway, &["--event", "lifecycle.stopped"]).is_empty()).then_some(())).await;

    let lines = shown(&trusting.gateway, &["--event", "auth.denied"]);
    assert_eq!(by_reason(&lines), BTreeMap::from([("parts".to_owned(), answers as u64)]), "none is left out of the sum");
    // A hundred lines of its own a minute, and a line for the rest of each minute.
    let minutes = took.as_secs() as usize / 60 + 1;
    assert!(lines.len() <= 101 * minutes, "{} lines in {took:?}", lines.len());
    assert!(lines.iter().all(|line| line["address"] == "127.0.0.1"), "{lines:?}");
    let locked = shown(&trusting.gateway, &["--event", "auth.locked_out"]);
    assert!((1..=minutes).contains(&locked.len()), "{locked:?}");
    let missed: u64 = shown(&trusting.gateway, &[]).iter().filter_map(|line| line["missed"].as_u64()).sum();
    assert_eq!(missed, 0);
    whole(&trusting.gateway);

    let log = trusting.gateway.log();
    let mut by_second: BTreeMap<&str, usize> = BTreeMap::new();
    for line in log.lines().filter(|line| line.starts_with("20")) {
        *by_second.entry(line.get(..19).expect("a time")).or_default() += 1;
    }
    let most = by_second.values().max().copied().unwrap_or_default();
    assert!(most <= 100, "{most} lines in a second: {by_second:?}");
    // What was left out of the log is counted there as well.
    let said = log.lines().filter(|line| line.contains("a token was refused")).count() as u64;
    let left_out = log
        .lines()
        .filter(|line| line.contains("were left out of this log"))
        .filter_map(|line| line.split_once("lines=").and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok()));
    println!("O12: {answers} denials in {took:?}: {} lines of the journal, at most {most} of the log in a second", lines.len());
    let told = said + left_out.sum::<u64>();
    assert!((1_000..=1_000 * minutes as u64).contains(&told) && said < told, "{told} of which {said} have a line");
}

/// Files of the gateway may not grow beyond that from now on; none takes the limit away.
fn limit_files(gateway: &Gateway, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(gateway.pid()).expect("a pid")).expect("not 0");
    let maximum = getrlimit(Resource::Fsize).maximum;
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).expect("it is one's own");
}

fn journal_bytes(gateway: &Gateway) -> u64 {
    let files = fs::read_dir(gateway.data().join("journal")).expect("a journal");
    files.map(|file| file.expect("a file").metadata().expect("readable").len()).sum()
}

async fn readiness(gateway: &Gateway) -> (u16, Value) {
    let answer = Answer::of(gateway.client.get(format!("{}/readyz", gateway.origin))).await;
    (answer.status, answer.messages[0].clone())
}

/// A gateway whose journal takes only half a line more.
async fn on_a_full_disk(settings: &str) -> (Gateway, String) {
    // Nothing else of it writes to files.
    let settings = format!("[store]\nbackend = \"memory\"\n{settings}");
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    gateway.call("echo", json!({ "message": "before" })).await;
    let session = gateway.session("2025-11-25").await;
    events(&gateway, "session.created", 1).await;
    limit_files(&gateway, Some(journal_bytes(&gateway) + 100));
    (gateway, session)
}

async fn journal_is(gateway: &Gateway, state: &str) {
    eventually(state, SOON, async || (readiness(gateway).await.1["journal"] == state).then_some(())).await;
}

#[tokio::test]
async fn calls_go_on_without_a_journal_and_their_lines_wait() {
    let (gateway, _) = on_a_full_disk("").await;
    gateway.call("echo", json!({ "message": "lost?" })).await;
    journal_is(&gateway, "failing").await;
    for _ in 0..20 {
        assert_eq!(gateway.call("echo", json!({ "message": "x" })).await.tool_text(), "x");
    }
    assert_eq!(readiness(&gateway).await.0, 200);
    whole(&gateway);
    limit_files(&gateway, None);
    journal_is(&gateway, "ok").await;
    let calls = eventually("all calls", SOON, async || Some(shown(&gateway, &["--calls"])).filter(|calls| calls.len() == 22)).await;
    assert!(calls.iter().all(|call| call["outcome"] == "result"), "{calls:?}");
    assert_eq!(events(&gateway, "journal.recovered", 1).await.len(), 1);
    assert_eq!(shown(&gateway, &[]).iter().filter_map(|line| line["missed"].as_u64()).sum::<u64>(), 0, "what waited is written");
    whole(&gateway);
}

#[tokio::test]
async fn calls_are_refused_where_none_may_be_without_its_line() {
    let (gateway, session) = on_a_full_disk("[journal]\non_error = \"refuse\"\n").await;
    gateway.call("echo", json!({ "message": "the last one" })).await;
    journal_is(&gateway, "failing").await;
    let ready = readiness(&gateway).await;
    assert_eq!((ready.0, &ready.1["reason"]), (503, &json!("journal")));
    let refused = gateway.call("echo", json!({ "message": "x" })).await;
    assert_eq!((refused.status, refused.code(), refused.kind(), refused.header("retry-after")), (503, -31004, "overloaded", Some("1")));
    let legacy = gateway.legacy(Some(&session), rpc(1, "tools/call", json!({ "name": "echo", "arguments": { "message": "x" } }))).await;
    assert_eq!((legacy.status, legacy.code()), (503, -31004));
    // What calls no guest goes on.
    assert!(gateway.tools().await.contains(&"echo".to_owned()));
    assert_eq!(gateway.legacy(Some(&session), rpc(2, "ping", json!({}))).await.status, 200);
    whole(&gateway);

    // It recovers by itself, without a call that tries.
    limit_files(&gateway, None);
    journal_is(&gateway, "ok").await;
    assert_eq!(readiness(&gateway).await.0, 200);
    assert_eq!(gateway.call("echo", json!({ "message": "y" })).await.tool_text(), "y");
    let calls = eventually("all calls", SOON, async || Some(shown(&gateway, &["--calls"])).filter(|calls| calls.len() == 5)).await;
    let told: Vec<_> = calls.iter().map(|call| (call["outcome"].as_str().expect("one"), call["reason"].as_str())).collect();
    let (result, refused) = (("result", None), ("refused", Some("journal_unavailable")));
    assert_eq!(told, [result, result, refused, refused, result]);
    whole(&gateway);
}

#[tokio::test]
async fn a_store_that_falls_and_rises_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let in_the_way = directory.path().join("in-the-way");
    fs::write(&in_the_way, "").expect("written");
    // A directory that could not be made at the start is none that landlock lets it make later.
    let settings = format!("[process]\nlandlock = \"off\"\n[store]\ndirectory = {:?}\n", in_the_way.join("store"));
    let mut gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    events(&gateway, "store.degraded", 1).await;
    fs::remove_file(&in_the_way).expect("removed");
    events(&gateway, "store.recovered", 1).await;
    gateway.kill().await;
    fs::write(in_the_way.join("store/sled/conf"), "no configuration").expect("written");
    gateway.start_again().await;
    let found = events(&gateway, "store.quarantined", 1).await;
    assert!(found[0]["target"].as_str().is_some_and(|name| name.starts_with("sled.corrupt-")), "{found:?}");
    assert_eq!(shown(&gateway, &["--event", "store"]).len(), 3);
    whole(&gateway);
}
