//! Who takes most of what serves requests is served aside while others are there, and finds everything there as it was.
//!
//! What others feel of it is measured, not tested: `make neighbours`.

use super::admin::Administered;
use super::tenants::{ADA, House, NO_RATES, OTHER_ADA, Who};
use crate::harness::http2::{DATA, END_HEADERS, END_STREAM, HEADERS, Http2, block};
use crate::harness::raw::{Raw, message};
use crate::harness::{Answer, Events, Modern, count, eventually, initialize_params, rpc, turn};
use futures_util::future::join_all;
use gatehouse_forge::{Signer, jwks};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const SOON: Duration = Duration::from_secs(60);

/// Two tenants, and a gateway on two processors at most: from there on one client must be able to take most of it.
struct Crowd {
    admin: Administered,
    signer: Signer,
    _place: tempfile::TempDir,
}

impl Crowd {
    async fn start() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let signer = Signer::ed25519("k1", 7);
        for tenant in ["acme", "umbrella"] {
            fs::create_dir(place.path().join(tenant)).expect("made");
        }
        fs::write(place.path().join("jwks.json"), jwks(&[signer.jwk()])).expect("written");
        let settings = House::settings(&place, ("", "", NO_RATES));
        // What is started from here inherits it.
        let all = sched_getaffinity(None).expect("processors");
        let mut few = CpuSet::new();
        (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).take(2).for_each(|cpu| few.set(cpu));
        sched_setaffinity(None, &few).expect("fewer of them");
        let admin = Administered::with(vec!["text-toolbox"], vec!["misbehave"], &settings).await;
        sched_setaffinity(None, &all).expect("all of them again");
        Self { admin, signer, _place: place }
    }

    fn bearer(&self, who: Who) -> String {
        format!("Bearer {}", self.signer.token(&House::claims(who, "/mcp")))
    }

    async fn asks(&self, who: Who, request: Modern) -> Answer {
        self.admin.gateway.modern(request.header("authorization", self.bearer(who))).await
    }

    /// Takes as much as it can get, until it is dropped. It costs its sender next to nothing, so that what is scarce is the gateway's.
    async fn flood(&self, who: Who) {
        let large = Modern::call("echo", json!({ "message": "x", "more": "y".repeat(100_000) })).header("authorization", self.bearer(who));
        let head = large.headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value)));
        let head = head.fold("POST /mcp HTTP/1.1\nHost: localhost\n".to_owned(), |head, line| head + &line);
        let request = message(&head, large.body.to_string());
        // On a machine that is busy the gateway may end one that it waits for too long.
        let flood = (0..8).map(async |_| {
            loop {
                let (mut reader, mut writer) = Raw::connect(&self.admin.gateway.address()).await.0.into_split();
                let mut answers = tokio::io::sink();
                let send = async { while writer.write_all(&request).await.is_ok() {} };
                tokio::select! {
                    () = send => {}
                    _ = tokio::io::copy(&mut reader, &mut answers) => {}
                }
            }
        });
        join_all(flood).await;
    }

    async fn put_aside(&self) -> f64 {
        self.admin.metrics().await.value("gatehouse_connections_put_aside_total", &[])
    }

    fn legacy(&self, who: Who, session: Option<&str>, body: &Value) -> reqwest::RequestBuilder {
        let gateway = &self.admin.gateway;
        let request = gateway.client.post(format!("{}/mcp", gateway.origin)).header("authorization", self.bearer(who));
        let request = request.header("accept", "application/json, text/event-stream").header("content-type", "application/json");
        session.iter().fold(request, |request, session| request.header("mcp-session-id", *session)).body(body.to_string())
    }

    /// A session, a call with progress, and a request over HTTP/2.
    async fn finds_everything(&self, who: Who) {
        let begun = Answer::of(self.legacy(who, None, &rpc(0, "initialize", initialize_params("2025-11-25")))).await;
        let session = begun.header("mcp-session-id").unwrap_or_else(|| panic!("no session: {begun:?}")).to_owned();
        let events = Events::of(self.legacy(who, Some(&session), &count(1, 3, 1))).await.rest().await;
        let messages: Vec<_> = events.iter().filter(|event| !event.is_priming()).map(|event| event.message()).collect();
        assert_eq!(messages.len(), 4, "{messages:?}");
        assert_eq!(messages[3]["result"]["content"][0]["text"], "done");
        let mut connection = Http2::connect(&self.admin.gateway.address()).await;
        let bearer = self.bearer(who);
        let head = block(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/mcp"),
            ("content-type", "application/json"),
            ("authorization", &bearer),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/list"),
        ]);
        for stream in [1, 3, 5] {
            assert!(connection.send(HEADERS, END_HEADERS, stream, &head).await);
            assert!(connection.send(DATA, END_STREAM, stream, Modern::new("tools/list", json!({})).body.to_string().as_bytes()).await);
            assert!(connection.next_of(&[HEADERS]).await.expect("an answer").is_ok());
        }
    }
}

#[tokio::test]
async fn who_takes_most_is_served_aside_and_nobody_else() {
    let _turn = turn().await;
    let crowd = Crowd::start().await;
    // Alone it may have all of it.
    let some = async {
        for _ in 0..30 {
            crowd.asks(ADA, Modern::call("echo", json!({ "message": "x" }))).await;
        }
    };
    tokio::select! {
        () = crowd.flood(ADA) => {}
        () = some => {}
    }
    assert_eq!(crowd.put_aside().await, 0.0);

    let others = async {
        eventually("it is put aside", SOON, async || {
            assert_eq!(crowd.asks(OTHER_ADA, Modern::call("echo", json!({ "message": "here" }))).await.tool_text(), "here");
            (crowd.put_aside().await > 0.0).then_some(())
        })
        .await;
        crowd.finds_everything(ADA).await;
        crowd.finds_everything(OTHER_ADA).await;
    };
    tokio::select! {
        () = crowd.flood(ADA) => {}
        () = others => {}
    }
    // Its connections are closed in the middle of what they did, and nothing of them stays.
    eventually("everything is given back", SOON, async || {
        let page = crowd.admin.metrics().await;
        (page.sum("gatehouse_permits_in_use") == 0.0 && page.value("gatehouse_bodies_bytes", &[]) == 0.0).then_some(())
    })
    .await;
    let moved = crowd.put_aside().await;
    assert_eq!(crowd.asks(ADA, Modern::call("echo", json!({ "message": "again" }))).await.tool_text(), "again");
    assert!(crowd.put_aside().await <= moved + 1.0);
}

/// Connections that are aside when the gateway is told to stop end as others do.
#[tokio::test]
async fn a_stop_reaches_those_that_are_aside() {
    let _turn = turn().await;
    let crowd = Crowd::start().await;
    let put_aside = async {
        eventually("it is put aside", SOON, async || {
            assert_eq!(crowd.asks(OTHER_ADA, Modern::call("echo", json!({ "message": "here" }))).await.tool_text(), "here");
            (crowd.put_aside().await > 0.0).then_some(())
        })
        .await;
        // On a connection that stays open and aside.
        assert_eq!(crowd.asks(ADA, Modern::call("echo", json!({ "message": "here too" }))).await.tool_text(), "here too");
    };
    tokio::select! {
        () = crowd.flood(ADA) => {}
        () = put_aside => {}
    }
    crowd.admin.gateway.terminate();
    let ended = async || {
        Some(crowd.admin.gateway.log()).filter(|log| log.contains("calls were still in flight") || log.contains("stopped; every call"))
    };
    let log = eventually("its end", SOON, ended).await;
    assert!(log.contains("stopped; every call in flight came to its end"), "{log}");
}
