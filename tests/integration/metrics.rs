//! Metrics: a page that any reader of OpenMetrics takes, numbers that are right, and no series that a client could make.

use super::admin::Administered;
use super::tokens::now_s;
use crate::harness::{Answer, Events, JwksServer, Modern, Says, count, eventually, fixture, initialize_params, raw, root, rpc};
use futures_util::StreamExt as _;
use gatehouse_forge::{Signer, claims, jwks};
use serde_json::json;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// Labels of a series, in their order.
type Labels = Vec<(String, String)>;

/// One family of metrics.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    unit: String,
    help: String,
    /// Names with their suffixes, and labels.
    series: BTreeMap<(String, Labels), f64>,
}

/// A page of OpenMetrics 1.0, read as strictly as the specification allows.
#[derive(Debug)]
pub(super) struct Page {
    families: BTreeMap<String, Family>,
    bytes: usize,
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The labels between braces. Values are quoted; inside, backslashes, quotes and line ends are escaped.
fn labels(text: &str) -> Labels {
    let (mut rest, mut labels) = (text, Labels::new());
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("a label: {text}"));
        assert!(is_name(name), "the label {name} in {text}");
        let (mut value, mut end, mut escaped) = (String::new(), None, false);
        for (at, c) in after.char_indices() {
            match (escaped, c) {
                (true, 'n') => value.push('\n'),
                (true, '\\' | '"') => value.push(c),
                (true, _) => panic!("an escape in {text}"),
                (false, '\\') => {}
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (false, _) => value.push(c),
            }
            escaped = !escaped && c == '\\';
        }
        let end = end.unwrap_or_else(|| panic!("a value without its end: {text}"));
        labels.push((name.to_owned(), value));
        rest = &after[end + 1..];
        if !rest.is_empty() {
            rest = rest.strip_prefix(',').unwrap_or_else(|| panic!("a comma between labels: {text}"));
            assert!(!rest.is_empty(), "a comma behind the last label: {text}");
        }
    }
    let names: BTreeSet<_> = labels.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), labels.len(), "a label twice: {text}");
    labels
}

impl Page {
    pub(super) fn read(text: &str) -> Self {
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        let body = text.strip_suffix("# EOF\n").expect("a page ends with # EOF");
        for line in body.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let (kind, rest) = comment.split_once(' ').expect("a kind of comment");
                let (name, said) = rest.split_once(' ').expect("a family and what is said of it");
                assert!(is_name(name) && name.starts_with("gatehouse_"), "{line}");
                if name != current {
                    assert!(!families.contains_key(name), "the family {name} is in two places");
                    current = name.to_owned();
                }
                let family = families.entry(current.clone()).or_default();
                assert!(family.series.is_empty(), "{line}: comments come before series");
                let place = match kind {
                    "HELP" => &mut family.help,
                    "TYPE" => &mut family.kind,
                    "UNIT" => &mut family.unit,
                    _ => panic!("{line}: there is no such comment"),
                };
                assert!(place.is_empty() && !said.is_empty(), "{line}: said twice, or nothing");
                place.push_str(said);
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("a value in {line}"));
            let value: f64 = value.parse().unwrap_or_else(|error| panic!("{error}: {line}"));
            let (name, labels) = match series.split_once('{') {
                Some((name, rest)) => (name, labels(rest.strip_suffix('}').unwrap_or_else(|| panic!("braces in {line}")))),
                None => (series, Labels::new()),
            };
            assert!(is_name(name), "{line}");
            let family = families.get_mut(&current).expect("comments before series");
            let suffixes: &[&str] = match family.kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "info" => &["_info"],
                "histogram" => &["_sum", "_count", "_bucket"],
                other => panic!("{line}: a type {other}"),
            };
            let suffix = name.strip_prefix(current.as_str()).filter(|suffix| suffixes.contains(suffix));
            assert!(suffix.is_some(), "{line}: it is not of {current}");
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(family.series.insert((name.to_owned(), labels), value).is_none(), "{line}: it is there twice");
        }
        let page = Self { families, bytes: text.len() };
        for (name, family) in &page.families {
            assert!(!family.kind.is_empty() && !family.help.is_empty(), "{name}");
            assert!(family.unit.is_empty() || name.ends_with(&format!("_{}", family.unit)), "{name}: {}", family.unit);
            if family.kind == "histogram" {
                histogram(name, family);
            }
        }
        page
    }

    /// The value of one series; 0 for one that is not there.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let all = self.families.values().flat_map(|family| &family.series);
        all.into_iter().find(|((known, at), _)| known == name && *at == labels).map_or(0.0, |(_, value)| *value)
    }

    /// The values of all series of a name together.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.families.values().flat_map(|family| &family.series).filter(|((known, _), _)| known == name).map(|(_, value)| value).sum()
    }

    fn calls(&self, tool: &str, outcome: &str) -> f64 {
        self.value("gatehouse_calls_total", &[("tenant", "default"), ("tool", tool), ("outcome", outcome)])
    }

    fn series(&self) -> BTreeSet<(String, Labels)> {
        self.families.values().flat_map(|family| family.series.keys().cloned()).collect()
    }
}

/// Buckets are cumulative, the last one has all, and there are a sum and a count beside.
fn histogram(name: &str, family: &Family) {
    let mut by_labels: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for ((series, labels), value) in &family.series {
        if !series.ends_with("_bucket") {
            assert!(labels.iter().all(|(name, _)| name != "le"));
            continue;
        }
        let (le, rest): (Labels, Labels) = labels.iter().cloned().partition(|(name, _)| name == "le");
        let [(_, bound)] = le.as_slice() else { panic!("{name}: one bound in {labels:?}") };
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().expect("a bound") };
        by_labels.entry(rest).or_default().push((bound, *value));
    }
    for (labels, mut buckets) in by_labels {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{name} {labels:?}: {buckets:?}");
        let (bound, all) = buckets.last().expect("a bucket");
        let beside = |suffix: &str| family.series.get(&(format!("{name}{suffix}"), labels.clone()));
        assert!(*bound == f64::INFINITY && beside("_count") == Some(all) && beside("_sum").is_some(), "{name} {labels:?}");
    }
}

/// The table in host/README.md is what the page has: names, types, labels.
#[tokio::test]
async fn every_metric_is_documented() {
    let admin = Administered::start("").await;
    admin.gateway.call("echo", json!({ "message": "x" })).await;
    let page = admin.metrics().await;
    let there = page.families.iter().map(|(name, family)| {
        let labels =
            family.series.keys().next().map(|(_, labels)| labels.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "le"));
        (name.clone(), family.kind.clone(), labels.into_iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" "))
    });
    let there: BTreeSet<_> = there.collect();
    let readme = fs::read_to_string(root().join("host/README.md")).expect("the page");
    let rows = readme.lines().filter(|line| line.starts_with("| `gatehouse_")).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        (cells[0].trim_matches('`').to_owned(), cells[1].to_owned(), cells[2].to_owned())
    });
    let documented: BTreeSet<_> = rows.collect();
    assert_eq!(documented, there);
}

/// One call of each kind, and each is counted as what it was.
#[tokio::test]
async fn calls_are_counted_by_how_they_ended() {
    let settings = format!(
        "[limits]\ncall_cpu_time_ms = 200\ncall_wall_time_ms = 2000\n[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = {:?}\n\
         [policies.p.settings]\nforbid = [\"env\"]\nhide = [\"now\"]\n",
        fixture("verdict")
    );
    let admin = Administered::with(vec!["text-toolbox"], vec!["misbehave"], &settings).await;
    let before = admin.metrics().await;
    assert!(!before.series().iter().any(|(name, _)| name == "gatehouse_calls_total"), "nothing was called");
    let table = [
        ("echo", json!({ "message": "x" }), "echo", "ok"),
        ("echo", json!({ "message": 7 }), "echo", "invalid_arguments"),
        ("regex_extract", json!({ "pattern": "(", "text": "x" }), "regex_extract", "tool_error"),
        ("trap", json!({}), "trap", "trap"),
        ("exit", json!({ "code": 3 }), "exit", "trap"),
        ("spin", json!({}), "spin", "timeout"),
        ("sleep", json!({ "ms": 60_000 }), "sleep", "timeout"),
        ("alloc", json!({}), "alloc", "limit"),
        ("big_result", json!({ "bytes": 2_000_000 }), "big_result", "limit"),
        ("bad_structured", json!({}), "bad_structured", "invalid_result"),
        ("fail_internal", json!({}), "fail_internal", "failed"),
        ("fail_unavailable", json!({}), "fail_unavailable", "failed"),
        ("fail_arguments", json!({}), "fail_arguments", "invalid_arguments"),
        ("env", json!({}), "env", "denied"),
        ("now", json!({}), "other", "unknown"),
        ("nothing", json!({}), "other", "unknown"),
    ];
    let mut wanted: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for (name, arguments, tool, outcome) in table {
        admin.gateway.call(name, arguments).await;
        *wanted.entry((tool, outcome)).or_default() += 1.0;
    }
    // A client that goes away.
    let gone = Modern::call("sleep", json!({ "ms": 60_000 })).build(&admin.gateway).timeout(Duration::from_millis(300)).send().await;
    assert!(gone.is_err());
    eventually("the one that was cancelled", SOON, async || (admin.metrics().await.calls("sleep", "cancelled") == 1.0).then_some(())).await;
    wanted.insert(("sleep", "cancelled"), 1.0);
    let page = admin.metrics().await;
    let found: BTreeMap<_, _> =
        page.families["gatehouse_calls"].series.iter().map(|((_, labels), value)| (labels.clone(), *value)).collect();
    for ((tool, outcome), count) in &wanted {
        assert_eq!(page.calls(tool, outcome), *count, "{tool} {outcome}: {found:?}");
    }
    assert_eq!(found.len(), wanted.len(), "and nothing else: {found:?}");
    // Guests ran for all but those that were refused, denied or not there, and the one that nobody waited for.
    let default = [("tenant", "default")];
    assert_eq!(page.value("gatehouse_call_duration_seconds_count", &default), 12.0);
    assert_eq!(page.value("gatehouse_call_cpu_seconds_count", &default), 12.0);
    let cpu = page.value("gatehouse_call_cpu_seconds_sum", &default);
    assert!(cpu >= 0.2, "one looped for 200 ms: {cpu}");
    assert_eq!(page.value("gatehouse_permits_in_use", &default), 0.0);
    assert!(page.value("gatehouse_policy_decisions_total", &[("source", "made")]) > 0.0);
    assert_eq!(page.value("gatehouse_queue_seconds_count", &[]), 13.0, "who had a slot, or waited for one");
    assert_eq!(page.value("gatehouse_panics_total", &[]), 0.0);
    // Two were stopped by a limit. How late they were is a matter of milliseconds, and of the machine.
    assert_eq!(page.value("gatehouse_call_overshoot_seconds_count", &[]), 2.0);
    assert!(page.value("gatehouse_call_overshoot_seconds_sum", &[]) < 20.0);
}

/// The gateway's own loops come round, and the page says of each how long ago.
#[tokio::test]
async fn loops_of_the_gateway_beat() {
    let admin = Administered::start("").await;
    let page = admin.metrics().await;
    let names = |family: &str| -> BTreeSet<String> {
        page.families[family].series.keys().flat_map(|(_, labels)| labels.iter().map(|(_, value)| value.clone())).collect()
    };
    let beating = names("gatehouse_task_heartbeat_seconds");
    assert_eq!(
        beating,
        BTreeSet::from(["control", "epoch", "house", "journal", "orders", "stalls", "sweep", "watcher"].map(str::to_owned))
    );
    let restarts = names("gatehouse_task_restarts");
    assert!(beating.iter().all(|task| task == "epoch" || restarts.contains(task)) && restarts.contains("keys"), "{restarts:?}");
    for task in &beating {
        assert_eq!(page.value("gatehouse_task_restarts_total", &[("task", task)]), 0.0);
        // Each comes round in ten seconds at most, so that what is older than it was cannot be for long.
        let age = async || admin.metrics().await.value("gatehouse_task_heartbeat_seconds", &[("task", task)]);
        let before = Cell::new(age().await);
        eventually("it comes round", SOON, async || {
            let now = age().await;
            (now < before.replace(now) || now < 0.5).then_some(())
        })
        .await;
    }
}

/// What is turned away is counted by what there was no room in.
#[tokio::test]
async fn what_is_turned_away_is_counted() {
    let settings = "[limits]\nconnections_per_address_max = 3\nsessions_max = 1\nstreams_per_principal_max = 1\n\
                    [quotas.tenant]\ncalls_per_second_max = 1\ncalls_burst_max = 2\n";
    let admin = Administered::start(settings).await;
    let gateway = &admin.gateway;
    let shed = async |stage: &str| admin.metrics().await.value("gatehouse_shed_total", &[("stage", stage)]);
    let session = gateway.session("2025-11-25").await;
    assert_eq!(gateway.legacy(None, rpc(1, "initialize", initialize_params("2025-11-25"))).await.status, 503);
    let stream = gateway.events_request(&session, None).send().await.expect("an answer");
    let listen = Modern::new("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    assert_eq!(gateway.modern(listen).await.status, 429);
    drop(stream);
    let mut said = Vec::new();
    for _ in 0..4 {
        said.push(gateway.call("echo", json!({ "message": "x" })).await.status);
    }
    let refused = said.iter().filter(|status| **status == 429).count();
    assert!(refused > 0, "{said:?}");
    for (stage, count) in [("sessions_host", 1.0), ("streams", 1.0), ("quota", refused as f64), ("other", 0.0), ("address", 0.0)] {
        assert_eq!(shed(stage).await, count, "{stage}");
    }
    // More connections than an address may have.
    let many: Vec<_> = (0..8).map(|_| std::net::TcpStream::connect(gateway.address()).expect("the kernel takes it")).collect();
    eventually("some are closed", SOON, async || (shed("address").await >= 5.0).then_some(())).await;
    drop(many);
}

/// All places are taken: the rest waits for the kernel to be asked again.
#[tokio::test]
async fn a_full_listener_is_counted() {
    let admin = Administered::start("[limits]\nconnections_max = 1\n").await;
    let held = std::net::TcpStream::connect(admin.gateway.address()).expect("the kernel takes it");
    let full = async || (admin.metrics().await.value("gatehouse_shed_total", &[("stage", "connections")]) >= 1.0).then_some(());
    eventually("it accepts no more", SOON, full).await;
    drop(held);
}

/// A stream that is resumed behind what was kept.
#[tokio::test]
async fn gaps_are_counted() {
    let admin = Administered::with(vec!["text-toolbox"], vec!["misbehave"], "[store]\nring_events = 5\n").await;
    let session = admin.gateway.session("2025-11-25").await;
    let gaps = async || admin.metrics().await.value("gatehouse_replay_gaps_total", &[]);
    let mut events = Events::of(admin.gateway.legacy_request(Some(&session), &count("c", 40, 1))).await;
    let first = events.next().await.expect("a first event");
    while events.next().await.is_some() {}
    assert_eq!(gaps().await, 0.0);
    let mut rest = admin.gateway.resume(&session, &first).await;
    while rest.next().await.is_some() {}
    assert_eq!(gaps().await, 1.0);
}

/// Who finds no slot is counted, and so is who has one.
#[tokio::test]
async fn slots_are_counted() {
    let settings = "[limits]\ncall_queue_timeout_ms = 0\n[tenants.default]\ncalls_in_flight_max = 1\n";
    let admin = Administered::with(vec!["text-toolbox"], vec!["misbehave"], settings).await;
    let sleeping = Modern::call("sleep", json!({ "ms": 60_000 })).build(&admin.gateway);
    let sleeper = tokio::spawn(sleeping.send());
    let in_use = async || admin.metrics().await.value("gatehouse_permits_in_use", &[("tenant", "default")]);
    eventually("the sleeper", SOON, async || (in_use().await == 1.0).then_some(())).await;
    assert_eq!(admin.gateway.call("echo", json!({ "message": "x" })).await.status, 429);
    let page = admin.metrics().await;
    assert_eq!((page.calls("echo", "refused"), page.value("gatehouse_shed_total", &[("stage", "tenant")])), (1.0, 1.0));
    sleeper.abort();
    eventually("its slot", SOON, async || (in_use().await == 0.0).then_some(())).await;
}

/// O11: what a client can choose makes no series: names, methods, paths, agents, ids, tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_can_make_series() {
    let admin = Administered::start("").await;
    let random = |at: usize| -> (String, String) { (format!("{at:x}-{:x}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15)), format!("m{at}/x")) };
    let send = async |at: usize| {
        let (name, method) = random(at);
        let request = match at % 4 {
            0 => Modern::call(&name, json!({})),
            1 => Modern::new(&method, json!({})),
            2 => Modern::call("echo", json!({ "message": name })).path(&format!("/{name}/{method}")),
            _ => Modern::new("resources/read", json!({ "uri": format!("x://{name}") })).header("authorization", format!("Bearer {name}")),
        };
        Answer::of(request.header("user-agent", format!("agent {name}")).header("x-request-id", &name).build(&admin.gateway)).await.status
    };
    // One of each, so that what follows is only more of the same.
    for at in 0..4 {
        send(at).await;
    }
    let before = admin.metrics().await;
    let statuses: Vec<u16> = futures_util::stream::iter((4..20_004).map(send)).buffer_unordered(32).collect().await;
    let refused = statuses.into_iter().filter(|status| *status != 200).count();
    let after = admin.metrics().await;
    let new: Vec<_> = after.series().difference(&before.series()).cloned().collect();
    assert!(new.len() <= 5, "{new:?}");
    assert!(after.bytes <= 1 << 20, "{} bytes", after.bytes);
    assert!(refused >= 10_000, "{refused}");
    let grown = |name: &str, labels: &[(&str, &str)]| after.value(name, labels) - before.value(name, labels);
    assert_eq!(grown("gatehouse_http_rejected_total", &[("reason", "path")]), 5_000.0);
    assert_eq!(grown("gatehouse_http_rejected_total", &[("reason", "method_not_found")]), 5_000.0);
    let unknown = [("tenant", "default"), ("tool", "other"), ("outcome", "unknown")];
    assert_eq!(grown("gatehouse_calls_total", &unknown), 10_000.0);
    println!("20,000 requests: {} new series, a page of {} bytes", new.len(), after.bytes);
}

/// What is gone is shown no more, and what comes back begins anew.
#[tokio::test]
async fn series_go_with_what_they_are_of() {
    let settings = "[tenants.default]\n[tenants.acme]\n";
    let admin = Administered::with(vec!["text-toolbox", "text-template"], Vec::new(), settings).await;
    admin.gateway.call("echo", json!({ "message": "x" })).await;
    admin.gateway.call("render_template", json!({ "template": "x", "data": {} })).await;
    let of = |page: &Page, label: (&str, &str)| {
        let has = |labels: &Labels| labels.iter().any(|(name, value)| (name.as_str(), value.as_str()) == label);
        page.series().iter().filter(|(_, labels)| has(labels)).count()
    };
    let page = admin.metrics().await;
    assert!(of(&page, ("tool", "render_template")) == 1 && of(&page, ("tenant", "acme")) > 0);
    admin.gateway.take_out("text-template");
    admin.set("[tenants.default]\n");
    eventually("both are gone", SOON, async || {
        let page = admin.metrics().await;
        (of(&page, ("tool", "render_template")) == 0 && of(&page, ("tenant", "acme")) == 0).then_some(())
    })
    .await;
    assert_eq!(admin.metrics().await.calls("echo", "ok"), 1.0, "what stays goes on");
    assert!(admin.metrics().await.value("gatehouse_reload_total", &[("result", "ok")]) >= 1.0);
}

/// Refusals of each layer, under the reason that they have.
#[tokio::test]
async fn refusals_are_counted_by_reason() {
    let settings = format!(
        "[auth]\nmode = \"tokens\"\npublic_url = \"https://gate.example\"\n[auth.keys.bot]\nhash = \"sha256:{}\"\n",
        "0a".repeat(32)
    );
    let admin = Administered::start(&settings).await;
    let gateway = &admin.gateway;
    let call = || Modern::call("echo", json!({ "message": "x" }));
    gateway.modern(call()).await;
    gateway.modern(call().header("authorization", "Bearer abc")).await;
    gateway.modern(call().header("authorization", "Bearer gh_abc")).await;
    gateway.modern(call().header("authorization", "Basic abc")).await;
    gateway.modern(call().header("authorization", "Bearer a").header("authorization", "Bearer b")).await;
    gateway.modern(call().header("host", "evil.example")).await;
    gateway.modern(call().header("origin", "http://evil.example")).await;
    gateway.modern(call().instead("content-type", "text/plain")).await;
    gateway.modern(call().instead("accept", "text/html")).await;
    gateway.modern(call().verb("PATCH")).await;
    gateway.modern(call().path("/nothing")).await;
    raw::status(&gateway.address(), "GET /mcp HTTP/1.1\r\n\r\n").await;
    let page = admin.metrics().await;
    for reason in ["no_token", "parts", "key_shape", "authorization_scheme", "malformed"] {
        assert_eq!(page.value("gatehouse_auth_failures_total", &[("reason", reason)]), 1.0, "{reason}");
    }
    for reason in ["host", "host_malformed", "origin", "media_type", "accept", "verb", "path"] {
        assert_eq!(page.value("gatehouse_http_rejected_total", &[("reason", reason)]), 1.0, "{reason}");
    }
    for name in ["gatehouse_auth_failures_total", "gatehouse_http_rejected_total"] {
        assert_eq!(page.value(name, &[("reason", "other")]), 0.0, "every reason has its word");
    }
}

/// An issuer's keys: fetched, and not. A decision: made, and kept.
#[tokio::test]
async fn fetches_and_decisions_are_counted() {
    let (signer, policy) = (Signer::ed25519("k1", 7), fixture("verdict"));
    let server = JwksServer::start(Says::Body(jwks(&[signer.jwk()])));
    let settings = format!(
        "[auth]\nmode = \"tokens\"\npublic_url = \"https://gate.example\"\n[auth.issuers.one]\nissuer = \"https://one.example\"\n\
         jwks_url = \"{}\"\njwks_refresh_s = 1\n[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = {policy:?}\n",
        server.url()
    );
    let admin = Administered::start(&settings).await;
    let fetches = async |result: &str| admin.metrics().await.value("gatehouse_jwks_fetch_total", &[("result", result)]);
    eventually("a fetch", SOON, async || (fetches("ok").await >= 1.0).then_some(())).await;
    let page = admin.metrics().await;
    assert!(page.series().iter().any(|(name, labels)| name == "gatehouse_task_heartbeat_seconds" && labels[0].1 == "keys"));
    let token = signer.token(&claims("https://one.example", "https://gate.example/mcp", now_s()));
    let call = || Modern::call("echo", json!({ "message": "x" })).header("authorization", format!("Bearer {token}"));
    assert_eq!(admin.gateway.modern(call()).await.tool_text(), "x");
    let decisions = async |source: &str| admin.metrics().await.value("gatehouse_policy_decisions_total", &[("source", source)]);
    let (made, kept) = (decisions("made").await, decisions("kept").await);
    assert_eq!(admin.gateway.modern(call()).await.tool_text(), "x");
    assert!(made >= 1.0 && decisions("made").await + decisions("kept").await > made + kept, "{made} {kept}");
    server.say(Says::Status(500, String::new()));
    eventually("a fetch that fails", SOON, async || (fetches("failed").await >= 1.0).then_some(())).await;
}

/// A peer that does not read is cut off, and counted.
#[tokio::test]
async fn peers_that_do_not_read_are_counted() {
    let admin = Administered::start("[limits]\nstream_stall_timeout_s = 1\n").await;
    let session = admin.gateway.session("2025-11-25").await;
    let mut call = count("c", 1_000, 0);
    call["params"]["_meta"]["progressToken"] = "t".repeat(250).into();
    call["params"]["arguments"]["message"] = "m".repeat(900_000).into();
    let address = admin.gateway.address();
    let head = format!("POST /mcp HTTP/1.1\nHost: {address}\nContent-Type: application/json\nMcp-Session-Id: {session}\n");
    let mut deaf = raw::Raw::narrow(&address).await;
    deaf.send(raw::message(&head, call.to_string())).await;
    let stalled = async || admin.metrics().await.value("gatehouse_sse_stalled_total", &[]);
    eventually("it is cut off", SOON, async || (stalled().await >= 1.0).then_some(())).await;
}

/// Sessions, streams and what the store keeps of whom.
#[tokio::test]
async fn what_there_is_is_counted() {
    let admin = Administered::start("[tenants.default]\n[tenants.acme]\n").await;
    let session = admin.gateway.session("2025-11-25").await;
    let stream = admin.gateway.events_request(&session, None).send().await.expect("an answer");
    let page = admin.metrics().await;
    let sessions = |tenant| page.value("gatehouse_sessions_active", &[("tenant", tenant)]);
    assert_eq!((sessions("default"), sessions("acme"), sessions("other")), (1.0, 0.0, 0.0));
    assert_eq!(page.value("gatehouse_streams_active", &[]), 1.0);
    assert!(page.value("gatehouse_store_bytes", &[("tenant", "default")]) > 0.0);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(page.value("gatehouse_build_info", &version), 1.0);
    drop(stream);
    eventually("the stream", SOON, async || (admin.metrics().await.value("gatehouse_streams_active", &[]) == 0.0).then_some(())).await;
}
