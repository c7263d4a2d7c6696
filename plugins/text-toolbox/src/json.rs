//! Asking JSON.

use crate::tool::{Structured, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json_path::JsonPath;

/// How deep the brackets of a query may be nested. Its parser calls itself at each level, and a guest's stack is small; real queries have
/// three or four.
const NESTING_MAX: usize = 32;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonQuery {
    /// The document, as JSON text.
    json: String,
    /// A JSONPath query (RFC 9535), for example `$.orders[?@.total > 100].id` or `$..name`.
    #[schemars(length(max = 4096))]
    query: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Results {
    /// Every value that the query selects, in document order. Empty if there is none.
    results: Vec<Value>,
}

impl Tool for JsonQuery {
    const NAME: &str = "json_query";
    const TITLE: &str = "Query JSON";
    const DESCRIPTION: &str = "Selects values from a JSON document with a JSONPath query (RFC 9535).";

    type Output = Structured<Results>;

    fn run(self) -> Result<Structured<Results>, String> {
        let document: Value =
            serde_json::from_str(&self.json).map_err(|error| format!("The argument 'json' is not valid JSON: {error}"))?;
        if nesting(&self.query) > NESTING_MAX {
            return Err(format!("The argument 'query' nests brackets more than {NESTING_MAX} deep. Write a simpler one."));
        }
        let query =
            JsonPath::parse(&self.query).map_err(|error| format!("The argument 'query' is not a valid JSONPath (RFC 9535): {error}"))?;
        Ok(Structured(Results { results: query.query(&document).all().into_iter().cloned().collect() }))
    }
}

/// The deepest nesting of brackets. Those in strings count too: it is a limit, not a parser.
fn nesting(query: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for character in query.chars() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
