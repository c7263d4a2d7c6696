//! Traces: a request is seen from its client to its guest, in the client's trace, and nothing of what it says.

use super::admin::Administered;
use super::command::Place;
use super::tokens::Trusting;
use crate::harness::{Collector, Events, Gateway, Modern, Reserved, Setup, Span, Takes, call_params, count, eventually, fixture, rpc};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "b7ad6b7169203331";
const STATE: &str = "rojo=00f067aa0ba902b7";
const CANARY: &str = "CANARY-in-the-coal-mine";

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{CLIENT}-{flags}")
}

/// The request says that it belongs to a trace.
fn within(request: Modern, parent: &str) -> Modern {
    let parent = parent.to_owned();
    request.body(move |body| {
        body["params"]["_meta"]["traceparent"] = parent.into();
        body["params"]["_meta"]["tracestate"] = STATE.into();
    })
}

fn echo(message: &str) -> Modern {
    Modern::call("echo", json!({ "message": message }))
}

async fn with(collector: &Collector, more: &str) -> Gateway {
    let settings = collector.settings(more);
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await
}

fn inside(part: &Span, whole: &Span) -> bool {
    // The start is read from the clock that may be set; everything else is measured from there.
    const SLACK_NS: u64 = 50_000_000;
    part.began_ns + SLACK_NS >= whole.began_ns && part.ended_ns <= whole.ended_ns + SLACK_NS
}

/// The client's trace goes through every gate to the guest; and of the caller's words, its token, its name and its session there is nothing.
#[tokio::test]
async fn a_request_is_seen_from_its_client_to_its_guest() {
    let collector = Collector::start(Takes::Everything).await;
    let judge = format!("[gateway]\npolicies = [\"judge\"]\n[policies.judge]\nfile = {:?}\n", fixture("verdict").display().to_string());
    let trusting = Trusting::with(&format!("{judge}{}", collector.settings(""))).await;
    let token = trusting.token_with(CANARY, &json!({ "sub": CANARY }));
    let mut request = within(echo(CANARY), &parent("01")).header("traceparent", format!("00-{}-{CLIENT}-01", "1".repeat(32)));
    request.body["id"] = CANARY.into();
    assert_eq!(trusting.asks(request, &token).await.tool_text(), CANARY);

    let trace = collector.trace("the request", |span| span.name == "tools/call echo").await;
    let request = &trace.request;
    assert_eq!((&*request.trace, &*request.parent, &*request.state), (TRACE, CLIENT, STATE), "`_meta` goes before headers");
    assert!(request.is_server && !request.failed && request.flags == 0x301, "{request:?}");
    for (key, wanted) in [
        ("mcp.method.name", "tools/call"),
        ("mcp.protocol.version", "2026-07-28"),
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "echo"),
        ("network.transport", "tcp"),
        ("network.protocol.name", "http"),
        ("gatehouse.tenant", "default"),
        ("gatehouse.plugin", "text-toolbox"),
        ("gatehouse.outcome", "ok"),
        ("error.type", ""),
        ("mcp.session.id", ""),
        ("jsonrpc.request.id", ""),
    ] {
        assert_eq!(request.of(key), wanted, "{key}: {request:?}");
    }
    let names: Vec<_> = trace.names().into_iter().collect();
    assert_eq!(names, [("admission", 1), ("authentication", 1), ("guest", 1), ("policy", 2)]);
    for part in &trace.parts {
        assert_eq!((&*part.parent, &*part.state, part.flags), (&*request.id, STATE, 0x101), "{part:?}");
        assert!(inside(part, request) && !part.failed && part.id != request.id, "{part:?} in {request:?}");
    }
    let policies = trace.all("policy");
    assert_eq!(policies.iter().map(|span| span.of("gatehouse.policy.action")).collect::<Vec<_>>(), ["list-tools", "call-tool"]);
    for policy in policies {
        let said = ["name", "mode", "verdict", "targets", "kept"].map(|key| policy.of(&format!("gatehouse.policy.{key}")).to_owned());
        assert_eq!(said, ["judge", "enforce", "allow", "1", "false"], "{policy:?}");
    }
    let guest = trace.part("guest");
    assert_eq!((guest.of("gatehouse.plugin"), guest.of("gatehouse.guest.engine")), ("text-toolbox", "fast"));
    for key in ["gatehouse.guest.cpu_us", "gatehouse.guest.memory_bytes"] {
        assert!(guest.of(key).parse::<u64>().is_ok_and(|number| number > 0), "{guest:?}");
    }
    let process = collector.process();
    assert_eq!((&*process["service.name"], process["service.instance.id"].len()), ("gatehouse", 36), "{process:?}");

    // What is not there, refused, or no method: by the words of the sources, and none of the client's.
    for request in [
        Modern::call(CANARY, json!({})),
        Modern::new("resources/read", json!({ "uri": format!("x:///{CANARY}") })),
        Modern::new(&format!("made/{CANARY}"), json!({})),
    ] {
        trusting.asks(request, &token).await;
    }
    let unknown = collector.trace("the unknown tool", |span| span.name == "tools/call").await.request;
    let told = |span: &Span| {
        ["error.type", "rpc.response.status_code", "gatehouse.outcome", "gatehouse.reason"].map(|key| span.of(key).to_owned())
    };
    assert!(unknown.failed && unknown.parent.is_empty() && unknown.trace != TRACE);
    assert_eq!(told(&unknown), ["-32602", "-32602", "unknown", "unknown_tool"]);
    let none = collector.trace("no method", |span| span.name == "_OTHER").await.request;
    assert_eq!(told(&none), ["-32601", "-32601", "failed", "method_not_found"]);

    let bytes = collector.bytes();
    let holds = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    let kept = [CANARY, &token, token.rsplit('.').next().expect("a signature"), "CANARY"];
    assert!(kept.iter().all(|needle| !holds(needle)), "something of the caller's is in a trace");
    assert!(holds("text-toolbox"), "what may be there is found");
}

/// What the guest does belongs to its own span, and filters are seen on both of its sides. Baggage and what is the client's own stay.
#[tokio::test]
async fn the_guest_continues_the_trace() {
    let collector = Collector::start(Takes::Everything).await;
    let sieve = format!("[gateway]\npolicies = [\"sieve\"]\n[policies.sieve]\nfile = {:?}\n", fixture("sieve").display().to_string());
    let gateway = with(&collector, &sieve).await;
    let request = within(Modern::call("caller", json!({})), &parent("01"));
    let request =
        request.body(|body| body["params"]["_meta"]["baggage"] = "a=b".into()).body(|body| body["params"]["_meta"]["own"] = 1.into());
    let answer = gateway.modern(request).await;
    let trace = collector.trace("the request", |span| span.name == "tools/call caller").await;
    let seen = &answer.result()["structuredContent"]["meta"];
    let guest = trace.part("guest");
    assert_eq!(seen, &json!({ "own": 1, "baggage": "a=b", "traceparent": format!("00-{TRACE}-{}-01", guest.id), "tracestate": STATE }));
    let filters = trace.all("filter");
    let said: Vec<_> = filters.iter().map(|span| (span.of("gatehouse.filter.of"), span.of("gatehouse.policy.verdict"))).collect();
    assert_eq!(said, [("call", "proceed"), ("result", "pass")]);
    assert!(filters[0].ended_ns <= guest.began_ns + 50_000_000 && filters[1].began_ns + 50_000_000 >= guest.ended_ns);

    // In the handshake era as well, where the parent comes by header, and its session has no part in it.
    let session = gateway.session("2025-11-25").await;
    let call = rpc(7, "tools/call", call_params("caller", json!({})));
    let request = gateway.legacy_request(Some(&session), &call).header("traceparent", format!("00-{}-{CLIENT}-01", "2".repeat(32)));
    let answer = crate::harness::Answer::of(request).await;
    let trace = collector.trace("the legacy request", |span| span.trace == "2".repeat(32)).await;
    let (request, guest) = (&trace.request, trace.part("guest"));
    assert_eq!((&*request.parent, request.of("mcp.protocol.version"), request.of("jsonrpc.request.id")), (CLIENT, "2025-11-25", "7"));
    assert_eq!(answer.result()["structuredContent"]["meta"], json!({ "traceparent": format!("00-{}-{}-01", request.trace, guest.id) }));
    let begun = collector.trace("the handshake", |span| span.name == "initialize").await.request;
    assert_eq!((begun.of("mcp.protocol.version"), begun.of("gatehouse.outcome")), ("2025-11-25", "ok"));
    assert!(!String::from_utf8_lossy(&collector.bytes()).contains(&session), "who has the id has the session");
}

/// A client that says no is heard, and so is the ratio where no client says anything. What is not recorded reaches the guest as it came.
#[tokio::test]
async fn what_is_not_sampled_is_not_recorded() {
    let collector = Collector::start(Takes::Everything).await;
    let gateway = with(&collector, "sample_ratio = 0.0").await;
    let meta = async |request: Modern| gateway.modern(request).await.result()["structuredContent"]["meta"].clone();
    let caller = || Modern::call("caller", json!({}));
    assert_eq!(meta(within(caller(), &parent("00"))).await, json!({ "traceparent": parent("00"), "tracestate": STATE }));
    assert_eq!(meta(caller()).await, Value::Null);
    assert_eq!(meta(caller().header("traceparent", parent("00"))).await, Value::Null);
    assert_eq!(meta(caller().header("traceparent", parent("01")).header("traceparent", parent("01"))).await, Value::Null, "two are none");
    // Whoever is sampled is recorded whatever the ratio is, and nobody came before.
    let sampled = format!("00-{}-{CLIENT}-01", "3".repeat(32));
    assert_ne!(meta(within(caller(), &sampled)).await["traceparent"], json!(sampled));
    collector.trace("the sampled one", |span| span.trace == "3".repeat(32)).await;
    assert!(collector.spans().iter().all(|span| span.trace == "3".repeat(32)), "{:#?}", collector.spans());
}

/// It ends when the call does: not with a connection, nor with the answer that there is a task now.
#[tokio::test]
async fn a_span_ends_with_its_call() {
    let collector = Collector::start(Takes::Everything).await;
    let gateway = with(&collector, "[limits]\ntask_after_ms = 100\n").await;
    let of = |n: char| move |span: &Span| span.trace == n.to_string().repeat(32);
    let parent = |n: char| format!("00-{}-{CLIENT}-01", n.to_string().repeat(32));

    let slow = json!({ "message": "slow", "n": 4, "interval_ms": 150 });
    let capable = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let task = within(Modern::call("slow_count", slow), &parent('4'));
    let task = task.body(|body| body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capable);
    assert_eq!(gateway.modern(task).await.result()["resultType"], "task");
    let trace = collector.trace("the task", of('4')).await;
    assert_eq!(trace.request.of("gatehouse.outcome"), "ok");
    assert!(trace.request.ended_ns - trace.request.began_ns >= 450_000_000, "{trace:?}");
    assert!(inside(trace.part("guest"), &trace.request));

    // A session's call goes on when its client goes; a modern one ends.
    let session = gateway.session("2025-11-25").await;
    let mut call = count(1, 4, 150);
    call["params"]["_meta"]["traceparent"] = parent('5').into();
    let mut events = Events::of(gateway.legacy_request(Some(&session), &call)).await;
    events.next().await.expect("it has begun");
    drop(events);
    let trace = collector.trace("the held call", of('5')).await;
    assert_eq!((trace.request.of("gatehouse.outcome"), trace.part("guest").failed), ("ok", false), "{trace:?}");
    let endless = Modern::call_with_progress("slow_count", json!({ "message": "m", "n": 1_000, "interval_ms": 50 }));
    let mut events = Events::of(within(endless, &parent('6')).build(&gateway)).await;
    events.next().await.expect("it has begun");
    drop(events);
    let trace = collector.trace("the call that was left", of('6')).await;
    assert_eq!((trace.request.of("gatehouse.outcome"), trace.request.of("error.type")), ("cancelled", "cancelled"));
    assert_eq!((trace.part("guest").failed, trace.part("guest").of("error.type")), (true, "stopped"));

    // Whoever listens has been answered.
    let listen = Modern::new("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let mut events = Events::of(within(listen, &parent('7')).build(&gateway)).await;
    events.next().await.expect("an acknowledgement");
    assert_eq!(collector.trace("the listener", of('7')).await.request.of("gatehouse.outcome"), "ok");
}

/// How calls go wrong is told by words of the sources, guests and policies included.
#[tokio::test]
async fn failures_are_told_apart() {
    let collector = Collector::start(Takes::Everything).await;
    let judge = format!(
        "[gateway]\npolicies = [\"judge\"]\n[policies.judge]\nfile = {:?}\n[policies.judge.settings]\nforbid = [\"echo\"]\n",
        fixture("verdict").display().to_string()
    );
    let gateway = with(&collector, &format!("{judge}[limits]\ncall_cpu_time_ms = 100\n")).await;
    assert_eq!(gateway.modern(echo("x")).await.code(), -31006);
    let denied = collector.trace("the denied call", |span| span.name == "tools/call echo").await;
    assert_eq!((denied.request.of("gatehouse.outcome"), denied.request.of("error.type")), ("denied", "-31006"));
    assert_eq!(denied.all("policy").last().map(|span| span.of("gatehouse.policy.verdict")), Some("deny"));
    assert!(denied.all("guest").is_empty() && denied.all("admission").is_empty(), "{denied:#?}");
    gateway.call("spin", json!({})).await;
    let stopped = collector.trace("the call that was stopped", |span| span.name == "tools/call spin").await;
    assert_eq!((stopped.request.of("gatehouse.outcome"), stopped.part("guest").of("error.type")), ("timeout", "cpu_time"));
    assert!(stopped.request.failed && stopped.part("guest").failed);
}

/// No collector, or one that takes nothing or says nothing: calls go on, what is lost is counted, the log has one line, and a stop is a stop.
#[tokio::test]
async fn a_collector_that_takes_nothing_is_nobodys_trouble() {
    let reserved = Reserved::new();
    let nobody = reserved.url().replace("/keys", "");
    let refusing = Collector::start(Takes::Nothing(503)).await;
    let silent = Collector::start(Takes::Silently).await;
    for settings in
        [format!("[traces]\nendpoint = \"{nobody}\"\n"), refusing.settings(""), silent.settings("timeout_s = 1\nqueue_max = 512\n")]
    {
        let administered = Administered::start(&settings).await;
        let gateway = &administered.gateway;
        let dropped = async || {
            assert_eq!(gateway.modern(echo("on and on")).await.tool_text(), "on and on");
            let dropped = administered.metrics().await.value("gatehouse_spans_dropped_total", &[]);
            (dropped > 20.0).then_some(())
        };
        eventually("dropped spans", SOON, dropped).await;
        let lines = || gateway.log().lines().filter(|line| line.contains("the collector of traces did not take spans")).count();
        eventually("the line", SOON, async || (lines() > 0).then_some(())).await;
        assert_eq!(lines(), 1, "{}", gateway.log());
        administered.gateway.terminate();
        let (status, log) = administered.gateway.ended(SOON).await;
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

/// What was recorded when a gateway stops is sent before it ends, with the header fields of the settings.
#[tokio::test]
async fn the_last_spans_are_sent_with_the_fields_of_the_file() {
    let collector = Collector::start(Takes::Everything).await;
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("headers");
    fs::write(&file, "# for the collector\nx-collector-key: let me in\nX-Scope: ours\n").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    let gateway = with(&collector, &format!("headers_file = {:?}", file.display().to_string())).await;
    assert_eq!(gateway.modern(echo("last")).await.tool_text(), "last");
    gateway.terminate();
    let (status, log) = gateway.ended(SOON).await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(collector.spans().iter().any(|span| span.name == "tools/call echo"), "sent before its end");
    let text = String::from_utf8_lossy(&collector.bytes()).to_lowercase();
    assert!(text.contains("x-collector-key: let me in\r\n") && text.contains("x-scope: ours\r\n"), "{text}");
}

/// A file that others can read keeps the gateway from starting, and no report repeats what is in it.
#[test]
fn a_file_with_fields_is_a_secret() {
    let place = Place::new();
    let (file, settings) = (place.path().join("fields"), place.path().join("gatehouse.toml"));
    fs::write(&settings, "[traces]\nendpoint = \"http://127.0.0.1:9\"\nheaders_file = \"fields\"\n").expect("written");
    let plugins = place.plugins();
    let cases = [
        (Some("a: secret"), 0o640, "others than its owner can read or write it; `chmod 600` it, and replace what is in it"),
        (Some("secret"), 0o600, "line 1: must be like `name: value`"),
        (None, 0, "it cannot be read: No such file or directory (os error 2)"),
    ];
    for (text, mode, wanted) in cases {
        let _ = fs::remove_file(&file);
        if let Some(text) = text {
            fs::write(&file, text).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("its mode");
        }
        for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["check"]] {
            let arguments = [command, &["--plugins", plugins.to_str().expect("text")]].concat();
            let ran = place.run(&arguments);
            assert_eq!((ran.code, &*ran.err), (78, &*format!("gatehouse: traces.headers_file: {wanted}\n")), "{command:?}");
        }
    }
    for (section, wanted) in [
        ("endpoint = \"grpc://c\"", "line 2: traces.endpoint: must be like http://127.0.0.1:4318"),
        ("sample_ratio = 0.5", "traces.endpoint: must be given"),
        ("endpoint = \"http://127.0.0.1:9\"\nsample_ratio = 1.5", "line 3: traces.sample_ratio: must be a number from 0.0 to 1.0"),
        ("endpoint = \"http://c:4318\"\nheaders_file = \"fields\"", "line 3: traces.headers_file: would be sent in the clear"),
    ] {
        fs::write(&settings, format!("[traces]\n{section}\n")).expect("written");
        let ran = place.run(&["check", "--plugins", plugins.to_str().expect("text")]);
        assert!(ran.code == 78 && ran.err.contains(wanted), "{section}: {ran:?}");
    }
}

/// Off, there is nobody who could send anything; on, there is. Another collector takes a restart, and that is said.
#[tokio::test]
async fn where_no_collector_is_named_nothing_is_recorded() {
    let threads = |gateway: &Gateway| {
        let tasks = fs::read_dir(format!("/proc/{}/task", gateway.pid())).expect("it runs");
        let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "traces").count()
    };
    let off = Gateway::start().await;
    assert_eq!(off.modern(within(echo("off"), &parent("01"))).await.tool_text(), "off");
    assert_eq!(threads(&off), 0);
    let collector = Collector::start(Takes::Everything).await;
    off.set(&collector.settings(""));
    let (code, said) = off.reload().await;
    assert!(code == 0 && said.contains("but for traces, which need a restart"), "{said}");
    assert_eq!((off.modern(echo("still off")).await.tool_text(), threads(&off), collector.posts()), ("still off", 0, 0));
    let on = with(&collector, "").await;
    assert_eq!(threads(&on), 1);
}
