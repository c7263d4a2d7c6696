//! A tool's schemas: bounded, compiled, and what does not fit them in words.

use super::object;
use crate::config::PluginLimits;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Validator};
use mcp::JsonText;
use serde_json::Value;
use std::fmt;

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

pub(super) fn schema_text(member: &str, text: &str, limits: &PluginLimits) -> Result<(JsonText, Value), String> {
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

/// The dialect that a schema names, or 2020-12 (basic, schema dialects).
fn dialect(member: &str, schema: &Value) -> Result<Draft, String> {
    let Some(named) = schema.get("$schema") else { return Ok(Draft::Draft202012) };
    let named = named.as_str().unwrap_or_default();
    Ok(match named.trim_end_matches('#') {
        "https://json-schema.org/draft/2020-12/schema" => Draft::Draft202012,
        "https://json-schema.org/draft/2019-09/schema" => Draft::Draft201909,
        "http://json-schema.org/draft-07/schema" | "https://json-schema.org/draft-07/schema" => Draft::Draft7,
        "http://json-schema.org/draft-06/schema" | "https://json-schema.org/draft-06/schema" => Draft::Draft6,
        "http://json-schema.org/draft-04/schema" | "https://json-schema.org/draft-04/schema" => Draft::Draft4,
        _ => {
            let named = mcp::text::line(named, 64);
            return Err(format!("{member} is in the dialect `{named}`; known are 2020-12, 2019-09, draft-07, draft-06 and draft-04"));
        }
    })
}

pub(super) fn compile(member: &str, schema: &Value) -> Result<Schema, String> {
    jsonschema::options()
        .with_draft(dialect(member, schema)?)
        // A backtracking engine would let one pattern of a guest's hold a worker for ever.
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map(Schema)
        .map_err(|error| format!("{member} is no valid JSON Schema: {}", mcp::text::line(&error.to_string(), MISTAKE_CHARS_MAX)))
}
