//! The kill switch: who and what is revoked counts no more, calls in flight included, and nothing else is touched.

use super::tenants::{ADA, House, OTHER_ADA, Who};
use crate::harness::{Answer, Events, Gateway, Modern, Setup, call_params, eventually, fixture, initialize_params, rpc};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(20);
/// Calls may take as long as they like, so that nothing but a revocation ends them; and who looks whether a tenant is full takes nobody's place.
const LONG: &str =
    "calls_computing_per_core_max = 50\ncall_wall_time_ms = 300000\ncall_cpu_time_ms = 300000\ncall_queue_timeout_ms = 2000\n";

/// An order as the command sends it, without the command: the first line of the answer.
async fn order(gateway: &Gateway, order: &Value) -> Value {
    let mut stream = UnixStream::connect(gateway.data().join("store/SOCKET")).await.expect("it is there");
    stream.write_all(format!("{order}\n").as_bytes()).await.expect("taken");
    let mut told = String::new();
    stream.read_to_string(&mut told).await.expect("answered");
    assert!(told.ends_with("{\"end\":true}\n"), "{told}");
    serde_json::from_str(told.lines().next().expect("a line")).expect("JSON")
}

fn to_revoke(target: Value) -> Value {
    json!({ "revoke": { "target": target, "at_ms": 1 } })
}

/// The command with `--json`, which must do what it is told.
async fn command(gateway: &Gateway, arguments: &[&str]) -> Value {
    let (code, said) = gateway.command(&[arguments, &["--json"]].concat()).await;
    assert_eq!(code, 0, "{arguments:?}: {said}");
    serde_json::from_str(said.lines().next().unwrap_or("null")).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn timed(request: reqwest::RequestBuilder) -> JoinHandle<(Answer, Instant)> {
    tokio::spawn(async move {
        let answer = Answer::of(request).await;
        (answer, Instant::now())
    })
}

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

fn listen() -> Modern {
    Modern::new("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }))
}

/// The next message of a stream, places to come back to left out.
async fn next(events: &mut Events) -> Value {
    loop {
        let event = events.next().await.expect("a message");
        if event.data.as_deref().is_some_and(|data| !data.is_empty()) {
            return event.message();
        }
    }
}

/// A request of somebody at a house of two tenants.
fn by(house: &House, who: Who, request: Modern) -> reqwest::RequestBuilder {
    let token = house.token(who, request.path.trim_end_matches('/'));
    request.header("authorization", format!("Bearer {token}")).build(&house.gateway)
}

/// Full: all the tenant's places are taken by calls that were begun before.
async fn full(house: &House, who: Who) {
    eventually("a full tenant", SOON, async || (house.asks(who, echo()).await.status == 429).then_some(())).await;
}

/// 50 calls of one plugin, looping and sleeping, in both eras, told and gone; those of another tenant go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_a_plugin_is_stopped_at_once() {
    let own = [("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))];
    let limits = format!("[limits]\n{LONG}");
    let house = House::with(&own, ("calls_in_flight_max = 50", "calls_in_flight_max = 5", &limits)).await;
    let session = house.session(ADA, "/mcp").await;
    let mut calls = Vec::new();
    for at in 0..50 {
        let (tool, arguments) = if at % 2 == 0 { ("spin", json!({})) } else { ("sleep", json!({ "ms": 200_000 })) };
        let legacy = rpc(at, "tools/call", call_params(tool, arguments.clone()));
        calls.push(timed(match at {
            0..8 => house.legacy(ADA, "POST", "/mcp", Some(&session), Some(&legacy)),
            _ => by(&house, ADA, Modern::call(tool, arguments)),
        }));
    }
    let others: Vec<_> = (0..5).map(|_| timed(by(&house, OTHER_ADA, Modern::call("sleep", json!({ "ms": 200_000 }))))).collect();
    full(&house, ADA).await;
    full(&house, OTHER_ADA).await;

    let began = Instant::now();
    let told = order(&house.gateway, &to_revoke(json!({ "kind": "plugin", "plugin": "misbehave", "tenant": "acme" }))).await;
    assert_eq!((&told["ok"], &told["there"], &told["calls"], &told["calls_left"]), (&json!(true), &json!(true), &json!(50), &json!(0)));
    let mut times = Vec::new();
    for (at, call) in calls.into_iter().enumerate() {
        let (answer, ended) = call.await.expect("no panic");
        assert_eq!((answer.code(), answer.kind()), (-31014, "revoked"), "{at}: {answer:?}");
        assert_eq!(answer.status == 403, !answer.is_stream(), "{at}: {answer:?}");
        times.push(ended.duration_since(began).as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("50 calls: guests gone after {} ms; callers told: median {:.1} ms, last {:.1} ms", told["ms"], times[25], times[49]);
    assert!(times[49] < 2_000.0, "{times:?}");

    // The slots are free, all of them at once: who waits for one is refused before another is given back.
    let again = |n: u64| by(&house, ADA, Modern::call("slow_count", json!({ "message": "again", "n": n, "interval_ms": 100 })));
    let again: Vec<_> = (0..50).map(|_| timed(again(40))).collect();
    for call in again {
        assert_eq!(call.await.expect("no panic").0.tool_text(), "again");
    }
    // Nothing else was touched.
    assert!(others.iter().all(|call| !call.is_finished()));
    assert!(house.tools(OTHER_ADA, "/mcp").await.contains(&"spin".to_owned()));
    assert!(!house.tools(ADA, "/mcp").await.contains(&"spin".to_owned()));
    let told = order(&house.gateway, &to_revoke(json!({ "kind": "tool", "tool": "sleep" }))).await;
    assert_eq!(told["calls"], 5);
    for call in others {
        assert_eq!(call.await.expect("no panic").0.code(), -31014);
    }
}

/// A guest that has said something runs by itself, read or not; the end comes in the stream that has begun, and says nothing of the reason.
#[tokio::test]
async fn a_stream_that_has_begun_ends_with_it() {
    let gateway = Gateway::start().await;
    let call = Modern::call_with_progress("slow_count", json!({ "message": "x", "n": 1_000, "interval_ms": 200 }));
    let unread = call.build(&gateway).send().await.expect("a stream");
    assert_eq!(unread.status(), 200);
    let told = command(&gateway, &["revoke", "tool", "slow_count", "--reason", "a test"]).await;
    assert_eq!((&told["calls"], &told["calls_left"]), (&json!(1), &json!(0)));
    let text = unread.text().await.expect("an end");
    assert!(text.contains("-31014") && !text.contains("a test"), "{text}");
}

/// Not in lists, and answered byte by byte like what nobody has; who hears of lists is told, both times.
#[tokio::test]
async fn a_tool_is_not_there_until_it_is_restored() {
    let settings = "[servers.one]\ntools = [\"echo\", \"hash\"]\n[servers.one.rename]\necho = \"say\"\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let session = gateway.session("2025-11-25").await;
    let legacy =
        async |tool: &str| gateway.legacy(Some(&session), rpc(1, "tools/call", call_params(tool, json!({ "message": "x" })))).await;
    let modern = async |tool: &str, path: &str| gateway.modern(Modern::call(tool, json!({ "message": "x" })).path(path)).await;
    let (mut modern_hears, mut other_hears) =
        (Events::of(listen().build(&gateway)).await, Events::of(listen().path("/servers/one/mcp").build(&gateway)).await);
    next(&mut modern_hears).await;
    next(&mut other_hears).await;
    let mut legacy_hears = Events::of(gateway.events_request(&session, None)).await;
    let changed = "notifications/tools/list_changed";

    assert_eq!(command(&gateway, &["revoke", "tool", "echo"]).await["calls"], 0);
    for hears in [&mut modern_hears, &mut legacy_hears, &mut other_hears] {
        assert_eq!(next(hears).await["method"], changed);
    }
    assert!(!gateway.tools().await.contains(&"echo".to_owned()));
    assert_eq!(legacy("echo").await.text.replace("echo", "nope"), legacy("nope").await.text);
    assert_eq!(modern("echo", "/mcp").await.text.replace("echo", "nope"), modern("nope", "/mcp").await.text);
    assert_eq!(modern("say", "/servers/one/mcp").await.code(), -32602, "it is known by its own name");
    assert_eq!(gateway.call("hash", json!({ "text": "x" })).await.status, 200);
    let (code, said) = gateway.command(&["revoke", "list"]).await;
    assert!(code == 0 && said.starts_with("tool echo  since 20"), "{said}");

    command(&gateway, &["restore", "tool", "echo"]).await;
    for hears in [&mut modern_hears, &mut legacy_hears, &mut other_hears] {
        assert_eq!(next(hears).await["method"], changed);
    }
    assert_eq!((legacy("echo").await.tool_text(), modern("say", "/servers/one/mcp").await.tool_text()), ("x", "x"));
    // At one server only: the other one hears nothing and has it.
    command(&gateway, &["revoke", "tool", "echo", "--server", "one"]).await;
    assert_eq!(next(&mut other_hears).await["method"], changed);
    assert_eq!((modern("say", "/servers/one/mcp").await.code(), modern("echo", "/mcp").await.tool_text()), (-32602, "x"));
    let (code, said) = gateway.command(&["restore", "tool", "echo"]).await;
    assert!(code == 1 && said.contains("tool echo is not revoked, in these very words"), "{code} {said}");
    let (_, said) = gateway.command(&["revoke", "list"]).await;
    assert!(said.starts_with("tool echo at server one  since 20") && said.lines().count() == 1, "{said}");
}

/// Resources, templates, prompts and completions of a plugin, in every method that names them.
#[tokio::test]
async fn everything_of_a_plugin_goes_with_it() {
    let gateway = Gateway::with(Setup { plugins: vec!["handbook", "text-toolbox"], ..Setup::default() }).await;
    let session = gateway.session("2025-11-25").await;
    let resources = gateway.modern(Modern::new("resources/list", json!({}))).await;
    let uri = resources.result()["resources"][0]["uri"].as_str().expect("one").to_owned();
    let prompts = gateway.modern(Modern::new("prompts/list", json!({}))).await;
    let prompt = prompts.result()["prompts"][0]["name"].as_str().expect("one").to_owned();
    let watch = rpc(1, "resources/subscribe", json!({ "uri": uri }));
    assert_eq!(gateway.legacy(Some(&session), watch.clone()).await.status, 200);

    command(&gateway, &["revoke", "plugin", "handbook"]).await;
    for (method, member) in
        [("resources/list", "resources"), ("resources/templates/list", "resourceTemplates"), ("prompts/list", "prompts")]
    {
        assert_eq!(gateway.modern(Modern::new(method, json!({}))).await.result()[member], json!([]), "{method}");
        assert_eq!(gateway.legacy(Some(&session), rpc(1, method, json!({}))).await.result()[member], json!([]), "{method}");
    }
    let (none, nobody) = ("handbook:///there-is/no-such", "there_is_no_such");
    let complete = |name: &str| json!({ "ref": { "type": "ref/prompt", "name": name }, "argument": { "name": "x", "value": "" } });
    let table = [
        ("resources/read", json!({ "uri": uri }), json!({ "uri": none }), (&*uri, none)),
        ("prompts/get", json!({ "name": prompt }), json!({ "name": nobody }), (&*prompt, nobody)),
        ("completion/complete", complete(&prompt), complete(nobody), (&*prompt, nobody)),
    ];
    for (method, theirs, nobodys, (name, other)) in table {
        let (modern, unknown) =
            (gateway.modern(Modern::new(method, theirs.clone())).await, gateway.modern(Modern::new(method, nobodys.clone())).await);
        assert_eq!((modern.status, modern.text.replace(name, other)), (unknown.status, unknown.text), "{method}");
        let legacy = async |params: Value| gateway.legacy(Some(&session), rpc(1, method, params)).await;
        let (legacy, unknown) = (legacy(theirs).await, legacy(nobodys).await);
        assert_eq!((legacy.status, legacy.text.replace(name, other)), (unknown.status, unknown.text), "{method}");
    }
    assert_eq!(gateway.legacy(Some(&session), watch).await.code(), -32002);
    assert!(gateway.tools().await.contains(&"echo".to_owned()));
    command(&gateway, &["restore", "plugin", "handbook"]).await;
    assert_eq!(gateway.modern(Modern::new("resources/list", json!({}))).await.text, resources.text);
}

/// A call that waits for its client's answer has no guest, and is stopped as well.
#[tokio::test]
async fn a_dialog_that_waits_is_told() {
    let gateway = Gateway::with(Setup { fixtures: vec!["misbehave"], ..Setup::default() }).await;
    let mut params = initialize_params("2025-11-25");
    params["capabilities"] = json!({ "elicitation": {} });
    let begun = gateway.legacy(None, rpc(0, "initialize", params)).await;
    let session = begun.header("mcp-session-id").expect("a session").to_owned();
    let call = rpc("c", "tools/call", call_params("ask", json!({})));
    let mut events = Events::of(gateway.legacy_request(Some(&session), &call)).await;
    assert_eq!(next(&mut events).await["method"], "elicitation/create");
    let told = command(&gateway, &["revoke", "plugin", "misbehave"]).await;
    assert_eq!((&told["calls"], &told["calls_left"], &told["sessions"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!(next(&mut events).await["error"]["code"], -31014);
    let ping = gateway.legacy(Some(&session), rpc(1, "ping", json!({}))).await;
    assert_eq!(ping.status, 200, "the session goes on");
}

/// Everything that one caller has, and nothing of the one of the same name elsewhere.
async fn all_of_a_caller_ends(house: &House, revoke: &[&str], restore: &[&str]) {
    let (session, theirs) = (house.session(ADA, "/mcp").await, house.session(OTHER_ADA, "/mcp").await);
    let mut stream = house.legacy(ADA, "GET", "/mcp", Some(&session), None).send().await.expect("an answer");
    let mut hears = Events::of(by(house, ADA, listen())).await;
    let mut stays = Events::of(by(house, OTHER_ADA, listen())).await;
    next(&mut hears).await;
    next(&mut stays).await;
    let declaring = |method: &str, params: Value| {
        Modern::new(method, params).body(|body| {
            body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
                json!({ "elicitation": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } });
        })
    };
    let begin = async |tool: &str, arguments: Value| {
        let answer = house.asks(ADA, declaring("tools/call", json!({ "name": tool, "arguments": arguments }))).await;
        answer.result()["taskId"].as_str().unwrap_or_else(|| panic!("no task: {answer:?}")).to_owned()
    };
    let get = async |id: &str| house.asks(ADA, declaring("tasks/get", json!({ "taskId": id })).header("mcp-name", id)).await;
    let running = begin("slow_compute", json!({ "seconds": 200 })).await;
    let asking = begin("confirm_delete", json!({ "filename": "x.txt" })).await;
    eventually("a question", SOON, async || (get(&asking).await.result()["status"] == "input_required").then_some(())).await;
    let long = json!({ "ms": 200_000 });
    let modern = timed(by(house, ADA, Modern::call("sleep", long.clone())));
    let in_session = rpc(7, "tools/call", call_params("sleep", long.clone()));
    let mut legacy = Events::of(house.legacy(ADA, "POST", "/mcp", Some(&session), Some(&in_session))).await;
    let other = timed(by(house, OTHER_ADA, Modern::call("sleep", long)));
    full(house, ADA).await;
    full(house, OTHER_ADA).await;

    let told = command(&house.gateway, revoke).await;
    assert_eq!((&told["there"], &told["calls"], &told["calls_left"]), (&json!(true), &json!(3), &json!(0)), "{told}");
    assert_eq!((&told["sessions"], &told["streams"], &told["tasks"]), (&json!(1), &json!(3), &json!(2)), "{told}");
    assert_eq!(modern.await.expect("no panic").0.code(), -31014);
    assert_eq!(next(&mut legacy).await["error"]["code"], -31014);
    assert_eq!(next(&mut hears).await["method"], "notifications/cancelled");
    assert_eq!(next(&mut hears).await["result"]["resultType"], "complete");
    while stream.chunk().await.expect("whole").is_some() {}
    let ping = rpc(1, "ping", json!({}));
    for verb in ["POST", "GET", "DELETE"] {
        let refused = Answer::of(house.legacy(ADA, verb, "/mcp", Some(&session), (verb == "POST").then_some(&ping))).await;
        assert_eq!((refused.status, &*refused.text, refused.header("www-authenticate")), (403, "access is revoked\n", None), "{verb}");
    }
    assert_eq!(house.asks(ADA, echo()).await.status, 403);
    // The one of the same name goes on with all that it has.
    assert!(!other.is_finished());
    assert_eq!(Answer::of(house.legacy(OTHER_ADA, "POST", "/mcp", Some(&theirs), Some(&ping))).await.status, 200);

    command(&house.gateway, restore).await;
    assert_eq!(house.asks(ADA, echo()).await.tool_text(), "hello");
    assert_eq!(Answer::of(house.legacy(ADA, "POST", "/mcp", Some(&session), Some(&ping))).await.status, 404, "its session is over");
    for task in [running, asking] {
        let ended = get(&task).await;
        assert_eq!((&ended.result()["status"], &ended.result()["error"]["code"]), (&json!("failed"), &json!(-31014)));
    }
    // Nothing came meanwhile: what is heard next is the change that is made now.
    command(&house.gateway, &["revoke", "tool", "sleep", "--tenant", "umbrella"]).await;
    assert_eq!(other.await.expect("no panic").0.code(), -31014);
    assert_eq!(next(&mut stays).await["method"], "notifications/tools/list_changed");
    command(&house.gateway, &["restore", "tool", "sleep", "--tenant", "umbrella"]).await;
}

#[tokio::test]
async fn callers_and_tenants_are_sent_away_with_all_that_they_have() {
    let shared = Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave", "conformance-tasks"], ..Setup::default() };
    let limits = format!("[limits]\n{LONG}task_wall_time_s = 600\n");
    let house = House::of(shared, &[], ("calls_in_flight_max = 3", "calls_in_flight_max = 1", &limits)).await;
    let principal = ["principal", "https://login.example", "ada", "--tenant", "acme"];
    all_of_a_caller_ends(&house, &[&["revoke"], &principal[..]].concat(), &[&["restore"], &principal[..]].concat()).await;
    all_of_a_caller_ends(&house, &["revoke", "tenant", "acme"], &["restore", "tenant", "acme"]).await;
    // Without a tenant, a principal is whoever has that name at that issuer; another name is another one.
    command(&house.gateway, &["revoke", "principal", "https://login.example", "ada"]).await;
    assert_eq!((house.asks(ADA, echo()).await.status, house.asks(OTHER_ADA, echo()).await.status), (403, 403));
    assert_eq!(house.asks(Who("acme", "bob"), echo()).await.tool_text(), "hello");
    // Who shows nothing that counts is told what everybody is told.
    assert_eq!(house.gateway.modern(echo()).await.status, 401);
}

fn kept(gateway: &Gateway) -> PathBuf {
    gateway.data().join("revocations/revocations.json")
}

/// Killed, started again, stopped and changed meanwhile; and a file that nobody understands is not an empty one.
#[tokio::test]
async fn what_is_revoked_outlives_the_process() {
    let mut gateway = Gateway::start().await;
    let gone = async |gateway: &Gateway| !gateway.tools().await.contains(&"echo".to_owned());
    command(&gateway, &["revoke", "tool", "echo", "--reason", "a leak"]).await;
    assert_eq!(fs::metadata(kept(&gateway)).expect("kept").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(kept(&gateway).parent().expect("a directory")).expect("there").permissions().mode() & 0o777, 0o700);
    gateway.restart().await;
    assert!(gone(&gateway).await);
    assert_eq!(gateway.call("echo", json!({ "message": "x" })).await.code(), -32602);

    gateway.kill().await;
    let (code, said) = gateway.command(&["revoke", "tool", "hash"]).await;
    assert!(code == 0 && said.contains("no gateway runs here"), "{code} {said}");
    let (code, said) = gateway.command(&["restore", "tool", "echo"]).await;
    assert!(code == 0 && said.contains("restored from the next start on"), "{code} {said}");
    let whole = fs::read_to_string(kept(&gateway)).expect("readable");
    fs::write(kept(&gateway), &whole[..whole.len() / 2]).expect("written");
    for (arguments, begins) in [(&["serve"][..], 74), (&["check"], 74), (&["revoke", "list"], 74), (&["revoke", "tool", "x"], 74)] {
        let (code, said) = gateway.command(arguments).await;
        assert!(code == begins && said.contains("what is revoked cannot be understood"), "{arguments:?}: {code} {said}");
    }
    assert_eq!(fs::read_to_string(kept(&gateway)).expect("readable"), whole[..whole.len() / 2], "it is left as it is");
    fs::write(kept(&gateway), whole.replace("\"version\": 1", "\"version\": 2")).expect("written");
    assert_eq!(gateway.command(&["serve"]).await.0, 78);
    fs::write(kept(&gateway), whole).expect("written");
    gateway.start_again().await;
    assert!(!gone(&gateway).await && !gateway.tools().await.contains(&"hash".to_owned()));
}

/// A disk that refuses does not keep anybody in; taking back waits for it.
#[tokio::test]
async fn it_counts_before_it_is_kept() {
    let gateway = Gateway::start().await;
    let in_the_way = gateway.data().join("revocations/revocations.json.new");
    fs::create_dir(&in_the_way).expect("made");
    let (code, said) = gateway.command(&["revoke", "tool", "echo"]).await;
    assert!(code == 74 && said.contains("it is in force and not kept"), "{code} {said}");
    assert!(!gateway.tools().await.contains(&"echo".to_owned()));
    let (code, said) = gateway.command(&["restore", "tool", "echo"]).await;
    assert!(code == 1 && said.contains("it stays revoked"), "{code} {said}");
    assert!(!gateway.tools().await.contains(&"echo".to_owned()));
    fs::remove_dir(&in_the_way).expect("empty");
    eventually("the file", SOON, async || kept(&gateway).exists().then_some(())).await;
    command(&gateway, &["restore", "tool", "echo"]).await;
    assert!(gateway.tools().await.contains(&"echo".to_owned()));
}

/// A gateway that was told to stop still waits for its calls; they can be stopped.
#[tokio::test]
async fn a_stop_can_be_hastened() {
    let settings = "[limits]\ncalls_per_tenant_max = 1\ncall_queue_timeout_ms = 10\ndrain_timeout_s = 3600\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await;
    let running = timed(Modern::call("sleep", json!({ "ms": 200_000 })).build(&gateway));
    eventually("a full gateway", SOON, async || (gateway.modern(echo()).await.status == 429).then_some(())).await;
    gateway.terminate();
    eventually("the stop", SOON, async || gateway.log().contains("stopping").then_some(())).await;
    assert_eq!(command(&gateway, &["revoke", "plugin", "misbehave"]).await["calls"], 1);
    assert_eq!(running.await.expect("no panic").0.code(), -31014);
    let (status, log) = gateway.ended(SOON).await;
    assert_eq!(status.code(), Some(0), "{log}");
}

/// It comes back by itself, and who listens hears of it.
#[tokio::test]
async fn one_with_an_end_ends_by_itself() {
    let gateway = Gateway::start().await;
    let mut hears = Events::of(listen().build(&gateway)).await;
    next(&mut hears).await;
    command(&gateway, &["revoke", "tool", "echo", "--for", "1s"]).await;
    for _ in 0..2 {
        assert_eq!(next(&mut hears).await["method"], "notifications/tools/list_changed");
    }
    assert!(gateway.tools().await.contains(&"echo".to_owned()));
    eventually("the file", SOON, async || (!fs::read_to_string(kept(&gateway)).expect("kept").contains("echo")).then_some(())).await;
    assert_eq!(gateway.command(&["revoke", "list"]).await.1, "nothing is revoked\n");
    command(&gateway, &["revoke", "tool", "echo", "--for", "7d"]).await;
    assert!(gateway.command(&["revoke", "list"]).await.1.contains(", until 20"));
}

/// What was done, to whom and why stands in the log and in the journal, and the chain is whole.
#[tokio::test]
async fn orders_and_what_they_stopped_are_recorded() {
    let settings = "[limits]\ncalls_per_tenant_max = 1\ncall_queue_timeout_ms = 10\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await;
    let running = timed(Modern::call("sleep", json!({ "ms": 200_000 })).build(&gateway));
    eventually("a full gateway", SOON, async || (gateway.modern(echo()).await.status == 429).then_some(())).await;
    let told = command(&gateway, &["revoke", "tool", "sleep", "--reason", "wild"]).await;
    assert_eq!(told["calls"], 1);
    assert_eq!(running.await.expect("no panic").0.code(), -31014);
    command(&gateway, &["restore", "tool", "sleep"]).await;
    let told = eventually("the journal", SOON, async || {
        let (_, text) = gateway.command(&["journal", "show", "--json"]).await;
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
        lines.iter().any(|line| line["event"] == "restore").then_some(lines)
    })
    .await;
    let event = told.iter().find(|line| line["event"] == "revoke" && line["calls"] == 1).expect("an order");
    assert_eq!((&event["target"], &event["reason"]), (&json!("tool sleep"), &json!("wild")));
    assert!(told.iter().any(|line| line["tool"] == "sleep" && line["outcome"] == "revoked"), "{told:?}");
    assert_eq!(gateway.command(&["journal", "verify"]).await.0, 0);
    let (_, shown) = gateway.command(&["journal", "tail"]).await;
    assert!(shown.contains("revoke  tool sleep  (wild)  1 calls stopped") && !shown.contains("no record"), "{shown}");
    assert!(gateway.log().contains("what is revoked has changed") && gateway.log().contains("wild"));
}

/// Where nothing is kept of sessions and streams, too; and what a mistyped command does.
#[tokio::test]
async fn commands_say_what_is_wrong() {
    let settings = "[store]\nbackend = \"memory\"\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    command(&gateway, &["revoke", "tenant", "default"]).await;
    let refused = gateway.modern(echo()).await;
    assert_eq!((refused.status, &*refused.text), (403, "access is revoked\n"), "the anonymous caller's tenant");
    command(&gateway, &["restore", "tenant", "default"]).await;
    assert_eq!(gateway.modern(echo()).await.tool_text(), "hello");
    let (code, said) = gateway.command(&["revoke", "tool", "ecko"]).await;
    assert!(code == 0 && said.contains("nothing of that name is there now"), "{said}");
    for wrong in [
        &["revoke", "tool", "echo", "--for", "soon"][..],
        &["revoke", "tool", "echo", "--for", "0s"],
        &["revoke", "tenant", "A B"],
        &["revoke", "tool"],
        &["revoke", "tool", "echo", "--server", "-"],
    ] {
        assert_eq!(gateway.command(wrong).await.0, 2, "{wrong:?}");
    }
    assert_eq!(gateway.command(&["revoke", "tool", ""]).await.0, 64);
    let nowhere = std::process::Command::new(crate::harness::binary()).args(["revoke", "tool", "x", "--data", "/no/such/place"]).output();
    let nowhere = nowhere.expect("it runs");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("no gateway keeps anything in /no/such/place"));
}
