//! Every limit of the gateway, in one place. Each has a default that suits a shared host of two cores, and its unit in its name.

use super::cgroup;
use super::file::Section;
use mcp::JsonLimits;
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
    /// Linear memory of all guests of a tenant.
    pub memory_per_tenant_bytes_max: usize,
    /// What the whole process may have in memory; none: what there is.
    pub process_memory_bytes_max: Option<u64>,
}

impl CallLimits {
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
    /// Reads the section `[limits]`. Where callers have no names, one principal is all of them.
    pub(super) fn read(section: &Section<'_, '_>, named: bool) -> Self {
        let number = |key, default, range| section.number(key, default, range);
        let count = |key, default, range| usize::try_from(section.number(key, default, range)).unwrap_or(usize::MAX);
        let seconds = |key, default, range| Duration::from_secs(section.number(key, default, range));
        let millis = |key, default, range| Duration::from_millis(section.number(key, default, range));
        let guest = sandbox::Limits::default();
        let bodies_bytes_max = number("bodies_in_flight_bytes_max", 256 << 20, 1 << 20..=1 << 40);
        Self {
            http: HttpLimits {
                connections_max: count("connections_max", default_connections(), 1..=1_000_000),
                connections_per_address_max: count("connections_per_address_max", 512, 1..=1_000_000),
                auth_failures_per_minute_max: u32::try_from(number("auth_failures_per_minute_max", 100, 1..=1_000_000)).unwrap_or(u32::MAX),
                header_timeout: seconds("header_timeout_s", 10, 1..=3_600),
                header_bytes_max: count("header_bytes_max", 16 << 10, 1 << 10..=1 << 20),
                header_fields_max: count("header_fields_max", 100, 10..=1_000),
                uri_bytes_max: count("uri_bytes_max", 8 << 10, 256..=64 << 10),
                body_bytes_max: count("body_bytes_max", 4 << 20, 1 << 10..=1 << 30),
                body_timeout: seconds("body_timeout_s", 30, 1..=3_600),
                body_bytes_per_second_min: number("body_bytes_per_second_min", 1 << 10, 0..=1 << 30),
                bodies_bytes_max,
                bodies_per_tenant_bytes_max: number("bodies_per_tenant_bytes_max", bodies_bytes_max / 2, 1 << 19..=1 << 40),
                keep_alive_interval: seconds("keep_alive_interval_s", 15, 1..=3_600),
                drain_timeout: seconds("drain_timeout_s", 30, 0..=3_600),
            },
            json: JsonLimits {
                depth_max: count("json_depth_max", 64, 8..=120),
                nodes_max: count("json_nodes_max", 100_000, 100..=100_000_000),
                string_bytes_max: count("json_string_bytes_max", 1 << 20, 1 << 10..=1 << 30),
            },
            sessions: SessionLimits {
                sessions_max: count("sessions_max", 10_000, 1..=10_000_000),
                per_tenant_max: count("sessions_per_tenant_max", 1_000, 1..=10_000_000),
                per_principal_max: count("sessions_per_principal_max", if named { 16 } else { 1_000 }, 1..=10_000_000),
                initialization_timeout: seconds("session_initialization_timeout_s", 60, 1..=86_400),
                idle_timeout: seconds("session_idle_timeout_s", 1_800, 1..=31_536_000),
                lifetime: seconds("session_lifetime_s", 28_800, 1..=31_536_000),
                requests_in_flight_max: count("session_requests_in_flight_max", 64, 1..=10_000),
                answer_timeout: seconds("answer_timeout_s", 600, 1..=86_400),
            },
            streams: StreamLimits {
                per_session_max: count("streams_per_session_max", 8, 1..=10_000),
                per_principal_max: count("streams_per_principal_max", 32, 1..=1_000_000),
                per_tenant_max: count("streams_per_tenant_max", 2_000, 1..=1_000_000),
                after: millis("stream_after_ms", 50, 0..=60_000),
                retry: millis("stream_retry_ms", 3_000, 10..=3_600_000),
                stall_timeout: seconds("stream_stall_timeout_s", 30, 1..=3_600),
                connection_max: Some(seconds("stream_connection_s", 0, 0..=86_400)).filter(|limit| !limit.is_zero()),
                keep: seconds("stream_keep_s", 600, 1..=604_800),
            },
            tasks: TaskLimits {
                after: millis("task_after_ms", 5_000, 0..=86_400_000),
                wall: seconds("task_wall_time_s", 600, 1..=86_400),
                ttl: seconds("task_keep_s", 3_600, 60..=2_592_000),
                poll_interval: millis("task_poll_interval_ms", 1_000, 10..=3_600_000),
                per_principal_max: count("tasks_per_principal_max", 32, 1..=1_000_000),
            },
            calls: CallLimits {
                in_flight_max: count("calls_in_flight_max", 256, 1..=4_000),
                per_tenant_max: count("calls_per_tenant_max", 256, 1..=4_000),
                computing_per_core_max: count("calls_computing_per_core_max", 16, 1..=4_000),
                queue_max: count("call_queue_max", 256, 0..=100_000),
                queue_timeout: millis("call_queue_timeout_ms", 1_000, 0..=60_000),
                memory_per_tenant_bytes_max: count("memory_per_tenant_bytes_max", 512 << 20, 1 << 20..=1 << 50),
                process_memory_bytes_max: Some(number("process_memory_bytes_max", cgroup::memory_bytes_max().unwrap_or(0), 0..=1 << 50))
                    .filter(|bytes| *bytes > 0),
            },
            guest: sandbox::Limits {
                wall: millis("call_wall_time_ms", 30_000, 1..=300_000),
                cpu: millis("call_cpu_time_ms", 5_000, 1..=300_000),
                memory_bytes: count("call_memory_bytes_max", guest.memory_bytes as u64, 1 << 20..=4 << 30),
                result_bytes: count("call_result_bytes_max", guest.result_bytes as u64, 1 << 10..=256 << 20),
                copy_bytes: count("call_copy_bytes_max", guest.copy_bytes as u64, 1 << 20..=1 << 30),
                log_lines: u32::try_from(number("call_log_lines_max", 1_000, 0..=1_000_000)).unwrap_or(u32::MAX),
                log_bytes: count("call_log_bytes_max", guest.log_bytes as u64, 0..=64 << 20),
                stdio_bytes: count("call_stdio_bytes_max", guest.stdio_bytes as u64, 0..=64 << 20),
                ..guest
            },
            plugins: PluginLimits {
                plugins_max: count("plugins_max", 512, 1..=100_000),
                tools_max: count("plugin_tools_max", 128, 1..=10_000),
                resources_max: count("plugin_resources_max", 1_000, 1..=100_000),
                prompts_max: count("plugin_prompts_max", 128, 1..=10_000),
                page_items_max: count("list_page_items_max", 1_000, 1..=100_000),
                description_bytes_max: count("description_bytes_max", 4 << 10, 64..=1 << 20),
                schema_bytes_max: count("schema_bytes_max", 64 << 10, 64..=16 << 20),
                schema_depth_max: count("schema_depth_max", 32, 2..=120),
                schema_nodes_max: count("schema_nodes_max", 2_000, 10..=1_000_000),
                compile_timeout: seconds("compile_timeout_s", 60, 1..=3_600),
                code_cache_bytes_max: number("code_cache_bytes_max", 2 << 30, 0..=1 << 50),
            },
            policies: PolicyLimits {
                wall: Duration::from_millis(150),
                kept_max: count("policy_decisions_kept_max", 10_000, 0..=1_000_000),
            },
        }
    }
}

/// 9,000, but less than half of the files that this process may open: each connection is one.
fn default_connections() -> u64 {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    (files / 100 * 45).clamp(16, 9_000)
}
