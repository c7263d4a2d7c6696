//! `gatehouse fuzz`: arguments that nobody thought of, made from a tool's own schema, and what a component does with them.

mod generate;
mod pattern;
mod rng;
mod shrink;

use super::super::rig::{Called, Rig, questions};
use super::super::{Failed, Settings, output, runtime};
use super::{Subject, said};
use crate::failure::Failure;
use crate::journal::Outcome;
use clap::Args;
use generate::Generator;
use rng::Rng;
use sandbox::Fault;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component's folder, which is built first where something in it changed, or a component file [default: .]
    subject: Option<PathBuf>,
    /// Try this tool only; may be said several times
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// Calls of each tool
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    runs: u32,
    /// Make the same arguments as a run that had this seed
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// Attempts to make arguments that fit a schema.
const ATTEMPTS_MAX: u32 = 50;
/// Turns without any, from the first on, after which a tool is given up.
const HOPELESS: u32 = 10;

/// What calls of one tool came to.
#[derive(Default)]
struct Counts {
    results: u32,
    tool_errors: u32,
    refused: u32,
    questions: u32,
    unavailable: u32,
    /// Turns for which no arguments could be made.
    unmade: u32,
}

/// Arguments that a component falls over.
struct Finding {
    /// In which turn, counted from 1.
    turn: u32,
    word: &'static str,
    what: String,
    smallest: Map<String, Value>,
    /// What the guest said in the call with those.
    words: Vec<String>,
}

struct Tried {
    tool: String,
    counts: Counts,
    finding: Option<Finding>,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let subject = Subject::of(arguments.subject.as_deref())?;
    let seed = match arguments.seed {
        Some(seed) => seed,
        // Six digits are easily typed again.
        None => getrandom::u64().map_err(|error| Failed::other(format!("no randomness: {error}")))? % 1_000_000,
    };
    let (component, tried) = runtime()?.block_on(async {
        let component = subject.component().await?;
        let mut rig = subject.open(&arguments.settings).await?;
        for name in &arguments.tools {
            rig.tool(name).map_err(|reason| Failed::other(format!("{} {reason}", component.display())))?;
        }
        let all = || rig.plugin().tools.iter().map(|tool| tool.definition.name.to_string()).collect();
        let names: Vec<_> = if arguments.tools.is_empty() { all() } else { arguments.tools.clone() };
        let mut tried = Vec::new();
        for name in names {
            tried.push(one_tool(&mut rig, name, seed, arguments.runs).await?);
        }
        Ok::<_, Failed>((component, tried))
    })?;
    if tried.is_empty() {
        return Err(Failed::other(format!("{} has no tools", component.display())));
    }
    let well = tried.iter().all(|tried| tried.finding.is_none() && tried.counts.unmade < arguments.runs);
    let text =
        if arguments.json { in_json(&tried, seed, well) } else { readable(&tried, seed, &component.display().to_string(), arguments) };
    output::print(&text);
    if well { Ok(()) } else { Err(Failed::shown(1)) }
}

/// Tries a tool until it falls or all turns are over.
async fn one_tool(rig: &mut Rig, name: String, seed: u64, runs: u32) -> Result<Tried, Failed> {
    let schema = rig.tool(&name).ok().map(|tool| tool.definition.input_schema.as_str().to_owned()).unwrap_or_default();
    let schema: Value = serde_json::from_str(&schema).map_err(|error| Failed::other(format!("{name}: {error}")))?;
    let mut tried = Tried { tool: name, counts: Counts::default(), finding: None };
    for turn in 1..=runs {
        let Some(arguments) = made(rig, &tried.tool, &schema, &mut Rng::new(seed, turn)) else {
            tried.counts.unmade += 1;
            // Not one so far: nothing fits the schema, or nothing that is made here.
            if turn == HOPELESS && tried.counts.unmade == turn {
                tried.counts.unmade = runs;
                break;
            }
            continue;
        };
        let called = rig.call(&tried.tool, &arguments, None, &mut |_| {}).await;
        match judged(&called, &mut tried.counts)? {
            None => {}
            Some((word, _)) => {
                let smallest = shrink::smallest(rig, &tried.tool, arguments, word).await?;
                let called = rig.call(&tried.tool, &smallest, None, &mut |_| {}).await;
                // Of the smallest; its own text may say more than that of the first.
                let what = judged(&called, &mut Counts::default())?.map_or_else(|| "it does not come again".to_owned(), |(_, what)| what);
                let words = called.seen.map(|seen| seen.words).unwrap_or_default().into_iter().map(|(_, words)| words).collect();
                tried.finding = Some(Finding { turn, word, what, smallest, words });
                return Ok(tried);
            }
        }
    }
    Ok(tried)
}

/// Arguments that fit the tool's schema, by the same validator that looks at those of clients.
fn made(rig: &Rig, tool: &str, schema: &Value, rng: &mut Rng) -> Option<Map<String, Value>> {
    let tool = rig.tool(tool).ok()?;
    (0..ATTEMPTS_MAX).find_map(|_| {
        let value = Generator::new(schema, rng).value();
        let fits = tool.input.check(&value).is_ok();
        if let (Value::Object(arguments), true) = (value, fits) { Some(arguments) } else { None }
    })
}

/// Counts a call, or says what is wrong with it.
///
/// # Errors
///
/// When the call says nothing about the component.
fn judged(called: &Called, counts: &mut Counts) -> Result<Option<(&'static str, String)>, Failed> {
    let refused = called.seen.as_ref().is_some_and(|seen| seen.outcome == Outcome::Refused && seen.reason == Some("arguments"));
    match &called.end {
        Ok(_) if refused => counts.refused += 1,
        Ok(result) if questions(result).is_some() => counts.questions += 1,
        Ok(result) if result.get("isError") == Some(&Value::Bool(true)) => counts.tool_errors += 1,
        Ok(_) => counts.results += 1,
        Err(Failure::MissingCapability(_)) => counts.questions += 1,
        Err(Failure::Unavailable) => counts.unavailable += 1,
        Err(failure @ Failure::Fault(fault)) if !matches!(fault, Fault::Busy | Fault::Engine(_)) => {
            return Ok(Some((failure.word(), fault.to_string())));
        }
        Err(failure @ Failure::ResultInvalid(reason)) => return Ok(Some((failure.word(), mcp::text::line(reason, 400)))),
        Err(failure @ Failure::GuestFailed) => return Ok(Some((failure.word(), "it says that it failed".to_owned()))),
        Err(failure) => return Err(Failed::other(format!("a call could not be made: {}", failure.word()))),
    }
    Ok(None)
}

impl Counts {
    fn readable(&self) -> String {
        let each = [
            (self.results, "results"),
            (self.tool_errors, "errors of its own"),
            (self.refused, "refused by it"),
            (self.questions, "ended in questions"),
            (self.unavailable, "unavailable"),
            (self.unmade, "could not be made from its schema"),
        ];
        let said: Vec<_> = each.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        said.join(", ")
    }
}

fn readable(tried: &[Tried], seed: u64, component: &str, arguments: &Arguments) -> String {
    let mut text = String::new();
    for Tried { tool, counts, finding } in tried {
        let Some(Finding { turn, word, what, smallest, words }) = finding else {
            let mark = if counts.unmade < arguments.runs { "✓" } else { "✗" };
            text.push_str(&format!("{mark} {tool}: {} calls: {}\n", arguments.runs, counts.readable()));
            continue;
        };
        let smallest = Value::Object(smallest.clone()).to_string();
        text.push_str(&format!("✗ {tool}: {word} in call {turn}: {what}\n"));
        text.push_str(&format!("    smallest arguments  {}\n", mcp::text::line(&smallest, 2_000)));
        let again = format!("gatehouse call {tool} --plugin {} --args-json {}", quoted(component), quoted(&smallest));
        text.push_str(&format!("    call it again       {}\n", mcp::text::line(&again, 4_000)));
        let subject = arguments.subject.as_ref().map(|subject| format!(" {}", quoted(&subject.display().to_string()))).unwrap_or_default();
        text.push_str(&format!("    find it again       gatehouse fuzz{subject} --tool {tool} --seed {seed} --runs {turn}\n"));
        words.iter().flat_map(|words| said(words)).for_each(|line| text.push_str(&format!("    | {line}\n")));
    }
    text.push_str(&format!("seed {seed}\n"));
    text
}

/// For a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn in_json(tried: &[Tried], seed: u64, well: bool) -> String {
    let each = tried.iter().map(|Tried { tool, counts, finding }| {
        json!({
            "tool": tool,
            "results": counts.results,
            "tool_errors": counts.tool_errors,
            "refused": counts.refused,
            "questions": counts.questions,
            "unavailable": counts.unavailable,
            "unmade": counts.unmade,
            "finding": finding.as_ref().map(|finding| json!({
                "call": finding.turn,
                "word": finding.word,
                "what": finding.what,
                "arguments": finding.smallest,
                "words": finding.words,
            })),
        })
    });
    let each: Vec<_> = each.collect();
    format!("{:#}\n", json!({ "ok": well, "seed": seed, "tools": each }))
}
