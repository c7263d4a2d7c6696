//! Settings: the file and the flags, resolved once into a typed [`Config`]. All mistakes are shown together.

mod admin;
mod auth;
mod cgroup;
mod file;
mod grant;
mod limits;
mod names;
mod origin;
mod policy;
mod process;
mod quota;
mod reach;
mod secret;
mod server;
mod stamp;
mod store;
mod tenant;
mod traces;
mod trust;

pub use admin::AdminConfig;
pub use auth::{AuthConfig, IssuerConfig, JwksUrl, KEY_ISSUER, KeyConfig, KeysConfig, POLICY_ISSUER_PREFIX, TenantOf, TokenConfig};
pub use file::{Mistake, Number};
pub use grant::{CredentialConfig, DirectoryGrant, FIELDS_OF_HOST, GivenText, GrantConfig, HttpGrant, KeyvalueGrant, SCRATCH};
pub use limits::{BreakerLimits, CallLimits, HttpLimits, Limits, PluginLimits, SessionLimits, StreamLimits, TaskLimits};
pub use names::{Pattern, ServerId, TenantId};
pub use origin::{Origin, is_loopback_name};
pub use policy::{PolicyConfig, PolicyMode};
pub use process::{Landlock, ProcessConfig};
pub use quota::{QuotaConfig, Quotas};
pub use reach::Named;
pub use secret::read_secret;
pub use server::ServerConfig;
pub use stamp::Stamp;
pub use store::{StoreBackend, StoreConfig};
pub use tenant::{Isolation, TenantConfig};
pub use traces::TracesConfig;
pub use trust::{TrustConfig, TrustMode};

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
    /// Where it was read.
    pub source: Source,
    /// Where clients are served.
    pub listen: SocketAddr,
    /// Where the operator is served; none: nowhere.
    pub admin: Option<AdminConfig>,
    /// What the gateway keeps.
    pub data_directory: PathBuf,
    /// Where compiled code is kept.
    pub code_cache_directory: PathBuf,
    /// Whether components that make their memory grow in their first steps get it from the beginning.
    pub growth_elision: bool,
    /// Where components are dropped.
    pub plugin_directory: PathBuf,
    /// Which of them are served.
    pub trust: TrustConfig,
    /// How callers are known.
    pub auth: AuthConfig,
    /// Whom the gateway answers, beside itself.
    pub http: HttpConfig,
    /// How clients of the handshake era are served.
    pub legacy: LegacyConfig,
    /// What the default server says of itself.
    pub instructions: Option<String>,
    /// Whether hidden characters are taken out of what tools and prompts say.
    pub sanitize: bool,
    /// Tenants; there is at least one.
    pub tenants: Vec<TenantConfig>,
    /// Virtual servers beside the default one.
    pub servers: Vec<ServerConfig>,
    /// What plugins may reach, if they ask for it.
    pub grants: Vec<GrantConfig>,
    /// Policies, by name.
    pub policies: Vec<PolicyConfig>,
    /// Those that are asked everywhere, in their order.
    pub gateway_policies: Vec<String>,
    /// Where nobody is asked, nothing may be done.
    pub require_policy: bool,
    /// Settings are read again when their files change.
    pub watch_settings: bool,
    /// Where sessions, streams and tasks are kept.
    pub store: StoreConfig,
    /// What is recorded of calls and other events; none: nothing.
    pub journal: Option<JournalConfig>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Where spans of requests go; none: there are none.
    pub traces: Option<TracesConfig>,
    /// What the process gives up at its start.
    pub process: ProcessConfig,
    /// All limits.
    pub limits: Limits,
    /// What callers may use.
    pub quotas: Quotas,
    /// Every number of all of these, as it was read, and those that cannot be set.
    pub numbers: Vec<Number>,
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

/// What is recorded of calls and other events, and for how long.
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// Where.
    pub directory: PathBuf,
    /// Bytes of all its files; beyond it the oldest go.
    pub bytes_max: u64,
    /// Files that were not written for this long go.
    pub age_max: Duration,
    /// What becomes of calls while it cannot be written.
    pub on_error: OnError,
}

/// What becomes of calls while the journal cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// They go on. Lines that find no room are counted, and the count is written when the journal can be.
    Continue,
    /// They are refused before a guest runs: a call that nobody could answer for is worse than none.
    Refuse,
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

/// Where settings are read.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The file that was named.
    named: Option<PathBuf>,
    overrides: Overrides,
    /// The file as it was read.
    stamp: Stamp,
}

impl Source {
    /// Reads them again.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.named.as_deref(), &self.overrides)
    }
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
    /// Where what is revoked is kept: only the gateway's user can enter it.
    pub fn revocation_directory(&self) -> PathBuf {
        self.data_directory.join("revocations")
    }

    /// Where the socket is that commands ask a running gateway by: a directory that only the gateway's user can enter.
    pub fn control_directory(&self) -> PathBuf {
        match self.store.backend {
            StoreBackend::Sled => self.store.directory.clone(),
            StoreBackend::Memory | StoreBackend::None => self.revocation_directory(),
        }
    }

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
        let stamp = Stamp::of(path.as_deref().unwrap_or(Path::new(DEFAULT_FILE)));
        let text = match &path {
            Some(path) => std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?,
            None => String::new(),
        };
        // Directories in a file are meant beside the file, wherever the gateway is started.
        let base = path.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let config = Self::read(&text, &base, overrides).map_err(|mistakes| ConfigError::Mistakes { path, mistakes })?;
        Ok(Self { source: Source { named: named.map(Path::to_owned), overrides: overrides.clone(), stamp }, ..config })
    }

    /// The files that it is made of, as they are now, and whether the first, the settings themselves, is still as it was read. A change of
    /// one of them makes other settings.
    pub fn stamps(&self) -> (Vec<Stamp>, bool) {
        let files = self.files();
        let files = [self.file()].into_iter().chain(files.iter().map(|named| named.path));
        let stamps: Vec<_> = files.map(Stamp::of).collect();
        let as_read = stamps.first() == Some(&self.source.stamp);
        (stamps, as_read)
    }

    /// What of `new` counts only after a restart, by the names of sections.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        // Their debug forms show everything that they are made of.
        let parts = |config: &Self| {
            [
                ("gateway.listen", format!("{:?}", config.listen)),
                ("admin.listen", format!("{:?}", config.admin.as_ref().map(|admin| admin.listen))),
                ("gateway.sanitize", format!("{:?}", config.sanitize)),
                ("gateway.data", format!("{:?}", config.data_directory)),
                ("plugins.code_cache", format!("{:?}", config.code_cache_directory)),
                ("plugins.growth_elision", format!("{:?}", config.growth_elision)),
                ("legacy", format!("{:?}", config.legacy)),
                ("store", format!("{:?}", config.store)),
                ("journal", format!("{:?}", config.journal)),
                ("log", format!("{:?}", config.log)),
                ("traces", format!("{:?}", config.traces)),
                ("process", format!("{:?}", config.process)),
                ("limits", format!("{:?}", config.limits)),
            ]
        };
        let changed = parts(self).into_iter().zip(parts(new)).filter(|((_, old), (_, new))| old != new);
        changed.map(|((name, _), _)| name).collect()
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
        let admin = admin::read(&root, base, listen);
        let auth = root.section("auth");
        let auth_config = auth::read(&auth, base);
        check_reach(&gateway, listen, &auth_config);
        let data_directory = gateway.text("data");
        let instructions = gateway.text("instructions");
        let policies: Vec<_> =
            root.sections("policies").into_iter().filter_map(|(name, _, section)| policy::read(&name, base, section)).collect();
        let known: Vec<_> = policies.iter().map(|policy| policy.name.as_str()).collect();
        let gateway_policies = policy_names(&gateway, gateway.texts("policies"), &known);
        policy_names(&auth, auth_config.policies().to_vec(), &known);
        let require_policy = gateway.flag("require_policy", false);
        let watch_settings = gateway.flag("watch_settings", true);
        let sanitize = gateway.parsed("sanitize", sanitizes);
        gateway.end();
        let quotas = Quotas::read(&root, matches!(auth_config, AuthConfig::Tokens(_)));
        let tenants = tenant::read(&root, base, &known, &mistakes, quotas.tenant);
        let grants = grant::read(&root, base, (&tenants, matches!(auth_config, AuthConfig::Tokens(_))), &mistakes);
        auth_config.check_tenants(&auth, &tenants);
        auth.end();

        let plugins = root.section("plugins");
        let plugin_directory = plugins.text("directory");
        let code_cache_directory = plugins.text("code_cache");
        let growth_elision = plugins.flag("growth_elision", true);
        let trust = trust::read(&plugins, base);
        plugins.end();

        let http_config = read_http(&root);
        let legacy_config = read_legacy(&root);

        let servers = root
            .sections("servers")
            .into_iter()
            .filter_map(|section| server::read(section, &tenants, &known, &mistakes, quotas.server))
            .collect();

        let directory = |flag: &Option<PathBuf>, file: Option<String>, default: &str| match (flag, file) {
            (Some(flag), _) => flag.clone(),
            (None, Some(file)) => base.join(file),
            (None, None) => base.join(default),
        };
        let data_directory = directory(&overrides.data_directory, data_directory, "gatehouse-data");
        let store_config = read_store(&root, base, &data_directory);
        check_kept(&grants, &store_config, &mistakes);

        let journal_config = read_journal(&root, &data_directory);
        let log_config = read_log(&root);

        let traces = traces::read(&root, base);
        let process_config = process::read(&root);

        let limits = read_limits(&root, &auth_config);
        root.end();

        let numbers = mistakes.numbers().into_iter().chain(Limits::fixed()).collect();
        let mistakes = mistakes.into_list();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            source: Source::default(),
            listen,
            admin,
            code_cache_directory: code_cache_directory.map_or_else(|| data_directory.join("code-cache"), |path| base.join(path)),
            journal: journal_config,
            data_directory,
            plugin_directory: directory(&overrides.plugin_directory, plugin_directory, "plugins"),
            trust,
            http: http_config,
            legacy: legacy_config,
            instructions,
            sanitize: sanitize.unwrap_or(true),
            auth: auth_config,
            tenants,
            servers,
            grants,
            policies,
            gateway_policies,
            require_policy,
            watch_settings,
            growth_elision,
            store: store_config,
            log: log_config,
            traces,
            process: process_config,
            limits,
            quotas,
            numbers,
        })
    }
}

/// Whoever can reach a gateway without authentication may call its tools.
fn check_reach(gateway: &Section<'_, '_>, listen: SocketAddr, auth: &AuthConfig) {
    if !listen.ip().is_loopback() && matches!(auth, AuthConfig::Open) {
        gateway.note(
            "listen",
            format!(
                "{listen} can be reached from other machines, and no authentication is configured; \
                 set auth.mode = \"tokens\", or listen on 127.0.0.1 or [::1] and put a proxy that authenticates in front"
            ),
        );
    }
}

fn read_limits(root: &Section<'_, '_>, auth: &AuthConfig) -> Limits {
    let limits_section = root.section("limits");
    let limits = Limits::read(&limits_section, matches!(auth, AuthConfig::Tokens(_)));
    if limits.calls.memory_per_tenant_bytes_max < limits.guest.memory_bytes {
        let least = "must be no less than limits.call_memory_bytes_max: no call could have as much as it may";
        limits_section.note("memory_per_tenant_bytes_max", least);
    }
    limits_section.end();
    limits
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

/// Who is granted a bucket keeps values in it.
fn check_kept(grants: &[GrantConfig], store: &StoreConfig, mistakes: &Mistakes<'_>) {
    if store.backend == StoreBackend::None {
        for grant in grants.iter().filter(|grant| grant.keyvalue.is_some()) {
            let nowhere = "nothing is kept anywhere: set store.backend = \"sled\", or leave this out";
            mistakes.note(None, &format!("grants.{}.keyvalue", grant.name), nowhere);
        }
    }
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
            tenant_buckets_max: event_store::Filled {
                keys: store.number("keyvalue_per_tenant_keys_max", 100_000, 1..=100_000_000),
                bytes: store.number("keyvalue_per_tenant_bytes_max", 64 << 20, 1 << 10..=1 << 40),
            },
            cache_bytes: store.number("cache_bytes", 64 << 20, 1 << 20..=1 << 36),
            ..event_store::Settings::default()
        },
    };
    store.end();
    config
}

fn read_journal(root: &Section<'_, '_>, data_directory: &Path) -> Option<JournalConfig> {
    let journal = root.section("journal");
    let enabled = journal.flag("enabled", true);
    let on_error = journal.parsed("on_error", |text| match text {
        "continue" => Ok(OnError::Continue),
        "refuse" => Ok(OnError::Refuse),
        _ => Err("must be \"continue\" or \"refuse\"".to_owned()),
    });
    let config = JournalConfig {
        directory: data_directory.join("journal"),
        bytes_max: journal.number("bytes_max", 1 << 30, 1 << 20..=1 << 40),
        age_max: Duration::from_secs(journal.number("age_max_days", 30, 1..=36_500).saturating_mul(86_400)),
        on_error: on_error.unwrap_or(OnError::Continue),
    };
    journal.end();
    enabled.then_some(config)
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

fn read_legacy(root: &Section<'_, '_>) -> LegacyConfig {
    let legacy = root.section("legacy");
    let config =
        LegacyConfig { stateful_sessions: legacy.flag("stateful_sessions", true), json_responses: legacy.flag("json_responses", false) };
    legacy.end();
    config
}

/// What `gateway.sanitize` says.
fn sanitizes(text: &str) -> Result<bool, String> {
    match text {
        "strip" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be \"strip\" or \"off\"".to_owned()),
    }
}

/// The policies that a section attaches.
fn policy_names(section: &Section<'_, '_>, names: Vec<String>, known: &[&str]) -> Vec<String> {
    for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
        section.note("policies", format!("there is no section [policies.{name}]"));
    }
    names
}

#[cfg(test)]
mod tests;
