//! Measures calls through the shipped binary beside a bare axum route, in one run on one machine: ratios can be compared, absolute figures
//! only within the run.
//!
//! `gatehouse-bench [SECONDS]` prints tables: calls, what it costs to know the caller, then the store. Servers are processes of their own; the
//! load comes from this one.
//!
//! `gatehouse-bench neighbours [SECONDS [STYLE…]]` and `gatehouse-bench overload [SECONDS]` hold a gateway against bars, each part for so long, and end
//! with 1 where one is broken.

#![expect(clippy::disallowed_methods, reason = "the bans are about the serving process; this one ends with its tasks")]

mod callers;
mod load;
mod neighbours;
mod open;
mod overload;
mod servers;
mod store;

use anyhow::{Context, Result, bail};
use load::{Measured, Request, run};
use serde_json::json;
use servers::{Server, bare_route};
use std::time::Duration;

/// Rounds of each cell; the median one counts.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (what, rest) = match arguments.split_first() {
        Some((what, rest)) if what.parse::<f64>().is_err() => (what.as_str(), rest),
        _ => ("calls", arguments.as_slice()),
    };
    let each = |default_s: f64| {
        let seconds = rest.first().map(|text| text.parse::<f64>().context(USAGE)).transpose()?;
        Ok::<_, anyhow::Error>(Duration::from_secs_f64(seconds.unwrap_or(default_s)))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let held = match what {
        "bare-route" => return bare_route(),
        "abuse" => runtime.block_on(neighbours::abuse(rest))?,
        "calls" => runtime.block_on(measure(each(2.0)?)).map(|()| true)?,
        "neighbours" => runtime.block_on(neighbours::measure(each(10.0)?, rest.get(1..).unwrap_or_default()))?,
        "overload" => runtime.block_on(overload::measure(each(20.0)?))?,
        _ => bail!(USAGE),
    };
    if held { Ok(()) } else { bail!("a bar is broken") }
}

const USAGE: &str = "usage: gatehouse-bench [calls|overload] [SECONDS], or gatehouse-bench neighbours [SECONDS [STYLE…]]";

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
    // The bare one is its collector as well, which costs it little: a post for some hundred spans.
    let traced = Server::gatehouse_with(&format!("[traces]\nendpoint = \"http://{}\"\nqueue_max = 65536\n", bare.address())).await?;
    let strict = Server::gatehouse_with("[tenants.default]\nisolation = \"strict\"\n").await?;
    let echo = json!({ "message": "x".repeat(100) });
    let rows = [
        ("bare axum JSON route", &bare, Request::post("/echo", &[], &json!({ "jsonrpc": "2.0", "id": 1, "params": echo }))),
        ("echo, 2026-07-28", &gateway, modern_echo(&echo, None)),
        ("echo, 2026-07-28, traced", &traced, modern_echo(&echo, None)),
        ("echo, 2026-07-28, strict", &strict, modern_echo(&echo, None)),
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
    drop((bare, gateway, traced, strict));
    callers::measure(each).await?;
    store::measure(each).await
}

fn modern_echo(arguments: &serde_json::Value, authorization: Option<&str>) -> Request {
    modern_call("echo", arguments, authorization)
}

fn modern_call(tool: &str, arguments: &serde_json::Value, authorization: Option<&str>) -> Request {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool)];
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
