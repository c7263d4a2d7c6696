//! Requests that nobody thought of, byte by byte over a socket. `make fuzz` looks for longer.

use crate::harness::{Gateway, Setup, turn};
use gatehouse_mutator::{Mutator, fuzz};
use serde_json::json;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn request(head: &str, body: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{head}content-length: {}\r\n\r\n{body}", body.len())
}

fn modern(method: &str, name: &str, params: &str) -> String {
    let head = format!("accept: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}");
    request(&head, &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{META}}}}}"#))
}

fn corpus() -> Vec<String> {
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    vec![
        modern("tools/call", "mcp-name: echo\r\n", r#""name":"echo","arguments":{"message":"hi"},"#),
        modern("tools/list", "", ""),
        modern("resources/read", "mcp-name: test://static-text\r\n", r#""uri":"test://static-text","#),
        modern("prompts/get", "mcp-name: test_simple_prompt\r\n", r#""name":"test_simple_prompt","#),
        modern("server/discover", "", ""),
        request("", initialize),
        request("accept: text/event-stream\r\nmcp-session-id: 0123456789abcdef0123456789abcdef\r\nlast-event-id: AAAA\r\n", "[]"),
        "GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nlast-event-id: x\r\n\r\n".to_owned(),
        "DELETE /servers/one/mcp HTTP/1.1\r\nhost: localhost\r\nmcp-session-id: x\r\n\r\n".to_owned(),
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            .to_owned(),
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
    ]
}

const WORDS: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "host: ",
    "content-length: 0\r\n",
    "transfer-encoding: chunked\r\n",
    "mcp-session-id: ",
    "mcp-param-x: y\r\n",
    "origin: null\r\n",
    "HTTP/1.0",
    "HTTP/2.0",
    "=?base64?",
    "%2e%2e/",
    "\"id\":null",
    "expect: 100-continue\r\n",
    "upgrade: h2c\r\n",
];

/// Sends it all, says that nothing more comes, and gives the status of each answer.
fn answered(address: &str, bytes: &[u8]) -> Vec<u16> {
    let mut connection = TcpStream::connect(address).expect("the gateway listens");
    connection.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    // A peer that has closed already has answered.
    let _ = connection.write_all(bytes).and_then(|()| connection.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    if let Err(error) = connection.read_to_end(&mut answer) {
        let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!waits, "no end within 20 s: {:?}", String::from_utf8_lossy(&answer));
    }
    let text = String::from_utf8_lossy(&answer);
    let heads = text.match_indices("HTTP/1.").filter(|(at, _)| *at == 0 || text[..*at].ends_with(['\n', '}', ' ']));
    heads.filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok()).collect()
}

/// No request ends the gateway, hangs, or is answered as a fault of its own.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_nobody_thought_of() {
    let _turn = turn().await;
    let settings = "[limits]\nconnections_per_address_max = 100000\nsessions_per_principal_max = 1000000\nsessions_per_tenant_max = 1000000\nsessions_max = 1000000\n";
    let setup = Setup { plugins: vec!["text-toolbox"], fixtures: vec!["conformance-server"], settings: settings.to_owned() };
    let gateway = Gateway::with(setup).await;
    let address = gateway.address();
    let look = tokio::task::spawn_blocking(move || {
        fuzz("requests", Mutator::new(&corpus(), WORDS), 10_000, |input| {
            let statuses = answered(&address, input);
            assert!(statuses.iter().all(|status| *status < 500), "{statuses:?}");
            statuses
        })
    });
    look.await.expect("no answer was a fault");
    assert_eq!(gateway.call("echo", json!({ "message": "still here" })).await.tool_text(), "still here");
}
