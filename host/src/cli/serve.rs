//! `gatehouse serve`

use super::{Failed, Settings, output, runtime};
use crate::config::{AuthConfig, Config, TenantId};
use crate::confinement::Confinement;
use crate::gateway::{Gateway, StopError};
use clap::Args;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Address to listen on; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let began = Instant::now();
    let config = arguments.settings.load(arguments.listen)?;
    // Before there is a second thread: one that was there already would not be confined.
    let confinement = Confinement::enter(&config).map_err(|error| Failed::config(error.to_string()))?;
    let logging = crate::telemetry::start(&config.log);
    crate::telemetry::log_panics();
    crate::metrics::count_panics();
    let traces = config.traces.as_ref().map(crate::trace::start).transpose().map_err(|error| Failed::config(error.to_string()))?;
    let runtime = runtime()?;
    let drained = runtime.block_on(async {
        // Before anything is announced: a signal that comes early must not kill.
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| Failed::other(error.to_string()))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| Failed::other(error.to_string()))?;
        let mut hangup = signal(SignalKind::hangup()).map_err(|error| Failed::other(error.to_string()))?;
        // A limit on the size of files is a disk that refuses, which the journal and the store can live with, and nothing to die of.
        let file_size = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        let _survived = signal(file_size).map_err(|error| Failed::other(error.to_string()))?;
        let gateway = Gateway::build(&config, confinement).await?;
        let reload = gateway.reload();
        let address = gateway.address();
        let screen = screen(&config, &gateway, began);
        output::patiently(move || output::print(&screen));
        output::patiently(move || output::note(&format!("gatehouse: ready http://{address}/mcp")));
        let stop = CancellationToken::new();
        let mut asked = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let signals = async {
            asked().await;
            stop.cancel();
            // Whoever asks twice does not want to wait.
            asked().await;
        };
        let hangups = async {
            while hangup.recv().await.is_some() {
                let (asks, said) = tokio::sync::oneshot::channel();
                if reload.send(asks).await.is_ok() {
                    // Logged where it was done.
                    let _ = said.await;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = hangups => Ok(Err(StopError::InFlight)),
            drained = gateway.serve(stop.cancelled()) => Ok::<_, Failed>(drained),
            () = signals => {
                tracing::warn!("asked to stop for the second time: calls in flight are lost");
                Ok(Err(StopError::InFlight))
            }
        }
    });
    // What still runs after the drain is given up, not waited for.
    runtime.shutdown_background();
    drop(traces);
    let drained = drained?;
    // Up to here the log has said what there is to say.
    output::patiently(move || drop(logging));
    drained.map_err(|_| Failed::shown(1))
}

/// One screen that says where, what and how.
fn screen(config: &Config, gateway: &Gateway, began: Instant) -> String {
    let address = gateway.address();
    let catalog = gateway.catalog();
    let mut text = String::new();
    let mut line = |parts: std::fmt::Arguments<'_>| {
        // Writing to a `String` cannot fail.
        let _ = text.write_fmt(parts);
        text.push('\n');
    };
    line(format_args!(""));
    line(format_args!("  {}  {}", output::bold("Gatehouse"), env!("CARGO_PKG_VERSION")));
    line(format_args!(""));
    line(format_args!("  URL       {}", output::bold(&format!("http://{address}/mcp"))));
    let several = config.tenants.len() > 1;
    for (tenant, server) in catalog.servers() {
        let whose = if several { format!("{tenant}: ") } else { String::new() };
        match &server.id {
            Some(id) => line(format_args!("            http://{address}/servers/{id}/mcp   ({whose}{})", server.counts())),
            None if several => line(format_args!("            http://{address}/mcp   ({whose}{})", server.counts())),
            None => {}
        }
    }
    if let Some(address) = gateway.admin_address() {
        line(format_args!("  Admin     http://{address}   (with the token of admin.token_file)"));
    }
    line(format_args!("  Plugins   {}   (a .wasm dropped here is served as soon as it is compiled)", config.plugin_directory.display()));
    line(format_args!("  Data      {}", config.data_directory.display()));
    line(format_args!("  Ready in  {} ms", began.elapsed().as_millis()));
    line(format_args!(""));
    let plugins = || catalog.shelves.all().flat_map(|(tenant, shelf)| shelf.plugins.values().map(move |plugin| (tenant, plugin)));
    for (tenant, plugin) in plugins() {
        let whose = tenant.map(|tenant| format!("   (of {tenant} alone)")).unwrap_or_default();
        line(format_args!("  {}  {}{whose}", output::bold(&plugin.name), output::size(plugin.guest.survey().bytes)));
        let widest = plugin.tools.iter().map(|tool| tool.definition.name.len()).max().unwrap_or(0).min(32);
        for tool in &plugin.tools {
            let description = tool.definition.description.as_deref().unwrap_or_default();
            line(format_args!("    {:widest$}  {}", tool.definition.name, output::summary(description, 70)));
        }
        if plugin.tools.is_empty() || plugin.resources.len() + plugin.templates.len() + plugin.prompts.len() > 0 {
            line(format_args!("    {}", plugin.counts()));
        }
    }
    if plugins().next().is_none() {
        line(format_args!("  No plugins yet."));
    }
    for problem in gateway.problems().borrow().iter() {
        line(format_args!("  {}  not served: {}", output::bold(&problem.plugin), problem.reason));
    }
    line(format_args!(""));
    // Where everybody needs a token, an example without one would not work.
    let open = matches!(config.auth, AuthConfig::Open).then(TenantId::default);
    if let Some(tool) = open.and_then(|tenant| catalog.server(&tenant, None)?.tools().first()) {
        // As it was started: the user may have no `gatehouse` in the PATH.
        let program = std::env::args().next().unwrap_or_else(|| "gatehouse".to_owned());
        let example = if &*tool.definition.name == "echo" { " --arg message=hello" } else { " --arg NAME=VALUE" };
        line(format_args!("  Call one:  {program} call {}{example} --url http://{address}/mcp", tool.definition.name));
    }
    line(format_args!("  Stop:      Ctrl-C (calls in flight may end)"));
    line(format_args!(""));
    text
}
