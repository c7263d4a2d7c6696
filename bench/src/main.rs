//! Measures calls through the shipped binary beside a bare axum route, in one run on one machine: ratios can be compared, absolute figures
//! only within the run.
//!
//! `gatehouse-bench [SECONDS]` prints tables: calls, what it costs to know the caller, then the store. Servers are processes of their own; the load comes from this one.

#![expect(clippy::disallowed_methods, reason = "the bans are about the serving process; this one ends with its tasks")]

mod callers;
mod load;
mod servers;
mod store;

use anyhow::{Context, Result};
use load::{Measured, Request, run};
use serde_json::json;
use servers::{Server, bare_route};
use std::time::Duration;

/// Rounds of each cell; the median one counts.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("bare-route") {
        return bare_route();
    }
    let seconds = argument.map(|text| text.parse::<f64>().context("usage: gatehouse-bench [SECONDS]")).transpose()?.unwrap_or(2.0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(Duration::from_secs_f64(seconds)))
}

async fn measure(each: Duration) -> Result<()> {
    let cores = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    print(&format!(
        "{cores} cores, load {}, {:.1} s a round, median of {ROUNDS} rounds",
        load.split(' ').next().unwrap_or("?"),
        each.as_secs_f64()
    ));

    let bare = Server::bare().await?;
    let gateway = Server::gatehouse().await?;
    let session = gateway.initialize().await?;
    let echo = json!({ "message": "x".repeat(100) });
    let rows = [
        ("bare axum JSON route", &bare, Request::post("/echo", &[], &json!({ "jsonrpc": "2.0", "id": 1, "params": echo }))),
        ("echo, 2026-07-28", &gateway, modern_echo(&echo, None)),
        ("echo, 2025-11-25 session", &gateway, legacy_echo(&echo, &session)),
    ];
    print(&format!("\n{:<28}{:>12}{:>12}{:>10}{:>10}{:>12}{:>10}", "", "connections", "calls/s", "p50 µs", "p99 µs", "CPU µs", "of bare"));
    for connections in [1, 16, 64] {
        let mut base = None;
        for (name, server, request) in &rows {
            let mut rounds = Vec::new();
            for _ in 0..ROUNDS {
                rounds.push(run(server, request, connections, each).await?);
            }
            rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
            let Some(Measured { per_second, p50_us, p99_us, cpu_us }) = rounds.get(ROUNDS / 2).copied() else { continue };
            let base = *base.get_or_insert(per_second);
            let ratio = per_second / base;
            print(&format!("{name:<28}{connections:>12}{per_second:>12.0}{p50_us:>10.0}{p99_us:>10.0}{cpu_us:>12.1}{ratio:>10.2}"));
        }
    }
    drop((bare, gateway));
    callers::measure(each).await?;
    store::measure(each).await
}

fn modern_echo(arguments: &serde_json::Value, authorization: Option<&str>) -> Request {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
    let params = json!({ "name": "echo", "arguments": arguments, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo")];
    headers.extend(authorization.map(|value| ("authorization", value)));
    Request::post("/mcp", &headers, &body)
}

/// One id for all connections would be a duplicate in flight, so each connection's requests get their own.
fn legacy_echo(arguments: &serde_json::Value, session: &str) -> Request {
    let body = json!({ "jsonrpc": "2.0", "id": load::ID_PLACEHOLDER, "method": "tools/call", "params": { "name": "echo", "arguments": arguments } });
    Request::post("/mcp", &[("mcp-session-id", session)], &body)
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print(line: &str) {
    println!("{line}");
}
