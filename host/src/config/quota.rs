//! How much callers may use: of a tenant, a server, a principal and a tool, each for itself.

use super::file::Section;

/// What one of them may use; zero: as much as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotaConfig {
    /// Calls that run or wait for their turn at once.
    pub calls_in_flight_max: u32,
    /// Calls in a second, on and on.
    pub calls_per_second_max: u32,
    /// Calls at once after a while without any; zero: twice those of a second.
    pub calls_burst_max: u32,
    /// Processor time of guests in a minute, in milliseconds.
    pub cpu_ms_per_minute_max: u32,
    /// Memory of guests in a minute, times the seconds that they had it, in MiB·s.
    pub memory_mib_s_per_minute_max: u32,
    /// Bytes of results and notifications in a minute.
    pub bytes_out_per_minute_max: u64,
    /// Requests that guests send in a minute.
    pub egress_calls_per_minute_max: u32,
    /// Sessions that are open at once, within those of the limits.
    pub sessions_max: u32,
    /// Event streams that are open at once, within those of the limits.
    pub streams_max: u32,
}

impl QuotaConfig {
    /// As much as there is.
    pub const NONE: Self = Self {
        calls_in_flight_max: 0,
        calls_per_second_max: 0,
        calls_burst_max: 0,
        cpu_ms_per_minute_max: 0,
        memory_mib_s_per_minute_max: 0,
        bytes_out_per_minute_max: 0,
        egress_calls_per_minute_max: 0,
        sessions_max: 0,
        streams_max: 0,
    };
}

/// The quotas that hold where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quotas {
    /// Of each tenant.
    pub tenant: QuotaConfig,
    /// Of each tenant at each server.
    pub server: QuotaConfig,
    /// Of each principal.
    pub principal: QuotaConfig,
    /// Of each tenant with each tool.
    pub tool: QuotaConfig,
}

impl Quotas {
    /// Where everybody is the same anonymous caller, a rate would be a rate of the whole gateway: none.
    fn defaults(named: bool) -> Self {
        let rate = |calls_per_second_max| QuotaConfig { calls_per_second_max, ..QuotaConfig::default() };
        if named { Self { tenant: rate(200), principal: rate(50), ..Self::default() } } else { Self::default() }
    }

    pub(super) fn read(root: &Section<'_, '_>, named: bool) -> Self {
        let quotas = root.section("quotas");
        let defaults = Self::defaults(named);
        let read = |kind, default| read(quotas.section(kind), default);
        let tool = quotas.section("tool");
        for key in ["sessions_max", "streams_max"].into_iter().filter(|key| tool.has(key)) {
            tool.note(key, "a tool has no sessions and no streams of its own; limit those of `tenant`, `server` or `principal`");
        }
        let all = Self {
            tenant: read("tenant", defaults.tenant),
            server: read("server", defaults.server),
            principal: read("principal", defaults.principal),
            tool: self::read(tool, defaults.tool),
        };
        quotas.end();
        all
    }
}

/// A section with a quota; what it does not say is as in `default`.
pub(super) fn read(quota: Section<'_, '_>, default: QuotaConfig) -> QuotaConfig {
    const NO: &str = "429, -31005";
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let memory = u64::from(default.memory_mib_s_per_minute_max);
    let egress = u64::from(default.egress_calls_per_minute_max);
    let egress = quota.limit("egress_calls_per_minute_max", egress, 0..=10_000_000, "", "its requests are denied");
    let read = QuotaConfig {
        calls_in_flight_max: small(quota.limit("calls_in_flight_max", default.calls_in_flight_max.into(), 0..=4_000, "", NO)),
        calls_per_second_max: small(quota.limit("calls_per_second_max", default.calls_per_second_max.into(), 0..=1_000_000, "", NO)),
        calls_burst_max: small(quota.limit("calls_burst_max", default.calls_burst_max.into(), 0..=10_000_000, "", NO)),
        cpu_ms_per_minute_max: small(quota.limit("cpu_ms_per_minute_max", default.cpu_ms_per_minute_max.into(), 0..=100_000_000, "", NO)),
        memory_mib_s_per_minute_max: small(quota.limit("memory_mib_s_per_minute_max", memory, 0..=1_000_000_000, "", NO)),
        bytes_out_per_minute_max: quota.limit("bytes_out_per_minute_max", default.bytes_out_per_minute_max, 0..=1 << 50, "", NO),
        egress_calls_per_minute_max: small(egress),
        sessions_max: small(quota.limit("sessions_max", default.sessions_max.into(), 0..=10_000_000, "", NO)),
        streams_max: small(quota.limit("streams_max", default.streams_max.into(), 0..=10_000_000, "", NO)),
    };
    quota.end();
    read
}
