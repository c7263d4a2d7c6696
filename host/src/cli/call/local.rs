//! Calling a tool of a component file: the same gates and limits as in the gateway, without HTTP.

use super::arguments::Given;
use super::{mirrored, refused, show_progress};
use crate::auth::{Authenticator, Policies, Policy};
use crate::catalog::{Catalog, Loader, Shelf, Shelves, load_file};
use crate::cli::{Failed, Settings, runtime};
use crate::config::{AuthConfig, TenantConfig, TenantId};
use crate::egress::{Egress, Means};
use crate::gateway::{CodeIsKept, make_sandbox};
use crate::generation::Generation;
use crate::journal::Journal;
use crate::keys::{Keys, Purpose};
use crate::method::{Answer, Context, Dialogs, MirroredHeaders, Pages, Rooms};
use crate::outbox::Reply;
use crate::revocation::Revocations;
use crate::session::Sessions;
use crate::stream::{Counter, Streams};
use crate::task::Tasks;
use crate::tenant::{Admission, Tenants};
use arc_swap::ArcSwap;
use mcp::{Id, Request, Revision};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;

pub(super) fn call(file: &Path, settings: &Settings, tool: &str, given: Given) -> Result<Map<String, Value>, Failed> {
    let mut config = settings.load(None)?;
    // Whoever has the file may call it: no tokens, no tenants, no policies.
    (config.auth, config.tenants) = (AuthConfig::Open, vec![TenantConfig::plain(TenantId::default())]);
    config.servers.clear();
    // Nor anything beyond the call: grants are for what lies in the plugin directories.
    config.grants.clear();
    let _logging = crate::telemetry::start(&config.log);
    runtime()?.block_on(async {
        let (sandbox, authority) = make_sandbox(&config, CodeIsKept::WhereOneIs)?;
        let loader = Loader::new(Arc::clone(&sandbox), config.limits.plugins.clone());
        let plugin = load_file(&loader, file).await.map_err(|error| Failed::other(format!("{}: {error}", file.display())))?;
        let plugins = [(Arc::clone(&plugin.name), Arc::new(plugin))].into();
        let shared = Shelf { plugins: Arc::new(plugins), ..Shelf::default() };
        let catalog = Arc::new(Catalog::new(1, Shelves { shared, ..Shelves::default() }, &config));
        let policies = Arc::new(Policies::none(Arc::clone(&sandbox)));
        let authenticator = Authenticator::open(Tenants::load(&config, None), policies);
        let caller = authenticator.anonymous().ok_or_else(|| Failed::other("nobody may call"))?;
        let server = catalog.server(&caller.tenant().id, None).map(Arc::clone);
        let server = server.ok_or_else(|| Failed::other("there is no default server"))?;
        let Some(found) = server.tool(tool) else {
            let names: Vec<_> = server.tools().iter().map(|tool| &*tool.definition.name).collect();
            return Err(Failed::other(format!("{} has no tool `{tool}`; it has {}", file.display(), names.join(", "))));
        };
        let schema = serde_json::from_str(found.definition.input_schema.as_str()).ok();
        let arguments = given.resolve(schema.as_ref());
        let headers = mirrored::headers(schema.as_ref(), &arguments);

        // Nothing of one call is kept.
        let keys = Keys::for_this_process().map_err(|error| Failed::other(error.to_string()))?;
        let store = event_store::memory(config.store.settings.clone());
        let revocations = Arc::new(Revocations::none());
        let journal = Arc::new(Journal::off());
        let rooms = Arc::new(Rooms {
            implementation: crate::gateway::implementation(),
            policy: Policy::new(authority, Arc::clone(&revocations)),
            revocations,
            admission: Admission::new(&config.limits.calls, sandbox.turns().clone()),
            journal: Arc::clone(&journal),
            egress: Egress::new(Means::default(), Arc::clone(&journal)),
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
            tasks: tokio_util::task::TaskTracker::new(),
            draining: tokio_util::sync::CancellationToken::new(),
        });
        let context = Context {
            caller,
            server,
            catalog,
            revision: Revision::V2026_07_28,
            capabilities: None,
            log_level: None,
            session: None,
            in_flight: None,
            span: crate::trace::Span::default(),
            mirrored: MirroredHeaders(headers.into_iter().map(|(name, value)| (name.into(), value.into_bytes())).collect()),
        };
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": 0 } });
        let params = serde_json::value::to_raw_value(&params).map_err(|error| Failed::other(error.to_string()))?;
        let request = Request { id: Id::Number(1), method: "tools/call".into(), params: Some(params) };
        let end = match rooms.request(context, &request).await {
            Answer::Now(end) => end,
            Answer::Running(mut run) => loop {
                match run.next().await {
                    Reply::Notification(message) => {
                        let message: Value = serde_json::from_slice(&message).unwrap_or_default();
                        show_progress(message.get("params").unwrap_or(&Value::Null));
                    }
                    Reply::Question(_) => {}
                    Reply::End(end) => break *end,
                }
            },
        };
        let text = match end {
            Ok(result) => result.into_string(),
            Err(failure) => {
                let error = crate::http::public_error(&failure);
                return Err(refused(&serde_json::from_str(error.write().as_str()).unwrap_or_default()));
            }
        };
        serde_json::from_str(&text).map_err(|error| Failed::other(error.to_string()))
    })
}
