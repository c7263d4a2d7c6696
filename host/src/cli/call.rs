//! `gatehouse call TOOL`

mod arguments;
mod granted;
mod learned;
mod local;
mod remote;

use super::{Failed, Settings, output, shown};
use clap::Args;
use serde_json::{Map, Value};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The tool's name
    tool: String,
    /// One argument; read as JSON where the tool's schema does not want a string
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    args: Vec<String>,
    /// All arguments as one JSON object
    #[arg(long, value_name = "OBJECT", conflicts_with = "args")]
    args_json: Option<String>,
    /// Speak JSON: print the result as one JSON object, and take all arguments from OBJECT if it is given
    #[arg(long, value_name = "OBJECT", num_args = 0..=1, default_missing_value = "", conflicts_with = "args_json")]
    json: Option<String>,
    /// MCP endpoint of a running gateway
    #[arg(long, default_value = "http://127.0.0.1:8080/mcp", conflicts_with = "plugin")]
    url: String,
    /// Show the token or API key that is in this file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "plugin")]
    token_file: Option<PathBuf>,
    /// Call the tool of this component file instead, in a sandbox of its own
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
    /// Learn what the component reaches for, which is refused: prints what its side file would ask for and the settings would grant, as TOML.
    /// The result goes to standard error
    #[arg(long, requires = "plugin", conflicts_with = "json")]
    learn: bool,
    /// Tenant on whose behalf the component is called, with what the settings of `--config` grant to it [default: default]
    #[arg(long, value_name = "NAME", requires = "plugin", requires = "config", conflicts_with = "learn")]
    tenant: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failed> {
    let given = arguments::Given::read(&arguments.args, arguments.args_json.as_deref().or(arguments.json.as_deref()))?;
    let result = match &arguments.plugin {
        Some(file) if arguments.learn => {
            let (result, learned) = local::learn(file, &arguments.settings, &arguments.tool, given)?;
            output::print(&learned);
            // What it would have said with all of it is another matter: that it went wrong is what was to be expected.
            match result {
                Ok(result) => output::note(readable(&result).trim_end()),
                Err(failed) => output::note(&failed.message),
            }
            return Ok(());
        }
        Some(file) => local::call(file, (&arguments.settings, arguments.tenant.as_deref()), &arguments.tool, given)?,
        None => {
            let token = arguments.token_file.as_deref().map(shown::read).transpose()?;
            remote::call(&arguments.url, token.as_deref(), &arguments.tool, given)?
        }
    };
    let failed = result.get("isError") == Some(&Value::Bool(true));
    if arguments.json.is_some() {
        output::print(&format!("{:#}\n", Value::Object(result)));
    } else {
        output::print(&readable(&result));
    }
    if failed { Err(Failed::shown(1)) } else { Ok(()) }
}

/// Texts as they are; what is no text is told about; the structure where there is one.
fn readable(result: &Map<String, Value>) -> String {
    let mut out = String::new();
    let member = |block: &Value, name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let structured = result.get("structuredContent");
    for block in result.get("content").and_then(Value::as_array).into_iter().flatten() {
        let line = match member(block, "type").as_str() {
            // The text form of the structure says nothing that the structure does not say better.
            "text"
                if structured.is_some_and(|structured| {
                    let text = member(block, "text");
                    structured.as_str() == Some(&*text) || serde_json::from_str::<Value>(&text).ok().as_ref() == Some(structured)
                }) =>
            {
                continue;
            }
            "text" => member(block, "text"),
            "resource_link" => format!("[resource {} {}]", member(block, "name"), member(block, "uri")),
            "resource" => format!("[resource {}]", block.get("resource").map(|resource| member(resource, "uri")).unwrap_or_default()),
            kind => format!("[{kind}, {}, {} of base64]", member(block, "mimeType"), output::size(member(block, "data").len() as u64)),
        };
        out.push_str(&line);
        out.push('\n');
    }
    if let Some(structured) = structured {
        out.push_str(&format!("{structured:#}\n"));
    }
    out
}

/// One progress report, where somebody watches.
fn show_progress(params: &Value) {
    let number = |name: &str| params.get(name).map(Value::to_string);
    let total = number("total").map(|total| format!(" of {total}")).unwrap_or_default();
    let message = params.get("message").and_then(Value::as_str).map(|text| format!("  {}", mcp::text::line(text, 200))).unwrap_or_default();
    output::note(&format!("… {}{total}{message}", number("progress").unwrap_or_default()));
}

/// A JSON-RPC error as the command's own.
fn refused(error: &Value) -> Failed {
    let message = error.get("message").and_then(Value::as_str).unwrap_or("no reason given");
    let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
    Failed::other(format!("{} ({code})", mcp::text::line(message, 1_000)))
}
