//! Arguments that a tool wants repeated in headers: `x-mcp-header` in its schema.

use mcp::mirrored::{HEADER_PREFIX, KEYWORD};
use serde_json::{Map, Value};

/// The headers with their values, encoded as they travel. An argument that is left out or null has none.
pub(super) fn headers(schema: Option<&Value>, arguments: &Map<String, Value>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(schema, arguments, &mut found);
    found
}

fn collect(schema: Option<&Value>, arguments: &Map<String, Value>, found: &mut Vec<(String, String)>) {
    let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
    for (name, property) in properties.into_iter().flatten() {
        let Some(value) = arguments.get(name) else { continue };
        if let Value::Object(inner) = value {
            collect(Some(property), inner, found);
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => continue,
        };
        if let Some(header) = property.get(KEYWORD).and_then(Value::as_str) {
            found.push((format!("{HEADER_PREFIX}{header}"), mcp::header::encode(&text).into_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_has_a_value_is_repeated() {
        let schema = json!({ "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "count": { "type": "integer", "x-mcp-header": "Count" },
            "flag": { "type": "boolean", "x-mcp-header": "Flag" },
            "gone": { "type": "string", "x-mcp-header": "Gone" },
            "plain": { "type": "string" },
            "place": { "properties": { "zone": { "type": "string", "x-mcp-header": "Zone" } } },
        } });
        let arguments = json!({ "region": "küste", "count": 3, "flag": true, "gone": null, "plain": "x", "place": { "zone": "b" } });
        let mut headers = headers(Some(&schema), arguments.as_object().expect("an object"));
        headers.sort();
        let expected =
            [("Mcp-Param-Count", "3"), ("Mcp-Param-Flag", "true"), ("Mcp-Param-Region", "=?base64?a8O8c3Rl?="), ("Mcp-Param-Zone", "b")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
