//! `gatehouse check`

use super::{Failed, Settings, output, runtime};
use crate::catalog::Plugin;
use crate::config::{Config, ServerId, StoreBackend, TenantId};
use crate::gateway::CodeIsKept;
use clap::Args;
use event_store::{OpenError, Start};
use serde_json::json;
use std::fmt::Write as _;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let config = arguments.settings.load(None)?;
    config.traces.as_ref().map_or(Ok(()), crate::trace::check).map_err(|error| Failed::config(error.to_string()))?;
    let (generation, problems) = runtime()?.block_on(async {
        let (sandbox, _) = crate::gateway::make_sandbox(&config, CodeIsKept::WhereOneIs)?;
        Ok::<_, Failed>(crate::gateway::look(&config, &sandbox).await?)
    })?;
    let catalog = &generation.catalog;
    let plugins = || catalog.shelves.all().flat_map(|(tenant, shelf)| shelf.plugins.values().map(move |plugin| (tenant, plugin)));
    // A server that shows nothing is what a misspelt name looks like.
    let shows = |id: &ServerId| catalog.servers().any(|(_, server)| server.id.as_ref() == Some(id) && !server.is_empty());
    let empty: Vec<_> = config.servers.iter().map(|server| &server.id).filter(|id| !shows(id)).collect();
    let (store, store_well) = look_at_store(&config);
    let policies = generation.authenticator.policies();
    let well = problems.is_empty() && empty.is_empty() && store_well && policies.is_ready();

    if arguments.json {
        let plugins: Vec<_> = plugins()
            .map(|(tenant, plugin)| {
                json!({
                    "plugin": &*plugin.name,
                    "tenant": tenant.map(TenantId::as_str),
                    "digest": format!("sha256:{}", plugin.guest.digest()),
                    "tools": plugin.tools.iter().map(|tool| &*tool.definition.name).collect::<Vec<_>>(),
                    "resources": plugin.resources.iter().map(|resource| &*resource.definition.uri).collect::<Vec<_>>(),
                    "resourceTemplates": plugin.templates.iter().map(|template| &*template.definition.uri_template).collect::<Vec<_>>(),
                    "prompts": plugin.prompts.iter().map(|prompt| &*prompt.definition.name).collect::<Vec<_>>(),
                    "skipped": plugin.skipped.iter().map(|skipped| json!({ "function": skipped.path, "reason": skipped.reason })).collect::<Vec<_>>(),
                })
            })
            .collect();
        let problems = problems.iter().map(|problem| {
            let untrusted = problem.untrusted.as_ref().map(|untrusted| untrusted.why.word());
            json!({ "plugin": problem.plugin, "reason": problem.reason, "untrusted": untrusted })
        });
        let problems: Vec<_> = problems.collect();
        let empty: Vec<_> = empty.iter().map(|id| id.as_str()).collect();
        output::print(&format!(
            "{:#}\n",
            json!({
                "ok": well, "plugins": plugins, "problems": problems, "empty_servers": empty, "store": store,
                "missing_policies": policies.missing().iter().map(|name| &**name).collect::<Vec<_>>(),
            })
        ));
    } else {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "settings   ok");
        let _ = writeln!(text, "store      {store}");
        for (tenant, plugin) in plugins() {
            let whose = tenant.map(|tenant| format!("{tenant}/")).unwrap_or_default();
            text.push_str(&of_plugin(&whose, plugin));
        }
        for problem in &problems {
            let state = if problem.untrusted.is_some() { "waits: " } else { "" };
            let _ = writeln!(text, "plugin     {}: {state}{}", output::bold(&problem.plugin), problem.reason);
        }
        for name in policies.missing() {
            let _ = writeln!(
                text,
                "policy     {}: its component is not there, so that nothing may be done where it is asked",
                output::bold(name)
            );
        }
        if policies.missing().is_empty() && !policies.is_ready() {
            let _ = writeln!(text, "policies   none that counts, and gateway.require_policy wants one: nothing may be done");
        }
        for id in &empty {
            let _ = writeln!(text, "server     {}: nothing that it names is offered by any plugin", output::bold(id.as_str()));
        }
        if plugins().next().is_none() && problems.is_empty() {
            let _ = writeln!(text, "plugins    none in {}", config.plugin_directory.display());
        }
        output::print(&text);
    }
    if well { Ok(()) } else { Err(Failed::shown(1)) }
}

/// What there is to say of a plugin that can be served.
pub(super) fn of_plugin(whose: &str, plugin: &Plugin) -> String {
    let mut text = format!("plugin     {whose}{}: ok, {}, sha256:{}\n", plugin.name, plugin.counts(), plugin.guest.digest().short());
    for skipped in &plugin.skipped {
        let (function, reason) = (mcp::text::line(&skipped.path, 200), mcp::text::line(&skipped.reason, 200));
        let _ = writeln!(text, "           `{function}` is no tool: {reason}");
    }
    text
}

/// How the store is, in a few words, and whether a gateway could work with it. Changes nothing.
fn look_at_store(config: &Config) -> (String, bool) {
    if config.store.backend != StoreBackend::Sled {
        return ("none on the disk".to_owned(), true);
    }
    match event_store::sled(&config.store.directory, config.store.settings.clone(), Start::Look) {
        Ok(_) => ("ok".to_owned(), true),
        Err(OpenError::Missing { .. }) => ("none yet; it is made when the gateway starts".to_owned(), true),
        Err(OpenError::Locked { .. }) => ("in use by a gateway that runs".to_owned(), true),
        Err(error) => (error.to_string(), false),
    }
}
