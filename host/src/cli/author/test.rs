//! `gatehouse test`: a component against what its author expects of it, in the sandbox and under the limits in which it will be served.

use super::super::rig::{Called, questions};
use super::super::{Failed, Settings, output, runtime};
use super::cases::{self, Case, Expected, ExpectedResult};
use super::{Subject, said};
use crate::method::Seen;
use clap::Args;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component's folder, which is built first where something in it changed, or a component file [default: .]
    subject: Option<PathBuf>,
    /// The cases [default: cases.toml beside the component]
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// What came of a case.
struct Outcome<'a> {
    case: &'a Case,
    /// What was expected otherwise; nothing: it is as expected.
    differences: Vec<String>,
    seen: Option<Seen>,
}

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let subject = Subject::of(arguments.subject.as_deref())?;
    let file = arguments.cases.clone().unwrap_or_else(|| subject.beside("cases.toml"));
    let wrong = |what: String| Failed::other(format!("{}: {what}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
    // Before anything is built: whoever mistyped does not want to wait.
    let cases = cases::read(&text).map_err(wrong)?;
    let outcomes = runtime()?.block_on(async {
        let mut rig = subject.open(&arguments.settings).await?;
        let mut outcomes = Vec::new();
        for case in &cases {
            let (differences, seen) = match rig.tool(&case.tool) {
                Err(reason) => (vec![format!("the component {reason}")], None),
                Ok(_) => {
                    let called = rig.call(&case.tool, &case.arguments, case.answers.as_ref(), &mut |_| {}).await;
                    (differences(&called, &case.expected), called.seen)
                }
            };
            outcomes.push(Outcome { case, differences, seen });
        }
        Ok::<_, Failed>(outcomes)
    })?;
    let failed = outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count();
    output::print(&if arguments.json { in_json(&outcomes) } else { table(&outcomes, failed) });
    if failed == 0 { Ok(()) } else { Err(Failed::shown(1)) }
}

/// What a call came to that was not expected of it.
fn differences(called: &Called, expected: &Expected) -> Vec<String> {
    let reason = called.seen.as_ref().and_then(|seen| seen.reason);
    match (&called.end, expected) {
        (Err(failure), Expected::Failure(word)) if failure.word() == word => Vec::new(),
        // Arguments that do not fit are a result, so that a model can mend them; and they are a failure, too.
        (Ok(_), Expected::Failure(word)) if reason == Some(word) => Vec::new(),
        (Err(failure), expected) => {
            let error = crate::http::public_error(failure);
            let error: Value = serde_json::from_str(error.write().as_str()).unwrap_or_default();
            let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
            let wanted = match expected {
                Expected::Failure(word) => format!(", not with `{word}`"),
                _ => String::new(),
            };
            vec![format!("it fails with `{}`{wanted}: {}", failure.word(), mcp::text::line(message, 400))]
        }
        (Ok(result), expected) => match (questions(result), expected) {
            (Some(asked), Expected::Questions(keys)) => {
                let mut wanted: Vec<_> = keys.iter().map(String::as_str).collect();
                let mut keys: Vec<_> = asked.keys().map(String::as_str).collect();
                wanted.sort_unstable();
                keys.sort_unstable();
                if keys == wanted { Vec::new() } else { vec![format!("it asks for {}, not for {}", keys.join(", "), wanted.join(", "))] }
            }
            (Some(asked), _) => {
                let keys: Vec<_> = asked.keys().map(String::as_str).collect();
                vec![format!("it asks for `{}`, which `answers` does not have", keys.join("`, `"))]
            }
            (None, Expected::Result(expected)) => of_result(result, expected),
            (None, Expected::Failure(word)) => vec![format!("it does not fail with `{word}`; its result is {}", shown(result))],
            (None, Expected::Questions(_)) => vec![format!("it asks nothing; its result is {}", shown(result))],
        },
    }
}

fn of_result(result: &Map<String, Value>, expected: &ExpectedResult) -> Vec<String> {
    let mut differences = Vec::new();
    let is_error = result.get("isError") == Some(&Value::Bool(true));
    let text = text_of(result);
    if is_error != expected.is_error {
        let what = if is_error { "is an error" } else { "is no error" };
        differences.push(format!("the result {what}: {}", mcp::text::line(&text, 400)));
        return differences;
    }
    if let Some(wanted) = expected.text.as_ref().filter(|wanted| **wanted != text) {
        differences.push(format!("the text is  {:?}\n        and not      {wanted:?}", mcp::text::line(&text, 400)));
    }
    for wanted in expected.contains.iter().filter(|wanted| !text.contains(wanted.as_str())) {
        differences.push(format!("{wanted:?} is not in the text {:?}", mcp::text::line(&text, 400)));
    }
    if let Some(wanted) = &expected.structured {
        match result.get("structuredContent") {
            None => differences.push("there is no structured result".to_owned()),
            Some(found) => differing("", found, wanted, &mut differences),
        }
    }
    differences
}

/// Names of differences that are told.
const DIFFERENCES_MAX: usize = 8;

/// Where a structure is another one than was wanted. Numbers are equal by value, however they are written.
fn differing(place: &str, found: &Value, wanted: &Value, differences: &mut Vec<String>) {
    if differences.len() >= DIFFERENCES_MAX {
        return;
    }
    let at = |name: &str| format!("{place}/{}", mcp::text::line(name, 64));
    let told = |value: &Value| mcp::text::line(&value.to_string(), 200);
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            for (name, value) in found {
                match wanted.get(name) {
                    Some(wanted) => differing(&at(name), value, wanted, differences),
                    None => differences.push(format!("{} is there, and was not expected: {}", at(name), told(value))),
                }
            }
            let missing = wanted.iter().filter(|(name, _)| !found.contains_key(*name));
            differences.extend(missing.map(|(name, value)| format!("{} is missing; it should be {}", at(name), told(value))));
        }
        (Value::Array(found), Value::Array(wanted)) if found.len() == wanted.len() => {
            for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                differing(&at(&index.to_string()), found, wanted, differences);
            }
        }
        (Value::Number(one), Value::Number(other))
            if one == other || (one.is_f64() != other.is_f64() && one.as_f64() == other.as_f64()) => {}
        _ if found == wanted => {}
        _ => {
            let place = if place.is_empty() { "the structured result" } else { place };
            differences.push(format!("{place} is {}, not {}", told(found), told(wanted)));
        }
    }
}

/// All texts of a result, each on lines of its own.
fn text_of(result: &Map<String, Value>) -> String {
    let content = result.get("content").and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<_> = content.filter_map(|block| block.get("text").and_then(Value::as_str)).collect();
    texts.join("\n")
}

fn shown(result: &Map<String, Value>) -> String {
    let what = result.get("structuredContent").map_or_else(|| text_of(result), Value::to_string);
    mcp::text::line(&what, 400)
}

fn table(outcomes: &[Outcome<'_>], failed: usize) -> String {
    let widest = outcomes.iter().map(|outcome| outcome.case.name.chars().count()).max().unwrap_or(0).min(60);
    let mut text = String::new();
    for Outcome { case, differences, seen } in outcomes {
        let mark = if differences.is_empty() { "✓" } else { "✗" };
        let name = mcp::text::line(&case.name, 60);
        text.push_str(&format!("{mark} {name:widest$}"));
        if let Some(seen) = seen {
            text.push_str(&format!("  {:>9}  cpu {:>9}", output::took(seen.took), output::took(seen.usage.cpu)));
        }
        text.push('\n');
        if differences.is_empty() {
            continue;
        }
        text.push_str(&format!("    line {}: {} {}\n", case.line, case.tool, mcp::text::line(&json!(case.arguments).to_string(), 200)));
        differences.iter().for_each(|difference| text.push_str(&format!("    {difference}\n")));
        for (_, words) in seen.iter().flat_map(|seen| &seen.words) {
            said(words).for_each(|line| text.push_str(&format!("    | {line}\n")));
        }
    }
    let passed = outcomes.len().saturating_sub(failed);
    text.push_str(&format!("{passed} of {} cases came out as expected\n", outcomes.len()));
    text
}

fn in_json(outcomes: &[Outcome<'_>]) -> String {
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let each = outcomes.iter().map(|Outcome { case, differences, seen }| {
        json!({
            "name": case.name,
            "line": case.line,
            "tool": case.tool,
            "ok": differences.is_empty(),
            "differences": differences,
            "took_us": seen.as_ref().map(|seen| micros(seen.took)),
            "cpu_us": seen.as_ref().map(|seen| micros(seen.usage.cpu)),
            "memory_bytes": seen.as_ref().map(|seen| seen.usage.memory_bytes),
        })
    });
    let each: Vec<_> = each.collect();
    let ok = outcomes.iter().all(|outcome| outcome.differences.is_empty());
    format!("{:#}\n", json!({ "ok": ok, "cases": each }))
}
