//! What each MCP method does. No HTTP here, and no engine.
//!
//! Both eras come together here: a request has become a [`Context`] with a revision, and from there on only predicates of the revision
//! tell the eras apart.

mod call;
mod cancelled;
mod changed;
mod completion_complete;
mod discover;
mod initialize;
mod kept_open;
mod listen;
mod lists;
mod prompts_get;
mod refused;
mod resources_read;
mod resources_subscribe;
mod revoked;
mod seen;
mod set_level;
mod stages;
mod task;
mod tools_call;

pub use call::Dialogs;
pub use changed::Change;
pub use initialize::initialize;
pub use lists::Pages;
pub use revoked::Effect;
pub use seen::Seen;
pub use stages::Stages;

use crate::auth::{Caller, Policy};
use crate::catalog::{Catalog, Server};
use crate::config::LegacyConfig;
use crate::egress::{Egress, Learned};
use crate::failure::Failure;
use crate::generation::Current;
use crate::journal::Journal;
use crate::keyvalue::KeyValues;
use crate::metrics;
use crate::outbox::{End, Run};
use crate::revocation::Revocations;
use crate::scratch::Scratches;
use crate::session::{InFlight, Session, Sessions};
use crate::stream::{Counter, Streams};
use crate::task::Tasks;
use crate::tenant::Admission;
use crate::trace::Span;
use event_store::EventStore;
use mcp::capability::{ClientCapabilities, ListChanged, ServerCapabilities};
use mcp::header::HeaderValues;
use mcp::params::{LogLevel, Params};
use mcp::result::{CacheHints, CacheScope, Implementation, List};
use mcp::{Era, JsonText, Notification, Request, Revision};
use sandbox::Sandbox;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What methods work with.
#[derive(Debug)]
pub struct Rooms {
    /// Who we are.
    pub implementation: Implementation,
    /// What may be done.
    pub policy: Policy,
    /// What an operator has revoked, and the calls in flight.
    pub revocations: Arc<Revocations>,
    /// How much at once.
    pub admission: Admission,
    /// Where calls are recorded, and what else happens.
    pub journal: Arc<Journal>,
    /// By what their requests leave.
    pub egress: Arc<Egress>,
    /// By what they keep values.
    pub keyvalue: Arc<KeyValues>,
    /// Where they have files that nobody keeps.
    pub scratch: Arc<Scratches>,
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
    /// What guests leave with clients while they wait for answers.
    pub dialogs: Dialogs,
    /// How lists are cut.
    pub pages: Pages,
    /// The current generation of who is who and of what there is.
    pub generation: Current,
    /// What changes outside of requests.
    pub changes: broadcast::Sender<Change>,
    /// What a failure says in public, for a task that keeps it.
    pub error_text: fn(&Failure) -> JsonText,
    /// The code of its error, for traces.
    pub error_code: fn(&Failure, Era) -> i32,
    /// How legacy clients are served.
    pub legacy: LegacyConfig,
    /// What a call may use.
    pub limits: sandbox::Limits,
    /// What the JSON of a guest may hold.
    pub json_limits: mcp::JsonLimits,
    /// Whether hidden characters are taken out of what tools and prompts say.
    pub sanitize: bool,
    /// Whatever runs by itself: calls of streams and of tasks, and what watches over them.
    pub tasks: TaskTracker,
    /// Where requests of the same time let each other pass.
    pub stages: Stages,
    /// Fires when the gateway begins to stop.
    pub draining: CancellationToken,
    /// Whoever looks on, if anybody does: never in a gateway that was started to serve.
    pub onlooker: Option<mpsc::Sender<Seen>>,
    /// What guests reach for, where that is wanted: never in such a gateway either. Their requests end there.
    pub learned: Option<Arc<Learned>>,
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
    /// The request's own span.
    pub span: Span,
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

/// What a server offers. Changes are announced where there is a stream for them; log lines where a level can be set: neither to a legacy
/// client without a session. Whatever plugins may come to offer is announced, since they come and go while clients stay.
pub(crate) fn capabilities(server: &Server, changes: ListChanged) -> ServerCapabilities {
    // Only revisions that have extensions are told of them.
    let nothing = JsonText::from(&serde_json::Value::Object(serde_json::Map::new()));
    let offered = |list| server.offers(list).then_some(changes);
    let (prompts, resources) = (offered(List::Prompts), offered(List::Resources));
    ServerCapabilities {
        tools: offered(List::Tools),
        prompts,
        resources,
        resource_subscriptions: changes == ListChanged::Announced,
        logging: changes == ListChanged::Announced,
        completions: prompts.is_some() || resources.is_some(),
        extensions: vec![(mcp::task::EXTENSION.into(), nothing)],
    }
}

/// The attribute of spans that says how a request ended, in the words that calls are counted by.
const OUTCOME: &str = "gatehouse.outcome";

/// How long lists may be kept: a dropped plugin shows within seconds, and nobody but the caller may keep what was chosen for it.
pub(crate) const CACHE: CacheHints = CacheHints { ttl_ms: 1_000, scope: CacheScope::Private };

/// A method as traces know it: of what is no method of the protocol, nothing is repeated.
pub fn known(method: &str) -> &'static str {
    const KNOWN: [&str; 18] = [
        "tools/list",
        "tools/call",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "tasks/get",
        "tasks/update",
        "tasks/cancel",
        "subscriptions/listen",
        "server/discover",
        "resources/subscribe",
        "resources/unsubscribe",
        "logging/setLevel",
        "ping",
        "initialize",
    ];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}

impl Rooms {
    /// Answers a request of either era; `initialize` has its own door, because it makes what the others need.
    pub async fn request(self: &Arc<Self>, context: Context, request: &Request, params: &Params<'_>) -> Answer {
        let (span, era) = (context.span.clone(), context.revision.era());
        let (owner, server) = (context.caller.owner(), context.server.id.clone());
        self.stages.next().await;
        match self.dispatch(context, request, params).await {
            Ok(answer) => {
                span.otherwise(OUTCOME, metrics::Outcome::Ok.word());
                answer
            }
            Err(failure) => {
                self.refused(&span, &failure, era);
                if failure.is_of_name() {
                    metrics::CALLS.row(owner.tenant().as_str(), None).count(metrics::Outcome::Unknown);
                }
                // Calls of guests told of it themselves, each in its line.
                if !matches!(&*request.method, "tools/call" | "resources/read" | "prompts/get" | "completion/complete") {
                    self.note_refusal(&owner, server.as_ref(), &failure, &request.method);
                }
                Answer::Now(Err(failure))
            }
        }
    }

    /// Tells a request's span that it has no result, and why.
    pub fn refused(&self, span: &Span, failure: &Failure, era: Era) {
        if span.is_on() {
            span.word(OUTCOME, call::outcome(failure).word());
            span.word("gatehouse.reason", failure.word());
            span.refused(|| (self.error_code)(failure, era));
        }
    }

    async fn dispatch(self: &Arc<Self>, context: Context, request: &Request, params: &Params<'_>) -> Result<Answer, Failure> {
        let offers = |list| context.server.offers(list);
        let (tools, resources, prompts) = (offers(List::Tools), offers(List::Resources), offers(List::Prompts));
        let now = |result: JsonText| Ok(Answer::Now(Ok(result)));
        match (&*request.method, context.revision.handshake_methods()) {
            ("tools/list", _) if tools => now(lists::list(self, &context, List::Tools, params).await?),
            ("tools/call", _) if tools => tools_call::tools_call(self, context, params).await,
            ("resources/list", _) if resources => now(lists::list(self, &context, List::Resources, params).await?),
            ("resources/templates/list", _) if resources => now(lists::list(self, &context, List::ResourceTemplates, params).await?),
            ("resources/read", _) if resources => resources_read::resources_read(self, context, params).await,
            ("prompts/list", _) if prompts => now(lists::list(self, &context, List::Prompts, params).await?),
            ("prompts/get", _) if prompts => prompts_get::prompts_get(self, context, params).await,
            ("completion/complete", _) if resources || prompts => completion_complete::completion_complete(self, context, params).await,
            ("tasks/get", false) => now(task::get(self, &context, params).await?),
            ("tasks/update", false) => now(Box::pin(task::update(self, context, params)).await?),
            ("tasks/cancel", false) => now(task::cancel(self, &context, params).await?),
            ("subscriptions/listen", false) => Ok(Answer::Running(Box::pin(listen::listen(self, context, &request.id, params)).await?)),
            ("server/discover", false) => now(discover::discover(self, &context)?),
            ("resources/subscribe", true) if resources => now(resources_subscribe::subscribe(self, &context, params).await?),
            ("resources/unsubscribe", true) if resources => now(resources_subscribe::unsubscribe(self, &context, params).await?),
            ("logging/setLevel", true) => now(set_level::set_level(self, &context, params).await?),
            ("ping", true) => now(mcp::result::empty(context.revision, &self.implementation)),
            (unknown, _) => Err(Failure::MethodNotFound(unknown.into())),
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
