//! A guest's own words about what it offers, checked before anybody hears them.

mod plain;
mod prompt;
mod resource;
mod schema;
mod tool;

pub use schema::Rejection;
pub(super) use schema::Schema;

use super::side::Side;
use super::{Plugin, PluginError};
use crate::config::PluginLimits;
use mcp::tool::Icon;
use mcp::{JsonLimits, JsonText};
use sandbox::Guest;
use sandbox::contract;
use std::sync::{Arc, OnceLock};

/// What is wrong with what a plugin offers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// A plugin that offers nothing is a mistake of its author's.
    #[error("it offers nothing: all its lists are empty")]
    Nothing,
    /// More of something than a plugin may have.
    #[error("it has {count} {what}; the limit is {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it has.
        count: usize,
        /// How many it may have.
        limit: usize,
    },
    /// One item is wrong.
    #[error("{kind} `{name}`: {what}")]
    Item {
        /// Of which list.
        kind: &'static str,
        /// Its name on one line.
        name: String,
        /// What is wrong and what would be right.
        what: String,
    },
}

/// Checks a guest's lists and makes a plugin of them.
///
/// # Errors
///
/// The first thing that is wrong: a plugin is taken whole or not at all. Only functions of a plain component may be left out.
pub(super) fn check(name: Arc<str>, guest: Guest, side: Option<Arc<Side>>, limits: &PluginLimits) -> Result<Plugin, PluginError> {
    if guest.is_native() {
        if side.as_ref().is_some_and(|side| side.names_functions()) {
            let what = "the component lists its tools itself; `functions` is for components that do not";
            return Err(PluginError::Side(what.to_owned()));
        }
        return Ok(Plugin { side, ..native(name, guest, limits)? });
    }
    let (tools, skipped) = plain::tools(&name, &guest, side.as_deref(), limits)?;
    let tools = tools.into_iter().map(Arc::new).collect();
    Ok(Plugin {
        name,
        guest,
        tools,
        resources: Vec::new(),
        templates: Vec::new(),
        prompts: Vec::new(),
        skipped,
        side,
        signer: None,
        approved: OnceLock::new(),
    })
}

fn native(name: Arc<str>, guest: Guest, limits: &PluginLimits) -> Result<Plugin, DefinitionError> {
    let offer = guest.offer();
    if offer.tools.is_empty() && offer.resources.is_empty() && offer.templates.is_empty() && offer.prompts.is_empty() {
        return Err(DefinitionError::Nothing);
    }
    let (tools_max, resources_max, prompts_max) = (limits.tools_max, limits.resources_max, limits.prompts_max);
    let make = |tool: &_| tool::make(&name, &guest, tool, limits);
    let tools = each(("tool", "tools"), &offer.tools, tools_max, |tool| &tool.name, make)?;
    let make = |resource: &_| resource::make(&name, &guest, resource, limits);
    let resources = each(("resource", "resources"), &offer.resources, resources_max, |resource| &resource.uri, make)?;
    let make = |template: &_| resource::make_template(&name, &guest, template, limits);
    let templates =
        each(("resource template", "resource templates"), &offer.templates, resources_max, |template| &template.uri_template, make)?;
    let make = |prompt: &_| prompt::make(&name, &guest, prompt, limits);
    let prompts = each(("prompt", "prompts"), &offer.prompts, prompts_max, |prompt| &prompt.name, make)?;
    Ok(Plugin {
        name,
        guest,
        tools,
        resources,
        templates,
        prompts,
        skipped: Vec::new(),
        side: None,
        signer: None,
        approved: OnceLock::new(),
    })
}

/// Makes the items of one list, no two of one name.
fn each<G, T>(
    (kind, what): (&'static str, &'static str),
    listed: &[G],
    limit: usize,
    name: impl Fn(&G) -> &String,
    make: impl Fn(&G) -> Result<T, String>,
) -> Result<Vec<Arc<T>>, DefinitionError> {
    if listed.len() > limit {
        return Err(DefinitionError::TooMany { what, count: listed.len(), limit });
    }
    let mut names = std::collections::HashSet::with_capacity(listed.len());
    let item = |item: &G| {
        let wrong = |what: String| DefinitionError::Item { kind, name: mcp::text::line(name(item), 64), what };
        if !names.insert(name(item).clone()) {
            return Err(wrong("it is listed twice".to_owned()));
        }
        make(item).map(Arc::new).map_err(wrong)
    };
    listed.iter().map(item).collect()
}

/// Text that shows itself: no control characters but tab and line feed, no direction overrides, no invisible tags. What a person
/// approves must be what a model reads.
fn plain(member: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max {
        return Err(format!("{member} has {} bytes; the limit is {bytes_max}", text.len()));
    }
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    match text.chars().find(|c| hidden(*c)) {
        Some(c) => Err(format!("{member} has the invisible character U+{:04X}", u32::from(c))),
        None => Ok(()),
    }
}

fn object(member: &str, text: &str) -> Result<JsonText, String> {
    let json = JsonText::parse(text, &JsonLimits::default()).map_err(|error| format!("{member} is no JSON: {error}"))?;
    if json.is_object() { Ok(json) } else { Err(format!("{member} must be a JSON object")) }
}

fn icon(icon: &contract::Icon) -> Result<Icon, String> {
    let allowed = icon.src.starts_with("https:") || icon.src.starts_with("data:");
    if !allowed || !mcp::resource::is_uri(&icon.src) {
        return Err("an icon's src must be an https: or data: URL".to_owned());
    }
    if icon.theme.as_deref().is_some_and(|theme| !matches!(theme, "light" | "dark")) {
        return Err("an icon's theme must be light or dark".to_owned());
    }
    Ok(Icon {
        src: icon.src.as_str().into(),
        mime_type: icon.mime_type.as_deref().map(Into::into),
        sizes: icon.sizes.iter().map(|size| size.as_str().into()).collect(),
        theme: icon.theme.as_deref().map(Into::into),
    })
}

/// A `_meta` of a plugin's: an object whose keys are named as the protocol wants it.
fn meta(text: Option<&str>) -> Result<Option<JsonText>, String> {
    let Some(text) = text else { return Ok(None) };
    let meta = object("meta", text)?;
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(meta.as_str()).unwrap_or_default();
    match members.keys().find(|key| !mcp::meta::is_key(key)) {
        Some(key) => Err(format!(
            "meta has the key `{}`; a key is a name, or labels with dots between, a slash, and a name",
            mcp::text::line(key, 64)
        )),
        None => Ok(Some(meta)),
    }
}

/// MCP's annotations of something, as a JSON object.
fn annotations(text: Option<&String>) -> Result<Option<JsonText>, String> {
    text.map(|text| object("annotations", text)).transpose()
}
