//! The front door: group H of the catalogue (reliability 3.H) over HTTP/1.1, byte by byte. `http2` has the rest of the group.
//!
//! Not here, because there is nothing yet to hold: H31 and H33 (tokens), H34 (rates). H24 is as decision 7 has it, and with GET not served.

use crate::harness::raw::{self, Raw, last_status, message, status, status_of};
use crate::harness::{Gateway, Modern, Setup, process};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What the default limit of a body is.
const BODY_BYTES_MAX: usize = 4 << 20;

const SERVER: &str = "[servers.s1]\ntools = [\"*\"]\n";

async fn with(limits: &str) -> Gateway {
    let settings = format!("{SERVER}[limits]\n{limits}\n[log]\nfilter = \"gatehouse=debug\"\n");
    Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await
}

/// The head of a correct `tools/list`, less its length, with fields more.
fn head(more: &str) -> String {
    format!(
        "POST /servers/s1/mcp HTTP/1.1\nHost: localhost\nContent-Type: application/json\nMCP-Protocol-Version: 2026-07-28\n\
         Mcp-Method: tools/list\nConnection: close\n{more}"
    )
}

/// As bytes, with the empty line.
fn framed(more: &str) -> Vec<u8> {
    format!("{}\r\n\r\n", head(more).trim_end().replace('\n', "\r\n")).into_bytes()
}

fn list() -> Value {
    Modern::new("tools/list", json!({})).body
}

fn chunked(chunks: &[u8]) -> Vec<u8> {
    [&framed("Transfer-Encoding: chunked")[..], chunks].concat()
}

/// A correct body as one chunk.
fn one_chunk() -> Vec<u8> {
    let body = list().to_string();
    chunked(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes())
}

/// The most memory that the gateway had in use so far.
fn peak_kib(gateway: &Gateway) -> u64 {
    process::status(gateway.pid(), "VmHWM")
}

/// What comes in time; the limits here are well below those that would end it otherwise.
async fn within<T>(seconds: u64, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), what).await.expect("the connection is closed in time")
}

async fn still_serves(gateway: &Gateway) {
    assert_eq!(gateway.call("echo", json!({ "message": "still here" })).await.tool_text(), "still here");
}

#[tokio::test]
async fn h01_heads_that_never_end() {
    let gateway = with("header_timeout_s = 1").await;
    let mut raw = Raw::connect(&gateway.address()).await;
    let began = Instant::now();
    raw.send("POST /servers/s1/mcp HTTP/1.1\r\nHost: localhost\r\nX-A: ").await;
    let answer = within(5, raw.drip(b"a", Duration::from_millis(100))).await;
    assert!(matches!(status_of(&answer), 0 | 408), "later bytes do not move the deadline: {answer}");
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn h02_connections_that_say_nothing() {
    let gateway = with("header_timeout_s = 2\nconnections_per_address_max = 3000").await;
    let address = gateway.address();
    let mut silent = Vec::new();
    for _ in 0..2_000 {
        silent.push(Raw::connect(&address).await);
    }
    still_serves(&gateway).await;
    for mut raw in silent {
        assert_eq!(within(10, raw.rest()).await, "");
    }
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let gateway = with("connections_per_address_max = 2").await;
    let address = gateway.address();
    let (mut first, _second) = (Raw::connect(&address).await, Raw::connect(&address).await);
    assert_eq!(Raw::connect(&address).await.rest().await, "", "the third is closed at once");
    first.send(message(&head(""), list().to_string())).await;
    assert_eq!(status_of(&first.rest().await), 200);
}

#[tokio::test]
async fn h03_bodies_that_drip() {
    let gateway = with("").await;
    let mut raw = Raw::connect(&gateway.address()).await;
    let began = Instant::now();
    raw.send(framed("Content-Length: 1000")).await;
    let answer = within(10, raw.drip(b" ", Duration::from_secs(1))).await;
    assert_eq!(status_of(&answer), 408, "well before the 30 s of a whole body");
    assert!(began.elapsed() >= Duration::from_secs(5), "the grace is kept: {:?}", began.elapsed());
}

#[tokio::test]
async fn h04_bodies_that_take_too_long() {
    let gateway = with("body_timeout_s = 1").await;
    let mut raw = Raw::connect(&gateway.address()).await;
    let began = Instant::now();
    raw.send(framed("Transfer-Encoding: chunked")).await;
    let burst = [&b"1600\r\n"[..], &[b' '; 0x1600], b"\r\n"].concat();
    let answer = within(5, raw.drip(&burst, Duration::from_millis(200))).await;
    assert_eq!(status_of(&answer), 408, "the deadline is one for the whole body");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn h05_h06_h07_sizes_of_bodies() {
    let gateway = with("").await;
    let address = gateway.address();
    let body = list().to_string();
    let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
    assert_eq!(last_status(&address, framed(&format!("Content-Length: {}", BODY_BYTES_MAX + 1))).await, 413, "H05, from the head alone");
    let expects = framed(&format!("Content-Length: {}\nExpect: 100-continue", BODY_BYTES_MAX + 1));
    assert_eq!(last_status(&address, expects).await, 413, "H05, and nothing is asked for");
    assert_eq!(last_status(&address, message(&head(""), padded(BODY_BYTES_MAX))).await, 200, "H07, limits are inclusive");

    let before = peak_kib(&gateway);
    let mut raw = Raw::connect(&address).await;
    raw.send(framed("Transfer-Encoding: chunked")).await;
    let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
    let answer = within(5, raw.drip(&chunk, Duration::ZERO)).await;
    assert_eq!(status_of(&answer), 413, "H06, on crossing");
    let grown = peak_kib(&gateway) - before;
    assert!(grown <= 8 << 10, "H06: {grown} KiB");
    still_serves(&gateway).await;
}

#[tokio::test]
async fn h09_h10_sizes_of_heads() {
    let gateway = with("").await;
    let address = gateway.address();
    let body = list().to_string();
    let own = head("").lines().count() - 1;
    // With Content-Length, which `message` adds.
    let fields = |count: usize| message(&head(&"X-A: b\n".repeat(count - own - 1)), &body);
    assert_eq!(status(&address, fields(100)).await, 200, "H09");
    assert_eq!(last_status(&address, fields(101)).await, 431, "H09");
    let field = |bytes: usize| message(&head(&format!("X-A: {}", "b".repeat(bytes))), &body);
    assert_eq!(status(&address, field(15 << 10)).await, 200, "H10");
    for bytes in [17 << 10, 100 << 10] {
        assert_eq!(last_status(&address, field(bytes)).await, 431, "H10");
    }
    let target =
        |bytes: usize| message(&head("").replace("/mcp", &format!("/mcp?{}", "q".repeat(bytes - "/servers/s1/mcp?".len()))), &body);
    assert_eq!(status(&address, target(8_192)).await, 200, "H10");
    assert_eq!(last_status(&address, target(8_193)).await, 414, "H10");
}

#[tokio::test]
async fn h12_requests_inside_of_requests() {
    let gateway = with("").await;
    let call = Modern::call("echo", json!({ "message": "smuggled" })).body.to_string();
    let hidden = message(&head("").replace("tools/list", "tools/call").replace("Connection", "Mcp-Name: echo\nConnection"), call);
    for lengths in ["Content-Length: 6\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\nContent-Length: 6"] {
        // Not asked to close: whether it does is the question.
        let outer = String::from_utf8(framed(lengths)).expect("text").replace("Connection: close\r\n", "");
        let mut raw = Raw::connect(&gateway.address()).await;
        raw.send([outer.as_bytes(), b"0\r\n\r\n", &hidden].concat()).await;
        let answers = within(5, raw.rest()).await;
        assert_eq!((status_of(&answers), answers.matches("HTTP/1.1").count()), (400, 1), "{lengths}: {answers}");
    }
    assert!(!gateway.log().contains("tools/call"), "{}", gateway.log());
}

#[tokio::test]
async fn h13_to_h18_malformed_requests() {
    let gateway = with("").await;
    let address = gateway.address();
    let body = list().to_string();
    let correct = message(&head(""), &body);
    assert_eq!(status(&address, &correct).await, 200, "what the rows change");
    assert_eq!(status(&address, one_chunk()).await, 200, "what the chunked rows change");

    let length = body.len();
    let text = String::from_utf8(correct).expect("text");
    let with_length = |value: &str| text.replace(&format!("Content-Length: {length}"), value).into_bytes();
    let with_host = |value: &str| text.replace("Host: localhost", value).into_bytes();
    let with_target = |value: &str| text.replace("/servers/s1/mcp", value).into_bytes();
    let field = |bytes: &[u8]| [&framed("")[..framed("").len() - 2], bytes, b"\r\nContent-Length: 0\r\n\r\n"].concat();
    let extensions = format!("1;{}\r\n \r\n", "e".repeat(8 << 10)).repeat(10_000);
    let trailers = |count: usize| [&one_chunk()[..one_chunk().len() - 2], "X-T: t\r\n".repeat(count).as_bytes(), b"\r\n"].concat();
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("H13 two lengths", with_length(&format!("Content-Length: {length}\r\nContent-Length: {}", length + 1))),
        ("H13 signed", with_length(&format!("Content-Length: +{length}"))),
        ("H13 negative", with_length("Content-Length: -1")),
        ("H13 hexadecimal", with_length("Content-Length: 0x5")),
        ("H13 2^64", with_length("Content-Length: 18446744073709551616")),
        ("H13 a list", with_length(&format!("Content-Length: {length}, {length}"))),
        ("H13 empty", with_length("Content-Length: ")),
        ("H15 size beyond 64 bits", chunked(b"FFFFFFFFFFFFFFFFF\r\n")),
        ("H15 no line end after the size", chunked(b"5 hello\r\n0\r\n\r\n")),
        ("H15 no hexadecimal size", chunked(b"g\r\n0\r\n\r\n")),
        ("H15 1,000 trailers", trailers(1_000)),
        ("H15 not chunked in the end", framed("Transfer-Encoding: chunked, gzip")),
        ("H16 extensions", chunked(extensions.as_bytes())),
        ("H17 folded field", field(b"X-A: b\r\n c")),
        ("H17 NUL", field(b"X-A: a\0b")),
        ("H17 DEL", field(b"X-A: a\x7fb")),
        ("H17 CR alone", field(b"X-A: a\rX-B: b")),
        ("H17 blank before the colon", field(b"X-A : b")),
        ("H17 LF alone, everywhere", text.replace("\r\n", "\n").into_bytes()),
        ("H17 LF alone, after one field", text.replace("localhost\r\n", "localhost\n").into_bytes()),
        ("H17 LF alone, at the end", text.replace("\r\n\r\n", "\r\n\n").into_bytes()),
        ("H18 no host", with_host("X-Host: localhost")),
        ("H18 two hosts", with_host("Host: localhost\r\nHost: localhost")),
        ("H18 a path in it", with_host("Host: a/?x=")),
        ("H18 a user in it", with_host("Host: u@localhost")),
        ("H18 empty", with_host("Host: ")),
        ("H22 another host in the target", with_target("http://evil.example/servers/s1/mcp")),
    ];
    for (name, request) in rows {
        assert_eq!(last_status(&address, request).await, 400, "{name}");
    }
    assert_eq!(status(&address, with_target("http://localhost/servers/s1/mcp")).await, 200, "H22, the same host");
    assert_eq!(status(&address, with_length(&format!("Content-Length: {length}\r\nContent-Length: {length}"))).await, 200, "said twice");
    assert_eq!(status(&address, trailers(3)).await, 200, "trailers are dropped");
    let extended = String::from_utf8(one_chunk()).expect("text").replace("\r\n{", ";name=\"value\"\r\n{");
    assert_eq!(status(&address, extended).await, 200, "so are a few extensions");
    still_serves(&gateway).await;
}

/// H17 holds for every request of a connection, not for its first alone.
#[tokio::test]
async fn h17_lines_of_later_requests() {
    let gateway = with("").await;
    let body = format!("{}\n\n", list());
    let keep = message(&head("").replace("Connection: close\n", ""), &body);
    let loose = String::from_utf8(keep.clone()).expect("text").replace("localhost\r\n", "localhost\n");
    let mut raw = Raw::connect(&gateway.address()).await;
    for _ in 0..3 {
        raw.send(&keep).await;
        let head = raw.head().await;
        assert_eq!(status_of(&head), 200, "line feeds of a body are its own: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut rest = vec![0; length.parse().expect("a number")];
        raw.0.read_exact(&mut rest).await.expect("a body");
    }
    raw.send([&keep[..], loose.as_bytes()].concat()).await;
    let answers = within(5, raw.rest()).await;
    let statuses: Vec<_> = answers.match_indices("HTTP/1.1 ").map(|(at, _)| status_of(&answers[at..])).collect();
    assert_eq!(statuses, [200, 400], "{answers}");
}

#[tokio::test]
async fn h19_to_h26_requests_that_are_not_for_us() {
    let gateway = with("").await;
    let request = || Modern::new("tools/list", json!({})).path("/servers/s1/mcp");
    let rows = [
        ("H19 host", request().header("host", "evil.example"), 403),
        ("H20 origin", request().header("origin", "https://evil.example"), 403),
        ("H20 null", request().header("origin", "null"), 403),
        ("H20 none", request(), 200),
        ("H23 text", request().instead("content-type", "text/plain"), 415),
        ("H23 UTF-16", request().instead("content-type", "application/json; charset=utf-16"), 415),
        ("H23 missing", request().without("content-type"), 415),
        ("H23 twice", request().header("content-type", "application/json"), 415),
        ("H23 UTF-8", request().instead("content-type", "application/json; charset=utf-8"), 200),
        ("H24 JSON only", request().instead("accept", "application/json"), 200),
        ("H24 anything", request().instead("accept", "*/*"), 200),
        ("H24 neither", request().instead("accept", "text/html"), 406),
        ("H24 GET", request().verb("GET").instead("accept", "text/html"), 405),
        ("H25 gzip", request().header("content-encoding", "gzip").bytes(include_bytes!("front.rs")), 415),
        ("H25 br", request().header("content-encoding", "br"), 415),
        ("H25 zstd", request().header("content-encoding", "zstd"), 415),
        ("H25 deflate", request().header("content-encoding", "deflate"), 415),
        ("H25 two", request().header("content-encoding", "identity").header("content-encoding", "gzip"), 415),
        ("H26 PUT", request().verb("PUT"), 405),
        ("H26 PATCH", request().verb("PATCH"), 405),
        ("H26 HEAD", request().verb("HEAD"), 405),
        ("H26 OPTIONS", request().verb("OPTIONS"), 405),
        ("H26 PROPFIND", request().verb("PROPFIND"), 405),
    ];
    for (name, request, status) in rows {
        let answer = gateway.modern(request).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{name}: {answer:?}");
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{name}: {answer:?}");
    }
    for verb in ["TRACE", "CONNECT"] {
        let answer = raw_answer(&gateway, &head("").replace("POST", verb)).await;
        assert_eq!(status_of(&answer), 405, "H26 {verb}: {answer}");
        assert!(answer.contains("\r\nallow: POST\r\n"), "H26 {verb}: {answer}");
    }
    // No Accept at all, which the test's client cannot do, has been in every raw request that was answered 200 (decision 7).
    assert_eq!(status(&gateway.address(), message(&head(""), list().to_string())).await, 200);
}

async fn raw_answer(gateway: &Gateway, head: &str) -> String {
    let mut raw = Raw::connect(&gateway.address()).await;
    raw.send(raw::message(head, "")).await;
    raw.rest().await
}

/// A refusal that comes before the body was read is read by its client, which first sends all that it has; and it says that the
/// connection ends.
#[tokio::test]
async fn a_refusal_is_not_lost_to_a_reset() {
    let gateway = Gateway::start().await;
    let head = format!("POST /mcp HTTP/1.1\nHost: {}\nContent-Type: text/plain\n", gateway.address());
    let request = message(&head, vec![b' '; 900_000]);
    for round in 0..20 {
        let mut raw = Raw::connect(&gateway.address()).await;
        // It may be told before it has sent everything.
        let _ = raw.0.write_all(&request).await;
        let answer = raw.rest().await.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 415 ") && answer.contains("connection: close"), "round {round}: {answer:?}");
    }
}
