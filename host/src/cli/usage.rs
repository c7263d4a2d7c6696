//! `gatehouse usage`

use super::{Failed, Settings, asking, output};
use clap::Args;
use serde_json::{Map, Value};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show one tenant's alone
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Print JSON lines, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let config = arguments.settings.load(None)?;
    let mut rows = Vec::new();
    let take = |line: &str| {
        if let Ok(Value::Object(row)) = serde_json::from_str(line) {
            rows.push(row);
        }
    };
    asking::ask(&mut asking::running(&config)?, "usage", PATIENCE, take).map_err(asking::broken)?;
    let wanted = |tenant: &str| arguments.tenant.as_deref().is_none_or(|wanted| wanted == tenant);
    rows.retain(|row| row.get("tenant").and_then(Value::as_str).is_some_and(wanted));
    if rows.is_empty() {
        return Err(Failed::other(match &arguments.tenant {
            Some(tenant) => format!("the gateway has no tenant `{tenant}`"),
            None => "the gateway has no tenants".to_owned(),
        }));
    }
    let text = if arguments.json { rows.into_iter().map(|row| format!("{}\n", Value::Object(row))).collect() } else { table(&rows) };
    output::print(&text);
    Ok(())
}

/// A line for each row; what is of a tenant stands below it.
fn table(rows: &[Map<String, Value>]) -> String {
    let text = |row: &Map<String, Value>, name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |row: &Map<String, Value>, name: &str| row.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut out = String::new();
    let titles = ["in flight", "sessions", "streams", "calls", "refused", "cpu ms", "MiB·s", "bytes out", "egress"];
    out.push_str(&format!("{:<44}", ""));
    titles.iter().for_each(|title| out.push_str(&format!("{title:>12}")));
    out.push('\n');
    for row in rows {
        let name = mcp::text::line(&text(row, "name"), 120);
        let name = match text(row, "of").as_str() {
            "tenant" => name,
            "server" if name.is_empty() => "  server /mcp".to_owned(),
            of => format!("  {of} {name}"),
        };
        out.push_str(&format!("{:<44}", mcp::text::line(&name, 43)));
        for column in ["in_flight", "sessions", "streams", "calls", "refused", "cpu_ms", "memory_mib_s", "bytes_out", "egress_calls"] {
            out.push_str(&format!("{:>12}", number(row, column)));
        }
        out.push('\n');
    }
    out
}
