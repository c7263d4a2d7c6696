//! Measures the gateway, everything in one run on one machine: ratios can be compared, absolute figures only within the run. `gatehouse-bench --help`
//! tells what there is.
//!
//! Servers are processes of their own; the load comes from this one. What is measured goes to standard output as tables, and to `target/bench` as JSON and
//! as a drawing.

#![expect(clippy::disallowed_methods, reason = "the bans are about the serving process; this one ends with its tasks")]

mod callers;
mod calls;
mod chart;
mod conditions;
mod drop_in;
mod interference;
mod load;
mod native;
mod neighbours;
mod open;
mod overload;
mod payloads;
mod report;
mod requests;
mod sandbox_alone;
mod scale;
mod servers;
mod store;
mod train;

use anyhow::{Context, Result, bail};
use conditions::Conditions;
use native::Sdk;
use report::Report;
use std::process::ExitCode;
use std::time::Duration;

/// The gateway's own allocator, for the routes that calls are compared with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of each cell; the median one counts.
const ROUNDS: usize = 3;

const HELP: &str = "\
Measures the gateway: target/release/gatehouse, beside yardsticks, in one run.

usage: gatehouse-bench [PART] [SECONDS]
       gatehouse-bench neighbours [SECONDS [STYLE…]]

Without a part: all of the first list, a round of each cell SECONDS long (0.7). Ends with 1 where a bar is broken. Tables go to standard output,
and to target/bench/PART.json and .svg; without a part to target/bench/all.json and .svg.

  sandbox       a call in a fresh instance without HTTP, on one thread and two: Rust, C, JavaScript, Python
  calls         an echo through the gateway by 1, 16 and 64 connections, beside a bare route of axum and beside the same tool in native code behind the
                official Rust SDK
  callers       what tokens, keys and policies cost
  interference  how late an echo is while four guests of another tenant loop
  scale         curves: calls in flight, tenants, idle sessions up to 10,000, loaded plugins up to 1,000
  payloads      echoes of 100 B, 10 KiB, 1 MiB
  drop-in       from the rename of a component into the directory to its first answer, compiled for it and from the cache
  store         durable appends beside what the disk can do; replay; start

  neighbours    one tenant does its worst, each style for SECONDS (10), and another one must not notice
  overload      three times what the machine can do, for SECONDS (20)

How to read it: only figures of one run can be compared, and only of a machine that does nothing else: the first line says how busy it was. Load and
server share the processors, so calls a second are of both; `CPU µs` is of the server alone, for each call. `of bare` is the part of the bare route's
rate. A bar says what is promised, `held` or `BROKEN`, and what was found.
";

/// The parts of a whole run, in its order.
const PARTS: [&str; 8] = ["sandbox", "calls", "callers", "interference", "payloads", "drop-in", "scale", "store"];

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (what, rest) = match arguments.split_first() {
        Some((what, rest)) if what.parse::<f64>().is_err() => (what.as_str(), rest),
        _ => ("all", arguments.as_slice()),
    };
    let each = |default_s: f64| {
        let seconds = rest.first().map(|text| text.parse::<f64>().context(HELP)).transpose()?;
        Duration::try_from_secs_f64(seconds.unwrap_or(default_s)).context(HELP)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let held = match what {
        "-h" | "--help" | "help" => {
            print(HELP.trim_end());
            true
        }
        // Processes that this one starts.
        "bare-route" => native::bare_route().map(|()| true)?,
        "sdk-route" => {
            let sdk = Sdk::NAMES.into_iter().find(|(name, _)| rest.first().is_some_and(|first| first == name)).context(HELP)?;
            sdk.1.route().map(|()| true)?
        }
        // What scripts/profile begins.
        "train" => runtime.block_on(train::run_all(each(2.0)?)).map(|()| true)?,
        "abuse" => runtime.block_on(neighbours::abuse(rest))?,
        "neighbours" => runtime.block_on(neighbours::measure(each(10.0)?, rest.get(1..).unwrap_or_default()))?,
        "overload" => runtime.block_on(overload::measure(each(20.0)?))?,
        "all" => runtime.block_on(measure("all", &PARTS, each(0.7)?))?,
        part if PARTS.contains(&part) => runtime.block_on(measure(part, &[part], each(1.0)?))?,
        _ => bail!("there is no part `{what}`\n\n{HELP}"),
    };
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(name: &str, parts: &[&str], each: Duration) -> Result<bool> {
    let mut report = Report::begin(Conditions::now(each)?);
    for part in parts {
        let report = &mut report;
        match *part {
            "sandbox" => sandbox_alone::measure(report, each).await?,
            "calls" => calls::measure(report, each).await?,
            "callers" => callers::measure(report, each).await?,
            "interference" => interference::measure(report, each * 3).await?,
            "payloads" => payloads::measure(report, each).await?,
            "drop-in" => drop_in::measure(report).await?,
            "scale" => scale::measure(report, each).await?,
            "store" => store::measure(report, each).await?,
            other => bail!("there is no part `{other}`"),
        }
    }
    report.end(name)
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print(line: &str) {
    println!("{line}");
}
