//! `gatehouse dev`: builds a folder's component at each change, serves the last one that is good, and shows every call.
//!
//! It serves from this very process, and so the kernel does not confine it: it starts compilers.

use super::super::{Failed, output, rig::Rig, runtime};
use super::project::{Project, State};
use super::{build, said, toolchain};
use crate::config::{Config, Overrides};
use crate::confinement::Confinement;
use crate::gateway::{CodeIsKept, Gateway};
use crate::generation::Current;
use crate::journal::Outcome;
use crate::method::Seen;
use clap::Args;
use sandbox::Digest;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Address to listen on, of this machine alone; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// Between two looks at the sources. What changed is built when it was the same twice: an editor may not be finished.
const LOOK: Duration = Duration::from_millis(250);
/// How long the gateway may take to serve what was put in its directory; the component is compiled by then.
const SERVED_WITHIN: Duration = Duration::from_secs(30);
/// Calls that may wait to be shown.
const CALLS_MAX: usize = 1_024;

/// Nothing of it outlives the command.
const SETTINGS: &str =
    "[gateway]\nwatch_settings = false\n[journal]\nenabled = false\n[store]\nbackend = \"memory\"\n[process]\nlandlock = \"off\"\n";

pub(in crate::cli) fn run(arguments: &Arguments) -> Result<(), Failed> {
    if !arguments.listen.ip().is_loopback() {
        return Err(Failed {
            code: 64,
            message: format!("{} can be reached from other machines: this is for one's own", arguments.listen),
        });
    }
    let project = Project::find(&arguments.folder)?;
    let served = project.kept().join("dev/plugins");
    let unusable = |error: io::Error| Failed::other(format!("{}: {error}", served.display()));
    // What an earlier run left may be of another name.
    if let Err(error) = fs::remove_dir_all(&served)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(unusable(error));
    }
    fs::create_dir_all(&served).map_err(unusable)?;
    let config = config(&project, &served, arguments.listen)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let (onlooker, seen) = mpsc::channel(CALLS_MAX);
        let gateway = Gateway::build_seen(&config, Confinement::Off, Some(onlooker)).await?;
        let url = format!("http://{}/mcp", gateway.address());
        let stop = CancellationToken::new();
        let mut bench = Bench { project, served, config, current: gateway.current(), url };
        bench.greet();
        let serving = gateway.serve(stop.cancelled());
        let working = async {
            tokio::select! {
                ended = bench.work() => ended,
                () = show(seen) => Ok(()),
                _ = tokio::signal::ctrl_c() => Ok(()),
            }
        };
        let working = async {
            let ended = working.await;
            stop.cancel();
            ended
        };
        // Calls in flight may come to their end.
        let (served, worked) = tokio::join!(serving, working);
        worked.and(served.map_err(|error| Failed::other(error.to_string())))
    });
    runtime.shutdown_background();
    ended
}

fn config(project: &Project, served: &Path, listen: SocketAddr) -> Result<Config, Failed> {
    let data = project.kept().join("dev");
    let overrides = Overrides { listen: Some(listen), plugin_directory: Some(served.to_owned()), data_directory: Some(data.clone()) };
    let config = Config::read(SETTINGS, &data, &overrides)
        .map_err(|mistakes| Failed::config(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    let mut config = super::patient(config);
    // The one of all commands, so that a component is compiled once.
    config.code_cache_directory = project.kept().join("code-cache");
    Ok(config)
}

/// Builds, and puts what is good where the gateway finds it.
struct Bench {
    project: Project,
    /// What the gateway watches.
    served: PathBuf,
    config: Config,
    current: Current,
    url: String,
}

impl Bench {
    fn greet(&self) {
        say(&format!("{}   {}", output::bold(&self.project.name), output::bold(&self.url)));
        say("Connect an MCP client to this address, by streamable HTTP. Ctrl-C ends it.");
    }

    /// Builds now and at each change, for ever.
    async fn work(&mut self) -> Result<(), Failed> {
        let mut built: Option<State> = None;
        let mut before = self.project.state()?;
        loop {
            let now = self.project.state()?;
            let quiet = now == before;
            before = now.clone();
            if quiet && built.as_ref() != Some(&now) {
                match self.round().await {
                    Ok(text) => say(text.trim_end()),
                    Err(failed) => {
                        output::error(&failed.message);
                        let goes_on = if self.serving().is_some() { "the last good version goes on" } else { "nothing is served yet" };
                        say(&format!("✗ not built: {goes_on}"));
                    }
                }
                built = Some(now);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn round(&self) -> Result<String, Failed> {
        say("building");
        toolchain::build(&self.project).await?;
        let component = self.project.component();
        // Looked at here first, so that what is wrong with it is said here.
        let rig = Rig::open(&component, self.config.clone(), CodeIsKept::Always).await?;
        let plugin = rig.plugin();
        self.publish(&component).map_err(|error| Failed::other(format!("{}: {error}", self.served.display())))?;
        self.until_served(plugin.guest.digest()).await?;
        let mut text = format!("✓ serving\n{}", build::shown(plugin));
        if let Some(tool) = plugin.tools.first() {
            text.push_str(&format!("Call one:  gatehouse call {} --url {} --arg NAME=VALUE\n", tool.definition.name, self.url));
        }
        Ok(text)
    }

    /// The component and its side file, each whole.
    fn publish(&self, component: &Path) -> io::Result<()> {
        let side = component.with_extension("toml");
        for from in [&side, component] {
            let Some(name) = from.file_name() else { continue };
            let to = self.served.join(name);
            if !from.is_file() {
                let _ = fs::remove_file(to);
                continue;
            }
            let partial = self.served.join(format!(".{}.partial", name.to_string_lossy()));
            fs::copy(from, &partial)?;
            fs::rename(partial, to)?;
        }
        Ok(())
    }

    fn serving(&self) -> Option<Digest> {
        let generation = self.current.load();
        generation.catalog.shelves.shared.plugins.get(self.project.name.as_str()).map(|plugin| plugin.guest.digest())
    }

    async fn until_served(&self, digest: Digest) -> Result<(), Failed> {
        let served = async {
            while self.serving() != Some(digest) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let late = |_| Failed::other(format!("the gateway did not take it within {} s", SERVED_WITHIN.as_secs()));
        tokio::time::timeout(SERVED_WITHIN, served).await.map_err(late)
    }
}

/// Characters of arguments that are shown.
const ARGUMENTS_CHARS_MAX: usize = 120;

/// Shows calls as they end.
async fn show(mut seen: mpsc::Receiver<Seen>) {
    while let Some(seen) = seen.recv().await {
        let (mark, outcome) = match (seen.outcome, seen.reason) {
            (Outcome::Result, Some(reason)) => ("✓", reason),
            (Outcome::Result, None) => ("✓", "result"),
            (Outcome::ToolError, _) => ("✗", "tool error"),
            (Outcome::Cancelled, _) => ("✗", "cancelled"),
            (_, reason) => ("✗", reason.unwrap_or("refused")),
        };
        let arguments = mcp::text::line(&seen.arguments, ARGUMENTS_CHARS_MAX);
        let (took, cpu) = (output::took(seen.took), output::took(seen.usage.cpu));
        say(&format!("{mark} {} {arguments}   {outcome}   {took}, cpu {cpu}", mcp::text::line(&seen.name, ARGUMENTS_CHARS_MAX)));
        for (level, words) in &seen.words {
            said(words).for_each(|line| say(&format!("  {} | {line}", level.as_str())));
        }
    }
}

fn say(text: &str) {
    output::print(&format!("{text}\n"));
}
