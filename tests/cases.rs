//! The ledger of cases about plugins, `conformance/cases.toml`: each names tests that are there, and says what none of them shows.

use crate::clauses::leads_somewhere;
use crate::harness::root;
use std::collections::BTreeSet;
use std::fs;
use toml::{Table, Value};

const LEDGER: &str = "tests/conformance/cases.toml";
/// No case gets lost.
const CASES: [&str; 51] = [
    "L01", "L02", "L03", "L04", "L06", "L08", "L09", "L10", "L11", "L12", "L13", "L14", "L15", "L16", "L17", "L18", "L19", "L20", "L21",
    "L22", "L24", "L25", "R01", "R02", "R03", "R04", "R05", "R06", "R07", "R08", "R09", "R11", "R12", "R13", "R15", "R16", "R18", "R19",
    "R20", "R21", "R23", "R25", "R26", "R27", "R28", "R30", "R31", "R32", "R33", "R34", "R35",
];

fn cases() -> Vec<Table> {
    let text = fs::read_to_string(root().join(LEDGER)).unwrap_or_else(|error| panic!("{LEDGER}: {error}"));
    let ledger: Table = toml::from_str(&text).unwrap_or_else(|error| panic!("{LEDGER}: {error}"));
    let cases = ledger.get("case").and_then(Value::as_array).expect("the ledger is a list of cases");
    cases.iter().map(|case| case.as_table().expect("a case is a table").clone()).collect()
}

fn text<'c>(case: &'c Table, member: &str) -> &'c str {
    case.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn every_case_is_there_once_and_in_order() {
    let cases = cases();
    let ids: Vec<_> = cases.iter().map(|case| text(case, "id")).collect();
    assert_eq!(ids, CASES);
}

#[test]
fn every_case_is_whole_and_its_tests_are_there() {
    let mut broken = Vec::new();
    for case in cases() {
        let id = text(&case, "id").to_owned();
        if case.keys().any(|key| !["id", "says", "tests", "open", "differs"].contains(&key.as_str())) {
            broken.push(format!("{id} has a member that nobody reads"));
        }
        let empty = |member: &&str| case.contains_key(*member) && text(&case, member).trim().is_empty();
        broken.extend(["says", "open", "differs"].iter().filter(|member| empty(member)).map(|member| format!("{id}: `{member}` is empty")));
        let tests = case.get("tests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let names: Vec<_> = tests.iter().map(|name| name.as_str().unwrap_or_default()).collect();
        if !case.contains_key("says") || names.is_empty() || names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            broken.push(format!("{id} says nothing, has no tests, or names one twice"));
        }
        broken.extend(names.iter().filter(|name| !leads_somewhere(name)).map(|name| format!("{id}: there is no {name}")));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
