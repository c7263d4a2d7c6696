//! Whose each name is: of two plugins that offer something by the same name, one has it.

use super::Plugin;
use std::collections::HashMap;
use std::sync::Arc;

/// What has a name, or an address.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Tool,
    Prompt,
    Resource,
    Template,
}

impl Kind {
    /// For messages.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Template => "resource template",
        }
    }
}

/// The names of everything that some plugins offer, each with the plugin that has it. Asked once for each name, however many plugins there are: a
/// directory of a thousand compares none with another.
#[derive(Debug, Default)]
pub(super) struct Names([HashMap<Box<str>, Arc<str>>; 4]);

impl Names {
    /// Of plugins that share no name.
    pub(super) fn of<'a>(plugins: impl IntoIterator<Item = &'a Arc<Plugin>>) -> Self {
        let mut names = Self::default();
        plugins.into_iter().for_each(|plugin| names.add(plugin));
        names
    }

    pub(super) fn add(&mut self, plugin: &Plugin) {
        for (kind, name) in plugin.names() {
            self.of_kind_mut(kind).insert(name.into(), Arc::clone(&plugin.name));
        }
    }

    pub(super) fn remove(&mut self, plugin: &Plugin) {
        for (kind, name) in plugin.names() {
            self.of_kind_mut(kind).remove(name);
        }
    }

    pub(super) fn has(&self, kind: Kind, name: &str) -> bool {
        self.of_kind(kind).contains_key(name)
    }

    /// What of a plugin another one has: of which kind it is, its name, and the other.
    pub(super) fn clash<'a>(&'a self, plugin: &'a Plugin) -> Option<(Kind, &'a str, &'a str)> {
        plugin.names().find_map(|(kind, name)| {
            let owner = self.of_kind(kind).get(name).filter(|owner| **owner != plugin.name)?;
            Some((kind, name, &**owner))
        })
    }

    fn of_kind(&self, kind: Kind) -> &HashMap<Box<str>, Arc<str>> {
        let [tools, prompts, resources, templates] = &self.0;
        match kind {
            Kind::Tool => tools,
            Kind::Prompt => prompts,
            Kind::Resource => resources,
            Kind::Template => templates,
        }
    }

    fn of_kind_mut(&mut self, kind: Kind) -> &mut HashMap<Box<str>, Arc<str>> {
        let [tools, prompts, resources, templates] = &mut self.0;
        match kind {
            Kind::Tool => tools,
            Kind::Prompt => prompts,
            Kind::Resource => resources,
            Kind::Template => templates,
        }
    }
}
