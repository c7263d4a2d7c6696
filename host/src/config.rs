//! Settings: the file and the flags, resolved once into a typed [`Config`]. All mistakes are shown together.

mod auth;
mod file;
mod limits;
mod names;
mod origin;
mod policy;
mod store;

pub use auth::{AuthConfig, IssuerConfig, KeysConfig, TokenConfig};
pub use file::Mistake;
pub use limits::{CallLimits, HttpLimits, Limits, PluginLimits, SessionLimits, StreamLimits, TaskLimits};
pub use names::{Pattern, ServerId};
pub use origin::{Origin, is_loopback_name};
pub use policy::{PolicyConfig, PolicyMode};
pub use store::{StoreBackend, StoreConfig};

use file::{Mistakes, Section};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that is read when none is named and it is there.
pub const DEFAULT_FILE: &str = "gatehouse.toml";

/// Everything that an operator can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients are served.
    pub listen: SocketAddr,
    /// What the gateway keeps.
    pub data_directory: PathBuf,
    /// Where compiled code is kept.
    pub code_cache_directory: PathBuf,
    /// Where components are dropped.
    pub plugin_directory: PathBuf,
    /// How callers are known.
    pub auth: AuthConfig,
    /// Whom the gateway answers, beside itself.
    pub http: HttpConfig,
    /// How clients of the handshake era are served.
    pub legacy: LegacyConfig,
    /// What the default server says of itself.
    pub instructions: Option<String>,
    /// Virtual servers beside the default one.
    pub servers: Vec<ServerConfig>,
    /// Policies, by name.
    pub policies: Vec<PolicyConfig>,
    /// Those that are asked everywhere, in their order.
    pub gateway_policies: Vec<String>,
    /// Where sessions, streams and tasks are kept.
    pub store: StoreConfig,
    /// What is recorded of calls; none: nothing.
    pub journal: Option<JournalConfig>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// All limits.
    pub limits: Limits,
}

/// Whom the gateway answers.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// Names that `Host` may have, with or without a port, beside those of the loopback interface.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call, such as `https://app.example.com`. They get CORS headers.
    pub allowed_origins: Vec<Origin>,
}

/// How clients of the handshake era are served.
#[derive(Debug, Clone, Copy)]
pub struct LegacyConfig {
    /// `initialize` makes a session; without it every request stands alone.
    pub stateful_sessions: bool,
    /// Answer with one JSON body always: no event streams, hence no progress.
    pub json_responses: bool,
}

/// A virtual server: a selection of what is offered, at `/servers/{id}/mcp`.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Its name in the path.
    pub id: ServerId,
    /// Which tools it shows.
    pub tools: Vec<Pattern>,
    /// Which resources and resource templates it shows, by URI.
    pub resources: Vec<Pattern>,
    /// Which prompts it shows.
    pub prompts: Vec<Pattern>,
    /// What it says of itself to models.
    pub instructions: Option<String>,
    /// Policies that are asked here, behind those of the gateway, in their order.
    pub policies: Vec<String>,
}

/// What is recorded of calls, and for how long.
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// Where.
    pub directory: PathBuf,
    /// Bytes of all its files; beyond it the oldest go.
    pub bytes_max: u64,
    /// Files that were not written for this long go.
    pub age_max: Duration,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// For people or for programs.
    pub format: LogFormat,
    /// A filter as `tracing` knows it, such as `info` or `gatehouse=debug`.
    pub filter: String,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line each.
    Human,
    /// One JSON object each.
    Json,
}

/// Flags of the command line that win over the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--plugins`
    pub plugin_directory: Option<PathBuf>,
    /// `--data`
    pub data_directory: Option<PathBuf>,
}

/// The settings cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was read, and is wrong.
    Mistakes {
        /// The file; none where flags and defaults are to blame.
        path: Option<PathBuf>,
        /// All of them, by line.
        mistakes: Vec<Mistake>,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(f, "the settings file {} cannot be read: {source}", path.display()),
            Self::Mistakes { path, mistakes } => {
                match path {
                    Some(path) => write!(f, "{} has {}", path.display(), count(mistakes.len()))?,
                    None => write!(f, "the settings have {}", count(mistakes.len()))?,
                }
                mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

fn count(mistakes: usize) -> String {
    if mistakes == 1 { "a mistake:".to_owned() } else { format!("{mistakes} mistakes:") }
}

impl Config {
    /// Reads the named file, or [`DEFAULT_FILE`] in the working directory where it is there, and lets the flags win.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or with everything that is wrong in it.
    pub fn load(named: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let path = match named {
            Some(path) => Some(path.to_owned()),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()),
        };
        let text = match &path {
            Some(path) => std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?,
            None => String::new(),
        };
        // Directories in a file are meant beside the file, wherever the gateway is started.
        let base = path.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        Self::read(&text, &base, overrides).map_err(|mistakes| ConfigError::Mistakes { path, mistakes })
    }

    /// Reads the text of a file whose relative paths are meant from `base`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in it, by line.
    pub fn read(text: &str, base: &Path, overrides: &Overrides) -> Result<Self, Vec<Mistake>> {
        let mistakes = Mistakes::new(text);
        let table = file::parse(&mistakes);
        let root = Section::root(&table, &mistakes);

        let gateway = root.section("gateway");
        let listen = gateway.parsed("listen", |text| {
            text.parse::<SocketAddr>().map_err(|_| "must be an address with a port, such as \"127.0.0.1:8080\"".to_owned())
        });
        let listen = overrides.listen.or(listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
        let auth = root.section("auth");
        let auth_config = auth::read(&auth, base);
        auth.end();
        if !listen.ip().is_loopback() && matches!(auth_config, AuthConfig::Open) {
            gateway.note(
                "listen",
                format!(
                    "{listen} can be reached from other machines, and no authentication is configured; \
                     set auth.mode = \"tokens\", or listen on 127.0.0.1 or [::1] and put a proxy that authenticates in front"
                ),
            );
        }
        let data_directory = gateway.text("data");
        let instructions = gateway.text("instructions");
        let policies: Vec<_> =
            root.sections("policies").into_iter().filter_map(|(name, _, section)| policy::read(&name, base, section)).collect();
        let known: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
        let gateway_policies = policy_names(&gateway, gateway.texts("policies"), &known);
        gateway.end();

        let plugins = root.section("plugins");
        let plugin_directory = plugins.text("directory");
        let code_cache_directory = plugins.text("code_cache");
        plugins.end();

        let http_config = read_http(&root);

        let legacy = root.section("legacy");
        let legacy_config = LegacyConfig {
            stateful_sessions: legacy.flag("stateful_sessions", true),
            json_responses: legacy.flag("json_responses", false),
        };
        legacy.end();

        let servers = root
            .sections("servers")
            .into_iter()
            .filter_map(|(name, offset, section)| read_server(&name, offset, section, &known, &mistakes))
            .collect();

        let directory = |flag: &Option<PathBuf>, file: Option<String>, default: &str| match (flag, file) {
            (Some(flag), _) => flag.clone(),
            (None, Some(file)) => base.join(file),
            (None, None) => base.join(default),
        };
        let data_directory = directory(&overrides.data_directory, data_directory, "gatehouse-data");
        let store_config = read_store(&root, base, &data_directory);

        let journal = root.section("journal");
        let journal_on = journal.flag("enabled", true);
        let journal_bytes_max = journal.number("bytes_max", 1 << 30, 1 << 20..=1 << 40);
        let journal_age_max = Duration::from_secs(journal.number("age_max_days", 30, 1..=36_500).saturating_mul(86_400));
        journal.end();

        let log_config = read_log(&root);

        let limits_section = root.section("limits");
        let limits = Limits::read(&limits_section);
        limits_section.end();
        root.end();

        let mistakes = mistakes.into_list();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            listen,
            code_cache_directory: code_cache_directory.map_or_else(|| data_directory.join("code-cache"), |path| base.join(path)),
            journal: journal_on.then(|| JournalConfig {
                directory: data_directory.join("journal"),
                bytes_max: journal_bytes_max,
                age_max: journal_age_max,
            }),
            data_directory,
            plugin_directory: directory(&overrides.plugin_directory, plugin_directory, "plugins"),
            http: http_config,
            legacy: legacy_config,
            instructions,
            auth: auth_config,
            servers,
            policies,
            gateway_policies,
            store: store_config,
            log: log_config,
            limits,
        })
    }
}

fn read_http(root: &Section<'_, '_>) -> HttpConfig {
    let http = root.section("http");
    let allowed_origins = http.texts("allowed_origins").into_iter().filter_map(|text| {
        let origin = Origin::parse(&text);
        if origin.is_none() {
            http.note("allowed_origins", format!("`{text}` is not an origin: it must be like https://app.example.com, without a path"));
        }
        origin
    });
    let config = HttpConfig { allowed_hosts: http.texts("allowed_hosts"), allowed_origins: allowed_origins.collect() };
    http.end();
    config
}

fn read_store(root: &Section<'_, '_>, base: &Path, data_directory: &Path) -> StoreConfig {
    let store = root.section("store");
    let config = StoreConfig {
        backend: store.parsed("backend", StoreBackend::parse).unwrap_or(StoreBackend::Sled),
        directory: store.text("directory").map_or_else(|| data_directory.join("store"), |path| base.join(path)),
        required: store.flag("required", false),
        settings: event_store::Settings {
            durability: store.parsed("durability", store::durability).unwrap_or_default(),
            ring_events_max: store.number("ring_events", 100, 1..=100_000),
            tenant_bytes_max: store.number("tenant_bytes_max", 256 << 20, 1 << 20..=1 << 40),
            total_bytes_max: store.number("total_bytes_max", 2 << 30, 1 << 20..=1 << 44),
            cache_bytes: store.number("cache_bytes", 64 << 20, 1 << 20..=1 << 36),
            ..event_store::Settings::default()
        },
    };
    store.end();
    config
}

fn read_log(root: &Section<'_, '_>) -> LogConfig {
    let log = root.section("log");
    let format = log.parsed("format", |text| match text {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be \"human\" or \"json\"".to_owned()),
    });
    let filter = log.parsed("filter", |text| match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("is not a log filter: {error}")),
    });
    let config = LogConfig { format: format.unwrap_or(LogFormat::Human), filter: filter.unwrap_or_else(|| "info".to_owned()) };
    log.end();
    config
}

/// The policies that a section attaches.
fn policy_names(section: &Section<'_, '_>, names: Vec<String>, known: &[&str]) -> Vec<String> {
    for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
        section.note("policies", format!("there is no section [policies.{name}]"));
    }
    names
}

fn read_server(
    name: &str,
    offset: usize,
    section: Section<'_, '_>,
    known_policies: &[&str],
    mistakes: &Mistakes<'_>,
) -> Option<ServerConfig> {
    let id = ServerId::parse(name);
    if id.is_none() {
        let message = "a server's id has 1 to 64 of a-z, 0-9 and `-`, and begins with a letter or digit";
        mistakes.note(Some(offset), &format!("servers.{name}"), message);
    }
    let patterns = |key: &str, parse: fn(&str) -> Option<Pattern>, rule: &str| -> Vec<Pattern> {
        let patterns = section.texts(key).into_iter().filter_map(|text| {
            let pattern = parse(&text);
            if pattern.is_none() {
                section.note(key, format!("`{text}` {rule} and `*` for any of them"));
            }
            pattern
        });
        patterns.collect()
    };
    let named = !section.texts("tools").is_empty() || !section.texts("resources").is_empty() || !section.texts("prompts").is_empty();
    if !named {
        section.note("tools", "must name at least one tool, such as [\"echo\", \"text_*\"], unless resources or prompts name something");
    }
    let tools = patterns("tools", Pattern::of_names, "is no tool name: 1 to 128 of A-Z a-z 0-9 _ . -");
    let resources = patterns("resources", Pattern::of_uris, "is no URI: 1 to 1024 visible ASCII characters");
    let prompts = patterns("prompts", Pattern::of_names, "is no prompt name: 1 to 128 of A-Z a-z 0-9 _ . -");
    let instructions = section.text("instructions");
    let policies = policy_names(&section, section.texts("policies"), known_policies);
    section.end();
    Some(ServerConfig { id: id?, tools, resources, prompts, instructions, policies })
}

#[cfg(test)]
mod tests;
