//! What clients do wrong: inputs that are broken, peers that are slow, callers who want too much.

use super::site::{ACME, INITECH, Site, UMBRELLA};
use crate::harness::{Modern, call_params, http2, initialize_params, raw, rpc};
use crate::integration::tenants::Who;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bodies, heads, names and tokens that are none.
pub(super) async fn inputs(site: Arc<Site>, n: u64) {
    let who = Who(ACME, "ivy");
    let echo = || Modern::call("echo", json!({ "message": "x" }));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let slowed = "429";
    let (request, classes): (_, &[&str]) = match n % 12 {
        0 => (site.by(who, echo().bytes("{\"jsonrpc\":")), &["400 -32700"]),
        1 => (site.by(who, Modern::call("no_such_tool", json!({}))), &["200 -32602"]),
        2 => (site.by(who, echo().bytes(vec![b' '; (64 << 10) + 1])), &["413"]),
        3 => (echo().header("authorization", "Bearer abc").build(site.gateway()), &["401", slowed]),
        4 => (echo().build(site.gateway()), &["401", slowed]),
        5 => (site.by(who, echo().header("host", "evil.example")), &["403"]),
        6 => (site.by(who, echo().instead("mcp-name", "hash")), &["400 -32020"]),
        7 => (site.by(who, echo().bytes(deep)), &["400 -32600 json_too_deep"]),
        8 => (site.by(who, Modern::new("no/such", json!({}))), &["404 -32601"]),
        9 => (site.by(who, Modern::call("echo", json!({ "message": 5 }))), &["200 tool error"]),
        10 => (site.by(who, echo().verb("PATCH")), &["405"]),
        _ => (site.post(who, Some(&"0".repeat(32)), &rpc(1, "ping", json!({}))), &["404 -32600"]),
    };
    site.ask("broken input", request, classes).await;
}

/// Bytes that are no HTTP, a body that ends early, and HTTP/2 that is right.
pub(super) async fn bytes(site: Arc<Site>, n: u64) {
    let address = site.gateway().address();
    let began = Instant::now();
    let token = site.house.token(Who(ACME, "jon"), "/mcp");
    let class = match n % 4 {
        0 => raw::status(&address, "\u{1}\u{2} nonsense\r\n\r\n").await.to_string(),
        1 => {
            let mut raw = raw::Raw::connect(&address).await;
            let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
            raw.send(format!("{head}Authorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\n{{")).await;
            "closed".to_owned()
        }
        2 => {
            // A head that never ends.
            let mut raw = raw::Raw::connect(&address).await;
            raw.send("GET /mcp HTTP/1.1\r\nHost: localhost\r\n").await;
            let said = raw.drip(b"x-slow: 1\r\n", Duration::from_millis(500)).await;
            raw::status_of(&said).to_string()
        }
        _ => {
            let mut connection = http2::Http2::connect(&address).await;
            let bearer = format!("Bearer {token}");
            let fields = [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/mcp"),
                (":authority", "localhost"),
                ("authorization", bearer.as_str()),
                ("content-type", "application/json"),
                ("accept", "application/json, text/event-stream"),
            ];
            let body = rpc(0, "initialize", initialize_params("2025-11-25")).to_string();
            connection.send(http2::HEADERS, http2::END_HEADERS, 1, &http2::block(&fields)).await;
            connection.send(http2::DATA, http2::END_STREAM, 1, body.as_bytes()).await;
            let head = connection.next_of(&[http2::HEADERS]).await.expect("an answer");
            if head.is_ok() { "200".to_owned() } else { "refused".to_owned() }
        }
    };
    let (kind, classes): (_, &[&str]) = match n % 4 {
        0 => ("bytes that are no HTTP", &["400", "0"]),
        1 => ("a body that ends early", &["closed"]),
        2 => ("a head that never ends", &["408", "431", "0"]),
        _ => ("session, begun over HTTP/2", &["200"]),
    };
    site.tally.note(kind, began.elapsed(), &class);
    assert!(classes.contains(&&*class), "{kind}: {class}");
}

/// A peer that reads nothing of a long answer until it is cut off, and one that reads through a narrow window. Through such a window come as
/// little as 2 KiB in 40 ms: what is read is short, and what was not read is not waited for.
pub(super) async fn slow_readers(site: Arc<Site>, n: u64) {
    let who = Who(INITECH, "kay");
    let address = site.gateway().address();
    let answer = site.ask("session, begun", site.post(who, None, &rpc(0, "initialize", initialize_params("2025-11-25"))), &["200"]).await;
    let session = answer.header("mcp-session-id").expect("a session").to_owned();
    let reads = n % 2 == 1;
    // Many small events: little that is held at once, and, where nobody reads, more than sockets take.
    let events = if reads { 300 } else { 6_000 };
    let mut call = rpc("c", "tools/call", call_params("progress_flood", json!({ "n": events })));
    call["params"]["_meta"]["progressToken"] = "t".repeat(250).into();
    let head = format!(
        "POST /mcp HTTP/1.1\nHost: {address}\nContent-Type: application/json\nAccept: application/json, text/event-stream\n\
         Connection: close\nMcp-Session-Id: {session}\nAuthorization: Bearer {}\n",
        site.house.token(who, "/mcp")
    );
    let mut peer = raw::Raw::narrow(&address).await;
    let began = Instant::now();
    peer.send(raw::message(&head, call.to_string())).await;
    if reads {
        let class = if peer.rest().await.contains("\"result\"") { "read to its end" } else { "cut off" };
        site.tally.note("peer with a narrow window", began.elapsed(), class);
    } else {
        // Longer than the gateway waits; that it did no longer is counted there.
        tokio::time::sleep(Duration::from_secs(4)).await;
        site.tally.note("peer that does not read", began.elapsed(), "left");
    }
    // What it kept is of a session that nobody ends.
}

/// More calls than a caller may make: those beyond are refused at once.
pub(super) async fn greed(site: Arc<Site>, _: u64) {
    let who = Who(UMBRELLA, "lou");
    for _ in 0..80 {
        let request = Modern::call("hash", json!({ "text": "x", "algorithm": "sha256" }));
        site.ask("call beyond a quota", site.by(who, request), &["200", "429 -31005 quota"]).await;
    }
    let session = site.post(who, None, &rpc(0, "initialize", initialize_params("2025-06-18")));
    let answer = site.ask("session, begun", session, &["200"]).await;
    let session = answer.header("mcp-session-id").expect("a session").to_owned();
    let bad = site.house.legacy(who, "GET", "/mcp", Some(&session), None).header("last-event-id", "../../x");
    site.ask("session, bad event id", bad, &["400 -31012 bad_event_id"]).await;
    let foreign = rpc(1, "tools/call", call_params("hash", json!({ "text": "x", "algorithm": "sha256" })));
    site.ask("session, somebody else's", site.post(Who(ACME, "lou"), Some(&session), &foreign), &["404 -32600"]).await;
}
