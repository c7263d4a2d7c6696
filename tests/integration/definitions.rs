//! What a guest says of its tools, checked before anybody hears it. Cases L14 to L19 of the catalogue.

use super::command::{Place, Ran};
use crate::harness::fixture;
use serde_json::{Value, json};
use std::fs;

/// The fixture, with these tools instead of its own.
pub(super) fn described(tools: &Value) -> Vec<u8> {
    let mut bytes = fs::read(fixture("described")).expect("the fixture");
    let at = bytes.windows(12).position(|window| window == b"[{\"DESCRIBED").expect("the marker");
    let place = &mut bytes[at..at + 4096];
    let text = tools.to_string();
    place.fill(b' ');
    place[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// Checks a directory of one plugin for each list of tools; the names say which.
fn check(lists: &[(&str, Value)]) -> Ran {
    let place = Place::new();
    for (name, tools) in lists {
        fs::write(place.plugins().join(format!("{name}.wasm")), described(tools)).expect("written");
    }
    place.run(&["check", "--json"])
}

#[test]
fn definitions_that_are_wrong_are_refused_with_their_reason() {
    let tool = |name: &str, member: &str, value: Value| json!([{ "name": name, member: value }]);
    let schema = |text: &str| tool("t", "input", text.into());
    let deep = format!("{}{}{}", r#"{"type":"object","not":"#.repeat(33), r#"{"type":"object"}"#, "}".repeat(33));
    let twice = json!([{ "name": "same" }, { "name": "same" }]);
    let mirrored = r#"{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"H"},"b":{"type":"string","x-mcp-header":"h"}}}"#;
    let wrong = [
        ("none", json!([]), "it offers nothing: all its lists are empty"),
        ("too-many", json!([{ "name": "t", "copies": 129 }]), "it has 129 tools; the limit is 128"),
        ("twice", twice, "tool `same`: it is listed twice"),
        ("name-long", json!([{ "name": "n".repeat(129) }]), "a name has 1 to 128 of A-Z a-z 0-9 _ . -"),
        ("name-override", json!([{ "name": "e\u{202e}ohc" }]), "a name has 1 to 128 of A-Z a-z 0-9 _ . -"),
        ("text-none", tool("t", "description", "  ".into()), "it has no description, which is what a model chooses by"),
        ("text-long", tool("t", "long", 5000.into()), "description has 5022 bytes; the limit is 4096"),
        ("text-escape", tool("t", "description", "\u{1b}[31m".into()), "description has the invisible character U+001B"),
        ("text-tag", tool("t", "description", "a\u{e0041}b".into()), "description has the invisible character U+E0041"),
        ("title-tag", tool("t", "title", "a\u{e0041}b".into()), "title has the invisible character U+E0041"),
        ("schema-none", schema("{"), "input-schema is no JSON"),
        ("schema-root", schema("{}"), "the root of input-schema must say \"type\": \"object\""),
        ("schema-type", schema(r#"{"type":"object","properties":{"a":{"type":"text"}}}"#), "input-schema is no valid JSON Schema"),
        ("schema-key", schema(r#"{"type":"object","type":"object"}"#), "input-schema is no JSON"),
        ("schema-deep", schema(&deep), "input-schema is nested more than 32 levels deep"),
        ("schema-pattern", schema(r#"{"type":"object","properties":{"a":{"pattern":"(?=a)"}}}"#), "input-schema is no valid JSON Schema"),
        (
            "schema-ref",
            schema(r#"{"type":"object","$ref":"http://127.0.0.1:9/s"}"#),
            "input-schema refers to `http://127.0.0.1:9/s`, which is outside of it",
        ),
        ("output-type", tool("t", "output", r#"{"type":"nothing"}"#.into()), "output-schema is no valid JSON Schema"),
        (
            "schema-dialect",
            schema(r#"{"$schema":"https://example.com/schema","type":"object"}"#),
            "input-schema is in the dialect `https://example.com/schema`; known are 2020-12, ",
        ),
        ("meta", tool("t", "meta", "[]".into()), "meta must be a JSON object"),
        ("meta-blank", tool("t", "meta", r#"{"a b/c":1}"#.into()), "meta has the key `a b/c`"),
        ("meta-label", tool("t", "meta", r#"{"1a/b":1}"#.into()), "meta has the key `1a/b`"),
        ("meta-name", tool("t", "meta", r#"{"a/-b":1}"#.into()), "meta has the key `a/-b`"),
        ("icon", tool("t", "icon", "javascript:alert(1)".into()), "an icon's src must be an https: or data: URL"),
        ("headers", schema(mirrored), "input-schema: x-mcp-header \"Mcp-Param-"),
        ("hang", tool("t", "hang", true.into()), "its lists failed: the call was stopped after 1000 ms of "),
        ("trap", tool("t", "trap", true.into()), "its lists failed: the guest trapped"),
    ];
    let lists: Vec<_> = wrong.iter().map(|(name, tools, _)| (*name, tools.clone())).collect();
    let ran = check(&lists);
    assert_eq!(ran.code, 1, "{ran:?}");
    let report = ran.json();
    assert_eq!((&report["ok"], &report["plugins"]), (&json!(false), &json!([])));
    let problems = report["problems"].as_array().expect("a list");
    for (name, _, reason) in &wrong {
        let told = problems.iter().find(|problem| problem["plugin"] == *name).map(|problem| problem["reason"].to_string());
        let reason = Value::from(*reason).to_string();
        assert!(told.as_ref().is_some_and(|told| told.contains(reason.trim_matches('"'))), "{name}: {told:?}");
    }
    assert_eq!(problems.len(), wrong.len());
}

#[test]
fn definitions_at_the_limits_are_taken() {
    let deep = format!("{}{}{}", r#"{"type":"object","not":"#.repeat(31), r#"{"type":"object"}"#, "}".repeat(31));
    let right = [
        ("many", json!([{ "name": "many", "copies": 128 }])),
        ("name", json!([{ "name": "n".repeat(128) }])),
        ("cases", json!([{ "name": "Case" }, { "name": "case" }])),
        ("text", json!([{ "name": "text", "description": "Line one\n\tand 😀 é.", "title": "Ein Werkzeug" }])),
        ("deep", json!([{ "name": "deep", "input": deep }])),
        (
            "inner",
            json!([{ "name": "inner", "input": r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"type":"string"}}}"## }]),
        ),
        ("icon", json!([{ "name": "icon", "icon": "data:image/png;base64,AA==" }])),
        ("meta", json!([{ "name": "meta", "meta": r#"{"com.example/a.b-c_d":1,"x":2,"a1.b-2/":3}"# }])),
    ];
    let ran = check(&right);
    assert_eq!((ran.code, &ran.json()["problems"]), (0, &json!([])), "{ran:?}");
}

/// A schema that names no dialect is of 2020-12; one that names another is read as that: in draft-07 `prefixItems` means nothing, and `items`
/// may be a list.
#[tokio::test]
async fn a_schema_is_read_in_its_dialect() {
    let pair = r#"{"type":"object","properties":{"p":{"prefixItems":[{"type":"string"}],"items":false}},"dependentRequired":{"a":["p"]},"unevaluatedProperties":false}"#;
    let old = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"p":{"items":[{"type":"string"}],"prefixItems":[{"type":"number"}]}}}"#;
    let gateway = crate::harness::Gateway::start().await;
    gateway.drop_in("dialects", &described(&json!([{ "name": "newest", "input": pair }, { "name": "older", "input": old }])));
    let listed = async || {
        let tools = gateway.modern(crate::harness::Modern::new("tools/list", json!({}))).await.result()["tools"].to_string();
        tools.contains("\"newest\"").then_some(())
    };
    crate::harness::eventually("the tools are there", std::time::Duration::from_secs(20), listed).await;
    let table = [
        ("newest", json!({ "p": ["x"] }), true),
        ("newest", json!({ "p": [1] }), false),
        ("newest", json!({ "p": ["x", 2] }), false),
        ("newest", json!({ "a": 1 }), false),
        ("newest", json!({ "b": 1 }), false),
        ("older", json!({ "p": ["x", 2] }), true),
        ("older", json!({ "p": [1] }), false),
    ];
    for (tool, arguments, fits) in table {
        let refused = gateway.call(tool, arguments.clone()).await.result()["isError"] == true;
        assert_eq!(!refused, fits, "{tool} {arguments}");
    }
}

/// `(a+)+$` against 64 KiB of `a` and a `b`: an engine that goes back and tries again would take longer than the universe.
#[test]
fn l17_a_pattern_takes_time_in_proportion_to_its_input() {
    let input = r#"{"type":"object","properties":{"a":{"type":"string","pattern":"^(a+)+$"}}}"#;
    let place = Place::new();
    fs::write(place.plugins().join("pattern.wasm"), described(&json!([{ "name": "pattern", "input": input }]))).expect("written");
    let gateway = place.serve(&[]);
    let began = std::time::Instant::now();
    let ran = place.run(&["call", "pattern", "--url", &gateway.url, "--arg", &format!("a={}b", "a".repeat(64 << 10))]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.starts_with("The arguments do not fit the tool's input schema: /a: "), "{ran:?}");
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[test]
fn fixtures_that_refuse_or_repeat_themselves_are_refused() {
    let place = Place::with(&[("broken-list", fixture("broken-list")), ("duplicate-names", fixture("duplicate-names"))]);
    let ran = place.run(&["check"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("broken-list: its list-tools refused: told to refuse\n"), "{ran:?}");
    assert!(ran.out.contains("duplicate-names: tool `same`: it is listed twice\n"), "{ran:?}");
}
