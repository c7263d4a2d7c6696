//! `gatehouse plugins list`: every plugin by what a gateway of these settings would make of it.

use super::difference::shown;
use super::{Failed, Settings, output, runtime};
use crate::catalog::{Lock, PluginId, Signer};
use crate::gateway::CodeIsKept;
use clap::Args;
use sandbox::Digest;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// One plugin, or one that is approved and not there.
#[derive(Default)]
struct Row {
    state: &'static str,
    component: Option<Digest>,
    approved: Option<Digest>,
    signer: Option<Arc<Signer>>,
    /// The word and the sentence.
    reason: Option<(&'static str, String)>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let config = arguments.settings.load(None)?;
    let lock = Lock::read(&config.trust.lock)?.unwrap_or_default();
    let (generation, problems) = runtime()?.block_on(async {
        let (sandbox, _) = crate::gateway::make_sandbox(&config, CodeIsKept::WhereOneIs)?;
        Ok::<_, Failed>(crate::gateway::look(&config, &sandbox).await?)
    })?;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (tenant, shelf) in generation.catalog.shelves.all() {
        for (name, plugin) in &*shelf.plugins {
            let id = PluginId { tenant: tenant.cloned(), name: name.to_string() };
            let (component, signer) = (Some(plugin.guest.digest()), plugin.signer.clone());
            rows.insert(id.to_string(), Row { state: "served", component, signer, ..Row::default() });
        }
    }
    for problem in problems {
        let untrusted = problem.untrusted.as_ref();
        let row = Row {
            state: if untrusted.is_some() { "quarantined" } else { "rejected" },
            component: untrusted.map(|untrusted| untrusted.component),
            reason: Some((untrusted.map_or(problem.word, |untrusted| untrusted.why.word()), problem.reason)),
            ..Row::default()
        };
        rows.insert(problem.plugin, row);
    }
    for (id, approved) in &lock.plugins {
        let row = rows.entry(id.to_string()).or_insert_with(|| Row { state: "absent", ..Row::default() });
        row.approved = Some(approved.component);
    }
    let mode = config.trust.mode.as_str();
    if arguments.json {
        let plugins = rows.iter().map(|(name, row)| {
            let text = |digest: Option<Digest>| digest.map(|digest| format!("{digest:?}"));
            json!({
                "plugin": name,
                "state": row.state,
                "component": text(row.component),
                "approved": text(row.approved),
                "signed_by": row.signer.as_ref().map(|signer| json!({ "key": signer.key_id(), "comment": signer.comment() })),
                "reason": row.reason.as_ref().map(|(word, _)| word),
                "text": row.reason.as_ref().map(|(_, text)| text),
            })
        });
        let plugins: Vec<_> = plugins.collect();
        output::print(&format!("{:#}\n", json!({ "trust": mode, "lock": config.trust.lock.display().to_string(), "plugins": plugins })));
        return Ok(());
    }
    let mut text = format!("trust {mode}, {} approved in {}\n", lock.plugins.len(), config.trust.lock.display());
    for (name, row) in &rows {
        // Writing to a `String` cannot fail.
        let short = |digest: Option<Digest>| digest.map_or_else(|| "-".to_owned(), |digest| digest.short());
        let name = PluginId::parse(name).map_or_else(|| mcp::text::line(name, 300), |id| shown(&id));
        let (component, approved) = (short(row.component), short(row.approved));
        let _ = write!(text, "{:<28}  {:<11}  {component:<12}  approved {approved:<12}", name, row.state);
        if let Some(signer) = &row.signer {
            let _ = write!(text, "  signed by {} ({})", signer.key_id(), signer.comment());
        }
        text.push('\n');
        if let Some((word, reason)) = &row.reason {
            let _ = writeln!(text, "    {word}: {reason}");
        }
    }
    output::print(&text);
    Ok(())
}
