//! A tool's schemas: bounded, compiled, and what does not fit them in words.

use super::object;
use crate::config::PluginLimits;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use mcp::JsonText;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// A compiled JSON Schema.
pub struct Schema {
    validator: Validator,
    /// How large it is, with its references followed.
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

/// The same up to which a value is looked at at all: the validator cannot be stopped, and each takes it some 4 ns (measured), here 0.8 s at the most.
const CHECKED_MAX: usize = 200_000_000;
/// Parts that a schema may come to, where references that branch go to references that branch.
const FOLLOWED_MAX: usize = 100_000;
/// Levels of the same.
const FOLLOWED_DEPTH_MAX: usize = 400;

impl Schema {
    /// Looks at a value.
    ///
    /// # Errors
    ///
    /// With the first few mistakes.
    pub fn check(&self, value: &Value) -> Result<(), Rejection> {
        let refused = |text: &str| Err(Rejection { full: text.to_owned(), masked: text.to_owned() });
        let work = parts(value).saturating_mul(self.parts);
        if work > CHECKED_MAX {
            return refused("the value is too large to be compared with so large a schema; try a part of it");
        }
        if self.validator.is_valid(value) {
            return Ok(());
        }
        if work > LOOKED_AT_MAX {
            return refused("the value does not fit, and is too large for its mistakes to be looked for; try a part of it");
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

/// How many parts a schema comes to with its references followed, each as often as something refers to it: what a validator walks through that
/// keeps no notes. What refers to itself is followed once: such references it does keep notes of.
struct Followed<'s> {
    root: &'s Value,
    /// By their place in memory; none while they are followed.
    known: HashMap<*const Value, Option<usize>>,
    anchors: HashMap<&'s str, &'s Value>,
}

impl<'s> Followed<'s> {
    fn parts(root: &'s Value) -> usize {
        let mut anchors = HashMap::new();
        let mut open = vec![root];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) => {
                    for keyword in ["$anchor", "$dynamicAnchor", "$id", "id"] {
                        if let Some(Value::String(name)) = members.get(keyword) {
                            anchors.insert(name.trim_start_matches('#'), value);
                        }
                    }
                    open.extend(members.values());
                }
                Value::Array(items) => open.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        Self { root, known: HashMap::new(), anchors }.of(root, 0)
    }

    fn of(&mut self, value: &'s Value, depth: usize) -> usize {
        if depth > FOLLOWED_DEPTH_MAX {
            return usize::MAX;
        }
        let below: Vec<&Value> = match value {
            Value::Object(members) => {
                let references = ["$ref", "$dynamicRef", "$recursiveRef"].into_iter().filter_map(|keyword| members.get(keyword)?.as_str());
                let targets = references.filter_map(|reference| self.target(reference));
                targets.chain(members.values()).collect()
            }
            Value::Array(items) => items.iter().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 1,
        };
        if let Some(known) = self.known.get(&std::ptr::from_ref(value)) {
            return known.unwrap_or(1);
        }
        self.known.insert(value, None);
        let parts = below.into_iter().fold(1_usize, |parts, below| parts.saturating_add(self.of(below, depth + 1)));
        self.known.insert(value, Some(parts));
        parts
    }

    fn target(&self, reference: &str) -> Option<&'s Value> {
        let place = reference.strip_prefix('#')?;
        let place = percent_encoding::percent_decode_str(place).decode_utf8().ok()?;
        if place.is_empty() || place.starts_with('/') { self.root.pointer(&place) } else { self.anchors.get(&*place).copied() }
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
    let parts = Followed::parts(schema);
    if parts > FOLLOWED_MAX {
        return Err(format!(
            "{member} comes to more than {FOLLOWED_MAX} parts or {FOLLOWED_DEPTH_MAX} levels with its references followed; let fewer lead to others"
        ));
    }
    jsonschema::options()
        .with_draft(dialect(member, schema)?)
        // A backtracking engine would let one pattern of a guest's hold a worker for ever.
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map(|validator| Schema { validator, parts })
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

    /// L17: so many references, each to as many, and so on; a reference to itself is not one of these.
    #[test]
    fn references_that_branch_without_end_are_refused() {
        let branching = |levels: usize, anchors: bool| {
            let name = |level: usize| if anchors { format!("#a{level}") } else { format!("#/$defs/d{level}") };
            let level = |level: usize| {
                let schema = json!({ "$anchor": format!("a{level}"), "anyOf": vec![json!({ "$ref": name(level + 1) }); 10] });
                (format!("d{level}"), schema)
            };
            let mut defs: serde_json::Map<_, _> = (0..levels).map(level).collect();
            defs.insert(format!("d{levels}"), json!({ "$anchor": format!("a{levels}"), "type": "integer" }));
            json!({ "$ref": name(0), "$defs": defs })
        };
        for anchors in [false, true] {
            assert!(compile("input-schema", &branching(3, anchors)).is_ok());
            let told = compile("input-schema", &branching(12, anchors)).expect_err("it is refused");
            assert!(told.contains("with its references followed"), "{told}");
        }
        let chain: serde_json::Map<_, _> =
            (0..500).map(|level| (format!("d{level}"), json!({ "$ref": format!("#/$defs/d{}", level + 1) }))).collect();
        assert!(compile("input-schema", &json!({ "$ref": "#/$defs/d0", "$defs": chain })).is_err());
        let tree =
            json!({ "type": "object", "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" } }, "additionalProperties": false });
        let mut value = json!({});
        for _ in 0..12 {
            value = json!({ "left": value.clone(), "right": value });
        }
        assert_eq!(compile("input-schema", &tree).expect("a schema").check(&value), Ok(()));
    }

    #[test]
    fn what_would_take_for_ever_is_not_compared() {
        let expected = "the value is too large to be compared with so large a schema; try a part of it";
        assert_eq!(told(&cases(100), &json!(vec![0; 200_000])), expected);
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
