//! Prompts.

use super::{icon, meta, plain};
use crate::catalog::{Prompt, Written};
use crate::config::PluginLimits;
use mcp::prompt::Argument;
use mcp::tool::is_tool_name;
use sandbox::Guest;
use sandbox::contract;
use std::sync::Arc;

/// Arguments of one prompt.
const ARGUMENTS_MAX: usize = 64;

pub(super) fn make(plugin: &Arc<str>, guest: &Guest, listed: &contract::Prompt, limits: &PluginLimits) -> Result<Prompt, String> {
    if !is_tool_name(&listed.name) {
        return Err("a name has 1 to 128 of A-Z a-z 0-9 _ . -".to_owned());
    }
    plain("title", listed.title.as_deref().unwrap_or_default(), limits.description_bytes_max)?;
    plain("description", &listed.description, limits.description_bytes_max)?;
    if listed.description.trim().is_empty() {
        return Err("it has no description, which is what a person chooses by".to_owned());
    }
    if listed.arguments.len() > ARGUMENTS_MAX {
        return Err(format!("it has {} arguments; the limit is {ARGUMENTS_MAX}", listed.arguments.len()));
    }
    let mut arguments: Vec<Argument> = Vec::with_capacity(listed.arguments.len());
    for listed in &listed.arguments {
        let argument = argument(listed, limits)?;
        if arguments.iter().any(|other| other.name == argument.name) {
            return Err(format!("the argument `{}` is listed twice", argument.name));
        }
        arguments.push(argument);
    }
    let definition = mcp::prompt::Prompt {
        name: listed.name.as_str().into(),
        title: listed.title.as_deref().map(Into::into),
        description: Some(listed.description.as_str().into()),
        arguments,
        icons: listed.icons.iter().map(icon).collect::<Result<_, _>>()?,
        meta: meta(listed.meta.as_deref())?,
    };
    let written = Written::of(|revision| definition.write(revision));
    Ok(Prompt { definition, guest: guest.clone(), plugin: Arc::clone(plugin), written })
}

fn argument(listed: &contract::Argument, limits: &PluginLimits) -> Result<Argument, String> {
    if !is_tool_name(&listed.name) {
        return Err(format!("argument `{}`: a name has 1 to 128 of A-Z a-z 0-9 _ . -", mcp::text::line(&listed.name, 64)));
    }
    plain("an argument's title", listed.title.as_deref().unwrap_or_default(), limits.description_bytes_max)?;
    plain("an argument's description", listed.description.as_deref().unwrap_or_default(), limits.description_bytes_max)?;
    Ok(Argument {
        name: listed.name.as_str().into(),
        title: listed.title.as_deref().map(Into::into),
        description: listed.description.as_deref().map(Into::into),
        required: listed.required,
    })
}
