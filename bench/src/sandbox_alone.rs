//! The sandbox alone, without HTTP: measured by a program of its own (`bench/sandbox`), because this one would give it other machine code.

use crate::ROUNDS;
use crate::calls::BYTES;
use crate::load::rounds;
use crate::report::{Report, Shape, median};
use crate::requests::bare_echo;
use crate::servers::{Server, existing};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The guest that bars are about.
const COMPACT: &str = "Rust, compact";

/// What the program says of a round.
#[derive(Deserialize)]
struct Line {
    guest: String,
    found: [f64; 5],
}

pub(crate) async fn measure(report: &mut Report, each: Duration) -> Result<()> {
    let program = existing("target/release/gatehouse-bench-sandbox", "make bench")?;
    let mut command = Command::new(program);
    command.args([ROUNDS.to_string(), each.as_secs_f64().to_string()]).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = command.output().await?;
    ensure!(output.status.success(), "the sandbox could not be measured: {}", output.status);
    let lines = String::from_utf8(output.stdout)?;
    let lines = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Line>, _>>()?;

    let columns = [("CPU µs", 1), ("calls/s", 0), ("CPU µs, two", 1), ("calls/s, two", 0), ("of one", 2)];
    let title = "sandbox: a call in a fresh instance; without HTTP, on one thread and on two";
    let table = report.table(title, "guest", &columns, Shape::Bars(0));
    let mut compact = None;
    for of_guest in lines.chunk_by(|one, next| one.guest == next.guest) {
        let guest = &of_guest.first().context("a round")?.guest;
        let middle = [0, 1, 2, 3, 4].map(|at: usize| median(of_guest.iter().filter_map(|line| line.found.get(at).copied()).collect()));
        table.row(guest, &middle);
        if guest == COMPACT {
            compact = Some(middle);
        }
    }
    let [one_us, .., ratio] = compact.context("the compact guest")?;
    // As with calls: 8 µs, where a bare route takes as much.
    let bare = Server::bare().await?;
    let bare = rounds(&bare, &[bare_echo(BYTES)], 16, each).await?;
    report.at_most("sandbox: a call of the compact guest, of the CPU of a bare route's echo", one_us / bare.cpu_us, 1.0, "times");
    report.at_least("sandbox: its calls a second on two threads, of those on one", ratio, 1.4, "times");
    Ok(())
}
