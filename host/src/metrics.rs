//! Metrics: what happened and how much there is, as numbers for Prometheus.
//!
//! - [`ByWord`], [`Count`], [`Histogram`]: counting, by atomics alone.
//! - [`Beat`]: whether the gateway's own loops come round.
//! - [`CALLS`]: calls by tenant, tool and outcome; resolved once for each generation.
//! - [`page()`]: all of it as OpenMetrics, with [`Gauges`] that are looked at when somebody asks.
//!
//! They are of the process, as logs are: there is one of each, and whoever counts names it. Labels are of closed sets: words that stand here,
//! tenants of the settings, tools of the catalog. What comes from a client is never a label, so that no client can make series.

mod beats;
mod calls;
mod counters;
mod page;

pub use beats::Beat;
pub use calls::{CALLS, Calls, Outcome, Row};
pub use counters::{ByWord, Count, Histogram};
pub use page::{CONTENT_TYPE, Gauges, page};

/// Requests that HTTP or the protocol's ladder refuses, before any method has a look at them.
pub static HTTP_REJECTED: ByWord<31> = ByWord::new([
    "address_full",
    "host_malformed",
    "host",
    "origin_repeated",
    "origin",
    "target_length",
    "head_length",
    "path",
    "verb",
    "session_verb",
    "media_type",
    "accept",
    "accept_events",
    "body_length",
    "body_pace",
    "body_whole",
    "body",
    "ladder",
    "batch_not_allowed",
    "not_a_request",
    "method_not_found",
    "params",
    "bad_cursor",
    "session_required",
    "session_not_found",
    "session_malformed",
    "already_initialized",
    "bad_event_id",
    "bodies_full",
    "tenant_bodies_full",
    OTHER,
]);

/// Requests whose sender is not known, by the reason that the log has.
pub static AUTH_FAILURES: ByWord<36> = ByWord::new([
    "no_token",
    "malformed",
    "no_keys",
    "no_answer",
    "revoked",
    "authorization_scheme",
    "authorization_shape",
    "too_long",
    "parts",
    "encoding",
    "header",
    "header_member",
    "algorithm",
    "type",
    "payload",
    "issuer",
    "kid_unknown",
    "kid_missing",
    "signature",
    "claim",
    "expiry_missing",
    "expired",
    "not_yet",
    "issued_later",
    "lifetime",
    "audience",
    "subject",
    "purpose",
    "scope",
    "key_shape",
    "key_unknown",
    "key_expired",
    "policy",
    "tenant",
    "admin",
    OTHER,
]);

/// Fetches of issuers' keys.
pub static JWKS_FETCH: ByWord<2> = ByWord::new([OK, "failed"]);

/// Files of plugin directories that are not served, or not in their newest version. Each is counted once, as it is logged.
pub static PLUGIN_REJECTED: ByWord<13> = ByWord::new([
    "unreadable",
    "component",
    "imports",
    "exports",
    "compile",
    "compile_worker",
    "link",
    "lists",
    "definition",
    "name_taken",
    "permissions",
    "untrusted",
    OTHER,
]);

/// Readings of the settings while the gateway runs.
pub static RELOAD: ByWord<2> = ByWord::new([OK, "refused"]);

/// What policies decided: anew, or a moment ago.
pub static POLICY_DECISIONS: ByWord<2> = ByWord::new(["kept", "made"]);

/// Load that was turned away, by what there was no room in.
pub static SHED: ByWord<21> = ByWord::new([
    "connections",
    "address",
    "auth_failures",
    "tenant",
    "host",
    "processor",
    "memory",
    "tenant_memory",
    "pool",
    "bodies",
    "tenant_bodies",
    "quota",
    "sessions_host",
    "sessions",
    "streams",
    "requests",
    "tasks",
    "subscriptions",
    "breaker",
    "draining",
    OTHER,
]);

/// Requests of plugins that may not leave, or not as large as they are.
pub static EGRESS_DENIED: ByWord<16> = ByWord::new([
    "not_granted",
    "host",
    "scheme",
    "port",
    "method",
    "host_malformed",
    "address",
    "header",
    "head_size",
    "request_size",
    "response_size",
    "requests",
    "in_flight",
    "quota",
    "credential",
    OTHER,
]);

/// Operations of plugins on buckets that were refused.
pub static KEYVALUE_DENIED: ByWord<12> = ByWord::new([
    "not_granted",
    "operations",
    "key_size",
    "value_size",
    "answer_size",
    "bucket_keys",
    "bucket_bytes",
    "tenant_keys",
    "tenant_bytes",
    "store_full",
    "no_store",
    OTHER,
]);

/// What plugins may not add to a directory, by what it has no more room for.
pub static FILES_DENIED: ByWord<4> = ByWord::new(["bytes", "files", "tenant_bytes", OTHER]);

/// How much later than its limit a call ended that was stopped by one.
pub static OVERSHOOT: Histogram = Histogram::new();

/// The gateway's own loops, each time that one panicked and went on.
pub static TASK_RESTARTS: ByWord<9> = ByWord::new(["house", "watcher", "keys", "sweep", "stalls", "control", "orders", "journal", OTHER]);

/// Texts of which hidden characters were taken out.
pub static TEXTS_SANITIZED: Count = Count::new();

/// Connections that were closed because their peer did not read.
pub static SSE_STALLED: Count = Count::new();

/// How long calls waited for a slot, those that got none too.
pub static QUEUE: Histogram = Histogram::new();

/// Spans that no collector got: it took none, or too many waited.
pub static SPANS_DROPPED: Count = Count::new();

/// Connections that were moved to threads of low priority, each time.
pub static PUT_ASIDE: Count = Count::new();

static PANICS: Count = Count::new();

/// Stands for everything that is not of the set.
const OTHER: &str = "other";
const OK: &str = "ok";

/// From now on panics are counted, wherever they are caught.
pub fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.count();
        before(panic);
    }));
}
