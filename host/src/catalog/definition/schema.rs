//! A tool's schemas: bounded, compiled, and what does not fit them in words.

use super::object;
use crate::config::PluginLimits;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use mcp::JsonText;
use serde_json::Value;
use std::fmt;

/// A compiled JSON Schema.
pub struct Schema {
    validator: Validator,
    /// How large it is.
    parts: usize,
}

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
/// Parts of a value times parts of its schema, up to which its mistakes are looked for. The library makes every mistake of every branch before it
/// gives the first: a list of 1 MiB against a union of 100 took 39 s and 10 GB (measured); what is
/// still looked at took up to 10 ms and 16 MB (measured).
const LOOKED_AT_MAX: usize = 100_000;

impl Schema {
    /// Looks at a value.
    ///
    /// # Errors
    ///
    /// With the first few mistakes.
    pub fn check(&self, value: &Value) -> Result<(), Rejection> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        if parts(value).saturating_mul(self.parts) > LOOKED_AT_MAX {
            let text = "the value does not fit, and is too large for its mistakes to be looked for; try a part of it".to_owned();
            return Err(Rejection { full: text.clone(), masked: text });
        }
        let mut rejection = Rejection { full: String::new(), masked: String::new() };
        for (count, error) in self.validator.iter_errors(value).enumerate() {
            if count == MISTAKES_SHOWN_MAX {
                rejection.full.push_str("; and more");
                rejection.masked.push_str("; and more");
                break;
            }
            let error = meant(&error);
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

/// What is wrong in the branch of a union that was meant, where only one can be: its constants fit, and so does the type of the whole.
fn meant<'e>(error: &'e ValidationError<'e>) -> &'e ValidationError<'e> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else { return error };
    let rules_out = |mistake: &ValidationError<'_>| match mistake.kind() {
        ValidationErrorKind::Constant { .. } => true,
        ValidationErrorKind::Type { .. } => mistake.instance_path() == error.instance_path(),
        _ => false,
    };
    let mut left = context.iter().filter(|branch| !branch.iter().any(rules_out));
    match (left.next().and_then(|branch| branch.first()), left.next()) {
        (Some(mistake), None) => meant(mistake),
        _ => error,
    }
}

/// How many values there are in one, with itself.
fn parts(value: &Value) -> usize {
    let mut count = 0_usize;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        count += 1;
        match value {
            Value::Object(members) => open.extend(members.values()),
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    count
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
        .map(|validator| Schema { validator, parts: parts(schema) })
        .map_err(|error| format!("{member} is no valid JSON Schema: {}", mcp::text::line(&error.to_string(), MISTAKE_CHARS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(schema: &Value, value: &Value) -> String {
        compile("input-schema", schema).expect("a schema").check(value).expect_err("it does not fit").full
    }

    /// A list of one of so many cases, each with a number, or of nothing.
    fn cases(count: usize) -> Value {
        let case = |at| {
            let properties = json!({ "type": { "const": format!("c{at}") }, "value": { "type": "integer", "maximum": 9 } });
            json!({ "type": "object", "properties": properties, "required": ["type", "value"], "additionalProperties": false })
        };
        json!({ "type": "array", "items": { "anyOf": [{ "oneOf": (0..count).map(case).collect::<Vec<_>>() }, { "type": "null" }] } })
    }

    /// A model can only mend what it is told of.
    #[test]
    fn of_a_union_the_branch_that_was_meant_is_told() {
        let schema = cases(3);
        let table = [
            (json!([{ "type": "c1", "value": 10 }]), "/0/value: 10 is greater than the maximum of 9"),
            (json!([null, { "type": "c2", "value": "x" }]), "/1/value: \"x\" is not of type \"integer\""),
            (json!([{ "type": "c0" }]), "/0: \"value\" is a required property"),
            (
                json!([{ "type": "c9", "value": 1 }]),
                "/0: {\"type\":\"c9\",\"value\":1} is not valid under any of the schemas listed in the 'oneOf' keyword",
            ),
            (json!([7]), "/0: 7 is not valid under any of the schemas listed in the 'oneOf' keyword"),
        ];
        for (value, expected) in table {
            assert_eq!(told(&schema, &value), expected);
        }
    }

    #[test]
    fn mistakes_of_a_large_value_are_not_looked_for() {
        let many = |count: usize| json!(vec![json!({ "type": "nope" }); count]);
        let expected = "the value does not fit, and is too large for its mistakes to be looked for; try a part of it";
        assert_eq!(told(&cases(100), &many(60_000)), expected);
        assert!(told(&cases(100), &many(20)).starts_with("/0: "));
        assert!(told(&cases(3), &many(500)).ends_with("; and more"));
    }
}
