//! The command line: arguments → one command → an exit code.

mod asking;
mod author;
mod call;
mod check;
mod inspect;
mod journal;
mod limits;
mod mirrored;
mod output;
mod plugins;
mod policy;
mod reload;
mod revoke;
mod rig;
mod serve;
mod shown;
mod store;
mod token;
mod usage;

use crate::gateway::COMPILE_WORKER;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Serve WebAssembly components as MCP tools.
#[derive(Debug, Parser)]
#[command(name = "gatehouse", version, about, long_about = LONG_ABOUT, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const LONG_ABOUT: &str = "Serve WebAssembly components as MCP tools.\n\n\
    Drop a component into the plugin directory; every MCP client, old or new, can call it as soon as it is compiled. Each call runs in a \
    sandboxed instance of its own, under limits of time, memory and output.";

const EXAMPLES: &str = "Examples:\n  \
    gatehouse serve --plugins plugins           serve what lies in ./plugins on http://127.0.0.1:8080/mcp\n  \
    gatehouse inspect text-toolbox.wasm         what a component offers, and what it asks for\n  \
    gatehouse call echo --arg message=hello     call a tool of the gateway that runs here\n  \
    gatehouse check                             look at the settings and at every plugin\n\n\
    Settings are read from gatehouse.toml in the working directory where it is there; see host/README.md for every setting.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a plugin directory to MCP clients
    Serve(serve::Arguments),
    /// Show what a component offers, what it imports, and what it would have to be granted
    Inspect(inspect::Arguments),
    /// Check the settings and every plugin; the exit code says whether all is well
    Check(check::Arguments),
    /// Show every limit of the settings: its value, its range, where it is set, and what becomes of what is beyond it
    Limits(limits::Arguments),
    /// Call a tool: of a running gateway, or of a component file in a sandbox of its own
    Call(call::Arguments),
    /// Read the audit log of calls and of what else happened, and prove that it is whole
    Journal(journal::Arguments),
    /// Look after the store of sessions, streams and tasks, of a stopped or a running gateway
    Store(store::Arguments),
    /// Have a running gateway read its settings again
    Reload(reload::Arguments),
    /// Stop a tenant, a caller, a plugin or a tool now, calls in flight included
    Revoke(revoke::Revoke),
    /// Take a revocation back
    Restore(revoke::Restore),
    /// Say which plugins may be served, and see what waits to be approved
    Plugins(plugins::Arguments),
    /// Make a folder for a new component, in a language of your choice
    New(author::new::Arguments),
    /// Build a folder's component, and check it
    Build(author::build::Arguments),
    /// Run a component against the cases of a file, without a server
    Test(author::test::Arguments),
    /// Call a component's tools with arguments made from their schemas, and look for what it falls over
    Fuzz(author::fuzz::Arguments),
    /// Serve a folder's component while it is written: built at each change, every call shown
    Dev(author::dev::Arguments),
    /// Try a policy out
    Policy(policy::Arguments),
    /// Show what tenants, servers, callers and tools of a running gateway used
    Usage(usage::Arguments),
    /// Make API keys and tokens, and look into tokens
    Token(token::Arguments),
    #[command(name = COMPILE_WORKER, hide = true)]
    CompileWorker {
        #[arg(long)]
        growth_elision: bool,
    },
}

/// Where settings come from; flags win over the file.
#[derive(Debug, Clone, Default, Args)]
struct Settings {
    /// Settings file [default: gatehouse.toml in the working directory, where it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory that components are dropped into [default: plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Directory for what the gateway keeps, such as compiled code [default: gatehouse-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Settings {
    fn load(&self, listen: Option<SocketAddr>) -> Result<crate::config::Config, Failed> {
        let overrides = crate::config::Overrides { listen, plugin_directory: self.plugins.clone(), data_directory: self.data.clone() };
        crate::config::Config::load(self.config.as_deref(), &overrides).map_err(|error| Failed::config(error.to_string()))
    }
}

/// Why a command ends with another exit code than 0.
#[derive(Debug)]
struct Failed {
    code: u8,
    message: String,
}

impl Failed {
    /// `EX_CONFIG`: the settings are wrong, or the place they name.
    fn config(message: String) -> Self {
        Self { code: 78, message }
    }

    /// Anything that a message explains.
    fn other(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The message was shown already.
    fn shown(code: u8) -> Self {
        Self { code, message: String::new() }
    }
}

impl From<crate::gateway::StartError> for Failed {
    fn from(error: crate::gateway::StartError) -> Self {
        use crate::gateway::StartError as E;
        use crate::revocation::FileError;
        use event_store::OpenError;
        let code = match &error {
            E::Sandbox(_) | E::Program(_) | E::Threads(_) => 71, // EX_OSERR
            E::Cache(_)
            | E::Journal { .. }
            | E::Key { .. }
            | E::Revocations(FileError::Unreadable { .. } | FileError::Damaged { .. })
            | E::Store(OpenError::Unusable { .. } | OpenError::Missing { .. } | OpenError::Damaged { .. }) => 74, // EX_IOERR
            E::Store(OpenError::Locked { .. }) | E::Revocations(FileError::Locked(_)) => 75, // EX_TEMPFAIL: not while the other one runs
            E::Listen { .. } => 69,                              // EX_UNAVAILABLE
            E::PluginDirectory { .. }
            | E::PluginDirectoryOpen { .. }
            | E::Trust(_)
            | E::Policy(_)
            | E::Issuer(_)
            | E::Admin(_)
            | E::Means(_)
            | E::Given(_)
            | E::Store(OpenError::Newer { .. })
            | E::Revocations(FileError::Newer { .. }) => 78, // EX_CONFIG
        };
        Self { code, message: error.to_string() }
    }
}

/// What commands have in memory are tokens, secrets and what tools are sent. A crash must not write that to a disk.
fn without_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // To have less is always allowed; where it is not, a dump is the system's own will.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    without_core_dumps();
    let done = match Cli::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Limits(arguments) => limits::run(&arguments),
        Command::Call(arguments) => call::run(arguments),
        Command::Journal(arguments) => journal::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::Reload(arguments) => reload::run(&arguments),
        Command::Revoke(arguments) => revoke::revoke(arguments),
        Command::Restore(arguments) => revoke::restore(arguments),
        Command::Plugins(arguments) => plugins::run(&arguments),
        Command::New(arguments) => author::new::run(&arguments),
        Command::Build(arguments) => author::build::run(&arguments),
        Command::Test(arguments) => author::test::run(&arguments),
        Command::Fuzz(arguments) => author::fuzz::run(&arguments),
        Command::Dev(arguments) => author::dev::run(&arguments),
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Usage(arguments) => usage::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::CompileWorker { growth_elision } => {
            let growth = if growth_elision { sandbox::Growth::Elided } else { sandbox::Growth::AsItIs };
            return ExitCode::from(u8::try_from(sandbox::run_worker(growth)).unwrap_or(1));
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            if !failed.message.is_empty() {
                output::error(&failed.message);
            }
            ExitCode::from(failed.code)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // A worker looks at its sockets after this many polls even when it always has something to do.
        .event_interval(8)
        .build()
        .map_err(|error| Failed { code: 71, message: format!("no threads: {error}") })
}
