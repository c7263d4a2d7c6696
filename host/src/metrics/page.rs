//! All metrics as one page of OpenMetrics.

use super::beats;
use super::calls::Table;
use super::counters::{ByWord, Histogram};
use super::{
    AUTH_FAILURES, CALLS, EGRESS_DENIED, FILES_DENIED, HTTP_REJECTED, JWKS_FETCH, KEYVALUE_DENIED, OTHER, OVERSHOOT, PANICS,
    PLUGIN_REJECTED, POLICY_DECISIONS, PUT_ASIDE, QUEUE, RELOAD, SHED, SPANS_DROPPED, SSE_STALLED, TASK_RESTARTS, TEXTS_SANITIZED,
};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What the page is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Sessions, slots and bytes of one tenant.
type ByTenant = BTreeMap<String, u64>;

/// What is looked at when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    /// The program's version.
    pub version: &'static str,
    /// The number of the current generation.
    pub generation: u64,
    /// Tenants of the settings: others are shown together.
    pub tenants: Vec<String>,
    /// Legacy sessions.
    pub sessions: ByTenant,
    /// Slots in use.
    pub permits: ByTenant,
    /// Bytes that the store keeps; none where it cannot say.
    pub store_bytes: Option<ByTenant>,
    /// Operations of the store that failed: reading, writing.
    pub store_errors: [u64; 2],
    /// Responses that are streamed now.
    pub streams: u64,
    /// What request bodies hold of memory.
    pub bodies_bytes: u64,
    /// Tasks of the runtime that have not ended.
    pub tasks: u64,
    /// Plugins that are served, and those with problems.
    pub plugins: [u64; 3],
    /// Log lines that nobody read in time.
    pub log_dropped: u64,
    /// Streams that were resumed from a place of which some later events are gone.
    pub replay_gaps: u64,
    /// Files of the code cache that did not bear its seal.
    pub code_tampered: u64,
    /// How long ago the thread came round that has guests interrupted.
    pub ticker_age: Duration,
    /// Instances that wait for another call.
    pub instances_kept: u64,
    /// Calls that were answered by one of these.
    pub instances_reused: u64,
}

/// Writes it.
#[must_use]
pub fn page(gauges: Gauges) -> String {
    let mut registry = Registry::with_prefix("gatehouse");
    registry.register_collector(Box::new(Page { gauges, calls: CALLS.now() }));
    let mut page = String::new();
    // Writing to a `String` cannot fail.
    let _ = text::encode(&mut page, &registry);
    page
}

#[derive(Debug)]
struct Page {
    gauges: Gauges,
    calls: Arc<Table>,
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self { gauges, calls } = self;
        let mut writer = Writer(encoder);
        let mut build = writer.family("build", "The program that runs.", None, MetricType::Info)?;
        build.encode_info(&[("version", gauges.version)])?;
        writer.gauge("generation", "Number of the current generation of settings and plugins.", gauges.generation)?;
        writer.count("panics", "Panics, wherever they were caught.", PANICS.get())?;
        writer.count("log_dropped", "Log lines that were dropped because standard error was not read.", gauges.log_dropped)?;
        writer.count("spans_dropped", "Spans of traces that the collector did not get.", SPANS_DROPPED.get())?;

        writer.counts("task_restarts", "Loops of the gateway's own that panicked and went on.", "task", &TASK_RESTARTS)?;
        let help = "How long ago a loop of the gateway's own came round.";
        let mut beats = writer.family("task_heartbeat", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (task, age) in beats::ages().into_iter().chain([("epoch", gauges.ticker_age)]) {
            beats.encode_family(&[("task", task)])?.encode_gauge(&age.as_secs_f64())?;
        }

        writer.counts("http_rejected", "Requests and connections refused before any method saw them.", "reason", &HTTP_REJECTED)?;
        writer.counts("auth_failures", "Requests whose sender is not known.", "reason", &AUTH_FAILURES)?;
        writer.counts("jwks_fetch", "Fetches of issuers' keys.", "result", &JWKS_FETCH)?;
        writer.by_tenant("sessions_active", "Sessions of the handshake era.", gauges, &gauges.sessions)?;
        writer.gauge("streams_active", "Event streams that are open.", gauges.streams)?;
        writer.count("connections_put_aside", "Connections moved to threads of low priority, each time.", PUT_ASIDE.get())?;
        writer.count("texts_sanitized", "Texts of results of which hidden characters were taken out.", TEXTS_SANITIZED.get())?;
        writer.count("sse_stalled", "Connections closed because their peer did not read.", SSE_STALLED.get())?;
        writer.count("replay_gaps", "Streams resumed from a place of which some later events are gone.", gauges.replay_gaps)?;
        writer.counts("shed", "Load that was turned away, by what there was no room in.", "stage", &SHED)?;

        let mut bodies = writer.family("bodies", "Bytes that request bodies in flight hold.", Some(&Unit::Bytes), MetricType::Gauge)?;
        bodies.encode_gauge(&gauges.bodies_bytes)?;
        writer.gauge("tasks_active", "Tasks of the runtime that have not ended, such as connections.", gauges.tasks)?;

        let mut family = writer.family("calls", "Calls of guests by how they ended.", None, MetricType::Counter)?;
        for (tenant, tool, row) in calls.rows() {
            for (outcome, count) in row.each() {
                counter(&mut family, &[("tenant", tenant), ("tool", tool), ("outcome", outcome)], count)?;
            }
        }
        let times = calls.times();
        let walls = times.iter().map(|(tenant, times)| (*tenant, &times.wall));
        writer.histograms("call_duration", "Time of calls whose guest ran.", walls)?;
        let cpus = times.iter().map(|(tenant, times)| (*tenant, &times.cpu));
        writer.histograms("call_cpu", "Processor time of guests.", cpus)?;
        let help = "How much later than its limit a call ended that was stopped by one.";
        let mut overshoot = writer.family("call_overshoot", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        histogram(&mut overshoot, &OVERSHOOT)?;
        writer.by_tenant("permits_in_use", "Slots that calls occupy.", gauges, &gauges.permits)?;
        let mut queue = writer.family("queue", "Time that calls waited for a slot.", Some(&Unit::Seconds), MetricType::Histogram)?;
        histogram(&mut queue, &QUEUE)?;
        writer.gauge("instances_kept", "Instances that wait for another call of their caller.", gauges.instances_kept)?;
        writer.count("instances_reused", "Calls that an instance answered which had answered others.", gauges.instances_reused)?;
        writer.counts("policy_decisions", "Decisions of policies, made anew or kept from a moment ago.", "source", &POLICY_DECISIONS)?;

        writer.counts("egress_denied", "Requests of plugins that may not leave, or not as large as they are.", "reason", &EGRESS_DENIED)?;
        writer.counts("keyvalue_denied", "Operations of plugins on buckets that were refused.", "reason", &KEYVALUE_DENIED)?;
        writer.counts("files_denied", "What plugins wanted to add to directories that may hold no more.", "reason", &FILES_DENIED)?;

        let mut plugins = writer.family("plugins", "Files of the plugin directories.", None, MetricType::Gauge)?;
        for (state, count) in ["served", "problem", "quarantined"].into_iter().zip(gauges.plugins) {
            gauge(&mut plugins, &[("state", state)], count)?;
        }
        writer.counts("plugin_rejected", "Files that are not served, or not in their newest version.", "reason", &PLUGIN_REJECTED)?;
        writer.count("aot_cache_tamper", "Files of the code cache that did not bear its seal.", gauges.code_tampered)?;
        writer.counts("reload", "Readings of the settings while the gateway runs.", "result", &RELOAD)?;
        let mut errors = writer.family("store_errors", "Operations of the store that failed.", None, MetricType::Counter)?;
        for (op, count) in ["read", "write"].into_iter().zip(gauges.store_errors) {
            counter(&mut errors, &[("op", op)], count)?;
        }
        let mut store = writer.family("store", "Bytes that the store keeps.", Some(&Unit::Bytes), MetricType::Gauge)?;
        if let Some(bytes) = &gauges.store_bytes {
            each_tenant(&mut store, gauges, bytes)?;
        }
        Ok(())
    }
}

struct Writer<'e>(DescriptorEncoder<'e>);

impl Writer<'_> {
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, unit, kind)
    }

    fn count(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        self.family(name, help, None, MetricType::Counter)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.family(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counts<const N: usize>(&mut self, name: &str, help: &str, label: &str, counts: &ByWord<N>) -> fmt::Result {
        let mut family = self.family(name, help, None, MetricType::Counter)?;
        counts.each().try_for_each(|(word, count)| counter(&mut family, &[(label, word)], count))
    }

    fn by_tenant(&mut self, name: &str, help: &str, gauges: &Gauges, values: &ByTenant) -> fmt::Result {
        each_tenant(&mut self.family(name, help, None, MetricType::Gauge)?, gauges, values)
    }

    fn histograms<'h>(&mut self, name: &str, help: &str, each: impl Iterator<Item = (&'h str, &'h Histogram)>) -> fmt::Result {
        let mut family = self.family(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (tenant, times) in each {
            let labels = [("tenant", tenant)];
            histogram(&mut family.encode_family(&labels)?, times)?;
        }
        Ok(())
    }
}

/// Every tenant of the settings, and all others together.
fn each_tenant(family: &mut MetricEncoder<'_>, gauges: &Gauges, values: &ByTenant) -> fmt::Result {
    let own: BTreeMap<&str, u64> =
        gauges.tenants.iter().map(|name| (name.as_str(), values.get(name).copied().unwrap_or_default())).collect();
    let rest: u64 = values.iter().filter(|(name, _)| !own.contains_key(name.as_str())).map(|(_, value)| value).sum();
    let mut shown = own;
    *shown.entry(OTHER).or_default() += rest;
    shown.into_iter().try_for_each(|(tenant, value)| gauge(family, &[("tenant", tenant)], value))
}

fn counter(family: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, count: u64) -> fmt::Result {
    family.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
}

fn gauge(family: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
    family.encode_family(labels)?.encode_gauge(&value)
}

fn histogram(encoder: &mut MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let (sum, buckets) = histogram.read();
    let count = buckets.iter().map(|(_, count)| count).sum();
    encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
