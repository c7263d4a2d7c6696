//! Scale: how a gateway takes more of everything, each as a curve.

mod plugins;
mod sessions;

use crate::calls::{BYTES, NO_RATES};
use crate::load::{Request, rounds};
use crate::report::{Report, Shape};
use crate::requests::modern_echo;
use crate::servers::{Server, api_key};
use anyhow::Result;
use std::time::Duration;

/// Connections, each with one call in flight.
const IN_FLIGHT: [usize; 5] = [1, 4, 16, 64, 256];
const TENANTS: [usize; 4] = [1, 4, 16, 64];
/// Of the curve over tenants.
const CONNECTIONS: usize = 64;

pub(crate) async fn measure(report: &mut Report, each: Duration) -> Result<()> {
    in_flight(report, each).await?;
    tenants(report, each).await?;
    sessions::measure(report).await?;
    plugins::measure(report, each).await
}

async fn in_flight(report: &mut Report, each: Duration) -> Result<()> {
    let gateway = Server::gatehouse_with(NO_RATES).await?;
    let columns = [("calls/s", 0), ("p50 µs", 0), ("p99 µs", 0), ("CPU µs", 1)];
    let table = report.table("scale: calls in flight", "calls in flight", &columns, Shape::Curve(0));
    for count in IN_FLIGHT {
        let one = rounds(&gateway, &[modern_echo(BYTES, None)], count, each).await?;
        table.row(&count.to_string(), &[one.per_second, one.p50_us, one.p99_us, one.cpu_us]);
    }
    Ok(())
}

async fn tenants(report: &mut Report, each: Duration) -> Result<()> {
    let keys = tempfile::tempdir()?;
    let most = TENANTS.into_iter().max().unwrap_or(1);
    let mut settings = format!("{NO_RATES}[auth]\nmode = \"tokens\"\npublic_url = \"https://gate.example\"\n");
    let mut requests: Vec<Request> = Vec::new();
    for number in 0..most {
        let name = format!("t{number}");
        let (key, section) = api_key(keys.path(), &name, Some(&name))?;
        settings.push_str(&format!("{section}[tenants.{name}]\n"));
        requests.push(modern_echo(BYTES, Some(&format!("Bearer {key}"))));
    }
    let gateway = Server::gatehouse_with(&settings).await?;
    let columns = [("calls/s", 0), ("p50 µs", 0), ("p99 µs", 0), ("CPU µs", 1)];
    let title = format!("scale: tenants that call at once, over {CONNECTIONS} connections together");
    let table = report.table(title, "tenants", &columns, Shape::Curve(3));
    for count in TENANTS {
        let some = requests.get(..count).unwrap_or(&requests);
        let one = rounds(&gateway, some, CONNECTIONS, each).await?;
        table.row(&count.to_string(), &[one.per_second, one.p50_us, one.p99_us, one.cpu_us]);
    }
    Ok(())
}
