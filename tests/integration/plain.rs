//! Plain components: written without a thought of this gateway, and served like any other plugin.

use super::command::Place;
use crate::harness::{Answer, Gateway, Modern, Setup, eventually, fixture, plugin, rpc};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

async fn serving(settings: &str) -> Gateway {
    Gateway::with(Setup { fixtures: vec!["calculator", "shapes"], settings: settings.to_owned(), ..Setup::default() }).await
}

/// A tool's definition as modern clients see it; none where there is no such tool.
async fn defined(gateway: &Gateway, name: &str) -> Option<Value> {
    let answer = gateway.modern(Modern::new("tools/list", json!({}))).await;
    let tools = answer.result()["tools"].as_array().expect("a list").clone();
    tools.into_iter().find(|tool| tool["name"] == name)
}

/// Writes a component's side file whole.
fn beside(gateway: &Gateway, name: &str, text: &str) {
    let temporary = gateway.plugins.join(format!(".{name}.toml.new"));
    fs::write(&temporary, text).expect("written");
    fs::rename(temporary, gateway.plugins.join(format!("{name}.toml"))).expect("renamed");
}

async fn until_logged(gateway: &Gateway, text: &str) {
    eventually(text, SOON, || async { gateway.log().contains(text).then_some(()) }).await;
}

/// With the docs of its WIT, as tools of the component model put them in.
fn with_docs(component: &[u8], docs: &Value) -> Vec<u8> {
    let leb = |mut value: usize| {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let name = b"package-docs";
    let content = [&leb(name.len())[..], name, &[1], docs.to_string().as_bytes()].concat();
    [component, &[0], &leb(content.len()), &content].concat()
}

#[tokio::test]
async fn functions_are_listed_as_tools_with_schemas_of_their_types() {
    let gateway = serving("").await;
    let mut names = gateway.tools().await;
    names.sort();
    let shapes = [
        "bytes",
        "checked",
        "count",
        "empty",
        "figure",
        "files",
        "floats",
        "greeting",
        "large",
        "large_text",
        "letter",
        "maybe",
        "outcome",
        "perhaps",
        "points",
        "rights",
        "say",
        "small",
        "spin",
        "thing_length_max",
        "trap",
    ];
    let expected = ["add", "eval_expression", "run"].iter().map(|name| format!("calculator_{name}"));
    let expected: Vec<_> = expected.chain(shapes.iter().map(|name| format!("shapes_{name}"))).collect();
    assert_eq!(names, expected);

    let add = defined(&gateway, "calculator_add").await.expect("a function of the component itself");
    let bounds = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    assert_eq!(
        add,
        json!({
            "name": "calculator_add",
            "description": "The function `add` of the component `calculator`.",
            "inputSchema": {
                "type": "object", "properties": { "a": bounds, "b": bounds }, "required": ["a", "b"], "additionalProperties": false
            },
            "outputSchema": bounds,
            "annotations": { "readOnlyHint": true, "openWorldHint": false },
        })
    );
    let eval = defined(&gateway, "calculator_eval_expression").await.expect("a function of an interface");
    assert_eq!(
        eval["description"],
        "The function `eval-expression` of the interface `docs:calculator/calculate@0.1.0` in the component `calculator`."
    );
    let operations = json!({ "type": "string", "enum": ["add", "subtract", "multiply", "divide"] });
    assert_eq!(eval["inputSchema"]["properties"]["op"], operations);
    assert_eq!(defined(&gateway, "shapes_checked").await.expect("it is there").get("outputSchema"), None);
    assert_eq!(defined(&gateway, "shapes_empty").await.expect("it is there")["inputSchema"]["properties"], json!({}));
}

/// Clients of the handshake era know structures and their schemas as objects only; they have the text.
#[tokio::test]
async fn clients_of_both_eras_call_them() {
    let gateway = serving("").await;
    let modern = gateway.call("calculator_add", json!({ "a": 2, "b": 3 })).await;
    assert_eq!((&modern.result()["structuredContent"], modern.tool_text()), (&json!(5), "5"));
    let session = gateway.session("2025-06-18").await;
    let listed = gateway.legacy(Some(&session), rpc(1, "tools/list", json!({}))).await;
    let tools = listed.result()["tools"].as_array().expect("a list");
    let add = tools.iter().find(|tool| tool["name"] == "calculator_add").expect("it is listed");
    assert_eq!(add.get("outputSchema"), None, "{add}");
    let params = json!({ "name": "calculator_add", "arguments": { "a": 2, "b": 3 } });
    let legacy = gateway.legacy(Some(&session), rpc(2, "tools/call", params)).await;
    assert_eq!((legacy.tool_text(), legacy.result().get("structuredContent")), ("5", None));
}

/// Every type goes in and comes out again. Where it comes out in another form than it went in, that is the second of the two.
#[tokio::test]
async fn every_type_goes_in_and_comes_out() {
    let gateway = serving("").await;
    let point = json!({ "x": 0.5, "y": -1e30 });
    let named = json!({ "x": 0.1, "y": 0.0, "label": "a \"b\" \u{1F600}" });
    let same = |name, arguments: Value, result: Value| (name, arguments, result);
    let table = [
        same(
            "small",
            json!({ "a": -128, "b": 255, "c": -32768, "d": 65535, "e": i32::MIN, "f": u32::MAX }),
            json!([-128, 255, -32768, 65535, i32::MIN, u32::MAX]),
        ),
        same("small", json!({ "a": 127.0, "b": 0, "c": 1e3, "d": 0, "e": 0, "f": 0 }), json!([127, 0, 1000, 0, 0, 0])),
        same("large", json!({ "signed": i64::MIN, "unsigned": u64::MAX }), json!(["-9223372036854775808", "18446744073709551615"])),
        same("large", json!({ "signed": "9223372036854775807", "unsigned": "0" }), json!(["9223372036854775807", 0])),
        same("large", json!({ "signed": -(1_i64 << 53), "unsigned": "9007199254740993" }), json!([-(1_i64 << 53), "9007199254740993"])),
        same("floats", json!({ "single": 0.1, "double": 0.1 }), json!([0.1, 0.1])),
        same("floats", json!({ "single": "NaN", "double": "-Infinity" }), json!(["NaN", "-Infinity"])),
        same("letter", json!({ "letter": "\u{1F600}" }), json!("\u{1F600}")),
        same("bytes", json!({ "bytes": "AAECgP8=" }), json!("AAECgP8=")),
        same("bytes", json!({ "bytes": "" }), json!("")),
        same("points", json!({ "points": [point, named] }), json!([{ "x": 0.5, "y": -1e30 }, named])),
        same("points", json!({ "points": [{ "x": 1, "y": 2, "label": null }] }), json!([{ "x": 1.0, "y": 2.0 }])),
        same("figure", json!({ "shape": { "type": "nothing" } }), json!({ "type": "nothing" })),
        same("figure", json!({ "shape": { "value": [named, 2], "type": "circle" } }), json!({ "type": "circle", "value": [named, 2.0] })),
        same("figure", json!({ "shape": { "type": "polygon", "value": [] } }), json!({ "type": "polygon", "value": [] })),
        same("rights", json!({ "access": ["run-it", "read"] }), json!(["read", "run-it"])),
        same("rights", json!({ "access": [] }), json!([])),
        same("maybe", json!({}), json!(null)),
        same("maybe", json!({ "text": null }), json!(null)),
        same("maybe", json!({ "text": "" }), json!("")),
        same("perhaps", json!({}), json!(null)),
        same("perhaps", json!({ "twice": { "type": "some", "value": null } }), json!({ "type": "some", "value": null })),
        same("perhaps", json!({ "twice": { "type": "some", "value": 7 } }), json!({ "type": "some", "value": 7 })),
        same("outcome", json!({ "outcome": { "type": "ok", "value": 1 } }), json!([{ "type": "ok", "value": 1 }])),
        same("outcome", json!({ "outcome": { "type": "err", "value": "no" } }), json!([{ "type": "err", "value": "no" }])),
        same("count", json!({}), json!(1)),
        same("thing_length_max", json!({}), json!(64)),
    ];
    for (name, arguments, expected) in table {
        let answer = gateway.call(&format!("shapes_{name}"), arguments.clone()).await;
        let result = answer.result();
        assert_eq!((&result["structuredContent"], result.get("isError")), (&expected, None), "{name} {arguments}: {answer:?}");
    }
    // To the last digit; compared as text, because this reader of JSON rounds.
    let floats = gateway.call("shapes_floats", json!({ "single": f64::from(f32::MAX), "double": 5e-324 })).await;
    assert_eq!(floats.tool_text(), "[3.4028234663852886e+38,5e-324]");
    // A text is its own text form.
    let said = gateway.call("shapes_greeting", json!({ "text": "hé\n", "loud": true })).await;
    assert_eq!((said.tool_text(), &said.result()["structuredContent"]), ("HÉ\n", &json!("HÉ\n")));
    for (name, arguments) in [("empty", json!({})), ("checked", json!({ "even": 2 }))] {
        let nothing = gateway.call(&format!("shapes_{name}"), arguments).await;
        assert_eq!((&nothing.result()["content"], nothing.result().get("structuredContent")), (&json!([]), None), "{nothing:?}");
    }
}

fn failed(answer: &Answer) -> &str {
    assert_eq!((answer.status, &answer.result()["isError"]), (200, &json!(true)), "{answer:?}");
    assert_eq!(answer.result().get("structuredContent"), None, "it would have to fit the schema of what did not come");
    answer.tool_text()
}

#[tokio::test]
async fn an_error_of_the_function_is_the_tools_own_failure() {
    let gateway = serving("").await;
    let table = [
        ("calculator_eval_expression", json!({ "op": "divide", "x": 1, "y": 0 }), r#"{"type":"division-by-zero"}"#),
        ("calculator_eval_expression", json!({ "op": "add", "x": i64::MAX, "y": 1 }), r#"{"type":"overflow","value":"add"}"#),
        ("calculator_run", json!({ "steps": [{ "op": "add", "operand": 1 }, { "op": "divide", "operand": 0 }] }), "step 2 has no result"),
        ("shapes_checked", json!({ "even": 3 }), "3"),
    ];
    for (name, arguments, text) in table {
        assert_eq!(failed(&gateway.call(name, arguments).await), text, "{name}");
    }
    let steps = json!({ "steps": [{ "op": "add", "operand": "3" }, { "op": "multiply", "operand": i64::MAX / 3 }] });
    let run = gateway.call("calculator_run", steps).await;
    assert_eq!(run.result()["structuredContent"], json!([3, "9223372036854775806"]));
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_told_with_their_place() {
    let gateway = serving("").await;
    let many = vec![json!(0); 20_000];
    let table = [
        ("calculator_add", json!({ "a": 1 }), "\"b\" is a required property"),
        ("calculator_add", json!({ "a": 1, "b": 2, "c": 3 }), "'c' was unexpected"),
        ("calculator_add", json!({ "a": -1, "b": 2 }), "/a: -1 is less than the minimum of 0"),
        ("calculator_add", json!({ "a": 4_294_967_296_u64, "b": 2 }), "/a: 4294967296 is greater than the maximum of 4294967295"),
        ("calculator_add", json!({ "a": "1", "b": 2 }), "/a: \"1\" is not of type \"integer\""),
        ("calculator_eval_expression", json!({ "op": "power", "x": 1, "y": 2 }), "/op: \"power\" is not one of "),
        ("shapes_points", json!({ "points": [{ "x": 1, "y": 2 }, { "x": 1 }] }), "/points/1: \"y\" is a required property"),
        (
            "shapes_points",
            json!({ "points": many }),
            "the value does not fit, and is too large for its mistakes to be looked for; try a part of it",
        ),
        ("shapes_letter", json!({ "letter": "ab" }), "/letter: \"ab\" is longer than 1 character"),
        ("shapes_bytes", json!({ "bytes": "AAA" }), "/bytes: \"AAA\" does not match "),
        ("shapes_rights", json!({ "access": ["read", "read"] }), "/access: [\"read\",\"read\"] has non-unique elements"),
        ("shapes_figure", json!({ "shape": { "type": "square" } }), "/shape: "),
        ("shapes_figure", json!({ "shape": { "type": "polygon", "value": [{ "x": 1 }] } }), "/shape/value/0: \"y\" is a required property"),
        ("shapes_empty", json!({ "a": 1 }), "'a' was unexpected"),
        // The one thing that no schema says; the value itself is looked at.
        (
            "shapes_large",
            json!({ "signed": 0, "unsigned": "18446744073709551616" }),
            "/unsigned: it must be an integer from 0 to 18446744073709551615",
        ),
        (
            "shapes_large",
            json!({ "signed": "-9223372036854775809", "unsigned": 0 }),
            "/signed: it must be an integer from -9223372036854775808 to ",
        ),
    ];
    for (name, arguments, expected) in table {
        let answer = gateway.call(name, arguments).await;
        assert!(failed(&answer).contains(expected), "{name}, {expected}: {answer:?}");
    }
    // A client of before tool errors for arguments hears it as an error.
    let session = gateway.session("2025-06-18").await;
    let params = json!({ "name": "shapes_large", "arguments": { "signed": 0, "unsigned": "99999999999999999999" } });
    let legacy = gateway.legacy(Some(&session), rpc(2, "tools/call", params)).await;
    assert_eq!(legacy.code(), -32602, "{legacy:?}");
}

#[tokio::test]
async fn the_same_limits_hold_for_them() {
    let gateway = serving("[limits]\ncall_cpu_time_ms = 300\ncall_wall_time_ms = 20000\n").await;
    let check = async |name: &str, arguments: Value, code: i64, kind: &str| {
        let answer = gateway.call(name, arguments).await;
        assert_eq!((answer.status, answer.code(), answer.kind()), (200, code, kind), "{name}: {answer:?}");
        assert_eq!(gateway.call("calculator_add", json!({ "a": 1, "b": 1 })).await.result()["structuredContent"], 2);
    };
    check("shapes_spin", json!({}), -31001, "cpu_time").await;
    check("shapes_trap", json!({}), -31002, "tool_trap").await;
    check("calculator_add", json!({ "a": u32::MAX, "b": 1 }), -31002, "tool_trap").await;
    check("shapes_large_text", json!({ "kilobytes": 2_000 }), -31008, "result_too_big").await;
    // Nothing is granted.
    assert_eq!(failed(&gateway.call("shapes_files", json!({})).await), "no directory can be read");
    gateway.call("shapes_say", json!({ "line": "printed by a plain component" })).await.result();
}

/// Some values of few bytes of JSON are many in memory: what they become is limited, whatever the limit of arguments.
#[tokio::test]
async fn arguments_become_no_more_than_a_call_may_hand_over() {
    let gateway = serving("").await;
    let bytes = "AAAA".repeat(240_000);
    let answer = gateway.call("shapes_bytes", json!({ "bytes": bytes })).await;
    assert_eq!(failed(&answer), "/bytes: the arguments take more memory than a call may hand over");
    let bytes = "AAAA".repeat(40_000);
    let answer = gateway.call("shapes_bytes", json!({ "bytes": bytes })).await;
    assert_eq!(answer.result()["structuredContent"], bytes);
}

#[tokio::test]
async fn functions_that_are_no_tools_are_named() {
    let gateway = serving("").await;
    let expected = [
        (
            "docs:shapes/second#greeting",
            "`docs:shapes/mirror#greeting` is the tool `shapes_greeting` already; give one of them another `name` in the side file",
        ),
        ("docs:shapes/things#[constructor]thing", "its result has the resource `thing` in its type, which has no JSON form"),
        ("docs:shapes/things#[method]thing.name", "its parameter `self` has the resource `thing` in its type, which has no JSON form"),
        ("docs:shapes/things#borrowed", "its parameter `thing` has the resource `thing` in its type, which has no JSON form"),
        ("docs:shapes/wide#huge", "its parameter `j` has a type that is too large"),
    ];
    let place = Place::with(&[("shapes", fixture("shapes"))]);
    let file = place.plugins().join("shapes.wasm");
    let inspected = place.run(&["inspect", file.to_str().expect("text"), "--json"]);
    let report = inspected.json();
    assert_eq!((inspected.code, &report["world"]), (0, &json!("none of Gatehouse's: a plain component")));
    let mut skipped = report["skipped"].as_array().expect("a list").clone();
    skipped.sort_by_key(|skipped| skipped["function"].to_string());
    let all: Vec<_> = expected.iter().map(|(function, reason)| json!({ "function": function, "reason": reason })).collect();
    assert_eq!(skipped, all);
    let readable = place.run(&["inspect", file.to_str().expect("text")]);
    let checked = place.run(&["check", "--plugins", place.plugins().to_str().expect("text")]);
    for (function, reason) in expected {
        let told = || async { gateway.log().lines().any(|line| line.contains(function) && line.contains(reason)).then_some(()) };
        eventually(function, SOON, told).await;
        assert!(readable.out.contains(&format!("\n    {function}\n      {reason}\n")), "{}", readable.out);
        assert!(checked.out.contains(&format!("`{function}` is no tool: {reason}\n")), "{}", checked.out);
    }
    let report = place.run(&["check", "--json", "--plugins", place.plugins().to_str().expect("text")]).json();
    assert_eq!((&report["ok"], report["plugins"][0]["skipped"].as_array().map(Vec::len)), (&json!(true), Some(5)));
}

#[tokio::test]
async fn a_component_without_a_suitable_function_is_refused_with_all_reasons() {
    let place = Place::new();
    let ran = place.run(&["inspect", fixture("handle").to_str().expect("text"), "--json"]);
    let expected = "it is a plain component without a function that can be a tool: \
        `docs:handle/things#[constructor]thing`: its result has the resource `thing` in its type, which has no JSON form; \
        `docs:handle/things#take`: its parameter `thing` has the resource `thing` in its type, which has no JSON form; \
        `docs:handle/things#give`: its result has the resource `thing` in its type, which has no JSON form";
    let problem = ran.json()["problem"].clone();
    let sorted = |text: &str| {
        let mut parts: Vec<_> = text.split(": ").flat_map(|part| part.split("; ")).map(ToOwned::to_owned).collect();
        parts.sort();
        parts
    };
    assert_eq!((ran.code, sorted(problem.as_str().expect("a text"))), (1, sorted(expected)));
    let gateway = serving("").await;
    gateway.drop_in("handle", &fs::read(fixture("handle")).expect("the fixture"));
    until_logged(&gateway, "it is a plain component without a function that can be a tool").await;
    assert_eq!(gateway.tools().await.len(), 24, "the others go on");
}

/// A component with a function `fine`, which takes and gives nothing, and `feed`, which gives a stream of bytes.
fn with_a_stream() -> Vec<u8> {
    let section = |id: u8, content: &[u8]| [&[id, u8::try_from(content.len()).expect("short")], content].concat();
    let parts: [&[u8]; 5] =
        [b"\0asm\x01\0\0\0", b"\x02\x60\0\0\x60\0\x01\x7f", b"\x02\0\x01", b"\x02\x01f\0\0\x01g\0\x01", b"\x02\x02\0\x0b\x04\0\x41\0\x0b"];
    let module = [parts[0], &section(1, parts[1]), &section(3, parts[2]), &section(7, parts[3]), &section(10, parts[4])].concat();
    let sections = [
        section(1, &module),
        section(2, b"\x01\0\0\0"),
        section(6, b"\x02\0\0\x01\0\x01f\0\0\x01\0\x01g"),
        // A stream of bytes; a function without a result, and one with that.
        section(7, b"\x03\x66\x01\x7d\x40\0\x01\0\x40\0\0\0"),
        section(8, b"\x02\0\0\0\0\x01\0\0\x01\0\x02"),
        section(11, b"\x01\0\x04fine\x01\0\0"),
        section(11, b"\x01\0\x04feed\x01\x01\0"),
    ];
    [b"\0asm\x0d\0\x01\0", &sections.concat()[..]].concat()
}

/// The engine has no streams, so that nothing of such a component can run; who wrote it is told which function it is about.
#[tokio::test]
async fn a_component_with_a_stream_is_refused_by_the_name_of_its_function() {
    let expected = "it does not compile: `feed`: its result has a stream in its type; the engine takes no component with such a function, not even \
        for its others: build it without them, or give them a component of their own";
    let place = Place::new();
    let file = place.path().join("feeder.wasm");
    fs::write(&file, with_a_stream()).expect("written");
    let ran = place.run(&["inspect", file.to_str().expect("text"), "--json"]);
    assert_eq!((ran.code, ran.json()["problem"].as_str()), (1, Some(expected)), "{ran:?}");
    let gateway = serving("").await;
    gateway.drop_in("feeder", &with_a_stream());
    until_logged(&gateway, expected).await;
    assert_eq!(gateway.tools().await.len(), 24, "the others go on");
}

/// A file may have a name that no tool has.
#[tokio::test]
async fn a_name_that_no_tool_can_have_is_told() {
    let gateway = serving("").await;
    gateway.drop_in("a+b", &fs::read(fixture("calculator")).expect("the fixture"));
    until_logged(&gateway, "`a+b_add` is no name for a tool: 1 to 128 of A-Z a-z 0-9 _ . -; give it another `name` in the side file").await;
    beside(&gateway, "a+b", "[functions.add]\nname = \"sum\"\n");
    eventually("the one with a name is there", SOON, || defined(&gateway, "sum")).await;
    assert_eq!(gateway.call("sum", json!({ "a": 1, "b": 2 })).await.tool_text(), "3");
}

/// Comments of the WIT, in the section that tools of the component model put them in.
#[tokio::test]
async fn docs_of_the_wit_are_descriptions() {
    let gateway = serving("").await;
    let docs = json!({
        "worlds": { "calculator": { "func_exports": { "add": { "docs": "Adds two numbers." } } } },
        "interfaces": {
            "calculate": {
                "funcs": { "run": { "docs": "Takes the steps." } },
                "types": { "step": { "items": { "op": "What is done." } } }
            }
        }
    });
    gateway.drop_in("calculator", &with_docs(&fs::read(fixture("calculator")).expect("the fixture"), &docs));
    let described = async || {
        let add = defined(&gateway, "calculator_add").await?;
        (add["description"] == "Adds two numbers.").then_some(())
    };
    eventually("the docs are there", SOON, described).await;
    let run = defined(&gateway, "calculator_run").await.expect("it is there");
    assert_eq!(run["description"], "Takes the steps.");
    let step = &run["inputSchema"]["properties"]["steps"]["items"]["properties"];
    assert_eq!((&step["op"]["description"], step["operand"].get("description")), (&json!("What is done."), None));
    // What cannot be read is left out, and what would deceive a reader is refused.
    gateway.drop_in("calculator", &with_docs(&fs::read(fixture("calculator")).expect("the fixture"), &json!([1])));
    let undescribed = async || {
        let add = defined(&gateway, "calculator_add").await?;
        (add["description"] == "The function `add` of the component `calculator`.").then_some(())
    };
    eventually("the docs are gone", SOON, undescribed).await;
    let long = json!({ "worlds": { "calculator": { "funcs": { "add": { "docs": "d".repeat(5_000) } } } } });
    gateway.drop_in("calculator", &with_docs(&fs::read(fixture("calculator")).expect("the fixture"), &long));
    until_logged(&gateway, "its docs have 5000 bytes; the limit is 4096; give it a `description` in the side file").await;
    eventually("the function is no tool", SOON, || async { defined(&gateway, "calculator_add").await.is_none().then_some(()) }).await;
    assert!(defined(&gateway, "calculator_run").await.is_some());
    let hidden = json!({ "worlds": { "calculator": { "funcs": { "add": { "docs": "Adds\u{202e}." } } } } });
    gateway.drop_in("calculator", &with_docs(&fs::read(fixture("calculator")).expect("the fixture"), &hidden));
    until_logged(&gateway, "function `add`: description has the invisible character U+202E").await;
}

const SIDE: &str = r#"
[functions.add]
name = "plus"
title = "Plus"
description = "Adds."
read_only = false
destructive = false
idempotent = true
[functions.add.parameters]
a = "The first \"one\"."
[functions."docs:calculator/calculate@0.1.0#run"]
hidden = true
"#;

/// It says what types do not; each change of it is seen like one of the component.
#[tokio::test]
async fn a_side_file_names_explains_and_hides() {
    let gateway = serving("[limits]\ncall_cpu_time_ms = 300\n").await;
    beside(&gateway, "calculator", SIDE);
    let plus = eventually("the tool has its new name", SOON, || defined(&gateway, "plus")).await;
    let schema = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "The first \"one\"." });
    assert_eq!((&plus["title"], &plus["description"]), (&json!("Plus"), &json!("Adds.")));
    assert_eq!(plus["inputSchema"]["properties"]["a"], schema);
    let hints = json!({ "readOnlyHint": false, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false });
    assert_eq!(plus["annotations"], hints);
    assert_eq!(defined(&gateway, "calculator_run").await, None);
    assert_eq!(defined(&gateway, "calculator_add").await, None);
    assert!(defined(&gateway, "calculator_eval_expression").await.is_some());
    until_logged(&gateway, "plugin replaced plugin=calculator").await;

    // Two functions of one name, and one that need not be told about.
    beside(&gateway, "shapes", "[functions.\"docs:shapes/second#greeting\"]\nname = \"second\"\n[functions.borrowed]\nhidden = true\n");
    eventually("the second greeting is a tool", SOON, || defined(&gateway, "second")).await;
    assert_eq!(gateway.call("second", json!({})).await.tool_text(), "second");
    assert_eq!(gateway.call("shapes_greeting", json!({ "text": "first", "loud": false })).await.tool_text(), "first");

    // A time limit of its own, below that of the settings.
    beside(&gateway, "shapes", "[functions.spin]\nwall_time_ms = 50\n");
    let stopped = async || {
        let answer = gateway.call("shapes_spin", json!({})).await;
        (answer.error()["message"] == "The plugin was stopped after 50 ms").then_some(())
    };
    eventually("the limit of the side file holds", Duration::from_secs(20), stopped).await;

    fs::remove_file(gateway.plugins.join("calculator.toml")).expect("it was there");
    eventually("the tools are as before", SOON, || defined(&gateway, "calculator_run")).await;
}

/// The last good version goes on, with what it had beside it.
#[tokio::test]
async fn a_side_file_that_is_wrong_is_told_and_changes_nothing() {
    let gateway = serving("").await;
    beside(&gateway, "calculator", "[functions.add]\nname = \"plus\"\n");
    eventually("the side file holds", SOON, || defined(&gateway, "plus")).await;
    let wrong = [
        ("[functions.add]\ntitel = \"Add\"\n", "its side file: line 2: unknown field `titel`, expected one of `name`, `hidden`, "),
        ("[functions.sub]\n", "its side file: the component exports no function `sub`; it has `add`, "),
        ("[functions.add.parameters]\nc = \"?\"\n", "its side file: `add` has no parameter `c`"),
        ("[functions.add]\nname = \"a b\"\n", "function `add`: a name has 1 to 128 of A-Z a-z 0-9 _ . -"),
        ("[functions.add]\ndescription = \"a\\u200bb\"\n", "function `add`: description has the invisible character U+200B"),
        ("[functions", "its side file: line 1: "),
    ];
    for (text, reason) in wrong {
        beside(&gateway, "calculator", text);
        until_logged(&gateway, reason).await;
        assert!(defined(&gateway, "plus").await.is_some(), "{reason}");
    }
    fs::remove_file(gateway.plugins.join("calculator.toml")).expect("it was there");
    std::os::unix::fs::symlink("/etc/passwd", gateway.plugins.join("calculator.toml")).expect("a link");
    until_logged(&gateway, "its side file cannot be read: it is a symbolic link, which is not followed").await;
    fs::remove_file(gateway.plugins.join("calculator.toml")).expect("it was there");
    fs::write(gateway.plugins.join("calculator.toml"), " ".repeat(70_000)).expect("written");
    until_logged(&gateway, "its side file cannot be read: it has 70000 bytes; the limit is 65536").await;
    assert!(defined(&gateway, "plus").await.is_some());

    let shapes = [
        ("[functions.greeting]\ntitle = \"?\"\n", "`greeting` is the name of several functions; say which: "),
        (
            "[functions.borrowed]\ntitle = \"?\"\n",
            "`borrowed` cannot be a tool: its parameter `thing` has the resource `thing` in its type",
        ),
    ];
    for (text, reason) in shapes {
        beside(&gateway, "shapes", text);
        until_logged(&gateway, reason).await;
    }
    // A native plugin says all of this itself.
    gateway.drop_in("mirrored", &fs::read(fixture("mirrored")).expect("the fixture"));
    eventually("a native plugin is there", SOON, || defined(&gateway, "mirrored")).await;
    beside(&gateway, "mirrored", "[functions.mirrored]\nhidden = true\n");
    until_logged(&gateway, "its side file: the component lists its tools itself; `functions` is for components that do not").await;
    assert!(defined(&gateway, "mirrored").await.is_some());
}

/// An open gateway's caller has no scopes: for him a tool that demands one is not there.
#[tokio::test]
async fn scopes_of_a_side_file_are_asked_for() {
    let gateway = Gateway::with(Setup { fixtures: vec!["calculator"], ..Setup::default() }).await;
    assert!(defined(&gateway, "calculator_add").await.is_some());
    beside(&gateway, "calculator", "[functions.add]\nscopes = [\"sums\"]\n");
    eventually("it is hidden", SOON, || async { defined(&gateway, "calculator_add").await.is_none().then_some(()) }).await;
    assert_eq!(gateway.call("calculator_add", json!({ "a": 1, "b": 2 })).await.code(), -32602);
    let ran = gateway.call("calculator_run", json!({ "steps": [] })).await;
    assert_eq!(ran.result()["structuredContent"], json!([]));
}

/// From dropped in to replaced to gone, while it is called.
#[tokio::test]
async fn a_plain_component_is_replaced_while_it_is_called() {
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], ..Setup::default() }).await;
    gateway.drop_in("maths", &fs::read(fixture("calculator")).expect("the fixture"));
    eventually("it is named like its file", SOON, || defined(&gateway, "maths_add")).await;
    gateway.drop_in("maths", &fs::read(fixture("shapes")).expect("the fixture"));
    eventually("it is another one", SOON, || defined(&gateway, "maths_points")).await;
    assert_eq!(defined(&gateway, "maths_add").await, None);
    // A cut one is not served, and the whole one goes on.
    let whole = fs::read(fixture("calculator")).expect("the fixture");
    gateway.drop_in("maths", &whole[..whole.len() / 2]);
    until_logged(&gateway, "the new version of a plugin is not served; the last good one goes on plugin=maths").await;
    assert_eq!(gateway.call("maths_count", json!({})).await.result()["structuredContent"], 1);
    gateway.take_out("maths");
    eventually("it is gone", SOON, || async { defined(&gateway, "maths_count").await.is_none().then_some(()) }).await;
}

/// The example, from the command line: its descriptions are the comments of its WIT.
#[test]
fn the_example_is_inspected_and_called_from_the_command_line() {
    let place = Place::new();
    let units = plugin("units");
    let units = units.to_str().expect("text");
    let report = place.run(&["inspect", units, "--json"]).json();
    let tools = report["tools"].as_array().expect("a list");
    let convert = tools.iter().find(|tool| tool["name"] == "units_convert").expect("it is there");
    let description = convert["description"].as_str().expect("a text");
    assert!(description.starts_with("Converts a measurement to another unit of the same quantity"), "{description}");
    let measurement = &convert["inputSchema"]["properties"]["measurement"]["properties"];
    assert_eq!(
        (&measurement["value"]["description"], &measurement["unit"]["description"]),
        (&json!("The number."), &json!("What it counts."))
    );
    assert_eq!(report["skipped"], json!([]));
    let call = |tool: &str, arguments: Value| place.run(&["call", tool, "--plugin", units, "--json", &arguments.to_string()]);
    let measured = |value: f64, unit: &str| json!({ "value": value, "unit": unit });
    for (value, from, expected, to) in [
        (32.0, "fahrenheit", 0.0, "celsius"),
        (1.0, "foot", 12.0, "inch"),
        (26.2, "mile", 42.164_812_8, "kilometre"),
        (1.0, "us-gallon", 3_785.411_784, "millilitre"),
        (0.1, "knot", 0.1852, "kilometre-per-hour"),
    ] {
        let ran = call("units_convert", json!({ "measurement": measured(value, from), "to": to }));
        assert_eq!(ran.json()["structuredContent"], measured(expected, to), "{ran:?}");
    }
    let wrong = call("units_convert", json!({ "measurement": measured(1.0, "mile"), "to": "litre" }));
    assert_eq!((wrong.code, &wrong.json()["content"][0]["text"]), (1, &json!(r#"{"type":"incompatible","value":["length","volume"]}"#)));
    let all = call("units_convert_all", json!({ "measurements": [measured(1.0, "inch"), measured(1.0, "yard")], "to": "centimetre" }));
    assert_eq!(all.json()["structuredContent"], json!([measured(2.54, "centimetre"), measured(91.44, "centimetre")]));
    let listed = call("units_known", json!({ "quantity": "temperature" }));
    assert_eq!(listed.json()["structuredContent"], json!(["celsius", "fahrenheit", "kelvin"]));
    // Arguments by name, as people type them.
    let calculator = fixture("calculator");
    let typed = ["call", "calculator_add", "--plugin", calculator.to_str().expect("text"), "--arg", "a=2", "--arg", "b=3"];
    assert_eq!(place.run(&typed).out, "5\n");
    let greeted = fixture("shapes");
    let greeting = ["call", "shapes_greeting", "--plugin", greeted.to_str().expect("text"), "--arg", "text=hi", "--arg", "loud=false"];
    assert_eq!(place.run(&greeting).out, "\"hi\"\n");
}
