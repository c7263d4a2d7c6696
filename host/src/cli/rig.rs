//! A component file with everything that calls of it need: the same gates and limits as in the gateway, without HTTP.

use super::Failed;
use crate::auth::{Authenticator, Caller, Policies, Policy};
use crate::catalog::{Catalog, Given, Loader, Plugin, Server, Shelf, Shelves, Tool, load_file};
use crate::config::{AuthConfig, BreakerLimits, CallLimits, Config, TenantConfig, TenantId};
use crate::egress::{Egress, Learned, Means};
use crate::failure::Failure;
use crate::gateway::{CodeIsKept, make_sandbox};
use crate::generation::Generation;
use crate::journal::Journal;
use crate::keys::{Keys, Purpose};
use crate::keyvalue::KeyValues;
use crate::method::{Answer, Context, Dialogs, MirroredHeaders, Pages, Rooms, Seen};
use crate::outbox::Reply;
use crate::revocation::Revocations;
use crate::scratch::Scratches;
use crate::session::Sessions;
use crate::stream::{Counter, Streams};
use crate::task::Tasks;
use crate::tenant::{Admission, Tenants};
use arc_swap::ArcSwap;
use mcp::capability::ClientCapabilities;
use mcp::{Id, Request, Revision};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Calls that end while nobody looks: there is one at a time.
const SEEN_MAX: usize = 16;

/// Rounds of questions and answers in one call.
const ROUNDS_MAX: usize = 8;

/// A loaded component that can be called.
pub(super) struct Rig {
    rooms: Arc<Rooms>,
    catalog: Arc<Catalog>,
    server: Arc<Server>,
    caller: Caller,
    plugin: Arc<Plugin>,
    seen: mpsc::Receiver<Seen>,
}

/// A call that came to its end.
pub(super) struct Called {
    /// The result as a client of the newest revision gets it, or why there is none.
    pub(super) end: Result<Map<String, Value>, Failure>,
    /// What it took; of a call with questions, of its last round. None where it was refused before anything of it began.
    pub(super) seen: Option<Seen>,
}

impl Rig {
    /// Loads a component file. Whoever has the file may call it: no tokens, no tenants, no policies.
    ///
    /// # Errors
    ///
    /// When it is no plugin, or the system does not give what a sandbox needs.
    pub(super) async fn open(file: &Path, config: Config, kept: CodeIsKept) -> Result<Self, Failed> {
        Self::make(file, config, kept, None).await
    }

    /// The same, to learn what it reaches for.
    ///
    /// # Errors
    ///
    /// As above.
    pub(super) async fn learning(file: &Path, config: Config, kept: CodeIsKept, learned: Arc<Learned>) -> Result<Self, Failed> {
        Self::make(file, config, kept, Some(learned)).await
    }

    async fn make(file: &Path, mut config: Config, kept: CodeIsKept, learned: Option<Arc<Learned>>) -> Result<Self, Failed> {
        (config.auth, config.tenants) = (AuthConfig::Open, vec![TenantConfig::plain(TenantId::default())]);
        config.servers.clear();
        // Nor anything beyond the call: grants are for what lies in the plugin directories.
        config.grants.clear();
        let (mut sandbox, authority) = make_sandbox(&config, kept)?;
        if let (Some(_), Some(sandbox)) = (&learned, Arc::get_mut(&mut sandbox)) {
            sandbox.learn().map_err(|error| Failed::other(error.to_string()))?;
        }
        let loader = Loader::new(Arc::clone(&sandbox), config.limits.plugins.clone());
        let loader = if learned.is_some() { loader.learning() } else { loader };
        let plugin = load_file(&loader, file).await.map_err(|error| Failed::other(format!("{}: {error}", file.display())))?;
        let plugin = Arc::new(plugin);
        let plugins = [(Arc::clone(&plugin.name), Arc::clone(&plugin))].into();
        let shared = Shelf { plugins: Arc::new(plugins), ..Shelf::default() };
        let catalog = Arc::new(Catalog::new(1, Shelves { shared, ..Shelves::default() }, &config, &Given::default()));
        let policies = Arc::new(Policies::none(Arc::clone(&sandbox)));
        let authenticator = Authenticator::open(Tenants::load(&config, None), policies);
        let caller = authenticator.anonymous().ok_or_else(|| Failed::other("nobody may call"))?;
        let server = catalog.server(&caller.tenant().id, None).map(Arc::clone);
        let server = server.ok_or_else(|| Failed::other("there is no default server"))?;

        // Nothing of a call is kept.
        let keys = Keys::for_this_process().map_err(|error| Failed::other(error.to_string()))?;
        let store = event_store::memory(config.store.settings.clone());
        let revocations = Arc::new(Revocations::none());
        let journal = Arc::new(Journal::off());
        let (onlooker, seen) = mpsc::channel(SEEN_MAX);
        let rooms = Arc::new(Rooms {
            implementation: crate::gateway::implementation(),
            policy: Policy::new(authority, Arc::clone(&revocations)),
            revocations,
            // Whoever tries a component wants to see each of its falls.
            admission: Admission::new(&CallLimits { breaker: BreakerLimits::NONE, ..config.limits.calls.clone() }, sandbox.turns().clone()),
            journal: Arc::clone(&journal),
            egress: Egress::new(Means::default(), Arc::clone(&journal)),
            keyvalue: KeyValues::new(None, Arc::clone(&journal)),
            scratch: Arc::new(Scratches::new(config.scratch_directory())),
            sandbox,
            sessions: Sessions::new(config.limits.sessions.clone(), Arc::clone(&store), false, journal),
            streams: Arc::new(Streams::new(Arc::clone(&store), false, config.limits.streams.keep)),
            stream_places: Arc::new(Counter::new(config.limits.streams.clone())),
            task_store: Tasks::new(Arc::clone(&store), config.limits.tasks.clone()),
            dialogs: Dialogs::new(&keys.key(Purpose::RequestState), config.limits.tasks.ttl),
            pages: Pages::new(&keys.key(Purpose::Cursors), config.limits.plugins.page_items_max),
            generation: Arc::new(ArcSwap::from_pointee(Generation {
                authenticator: Arc::new(authenticator),
                catalog: Arc::clone(&catalog),
            })),
            changes: tokio::sync::broadcast::Sender::new(1),
            error_text: |failure| crate::http::public_error(failure).write(),
            error_code: crate::http::public_code,
            store,
            legacy: config.legacy,
            limits: config.limits.guest,
            json_limits: config.limits.json,
            sanitize: config.sanitize,
            tasks: tokio_util::task::TaskTracker::new(),
            draining: tokio_util::sync::CancellationToken::new(),
            onlooker: Some(onlooker),
            learned,
        });
        Ok(Self { rooms, catalog, server, caller, plugin, seen })
    }

    /// What was loaded.
    pub(super) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// One of its tools.
    ///
    /// # Errors
    ///
    /// When there is none of that name; which there are.
    pub(super) fn tool(&self, name: &str) -> Result<&Tool, String> {
        self.server.tool(name).map(|tool| &**tool).ok_or_else(|| {
            let names: Vec<_> = self.server.tools().iter().map(|tool| &*tool.definition.name).collect();
            format!("has no tool `{name}`; it has {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
        })
    }

    /// Calls a tool. `answers` are those of a client that can be asked everything, by the keys of the questions; without them it can be
    /// asked nothing. What the tool says on its way goes to `told`, as the parameters of MCP's notifications.
    pub(super) async fn call(
        &mut self,
        tool: &str,
        arguments: &Map<String, Value>,
        answers: Option<&Map<String, Value>>,
        told: &mut dyn FnMut(&Value),
    ) -> Called {
        while self.seen.try_recv().is_ok() {}
        let mut params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": 0 } });
        let mut end = Err(Failure::TooManyRounds);
        for _ in 0..ROUNDS_MAX {
            end = self.round(tool, (&params, arguments), answers.is_some(), told).await;
            let Ok(result) = &end else { break };
            let Some(asked) = questions(result) else { break };
            let Some(known) = answered(asked, answers) else { break };
            if let Some(params) = params.as_object_mut() {
                params.insert("inputResponses".to_owned(), known);
                params.insert("requestState".to_owned(), result.get("requestState").cloned().unwrap_or_default());
            }
        }
        let mut seen = None;
        while let Ok(last) = self.seen.try_recv() {
            seen = Some(last);
        }
        Called { end, seen }
    }

    /// One request, as it would come from a client.
    async fn round(
        &self,
        tool: &str,
        (params, arguments): (&Value, &Map<String, Value>),
        can_be_asked: bool,
        told: &mut dyn FnMut(&Value),
    ) -> Result<Map<String, Value>, Failure> {
        let found = self.server.tool(tool).ok_or_else(|| Failure::UnknownTool(tool.into()))?;
        let schema = serde_json::from_str(found.definition.input_schema.as_str()).ok();
        let headers = super::mirrored::headers(schema.as_ref(), arguments);
        let raw = |value: &Value| serde_json::value::to_raw_value(value).map_err(|_| Failure::Internal);
        let everything = raw(&json!({ "elicitation": { "form": {}, "url": {} }, "sampling": { "tools": {} }, "roots": {} }))?;
        let context = Context {
            caller: self.caller.clone(),
            server: Arc::clone(&self.server),
            catalog: Arc::clone(&self.catalog),
            revision: Revision::V2026_07_28,
            capabilities: can_be_asked.then(|| ClientCapabilities::from_json(&everything)).flatten(),
            log_level: None,
            session: None,
            in_flight: None,
            span: crate::trace::Span::default(),
            mirrored: MirroredHeaders(headers.into_iter().map(|(name, value)| (name.into(), value.into_bytes())).collect()),
        };
        let request = Request { id: Id::Number(1), method: "tools/call".into(), params: Some(raw(params)?) };
        let end = match self.rooms.request(context, &request).await {
            Answer::Now(end) => end,
            Answer::Running(mut run) => loop {
                match run.next().await {
                    Reply::Notification(message) => {
                        let message: Value = serde_json::from_slice(&message).unwrap_or_default();
                        told(message.get("params").unwrap_or(&Value::Null));
                    }
                    Reply::Question(_) => {}
                    Reply::End(end) => break *end,
                }
            },
        };
        // The gateway's own words: an object.
        end.and_then(|result| serde_json::from_str(&result.into_string()).map_err(|_| Failure::Internal))
    }
}

/// The questions of a result that is none yet.
pub(super) fn questions(result: &Map<String, Value>) -> Option<&Map<String, Value>> {
    result.get("inputRequests").and_then(Value::as_object)
}

/// The answers to those questions; none where one of them has none.
fn answered(asked: &Map<String, Value>, answers: Option<&Map<String, Value>>) -> Option<Value> {
    let answers = answers?;
    let known = asked.keys().map(|key| Some((key.clone(), answers.get(key)?.clone())));
    known.collect::<Option<Map<_, _>>>().map(Value::Object)
}
