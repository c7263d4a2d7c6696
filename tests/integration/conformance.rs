//! The official conformance suite, in two versions and for every revision: all its scenarios pass, against the shipped binary with the
//! components of `plugins/conformance-*`. `make conformance` shows the table.

use crate::harness::{Gateway, Setup, root, turn};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// What the newest version runs when no revision is named, and in its order. The ledger of clauses leans on these.
#[rustfmt::skip]
const SCENARIOS: &[&str] = &[
    "server-initialize", "server-session-lifecycle", "server-stateless", "logging-set-level", "ping", "completion-complete", "tools-list",
    "tools-call-simple-text", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource", "tools-call-mixed-content",
    "tools-call-with-logging", "tools-call-error", "tools-call-with-progress", "tools-call-sampling", "tools-call-elicitation",
    "json-schema-2020-12", "elicitation-sep1034-defaults", "server-sse-polling", "server-sse-multiple-streams",
    "elicitation-sep1330-enums", "resources-list", "resources-read-text", "resources-read-binary", "resources-templates-read",
    "resources-subscribe", "resources-unsubscribe", "sep-2164-resource-not-found", "prompts-list", "prompts-get-simple",
    "prompts-get-with-args", "prompts-get-embedded-resource", "prompts-get-with-image", "dns-rebinding-protection", "caching",
    "http-header-validation", "http-custom-header-server-validation", "tasks-lifecycle", "tasks-capability-negotiation",
    "tasks-wire-fields", "tasks-request-state-removal", "tasks-mrtr-input", "tasks-request-headers", "tasks-dispatch-and-envelope",
    "tasks-required-task-error", "tasks-mrtr-composition", "input-required-result-basic-elicitation",
    "input-required-result-basic-sampling", "input-required-result-basic-list-roots", "input-required-result-request-state",
    "input-required-result-multiple-input-requests", "input-required-result-multi-round",
    "input-required-result-missing-input-response", "input-required-result-non-tool-request", "input-required-result-result-type",
    "input-required-result-unsupported-methods", "input-required-result-tampered-state", "input-required-result-capability-check",
    "input-required-result-ignore-extra-params", "input-required-result-validate-input",
];

/// What the suite itself skips whole: its authors have yet to write the checks. (Of the skills extension, which nobody declares here, it checks
/// the form of messages only.)
const SKIPPED: &[&str] = &["tasks-status-notifications"];

const OLD: &str = "conformance-0.1.16";
const NEW: &str = "@modelcontextprotocol/conformance";

/// One column of the table.
struct Run {
    name: &'static str,
    package: &'static str,
    arguments: &'static [&'static str],
    /// Scenarios that pass, at least, and checks in them.
    scenarios: usize,
    checks: u32,
}

const RUNS: &[Run] = &[
    Run { name: "0.1.16 all", package: OLD, arguments: &["--suite", "all"], scenarios: 32, checks: 46 },
    Run { name: "req 2025-11-25", package: NEW, arguments: &["--requirements", "2025-11-25"], scenarios: 33, checks: 83 },
    Run { name: "req 2026-07-28", package: NEW, arguments: &["--requirements", "2026-07-28"], scenarios: 49, checks: 196 },
    Run { name: "2025-06-18", package: NEW, arguments: &["--suite", "all", "--spec-version", "2025-06-18"], scenarios: 27, checks: 56 },
    Run { name: "2025-11-25", package: NEW, arguments: &["--suite", "all", "--spec-version", "2025-11-25"], scenarios: 33, checks: 83 },
    Run { name: "2026-07-28", package: NEW, arguments: &["--suite", "all", "--spec-version", "2026-07-28"], scenarios: 40, checks: 152 },
    Run { name: "all", package: NEW, arguments: &["--suite", "all"], scenarios: SCENARIOS.len(), checks: 233 },
];

/// What became of a scenario's checks.
#[derive(Default, Clone)]
struct Checks {
    passed: u32,
    failed: u32,
    warned: u32,
    skipped: u32,
    /// What is wrong, in the suite's words.
    said: Vec<String>,
}

impl Run {
    /// Runs it against a gateway of its own.
    async fn go(&self) -> BTreeMap<String, Checks> {
        let gateway = Gateway::with(Setup { fixtures: vec!["conformance-server", "conformance-tasks"], ..Setup::default() }).await;
        let suite = root().join(format!("target/clients/node/node_modules/{}/dist/index.js", self.package));
        assert!(suite.exists(), "{} is missing; `scripts/install-test-clients` makes it", suite.display());
        let results = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(root().join("target/clients/bin/node"));
        command.arg(suite).args(["server", "--url", &gateway.url()]).args(self.arguments).arg("-o").arg(results.path());
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(240), command.output()).await.expect("in time").expect("it runs");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let results = read(results.path());
        let wrong: Vec<_> = results.iter().filter(|(_, checks)| checks.failed > 0).map(|(name, checks)| (name, &checks.said)).collect();
        assert!(output.status.success(), "{}: {wrong:#?}\n{said}", self.name);
        results
    }
}

/// `server-SCENARIO-TIME/checks.json`, each a list of checks.
fn read(results: &Path) -> BTreeMap<String, Checks> {
    let folders = fs::read_dir(results).expect("results").map(|entry| entry.expect("an entry").path());
    let scenario = |folder: &Path| {
        let name = folder.file_name()?.to_str()?.strip_prefix("server-")?;
        // A time such as `2026-11-26T05-40-16-809Z`.
        Some(name.get(..name.len().checked_sub("-2026-11-26T05-40-16-809Z".len())?)?.to_owned())
    };
    folders.filter_map(|folder| Some((scenario(&folder)?, checks(&folder.join("checks.json"))))).collect()
}

fn checks(file: &Path) -> Checks {
    let all: Vec<Value> = serde_json::from_slice(&fs::read(file).expect("checks")).expect("JSON");
    let mut checks = Checks::default();
    for check in all {
        let said = || format!("{}: {}", check["id"], check["errorMessage"]);
        match check["status"].as_str() {
            Some("SUCCESS") => checks.passed += 1,
            Some("INFO") => {}
            Some("SKIPPED") => checks.skipped += 1,
            Some("WARNING") => {
                checks.warned += 1;
                checks.said.push(said());
            }
            _ => {
                checks.failed += 1;
                checks.said.push(said());
            }
        }
    }
    checks
}

fn table(results: &[BTreeMap<String, Checks>]) -> String {
    let scenarios: BTreeSet<&String> = results.iter().flat_map(BTreeMap::keys).collect();
    let mut text = "\nchecks passed / failed / with warnings\n\n".to_owned();
    let mut row = |name: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>15}")).collect();
        let _ = writeln!(text, "{name:<48}{cells}");
    };
    row("scenario", RUNS.iter().map(|run| run.name.to_owned()).collect());
    let cell = |checks: &Checks| match checks {
        Checks { passed: 0, failed: 0, warned: 0, skipped: 1.., .. } => "skipped".to_owned(),
        Checks { passed, failed, warned, .. } => format!("{passed}/{failed}/{warned}"),
    };
    for scenario in scenarios {
        row(scenario, results.iter().map(|run| run.get(scenario).map_or("-".to_owned(), cell)).collect());
    }
    let sum = |run: &BTreeMap<String, Checks>| {
        let count = |of: fn(&Checks) -> u32| run.values().map(of).sum::<u32>();
        format!("{}/{}/{}", count(|c| c.passed), count(|c| c.failed), count(|c| c.warned))
    };
    row("all", results.iter().map(sum).collect());
    text
}

/// No list of expected failures, and no warnings either.
#[tokio::test]
async fn the_official_suite_passes() {
    let _turn = turn().await;
    let results = futures_util::future::join_all(RUNS.iter().map(Run::go)).await;
    println!("{}", table(&results));
    for (run, scenarios) in RUNS.iter().zip(&results) {
        let wrong: Vec<_> =
            scenarios.iter().filter(|(_, checks)| !checks.said.is_empty()).map(|(name, checks)| (name, &checks.said)).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", run.name);
        let skipped = scenarios.iter().filter(|(_, checks)| checks.passed == 0).map(|(name, _)| name.as_str());
        assert!(skipped.clone().all(|name| SKIPPED.contains(&name)), "{}: {:?}", run.name, skipped.collect::<Vec<_>>());
        let passed: u32 = scenarios.values().map(|checks| checks.passed).sum();
        let ran = scenarios.values().filter(|checks| checks.passed > 0).count();
        assert!(ran >= run.scenarios && passed >= run.checks, "{}: {ran} scenarios and {passed} checks ran", run.name);
    }
    let all = results.last().expect("the last run is of all");
    for scenario in SCENARIOS {
        assert!(all.get(*scenario).is_some_and(|checks| checks.passed > 0), "{scenario} did not run");
    }
}
