//! Neighbours: one tenant does its worst, and another one must not notice.
//!
//! The abuse comes from a process of its own, at low priority: on one machine its own computing would otherwise be what the victim feels.

use crate::load::Request;
use crate::open::{Answered, Client, percentile_ms};
use crate::print;
use crate::requests::modern_call;
use crate::servers::{Server, Setup, api_key};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The victim's calls a second: an echo each.
const VICTIM_PER_SECOND: f64 = 100.0;
/// The abuser's own rate; it offers ten times as many.
const QUOTA_PER_SECOND: f64 = 200.0;

/// What it does, and over how many connections at once.
const STYLES: [(&str, usize); 12] = [
    ("loops", 64),
    ("memory", 16),
    ("host calls", 16),
    ("flood over its quota", 1),
    ("slow readers", 64),
    ("session churn", 8),
    ("huge results", 4),
    ("trap storm", 8),
    ("log flood", 8),
    ("large bodies", 8),
    ("bad tokens", 8),
    ("compile bombs", 1),
];

/// Those styles, or all if none is named. Says whether the bar was held beside each: no error, and a p99 within twice that alone. Where it is beyond
/// that the line says how much more it is, because twice of very little is little.
pub(crate) async fn measure(each: Duration, wanted: &[String]) -> Result<bool> {
    if let Some(unknown) = wanted.iter().find(|name| STYLES.iter().all(|(style, _)| style != name)) {
        bail!("there is no style `{unknown}`; there are: {}", STYLES.map(|(style, _)| style).join(", "));
    }
    let house = House::start().await?;
    let victim = Client::new(house.server.address());
    let request = modern_call("echo", &json!({ "message": "x".repeat(100) }), Some(&house.victim));
    // Until everything is warm.
    victim.run(&request, VICTIM_PER_SECOND, Duration::from_secs(1)).await?;
    print(&format!("\nneighbours: the victim asks for an echo {VICTIM_PER_SECOND} times a second"));
    print(&format!(
        "{:<26}{:>8}{:>12}{:>12}{:>14}{:>14}{:>14}  bar: no errors, p99 within twice that alone",
        "beside", "errors", "p50 ms", "p99 ms", "alone p50", "alone p99", "gateway's CPU"
    ));
    let mut all_held = true;
    for (style, connections) in STYLES.into_iter().filter(|(style, _)| wanted.is_empty() || wanted.iter().any(|name| name == style)) {
        let alone = victim.run(&request, VICTIM_PER_SECOND, each).await?;
        let mut abuser = house.abuse(style, connections)?;
        let before = house.server.cpu()?;
        // Into the thick of it.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let beside = victim.run(&request, VICTIM_PER_SECOND, each).await?;
        let cpu = house.server.cpu()?.saturating_sub(before).as_secs_f64() / (each.as_secs_f64() + 0.5);
        if let Some(status) = abuser.try_wait()? {
            bail!("the abuser `{style}` ended by itself: {status}");
        }
        abuser.kill().await?;
        house.quiet(&victim, &request).await?;
        let errors = [&alone, &beside].map(|all| all.iter().filter(|one| !one.is_result).count());
        let p = |all: &[Answered], part| percentile_ms(all.iter().map(|one| one.took).collect(), part);
        let (alone_p99, p99) = (p(&alone, 0.99), p(&beside, 0.99));
        let held = errors == [0, 0] && p99 <= alone_p99 * 2.0;
        all_held &= held;
        let verdict =
            if held { "held".to_owned() } else { format!("BROKEN: {:.1} times, {:.1} ms more", p99 / alone_p99, p99 - alone_p99) };
        print(&format!(
            "{style:<26}{:>8}{:>12.2}{p99:>12.2}{:>14.2}{alone_p99:>14.2}{:>12.0} %  {verdict}",
            errors.iter().sum::<usize>(),
            p(&beside, 0.5),
            p(&alone, 0.5),
            cpu * 100.0
        ));
    }
    Ok(all_held)
}

/// A gateway with two tenants: one is the victim of the other.
pub(crate) struct House {
    pub(crate) server: Server,
    /// What it shows.
    pub(crate) victim: String,
    abuser: String,
    _keys: tempfile::TempDir,
}

impl House {
    pub(crate) async fn start() -> Result<Self> {
        let keys = tempfile::tempdir()?;
        let (victim, victims) = api_key(keys.path(), "victim", Some("victim"))?;
        let (abuser, abusers) = api_key(keys.path(), "abuser", Some("abuser"))?;
        // The defaults, but for the numbers of connections: both come from one address.
        let settings = format!(
            "[auth]\nmode = \"tokens\"\npublic_url = \"https://gate.example\"\n{victims}{abusers}\
             [tenants.victim]\n[tenants.abuser]\n[quotas.principal]\ncalls_per_second_max = 200\n\
             [limits]\nbreaker_calls_min = 0\nconnections_per_address_max = 4000\n"
        );
        let server = Server::start_gatehouse(&Setup { settings, fixtures: &["misbehave"], ..Setup::default() }).await?;
        Ok(Self { server, victim: format!("Bearer {victim}"), abuser: format!("Bearer {abuser}"), _keys: keys })
    }

    /// Begins to misbehave in that style, until the process is killed.
    pub(crate) fn abuse(&self, style: &str, connections: usize) -> Result<Child> {
        let mut command = Command::new("nice");
        command.args(["-n", "10"]).arg(std::env::current_exe()?).args(["abuse", style, &connections.to_string()]);
        command.args([self.server.address(), &self.abuser]).arg(self.server.plugins());
        Ok(command.kill_on_drop(true).spawn()?)
    }

    /// Until the calls of before are over: the next style begins from nothing.
    pub(crate) async fn quiet(&self, victim: &Client, request: &Request) -> Result<()> {
        for _ in 0..120 {
            let before = self.server.cpu()?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            if self.server.cpu()?.saturating_sub(before) < Duration::from_millis(25) {
                victim.exchange(request).await?;
                return Ok(());
            }
        }
        bail!("the gateway computes on, a minute after its abuser is gone")
    }
}

/// The abuser: does so until it is killed.
pub(crate) async fn abuse(arguments: &[String]) -> Result<bool> {
    let [style, connections, address, key, plugins] = arguments else { bail!("abuse STYLE CONNECTIONS ADDRESS KEY PLUGINS") };
    let mut all = Vec::new();
    for at in 0..connections.parse::<usize>()? {
        let (style, address, key, plugins) = (style.clone(), address.clone(), key.clone(), plugins.clone());
        all.push(tokio::task::spawn(async move { one(&style, at, &address, &key, Path::new(&plugins)).await }));
    }
    for task in all {
        task.await??;
    }
    Ok(true)
}

async fn one(style: &str, at: usize, address: &str, key: &str, plugins: &Path) -> Result<()> {
    let client = Client::new(address);
    let call = |tool: &str, arguments: serde_json::Value| modern_call(tool, &arguments, Some(key));
    let again = async |request: Request| loop {
        // Whatever it is told, it goes on; where it is cut off, it comes again.
        let _ = client.exchange(&request).await;
    };
    match style {
        "loops" => again(call("spin", json!({}))).await,
        "memory" => again(call("alloc", json!({ "mib": 60 }))).await,
        "host calls" => again(call("progress_flood", json!({ "n": 10_000_000 }))).await,
        "flood over its quota" => {
            let request = call("echo", json!({ "message": "x" }));
            client.run(&request, QUOTA_PER_SECOND * 10.0, Duration::from_secs(3_600)).await?;
        }
        "slow readers" => loop {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(call("big_result", json!({ "bytes": 1_000_000 })).bytes()).await?;
            let mut few = [0; 512];
            for _ in 0..20 {
                if stream.read(&mut few).await? == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        },
        "session churn" => again(initialize(key)).await,
        "huge results" => again(call("big_result", json!({ "bytes": 1_000_000 }))).await,
        "trap storm" => again(call("trap", json!({}))).await,
        "log flood" => again(call("log_flood", json!({ "lines": 1_000, "bytes": 60 }))).await,
        "large bodies" => again(call("echo", json!({ "message": "x".repeat(1_000_000), "more": vec!["y".repeat(900_000); 3] }))).await,
        "bad tokens" => again(modern_call("echo", &json!({ "message": "x" }), Some("Bearer ghk_that-is-no-key"))).await,
        "compile bombs" => {
            let component = std::fs::read(plugins.join("misbehave.wasm")).context("a component")?;
            for number in 0_u32.. {
                // A custom section at the end: another component with every number.
                let mut bytes = component.clone();
                bytes.extend([0, 6, 1, b'n']);
                bytes.extend(number.to_le_bytes());
                let place = plugins.join(format!(".bomb-{at}"));
                std::fs::write(&place, &bytes)?;
                std::fs::rename(place, plugins.join(format!("bomb-{at}.wasm")))?;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        other => bail!("there is no style `{other}`"),
    }
    Ok(())
}

fn initialize(key: &str) -> Request {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "abuser", "version": "1" } });
    Request::post("/mcp", &[("authorization", key)], &json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }))
}
