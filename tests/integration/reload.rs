//! Settings that are read again while the gateway runs: whole, or not at all.

use super::tenants::{ADA, House, OTHER_ADA};
use crate::harness::{Answer, Events, Gateway, Modern, Setup, eventually, fixture, initialize_params, rpc};
use gatehouse_forge::{Signer, jwks};
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

fn echo(path: &str) -> Modern {
    Modern::call("echo", json!({ "message": "hello" })).path(path)
}

async fn open(settings: &str) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], settings: settings.to_owned(), ..Setup::default() }).await
}

const ONE: &str = "[servers.one]\ntools = [\"echo\"]\n";
const TWO: &str = "[servers.two]\ntools = [\"echo\"]\n";

/// By the command, by a signal, and by itself.
#[tokio::test]
async fn settings_are_read_again() {
    let gateway = open(ONE).await;
    let served = async |id: &str| gateway.modern(echo(&format!("/servers/{id}/mcp"))).await.status == 200;
    assert!(served("one").await && !served("two").await);
    gateway.set(TWO);
    let (code, said) = gateway.reload().await;
    assert!(code == 0 && said.contains("the settings are in force"), "{code} {said}");
    assert!(!served("one").await && served("two").await);

    gateway.set(&format!("[gateway]\nwatch_settings = false\n{ONE}"));
    gateway.hang_up();
    eventually("a signal", SOON, async || served("one").await.then_some(())).await;

    gateway.set(&format!("[gateway]\nwatch_settings = true\n{TWO}"));
    let (code, said) = gateway.reload().await;
    assert_eq!(code, 0, "{said}");
    gateway.set(ONE);
    eventually("the file", SOON, async || (served("one").await && !served("two").await).then_some(())).await;
}

/// X04: what is wrong is told with its line, and the running settings go on.
#[tokio::test]
async fn wrong_settings_are_not_taken() {
    let gateway = open(ONE).await;
    let table = [
        ("[servers.two]\ntools = 7\n", "line 2: servers.two.tools"),
        ("[servers", "line 1"),
        ("[servers.two]\ntools = [\"echo\"]\npolicies = [\"none\"]\n", "there is no section [policies.none]"),
        ("[tenants.default]\nplugin_directory = \"missing\"\n", "missing"),
    ];
    for (settings, reason) in table {
        gateway.set(settings);
        let (code, said) = gateway.reload().await;
        assert!(code == 78 && said.contains(reason), "{settings}: {code} {said}");
        assert_eq!(gateway.modern(echo("/servers/one/mcp")).await.status, 200, "{settings}");
    }
    // Nobody asked, and it is in the log.
    gateway.set("[nonsense]\n");
    eventually("the reason", SOON, async || gateway.log().contains("nonsense: there is no such setting").then_some(())).await;
    assert_eq!(gateway.modern(echo("/servers/one/mcp")).await.status, 200);
    gateway.set(&format!("[limits]\ncalls_in_flight_max = 7\n{TWO}"));
    let (code, said) = gateway.reload().await;
    assert!(code == 0 && said.contains("but for limits, which need a restart"), "{said}");
}

/// P03: a policy comes, changes, breaks and goes.
#[tokio::test]
async fn policies_come_and_go() {
    let gateway = open("").await;
    // Beside the settings: what is elsewhere, a gateway that runs cannot reach.
    let file = gateway.data().with_file_name("policy.wasm");
    let with = |hidden: &str| {
        format!("[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = {file:?}\n[policies.p.settings]\nhide = [\"{hidden}\"]\n")
    };
    fs::copy(fixture("verdict"), &file).expect("copied");
    let listen = Modern::new("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let mut events = Events::of(listen.build(&gateway)).await;
    events.next().await.expect("an acknowledgement");
    assert!(gateway.tools().await.contains(&"echo".to_owned()));
    gateway.set(&with("echo"));
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(events.next().await.expect("a word").message()["method"], "notifications/tools/list_changed");
    assert!(!gateway.tools().await.contains(&"echo".to_owned()));
    assert_eq!(gateway.modern(echo("/mcp")).await.code(), -32602);
    // Broken: the last good one goes on.
    fs::write(&file, b"\0asm, or not").expect("written");
    let (code, said) = gateway.reload().await;
    assert!(code == 78 && said.contains("the policy p"), "{code} {said}");
    assert_eq!(gateway.modern(echo("/mcp")).await.code(), -32602);
    assert!(gateway.tools().await.contains(&"hash".to_owned()));
    fs::copy(fixture("verdict"), &file).expect("copied");
    gateway.set(&with("hash"));
    assert_eq!(gateway.reload().await.0, 0);
    assert!(gateway.tools().await.contains(&"echo".to_owned()) && !gateway.tools().await.contains(&"hash".to_owned()));
}

/// What goes on for somebody who is not known any more ends: sessions, streams, listeners.
#[tokio::test]
async fn who_is_sent_away_hears_no_more() {
    let house = House::with(&[], ("", "", "")).await;
    let listen = |path: &str, token: &str| {
        let listen = Modern::new("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
        listen.path(path).header("authorization", format!("Bearer {token}")).build(&house.gateway)
    };
    let mut stays = Events::of(listen("/mcp", &house.token(ADA, "/mcp"))).await;
    let mut goes = Events::of(listen("/mcp", &house.token(OTHER_ADA, "/mcp"))).await;
    for events in [&mut stays, &mut goes] {
        assert_eq!(events.next().await.expect("a word").message()["method"], "notifications/subscriptions/acknowledged");
    }
    let session = house.session(OTHER_ADA, "/mcp").await;
    let mut stream = house.legacy(OTHER_ADA, "GET", "/mcp", Some(&session), None).send().await.expect("an answer");
    assert_eq!(stream.status(), 200);

    let settings = House::settings(&house.place, ("", "", ""));
    let (without, _) = settings.split_once("[tenants.umbrella]").expect("the last section");
    house.gateway.set(without);
    let (code, said) = house.gateway.reload().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(goes.next().await.expect("a word").message()["method"], "notifications/cancelled");
    assert_eq!(goes.next().await.expect("an end").message()["result"]["resultType"], "complete");
    while stream.chunk().await.expect("whole").is_some() {}
    assert_eq!(house.asks(OTHER_ADA, echo("/mcp")).await.status, 401);
    assert_eq!(stays.next().await.expect("a word").message()["method"], "notifications/tools/list_changed");
    assert_eq!(house.asks(ADA, echo("/mcp")).await.tool_text(), "hello");
}

/// Another key in the file: the new one counts, the old one does not.
#[tokio::test]
async fn keys_are_read_again() {
    let mut house = House::with(&[], ("", "", "")).await;
    let old = house.token(ADA, "/mcp");
    house.signer = Signer::ed25519("k2", 8);
    assert_eq!(house.asks(ADA, echo("/mcp")).await.status, 401);
    fs::write(house.place.path().join("jwks.json"), jwks(&[house.signer.jwk()])).expect("written");
    eventually("the new key", SOON, async || (house.asks(ADA, echo("/mcp")).await.status == 200).then_some(())).await;
    assert_eq!(house.gateway.modern(echo("/mcp").header("authorization", format!("Bearer {old}"))).await.status, 401);
}

/// 60 swaps under load: no call fails that should not, and none is answered by rules that are over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_lose_nothing() {
    const SWAPS: usize = 60;
    let policy = |hidden: &str| {
        format!(
            "[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = \"{}\"\n[policies.p.settings]\nhide = [\"{hidden}\"]\n",
            fixture("verdict").display()
        )
    };
    let gateway = Arc::new(open(&policy("hash")).await);
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for at in 0..4 {
        let (gateway, over) = (Arc::clone(&gateway), Arc::clone(&over));
        callers.push(tokio::spawn(async move {
            let (mut calls, mut wrong) = (0_u32, Vec::new());
            // 50 a second each.
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while !over.load(Ordering::Relaxed) {
                ticks.tick().await;
                // What no reading of the settings hides.
                let message = format!("{at} {calls}");
                let answer = gateway.call("echo", json!({ "message": message })).await;
                let right = answer.status == 200 && answer.message()["result"]["content"][0]["text"] == *message;
                if !right {
                    wrong.push(answer.text);
                }
                calls += 1;
            }
            (calls, wrong)
        }));
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for swap in 0..SWAPS {
        ticks.tick().await;
        let (hidden, shown) = if swap % 2 == 0 { ("base64", "hash") } else { ("hash", "base64") };
        gateway.set(&policy(hidden));
        let (code, said) = gateway.reload().await;
        assert_eq!(code, 0, "{said}");
        // From the answer on the new rules count, and only they.
        let tools = gateway.tools().await;
        assert!(!tools.contains(&hidden.to_owned()) && tools.contains(&shown.to_owned()), "swap {swap}: {tools:?}");
    }
    over.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for caller in callers {
        let (made, wrong) = caller.await.expect("not cancelled");
        assert_eq!(wrong, Vec::<String>::new());
        calls += made;
    }
    println!("{SWAPS} swaps, {calls} calls, none failed");
    assert!(calls > 200, "{calls}");
}

/// A session goes on over a reading of the settings that does not concern it.
#[tokio::test]
async fn sessions_go_on() {
    let gateway = open(ONE).await;
    let session = gateway.session_at("/servers/one/mcp", "2025-11-25").await;
    let ping = async || {
        let body: Value = rpc(1, "ping", json!({}));
        let request = gateway.client.post(format!("{}/servers/one/mcp", gateway.origin)).header("content-type", "application/json");
        Answer::of(request.header("mcp-session-id", &session).body(body.to_string())).await.status
    };
    gateway.set(&format!("{ONE}{TWO}"));
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(ping().await, 200);
    gateway.set(TWO);
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(ping().await, 404, "its server is gone");
    gateway.set(&format!("{ONE}{TWO}"));
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(ping().await, 404, "and it with it");
    let begun = gateway.legacy(None, rpc(0, "initialize", initialize_params("2025-11-25"))).await;
    assert_eq!(begun.status, 200);
}
