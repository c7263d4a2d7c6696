//! What each MCP method does. No HTTP here, and no engine.
//!
//! Both eras come together here: a request has become a [`Context`] with a revision, and from there on only predicates of the revision
//! tell the eras apart.

mod cancelled;
mod changed;
mod discover;
mod initialize;
mod listen;
mod set_level;
mod task;
mod tools_call;
mod tools_list;

pub use changed::tools_changed;
pub use initialize::initialize;
pub use tools_call::Dialogs;

use crate::auth::{Caller, Policy};
use crate::catalog::{Catalog, Server};
use crate::config::{LegacyConfig, ServerId};
use crate::failure::Failure;
use crate::journal::Journal;
use crate::outbox::{End, Run};
use crate::session::{InFlight, Session, Sessions};
use crate::stream::{Counter, Streams};
use crate::task::Tasks;
use crate::tenant::Admission;
use event_store::EventStore;
use mcp::capability::{ClientCapabilities, ListChanged, ServerCapabilities};
use mcp::header::HeaderValues;
use mcp::params::LogLevel;
use mcp::result::{CacheHints, CacheScope, Implementation};
use mcp::{JsonText, Notification, Request, Revision};
use sandbox::Sandbox;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What methods work with.
#[derive(Debug)]
pub struct Rooms {
    /// Who we are.
    pub implementation: Implementation,
    /// What may be done.
    pub policy: Policy,
    /// How much at once.
    pub admission: Admission,
    /// Where calls are recorded.
    pub journal: Journal,
    /// Where guests run.
    pub sandbox: Arc<Sandbox>,
    /// Where sessions and streams are kept.
    pub store: Arc<dyn EventStore>,
    /// Legacy sessions.
    pub sessions: Sessions,
    /// Their event streams.
    pub streams: Arc<Streams>,
    /// How many of those there are.
    pub stream_places: Arc<Counter>,
    /// Calls whose result is fetched later.
    pub task_store: Tasks,
    /// What tools leave with clients while they wait for answers.
    pub dialogs: Dialogs,
    /// Servers whose tools have changed; the default one is none.
    pub lists_changed: broadcast::Sender<Option<ServerId>>,
    /// What a failure says in public, for a task that keeps it.
    pub error_text: fn(&Failure) -> JsonText,
    /// How legacy clients are served.
    pub legacy: LegacyConfig,
    /// What a call may use.
    pub limits: sandbox::Limits,
    /// What the JSON of a guest may hold.
    pub json_limits: mcp::JsonLimits,
    /// Whatever runs by itself: calls of streams and of tasks, and what watches over them.
    pub tasks: TaskTracker,
    /// Fires when the gateway begins to stop.
    pub draining: CancellationToken,
}

/// One request, whatever its era.
#[derive(Debug)]
pub struct Context {
    /// Who asks.
    pub caller: Caller,
    /// Where.
    pub server: Arc<Server>,
    /// The generation that `server` is of: holds it for as long as the request works with it.
    pub catalog: Arc<Catalog>,
    /// In which words.
    pub revision: Revision,
    /// What the client can be asked.
    pub capabilities: Option<ClientCapabilities>,
    /// The least level of the log lines that it wants; none: no lines.
    pub log_level: Option<LogLevel>,
    /// Its session.
    pub session: Option<Arc<Session>>,
    /// Its place in its session.
    pub in_flight: Option<InFlight>,
    /// Headers that repeat arguments.
    pub mirrored: MirroredHeaders,
}

/// The `Mcp-Param-*` headers of a request.
#[derive(Debug, Default)]
pub struct MirroredHeaders(pub Vec<(Box<str>, Vec<u8>)>);

impl MirroredHeaders {
    /// The values of one of them, by name without regard to case.
    pub fn values(&self, name: &str) -> HeaderValues<'_> {
        HeaderValues::collect(self.0.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice()))
    }
}

/// What a method answers.
#[derive(Debug)]
pub enum Answer {
    /// At once.
    Now(End),
    /// A call that begins when its first reply is asked for.
    Running(Box<dyn Run>),
}

impl From<End> for Answer {
    fn from(end: End) -> Self {
        Self::Now(end)
    }
}

/// What the server offers. Changes of lists are announced where there is a stream for it; log lines where a level can be set: neither to
/// a legacy client without a session.
pub(crate) fn capabilities(tools: ListChanged) -> ServerCapabilities {
    // Only revisions that have extensions are told of them.
    let nothing = JsonText::from(&serde_json::Value::Object(serde_json::Map::new()));
    ServerCapabilities {
        tools: Some(tools),
        logging: tools == ListChanged::Announced,
        extensions: vec![(mcp::task::EXTENSION.into(), nothing)],
        ..ServerCapabilities::default()
    }
}

/// How long lists may be kept: a dropped plugin shows within seconds, and nobody but the caller may keep what was chosen for it.
pub(crate) const CACHE: CacheHints = CacheHints { ttl_ms: 1_000, scope: CacheScope::Private };

impl Rooms {
    /// Answers a request of either era; `initialize` has its own door, because it makes what the others need.
    pub async fn request(self: &Arc<Self>, context: Context, request: &Request) -> Answer {
        let params = request.params.as_deref();
        match (&*request.method, context.revision.handshake_methods()) {
            ("tools/list", _) => tools_list::tools_list(self, &context, params).into(),
            ("tools/call", _) => tools_call::tools_call(self, context, params).await,
            ("tasks/get", false) => task::get(self, &context, params).await.into(),
            ("tasks/update", false) => task::update(self, context, params).await.into(),
            ("tasks/cancel", false) => task::cancel(self, &context, params).await.into(),
            ("subscriptions/listen", false) => match listen::listen(self, context, &request.id, params).await {
                Ok(run) => Answer::Running(run),
                Err(failure) => Answer::Now(Err(failure)),
            },
            ("server/discover", false) => discover::discover(self, &context).into(),
            ("logging/setLevel", true) => set_level::set_level(self, &context, params).await.into(),
            ("ping", true) => Ok(mcp::result::empty(context.revision, &self.implementation)).into(),
            (unknown, _) => Err(Failure::MethodNotFound(unknown.into())).into(),
        }
    }

    /// Takes a legacy notification. What is unknown is ignored, as JSON-RPC wants it.
    pub fn notification(&self, session: Option<&Session>, notification: &Notification) {
        let Some(session) = session else { return };
        match &*notification.method {
            "notifications/initialized" => session.initialized(),
            "notifications/cancelled" => cancelled::cancelled(session, notification),
            _ => {}
        }
    }

    /// The result of a tool in the words of the request's revision.
    fn written(&self, result: &mcp::result::CallToolResult, revision: Revision) -> JsonText {
        result.write(revision, &self.implementation)
    }
}
