//! `gatehouse plugins diff`: what lies there, beside what is approved.

use super::{Failed, Settings, load_named, output, plugin_id, with_lock};
use crate::catalog::{Approved, Change, Plugin, PluginId};
use clap::Args;
use sandbox::Digest;
use similar::TextDiff;
use std::fmt::Write as _;
use std::time::Duration;

/// For one definition: beyond it, what is shown is right and not the shortest.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which plugins, as NAME or TENANT/NAME; without any, all that are not as they are approved
    #[arg(value_name = "NAME", value_parser = plugin_id)]
    names: Vec<PluginId>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let (config, lock) = with_lock(&arguments.settings)?;
    let mut unloaded = false;
    for (id, plugin) in load_named(&config, &arguments.names)? {
        match plugin {
            Ok(plugin) => {
                let text = difference(&id, lock.plugins.get(&id), &plugin);
                match text {
                    Some(text) => output::print(&text),
                    None if arguments.names.is_empty() => {}
                    None => output::print(&format!("{}: as it is approved\n", shown(&id))),
                }
            }
            Err(error) => {
                unloaded = true;
                output::error(&format!("{}: {error}", shown(&id)));
            }
        }
    }
    if unloaded { Err(Failed::shown(1)) } else { Ok(()) }
}

/// A name on one line: names of files may have what terminals obey.
pub(super) fn shown(id: &PluginId) -> String {
    mcp::text::line(&id.to_string(), 300)
}

/// What is not as it is approved; none if everything is.
pub(super) fn difference(id: &PluginId, approved: Option<&Approved>, plugin: &Plugin) -> Option<String> {
    let now = plugin.approved();
    if approved == Some(now) {
        return None;
    }
    let mut text = format!("{}{}\n", output::bold(&shown(id)), if approved.is_none() { ": not approved so far" } else { "" });
    // Writing to a `String` cannot fail.
    let mut line = |what: &str, old: Option<Digest>, new: Option<Digest>| {
        let word = |digest: Option<Digest>| digest.map_or_else(|| "none".to_owned(), |digest| format!("{digest:?}"));
        let _ = match (approved.is_some(), old == new) {
            (true, false) => writeln!(text, "  {what:<10}{}\n  {:<10}{}  (now)", word(old), "", word(new)),
            _ => writeln!(text, "  {what:<10}{}", word(new)),
        };
    };
    line("component", approved.map(|approved| approved.component), Some(now.component));
    line("side file", approved.and_then(|approved| approved.side), now.side);
    if let Some(signer) = &plugin.signer {
        let _ = writeln!(text, "  {:<10}{} ({})", "signed by", signer.key_id(), signer.comment());
    }
    let nothing = Approved { component: now.component, side: None, tools: std::collections::BTreeMap::new() };
    let changes = approved.unwrap_or(&nothing).changes(now);
    if changes.is_empty() {
        let _ = writeln!(text, "  no tool has another definition");
    }
    for change in changes {
        tool(&mut text, &change);
    }
    Some(text)
}

fn tool(text: &mut String, Change { tool, old, new }: &Change<'_>) {
    let word = match (old, new) {
        (None, _) => "new",
        (_, None) => "gone",
        (Some(_), Some(_)) => "changed",
    };
    let _ = writeln!(text, "  tool `{}`: {word}", mcp::text::line(tool, 128));
    let pretty = |definition: &Option<&crate::catalog::Definition>| definition.map(|it| format!("{}\n", it.pretty())).unwrap_or_default();
    let (old, new) = (pretty(old), pretty(new));
    let lines = TextDiff::configure().timeout(PATIENCE).diff_lines(old.as_str(), new.as_str());
    let unified = lines.unified_diff().context_radius(3).to_string();
    for line in unified.lines().filter(|line| !line.starts_with("@@")) {
        let _ = writeln!(text, "    {line}");
    }
}
