//! Interference: how late an echo of one tenant gets while four guests of another one loop.

use crate::ROUNDS;
use crate::calls::BYTES;
use crate::neighbours::House;
use crate::open::{Client, percentile_ms};
use crate::report::{Report, Shape, median};
use crate::requests::modern_echo;
use anyhow::{Result, bail};
use std::time::Duration;

/// The echoes a second: few, so that they measure and do not load.
const PER_SECOND: f64 = 200.0;
const SPINNING: usize = 4;

pub(crate) async fn measure(report: &mut Report, each: Duration) -> Result<()> {
    let house = House::start().await?;
    let client = Client::new(house.server.address());
    let request = modern_echo(BYTES, Some(&house.victim));
    let look = async || {
        let all = client.run(&request, PER_SECOND, each).await?;
        if let Some(other) = all.iter().find(|one| !one.is_result) {
            bail!("an echo was answered with {}", other.status);
        }
        let took: Vec<_> = all.iter().map(|one| one.took_of_call).collect();
        Ok([0.5, 0.99].map(|part| percentile_ms(took.clone(), part) * 1e3))
    };
    look().await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(look().await?);
        let mut abuser = house.abuse("loops", SPINNING)?;
        // Into the thick of it.
        tokio::time::sleep(Duration::from_millis(500)).await;
        beside.push(look().await?);
        abuser.kill().await?;
        house.quiet(&client, &request).await?;
    }
    let middle = |rounds: &[[f64; 2]]| {
        let of = |at: fn(&[f64; 2]) -> f64| median(rounds.iter().map(at).collect());
        [of(|[p50, _]| *p50), of(|[_, p99]| *p99)]
    };
    let (alone, beside) = (middle(&alone), middle(&beside));
    let title = format!("interference: {PER_SECOND} echoes a second; whether or not the one before is answered");
    let table = report.table(title, "", &[("p50 µs", 0), ("p99 µs", 0)], Shape::Bars(1));
    table.row("alone", &alone);
    table.row(&format!("beside {SPINNING} guests that loop"), &beside);
    report.at_most("interference: an echo's p50 beside them, of that alone", beside[0] / alone[0], 2.0, "times");
    Ok(())
}
