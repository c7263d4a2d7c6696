//! Official clients again, with everything that is no plain call: resources, prompts, completion, questions to the client, progress, logs,
//! cancellation, subscriptions, and lists that change while the client listens.
//!
//! The programs in `tests/clients` and the Rust SDK in `rust_sdk_offers` go through one series of steps and report what they saw; `expected`
//! is what they should have seen. A test of a client that shows it differently says why.

use super::clients::{LIMIT, installed};
use crate::harness::{Gateway, Setup, fixture, root};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

/// One slot, for which nobody waits long, and which nothing gives back but a cancellation: in this time no test ends by itself.
const SETTINGS: &str =
    "[limits]\ncalls_in_flight_max = 1\ncall_queue_timeout_ms = 200\ncall_wall_time_ms = 300000\ncall_cpu_time_ms = 300000\n";

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

#[derive(Clone, Copy, PartialEq)]
pub enum Era {
    Legacy,
    Modern,
}

/// A gateway with one slot, and everything that a component can offer.
pub async fn gateway() -> Gateway {
    Gateway::with(Setup { plugins: Vec::new(), fixtures: vec!["conformance-server", "misbehave"], settings: SETTINGS.to_owned() }).await
}

/// Drops in a component more: the list of tools has `version` from then on.
pub fn swap(gateway: &Gateway) {
    gateway.drop_in("versioned", &std::fs::read(fixture("versioned")).expect("a fixture"));
}

/// What a client of that era sees. An answer to a question comes back in the text of the tool that asked, after what the tool says.
pub fn expected(era: Era) -> Value {
    let accepted = |content: Value| json!({ "action": "accept", "content": content });
    let sampled = |text: &str| json!({ "role": "assistant", "model": "none", "content": { "type": "text", "text": text } });
    json!({
        "era": if era == Era::Legacy { "legacy" } else { "modern" },
        "ended": if era == Era::Legacy { "DELETE 204" } else { "n/a" },

        "resources": ["test://static-text", "test://static-binary", "test://watched-resource", "test://asks", "test://dynamic",
            "ui://conformance/board"],
        "templates": ["test://template/{id}/data"],
        "resource": "This is the content of the static text resource.",
        "binary": PNG,
        "from_template": r#"{"id":"7","templateTest":true,"data":"Data for ID: 7"}"#,
        "no_resource": if era == Era::Legacy { -32002 } else { -32602 },

        "prompts": ["test_simple_prompt", "test_prompt_with_arguments", "test_prompt_with_embedded_resource", "test_prompt_with_image",
            "test_input_required_result_prompt", "test_dynamic_prompt"],
        "prompt": "Prompt with arguments: arg1='one', arg2='two'",
        "prompt_image": format!("image image/png {PNG}"),
        "no_prompt": -32602,
        "completion": ["paris", "park", "party"],
        "completion_many": { "count": 100, "total": 150, "has_more": true },

        "elicitation": ["User response", accepted(json!({ "username": "my username", "email": "my email" }))],
        "declined": ["User response", { "action": "decline" }],
        "elicitation_again": ["Hello", accepted(json!({ "name": "my name" }))],
        "two_rounds": "Both steps were answered",
        "sampling": ["LLM response", sampled("To \"Is it?\": yes")],
        "sampling_again": ["The model says", sampled("To \"What is the capital of France?\": yes")],
        "roots": ["The client's roots", { "roots": [{ "uri": "file:///srv/project", "name": "project" }] }],
        "three_kinds": "All three were answered",
        "prompt_asks": ["With the context", accepted(json!({ "context": "my context" }))],
        "resource_asks": ["Read for", accepted(json!({ "name": "my name" }))],
        // One each; two in two rounds; one of each kind by the tool that asks for three at once.
        "asked": { "elicitation": 8, "sampling": 3, "roots": 2 },

        "progress": [[0, 100], [50, 100], [100, 100]],
        "logs": ["info: Tool execution started", "info: Tool processing data", "info: Tool execution completed"],
        "cancelled": "rejected",
        "updated": ["test://watched-resource"],
        "swapped": ["tools"],
        "added": ["version"],
        "triggered": ["prompts", "resources", "tools"],
    })
}

/// A text that ends in JSON, taken apart: clients order an object's members differently.
fn apart(text: &Value) -> Option<Value> {
    let text = text.as_str()?;
    let (says, answer) = text.split_at(text.find('{')?);
    let answer: Value = serde_json::from_str(answer).ok()?;
    Some(json!([says.trim_end_matches([':', ' ']), answer]))
}

/// Whether a client saw what it should.
pub fn judge(report: &Value, expected: &Value) {
    let (expected, seen) = (expected.as_object().expect("an object"), report.as_object().expect("an object"));
    for (member, value) in expected {
        let seen = &report[member];
        let seen = if value.is_array() { apart(seen).unwrap_or_else(|| seen.clone()) } else { seen.clone() };
        assert_eq!(seen, *value, "{member} of {report:#}");
    }
    let more: Vec<_> = seen.keys().filter(|member| !expected.contains_key(*member)).collect();
    assert_eq!(more, ["client", "mode"], "and nothing else");
}

/// Runs a program, changes the tools as soon as it listens, and gives its report.
async fn run(gateway: &Gateway, mut command: Command) -> Value {
    let mut program =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut lines = BufReader::new(program.stdout.take().expect("piped")).lines();
    let mut errors = program.stderr.take().expect("piped");
    let (mut told, mut last) = (String::new(), None);
    let read = async {
        while let Some(line) = lines.next_line().await.expect("it writes text") {
            if line == "listening" {
                swap(gateway);
            }
            last = Some(line);
        }
    };
    let all = async { tokio::join!(read, errors.read_to_string(&mut told), program.wait()) };
    let (_, _, status) = tokio::time::timeout(LIMIT, all).await.expect("the client ends in time");
    assert!(status.expect("it ran").success(), "the client failed:\n{told}\n{}", gateway.log());
    serde_json::from_str(&last.expect("a report")).unwrap_or_else(|error| panic!("{error}\n{told}"))
}

async fn check(interpreter: &str, program: &Path, arguments: &[&str], expected: &Value) {
    let gateway = gateway().await;
    let mut command = Command::new(installed(interpreter));
    command.arg(program).arg(gateway.url()).args(arguments);
    judge(&run(&gateway, command).await, expected);
}

async fn check_node(mode: &str, expected: &Value) {
    check("target/clients/bin/node", &installed("target/clients/node/offers.mjs"), &[mode], expected).await;
}

async fn check_python(program: &str, arguments: &[&str], expected: &Value) {
    let program = root().join("tests/clients/python").join(program);
    check("target/clients/python/bin/python", &program, arguments, expected).await;
}

#[tokio::test]
async fn typescript_sdk_1_is_served_everything() {
    check_node("v1", &expected(Era::Legacy)).await;
}

#[tokio::test]
async fn typescript_client_2_legacy_is_served_everything() {
    let mut expected = expected(Era::Legacy);
    // It has one class for a resource that is not there, and that class one code, whichever of the two came.
    expected["no_resource"] = json!(-32602);
    check_node("legacy", &expected).await;
}

#[tokio::test]
async fn typescript_client_2_pinned_is_served_everything() {
    check_node("pinned", &expected(Era::Modern)).await;
}

#[tokio::test]
async fn python_sdk_legacy_is_served_everything() {
    check_python("offers.py", &["mcp", "legacy"], &expected(Era::Legacy)).await;
}

#[tokio::test]
async fn python_sdk_pinned_is_served_everything() {
    check_python("offers.py", &["mcp", "pinned"], &expected(Era::Modern)).await;
}

#[tokio::test]
async fn fastmcp_client_legacy_is_served_everything() {
    check_python("offers.py", &["fastmcp", "legacy"], &expected(Era::Legacy)).await;
}

#[tokio::test]
async fn fastmcp_client_auto_is_served_everything() {
    check_python("offers.py", &["fastmcp", "auto"], &expected(Era::Modern)).await;
}

/// It lists no templates, completes nothing, subscribes to nothing, shows no progress and no logs, and has handlers for forms alone.
#[tokio::test]
async fn fastmcp_command_line_is_served_what_it_has_commands_for() {
    let mut expected = expected(Era::Modern);
    let shown = ["resources", "resource", "binary", "from_template", "prompts", "prompt", "elicitation", "prompt_asks"];
    expected.as_object_mut().expect("an object").retain(|member, _| shown.contains(&&**member));
    check_python("fastmcp_cli.py", &["--offers"], &expected).await;
}
