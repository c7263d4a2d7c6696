//! Tools of a plain component: its functions, with what its docs and its side file say.

use super::schema::schema_text;
use super::{DefinitionError, tool};
use crate::catalog::side::{Said, Side};
use crate::catalog::{PluginError, Tool};
use crate::config::PluginLimits;
use mcp::tool::is_tool_name;
use sandbox::contract;
use sandbox::{Function, Guest, Skipped};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Makes tools of all functions that can be, and tells of those that cannot.
///
/// # Errors
///
/// When the docs or the side file are wrong, or when no tool is left.
pub(super) fn tools(
    plugin: &Arc<str>,
    guest: &Guest,
    side: Option<&Side>,
    limits: &PluginLimits,
) -> Result<(Vec<Tool>, Vec<Skipped>), PluginError> {
    let offer = guest.offer();
    let said = side.map(|side| side.by_path(&offer.functions, &offer.skipped)).transpose().map_err(PluginError::Side)?.unwrap_or_default();
    let hidden = |path: &str| said.get(path).is_some_and(|said| said.hidden);
    let mut skipped: Vec<Skipped> = offer.skipped.iter().filter(|skipped| !hidden(&skipped.path)).cloned().collect();
    let mut tools: Vec<Tool> = Vec::new();
    let mut taken: HashMap<String, &str> = HashMap::new();
    let (nothing, asks) = (Said::default(), side.is_some_and(|side| !side.asks.is_nothing()));
    for function in offer.functions.iter().filter(|function| !hidden(&function.path)) {
        let said = said.get(function.path.as_str()).copied().unwrap_or(&nothing);
        let skip = |reason: String| Skipped { path: function.path.clone(), name: function.name.clone(), reason };
        let listed = described(plugin, function, said, asks);
        let other = taken.get(listed.name.as_str()).copied();
        if let Some(reason) = other.map(|other| clash(&listed.name, other)).or_else(|| unfit(&listed, said, limits)) {
            skipped.push(skip(reason));
            continue;
        }
        let wrong = |what| DefinitionError::Item { kind: "function", name: mcp::text::line(&function.path, 128), what };
        let tool = tool::make(plugin, guest, &listed, limits).map_err(wrong)?;
        taken.insert(listed.name, &function.path);
        tools.push(Tool { called: function.path.as_str().into(), wall_max: said.wall_time_ms.map(Duration::from_millis), ..tool });
    }
    if tools.len() > limits.tools_max {
        return Err(DefinitionError::TooMany { what: "tools", count: tools.len(), limit: limits.tools_max }.into());
    }
    match (tools.is_empty(), skipped.first()) {
        (false, _) => Ok((tools, skipped)),
        (true, Some(Skipped { path, reason, .. })) => {
            let name = mcp::text::line(path, 128);
            Err(DefinitionError::Item { kind: "function", name, what: format!("it cannot be a tool, and no other is left: {reason}") }
                .into())
        }
        (true, None) => Err(PluginError::Side("it hides all functions, so that nothing is offered".to_owned())),
    }
}

fn clash(name: &str, other: &str) -> String {
    format!("`{other}` is the tool `{name}` already; give one of them another `name` in the side file")
}

/// Why what its author wrote makes no tool. What the side file says is the operator's own, and an error where it is wrong.
fn unfit(tool: &contract::Tool, said: &Said, limits: &PluginLimits) -> Option<String> {
    if said.name.is_none() && !is_tool_name(&tool.name) {
        let name = mcp::text::line(&tool.name, 160);
        return Some(format!("`{name}` is no name for a tool: 1 to 128 of A-Z a-z 0-9 _ . -; give it another `name` in the side file"));
    }
    let (bytes, limit) = (tool.description.len(), limits.description_bytes_max);
    if said.description.is_none() && bytes > limit {
        return Some(format!("its docs have {bytes} bytes; the limit is {limit}; give it a `description` in the side file"));
    }
    let output = tool.output_schema.as_deref().map(|schema| ("output-schema", schema));
    let schemas = [Some(("input-schema", tool.input_schema.as_str())), output];
    schemas.into_iter().flatten().find_map(|(member, schema)| schema_text(member, schema, limits).err())
}

/// A function in the words of the contract, as if its component had listed it.
fn described(plugin: &str, function: &Function, said: &Said, asks: bool) -> contract::Tool {
    let description = said.description.as_ref().or(function.docs.as_ref()).cloned();
    contract::Tool {
        name: said.name.clone().unwrap_or_else(|| name(plugin, &function.name)),
        title: said.title.clone(),
        description: description.unwrap_or_else(|| undescribed(plugin, function)),
        input_schema: function.input_schema(&said.parameters),
        output_schema: function.output_schema.clone(),
        annotations: contract::Annotations {
            title: None,
            // One that asks for nothing is granted nothing, and it lives for one call: there is nothing that it could change or reach. Of one
            // that asks, only its operator knows.
            read_only: said.read_only.or((!asks).then_some(true)),
            destructive: said.destructive,
            idempotent: said.idempotent,
            open_world: said.open_world.or((!asks).then_some(false)),
        },
        icons: Vec::new(),
        scopes: said.scopes.clone(),
        meta: None,
    }
}

/// `PLUGIN_FUNCTION`, in snake case. A function of a resource, which needs none to be called, has the resource's name before its own.
fn name(plugin: &str, function: &str) -> String {
    let function = function.strip_prefix("[static]").unwrap_or(function).replace('.', "_");
    format!("{plugin}_{function}").replace('-', "_")
}

fn undescribed(plugin: &str, function: &Function) -> String {
    match &function.interface {
        Some(interface) => format!("The function `{}` of the interface `{interface}` in the component `{plugin}`.", function.name),
        None => format!("The function `{}` of the component `{plugin}`.", function.name),
    }
}
