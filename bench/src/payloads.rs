//! Payloads: what a byte of arguments and result costs.

use crate::calls::NO_RATES;
use crate::load::{Request, rounds};
use crate::native::Sdk;
use crate::report::{Report, Shape};
use crate::requests::{bare_echo, modern_echo};
use crate::servers::Server;
use anyhow::Result;
use std::time::Duration;

/// The largest is a little less than what a result may have: its JSON counts.
const SIZES: [(&str, usize); 3] = [("100 B", 100), ("10 KiB", 10 << 10), ("1 MiB", (1 << 20) - 4_096)];
const CONNECTIONS: usize = 4;

pub(crate) async fn measure(report: &mut Report, each: Duration) -> Result<()> {
    let bare = Server::bare().await?;
    let sdk = Server::sdk(Sdk::Guide).await?;
    let gateway = Server::gatehouse_with(NO_RATES).await?;
    let columns = [("calls/s", 0), ("p50 µs", 0), ("p99 µs", 0), ("CPU µs", 1), ("MB/s", 1)];
    let title = format!("payloads: an echo, {CONNECTIONS} connections; MB/s of messages that came back");
    let table = report.table(title, "", &columns, Shape::Bars(3));
    for (size, bytes) in SIZES {
        let rows: [(&str, &Server, Request); 3] = [
            ("bare axum JSON route", &bare, bare_echo(bytes)),
            ("rmcp native, 2026-07-28, JSON", &sdk, modern_echo(bytes, None)),
            ("gateway, 2026-07-28", &gateway, modern_echo(bytes, None)),
        ];
        for (name, server, request) in rows {
            let one = rounds(server, &[request], CONNECTIONS, each).await?;
            let rate = one.per_second * bytes as f64 / 1e6;
            table.row(&format!("{name}, {size}"), &[one.per_second, one.p50_us, one.p99_us, one.cpu_us, rate]);
        }
    }
    Ok(())
}
