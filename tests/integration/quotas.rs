//! Quotas: whose is used up hears it at once and knows when to come back, and nobody else is concerned.

use super::command::{Place, Ran};
use super::tenants::{ADA, House, OTHER_ADA, Who};
use crate::harness::{Answer, Events, Gateway, Modern, binary, eventually, fixture, initialize_params, rpc};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

/// Two tenants that have the tools that misbehave, and these settings at the end.
async fn house(acme: &str, more: &str) -> House {
    let own = [("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))];
    House::with(&own, (acme, "", more)).await
}

/// The refusal, with what it says is used up.
fn refused(answer: &Answer) -> Option<String> {
    if answer.status != 429 {
        return None;
    }
    assert_eq!((answer.code(), &answer.message()["error"]["data"]["kind"]), (-31005, &json!("quota")), "{answer:?}");
    answer.retry_after_s();
    Some(answer.message()["error"]["message"].as_str().expect("text").to_owned())
}

fn usage(gateway: &Gateway, arguments: &[&str]) -> Ran {
    let data = gateway.data();
    let mut command = Command::new(binary());
    command.current_dir(data.parent().expect("a directory")).args(["usage", "--data"]).arg(&data).args(arguments);
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// The row of the ledger.
fn row(gateway: &Gateway, tenant: &str, of: &str, name: &str) -> Value {
    find(gateway, tenant, of, name).unwrap_or_else(|| panic!("{tenant} has no row of the {of} {name}"))
}

fn find(gateway: &Gateway, tenant: &str, of: &str, name: &str) -> Option<Value> {
    let ran = usage(gateway, &["--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut rows = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    rows.find(|row| (&row["tenant"], &row["of"], &row["name"]) == (&json!(tenant), &json!(of), &json!(name)))
}

/// N09: the tenant's rate holds over all its callers, and another tenant's is its own.
#[tokio::test]
async fn a_rate_is_of_all_that_a_tenant_does() {
    let house = house("[tenants.acme.quota]\ncalls_per_second_max = 1\ncalls_burst_max = 30\n", "").await;
    let names: Vec<&'static str> = (0..100).map(|at| &*format!("caller-{at}").leak()).collect();
    let mut said = Vec::new();
    for name in names {
        said.push(house.asks(Who("acme", name), echo()).await);
        assert_eq!(house.asks(OTHER_ADA, echo()).await.tool_text(), "hello");
    }
    let passed = said.iter().filter(|answer| answer.status == 200).count();
    assert!((30..=60).contains(&passed), "{passed}");
    let refusals: Vec<_> = said.iter().filter_map(refused).collect();
    assert_eq!(refusals.len(), 100 - passed);
    assert!(refusals.iter().all(|text| text.contains("the tenant's: calls per second")), "{refusals:?}");
    let acme = row(&house.gateway, "acme", "tenant", "acme");
    assert_eq!((acme["calls"].as_u64(), acme["refused"].as_u64()), (Some(passed as u64), Some(refusals.len() as u64)), "{acme}");
    assert_eq!(row(&house.gateway, "umbrella", "tenant", "umbrella")["refused"], 0);
}

#[tokio::test]
async fn a_principals_rate_is_nobody_elses() {
    let house = house("", "[quotas.principal]\ncalls_per_second_max = 1\ncalls_burst_max = 2\n").await;
    let mut said = Vec::new();
    for _ in 0..10 {
        said.push(house.asks(ADA, echo()).await);
    }
    let refusals: Vec<_> = said.iter().filter_map(refused).collect();
    assert!(refusals.len() >= 5 && refusals.iter().all(|text| text.contains("the caller's: calls per second")), "{refusals:?}");
    for who in [OTHER_ADA, Who("acme", "bob")] {
        assert_eq!(house.asks(who, echo()).await.tool_text(), "hello");
    }
    // Until it has leaked.
    eventually("there is room again", SOON, async || (house.asks(ADA, echo()).await.status == 200).then_some(())).await;
}

/// Everybody of an open gateway is one caller, so that a rate of one would be that of all.
#[tokio::test]
async fn an_open_gateway_has_no_rate() {
    let gateway = Gateway::start().await;
    for _ in 0..600 {
        assert_eq!(gateway.call("echo", json!({ "message": "hello" })).await.status, 200);
    }
}

#[tokio::test]
async fn calls_in_flight_are_counted_at_servers_and_for_tools() {
    let more =
        "[servers.narrow]\ntools = [\"*\"]\n[servers.narrow.quota]\ncalls_in_flight_max = 1\n[quotas.tool]\ncalls_in_flight_max = 2\n";
    let house = house("", more).await;
    let waits = |path: &'static str| house.asks(ADA, Modern::call("sleep", json!({ "ms": 25_000 })).path(path));
    let in_flight = async |of: &str, name: &str, count: u64| {
        let counted = async || find(&house.gateway, "acme", of, name).filter(|row| row["in_flight"] == count).map(drop);
        eventually("in flight", SOON, counted).await;
    };
    {
        let first = waits("/servers/narrow/mcp");
        tokio::pin!(first);
        tokio::select! {
            answer = &mut first => panic!("it waits: {answer:?}"),
            () = in_flight("server", "narrow", 1) => {}
        }
        let second = house.asks(ADA, echo().path("/servers/narrow/mcp")).await;
        assert!(refused(&second).is_some_and(|text| text.contains("the tenant's at this server: calls in flight")), "{second:?}");
        assert_eq!(house.asks(ADA, echo()).await.tool_text(), "hello");
        assert_eq!(house.asks(OTHER_ADA, echo().path("/servers/narrow/mcp")).await.tool_text(), "hello", "each tenant has its own");
        let other = waits("/mcp");
        tokio::pin!(other);
        tokio::select! {
            _ = &mut first => panic!("it waits"),
            answer = &mut other => panic!("it waits: {answer:?}"),
            () = in_flight("tool", "sleep", 2) => {}
        }
        let third = waits("/mcp").await;
        assert!(refused(&third).is_some_and(|text| text.contains("the tenant's with this tool: calls in flight")), "{third:?}");
    }
    // They went away.
    in_flight("tool", "sleep", 0).await;
    assert_eq!(house.asks(ADA, echo().path("/servers/narrow/mcp")).await.tool_text(), "hello");
}

/// Whoever uses up a minute's processor time waits, whether its calls came to an end or not.
#[tokio::test]
async fn processor_time_is_charged_however_a_call_ends() {
    let quota = "[tenants.acme.quota]\ncpu_ms_per_minute_max = 600\n";
    let house = house(quota, "[limits]\ncall_cpu_time_ms = 60000\n").await;
    let spins = || house.asks(ADA, Modern::call("spin", json!({})));
    let used = || row(&house.gateway, "acme", "tool", "spin")["cpu_ms"].as_u64().unwrap_or(0);
    // It is cut off by its client again and again.
    let all = async {
        for _ in 0..100 {
            match tokio::time::timeout(Duration::from_millis(200), spins()).await {
                Ok(answer) => return answer,
                Err(_) => continue,
            }
        }
        panic!("nothing was charged: {}", row(&house.gateway, "acme", "tenant", "acme"));
    };
    let answer = all.await;
    assert!(refused(&answer).is_some_and(|text| text.contains("the tenant's: processor time per minute")), "{answer:?}");
    assert!(used() >= 500, "{}", used());
    assert!(refused(&house.asks(ADA, echo()).await).is_some(), "it is the tenant's, whatever the tool");
    assert_eq!(house.asks(OTHER_ADA, echo()).await.tool_text(), "hello");
    // Another quota counts at once, and what was used stays used.
    house.gateway.set(&House::settings(&house.place, ("[tenants.acme.quota]\ncpu_ms_per_minute_max = 60000\n", "", "")));
    let (code, said) = house.gateway.reload().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(house.asks(ADA, echo()).await.tool_text(), "hello");
    assert!(used() >= 500);
}

#[tokio::test]
async fn bytes_and_memory_are_charged() {
    let more = "[quotas.principal]\nbytes_out_per_minute_max = 20000\n[servers.small]\ntools = [\"*\"]\n\
                [servers.small.quota]\nmemory_mib_s_per_minute_max = 1\n";
    let house = house("", more).await;
    let long = Modern::call("echo", json!({ "message": "x".repeat(15_000) }));
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(house.asks(ADA, long.clone()).await);
    }
    assert!(said[0].status == 200 && said[1].status == 200, "{said:?}");
    assert!(refused(&said[2]).is_some_and(|text| text.contains("the caller's: bytes per minute")), "{said:?}");
    let bytes = row(&house.gateway, "acme", "tenant", "acme")["bytes_out"].as_u64().expect("a number");
    assert!((30_000..32_000).contains(&bytes), "{bytes}");
    let who = Who("acme", "bob");
    let holds = || Modern::call("slow_count", json!({ "message": "x", "n": 10, "interval_ms": 200 })).path("/servers/small/mcp");
    let refusal = async {
        for _ in 0..30 {
            if let Some(text) = refused(&house.asks(who, holds()).await) {
                return text;
            }
        }
        panic!("nothing was charged");
    };
    assert!(refusal.await.contains("the tenant's at this server: memory per minute"));
}

#[tokio::test]
async fn the_ledger_can_be_read() {
    let house = house("", "").await;
    for _ in 0..3 {
        house.asks(ADA, echo()).await;
    }
    let ran = usage(&house.gateway, &[]);
    assert!(ran.code == 0 && ran.out.starts_with("  "), "{ran:?}");
    for line in ["acme  ", "  server /mcp  ", "  principal https://login.example ada  ", "  tool echo  ", "umbrella  "] {
        assert!(ran.out.lines().any(|found| found.starts_with(line)), "{line}: {}", ran.out);
    }
    let of_one = usage(&house.gateway, &["--tenant", "umbrella"]);
    assert!(of_one.code == 0 && !of_one.out.contains("acme"), "{of_one:?}");
    let nobody = usage(&house.gateway, &["--tenant", "nobody"]);
    assert!(nobody.code == 1 && nobody.err.contains("no tenant `nobody`"), "{nobody:?}");
    assert_eq!(row(&house.gateway, "acme", "principal", "https://login.example ada")["calls"], 3);
}

/// With one slot for everybody: whoever has many calls waiting does not make the others wait for all of them.
#[tokio::test]
async fn tenants_take_turns() {
    let house = house("", "[limits]\ncalls_in_flight_max = 1\ncall_queue_timeout_ms = 60000\n").await;
    let ended = AtomicUsize::new(0);
    let sleeps = async || {
        let answer = house.asks(ADA, Modern::call("sleep", json!({ "ms": 100 }))).await;
        ended.fetch_add(1, Ordering::Relaxed);
        answer
    };
    let many = futures_util::future::join_all((0..20).map(|_| sleeps()));
    let one = async {
        // All of them wait: the one that runs has a slot.
        let waits = async || find(&house.gateway, "acme", "tool", "sleep").filter(|row| row["in_flight"] == 20).map(drop);
        eventually("twenty are there", SOON, waits).await;
        let before = ended.load(Ordering::Relaxed);
        let answer = house.asks(OTHER_ADA, echo()).await;
        (answer, ended.load(Ordering::Relaxed) - before)
    };
    let (many, (answer, between)) = tokio::join!(many, one);
    assert!(many.iter().all(|answer| answer.status == 200));
    assert_eq!(answer.tool_text(), "hello");
    assert!(between <= 5, "{between} of the other tenant's came first");
}

fn begins(house: &House, who: Who, path: &str) -> reqwest::RequestBuilder {
    house.legacy(who, "POST", path, None, Some(&rpc(0, "initialize", initialize_params("2025-11-25"))))
}

/// Of a tenant, at a server, of a principal: each for itself, and until one ends.
#[tokio::test]
async fn sessions_are_limited_by_quotas() {
    let more = "[quotas.principal]\nsessions_max = 2\n[servers.narrow]\ntools = [\"*\"]\n[servers.narrow.quota]\nsessions_max = 1\n";
    let acme = "[tenants.acme.quota]\nsessions_max = 4\n";
    let house = house(acme, more).await;
    let begin = async |name: &'static str, path: &str| Answer::of(begins(&house, Who("acme", name), path)).await;
    let refused_to = async |name: &'static str, path: &str, whose: &str| {
        let answer = begin(name, path).await;
        assert!(refused(&answer).is_some_and(|text| text.contains(&format!("{whose}: sessions"))), "{answer:?}");
        assert!(answer.retry_after_s() >= 26 && answer.header("mcp-session-id").is_none());
    };
    let [first, second] = [house.session(ADA, "/mcp").await, house.session(ADA, "/servers/narrow/mcp").await];
    refused_to("ada", "/mcp", "the caller's").await;
    refused_to("bob", "/servers/narrow/mcp", "the tenant's at this server").await;
    assert_eq!(begin("bob", "/mcp").await.status, 200);
    assert_eq!(begin("carol", "/mcp").await.status, 200);
    refused_to("dave", "/mcp", "the tenant's").await;
    // Another tenant's are its own.
    house.session(OTHER_ADA, "/servers/narrow/mcp").await;
    for (of, name, sessions) in [
        ("tenant", "acme", 4),
        ("server", "", 3),
        ("server", "narrow", 1),
        ("principal", "https://login.example ada", 2),
        ("principal", "https://login.example bob", 1),
    ] {
        let row = row(&house.gateway, "acme", of, name);
        assert_eq!((&row["sessions"], &row["streams"], &row["calls"]), (&json!(sessions), &json!(0), &json!(0)), "{row}");
    }
    // One that ends makes room, for its server as well.
    let end = async |session: &str, path: &str| Answer::of(house.legacy(ADA, "DELETE", path, Some(session), None)).await.status;
    assert_eq!(end(&second, "/servers/narrow/mcp").await, 204);
    assert_eq!(begin("dave", "/servers/narrow/mcp").await.status, 200);
    refused_to("erin", "/mcp", "the tenant's").await;
    // Other quotas count for those from then on.
    house.gateway.set(&House::settings(&house.place, ("", "", "[quotas.principal]\nsessions_max = 1\n")));
    let (code, said) = house.gateway.reload().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(begin("erin", "/mcp").await.status, 200);
    refused_to("ada", "/mcp", "the caller's").await;
    let ping = house.legacy(ADA, "POST", "/mcp", Some(&first), Some(&rpc(1, "ping", json!({}))));
    assert_eq!(Answer::of(ping).await.status, 200, "what is there goes on");
}

/// Sessions of before a restart count.
#[tokio::test]
async fn sessions_that_go_on_count() {
    let mut house = house("", "[quotas.principal]\nsessions_max = 1\n").await;
    house.session(ADA, "/mcp").await;
    house.gateway.restart().await;
    let answer = Answer::of(begins(&house, ADA, "/mcp")).await;
    assert!(refused(&answer).is_some_and(|text| text.contains("the caller's: sessions")), "{answer:?}");
    assert_eq!(row(&house.gateway, "acme", "principal", "https://login.example ada")["sessions"], 1);
}

#[tokio::test]
async fn streams_are_limited_by_quotas() {
    let more = "[quotas.principal]\nstreams_max = 1\n[servers.narrow]\ntools = [\"*\"]\n[servers.narrow.quota]\nstreams_max = 2\n";
    let house = house("[tenants.acme.quota]\nstreams_max = 3\n", more).await;
    let listen = |path: &str| Modern::new("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } })).path(path);
    let opens = async |name: &'static str, path: &str| {
        let token = house.token(Who("acme", name), path);
        Events::of(listen(path).header("authorization", format!("Bearer {token}")).build(&house.gateway)).await
    };
    let refused_to = async |name: &'static str, path: &str, whose: &str| {
        let answer = house.asks(Who("acme", name), listen(path)).await;
        assert!(refused(&answer).is_some_and(|text| text.contains(&format!("{whose}: event streams"))), "{answer:?}");
    };
    let session = house.session(ADA, "/servers/narrow/mcp").await;
    let get = || house.legacy(ADA, "GET", "/servers/narrow/mcp", Some(&session), None);
    let first = Events::of(get()).await;
    refused_to("ada", "/mcp", "the caller's").await;
    // A newer connection takes the place of the one before it.
    let newer = Events::of(get()).await;
    drop(first);
    let bob = opens("bob", "/servers/narrow/mcp").await;
    refused_to("carol", "/servers/narrow/mcp", "the tenant's at this server").await;
    let carol = opens("carol", "/mcp").await;
    refused_to("dave", "/mcp", "the tenant's").await;
    assert_eq!(house.asks(ADA, echo()).await.tool_text(), "hello", "a call needs no stream");
    let streams = |of: &str, name: &str| find(&house.gateway, "acme", of, name).map_or(0, |row| row["streams"].as_u64().expect("a number"));
    assert_eq!((streams("tenant", "acme"), streams("server", "narrow"), streams("principal", "https://login.example bob")), (3, 2, 1));
    drop((newer, bob, carol));
    eventually("they are gone", SOON, async || (streams("tenant", "acme") == 0).then_some(())).await;
    opens("dave", "/mcp").await;
}

#[test]
fn a_tool_has_no_sessions() {
    let place = Place::new();
    for key in ["sessions_max", "streams_max"] {
        place.settings(&format!("[quotas.tool]\n{key} = 1\n"));
        let ran = place.run(&["check"]);
        assert!(
            ran.code == 78 && ran.err.contains(&format!("line 2: quotas.tool.{key}: a tool has no sessions and no streams")),
            "{ran:?}"
        );
        place.settings(&format!("[quotas.server]\n{key} = 10000001\n"));
        assert_eq!(place.run(&["check"]).code, 78);
    }
}
