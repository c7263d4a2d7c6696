//! Tools.

use super::schema::{compile, schema_text};
use super::{icon, meta, plain};
use crate::catalog::{TaskNeed, TaskSupport, Tool, Written};
use crate::config::PluginLimits;
use mcp::JsonText;
use mcp::mirrored::HeaderParameters;
use mcp::tool::{Annotations, is_tool_name};
use sandbox::Guest;
use sandbox::contract;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

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

pub(super) fn make(plugin: &Arc<str>, guest: &Guest, tool: &contract::Tool, limits: &PluginLimits) -> Result<Tool, String> {
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
    let input = Arc::new(compile("input-schema", &input_value)?);
    let mirrored = HeaderParameters::from_schema(&input_value).map_err(|error| format!("input-schema: {error}"))?;
    let (output_schema, output) = match &tool.output_schema {
        None => (None, None),
        Some(text) => {
            let (text, value) = schema_text("output-schema", text, limits)?;
            (Some(text), Some(Arc::new(compile("output-schema", &value)?)))
        }
    };
    let meta = meta(tool.meta.as_deref())?;
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
    let written = Written::of(|revision| definition.write(revision));
    Ok(Tool {
        called: definition.name.clone(),
        wall_max: None,
        scopes: tool.scopes.iter().map(|scope| scope.as_str().into()).collect(),
        guest: guest.clone(),
        plugin: Arc::clone(plugin),
        own_name: definition.name.clone(),
        definition,
        task,
        connection_max,
        input,
        output,
        mirrored,
        written,
    })
}
