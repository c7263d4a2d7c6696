//! A guest's own words about its tools, checked before anybody hears them.

use super::{TaskNeed, TaskSupport, Tool};
use crate::config::PluginLimits;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Validator};
use mcp::mirrored::HeaderParameters;
use mcp::tool::{Annotations, Icon, is_tool_name};
use mcp::{JsonLimits, JsonText, Revision};
use sandbox::Guest;
use sandbox::contract;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What is wrong with a tool's definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// A plugin without tools is a mistake of its author's.
    #[error("its list-tools gives no tools")]
    NoTools,
    /// More tools than a plugin may have.
    #[error("it has {0} tools; the limit is {1}")]
    TooManyTools(usize, usize),
    /// One tool is wrong.
    #[error("tool `{tool}`: {what}")]
    Tool {
        /// Its name on one line.
        tool: String,
        /// What is wrong and what would be right.
        what: String,
    },
}

/// A compiled JSON Schema.
pub struct Schema(Validator);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// A value does not fit a schema: where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// With the value's own words, for whoever sent it.
    pub full: String,
    /// Without them, for logs.
    pub masked: String,
}

/// Mistakes that one rejection names.
const MISTAKES_SHOWN_MAX: usize = 5;
const MISTAKE_CHARS_MAX: usize = 240;

impl Schema {
    /// Looks at a value.
    ///
    /// # Errors
    ///
    /// With the first few mistakes.
    pub fn check(&self, value: &Value) -> Result<(), Rejection> {
        if self.0.is_valid(value) {
            return Ok(());
        }
        let mut rejection = Rejection { full: String::new(), masked: String::new() };
        for (count, error) in self.0.iter_errors(value).enumerate() {
            if count == MISTAKES_SHOWN_MAX {
                rejection.full.push_str("; and more");
                rejection.masked.push_str("; and more");
                break;
            }
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the value itself".to_owned() } else { mcp::text::line(&place, 128) };
            let full = match error.kind() {
                // The library's own text leaves most of a longer list out, and a model can only choose from what it sees.
                ValidationErrorKind::Enum { options } => format!("{} is not one of {options}", error.instance()),
                _ => error.to_string(),
            };
            for (text, what) in [(&mut rejection.full, full), (&mut rejection.masked, error.masked().to_string())] {
                if !text.is_empty() {
                    text.push_str("; ");
                }
                text.push_str(&format!("{place}: {}", mcp::text::line(&what, MISTAKE_CHARS_MAX)));
            }
        }
        Err(rejection)
    }
}

/// One of the members of a tool's `_meta` that are for this gateway.
fn own<T: serde::de::DeserializeOwned>(meta: Option<&JsonText>, name: &str) -> Result<Option<T>, String> {
    let Some(meta) = meta else { return Ok(None) };
    let mut members: HashMap<String, Value> = serde_json::from_str(meta.as_str()).unwrap_or_default();
    let Some(said) = members.remove(name) else { return Ok(None) };
    serde_json::from_value(said).map(Some).map_err(|error| format!("its _meta member {name}: {error}"))
}

/// `gatehouse/connection` of a tool's `_meta`.
fn connection_max(meta: Option<&JsonText>) -> Result<Option<Duration>, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Said {
        close_after_ms: u64,
    }
    Ok(own::<Said>(meta, "gatehouse/connection")?.map(|said| Duration::from_millis(said.close_after_ms)))
}

/// `gatehouse/task` of a tool's `_meta`.
fn task_support(meta: Option<&JsonText>) -> Result<TaskSupport, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Said {
        support: Option<Box<str>>,
        after_ms: Option<u64>,
    }
    let Some(said) = own::<Said>(meta, "gatehouse/task")? else { return Ok(TaskSupport::default()) };
    let need = match said.support.as_deref() {
        None | Some("optional") => TaskNeed::Optional,
        Some("required") => TaskNeed::Required,
        Some("forbidden") => TaskNeed::Forbidden,
        Some(_) => return Err("its _meta member gatehouse/task: support is optional, required or forbidden".to_owned()),
    };
    Ok(TaskSupport { need, after: said.after_ms.map(Duration::from_millis) })
}

/// Checks a guest's list and makes tools of it.
///
/// # Errors
///
/// The first thing that is wrong: a plugin is taken whole or not at all.
pub(super) fn check(plugin: &Arc<str>, guest: &Guest, limits: &PluginLimits) -> Result<Vec<Arc<Tool>>, DefinitionError> {
    let listed = guest.tools();
    if listed.is_empty() {
        return Err(DefinitionError::NoTools);
    }
    if listed.len() > limits.tools_max {
        return Err(DefinitionError::TooManyTools(listed.len(), limits.tools_max));
    }
    let mut tools: Vec<Arc<Tool>> = Vec::with_capacity(listed.len());
    for tool in listed {
        let wrong = |what: String| DefinitionError::Tool { tool: mcp::text::line(&tool.name, 64), what };
        if tools.iter().any(|other| *other.definition.name == *tool.name) {
            return Err(wrong("it is listed twice".to_owned()));
        }
        tools.push(Arc::new(make(plugin, guest, tool, limits).map_err(wrong)?));
    }
    Ok(tools)
}

fn make(plugin: &Arc<str>, guest: &Guest, tool: &contract::Tool, limits: &PluginLimits) -> Result<Tool, String> {
    if !is_tool_name(&tool.name) {
        return Err("a name has 1 to 128 of A-Z a-z 0-9 _ . -".to_owned());
    }
    let texts = [
        ("title", tool.title.as_deref()),
        ("description", Some(tool.description.as_str())),
        ("annotations.title", tool.annotations.title.as_deref()),
    ];
    for (member, text) in texts {
        plain(member, text.unwrap_or_default(), limits.description_bytes_max)?;
    }
    if tool.description.trim().is_empty() {
        return Err("it has no description, which is what a model chooses by".to_owned());
    }
    let (input_schema, input_value) = schema_text("input-schema", &tool.input_schema, limits)?;
    if input_value.get("type") != Some(&Value::String("object".to_owned())) {
        return Err("the root of input-schema must say \"type\": \"object\"".to_owned());
    }
    let input = compile("input-schema", &input_value)?;
    let mirrored = HeaderParameters::from_schema(&input_value).map_err(|error| format!("input-schema: {error}"))?;
    let (output_schema, output) = match &tool.output_schema {
        None => (None, None),
        Some(text) => {
            let (text, value) = schema_text("output-schema", text, limits)?;
            (Some(text), Some(compile("output-schema", &value)?))
        }
    };
    let meta = tool.meta.as_ref().map(|text| object("meta", text)).transpose()?;
    let task = task_support(meta.as_ref())?;
    let connection_max = connection_max(meta.as_ref())?;
    let icons = tool.icons.iter().map(icon).collect::<Result<_, _>>()?;
    let hints = &tool.annotations;
    let definition = mcp::tool::Tool {
        name: tool.name.as_str().into(),
        title: tool.title.as_deref().map(Into::into),
        description: Some(tool.description.as_str().into()),
        input_schema,
        output_schema,
        annotations: Annotations {
            title: hints.title.as_deref().map(Into::into),
            read_only: hints.read_only,
            destructive: hints.destructive,
            idempotent: hints.idempotent,
            open_world: hints.open_world,
        },
        icons,
        meta,
    };
    let revisions = Revision::HANDSHAKE.iter().chain(Revision::MODERN);
    let written = revisions.map(|revision| (*revision, definition.write(*revision))).collect();
    Ok(Tool {
        scopes: tool.scopes.iter().map(|scope| scope.as_str().into()).collect(),
        guest: guest.clone(),
        plugin: Arc::clone(plugin),
        definition,
        task,
        connection_max,
        input,
        output,
        mirrored,
        written,
    })
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
    if !allowed {
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

fn schema_text(member: &str, text: &str, limits: &PluginLimits) -> Result<(JsonText, Value), String> {
    if text.len() > limits.schema_bytes_max {
        return Err(format!("{member} has {} bytes; the limit is {}", text.len(), limits.schema_bytes_max));
    }
    let json = object(member, text)?;
    let value = serde_json::from_str(json.as_str()).map_err(|error| format!("{member}: {error}"))?;
    survey(member, &value, limits)?;
    Ok((json, value))
}

/// Bounds the cost of a schema, and keeps its references inside of it.
fn survey(member: &str, schema: &Value, limits: &PluginLimits) -> Result<(), String> {
    let mut nodes = 0_usize;
    let mut open = vec![(schema, 1_usize)];
    while let Some((value, depth)) = open.pop() {
        if depth > limits.schema_depth_max && (value.is_object() || value.is_array()) {
            return Err(format!("{member} is nested more than {} levels deep", limits.schema_depth_max));
        }
        match value {
            Value::Object(members) => {
                nodes += 1;
                for keyword in ["$ref", "$dynamicRef"] {
                    if let Some(Value::String(target)) = members.get(keyword)
                        && !target.starts_with('#')
                    {
                        return Err(format!(
                            "{member} refers to `{}`, which is outside of it; nothing is fetched",
                            mcp::text::line(target, 64)
                        ));
                    }
                }
                open.extend(members.values().map(|value| (value, depth + 1)));
            }
            Value::Array(items) => open.extend(items.iter().map(|value| (value, depth + 1))),
            Value::Bool(_) => nodes += 1,
            Value::Null | Value::Number(_) | Value::String(_) => {}
        }
        if nodes > limits.schema_nodes_max {
            return Err(format!("{member} has more than {} schemas", limits.schema_nodes_max));
        }
    }
    Ok(())
}

fn compile(member: &str, schema: &Value) -> Result<Schema, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        // A backtracking engine would let one pattern of a guest's hold a worker for ever.
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map(Schema)
        .map_err(|error| format!("{member} is no valid JSON Schema: {}", mcp::text::line(&error.to_string(), MISTAKE_CHARS_MAX)))
}
