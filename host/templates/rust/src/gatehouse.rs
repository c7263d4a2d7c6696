//! Between typed structs and the contract (`wit/tool.wit`), where arguments, schemas and structured results are JSON text. It is yours to
//! change; the tools are in `lib.rs`.

#![allow(dead_code, reason = "a plugin need not use all of it")]

/// What `wit-bindgen` makes of the contract.
pub mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "tool-plugin", generate_all, pub_export_macro: true });
}

pub use bindings::gatehouse::host::log::Level;
pub use bindings::gatehouse::tool::tool_types::{Ask, Failure};

use bindings::exports::gatehouse::tool::tools;
use bindings::gatehouse::host::{log, progress};
use bindings::gatehouse::tool::tool_types::{Annotations, ClientFeatures, Content, Form, Question, Reply, Text};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A tool: a struct of arguments that can be run.
pub trait Tool: DeserializeOwned + JsonSchema {
    /// As clients call it.
    const NAME: &str;
    /// As people read it.
    const TITLE: &str;
    /// What it does and when to use it: written for the client's model.
    const DESCRIPTION: &str;
    /// It changes nothing.
    const READ_ONLY: bool = true;

    /// A `String` to be read, or [`Structured`] for programs.
    type Output: Output;

    /// Does the work.
    fn run(self, call: &Call) -> Result<Self::Output, Stop>;
}

/// Why a tool ends without a result.
pub enum Stop {
    /// For the model: what was wrong, and how a next call can be right. A text becomes one with `?` and `.into()`.
    Problem(String),
    /// It wants to be called again with answers.
    Ask(Ask),
    /// For the gateway to translate.
    Failure(Failure),
}

impl From<String> for Stop {
    fn from(problem: String) -> Self {
        Self::Problem(problem)
    }
}

impl From<&str> for Stop {
    fn from(problem: &str) -> Self {
        Self::Problem(problem.to_owned())
    }
}

/// The call that a tool runs in.
pub struct Call {
    client: ClientFeatures,
    dialog: Dialog,
}

/// What was asked and answered in earlier rounds of this call. Each round runs in an instance of its own: the host keeps this in between.
#[derive(Default, Serialize, Deserialize)]
struct Dialog {
    asked: Vec<String>,
    answers: Map<String, Value>,
}

impl Call {
    /// Tells how far it has come: `done` of `total`.
    pub fn progress(&self, done: usize, total: usize, message: &str) {
        progress::report(done as f64, Some(total as f64), Some(message));
    }

    /// A line for the operator, and for a client that wants lines of this level.
    pub fn log(&self, level: Level, text: &str) {
        log::write(level, None, &Value::from(text).to_string());
    }

    /// Asks the client's user to fill in a form: a flat struct. Leaves the tool until there is an answer, and then runs it from its beginning.
    pub fn ask<T: DeserializeOwned + JsonSchema>(&self, key: &str, message: &str) -> Result<T, Stop> {
        if let Some(answer) = self.dialog.answers.get(key) {
            let content = answer.get("content").filter(|_| answer.get("action").is_some_and(|action| action == "accept"));
            let content = content.ok_or_else(|| format!("The user did not answer: {message}"))?;
            // Nobody has checked what was typed in.
            return T::deserialize(content).map_err(|error| format!("The user's answer cannot be used: {error}").into());
        }
        if self.dialog.asked.iter().any(|asked| asked == key) {
            return Err(format!("The user gave no answer: {message}").into());
        }
        if !self.client.contains(ClientFeatures::ELICIT_FORM) {
            return Err(Stop::Failure(Failure::MissingClientFeature(ClientFeatures::ELICIT_FORM)));
        }
        let asked = self.dialog.asked.iter().cloned().chain([key.to_owned()]).collect();
        let state = serde_json::to_vec(&Dialog { asked, answers: self.dialog.answers.clone() });
        let form = Form { message: message.to_owned(), schema: schema_of::<T>(schema_settings()) };
        Err(Stop::Ask(Ask { questions: vec![(key.to_owned(), Question::ElicitForm(form))], state: state.unwrap_or_default() }))
    }

    fn of(call: &tools::Call) -> Self {
        let mut dialog = Dialog::default();
        if let Some(resume) = &call.resume {
            dialog = serde_json::from_slice(&resume.state).unwrap_or_default();
            let answers = resume.answers.iter().filter_map(|(key, answer)| Some((key.clone(), serde_json::from_str(answer).ok()?)));
            dialog.answers.extend(answers);
        }
        Self { client: call.client, dialog }
    }
}

/// What a tool can answer with.
pub trait Output {
    /// The JSON Schema of a structured answer.
    fn schema() -> Option<String>;
    /// The answer in the contract's shape.
    fn into_reply(self) -> Result<Reply, Failure>;
}

impl Output for String {
    fn schema() -> Option<String> {
        None
    }

    fn into_reply(self) -> Result<Reply, Failure> {
        Ok(text(self, false))
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

/// Makes a plugin of tools, in the order of `tools/list`.
macro_rules! plugin {
    ($($tool:ty),+ $(,)?) => {
        struct Plugin;

        impl $crate::gatehouse::bindings::exports::gatehouse::tool::tools::Guest for Plugin {
            fn list_tools() -> Result<Vec<$crate::gatehouse::bindings::exports::gatehouse::tool::tools::Tool>, String> {
                Ok(vec![$($crate::gatehouse::describe::<$tool>()),+])
            }

            fn call_tool(
                call: $crate::gatehouse::bindings::exports::gatehouse::tool::tools::Call,
            ) -> Result<$crate::gatehouse::bindings::exports::gatehouse::tool::tools::Outcome, $crate::gatehouse::Failure> {
                $(if call.tool == <$tool as $crate::gatehouse::Tool>::NAME {
                    return $crate::gatehouse::run::<$tool>(&call);
                })+
                Err($crate::gatehouse::Failure::UnknownName)
            }
        }

        $crate::gatehouse::bindings::export!(Plugin with_types_in $crate::gatehouse::bindings);
    };
}
pub(crate) use plugin;

/// A tool as it stands in `tools/list`.
pub fn describe<T: Tool>() -> tools::Tool {
    tools::Tool {
        name: T::NAME.into(),
        title: Some(T::TITLE.into()),
        description: T::DESCRIPTION.into(),
        input_schema: schema_of::<T>(schema_settings()),
        output_schema: T::Output::schema(),
        annotations: Annotations { title: None, read_only: Some(T::READ_ONLY), destructive: None, idempotent: None, open_world: None },
        icons: Vec::new(),
        scopes: Vec::new(),
        meta: None,
    }
}

/// One call of a tool.
pub fn run<T: Tool>(call: &tools::Call) -> Result<tools::Outcome, Failure> {
    // The host has checked the arguments against the schema, so this fails only where the struct is stricter than the schema can say.
    let tool: T = serde_json::from_str(&call.arguments).map_err(|error| Failure::InvalidArguments(error.to_string()))?;
    match tool.run(&Call::of(call)) {
        Ok(output) => output.into_reply().map(tools::Outcome::Complete),
        Err(Stop::Problem(problem)) => Ok(tools::Outcome::Complete(text(problem, true))),
        Err(Stop::Ask(ask)) => Ok(tools::Outcome::InputRequired(ask)),
        Err(Stop::Failure(failure)) => Err(failure),
    }
}

fn text(text: String, is_error: bool) -> Reply {
    let content = vec![Content::Text(Text { text, annotations: None })];
    Reply { content, structured: None, is_error, meta: None }
}

/// Schemas end up in a model's context: no line for the dialect, which the contract fixes, no references to follow, and none of the
/// formats for Rust's numbers, which no other validator knows.
fn schema_settings() -> SchemaSettings {
    let drop_number_formats = RecursiveTransform(|schema: &mut Schema| {
        if schema.get("type").is_some_and(|kind| kind == "integer" || kind == "number") {
            schema.remove("format");
        }
    });
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    settings.with_transform(drop_number_formats)
}

fn schema_of<T: JsonSchema>(settings: SchemaSettings) -> String {
    settings.into_generator().into_root_schema_for::<T>().as_value().to_string()
}
