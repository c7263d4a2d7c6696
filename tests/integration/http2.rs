//! The front door over HTTP/2 without TLS: the rest of group H (reliability 3.H), frame by frame.

use crate::harness::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Http2, REFUSED_STREAM, RST_STREAM, SETTINGS, block, integer,
};
use crate::harness::{Gateway, Modern, Setup, count};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// The head of a correct `tools/list`.
fn head() -> Vec<u8> {
    block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/mcp"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/list"),
    ])
}

fn body() -> Vec<u8> {
    Modern::new("tools/list", json!({})).body.to_string().into_bytes()
}

#[tokio::test]
async fn a_correct_request_is_answered() {
    let gateway = Gateway::start().await;
    let mut connection = Http2::connect(&gateway.address()).await;
    assert!(connection.send(HEADERS, END_HEADERS, 1, &head()).await);
    assert!(connection.send(DATA, END_STREAM, 1, &body()).await);
    assert!(connection.next_of(&[HEADERS]).await.expect("an answer").is_ok());
    let data = connection.next_of(&[DATA]).await.expect("a body");
    assert!(String::from_utf8_lossy(&data.payload).contains("\"echo\""));
}

/// One entry of the table, repeated: 4 KiB that become 1 MiB.
#[tokio::test]
async fn h11_heads_that_expand() {
    let gateway = Gateway::start().await;
    let mut connection = Http2::connect(&gateway.address()).await;
    let mut bomb = head();
    // Literal with a new name, to be indexed (RFC 7541, 6.2.1): it becomes number 62, the first after the static table.
    bomb.extend([0x40, 1, b'x']);
    integer(&mut bomb, 4_000);
    bomb.extend([b'y'; 4_000]);
    bomb.extend([0x80 | 62; 260]);
    assert!(connection.send(HEADERS, END_HEADERS | END_STREAM, 1, &bomb).await);
    let frame = connection.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.expect("an answer");
    assert!(frame.kind != HEADERS || !frame.is_ok(), "{frame:?}");
    // Whoever goes on is sent away.
    for stream in (3..).step_by(2).take(10) {
        if !connection.send(HEADERS, END_HEADERS | END_STREAM, stream, &bomb).await {
            break;
        }
    }
    assert!(frame.kind == GOAWAY || connection.next_of(&[GOAWAY]).await.is_some(), "it is told why");
    assert_eq!(gateway.call("echo", json!({ "message": "here" })).await.tool_text(), "here");
}

#[tokio::test]
async fn h28_heads_that_go_on_for_ever() {
    let gateway = Gateway::start().await;
    // Few large frames, many small ones, and many that say nothing.
    for (size, what) in [(16 << 10, "large"), (1 << 10, "small"), (0, "empty")] {
        let mut connection = Http2::connect(&gateway.address()).await;
        // A field whose value has not ended when the frame has.
        let mut start = head();
        start.extend([0, 1, b'x']);
        integer(&mut start, 1 << 20);
        assert!(connection.send(HEADERS, END_STREAM, 1, &start).await);
        let sending = async {
            for _ in 0..(64 << 10) / size.max(64) {
                if !connection.send(CONTINUATION, 0, 1, &vec![b'y'; size]).await {
                    break;
                }
            }
            connection.next_of(&[GOAWAY, HEADERS]).await
        };
        // A reset in place of the last words is as good.
        let end = sending.await;
        assert!(end.as_ref().is_none_or(|frame| frame.kind == GOAWAY), "{what}: {end:?}");
    }
    assert_eq!(gateway.call("echo", json!({ "message": "here" })).await.tool_text(), "here");
}

#[tokio::test]
async fn h30_a_hundred_streams_and_no_more() {
    let gateway = Gateway::start().await;
    let mut connection = Http2::connect(&gateway.address()).await;
    let streams: Vec<u32> = (0..101).map(|n| 2 * n + 1).collect();
    for stream in &streams {
        assert!(connection.send(HEADERS, END_HEADERS, *stream, &head()).await);
    }
    let refused = connection.next_of(&[RST_STREAM, GOAWAY, HEADERS]).await.expect("an answer");
    assert_eq!((refused.stream, refused.reset_code()), (201, Some(REFUSED_STREAM)));
    for stream in &streams[..100] {
        assert!(connection.send(DATA, END_STREAM, *stream, &body()).await);
    }
    let mut answered = BTreeSet::new();
    while answered.len() < 100 {
        let frame = connection.next_of(&[HEADERS, RST_STREAM, GOAWAY]).await.expect("an answer");
        assert!(frame.is_ok(), "{frame:?}");
        answered.insert(frame.stream);
    }
    assert_eq!(answered.last(), Some(&199));
}

/// E10: streams that are opened and never read, on one connection.
#[tokio::test]
async fn streams_without_a_window_end_their_connection() {
    let settings = "[limits]\nstream_stall_timeout_s = 1\nstreams_per_session_max = 200\nstreams_per_principal_max = 200\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let session = gateway.session("2025-11-25").await;
    let mut connection = Http2::connect(&gateway.address()).await;
    // SETTINGS_INITIAL_WINDOW_SIZE = 0: nothing of a body may be sent.
    assert!(connection.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await);
    let head = block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/mcp"),
        ("content-type", "application/json"),
        ("mcp-session-id", &session),
    ]);
    for stream in (1..100).step_by(2) {
        let body = count(stream, 50, 1).to_string().into_bytes();
        assert!(connection.send(HEADERS, END_HEADERS, stream, &head).await && connection.send(DATA, END_STREAM, stream, &body).await);
    }
    assert!(connection.next_of(&[HEADERS]).await.expect("an answer begins").is_ok());
    let end = tokio::time::timeout(Duration::from_secs(30), async { while connection.next_of(&[DATA]).await.is_some() {} }).await;
    assert!(end.is_ok(), "the connection is closed");
    assert_eq!(gateway.call("echo", json!({ "message": "others go on" })).await.tool_text(), "others go on");
}
