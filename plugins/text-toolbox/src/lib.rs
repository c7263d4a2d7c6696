//! Tools for text, and a pattern to copy: one file for each tool or small group, [`tool`] for what they share, and this file to
//! name them all.
//!
//! A tool is a struct. Its fields are the arguments, its doc comments are what a client's model reads about them, and
//! [`Tool::run`] does the work. See `echo.rs` for the smallest and `slow_count.rs` for one that reports progress.

mod diff;
mod echo;
mod encode;
mod hash;
mod json;
mod pattern;
mod slow_count;
mod stats;
mod tool;

/// What `wit-bindgen` makes of the contract.
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/tool",
        world: "tool-plugin",
        generate_all,
    });
}

use bindings::exports::gatehouse::tool::tools::{self, Call, Failure, Guest, Outcome};
use tool::Entry;

/// Every tool of this plugin, in the order of `tools/list`.
const TOOLS: &[Entry] = &[
    Entry::of::<echo::Echo>(),
    Entry::of::<slow_count::SlowCount>(),
    Entry::of::<stats::WordStats>(),
    Entry::of::<diff::UnifiedDiff>(),
    Entry::of::<pattern::RegexExtract>(),
    Entry::of::<json::JsonQuery>(),
    Entry::of::<hash::Hash>(),
    Entry::of::<encode::Base64>(),
];

struct TextToolbox;

impl Guest for TextToolbox {
    fn list_tools() -> Result<Vec<tools::Tool>, String> {
        Ok(TOOLS.iter().map(Entry::describe).collect())
    }

    fn call_tool(call: Call) -> Result<Outcome, Failure> {
        let entry = TOOLS.iter().find(|entry| entry.name == call.tool).ok_or(Failure::UnknownName)?;
        entry.run(&call.arguments).map(Outcome::Complete)
    }
}

bindings::export!(TextToolbox with_types_in bindings);
