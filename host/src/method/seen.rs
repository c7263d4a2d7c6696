//! Calls as somebody sees them who looks on while they are made: the author of a component, who tries it out.
//!
//! Arguments are in it, and so nobody looks on in a gateway that serves others: nothing in the settings asks for it.

use crate::journal::Outcome;
use mcp::params::LogLevel;
use sandbox::Usage;
use std::time::Duration;

/// One call that came to its end.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Of MCP.
    pub method: &'static str,
    /// The tool, the resource, the prompt.
    pub name: String,
    /// As JSON text.
    pub arguments: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Which limit it hit, or why it was refused: a word of a closed set.
    pub reason: Option<&'static str>,
    /// From its beginning to its end, with all that it waited for.
    pub took: Duration,
    /// What its guest used; nothing where none ran.
    pub usage: Usage,
    /// What its guest said to the operator, as far as it was kept: log lines, standard output and error, and why it failed.
    pub words: Vec<(LogLevel, String)>,
}

impl Seen {
    /// One that has not come to its end.
    pub(super) fn begin(method: &'static str, name: &str, arguments: &str) -> Self {
        Self {
            method,
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            outcome: Outcome::Cancelled,
            reason: None,
            took: Duration::ZERO,
            usage: Usage::default(),
            words: Vec::new(),
        }
    }
}
