//! `gatehouse plugins approve`, `lock` and `remove`: who changes what the lock file says.

use super::difference::{difference, shown};
use super::{Failed, Settings, load_named, note_if_open, output, plugin_id, with_lock};
use crate::catalog::{Approved, Lock, PluginId};
use crate::config::Config;
use clap::Args;
use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Read as _};

/// `EX_USAGE`: nobody can be asked.
const NOBODY_TO_ASK: u8 = 64;
/// More than a yes.
const ANSWER_BYTES_MAX: u64 = 64;

#[derive(Debug, Args)]
pub(super) struct Approve {
    /// Which plugins, as NAME or TENANT/NAME
    #[arg(value_name = "NAME", value_parser = plugin_id, required_unless_present = "all", conflicts_with = "all")]
    names: Vec<PluginId>,
    /// All that are not as they are approved
    #[arg(long)]
    all: bool,
    /// Do not ask, for scripts
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
pub(super) struct Anew {
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Which plugins, as NAME or TENANT/NAME
    #[arg(value_name = "NAME", value_parser = plugin_id, required = true)]
    names: Vec<PluginId>,
    #[command(flatten)]
    settings: Settings,
}

/// Shows what is new, asks, and writes down what was shown: what is put there meanwhile is something else.
pub(super) fn approve(arguments: &Approve) -> Result<(), Failed> {
    if !arguments.yes && !std::io::stdin().is_terminal() {
        let message =
            "standard input is no terminal, so that nobody can be asked; look at `gatehouse plugins diff`, and say --yes".to_owned();
        return Err(Failed { code: NOBODY_TO_ASK, message });
    }
    let (config, lock) = with_lock(&arguments.settings)?;
    let (mut approved, mut all_well) = (Vec::new(), true);
    for (id, plugin) in load_named(&config, &arguments.names)? {
        let plugin = match plugin {
            Ok(plugin) => plugin,
            Err(error) => {
                all_well = false;
                output::error(&format!("{} cannot be approved: {error}", shown(&id)));
                continue;
            }
        };
        let Some(text) = difference(&id, lock.plugins.get(&id), &plugin) else {
            if !arguments.all {
                output::print(&format!("{}: approved already\n", shown(&id)));
            }
            continue;
        };
        output::print(&text);
        if arguments.yes || asked(&format!("Approve {}?", shown(&id))) {
            approved.push((id, plugin.approved().clone()));
        } else {
            all_well = false;
        }
    }
    if !approved.is_empty() {
        let names: Vec<_> = approved.iter().map(|(id, _)| shown(id)).collect();
        Lock::change(&config.trust.lock, |lock| lock.plugins.extend(approved))?;
        done(&config, &format!("approved: {}", names.join(", ")));
    }
    if all_well { Ok(()) } else { Err(Failed::shown(1)) }
}

/// Everything that lies there, and nothing else.
pub(super) fn anew(arguments: &Anew) -> Result<(), Failed> {
    let (config, _) = with_lock(&arguments.settings)?;
    let (mut plugins, mut all_well) = (BTreeMap::<PluginId, Approved>::new(), true);
    for (id, plugin) in load_named(&config, &[])? {
        match plugin {
            Ok(plugin) => drop(plugins.insert(id, plugin.approved().clone())),
            Err(error) => {
                all_well = false;
                output::error(&format!("{} is left out: {error}", shown(&id)));
            }
        }
    }
    let text: String = plugins.iter().map(|(id, approved)| format!("{}  {:?}\n", shown(id), approved.component)).collect();
    Lock::change(&config.trust.lock, |lock| lock.plugins = plugins)?;
    output::print(&text);
    done(&config, "all of it is approved, and nothing else");
    if all_well { Ok(()) } else { Err(Failed::shown(1)) }
}

pub(super) fn remove(arguments: &Remove) -> Result<(), Failed> {
    let (config, lock) = with_lock(&arguments.settings)?;
    if let Some(name) = arguments.names.iter().find(|name| !lock.plugins.contains_key(name)) {
        return Err(Failed::other(format!("`{}` is not approved; `gatehouse plugins list` shows what is", shown(name))));
    }
    Lock::change(&config.trust.lock, |lock| lock.plugins.retain(|id, _| !arguments.names.contains(id)))?;
    let names: Vec<_> = arguments.names.iter().map(shown).collect();
    done(&config, &format!("not approved any more: {}", names.join(", ")));
    Ok(())
}

fn done(config: &Config, what: &str) {
    output::print(&format!("{what} ({})\n", config.trust.lock.display()));
    note_if_open(config);
}

/// Anything but a yes is a no.
fn asked(question: &str) -> bool {
    output::print(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().take(ANSWER_BYTES_MAX).read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
