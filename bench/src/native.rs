//! Yardsticks, each a process of its own: a bare route of axum, and the same tool in native code behind the official Rust SDK, as its guide has it and
//! by hand. They and the gateway have the same allocator and the same runtime, so that ratios are those of what each does for a request.

use anyhow::Result;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler, schemars, tool, tool_handler, tool_router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

/// axum as it is, one route that parses JSON and writes JSON.
pub(crate) fn bare_route() -> Result<()> {
    serve(Router::new().route("/echo", post(echo)).route("/v1/traces", post(async || ())))
}

/// How the tool stands behind the SDK. All have sessions with event streams for 2025-11-25; 2026-07-28 has no sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// As its guide has it: macros, and a server made for each request that has no session. Answers are JSON.
    Guide,
    /// The same with all defaults: answers are event streams of one event.
    Defaults,
    /// Without macros, and with one server for all requests: as little as it can be. Answers are JSON.
    ByHand,
}

impl Sdk {
    /// In an argument.
    pub(crate) const NAMES: [(&'static str, Self); 3] = [("guide", Self::Guide), ("defaults", Self::Defaults), ("by-hand", Self::ByHand)];

    pub(crate) fn route(self) -> Result<()> {
        let config = StreamableHttpServerConfig::default().with_json_response(self != Self::Defaults);
        let router = Router::new();
        serve(match self {
            Self::Guide | Self::Defaults => router
                .nest_service("/mcp", StreamableHttpService::new(|| Ok(Guided::new()), Arc::new(LocalSessionManager::default()), config)),
            Self::ByHand => {
                let native = Native::new();
                let sessions = Arc::new(LocalSessionManager::default());
                router.nest_service("/mcp", StreamableHttpService::new(move || Ok(native.clone()), sessions, config))
            }
        })
    }
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

/// What `echo` takes.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Message {
    message: String,
}

/// The text toolbox's `echo`, by the SDK's macros.
#[derive(Clone)]
struct Guided {
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Guided {
    fn new() -> Self {
        Self { tool_router: Self::tool_router() }
    }

    #[tool(description = "Returns the message as it came.")]
    fn echo(&self, Parameters(Message { message }): Parameters<Message>) -> String {
        message
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Guided {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

/// The same, by hand.
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
