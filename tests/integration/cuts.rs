//! Official clients over connections that are cut, and over gateways that are killed: nothing lost, nothing doubled, nothing out of order.

use crate::harness::{Cut, Cutter, Gateway, Setup, binary, root};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const CALLS: usize = 100;
const LIMIT: Duration = Duration::from_secs(240);

/// What happens to each of the calls: every one is cut once; some ends are those of the gateway as well.
fn plan() -> Vec<Cut> {
    let kind = |number: usize| match number % 20 {
        7 => Cut::EndKill,
        17 => Cut::MiddleKill,
        even if even % 2 == 0 => Cut::Middle,
        _ => Cut::End,
    };
    (0..CALLS).map(kind).collect()
}

async fn run(program: Vec<PathBuf>, arguments: &[&str]) {
    let settings = "[limits]\nstream_retry_ms = 400\n".to_owned();
    let mut gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let mut cutter = Cutter::before(gateway.address(), plan()).await;
    let (first, rest) = program.split_first().expect("a program");
    let mut command = Command::new(first);
    command.args(rest).arg(format!("http://{}/mcp", cutter.address)).args(arguments).arg(CALLS.to_string());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let run = tokio::time::timeout(LIMIT, child.wait_with_output());
    let mut run = std::pin::pin!(run);
    let mut kills = 0;
    let output = loop {
        tokio::select! {
            output = &mut run => break output.expect("the client ends in time").expect("it can be waited for"),
            Some(()) = cutter.kills.recv() => {
                gateway.restart().await;
                kills += 1;
            }
        }
    };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the client failed:\n{told}");
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let results = seen["results"].as_array().expect("results");
    assert_eq!(results.len(), CALLS);

    let (mut lost, mut doubled, mut reordered, mut unknown) = (0, 0, 0, 0);
    for (number, (result, cut)) in results.iter().zip(plan()).enumerate() {
        let steps: Vec<u64> = result["progress"].as_array().expect("progress").iter().map(|step| step.as_u64().expect("a step")).collect();
        let mut sorted = steps.clone();
        sorted.sort_unstable();
        reordered += usize::from(sorted != steps);
        sorted.dedup();
        doubled += steps.len() - sorted.len();
        if cut == Cut::MiddleKill {
            // It ran when the gateway was killed: that is said, and it is not run again.
            unknown += usize::from(result["error"] == json!(-31011));
            assert_eq!(result["error"], -31011, "call {number}: {result}\n{told}");
            continue;
        }
        lost += 5 - sorted.len().min(5) + usize::from(result["text"] != json!(format!("call {number}")));
    }
    println!("{CALLS} calls, {kills} kills: lost {lost}, doubled {doubled}, reordered {reordered}; {unknown} unknown outcomes told\n");
    assert_eq!((lost, doubled, reordered, kills), (0, 0, 0, CALLS / 10), "{seen}\n{told}");

    // The record of calls: none ran twice.
    let records = std::process::Command::new(binary()).args(["journal", "show", "--json", "--data"]).arg(gateway.data()).output();
    let records = String::from_utf8(records.expect("it runs").stdout).expect("text");
    let digests: Vec<_> = records
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|record| record["tool"] == "slow_count")
        .map(|record| record["arguments_sha256"].as_str().unwrap_or_default().to_owned())
        .collect();
    let mut once = digests.clone();
    once.sort();
    once.dedup();
    assert_eq!(digests.len(), once.len(), "a call ran twice");
    assert!(digests.len() >= CALLS - 2 * kills, "{} of {CALLS} calls are on record", digests.len());
}

fn installed(path: &str) -> PathBuf {
    let path = root().join(path);
    assert!(path.exists(), "{} is missing; `scripts/install-test-clients` makes it", path.display());
    path
}

#[tokio::test]
async fn typescript_sdk_1_loses_nothing() {
    run(vec![installed("target/clients/bin/node"), installed("target/clients/node/soak.mjs")], &["v1"]).await;
}

#[tokio::test]
async fn typescript_client_2_loses_nothing() {
    run(vec![installed("target/clients/bin/node"), installed("target/clients/node/soak.mjs")], &["v2"]).await;
}

#[tokio::test]
async fn python_sdk_loses_nothing() {
    run(vec![installed("target/clients/python/bin/python"), root().join("tests/clients/python/soak.py")], &[]).await;
}
