//! What one call may send and get, and what the gateway spends on a server that says too much, or nothing.

use super::audit::{by_reason, events};
use super::egress::{LOOPBACK, SOON, error, fetch, send, send_all, serving};
use crate::harness::{Gateway, Upstream, eventually, turn};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

async fn with(upstream: &Upstream, terms: &str, more: &str) -> Gateway {
    serving(&[format!("http://127.0.0.1:{}", upstream.port())], &format!("{LOOPBACK}{terms}\n"), more).await
}

fn url(upstream: &Upstream, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", upstream.port())
}

fn by_wasi(upstream: &Upstream, path: &str) -> Value {
    json!({ "scheme": "http", "authority": format!("127.0.0.1:{}", upstream.port()), "path": path })
}

/// A figure of `/proc/PID/status`, in bytes.
fn memory(gateway: &Gateway, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).expect("a figure");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[tokio::test]
async fn r25_a_response_without_end_is_cut_at_its_limit_and_never_held() {
    let _turn = turn().await;
    let upstream = Upstream::plain().await;
    let gateway = with(&upstream, "", "").await;
    // What says that it is too large is not read at all.
    assert_eq!(error(&fetch(&gateway, json!({ "url": url(&upstream, "/gib") })).await), "too large 4194304");
    assert_eq!(error(&send(&gateway, by_wasi(&upstream, "/gib")).await), "ErrorCode::HttpResponseBodySize(Some(4194304))");
    let endless = send(&gateway, by_wasi(&upstream, "/endless")).await;
    let told = error(&endless).to_owned();
    assert!(told.starts_with("HTTP response body size exceeds limit: 4194304 bytes after "), "{told}");
    let read: u64 = told.split(" after ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("bytes");
    assert!((3 << 20..=4 << 20).contains(&read), "{read}");
    assert_eq!(error(&fetch(&gateway, json!({ "url": url(&upstream, "/endless") })).await), "too large 4194304");
    // A guest that reads as it comes costs the host nothing that grows with it.
    let before = memory(&gateway, "VmRSS");
    fs::write(format!("/proc/{}/clear_refs", gateway.pid()), "5").expect("the peak is forgotten");
    send(&gateway, by_wasi(&upstream, "/endless")).await;
    let peak = memory(&gateway, "VmHWM");
    assert!(peak.saturating_sub(before) <= 8 << 20, "{before} to {peak}");
    // Nothing is unpacked: what comes is what it says.
    let packed = fetch(&gateway, json!({ "url": url(&upstream, "/packed") })).await;
    assert_eq!((&packed["headers"]["content-encoding"], &packed["body"]), (&json!("gzip"), &json!("not really")));
    assert_eq!(by_reason(&events(&gateway, "egress.denied", 5).await), BTreeMap::from([("response_size".to_owned(), 5)]));
}

#[tokio::test]
async fn r25_a_server_that_drips_or_says_nothing_is_waited_for_no_longer_than_the_limit() {
    let upstream = Upstream::plain().await;
    let gateway = with(&upstream, "timeout_ms = 700\n", "").await;
    for path in ["/drip", "/silence"] {
        let began = Instant::now();
        assert_eq!(error(&fetch(&gateway, json!({ "url": url(&upstream, path) })).await), "timed out", "{path}");
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(700), "{took:?}");
        let told = error(&send(&gateway, by_wasi(&upstream, path)).await).to_owned();
        assert!(told.contains("HttpResponseTimeout") || told.starts_with("HTTP response timeout after "), "{path}: {told}");
    }
    assert_eq!(
        error(&fetch(&gateway, json!({ "url": url(&upstream, "/heads") })).await),
        "unreachable the connection broke, or the answer is no HTTP"
    );
    // The guest may want it sooner, and the call ends as it would without.
    let gateway = with(&upstream, "", "[limits]\ncall_wall_time_ms = 1500\n").await;
    assert_eq!(error(&fetch(&gateway, json!({ "url": url(&upstream, "/silence"), "timeout_ms": 50 })).await), "timed out");
    let mut soon = by_wasi(&upstream, "/silence");
    soon["first_byte_ms"] = 50.into();
    assert_eq!(error(&send(&gateway, soon).await), "ErrorCode::HttpResponseTimeout");
    let answer = gateway.modern(crate::harness::Modern::call("fetch", json!({ "url": url(&upstream, "/silence") }))).await;
    assert_eq!((answer.code(), &answer.message()["error"]["data"]["kind"]), (-31001, &json!("wall_time")), "{answer:?}");
}

#[tokio::test]
async fn a_call_has_so_many_requests_and_so_many_at_once() {
    let upstream = Upstream::plain().await;
    let gateway = with(&upstream, "requests_per_call_max = 3\nrequests_in_flight_per_call_max = 2\n", "").await;
    let mut many = by_wasi(&upstream, "/");
    many["times"] = 5.into();
    let all = send_all(&gateway, many.clone()).await;
    let statuses: Vec<_> = all.iter().map(|answer| answer["status"].as_u64().unwrap_or(0)).collect();
    assert_eq!(statuses, [200, 200, 200, 0, 0]);
    assert_eq!(error(&all[3]), "ErrorCode::HttpRequestDenied");
    // The next call has as many.
    let mut together = by_wasi(&upstream, "/silence");
    (together["times"], together["together"], together["first_byte_ms"]) = (3.into(), true.into(), 400.into());
    let all = send_all(&gateway, together).await;
    // Side by side they come in any order.
    let mut errors: Vec<_> = all.iter().map(error).collect();
    errors.sort_unstable();
    assert_eq!(errors, ["ErrorCode::HttpRequestDenied", "ErrorCode::HttpResponseTimeout", "ErrorCode::HttpResponseTimeout"]);
    assert_eq!(upstream.came(), 5);
    let denied = events(&gateway, "egress.denied", 3).await;
    assert_eq!(by_reason(&denied), BTreeMap::from([("in_flight".to_owned(), 1), ("requests".to_owned(), 2)]));
}

#[tokio::test]
async fn requests_have_their_sizes() {
    let upstream = Upstream::plain().await;
    let gateway = with(&upstream, "request_bytes_max = 10000\nresponse_bytes_max = 5\nhead_bytes_max = 8192\n", "").await;
    let fetched = fetch(&gateway, json!({ "url": url(&upstream, "/size"), "method": "POST", "body_bytes": 10_000 })).await;
    assert_eq!(fetched["body"], "10000", "{fetched}");
    let fetched = fetch(&gateway, json!({ "url": url(&upstream, "/size"), "method": "POST", "body_bytes": 10_001 })).await;
    assert_eq!(error(&fetched), "too large 10000");
    let mut posted = by_wasi(&upstream, "/size");
    (posted["method"], posted["body_bytes"]) = ("POST".into(), 200_000.into());
    let sent = send(&gateway, posted.clone()).await;
    assert!(error(&sent).contains("HttpRequestBodySize(Some(10000))"), "it does not say how large it is: {sent}");
    posted["headers"] = json!({ "content-length": "200000" });
    assert!(error(&send(&gateway, posted).await).contains("HttpRequestBodySize(Some(10000))"));
    assert_eq!(fetch(&gateway, json!({ "url": url(&upstream, "/") })).await["body"], "hello", "five bytes are not beyond five");
    assert_eq!(error(&fetch(&gateway, json!({ "url": url(&upstream, "/packed") })).await), "too large 5");
    let long = "x".repeat(8_192);
    assert_eq!(error(&fetch(&gateway, json!({ "url": url(&upstream, "/"), "headers": { "x-long": long } })).await), "denied head_size");
    assert_eq!(error(&fetch(&gateway, json!({ "url": format!("{}?{long}", url(&upstream, "/")) })).await), "denied head_size");
}

#[tokio::test]
async fn requests_count_against_quotas() {
    let upstream = Upstream::plain().await;
    let gateway =
        with(&upstream, "", "[quotas.tool]\negress_calls_per_minute_max = 2\n[quotas.tenant]\negress_calls_per_minute_max = 1000\n").await;
    let mut many = by_wasi(&upstream, "/");
    many["times"] = 3.into();
    let all = send_all(&gateway, many).await;
    assert_eq!((&all[0]["status"], &all[1]["status"], error(&all[2])), (&json!(200), &json!(200), "ErrorCode::HttpRequestDenied"));
    // The other tool has its own.
    assert_eq!(fetch(&gateway, json!({ "url": url(&upstream, "/") })).await["status"], 200);
    assert_eq!(upstream.came(), 3);
    assert_eq!(by_reason(&events(&gateway, "egress.denied", 1).await), BTreeMap::from([("quota".to_owned(), 1)]));
    let hit = events(&gateway, "quota.hit", 1).await;
    assert_eq!(hit[0]["reason"], "tool.egress_calls", "{hit:?}");
    let rows = eventually("the ledger", SOON, async || {
        let (code, text) = gateway.command(&["usage", "--json"]).await;
        (code == 0).then(|| text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>())
    })
    .await;
    let row = |of: &str, name: &str| {
        rows.iter().find(|row| row["of"] == of && row["name"] == name).unwrap_or_else(|| panic!("{of} {name}: {rows:?}"))
    };
    assert_eq!((&row("tool", "send")["egress_calls"], &row("tool", "fetch")["egress_calls"]), (&json!(2), &json!(1)));
    assert_eq!(row("tenant", "default")["egress_calls"], 3);
    assert_eq!(row("tenant", "default")["egress_calls_this_minute"]["max"], 1_000);
    let (_, table) = gateway.command(&["usage"]).await;
    assert!(table.lines().next().is_some_and(|titles| titles.ends_with("egress")), "{table}");
}
