//! Every limit of the gateway, in one place. Each has a default that suits a shared host of two cores, and its unit in its name.

use super::cgroup;
use super::file::{Number, Section};
use mcp::JsonLimits;
use std::ops::RangeInclusive;
use std::time::Duration;

/// All limits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections and requests.
    pub http: HttpLimits,
    /// What a body may hold.
    pub json: JsonLimits,
    /// Legacy sessions.
    pub sessions: SessionLimits,
    /// Their event streams.
    pub streams: StreamLimits,
    /// Calls whose result is fetched later.
    pub tasks: TaskLimits,
    /// How many calls may run.
    pub calls: CallLimits,
    /// What one call may use.
    pub guest: sandbox::Limits,
    /// What a plugin may bring.
    pub plugins: PluginLimits,
    /// What policies get.
    pub policies: PolicyLimits,
}

/// Connections and requests.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Open connections in all.
    pub connections_max: usize,
    /// Open connections of one address.
    pub connections_per_address_max: usize,
    /// Tokens and keys of one address that do not count, before it is told to wait.
    pub auth_failures_per_minute_max: u32,
    /// For the head of a request.
    pub header_timeout: Duration,
    /// Bytes of all header fields of a request.
    pub header_bytes_max: usize,
    /// Header fields of a request.
    pub header_fields_max: usize,
    /// Bytes of the request target.
    pub uri_bytes_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// For a whole body.
    pub body_timeout: Duration,
    /// After a grace of five seconds a body must keep this rate.
    pub body_bytes_per_second_min: u64,
    /// Bytes that bodies in flight hold together, beyond a small part of each.
    pub bodies_bytes_max: u64,
    /// Those of one tenant.
    pub bodies_per_tenant_bytes_max: u64,
    /// Between two comment lines on a quiet event stream.
    pub keep_alive_interval: Duration,
    /// For calls in flight when the gateway is told to stop.
    pub drain_timeout: Duration,
}

/// Legacy sessions.
#[derive(Debug, Clone)]
pub struct SessionLimits {
    /// Sessions in all.
    pub sessions_max: usize,
    /// Sessions of one tenant.
    pub per_tenant_max: usize,
    /// Sessions of one principal.
    pub per_principal_max: usize,
    /// From `initialize` to `notifications/initialized` or the first request.
    pub initialization_timeout: Duration,
    /// Without a request and without a call in flight.
    pub idle_timeout: Duration,
    /// From beginning to end.
    pub lifetime: Duration,
    /// Requests of one session that are in flight at once.
    pub requests_in_flight_max: usize,
    /// For an answer to a question.
    pub answer_timeout: Duration,
}

/// Event streams of legacy sessions.
#[derive(Debug, Clone)]
pub struct StreamLimits {
    /// Open at once in one session.
    pub per_session_max: usize,
    /// Of one principal.
    pub per_principal_max: usize,
    /// Of one tenant.
    pub per_tenant_max: usize,
    /// A call that has not ended by then is answered as a stream that can be resumed, where the revision primes streams.
    pub after: Duration,
    /// What clients are told to wait before they come back; each is told up to half of it less or more.
    pub retry: Duration,
    /// A connection whose reader takes nothing for so long is closed.
    pub stall_timeout: Duration,
    /// A connection that lives longer is closed, and its client comes back; none: never.
    pub connection_max: Option<Duration>,
    /// How long a stream can be resumed after its end.
    pub keep: Duration,
}

/// Calls whose result is fetched later.
#[derive(Debug, Clone)]
pub struct TaskLimits {
    /// A call that has not ended by then becomes a task, where client and tool can.
    pub after: Duration,
    /// How long a call that can become a task may take.
    pub wall: Duration,
    /// How long a task is kept, from when it was made.
    pub ttl: Duration,
    /// How often clients are told to ask.
    pub poll_interval: Duration,
    /// Tasks of one principal that have not come to their end.
    pub per_principal_max: usize,
}

/// What falls again and again is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// So many calls within the window, of which half have fallen; 0: never.
    pub calls_min: u32,
    /// Within what time, and for how long.
    pub window: Duration,
}

impl BreakerLimits {
    /// Never.
    pub const NONE: Self = Self { calls_min: 0, window: Duration::ZERO };
}

/// How many calls may run.
#[derive(Debug, Clone)]
pub struct CallLimits {
    /// In all.
    pub in_flight_max: usize,
    /// Of one tenant.
    pub per_tenant_max: usize,
    /// Guests of a tenant that may compute for long at once, times the processors, divided by the tenants that do.
    pub computing_per_core_max: usize,
    /// Calls of a tenant that may wait for their turn.
    pub queue_max: usize,
    /// How long a call waits for its turn before it is refused.
    pub queue_timeout: Duration,
    /// When calls are refused that fall again and again.
    pub breaker: BreakerLimits,
    /// Linear memory of all guests of a tenant.
    pub memory_per_tenant_bytes_max: usize,
    /// Bytes in all scratch directories of a tenant's calls and sessions.
    pub scratch_per_tenant_bytes_max: u64,
    /// What the whole process may have in memory; none: what there is.
    pub process_memory_bytes_max: Option<u64>,
}

impl CallLimits {
    /// What there is of memory: what the process may have, or else the machine. 0 where nobody says it.
    pub fn memory_bytes(&self) -> u64 {
        self.process_memory_bytes_max.or_else(cgroup::machine_memory_bytes).unwrap_or(0)
    }

    /// Linear memory of all guests: the rest of what the process may have is for everything else.
    pub fn guests_bytes_max(&self) -> usize {
        const PERCENT: u64 = 50;
        self.process_memory_bytes_max.map_or(usize::MAX, |bytes| usize::try_from(bytes / 100 * PERCENT).unwrap_or(usize::MAX))
    }
}

/// What policies get.
#[derive(Debug, Clone)]
pub struct PolicyLimits {
    /// For one decision, waiting included. No setting: a gateway must not be made to hang on its policies.
    pub wall: Duration,
    /// Decisions that are kept for some seconds; 0: none.
    pub kept_max: usize,
}

/// What a plugin may bring.
#[derive(Debug, Clone)]
pub struct PluginLimits {
    /// Plugins in the directory; the first by name count.
    pub plugins_max: usize,
    /// Tools of one plugin.
    pub tools_max: usize,
    /// Resources of one plugin, and as many templates.
    pub resources_max: usize,
    /// Prompts of one plugin.
    pub prompts_max: usize,
    /// Items of one page of a list.
    pub page_items_max: usize,
    /// Bytes of a tool's description.
    pub description_bytes_max: usize,
    /// Bytes of a schema.
    pub schema_bytes_max: usize,
    /// Levels of a schema.
    pub schema_depth_max: usize,
    /// Objects and booleans in a schema.
    pub schema_nodes_max: usize,
    /// For compiling a component.
    pub compile_timeout: Duration,
    /// Of compiled code that is kept.
    pub code_cache_bytes_max: u64,
}

impl Limits {
    /// Those that no setting changes, as numbers with one choice.
    pub(super) fn fixed() -> impl Iterator<Item = Number> {
        let of = |subject, all: &'static [(&'static str, u64)], beyond| {
            all.iter().map(move |(name, value)| Number {
                subject,
                key: format!("fixed.{name}"),
                value: *value,
                default: Some(*value),
                range: *value..=*value,
                line: None,
                beyond,
            })
        };
        let components = of("Fixed: of a component", &sandbox::OF_COMPONENTS, "It is not served");
        let calls = of("Fixed: of one call", &sandbox::OF_CALLS, "");
        components.chain(calls).chain(of("Fixed: of instances that wait for another call", &sandbox::OF_KEPT, "One of them is dropped"))
    }

    /// Reads the section `[limits]`. Where callers have no names, one principal is all of them.
    pub(super) fn read(section: &Section<'_, '_>, named: bool) -> Self {
        let of = |subject| Reader { section, subject };
        Self {
            http: HttpLimits::read(&of("Connections and requests")),
            json: read_json(&of("JSON")),
            sessions: SessionLimits::read(&of("Legacy sessions"), named),
            streams: StreamLimits::read(&of("Event streams")),
            tasks: TaskLimits::read(&of("Tasks")),
            calls: CallLimits::read(&of("All calls")),
            guest: read_guest(&of("One call")),
            plugins: PluginLimits::read(&of("Plugins")),
            policies: PolicyLimits::read(&of("Policies")),
        }
    }
}

/// Reads the limits of one subject. Each comes with what becomes of what is beyond it, in the words of `host/README.md`; that is empty where
/// there is no such thing.
struct Reader<'s, 'a, 't> {
    section: &'s Section<'a, 't>,
    subject: &'static str,
}

impl Reader<'_, '_, '_> {
    fn number(&self, key: &str, default: u64, range: RangeInclusive<u64>, beyond: &'static str) -> u64 {
        self.section.limit(key, default, range, self.subject, beyond)
    }

    fn count(&self, key: &str, default: u64, range: RangeInclusive<u64>, beyond: &'static str) -> usize {
        usize::try_from(self.number(key, default, range, beyond)).unwrap_or(usize::MAX)
    }

    fn small(&self, key: &str, default: u64, range: RangeInclusive<u64>, beyond: &'static str) -> u32 {
        u32::try_from(self.number(key, default, range, beyond)).unwrap_or(u32::MAX)
    }

    fn seconds(&self, key: &str, default: u64, range: RangeInclusive<u64>, beyond: &'static str) -> Duration {
        Duration::from_secs(self.number(key, default, range, beyond))
    }

    fn millis(&self, key: &str, default: u64, range: RangeInclusive<u64>, beyond: &'static str) -> Duration {
        Duration::from_millis(self.number(key, default, range, beyond))
    }
}

impl HttpLimits {
    fn read(of: &Reader<'_, '_, '_>) -> Self {
        let bodies_bytes_max = of.number("bodies_in_flight_bytes_max", 256 << 20, 1 << 20..=1 << 40, "503, -31004");
        let of_tenant = bodies_bytes_max / 2;
        Self {
            connections_max: of.count("connections_max", default_connections(), 1..=1_000_000, "More wait in the kernel's queue"),
            connections_per_address_max: of.count("connections_per_address_max", 512, 1..=1_000_000, "closed at once"),
            auth_failures_per_minute_max: of.small("auth_failures_per_minute_max", 100, 1..=1_000_000, "429"),
            header_timeout: of.seconds("header_timeout_s", 10, 1..=3_600, "Closed"),
            header_bytes_max: of.count("header_bytes_max", 16 << 10, 1 << 10..=1 << 20, "431"),
            header_fields_max: of.count("header_fields_max", 100, 10..=1_000, "431"),
            uri_bytes_max: of.count("uri_bytes_max", 8 << 10, 256..=64 << 10, "414"),
            body_bytes_max: of.count("body_bytes_max", 4 << 20, 1 << 10..=1 << 30, "413"),
            body_timeout: of.seconds("body_timeout_s", 30, 1..=3_600, "408"),
            body_bytes_per_second_min: of.number("body_bytes_per_second_min", 1 << 10, 0..=1 << 30, "408"),
            bodies_bytes_max,
            bodies_per_tenant_bytes_max: of.number("bodies_per_tenant_bytes_max", of_tenant, 1 << 19..=1 << 40, "429, -31005"),
            keep_alive_interval: of.seconds("keep_alive_interval_s", 15, 1..=3_600, ""),
            drain_timeout: of.seconds("drain_timeout_s", 30, 0..=3_600, ""),
        }
    }
}

fn read_json(of: &Reader<'_, '_, '_>) -> JsonLimits {
    JsonLimits {
        depth_max: of.count("json_depth_max", 64, 8..=120, "400"),
        nodes_max: of.count("json_nodes_max", 100_000, 100..=100_000_000, "400"),
        string_bytes_max: of.count("json_string_bytes_max", 1 << 20, 1 << 10..=1 << 30, "400"),
    }
}

impl SessionLimits {
    fn read(of: &Reader<'_, '_, '_>, named: bool) -> Self {
        let of_one = if named { 16 } else { 1_000 };
        Self {
            sessions_max: of.count("sessions_max", 10_000, 1..=10_000_000, "503"),
            per_tenant_max: of.count("sessions_per_tenant_max", 1_000, 1..=10_000_000, "429"),
            per_principal_max: of.count("sessions_per_principal_max", of_one, 1..=10_000_000, "429"),
            initialization_timeout: of.seconds("session_initialization_timeout_s", 60, 1..=86_400, "The session ends"),
            idle_timeout: of.seconds("session_idle_timeout_s", 1_800, 1..=31_536_000, "The session ends"),
            lifetime: of.seconds("session_lifetime_s", 28_800, 1..=31_536_000, "The session ends"),
            requests_in_flight_max: of.count("session_requests_in_flight_max", 64, 1..=10_000, "429"),
            answer_timeout: of.seconds("answer_timeout_s", 600, 1..=86_400, "-32603"),
        }
    }
}

impl StreamLimits {
    fn read(of: &Reader<'_, '_, '_>) -> Self {
        Self {
            per_session_max: of.count("streams_per_session_max", 8, 1..=10_000, "429"),
            per_principal_max: of.count("streams_per_principal_max", 32, 1..=1_000_000, "429"),
            per_tenant_max: of.count("streams_per_tenant_max", 2_000, 1..=1_000_000, "429"),
            after: of.millis("stream_after_ms", 50, 0..=60_000, ""),
            retry: of.millis("stream_retry_ms", 3_000, 10..=3_600_000, ""),
            stall_timeout: of.seconds("stream_stall_timeout_s", 30, 1..=3_600, "closed"),
            connection_max: Some(of.seconds("stream_connection_s", 0, 0..=86_400, "closed")).filter(|limit| !limit.is_zero()),
            keep: of.seconds("stream_keep_s", 600, 1..=604_800, ""),
        }
    }
}

impl TaskLimits {
    fn read(of: &Reader<'_, '_, '_>) -> Self {
        Self {
            after: of.millis("task_after_ms", 5_000, 0..=86_400_000, "becomes a task"),
            wall: of.seconds("task_wall_time_s", 600, 1..=86_400, "-31001"),
            ttl: of.seconds("task_keep_s", 3_600, 1..=2_592_000, ""),
            poll_interval: of.millis("task_poll_interval_ms", 1_000, 10..=3_600_000, ""),
            per_principal_max: of.count("tasks_per_principal_max", 32, 1..=1_000_000, "429"),
        }
    }
}

impl CallLimits {
    fn read(of: &Reader<'_, '_, '_>) -> Self {
        let process = of.number("process_memory_bytes_max", cgroup::memory_bytes_max().unwrap_or(0), 0..=1 << 50, "503");
        Self {
            in_flight_max: of.count("calls_in_flight_max", 256, 1..=4_000, "503"),
            per_tenant_max: of.count("calls_per_tenant_max", 256, 1..=4_000, "429"),
            computing_per_core_max: of.count("calls_computing_per_core_max", 4, 1..=4_000, "503"),
            queue_max: of.count("call_queue_max", 256, 0..=100_000, "429, or 503"),
            queue_timeout: of.millis("call_queue_timeout_ms", 1_000, 0..=60_000, "refused"),
            breaker: BreakerLimits {
                calls_min: of.small("breaker_calls_min", 20, 0..=1_000_000, "503, -31007"),
                window: of.seconds("breaker_window_s", 30, 1..=3_600, ""),
            },
            memory_per_tenant_bytes_max: of.count("memory_per_tenant_bytes_max", 512 << 20, 1 << 20..=1 << 50, "429"),
            scratch_per_tenant_bytes_max: of.number("scratch_per_tenant_bytes_max", 1 << 30, 1..=1 << 50, "Writing fails with `quota`"),
            process_memory_bytes_max: Some(process).filter(|bytes| *bytes > 0),
        }
    }
}

fn read_guest(of: &Reader<'_, '_, '_>) -> sandbox::Limits {
    let guest = sandbox::Limits::default();
    sandbox::Limits {
        wall: of.millis("call_wall_time_ms", 30_000, 1..=300_000, "-31001"),
        cpu: of.millis("call_cpu_time_ms", 5_000, 1..=300_000, "-31001"),
        memory_bytes: of.count("call_memory_bytes_max", guest.memory_bytes as u64, 1 << 20..=4 << 30, "-31003"),
        // What the engine's pool has for a table.
        table_elements: of.count("call_table_elements_max", guest.table_elements as u64, 1..=20_000, "-31003"),
        handles: of.count("call_handles_max", guest.handles as u64, 16..=1_000_000, "-31003"),
        result_bytes: of.count("call_result_bytes_max", guest.result_bytes as u64, 1 << 10..=256 << 20, "-31008"),
        copy_bytes: of.count("call_copy_bytes_max", guest.copy_bytes as u64, 1 << 20..=1 << 30, "-31003"),
        random_bytes: of.number("call_random_bytes_max", guest.random_bytes, 1 << 10..=16 << 20, "-31002"),
        host_calls: of.number("call_host_calls_max", guest.host_calls, 100..=1_000_000_000_000, "-31003"),
        log_lines: of.small("call_log_lines_max", 1_000, 0..=1_000_000, "Dropped"),
        log_bytes: of.count("call_log_bytes_max", guest.log_bytes as u64, 0..=64 << 20, "Dropped"),
        stdio_bytes: of.count("call_stdio_bytes_max", guest.stdio_bytes as u64, 0..=64 << 20, "Dropped"),
        progress_reports: of.small("call_progress_reports_max", 10_000, 0..=1_000_000, "Dropped"),
    }
}

impl PluginLimits {
    fn read(of: &Reader<'_, '_, '_>) -> Self {
        Self {
            plugins_max: of.count("plugins_max", 512, 1..=100_000, "The first by name count"),
            tools_max: of.count("plugin_tools_max", 128, 1..=10_000, "It is not served"),
            resources_max: of.count("plugin_resources_max", 1_000, 1..=100_000, "It is not served"),
            prompts_max: of.count("plugin_prompts_max", 128, 1..=10_000, "It is not served"),
            page_items_max: of.count("list_page_items_max", 1_000, 1..=100_000, "on further pages"),
            description_bytes_max: of.count("description_bytes_max", 4 << 10, 64..=1 << 20, "The plugin is not served"),
            schema_bytes_max: of.count("schema_bytes_max", 64 << 10, 64..=16 << 20, "The plugin is not served"),
            schema_depth_max: of.count("schema_depth_max", 32, 2..=120, "The plugin is not served"),
            schema_nodes_max: of.count("schema_nodes_max", 2_000, 10..=1_000_000, "The plugin is not served"),
            compile_timeout: of.seconds("compile_timeout_s", 60, 1..=3_600, "It is not served"),
            code_cache_bytes_max: of.number("code_cache_bytes_max", 2 << 30, 0..=1 << 50, "What was used longest ago goes first"),
        }
    }
}

impl PolicyLimits {
    fn read(of: &Reader<'_, '_, '_>) -> Self {
        Self { wall: Duration::from_millis(150), kept_max: of.count("policy_decisions_kept_max", 10_000, 0..=1_000_000, "") }
    }
}

/// 9,000, but less than half of the files that this process may open: each connection is one.
fn default_connections() -> u64 {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    (files / 100 * 45).clamp(16, 9_000)
}
