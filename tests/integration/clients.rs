//! Official clients of other people: each lists the tools, calls one with text, one with structure, one that fails, one with progress.
//!
//! The programs lie in `tests/clients`; `scripts/install-test-clients` installs them. They report what they saw, and this file says
//! what they should have seen.

use crate::harness::{Gateway, root};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// FastMCP starts six interpreters, one a command, on two cores that other tests use as well.
pub const LIMIT: Duration = Duration::from_secs(120);

pub(super) const TOOLS: [&str; 8] = ["echo", "slow_count", "word_stats", "unified_diff", "regex_extract", "json_query", "hash", "base64"];

/// Which era a client must end up in; a command line does not tell.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Era {
    Legacy,
    Modern,
    Untold,
}

pub fn installed(path: &str) -> PathBuf {
    let path = root().join(path);
    assert!(path.exists(), "{} is missing; `scripts/install-test-clients` makes it", path.display());
    path
}

pub(super) async fn report(mut command: Command) -> Value {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, run).await.expect("the client ends in time").expect("the client starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the client failed:\n{told}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{told}", String::from_utf8_lossy(&output.stdout)))
}

/// What the command runs, with the arguments that all programs take.
pub(super) fn series(program: &[&Path], url: &str, mode: Option<&str>) -> Command {
    let (first, rest) = program.split_first().expect("a program");
    let mut command = Command::new(first);
    command.args(rest).arg(url).args(mode);
    command
}

async fn check(program: &[&Path], mode: Option<&str>, era: Era) {
    let gateway = Gateway::start().await;
    let seen = report(series(program, &gateway.url(), mode)).await;
    assert_eq!(seen["tools"], json!(TOOLS));
    judge(&seen, era);
}

/// Whether a client saw what it should, but for the list.
pub(super) fn judge(seen: &Value, era: Era) {
    assert_eq!(seen["text"], "hello – ünïcödé");
    assert_eq!(seen["structured"]["words"], 3);
    assert_eq!(seen["structured"]["longest_word"], "one");
    assert_eq!(seen["failure"]["is_error"], true);
    assert!(seen["failure"]["text"].as_str().is_some_and(|text| text.contains("unclosed group")), "{seen}");
    assert_eq!(seen["progress_result"], "done");
    assert_eq!(seen["bad_arguments"]["is_error"], true);
    assert!(seen["bad_arguments"]["text"].as_str().is_some_and(|text| text.contains("/message")), "{seen}");
    if era == Era::Untold {
        return;
    }
    let steps: Vec<Value> = (1..=3).map(|step| json!({ "progress": step, "total": 3, "message": format!("{step} of 3") })).collect();
    assert_eq!(seen["progress"], Value::Array(steps));
    assert_eq!(seen["unknown_tool"]["code"], -32602);
    let (name, revision, ended) = match era {
        Era::Legacy => ("legacy", "2025-11-25", "DELETE 204"),
        Era::Modern | Era::Untold => ("modern", "2026-07-28", "n/a"),
    };
    assert_eq!((&seen["era"], &seen["protocol_version"], &seen["ended"]), (&json!(name), &json!(revision), &json!(ended)));
}

/// A program and what runs it.
pub(super) fn node(program: &str) -> [PathBuf; 2] {
    [installed("target/clients/bin/node"), installed(&format!("target/clients/node/{program}"))]
}

pub(super) fn python(program: &str) -> [PathBuf; 2] {
    [installed("target/clients/python/bin/python"), root().join("tests/clients/python").join(program)]
}

async fn check_node(program: &str, mode: Option<&str>, era: Era) {
    check(&node(program).each_ref().map(PathBuf::as_path), mode, era).await;
}

async fn check_python(program: &str, mode: Option<&str>, era: Era) {
    check(&python(program).each_ref().map(PathBuf::as_path), mode, era).await;
}

#[tokio::test]
async fn typescript_sdk_1() {
    check_node("sdk-v1.mjs", None, Era::Legacy).await;
}

#[tokio::test]
async fn typescript_client_2_legacy() {
    check_node("client-v2.mjs", Some("legacy"), Era::Legacy).await;
}

#[tokio::test]
async fn typescript_client_2_auto() {
    check_node("client-v2.mjs", Some("auto"), Era::Modern).await;
}

#[tokio::test]
async fn typescript_client_2_pinned() {
    check_node("client-v2.mjs", Some("pinned"), Era::Modern).await;
}

#[tokio::test]
async fn python_sdk_legacy() {
    check_python("mcp_client.py", Some("legacy"), Era::Legacy).await;
}

#[tokio::test]
async fn python_sdk_auto() {
    check_python("mcp_client.py", Some("auto"), Era::Modern).await;
}

#[tokio::test]
async fn python_sdk_pinned() {
    check_python("mcp_client.py", Some("pinned"), Era::Modern).await;
}

#[tokio::test]
async fn fastmcp_command_line() {
    check_python("fastmcp_cli.py", None, Era::Untold).await;
}
