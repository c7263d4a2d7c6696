//! Components that are written to do harm, instruction by instruction: texts of WebAssembly below `tests/evil`, and more that are made here.
//! Cases L12 to L15 and R01 to R31 of the catalogue, where no toolchain makes what they are about.

use super::command::{Place, Ran};
use crate::harness::{Answer, Gateway, Modern, Setup, fixture, process, root};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// What a loaded machine may take beyond a limit that is stated in milliseconds.
const MARGIN: Duration = Duration::from_secs(3);

fn assembled(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// One of the files.
fn evil(name: &str) -> Vec<u8> {
    let path = root().join("tests/evil").join(format!("{name}.wat"));
    assembled(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// A gateway that serves some of the files, and the toolbox.
async fn serving(names: &[&str], limits: &str) -> Gateway {
    let settings = format!("[limits]\n{limits}\n");
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    for name in names {
        gateway.drop_in(name, &evil(name));
    }
    let served = || async {
        let tools = gateway.tools().await;
        names.iter().all(|name| tools.iter().any(|tool| tool.starts_with(&format!("{name}_")))).then_some(())
    };
    crate::harness::eventually("they are served", Duration::from_secs(20), served).await;
    gateway
}

async fn well(gateway: &Gateway) {
    assert_eq!(gateway.call("echo", json!({ "message": "well" })).await.tool_text(), "well");
}

/// Calls a tool that must end in an error inside of HTTP 200, and sees that the gateway is well after it.
async fn ends(gateway: &Gateway, tool: &str, arguments: Value, code: i64, kind: &str) -> Answer {
    let answer = gateway.call(tool, arguments).await;
    assert_eq!((answer.status, answer.code(), answer.kind()), (200, code, kind), "{tool}: {answer:?}");
    well(gateway).await;
    answer
}

async fn number(gateway: &Gateway, tool: &str) -> Value {
    gateway.call(tool, json!({})).await.result()["structuredContent"].clone()
}

#[tokio::test]
async fn r01_r30_loops_end_whatever_they_are_made_of() {
    let gateway = serving(&["running"], "call_cpu_time_ms = 300\ncall_wall_time_ms = 20000").await;
    for tool in ["running_spin", "running_copy"] {
        let began = Instant::now();
        ends(&gateway, tool, json!({}), -31001, "cpu_time").await;
        assert!(began.elapsed() < Duration::from_millis(300) + MARGIN, "{tool}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn r03_r05_memory_and_tables_end_at_their_limits() {
    let gateway = serving(&["running"], "").await;
    assert_eq!(number(&gateway, "running_grow_memory").await, 1_024, "pages of 64 KiB");
    assert_eq!(number(&gateway, "running_grow_table").await, 20_000);
    assert_eq!(number(&gateway, "running_grow_table_at_once").await, -1);
    let answer = ends(&gateway, "running_need_table", json!({}), -31003, "resource_limit").await;
    assert_eq!(answer.error()["message"], "The plugin ran out of table elements");

    let gateway = serving(&["running"], "call_memory_bytes_max = 1048576\ncall_table_elements_max = 100").await;
    assert_eq!(number(&gateway, "running_grow_memory").await, 16);
    assert_eq!(number(&gateway, "running_grow_table").await, 100);
}

#[tokio::test]
async fn r06_r07_falls_tell_nothing() {
    let gateway = serving(&["running"], "").await;
    ends(&gateway, "running_recurse", json!({}), -31002, "stack_exhausted").await;
    for fall in ["unreachable", "divide", "overflow", "convert", "load", "null_call", "no_element"] {
        let answer = ends(&gateway, &format!("running_{fall}"), json!({}), -31002, "tool_trap").await;
        assert_eq!(*answer.error(), json!({ "code": -31002, "message": "The plugin crashed", "data": { "kind": "tool_trap" } }), "{fall}");
    }
}

#[tokio::test]
async fn r11_texts_that_are_none_are_falls() {
    let gateway = serving(&["texts"], "").await;
    for text in
        ["not_utf8", "outside", "over_the_end", "longest", "longest_utf16", "odd_utf16", "half_a_pair", "nowhere", "askew", "no_char"]
    {
        ends(&gateway, &format!("texts_{text}"), json!({}), -31002, "tool_trap").await;
    }
}

#[tokio::test]
async fn r15_a_flood_of_host_calls_ends() {
    for limits in ["", "call_host_calls_max = 1000"] {
        let gateway = serving(&["asking"], &format!("call_cpu_time_ms = 60000\n{limits}")).await;
        let answer = ends(&gateway, "asking_ask", json!({}), -31003, "resource_limit").await;
        assert_eq!(answer.error()["message"], "The plugin ran out of calls to the host");
    }
}

#[tokio::test]
async fn r32_a_guest_without_a_stack_can_call_the_host() {
    let gateway = serving(&["asking"], "").await;
    ends(&gateway, "asking_deeper", json!({}), -31002, "stack_exhausted").await;
}

#[tokio::test]
async fn r18_handles_end_at_their_limit() {
    let gateway = serving(&["handles"], "call_handles_max = 100").await;
    assert!(gateway.call("handles_make", json!({ "wanted": 90 })).await.message().get("error").is_none());
    let before = process::resident_kib(gateway.pid());
    for tool in ["handles_make", "handles_make_inside"] {
        ends(&gateway, tool, json!({ "wanted": 101 }), -31003, "resource_limit").await;
        ends(&gateway, tool, json!({ "wanted": 100_000_000 }), -31003, "resource_limit").await;
    }
    let after = process::resident_kib(gateway.pid());
    assert!(after < before + (128 << 10), "{before} KiB, then {after} KiB");
}

#[tokio::test]
async fn randomness_and_progress_end_where_the_settings_say() {
    let settings = "[limits]\ncall_random_bytes_max = 1024\ncall_progress_reports_max = 5\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await;
    assert_eq!(gateway.call("random_at_once", json!({ "bytes": 1_024 })).await.tool_text(), "got 1024 bytes");
    ends(&gateway, "random_at_once", json!({ "bytes": 1_025 }), -31002, "tool_trap").await;
    let answer = gateway.modern(Modern::call_with_progress("progress_flood", json!({ "n": 100 }))).await;
    assert_eq!((answer.tool_text(), answer.notifications().len()), ("reported 100 times", 5));
}

/// Checks a directory of these components; the names say which is which.
fn check(components: &[(&str, String)]) -> Ran {
    let place = Place::new();
    for (name, text) in components {
        fs::write(place.plugins().join(format!("{name}.wasm")), assembled(text)).expect("written");
    }
    place.run(&["check", "--json"])
}

/// Each is refused, with a reason that says this.
fn refused(components: &[(&str, String, &str)]) {
    let parts: Vec<_> = components.iter().map(|(name, text, _)| (*name, text.clone())).collect();
    let ran = check(&parts);
    assert_eq!(ran.code, 1, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["plugins"], json!([]), "{report}");
    let problems = report["problems"].as_array().expect("a list");
    let mut other = Vec::new();
    for (name, _, reason) in components {
        let told = problems.iter().find(|problem| problem["plugin"] == *name).and_then(|problem| problem["reason"].as_str());
        if !told.is_some_and(|told| told.contains(reason)) {
            other.push(format!("{name}: {told:?}"));
        }
    }
    assert!(other.is_empty(), "{}", other.join("\n"));
}

/// A component with one tool, whose module holds this beside it.
fn holding(fields: &str) -> String {
    format!(
        r#"(component (core module $m {fields} (func (export "f"))) (core instance $i (instantiate $m))
           (func (export "f") (canon lift (core func $i "f"))))"#
    )
}

/// The same, with this in the component beside the module.
fn beside(fields: &str) -> String {
    holding("").replacen("(component ", &format!("(component {fields} "), 1)
}

/// The same with so many instances of its module.
fn instances(count: usize) -> String {
    let more = "(core instance (instantiate $m))".repeat(count - 1);
    format!(
        r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m)) {more}
           (func (export "f") (canon lift (core func $i "f"))))"#
    )
}

#[test]
fn r31_what_toolchains_do_not_need_is_refused() {
    refused(&[
        ("shared", holding("(memory 1 1 shared)"), "threads must be enabled"),
        ("atomics", holding("(memory 1) (func (drop (i32.atomic.load (i32.const 0))))"), "threads support is not enabled"),
        ("memory64", holding("(memory i64 1)"), "memory64 must be enabled"),
        ("gc", holding("(type (struct))"), "gc"),
        ("exceptions", holding("(tag)"), "exceptions"),
        ("relaxed", holding("(func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))"), "relaxed SIMD"),
        ("memories", holding(&"(memory 1)".repeat(1_000)), "memories"),
    ]);
}

#[test]
fn r03_r05_what_asks_for_too_much_to_begin_with_is_refused() {
    refused(&[
        ("memory", holding("(memory 65536)"), "memory"),
        ("table", holding("(table 10000000 funcref)"), "table"),
        ("instances", instances(65), "instance"),
        ("ten-thousand", instances(10_000), "instance"),
    ]);
    let ran = check(&[("sixty-four", instances(64))]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn l12_l13_what_would_be_much_work_is_refused() {
    let types = (1..=20).map(|level| format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1)).collect::<String>();
    let more = (0..1_001).map(|n| format!("(export \"e{n}\" (func $f))")).collect::<String>();
    let exports = format!(
        r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
           (func $f (canon lift (core func $i "f"))) {more})"#
    );
    refused(&[
        ("locals", holding(&format!("(func (local {}))", "i32 ".repeat(100_000))), "too many locals"),
        ("targets", holding(&format!("(func (param i32) local.get 0 br_table {})", "0 ".repeat(1_000_000))), "`br_table` has"),
        ("doubled", beside(&format!("(type $t0 (tuple u8 u8)) {types}")), "effective type size exceeds the limit"),
        ("exports", exports, "the component has 1001 exports; the limit is 1000"),
    ]);
    // A chain of aliases is long and no work.
    let chain = (1..=2_000).map(|n| format!("(alias outer 0 {} (type))", n - 1)).collect::<String>();
    let ran = check(&[("chain", beside(&format!("(type u8) {chain}")))]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// It is started to be looked at, and has a second for that.
#[test]
fn l14_a_start_that_never_ends_keeps_it_from_being_served() {
    let place = Place::with(&[("mirrored", fixture("mirrored"))]);
    fs::write(place.plugins().join("starting.wasm"), evil("starting")).expect("written");
    let ran = place.run(&["check", "--json"]);
    let report = ran.json();
    let reason = report["problems"][0]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("its lists failed: the call was stopped after 1000 ms of "), "{reason}");
    assert_eq!((ran.code, report["plugins"].as_array().map(Vec::len)), (1, Some(1)), "another one is well: {report}");
}

#[test]
fn l15_what_is_asynchronous_is_refused() {
    let lifted = r#"(component
        (core module $m
          (func (export "f") (result i32) (i32.const 0))
          (func (export "c") (param i32 i32 i32) (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func (export "f") (canon lift (core func $i "f") async (callback (core func $i "c")))))"#;
    refused(&[
        ("stream", beside("(type (stream u8))"), "`stream` requires the component model async feature"),
        ("future", beside("(type (future u8))"), "`future` requires the component model async feature"),
        ("lift", lifted.to_owned(), "`async` requires the component model async feature"),
    ]);
}
