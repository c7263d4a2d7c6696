//! A component file with everything that calls of it need: the same gates and limits as in the gateway, without HTTP.

use super::Failed;
use crate::auth::{Authenticator, Caller, Policies, Policy};
use crate::catalog::{Catalog, Given, InForce, Loader, Plugin, Server, Shelf, Shelves, Tool, Ward, load_file, load_trusted};
use crate::config::{AuthConfig, BreakerLimits, CallLimits, Config, GrantConfig, TenantConfig, TenantId};
use crate::egress::{Egress, Learned, Means};
use crate::failure::Failure;
use crate::gateway::{CodeIsKept, StartError, make_sandbox};
use crate::generation::Generation;
use crate::journal::Journal;
use crate::keys::{Keys, Purpose};
use crate::keyvalue::KeyValues;
use crate::method::{Answer, Context, Dialogs, MirroredHeaders, Pages, Rooms, Seen, Stages};
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
use tempfile::TempDir;
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
    /// What it is granted, in lines for people.
    in_force: Vec<String>,
    /// Where its scratch directories are, if it has any. Last: what is in it goes first.
    _scratch: Option<TempDir>,
}

/// What a component that is tried out may reach beyond its calls.
enum Reaching {
    Nothing,
    /// Nothing either, and what it reaches for is learned.
    Learned(Arc<Learned>),
    Granted(Granted),
}

/// What settings grant to it.
pub(super) struct Granted {
    /// On whose behalf it is called.
    pub(super) tenant: TenantId,
    /// Those that are for it and that tenant.
    pub(super) grants: Vec<GrantConfig>,
    /// What is asked of whatever is granted something.
    pub(super) ward: Ward,
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
        Self::make(file, config, kept, Reaching::Nothing).await
    }

    /// The same, with what settings grant. Buckets are its own: empty when it is opened, and gone with it.
    ///
    /// # Errors
    ///
    /// As above; when it is not trusted; when a file or a directory of a grant cannot be used.
    pub(super) async fn granted(file: &Path, config: Config, kept: CodeIsKept, granted: Granted) -> Result<Self, Failed> {
        Self::make(file, config, kept, Reaching::Granted(granted)).await
    }

    /// The same, to learn what it reaches for.
    ///
    /// # Errors
    ///
    /// As above.
    pub(super) async fn learning(file: &Path, config: Config, kept: CodeIsKept, learned: Arc<Learned>) -> Result<Self, Failed> {
        Self::make(file, config, kept, Reaching::Learned(learned)).await
    }

    async fn make(file: &Path, mut config: Config, kept: CodeIsKept, reaching: Reaching) -> Result<Self, Failed> {
        let (tenant, ward, learned);
        (tenant, config.grants, ward, learned) = match reaching {
            Reaching::Nothing => (TenantId::default(), Vec::new(), None, None),
            Reaching::Learned(learned) => (TenantId::default(), Vec::new(), None, Some(learned)),
            Reaching::Granted(Granted { tenant, grants, ward }) => (tenant, grants, Some(ward), None),
        };
        // Looked at beside everything else that the settings name, as a gateway does.
        let (means, values) = (Means::load(&config).map_err(StartError::from)?, Given::load(&config, None).map_err(StartError::from)?);
        values.count().await;
        (config.auth, config.tenants) = (AuthConfig::Open, vec![TenantConfig::plain(tenant.clone())]);
        config.servers.clear();
        // There is one plugin, and wherever it lies, these are for it.
        config.grants.iter_mut().for_each(|grant| (grant.owner, grant.tenants) = (None, None));
        let (mut sandbox, authority) = make_sandbox(&config, kept)?;
        if let (Some(_), Some(sandbox)) = (&learned, Arc::get_mut(&mut sandbox)) {
            sandbox.learn().map_err(|error| Failed::other(error.to_string()))?;
        }
        let loader = Loader::new(Arc::clone(&sandbox), config.limits.plugins.clone());
        let loader = if learned.is_some() { loader.learning() } else { loader };
        let plugin = match ward {
            Some(ward) => load_trusted(&loader, file, ward).await,
            None => load_file(&loader, file).await,
        };
        let plugin = Arc::new(plugin.map_err(|error| Failed::other(format!("{}: {error}", file.display())))?);
        let in_force = told(&config.grants, &plugin, &tenant);
        let plugins = [(Arc::clone(&plugin.name), Arc::clone(&plugin))].into();
        let shared = Shelf { plugins: Arc::new(plugins), ..Shelf::default() };
        let catalog = Arc::new(Catalog::new(1, Shelves { shared, ..Shelves::default() }, &config, &values));
        let policies = Arc::new(Policies::none(Arc::clone(&sandbox)));
        let authenticator = Authenticator::open(Tenants::load(&config, None), policies);
        let caller = authenticator.nobody(tenant.as_str()).ok_or_else(|| Failed::other("nobody may call"))?;
        let server = catalog.server(&caller.tenant().id, None).map(Arc::clone);
        let server = server.ok_or_else(|| Failed::other("there is no default server"))?;

        // Nothing of a call is kept.
        let keys = Keys::for_this_process().map_err(|error| Failed::other(error.to_string()))?;
        let store = event_store::memory(config.store.settings.clone());
        let revocations = Arc::new(Revocations::none());
        let journal = Arc::new(Journal::off());
        // Not where a gateway has its own: that is for its user alone.
        let scratch = match config.grants.iter().any(|grant| grant.scratch.is_some()) {
            true => Some(tempfile::Builder::new().prefix("gatehouse-").tempdir().map_err(|error| Failed::other(error.to_string()))?),
            false => None,
        };
        let directory = scratch.as_ref().map_or_else(|| config.scratch_directory(), |made| made.path().to_owned());
        let scratches = Scratches::new(directory, config.limits.calls.scratch_per_tenant_bytes_max);
        let (onlooker, seen) = mpsc::channel(SEEN_MAX);
        let rooms = Arc::new(Rooms {
            implementation: crate::gateway::implementation(),
            policy: Policy::new(authority, Arc::clone(&revocations)),
            revocations,
            // Whoever tries a component wants to see each of its falls.
            admission: Admission::new(&CallLimits { breaker: BreakerLimits::NONE, ..config.limits.calls.clone() }, sandbox.turns().clone()),
            journal: Arc::clone(&journal),
            egress: Egress::new(means, Arc::clone(&journal)),
            keyvalue: KeyValues::new(Some(Arc::clone(&store)), Arc::clone(&journal)),
            scratch: Arc::new(scratches),
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
            stages: Stages::default(),
            draining: tokio_util::sync::CancellationToken::new(),
            onlooker: Some(onlooker),
            learned,
        });
        Ok(Self { rooms, catalog, server, caller, plugin, seen, in_force, _scratch: scratch })
    }

    /// What of the settings' grants is in force for it, in lines for people.
    pub(super) fn in_force(&self) -> &[String] {
        &self.in_force
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
        let end = match self.rooms.request(context, &request, &mcp::params::Params::of(request.params.as_deref())).await {
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

/// What is in force of those grants for a plugin, in lines for people. Of what has a value it is the kind alone.
fn told(grants: &[GrantConfig], plugin: &Plugin, tenant: &TenantId) -> Vec<String> {
    let asks = plugin.asks();
    let mut keeps = false;
    let mut lines: Vec<_> = grants
        .iter()
        .map(|grant| {
            let InForce { http, config, environment, files, files_write, keyvalue, scratch, .. } = InForce::of(&asks, grant);
            keeps |= !keyvalue.is_empty();
            let kinds = [
                ("requests", !http.is_empty()),
                ("settings", !config.is_empty()),
                ("variables", !environment.is_empty()),
                ("directories to read", !files.is_empty()),
                ("directories to write", !files_write.is_empty()),
                ("buckets", !keyvalue.is_empty()),
                ("a scratch directory", scratch.is_some()),
            ];
            let kinds: Vec<_> = kinds.into_iter().filter_map(|(kind, is_there)| is_there.then_some(kind)).collect();
            let kinds = if kinds.is_empty() { "nothing that its side file asks for".to_owned() } else { kinds.join(", ") };
            format!("grants.{} gives it, for the tenant {tenant}: {kinds}", grant.name)
        })
        .collect();
    if keeps {
        lines.push(
            "its buckets are empty, and gone after this call: what a gateway keeps is in its store, which is the gateway's alone"
                .to_owned(),
        );
    }
    lines
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
