//! What the journal is told of what changes by itself: plugins that come, go and change, and a store that fails and recovers. Each is told once:
//! what is now is compared with what was told last.

use super::supervise::Rounds;
use crate::catalog::{ChangedTool, Plugin, Problem, Shelves, Untrusted};
use crate::config::TenantId;
use crate::journal::{Event, Journal, Kind};
use crate::method::Rooms;
use crate::telemetry;
use sandbox::Digest;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior};

/// Between two looks at the store, and at what was only counted.
const LOOK: Duration = Duration::from_secs(1);

/// A plugin by the tenant whose own it is, if any, and its name.
type Name = (Option<TenantId>, Arc<str>);

/// What the journal was told.
#[derive(Default)]
pub(super) struct Tidings {
    plugins: BTreeMap<Name, Arc<Plugin>>,
    problems: Vec<Problem>,
}

impl Tidings {
    /// Tells what is another.
    pub(super) fn tell(&mut self, journal: &Journal, shelves: &Shelves, problems: &[Problem]) {
        let shelves = shelves.all().flat_map(|(tenant, shelf)| {
            shelf.plugins.iter().map(move |(name, plugin)| ((tenant.cloned(), Arc::clone(name)), Arc::clone(plugin)))
        });
        let before = std::mem::replace(&mut self.plugins, shelves.collect());
        for (name, plugin) in &self.plugins {
            tell_plugin(journal, name, before.get(name), plugin);
        }
        for name in before.keys().filter(|name| !self.plugins.contains_key(*name)) {
            journal.note(of(Kind::PluginRemoved, name, ""));
        }
        let is_new = |problem: &&Problem| !self.problems.iter().any(|old| old.plugin == problem.plugin && old.reason == problem.reason);
        for problem in problems.iter().filter(is_new) {
            match &problem.untrusted {
                Some(untrusted) => tell_untrusted(journal, problem, untrusted),
                None => journal.note(Event::new(Kind::PluginRejected).to(&problem.plugin).because(problem.word)),
            }
        }
        self.problems = problems.to_vec();
    }
}

fn tell_plugin(journal: &Journal, name: &Name, before: Option<&Arc<Plugin>>, now: &Arc<Plugin>) {
    let digest = now.guest.digest();
    let component = || Some(digest.to_string());
    let reason = match before {
        None => Some("new"),
        Some(before) if before.guest.digest() != digest => Some("replaced"),
        Some(_) => None,
    };
    if let Some(reason) = reason {
        journal.note(Event { component: component(), ..of(Kind::PluginLoaded, name, "").because(reason) });
    }
    let Some(before) = before.filter(|before| !Arc::ptr_eq(before, now)) else { return };
    for tool in &now.tools {
        let old = before.tools.iter().find(|old| old.own_name == tool.own_name);
        if old.is_some_and(|old| old.definition != tool.definition) {
            let event = of(Kind::DefinitionChanged, name, &format!("/{}", tool.own_name)).because("served");
            let digest = |plugin: &Plugin| plugin.approved().tools.get(&*tool.own_name).map(|definition| definition.digest.to_string());
            journal.note(Event { component: component(), old: digest(before), new: digest(now), ..event });
        }
    }
}

/// Of a file that waits, and of what would be another if it did not.
fn tell_untrusted(journal: &Journal, problem: &Problem, untrusted: &Untrusted) {
    let text = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
    let of = |kind, part: &str, reason: &'static str, old, new| {
        let event = Event::new(kind).to(&format!("{}{part}", problem.plugin)).because(reason);
        let event = Event { component: Some(untrusted.component.to_string()), old: text(old), new: text(new), ..event };
        // A tenant's are named behind its name.
        problem.plugin.split_once('/').map_or(event.clone(), |(tenant, _)| event.of_tenant(tenant))
    };
    journal.note(of(Kind::PluginUntrusted, "", untrusted.why.word(), untrusted.old, untrusted.new));
    for ChangedTool { tool, old, new } in &untrusted.tools {
        journal.note(of(Kind::DefinitionChanged, &format!("/{tool}"), "waits", *old, *new));
    }
}

/// Of a plugin, or of a part of one.
fn of(kind: Kind, (tenant, name): &Name, part: &str) -> Event {
    match tenant {
        None => Event::new(kind).to(&format!("{name}{part}")),
        Some(tenant) => Event::new(kind).of_tenant(tenant.as_str()).to(&format!("{tenant}/{name}{part}")),
    }
}

/// Looks at the store, and writes what was only counted.
pub(super) struct Telling {
    rooms: Arc<Rooms>,
    ticks: Interval,
    was_degraded: bool,
    set_aside: Option<PathBuf>,
}

impl Telling {
    pub(super) fn new(rooms: Arc<Rooms>) -> Self {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { rooms, ticks, was_degraded: false, set_aside: None }
    }
}

impl Rounds for Telling {
    const TASK: &'static str = "journal";

    async fn round(&mut self) {
        self.ticks.tick().await;
        let (journal, health) = (&self.rooms.journal, self.rooms.store.health());
        if health.quarantined != self.set_aside {
            let name = health.quarantined.as_ref().and_then(|path| path.file_name()).unwrap_or_default();
            journal.note(Event::new(Kind::StoreQuarantined).to(&name.to_string_lossy()));
            self.set_aside = health.quarantined;
        }
        let is_degraded = health.degraded.is_some();
        if std::mem::replace(&mut self.was_degraded, is_degraded) != is_degraded {
            journal.note(Event::new(if is_degraded { Kind::StoreDegraded } else { Kind::StoreRecovered }));
        }
        journal.sweep();
        telemetry::tell_left_out();
    }
}
