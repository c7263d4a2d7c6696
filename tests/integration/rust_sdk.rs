//! The official Rust SDK as a client, in both eras.

use super::clients::TOOLS;
use crate::harness::{Gateway, eventually};
use rmcp::handler::client::ClientHandler;
use rmcp::model::{CallToolRequestParams, CallToolResult, ProgressNotificationParam, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, NotificationContext, RoleClient, RunningService, ServiceError, ServiceExt};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A client that remembers the progress that it was told.
#[derive(Clone, Default)]
struct Listener {
    progress: Arc<Mutex<Vec<f64>>>,
}

impl ClientHandler for Listener {
    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().expect("not poisoned").push(params.progress);
    }
}

type Client = RunningService<RoleClient, Listener>;

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Result<CallToolResult, ServiceError> {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
}

pub fn text(result: &CallToolResult) -> &str {
    result.content.first().and_then(|content| content.as_text()).map_or("", |text| text.text.as_str())
}

/// Goes through the series; gives the names of the tools.
async fn check(client: Client, listener: Listener) -> Vec<String> {
    let tools = client.list_all_tools().await.expect("a list");
    let names = tools.iter().map(|tool| tool.name.to_string()).collect();

    let echo = call(&client, "echo", json!({ "message": "hello" })).await.expect("a result");
    assert_eq!(text(&echo), "hello");
    let stats = call(&client, "word_stats", json!({ "text": "one two two" })).await.expect("a result");
    assert_eq!(stats.structured_content.expect("a structure")["words"], 3);
    let failure = call(&client, "regex_extract", json!({ "pattern": "(", "text": "x" })).await.expect("a result");
    assert_eq!(failure.is_error, Some(true));

    listener.progress.lock().expect("not poisoned").clear();
    let counted = call(&client, "slow_count", json!({ "message": "done", "n": 3, "interval_ms": 5 })).await.expect("a result");
    assert_eq!(text(&counted), "done");
    // The SDK hands notifications on in tasks of their own.
    eventually("all progress", Duration::from_secs(5), async || (listener.progress.lock().expect("not poisoned").len() == 3).then_some(()))
        .await;

    match call(&client, "no_such_tool", json!({})).await {
        Err(ServiceError::McpError(error)) => assert_eq!(error.code.0, -32602),
        other => panic!("an unknown tool is an error of the protocol: {other:?}"),
    }
    client.cancel().await.expect("it ends");
    names
}

pub fn transport(gateway: &Gateway) -> StreamableHttpClientTransport<reqwest::Client> {
    StreamableHttpClientTransport::with_client(gateway.client.clone(), StreamableHttpClientTransportConfig::with_uri(gateway.url()))
}

/// The series in both eras with a bearer token; gives the names of the tools that either saw.
pub(super) async fn with_token(gateway: &Gateway, url: &str, token: &str) -> [Vec<String>; 2] {
    let transport = || {
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token);
        StreamableHttpClientTransport::with_client(gateway.client.clone(), config)
    };
    let listener = Listener::default();
    let legacy = check(listener.clone().serve(transport()).await.expect("a handshake"), listener).await;
    let listener = Listener::default();
    let mode = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    let client = listener.clone().serve_with_lifecycle(transport(), mode).await.expect("discovery");
    [legacy, check(client, listener).await]
}

#[tokio::test]
async fn legacy() {
    let gateway = Gateway::start().await;
    let listener = Listener::default();
    // It names 2026-07-28 in its `initialize` and takes the newest handshake revision for an answer.
    let client = listener.clone().serve(transport(&gateway)).await.expect("a handshake");
    assert_eq!(client.peer_info().expect("an answer").protocol_version, ProtocolVersion::V_2025_11_25);
    assert_eq!(check(client, listener).await, TOOLS);
}

#[tokio::test]
async fn modern() {
    let gateway = Gateway::start().await;
    let listener = Listener::default();
    let mode = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    let client = listener.clone().serve_with_lifecycle(transport(&gateway), mode).await.expect("discovery");
    assert_eq!(check(client, listener).await, TOOLS);
}
