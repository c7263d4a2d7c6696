//! The definitions that are approved: each in one form, so that equal ones have one digest whatever their plugin's way of writing.

use crate::catalog::{Plugin, Tool};
use sandbox::Digest;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One tool's definition: what clients are shown of it, and the scopes that it demands.
#[derive(Debug, Clone)]
pub struct Definition {
    value: Value,
    /// SHA-256 of it as JSON without white space, members by name.
    pub digest: Digest,
}

impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Definition {}

impl Definition {
    /// Of a tool that a plugin offers.
    pub(super) fn of(tool: &Tool) -> Self {
        let mcp::tool::Tool { name, title, description, input_schema, output_schema, annotations, icons, meta } = &tool.definition;
        let mut members = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(key.to_owned(), value);
            }
        };
        let text = |text: &Option<Box<str>>| text.as_deref().map(Value::from);
        // What was checked is JSON.
        let json = |text: &mcp::JsonText| serde_json::from_str(text.as_str()).ok();
        put("name", Some(Value::from(&**name)));
        put("title", text(title));
        put("description", text(description));
        put("inputSchema", json(input_schema));
        put("outputSchema", output_schema.as_ref().and_then(json));
        let hints = [
            ("title", text(&annotations.title)),
            ("readOnlyHint", annotations.read_only.map(Value::from)),
            ("destructiveHint", annotations.destructive.map(Value::from)),
            ("idempotentHint", annotations.idempotent.map(Value::from)),
            ("openWorldHint", annotations.open_world.map(Value::from)),
        ];
        let hints: Map<_, _> = hints.into_iter().filter_map(|(key, hint)| Some((key.to_owned(), hint?))).collect();
        put("annotations", (!hints.is_empty()).then_some(Value::Object(hints)));
        let icons = icons.iter().map(|icon| {
            let sizes = icon.sizes.iter().map(|size| Value::from(&**size)).collect();
            let members = [
                ("src", Some(Value::from(&*icon.src))),
                ("mimeType", text(&icon.mime_type)),
                ("sizes", (!icon.sizes.is_empty()).then_some(Value::Array(sizes))),
                ("theme", text(&icon.theme)),
            ];
            Value::Object(members.into_iter().filter_map(|(key, member)| Some((key.to_owned(), member?))).collect())
        });
        let icons: Vec<_> = icons.collect();
        put("icons", (!icons.is_empty()).then_some(Value::Array(icons)));
        put("_meta", meta.as_ref().and_then(json));
        let scopes: Vec<_> = tool.scopes.iter().map(|scope| Value::from(&**scope)).collect();
        put("scopes", (!scopes.is_empty()).then_some(Value::Array(scopes)));
        Self::new(Value::Object(members))
    }

    fn new(value: Value) -> Self {
        // Members of maps are in the order of their names, whatever was read.
        let digest = Digest::of(value.to_string().as_bytes());
        Self { value, digest }
    }

    /// Reads what [`Self::pretty`] wrote; none if it is no JSON object.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(Value::is_object).map(Self::new)
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.value.get("name").and_then(Value::as_str)
    }

    /// As JSON of many lines, for people: characters that do not show themselves are escaped, so that what is approved is what a model reads.
    pub fn pretty(&self) -> String {
        let text = format!("{:#}", self.value);
        let mut out = String::with_capacity(text.len());
        for char in text.chars() {
            // Between tokens there are line feeds and blanks; whatever else is hidden stands inside of strings, where it may be escaped.
            if char == '\n' || !(char.is_control() || is_hidden(char)) {
                out.push(char);
            } else {
                let mut units = [0; 2];
                for unit in char.encode_utf16(&mut units) {
                    // Writing to a `String` cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
        out
    }
}

/// Letters that are not seen, or change how others are.
fn is_hidden(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What was approved of one plugin, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// Of the component.
    pub component: Digest,
    /// Of its side file, if it has one.
    pub side: Option<Digest>,
    /// Its tools, by name.
    pub tools: BTreeMap<String, Definition>,
}

impl Approved {
    /// What is approved with this plugin.
    pub fn of(plugin: &Plugin) -> Self {
        let (component, side) = plugin.made_of();
        let tools = plugin.tools.iter().map(|tool| (tool.definition.name.to_string(), Definition::of(tool)));
        Self { component, side, tools: tools.collect() }
    }

    /// The tools of which this and the other one have different definitions, or only one of them has one.
    pub fn changes<'a>(&'a self, other: &'a Self) -> Vec<Change<'a>> {
        if self.tools == other.tools {
            return Vec::new();
        }
        let names: std::collections::BTreeSet<_> = self.tools.keys().chain(other.tools.keys()).collect();
        let change = |tool: &'a String| {
            let (old, new) = (self.tools.get(tool), other.tools.get(tool));
            (old != new).then_some(Change { tool, old, new })
        };
        names.into_iter().filter_map(change).collect()
    }
}

/// A tool whose definition is another one.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Its name.
    pub tool: &'a str,
    /// As it was; none: it was not there.
    pub old: Option<&'a Definition>,
    /// As it is; none: it is gone.
    pub new: Option<&'a Definition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_definitions_have_one_digest() {
        let one = Definition::parse("{\"name\": \"a\", \"inputSchema\": {\"type\":\"object\",\"a\":1.0}}").expect("an object");
        let two = Definition::parse("{\"inputSchema\":{\"a\":1.0,\"type\":\"object\"},\n\"name\":\"\\u0061\"}").expect("an object");
        assert_eq!(one, two);
        assert_eq!(one.digest, Digest::of(b"{\"inputSchema\":{\"a\":1.0,\"type\":\"object\"},\"name\":\"a\"}"));
        assert!(Definition::parse("[]").is_none() && Definition::parse("{").is_none());
    }

    #[test]
    fn what_is_shown_shows_everything_and_reads_back() {
        let hidden = Definition::parse("{\"d\":\"a\u{202e}b\u{e0041}\u{200b}\u{9b}é\u{fe0f}\"}").expect("an object");
        assert_eq!(hidden.pretty(), "{\n  \"d\": \"a\\u202eb\\udb40\\udc41\\u200b\\u009bé\\ufe0f\"\n}");
        assert_eq!(Definition::parse(&hidden.pretty()), Some(hidden));
    }
}
