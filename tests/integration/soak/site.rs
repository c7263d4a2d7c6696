//! What is soaked: one gateway with all that it can have, whose limits are small enough that everything expires within the run.

use super::tally::Tally;
use crate::harness::{Answer, Events, Gateway, Modern, Setup, eventually, fixture};
use crate::integration::admin::random_token;
use crate::integration::metrics::Page;
use crate::integration::tenants::{House, Who};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// For whatever a busy machine takes its time for.
pub(super) const SOON: Duration = Duration::from_secs(30);
/// Tries of a request that is refused because the machine is too busy for a policy's 150 ms.
const TRIES: usize = 20;
/// Those refusals: nobody's fault, and counted like every other answer.
const LATE: [&str; 2] = ["503 -31010 policy_unavailable", "200 -31006 result_withheld"];
/// Before the gateway closes a quiet connection, so that no request goes out on one that is being closed.
const CLIENT_IDLE: Duration = Duration::from_secs(2);

/// Tenants whose work goes on undisturbed. `UMBRELLA` has a filter.
pub(super) const ACME: &str = "acme";
pub(super) const UMBRELLA: &str = "umbrella";
/// Whose tools misbehave and whose clients do not read: it fills what it may keep.
pub(super) const INITECH: &str = "initech";
/// Who is revoked again and again.
pub(super) const HOOLI: &str = "hooli";
pub(super) const NAMES: [&str; 8] = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];

/// Times in which everything is forgotten, and sizes at which it is pushed out. The journal begins new files too. A place in an engine's pool
/// keeps its memory once it was used, and new components take new places first: with 32 for calls all are soon in use.
const LIMITS: &str = "\
[limits]
breaker_calls_min = 0
session_idle_timeout_s = 5
session_initialization_timeout_s = 3
session_lifetime_s = 60
stream_keep_s = 5
stream_after_ms = 30
stream_stall_timeout_s = 2
stream_retry_ms = 500
header_timeout_s = 5
body_timeout_s = 4
answer_timeout_s = 2
task_after_ms = 200
task_keep_s = 60
task_poll_interval_ms = 50
task_wall_time_s = 20
auth_failures_per_minute_max = 30
calls_in_flight_max = 32
call_wall_time_ms = 3000
call_cpu_time_ms = 100
call_memory_bytes_max = 16777216
call_log_lines_max = 20
call_log_bytes_max = 4096
body_bytes_max = 65536
call_result_bytes_max = 65536
list_page_items_max = 20
policy_decisions_kept_max = 500
[store]
ring_events = 20
tenant_bytes_max = 1048576
total_bytes_max = 4194304
cache_bytes = 1048576
[journal]
bytes_max = 1048576
[quotas.principal]
calls_per_second_max = 20
[tenants.initech]
[tenants.hooli]
";

/// The allocator gives back at once what is free, page by page: what it keeps for later would hide a leak of minutes.
const PRECISE: &[(&str, &str)] = &[("MIMALLOC_PURGE_DELAY", "0"), ("MIMALLOC_ALLOW_THP", "0")];

/// What readings of the settings change.
#[derive(Clone, Copy, Default)]
pub(super) struct Rules {
    /// Whether `/servers/extra/mcp` is there.
    pub(super) extra: bool,
    /// A tool that nobody may use, beside `env`.
    pub(super) forbidden: Option<&'static str>,
    /// Whether they have a mistake.
    pub(super) broken: bool,
}

pub(super) struct Site {
    pub(super) house: House,
    pub(super) tally: Tally,
    /// Components of policies.
    pub(super) place: TempDir,
    admin_address: String,
    admin_token: String,
    over: AtomicBool,
    /// Tasks are kept for a minute at least: they end before everything else does.
    tasks_over: AtomicBool,
    began: Instant,
}

fn settings(place: &Path, rules: Rules) -> String {
    let (token, policy, filter) = (place.join("admin-token"), place.join("verdict.wasm"), place.join("sieve.wasm"));
    let forbidden = rules.forbidden.map(|tool| format!(", \"{tool}\"")).unwrap_or_default();
    let extra = if rules.extra { "[servers.extra]\ntools = [\"echo\"]\n" } else { "" };
    let broken = if rules.broken { "[nonsense]\n" } else { "" };
    format!(
        "{LIMITS}{extra}{broken}[gateway]\npolicies = [\"verdict\"]\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = {token:?}\n\
         [policies.verdict]\nfile = {policy:?}\n[policies.verdict.settings]\nforbid = [\"env\"{forbidden}]\nhide = [\"now\"]\n\
         [policies.sieve]\nfile = {filter:?}\n[policies.sieve.settings]\nreplace = [\"secret\", \"nothing\"]\n"
    )
}

impl Site {
    pub(super) async fn start() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let (admin_token, file) = (random_token(), place.path().join("admin-token"));
        fs::write(&file, &admin_token).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
        for name in ["verdict", "sieve"] {
            fs::copy(fixture(name), place.path().join(format!("{name}.wasm"))).expect("copied");
        }
        let shared = Setup {
            plugins: vec!["text-toolbox", "handbook"],
            fixtures: vec!["misbehave", "conformance-server", "conformance-tasks"],
            ..Setup::default()
        };
        let more = settings(place.path(), Rules::default());
        let mut house = House::in_environment(shared, &[], ("", "policies = [\"sieve\"]", &more), PRECISE).await;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).pool_idle_timeout(CLIENT_IDLE).no_proxy();
        house.gateway.client = client.build().expect("a client");
        let told = async || {
            let log = house.gateway.log();
            let (_, rest) = log.split_once("the admin listener answers address=")?;
            Some(rest.split_whitespace().next()?.to_owned())
        };
        let admin_address = eventually("the admin listener", SOON, told).await;
        let (over, tasks_over) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { house, tally: Tally::default(), place, admin_address, admin_token, over, tasks_over, began: Instant::now() }
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.house.gateway
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn tasks_are_over(&self) -> bool {
        self.tasks_over.load(Ordering::Relaxed)
    }

    pub(super) fn set_over(&self, over: bool) {
        self.over.store(over, Ordering::Relaxed);
    }

    pub(super) fn set_tasks_over(&self, over: bool) {
        self.tasks_over.store(over, Ordering::Relaxed);
    }

    /// Sends a request and reads its answer to the end. It must be of one of these classes; the time counts to its end.
    pub(super) async fn ask(&self, kind: &'static str, request: RequestBuilder, expected: &[&str]) -> Answer {
        for _ in 0..TRIES {
            let began = Instant::now();
            let answer = Answer::of(request.try_clone().expect("its body is no stream")).await;
            let class = class(&answer);
            self.tally.note(kind, began.elapsed(), &class);
            if expected.contains(&class.as_str()) {
                return answer;
            }
            assert!(LATE.contains(&class.as_str()), "{kind}: {class} is none of {expected:?}: {answer:?}");
        }
        panic!("{kind}: policies were late {TRIES} times");
    }

    /// Begins an event stream; the time counts to its head.
    pub(super) async fn events(&self, kind: &'static str, request: RequestBuilder) -> Events {
        for _ in 0..TRIES {
            let began = Instant::now();
            let response = request.try_clone().expect("its body is no stream").send().await.expect("an answer");
            let status = response.status().as_u16();
            self.tally.note(kind, began.elapsed(), &status.to_string());
            if status != 503 {
                return Events::in_response(response);
            }
        }
        panic!("{kind}: policies were late {TRIES} times");
    }

    /// A modern request of somebody.
    pub(super) fn by(&self, who: Who, request: Modern) -> RequestBuilder {
        let token = self.house.token(who, request.path.trim_end_matches('/'));
        request.header("authorization", format!("Bearer {token}")).build(self.gateway())
    }

    /// A legacy POST of somebody.
    pub(super) fn post(&self, who: Who, session: Option<&str>, body: &Value) -> RequestBuilder {
        self.house.legacy(who, "POST", "/mcp", session, Some(body))
    }

    /// Puts other settings in place.
    pub(super) fn set(&self, rules: Rules) {
        let more = settings(self.place.path(), rules);
        self.gateway().set(&House::settings(&self.house.place, ("", "policies = [\"sieve\"]", &more)));
    }

    /// On a connection of its own, so that it leaves none behind.
    pub(super) fn admin(&self, verb: Method, path: &str) -> RequestBuilder {
        let request = self.gateway().client.request(verb, format!("http://{}{path}", self.admin_address));
        request.bearer_auth(&self.admin_token).header("connection", "close")
    }

    pub(super) async fn metrics(&self) -> Page {
        let answer = Answer::of(self.admin(Method::GET, "/metrics")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Page::read(&answer.text)
    }

    /// What commands ask a running gateway, without the command: the first line of the answer.
    pub(super) async fn control(&self, line: &str) -> Value {
        let socket = self.gateway().data().join("store/SOCKET");
        let mut stream = eventually("the socket", SOON, async || UnixStream::connect(&socket).await.ok()).await;
        stream.write_all(format!("{line}\n").as_bytes()).await.expect("taken");
        let mut told = String::new();
        stream.read_to_string(&mut told).await.expect("answered");
        assert!(told.ends_with("{\"end\":true}\n"), "{line}: {told}");
        serde_json::from_str(told.lines().next().expect("a line")).expect("JSON")
    }

    /// Revokes, or takes that back; what was stopped.
    pub(super) async fn revoke(&self, target: &Value, back: bool) -> Value {
        let order = if back { json!({ "restore": target }) } else { json!({ "revoke": { "target": target, "at_ms": 1 } }) };
        let told = self.control(&order.to_string()).await;
        assert_eq!((&told["ok"], told.get("calls_left").is_none_or(|left| *left == 0)), (&json!(true), true), "{order}: {told}");
        told
    }
}

/// Status, code and kind of an answer; that a tool speaks of an error.
pub(super) fn class(answer: &Answer) -> String {
    let status = answer.status;
    let Some(message) = answer.messages.last() else { return status.to_string() };
    if let Some(error) = message.get("error") {
        let kind = error["data"]["kind"].as_str().unwrap_or_default();
        return format!("{status} {} {kind}", error["code"]).trim_end().to_owned();
    }
    if message["result"]["isError"] == true { format!("{status} tool error") } else { status.to_string() }
}
