//! Calls through the shipped binary, beside a bare route and beside the same tool behind the official SDK: what everything that a gateway is for
//! costs on top.

use crate::callers;
use crate::load::{Measured, Request, rounds};
use crate::native::Sdk;
use crate::report::{Column, Report, Shape};
use crate::requests::{bare_echo, legacy_echo, legacy_stream, message, modern_call, modern_echo, telling_stream};
use crate::servers::{Server, Setup};
use anyhow::{Context, Result};
use std::time::Duration;

/// Of an echo.
pub(crate) const BYTES: usize = 100;
const CONNECTIONS: [usize; 3] = [1, 16, 64];
const COLUMNS: [Column; 5] = [("calls/s", 0), ("p50 µs", 0), ("p99 µs", 0), ("CPU µs", 1), ("of bare", 2)];
/// The one that is drawn.
const CPU: usize = 3;

/// One caller is to be as fast as it can.
pub(crate) const NO_RATES: &str = "[quotas]\ntenant = { calls_per_second_max = 0 }\nprincipal = { calls_per_second_max = 0 }\n";

/// Names of rows that bars are about.
const BARE: &str = "bare axum JSON route";
const SDK: &str = "rmcp native, 2026-07-28, JSON";
const COMPACT: &str = "gateway, 2026-07-28, compact guest";
const GUARDED: &str = "gateway, 2026-07-28, compact, token + policy";
const STREAM: &str = "gateway, 2025-11-25, compact, stream, fsync";

/// Everything that is measured, with what has to live for it.
struct Rows {
    rows: Vec<(&'static str, usize, Vec<Request>)>,
    servers: Vec<Server>,
    _keys: callers::Settings,
}

pub(crate) async fn measure(report: &mut Report, each: Duration) -> Result<()> {
    let all = Rows::start().await?;
    let mut at_16 = Vec::new();
    for connections in CONNECTIONS {
        let title = format!("calls: an echo of {BYTES} bytes, {connections} at once");
        let table = report.table(title, "", &COLUMNS, Shape::Bars(CPU));
        let mut base = None;
        for (name, server, requests) in &all.rows {
            let server = all.servers.get(*server).context("a server")?;
            let measured = rounds(server, requests, connections, each).await?;
            let Measured { per_second, p50_us, p99_us, cpu_us } = measured;
            let ratio = per_second / *base.get_or_insert(per_second);
            table.row(name, &[per_second, p50_us, p99_us, cpu_us, ratio]);
            if connections == 16 {
                at_16.push((*name, measured));
            }
        }
    }
    let of = |wanted: &str| at_16.iter().find(|(name, _)| *name == wanted).map(|(_, measured)| *measured).context("a row");
    let [bare, sdk, compact, guarded, stream] = [of(BARE)?, of(SDK)?, of(COMPACT)?, of(GUARDED)?, of(STREAM)?];
    // Microseconds of one machine say nothing on another: the bars were set where the bare route takes 8, and are told by that.
    let mut cpu = |what: &str, measured: Measured, us: f64| {
        report.at_most(&format!("calls: {what}, of the bare route's CPU"), measured.cpu_us / bare.cpu_us, us / 8.0, "times");
    };
    cpu("an echo of a compact guest, 16 connections", compact, 22.0);
    cpu("the same with a token and a policy", guarded, 35.0);
    cpu("a session's event stream, kept by fsync", stream, 60.0);
    report.at_most("calls: an echo of a compact guest, of the CPU of rmcp's native one", compact.cpu_us / sdk.cpu_us, 1.0, "times");
    report.at_least("calls: an echo of a compact guest, of the bare route's rate", compact.per_second / bare.per_second, 0.5, "times");
    report.at_least("calls: the same with a token and a policy, of the same", guarded.per_second / bare.per_second, 0.35, "times");
    Ok(())
}

impl Rows {
    async fn start() -> Result<Self> {
        let bare = Server::bare().await?;
        let sdk = Server::sdk(Sdk::Guide).await?;
        let plain = Server::start_gatehouse(&plain()).await?;
        let (settings, header) = callers::prepare(&callers::GUARDED)?;
        let guarded = Server::start_gatehouse(&guarded(&settings)).await?;
        // The bare one is its collector as well, which costs it little: a post for some hundred spans.
        let traces = format!("{NO_RATES}[traces]\nendpoint = \"http://{}\"\nqueue_max = 65536\n", bare.address());
        let traced = Server::gatehouse_with(&traces).await?;
        let strict = Server::gatehouse_with(&format!("{NO_RATES}[tenants.default]\nisolation = \"strict\"\n")).await?;
        let (defaults, by_hand) = (Server::sdk(Sdk::Defaults).await?, Server::sdk(Sdk::ByHand).await?);
        // Sessions are clients: each connection has its own.
        let (sdk_sessions, sessions) = (sessions(&sdk).await?, sessions(&plain).await?);
        let of = |sessions: &[String], request: fn(usize, &str) -> Request| sessions.iter().map(|one| request(BYTES, one)).collect();
        let modern = || vec![modern_echo(BYTES, None)];
        let rows = vec![
            (BARE, 0, vec![bare_echo(BYTES)]),
            (SDK, 1, modern()),
            ("rmcp native, 2026-07-28, JSON, by hand", 7, modern()),
            ("rmcp native, 2026-07-28, stream", 6, modern()),
            ("rmcp native, 2025-11-25, stream", 1, of(&sdk_sessions, legacy_echo)),
            ("gateway, 2026-07-28", 2, modern()),
            // What is left when the guest has next to nothing to do, and next to no memory: what the native ones have as well.
            (COMPACT, 2, vec![compact_echo(None)]),
            ("gateway, 2026-07-28, token + policy", 3, vec![modern_echo(BYTES, header.as_deref())]),
            (GUARDED, 3, vec![compact_echo(header.as_deref())]),
            ("gateway, 2026-07-28, traced", 4, modern()),
            ("gateway, 2026-07-28, strict", 5, modern()),
            ("gateway, 2025-11-25, JSON", 2, of(&sessions, legacy_echo)),
            ("gateway, 2025-11-25, stream, fsync", 2, of(&sessions, legacy_stream)),
            (STREAM, 2, of(&sessions, telling_stream)),
        ];
        Ok(Self { rows, servers: vec![bare, sdk, plain, guarded, traced, strict, defaults, by_hand], _keys: settings })
    }
}

/// Whoever calls without a token is one caller, with an event stream for each connection.
pub(crate) fn plain() -> Setup {
    let settings = format!("{NO_RATES}[limits]\nstreams_per_principal_max = 1000\n");
    Setup { settings, fixtures: &["compact", "telling"], ..Setup::default() }
}

/// Who calls has to show a token, and a policy is asked.
pub(crate) fn guarded(settings: &callers::Settings) -> Setup {
    Setup { settings: settings.text.clone(), fixtures: &["compact"], ..Setup::default() }
}

/// Of the guest that has next to nothing to do.
pub(crate) fn compact_echo(authorization: Option<&str>) -> Request {
    modern_call("compact_echo", &message(BYTES), authorization)
}

/// One for each connection.
pub(crate) async fn sessions(server: &Server) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for _ in 0..CONNECTIONS.into_iter().max().unwrap_or(1) {
        all.push(server.initialize().await?);
    }
    Ok(all)
}
