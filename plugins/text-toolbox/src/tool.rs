//! Between typed structs and the contract, where arguments, schemas and structured results are JSON text.

use crate::bindings::exports::gatehouse::tool::tools;
use crate::bindings::gatehouse::tool::tool_types::{Annotations, Content, Failure, Reply, Text as TextContent};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A tool, seen from its author: a struct of arguments that can be run.
pub trait Tool: DeserializeOwned + JsonSchema {
    /// As clients call it.
    const NAME: &str;
    /// As people read it.
    const TITLE: &str;
    /// What it does and when to use it: written for the client's model.
    const DESCRIPTION: &str;

    /// [`Text`] or [`Structured`].
    type Output: Output;

    /// Does the work. An error is for the model: it should say what was wrong and how a next call can be right.
    fn run(self) -> Result<Self::Output, String>;
}

/// What a tool can answer with.
pub trait Output {
    /// The JSON Schema of a structured answer.
    fn schema() -> Option<String>;
    /// The answer in the contract's shape.
    fn into_reply(self) -> Result<Reply, Failure>;
}

/// An answer to be read.
pub struct Text(pub String);

impl Output for Text {
    fn schema() -> Option<String> {
        None
    }

    fn into_reply(self) -> Result<Reply, Failure> {
        Ok(text_reply(self.0, false))
    }
}

/// An answer to be taken apart by programs. The host adds its text form for clients that show nothing else.
pub struct Structured<T>(pub T);

impl<T: Serialize + JsonSchema> Output for Structured<T> {
    fn schema() -> Option<String> {
        // A schema for writing differs from one for reading: a field with a default, for example, is always there.
        Some(schema_of::<T>(schema_settings().for_serialize()))
    }

    fn into_reply(self) -> Result<Reply, Failure> {
        let json = serde_json::to_string(&self.0).map_err(|error| Failure::Internal(error.to_string()))?;
        Ok(Reply { content: Vec::new(), structured: Some(json), is_error: false, meta: None })
    }
}

/// One line of the table of tools: a [`Tool`] whose type is forgotten.
pub struct Entry {
    /// As clients call it.
    pub name: &'static str,
    describe: fn() -> tools::Tool,
    run: fn(&str) -> Result<Reply, Failure>,
}

impl Entry {
    /// The entry of one tool.
    pub const fn of<T: Tool>() -> Self {
        Self { name: T::NAME, describe: describe::<T>, run: run::<T> }
    }

    /// The tool as it stands in `tools/list`.
    pub fn describe(&self) -> tools::Tool {
        (self.describe)()
    }

    /// One call.
    pub fn run(&self, arguments: &str) -> Result<Reply, Failure> {
        (self.run)(arguments)
    }
}

fn describe<T: Tool>() -> tools::Tool {
    tools::Tool {
        name: T::NAME.into(),
        title: Some(T::TITLE.into()),
        description: T::DESCRIPTION.into(),
        input_schema: schema_of::<T>(schema_settings()),
        output_schema: T::Output::schema(),
        // True of every tool here: they compute, and touch nothing.
        annotations: Annotations { title: None, read_only: Some(true), destructive: None, idempotent: Some(true), open_world: Some(false) },
        icons: Vec::new(),
        scopes: Vec::new(),
        meta: None,
    }
}

fn run<T: Tool>(arguments: &str) -> Result<Reply, Failure> {
    // The host has checked the arguments against the schema, so this fails only where the struct is stricter than the schema can say.
    let tool: T = serde_json::from_str(arguments).map_err(|error| Failure::InvalidArguments(error.to_string()))?;
    match tool.run() {
        Ok(output) => output.into_reply(),
        Err(problem) => Ok(text_reply(problem, true)),
    }
}

fn text_reply(text: String, is_error: bool) -> Reply {
    let content = vec![Content::Text(TextContent { text, annotations: None })];
    Reply { content, structured: None, is_error, meta: None }
}

/// Schemas end up in a model's context: no line for the dialect, which the contract fixes, no references to follow, and none of the
/// formats for Rust's numbers (`uint32`), which no other validator knows and some complain about.
fn schema_settings() -> SchemaSettings {
    let drop_number_formats = RecursiveTransform(|schema: &mut Schema| {
        if schema.get("type").is_some_and(|kind| kind == "integer") {
            schema.remove("format");
        }
    });
    SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.meta_schema = None;
            settings.inline_subschemas = true;
        })
        .with_transform(drop_number_formats)
}

fn schema_of<T: JsonSchema>(settings: SchemaSettings) -> String {
    settings.into_generator().into_root_schema_for::<T>().as_value().to_string()
}
