//! `gatehouse limits`: every limit of the settings, as the gateway reads them and as `host/README.md` has them.

use super::command::Place;
use crate::harness::root;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

fn all(place: &Place) -> Vec<Value> {
    let ran = place.run(&["limits", "--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    ran.json()["limits"].as_array().expect("a list").clone()
}

fn of<'l>(limits: &'l [Value], key: &str) -> &'l Value {
    let found: Vec<_> = limits.iter().filter(|limit| limit["key"] == key).collect();
    let [limit] = found[..] else { panic!("{key} is there {} times", found.len()) };
    limit
}

/// Statuses and codes that a text names.
fn answers(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '-' && c != ',');
    let words = words.map(|word| word.trim_matches(',').trim_end_matches('-'));
    let is_status = |word: &str| word.len() == 3 && (word.starts_with('4') || word.starts_with('5'));
    words.filter(|word| is_status(word) || (word.starts_with("-3") && word.len() == 6)).collect()
}

/// What is said of a limit here and there is one thing: its default, its range, and what is answered beyond it.
#[test]
fn the_command_and_the_page_agree() {
    let place = Place::new();
    let limits = all(&place);
    let page = fs::read_to_string(root().join("host/README.md")).expect("the page");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `limits."))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 69, "{} rows", rows.len());
    let figure = |text: &str| text.replace(',', "").parse::<u64>().ok();
    let mut broken = Vec::new();
    for row in &rows {
        let [key, default, range, meaning] = row[..] else { panic!("{row:?}") };
        let key = key.trim_matches('`');
        let limit = of(&limits, key);
        let (least, greatest) = range.split_once(" to ").expect("a range");
        if (limit["min"].as_u64(), limit["max"].as_u64()) != (figure(least), figure(greatest)) {
            broken.push(format!("{key}: {range} and not {} to {}", limit["min"], limit["max"]));
        }
        // Others depend on the machine or on other settings.
        let alone = default.split(" (").next().and_then(figure);
        if alone.is_some_and(|alone| limit["default"] != alone || limit["value"] != alone) {
            broken.push(format!("{key}: {default} and not {}", limit["default"]));
        }
        let beyond = limit["beyond"].as_str().unwrap_or_default();
        if !meaning.contains(beyond) || answers(meaning) != answers(beyond) {
            broken.push(format!("{key}: `{meaning}` and not `{beyond}`"));
        }
    }
    let fixed = page
        .split("These cannot be set.")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .expect("those that cannot be set")
        .replace(',', "")
        .replace('\n', " ");
    for limit in limits.iter().filter(|limit| limit["key"].as_str().is_some_and(|key| key.starts_with("fixed."))) {
        let (value, is_size) = (limit["value"].as_u64().expect("a number"), limit["unit"] == "bytes");
        let unit = [(30, " GiB"), (20, " MiB"), (10, " KiB")].into_iter().find(|(bits, _)| is_size && value % (1_u64 << bits) == 0);
        let figure = unit.map_or_else(|| format!("{value}"), |(bits, unit)| format!("{}{unit}", value >> bits));
        if !fixed.contains(&format!(" {figure} ")) {
            broken.push(format!("{}: {figure} is not among those that cannot be set", limit["key"]));
        }
    }
    let shown = limits.iter().filter_map(|limit| limit["key"].as_str()).filter(|key| key.starts_with("limits."));
    let on_page = |key: &str| rows.iter().any(|row| row[0].trim_matches('`') == key);
    broken.extend(shown.filter(|key| !on_page(key)).map(|key| format!("{key} is not on the page")));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn what_the_settings_say_is_shown_with_its_line() {
    let place = Place::new();
    place.settings(
        "[limits]\ncall_cpu_time_ms = 250\n\n[quotas.tool]\ncalls_per_second_max = 5\n\n[tenants.acme]\ncalls_in_flight_max = 7\n\n\
         [grants.weather]\nplugin = \"weather\"\nhttp.allow = [\"https://api.example.com\"]\nhttp.timeout_ms = 900\n\n[tenants.default]\n",
    );
    let limits = all(&place);
    let expected = json!({
        "key": "limits.call_cpu_time_ms", "subject": "One call", "value": 250, "unit": "ms", "default": 5_000, "min": 1, "max": 300_000,
        "line": 2, "beyond": "-31001",
    });
    assert_eq!(*of(&limits, "limits.call_cpu_time_ms"), expected);
    for (key, value, line) in [
        ("limits.call_wall_time_ms", 30_000, Value::Null),
        ("quotas.tool.calls_per_second_max", 5, json!(5)),
        ("quotas.tenant.calls_per_second_max", 0, Value::Null),
        ("tenants.acme.calls_in_flight_max", 7, json!(8)),
        ("grants.weather.http.timeout_ms", 900, json!(13)),
        ("grants.weather.http.requests_per_call_max", 16, Value::Null),
        ("store.ring_events", 100, Value::Null),
        ("journal.age_max_days", 30, Value::Null),
    ] {
        let limit = of(&limits, key);
        assert_eq!((&limit["value"], &limit["line"]), (&json!(value), &line), "{key}");
    }

    let ran = place.run(&["limits"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let row =
        |key: &str| ran.out.lines().find(|line| line.trim_start().starts_with(key)).map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert!(ran.out.starts_with("Settings: gatehouse.toml\n\nConnections and requests\n"), "{}", ran.out);
    assert_eq!(row("call_cpu_time_ms").expect("a row"), ["call_cpu_time_ms", "250", "ms", "line", "2", "1", "to", "300,000", "-31001"]);
    assert_eq!(row("acme.calls_in_flight_max").expect("a row")[1..4], ["7", "line", "8"]);
    assert_eq!(row("acme.weight"), None, "what a tenant does not say is left out");
}

#[test]
fn settings_that_are_wrong_have_no_limits() {
    let place = Place::new();
    place.settings("[limits]\ncall_cpu_time_ms = 0\n");
    let ran = place.run(&["limits", "--json"]);
    assert_eq!((ran.code, ran.out.as_str()), (78, ""), "{ran:?}");
    assert!(ran.err.contains("line 2: limits.call_cpu_time_ms: must be a whole number from 1 to 300000"), "{ran:?}");
}
