//! The official conformance suite, as far as it is about what this gateway serves.

use crate::harness::{Gateway, Setup, root};
use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const SUITE: &str = "target/clients/node/node_modules/@modelcontextprotocol/conformance/dist/index.js";

/// Runs one scenario; how many checks passed, and what was said.
async fn scenario(gateway: &Gateway, name: &str) -> (bool, u32, String) {
    let (node, suite) = (root().join("target/clients/bin/node"), root().join(SUITE));
    assert!(suite.exists(), "{} is missing; `scripts/install-test-clients` makes it", suite.display());
    let mut command = Command::new(node);
    command.arg(suite).args(["server", "--url", &gateway.url(), "--scenario", name]).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(120), command.output()).await.expect("in time").expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // `Passed: 9/9, 0 failed, 0 warnings`
    let line = said.lines().rev().find_map(|line| line.trim().strip_prefix("Passed: ")).unwrap_or_default();
    let (passed, all) = line.split(',').next().and_then(|counts| counts.split_once('/')).unwrap_or(("0", "none"));
    let whole = passed == all && line.ends_with("0 failed, 0 warnings");
    (output.status.success() && whole, passed.parse().unwrap_or(0), said)
}

/// All ten of the tasks extension; one of them has no checks yet, by its authors' own words.
#[tokio::test]
async fn the_task_scenarios_pass() {
    let gateway = Gateway::with(Setup { fixtures: vec!["conformance-tasks"], ..Setup::default() }).await;
    let scenarios = [
        ("tasks-lifecycle", 9),
        ("tasks-capability-negotiation", 5),
        ("tasks-wire-fields", 4),
        ("tasks-request-state-removal", 3),
        ("tasks-mrtr-input", 4),
        ("tasks-request-headers", 5),
        ("tasks-dispatch-and-envelope", 9),
        ("tasks-status-notifications", 0),
        ("tasks-required-task-error", 3),
        ("tasks-mrtr-composition", 2),
    ];
    for (name, checks) in scenarios {
        let (passed, count, said) = scenario(&gateway, name).await;
        assert!(passed && count == checks, "{name}: {count} of {checks} checks\n{said}");
    }
}

/// Runs every scenario that a revision requires; how many checks of each passed and failed.
async fn required(gateway: &Gateway, revision: &str) -> HashMap<String, (u32, u32)> {
    let mut command = Command::new(root().join("target/clients/bin/node"));
    command
        .arg(root().join(SUITE))
        .args(["server", "--url", &gateway.url(), "--requirements", revision])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(240), command.output()).await.expect("in time").expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // `✓ tools-list: 3 passed, 0 failed`
    let scenarios = said.lines().filter_map(|line| {
        let (name, counts) = line.trim_start_matches(['✓', '✗', ' ']).split_once(": ")?;
        let (passed, failed) = counts.split_once(" passed, ").filter(|_| name != "Total")?;
        Some((name.to_owned(), (passed.parse().ok()?, failed.split(' ').next()?.parse().ok()?)))
    });
    let scenarios: HashMap<_, _> = scenarios.collect();
    assert!(scenarios.len() >= 30, "{said}");
    scenarios
}

/// What each revision requires, as far as it is about tools: everything but resources, prompts and completion.
#[tokio::test]
async fn whatever_is_about_tools_passes_in_both_eras() {
    let gateway = Gateway::with(Setup { fixtures: vec!["conformance-server", "conformance-tasks"], ..Setup::default() }).await;
    let missing = ["resources-", "prompts-", "completion-", "caching", "input-required-result-non-tool-request"];
    for (revision, least) in [("2025-11-25", 21), ("2026-07-28", 35)] {
        let scenarios = required(&gateway, revision).await;
        let ours: Vec<_> = scenarios.iter().filter(|(name, _)| !missing.iter().any(|missing| name.starts_with(missing))).collect();
        let broken: Vec<_> = ours.iter().filter(|(_, (_, failed))| *failed > 0).collect();
        assert!(broken.is_empty(), "{revision}: {broken:?}");
        assert!(ours.len() >= least, "{revision}: {} scenarios ran: {ours:?}", ours.len());
    }
}

/// SEP-1699: a connection that is closed before the answer, by a tool's own wish, and a client that comes back.
#[tokio::test]
async fn a_polled_call_passes() {
    let gateway = Gateway::with(Setup { fixtures: vec!["conformance-server"], ..Setup::default() }).await;
    let (passed, count, said) = scenario(&gateway, "server-sse-polling").await;
    assert!(passed && count >= 1, "{count} checks\n{said}");
}
