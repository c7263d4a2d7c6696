//! Yardsticks, each a process of its own: a bare route of axum, and the same tool in native code behind the official Rust SDK. They and the gateway
//! have the same allocator and the same runtime, so that ratios are those of what each does for a request.

use anyhow::Result;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

/// axum as it is, one route that parses JSON and writes JSON.
pub(crate) fn bare_route() -> Result<()> {
    serve(Router::new().route("/echo", post(echo)).route("/v1/traces", post(async || ())))
}

/// The SDK as its documentation sets it up: sessions with event streams for 2025-11-25, and JSON for 2026-07-28, which has no sessions.
pub(crate) fn sdk_route() -> Result<()> {
    let config = StreamableHttpServerConfig::default().with_json_response(true);
    // It is asked for one for each request that has no session.
    let native = Native::new();
    let service = StreamableHttpService::new(move || Ok(native.clone()), Arc::new(LocalSessionManager::default()), config);
    serve(Router::new().nest_service("/mcp", service))
}

fn serve(router: Router) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let ready = format!("ready http://{}/\n", listener.local_addr()?);
        tokio::io::stderr().write_all(ready.as_bytes()).await?;
        let listener = listener.tap_io(|stream| {
            // As in the gateway.
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, router).await?)
    })
}

async fn echo(Json(request): Json<Value>) -> Json<Value> {
    let text = request.get("params").and_then(|params| params.get("message")).cloned().unwrap_or_default();
    let id = request.get("id").cloned().unwrap_or_default();
    Json(json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": text }] } }))
}

/// The text toolbox's `echo`, written by hand: the SDK's macros would do a little more.
#[derive(Clone)]
struct Native {
    echo: Tool,
}

impl Native {
    fn new() -> Self {
        let schema = json!({ "type": "object", "properties": { "message": { "type": "string" } }, "required": ["message"] });
        let schema: JsonObject = schema.as_object().cloned().unwrap_or_default();
        Self { echo: Tool::new("echo", "Returns the message as it came.", schema) }
    }
}

impl ServerHandler for Native {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        (name == "echo").then(|| self.echo.clone())
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(vec![self.echo.clone()]))
    }

    async fn call_tool(&self, request: CallToolRequestParams, _: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        let message = request.arguments.as_ref().and_then(|arguments| arguments.get("message")).and_then(Value::as_str);
        match (&*request.name, message) {
            ("echo", Some(message)) => Ok(CallToolResult::success(vec![ContentBlock::text(message)]).into()),
            ("echo", None) => Err(ErrorData::invalid_params("it takes a message", None)),
            _ => Err(ErrorData::invalid_params("there is no such tool", None)),
        }
    }
}
