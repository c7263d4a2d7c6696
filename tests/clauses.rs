//! The ledger of what the protocol demands, `conformance/clauses.toml`: each clause names tests that are there, or says why it has none.

use crate::harness::root;
use std::collections::BTreeSet;
use std::fs;
use toml::{Table, Value};

const LEDGER: &str = "tests/conformance/clauses.toml";
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];
/// No clause gets lost: who adds some raises it.
const CLAUSES_MIN: usize = 388;

fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

fn clauses() -> Vec<Table> {
    let text = read(LEDGER).unwrap_or_else(|| panic!("there is no {LEDGER}"));
    let ledger: Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{LEDGER}: {error}"));
    let clauses = ledger.get("clause").and_then(Value::as_array).expect("the ledger is a list of clauses");
    clauses.iter().map(|clause| clause.as_table().expect("a clause is a table").clone()).collect()
}

fn text<'c>(clause: &'c Table, member: &str) -> &'c str {
    clause.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// The names of a clause's tests; an entry that is no text is an empty name.
fn tests(clause: &Table) -> Vec<&str> {
    let names = clause.get("tests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    names.iter().map(|name| name.as_str().unwrap_or_default()).collect()
}

fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}\n  {}\n", broken.join("\n  "));
}

/// `revision/page/number`
fn is_id(id: &str) -> bool {
    let parts: Vec<_> = id.split('/').collect();
    let [revision, page, number] = parts[..] else { return false };
    let is_page = !page.is_empty() && page.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let is_number = number.len() == 2 && number != "00" && number.bytes().all(|byte| byte.is_ascii_digit());
    REVISIONS.contains(&revision) && is_page && is_number
}

/// What is wrong with an entry as such.
fn mistake(clause: &Table) -> Option<&'static str> {
    if clause.keys().any(|key| !["id", "says", "tests", "not_ours"].contains(&key.as_str())) {
        return Some("has a member that nobody reads");
    }
    if text(clause, "says").trim().is_empty() {
        return Some("says nothing");
    }
    let names = tests(clause);
    match (clause.contains_key("tests"), clause.contains_key("not_ours")) {
        (false, false) => Some("has neither tests nor a reason why it is not ours"),
        (true, true) => Some("has tests, and a reason why it is not ours"),
        (false, true) if text(clause, "not_ours").trim().is_empty() => Some("has an empty reason"),
        (true, false) if names.is_empty() || names.iter().any(|name| name.trim().is_empty()) => Some("has an empty list or name of tests"),
        (true, false) if names.iter().collect::<BTreeSet<_>>().len() < names.len() => Some("names a test twice"),
        _ => None,
    }
}

/// Whether a source has a test of that name, and not one that is left out of a run.
fn has_test(source: &str, function: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let signature = format!("fn {function}(");
    lines.iter().enumerate().any(|(at, line)| {
        let attributes = || lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        line.strip_prefix("async ").unwrap_or(line).starts_with(&signature)
            && attributes().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
            && !attributes().any(|line| line.starts_with("#[ignore"))
    })
}

/// Whether a name leads to a test, or to a scenario that the official suite is asked for.
pub fn leads_somewhere(name: &str) -> bool {
    if let Some(scenario) = name.strip_prefix("suite:") {
        let source = read("tests/integration/conformance.rs").expect("the official suite is run");
        return source.contains(&format!("\"{scenario}\""));
    }
    let Some((module, function)) = name.rsplit_once("::") else { return false };
    let sources = match module.split_once("::") {
        Some((home @ ("mcp" | "sandbox"), module)) => {
            let module = format!("host/crates/{home}/src/{}", module.replace("::", "/"));
            vec![format!("{module}/tests.rs"), format!("{module}.rs")]
        }
        Some(("host", module)) => {
            let module = format!("host/src/{}", module.replace("::", "/"));
            vec![format!("{module}/tests.rs"), format!("{module}.rs")]
        }
        Some(_) => return false,
        None => vec![format!("tests/integration/{module}.rs")],
    };
    sources.iter().filter_map(|source| read(source)).any(|source| has_test(&source, function))
}

#[test]
fn every_clause_is_whole_and_there_once() {
    let (mut seen, mut broken) = (BTreeSet::new(), Vec::new());
    for clause in clauses() {
        let id = text(&clause, "id");
        if !is_id(id) {
            broken.push(format!("`{id}` is no revision/page/number"));
        }
        if !seen.insert(id.to_owned()) {
            broken.push(format!("{id} is there twice"));
        }
        broken.extend(mistake(&clause).map(|mistake| format!("{id} {mistake}")));
    }
    none("An entry has an id of its own, says something, and has tests or a reason.", &broken);
}

#[test]
fn every_test_that_a_clause_names_is_there() {
    let mut broken = Vec::new();
    for clause in clauses() {
        let names = tests(&clause);
        let lost = names.iter().filter(|name| !leads_somewhere(name));
        broken.extend(lost.map(|name| format!("{}: there is no {name}", text(&clause, "id"))));
    }
    none("Whoever renames a test or takes it away looks after its clauses.", &broken);
}

#[test]
fn no_clause_gets_lost() {
    let clauses = clauses().len();
    assert!(clauses >= CLAUSES_MIN, "{clauses} clauses; there were {CLAUSES_MIN}");
}
