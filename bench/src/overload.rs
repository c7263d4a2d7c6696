//! Overload: three times as many calls as the machine can compute, for a while. What it gives must hardly fall, who is refused must hear it at
//! once, who is admitted must not be late, and when the load is over it must be as before.

use crate::calls::NO_RATES;
use crate::load::Request;
use crate::open::{Answered, Client, percentile_ms};
use crate::print;
use crate::requests::modern_call;
use crate::servers::{Server, Setup};
use anyhow::Result;
use serde_json::json;
use std::time::Duration;

/// What one call computes.
const WORK: Duration = Duration::from_millis(5);
/// Connections that keep the machine busy, while its peak is measured.
const BUSY: usize = 8;

/// Says whether all bars were held.
pub(crate) async fn measure(each: Duration) -> Result<bool> {
    let limits = "[limits]\nconnections_per_address_max = 8000\nconnections_max = 8000\n";
    let server =
        Server::start_gatehouse(&Setup { settings: format!("{NO_RATES}{limits}"), fixtures: &["misbehave"], ..Setup::default() }).await?;
    let client = Client::new(server.address());
    let request = calibrated(&server, &client).await?;
    let peak = peak(&client, &request, each).await?;
    print(&format!("\noverload: calls of {} ms of computing, {:.0} a second at the most", WORK.as_millis(), peak));
    print(&format!(
        "{:<26}{:>10}{:>10}{:>10}{:>10}{:>14}{:>14}{:>12}",
        "", "offered/s", "good/s", "refused/s", "other", "good p99 ms", "refused p99", "refused max"
    ));
    let quiet = client.run(&request, peak * 0.7, each).await?;
    show("at 70 %", &quiet, peak * 0.7, each);
    let flood = client.run(&request, peak * 3.0, each).await?;
    show("at 300 %", &flood, peak * 3.0, each);
    let after = client.run(&request, peak * 0.7, Duration::from_secs(10)).await?;
    show("after it, at 70 %", &after, peak * 0.7, Duration::from_secs(10));

    let good = |all: &[Answered]| all.iter().filter(|one| one.is_result).map(|one| one.took).collect::<Vec<_>>();
    let refused: Vec<_> = flood.iter().filter(|one| one.status == 503 || one.status == 429).collect();
    let goodput = good(&flood).len() as f64 / each.as_secs_f64() / peak;
    let late = percentile_ms(good(&flood), 0.99) / percentile_ms(good(&quiet), 0.99);
    let said_when: Vec<_> = refused.iter().filter_map(|one| one.retry_after_s).collect();
    let spread = said_when.iter().collect::<std::collections::BTreeSet<_>>().len();
    let in_bounds = said_when.len() == refused.len() && said_when.iter().all(|wait_s| (1..=30).contains(wait_s));
    let told_ms = percentile_ms(refused.iter().map(|one| one.took).collect(), 0.99);
    // The second after which no later one falls short.
    let second = |at: u64| after.iter().filter(move |one| one.due.as_secs() == at);
    let short = |at: &u64| second(*at).filter(|one| one.is_result).count() * 100 < second(*at).count() * 95;
    let recovered_s = (0..10).rev().find(short).map_or(0, |at| at + 1);
    let bars = [
        (format!("goodput {:.0} % of the peak", goodput * 100.0), "80 % or more", goodput >= 0.8),
        (format!("refusals within {told_ms:.1} ms (p99)"), "10 ms", told_ms <= 10.0),
        (format!("good calls' p99 {late:.1} times that at 70 %"), "3 times", late <= 3.0),
        (format!("95 % are good again after {recovered_s} s"), "5 s", recovered_s <= 5),
        (format!("Retry-After on each refusal, {spread} values"), "within 1 to 30 s", in_bounds && !refused.is_empty()),
    ];
    for (found, bar, held) in &bars {
        print(&format!("  {} {found}   (bar: {bar})", if *held { "held  " } else { "BROKEN" }));
    }
    Ok(bars.iter().all(|(_, _, held)| *held))
}

/// A call that computes for [`WORK`] on this machine.
async fn calibrated(server: &Server, client: &Client) -> Result<Request> {
    let rounds_of = |rounds: u64| modern_call("compute", &json!({ "rounds": rounds }), None);
    let (mut rounds, calls) = (1_000_000_u64, 40_u32);
    for _ in 0..3 {
        let request = rounds_of(rounds);
        client.exchange(&request).await?;
        let before = server.cpu()?;
        for _ in 0..calls {
            client.exchange(&request).await?;
        }
        let each = (server.cpu()?.saturating_sub(before)) / calls;
        rounds = (rounds as f64 * WORK.as_secs_f64() / each.as_secs_f64().max(1e-5)) as u64;
    }
    Ok(rounds_of(rounds))
}

/// Good calls a second, of clients that wait for each answer.
async fn peak(client: &Client, request: &Request, each: Duration) -> Result<f64> {
    let began = std::time::Instant::now();
    let tasks: Vec<_> = (0..BUSY)
        .map(|_| {
            let (client, request) = (client.clone(), request.clone());
            tokio::task::spawn(async move {
                let mut good = 0_u32;
                while began.elapsed() < each {
                    good += u32::from(client.exchange(&request).await.is_ok_and(|(_, is_result, _)| is_result));
                }
                good
            })
        })
        .collect();
    let mut good = 0;
    for task in tasks {
        good += task.await?;
    }
    Ok(f64::from(good) / began.elapsed().as_secs_f64())
}

fn show(name: &str, all: &[Answered], offered: f64, each: Duration) {
    let good: Vec<_> = all.iter().filter(|one| one.is_result).map(|one| one.took).collect();
    let refused: Vec<_> = all.iter().filter(|one| one.status == 503 || one.status == 429).map(|one| one.took).collect();
    let rate = |count: usize| count as f64 / each.as_secs_f64();
    let other = all.len() - good.len() - refused.len();
    let [good_s, refused_s] = [good.len(), refused.len()].map(rate);
    let worst = refused.iter().max().map_or(0.0, |took| took.as_secs_f64() * 1e3);
    let (good_ms, refused_ms) = (percentile_ms(good, 0.99), percentile_ms(refused, 0.99));
    print(&format!("{name:<26}{offered:>10.0}{good_s:>10.0}{refused_s:>10.0}{other:>10}{good_ms:>14.1}{refused_ms:>14.1}{worst:>12.1}"));
}
