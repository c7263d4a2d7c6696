//! Answers questions about CSV files: a plugin that asks for a directory to read.
//!
//! Which directory that is, the operator says: `table-query.toml` asks for `/tables`, and the settings grant one. [`table`] finds and reads the files,
//! [`query`] picks, groups and sorts their rows.

mod cell;
mod query;
mod table;

/// What `wit-bindgen` makes of the contract.
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/tool",
        world: "tool-plugin",
        generate_all,
    });
}

use bindings::exports::gatehouse::tool::tools::{Call, Failure, Guest, Outcome, Tool};
use bindings::gatehouse::tool::tool_types::{Annotations, Content, Reply, Text};
use serde_json::Value;

const LIST: &str = "list_tables";
const LIST_DESCRIPTION: &str = "Lists the tables that can be asked about with `query_table`: their names, columns and sizes.";
const LIST_TAKES: &str = r#"{ "type": "object", "properties": {}, "additionalProperties": false }"#;
const LIST_GIVES: &str = r#"{
    "type": "object",
    "properties": {
        "tables": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "table": { "type": "string" },
                    "columns": { "type": "array", "items": { "type": "string" } },
                    "bytes": { "type": "integer" }
                },
                "required": ["table", "columns", "bytes"]
            }
        }
    },
    "required": ["tables"]
}"#;

const QUERY: &str = "query_table";
const QUERY_DESCRIPTION: &str = "Answers a question about one table: picks rows by conditions, which must all hold, groups and sums them up, sorts \
    them, and returns the first ones. A cell is a number where it looks like one, and null where it is empty. Without `columns` and `compute` \
    whole rows are returned.";
const QUERY_TAKES: &str = r#"{
    "type": "object",
    "properties": {
        "table": { "type": "string", "pattern": "^[\\p{L}\\p{N}][\\p{L}\\p{N} ._-]{0,99}$", "description": "Its name, as list_tables tells it." },
        "where": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "properties": {
                    "column": { "type": "string" },
                    "is": { "enum": ["=", "!=", "<", "<=", ">", ">=", "contains", "empty", "not_empty"] },
                    "value": { "type": ["string", "number"], "description": "To compare with; not for `empty` and `not_empty`." }
                },
                "required": ["column", "is"],
                "additionalProperties": false
            }
        },
        "columns": { "type": "array", "maxItems": 100, "items": { "type": "string" }, "description": "Columns to return; with `compute`, those to group by." },
        "compute": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "properties": {
                    "function": { "enum": ["count", "sum", "mean", "min", "max"] },
                    "column": { "type": "string", "description": "Not needed for `count`, which counts rows without it and cells that are not empty with it." }
                },
                "required": ["function"],
                "additionalProperties": false
            },
            "description": "The result has a column for each, named like `sum(price)` or `count`."
        },
        "order_by": {
            "type": "array",
            "maxItems": 10,
            "items": {
                "type": "object",
                "properties": {
                    "column": { "type": "string", "description": "A column of the result." },
                    "descending": { "type": "boolean", "default": false }
                },
                "required": ["column"],
                "additionalProperties": false
            }
        },
        "rows_max": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }
    },
    "required": ["table"],
    "additionalProperties": false
}"#;
const QUERY_GIVES: &str = r#"{
    "type": "object",
    "properties": {
        "columns": { "type": "array", "items": { "type": "string" } },
        "rows": { "type": "array", "items": { "type": "array", "items": { "type": ["string", "number", "null"] } } },
        "rows_read": { "type": "integer", "description": "Rows of the table." },
        "rows_found": { "type": "integer", "description": "Rows, or groups, that there are in all." },
        "is_cut": { "type": "boolean", "description": "Whether there are more than were returned." }
    },
    "required": ["columns", "rows", "rows_read", "rows_found", "is_cut"]
}"#;

struct TableQuery;

impl Guest for TableQuery {
    fn list_tools() -> Result<Vec<Tool>, String> {
        Ok(vec![
            tool(LIST, "List tables", LIST_DESCRIPTION, LIST_TAKES, LIST_GIVES),
            tool(QUERY, "Query a table", QUERY_DESCRIPTION, QUERY_TAKES, QUERY_GIVES),
        ])
    }

    fn call_tool(call: Call) -> Result<Outcome, Failure> {
        let answer = match call.tool.as_str() {
            LIST => table::list(),
            QUERY => {
                let question = serde_json::from_str(&call.arguments).map_err(|error| Failure::InvalidArguments(error.to_string()))?;
                query::answer(&question)
            }
            _ => return Err(Failure::UnknownName),
        };
        Ok(Outcome::Complete(reply(answer)))
    }
}

fn tool(name: &str, title: &str, description: &str, takes: &str, gives: &str) -> Tool {
    Tool {
        name: name.into(),
        title: Some(title.into()),
        description: description.into(),
        input_schema: takes.into(),
        output_schema: Some(gives.into()),
        annotations: Annotations { title: None, read_only: Some(true), destructive: None, idempotent: Some(true), open_world: Some(false) },
        icons: Vec::new(),
        scopes: Vec::new(),
        meta: None,
    }
}

/// What went wrong is for the model: it may ask another question.
fn reply(answer: Result<Value, String>) -> Reply {
    match answer {
        Ok(found) => Reply { content: Vec::new(), structured: Some(found.to_string()), is_error: false, meta: None },
        Err(problem) => {
            let content = vec![Content::Text(Text { text: problem, annotations: None })];
            Reply { content, structured: None, is_error: true, meta: None }
        }
    }
}

bindings::export!(TableQuery with_types_in bindings);
