//! Many clients that listen and hear nothing: what they cost, and that each is kept alive.

use crate::harness::process::resident_kib;
use crate::harness::raw::{self, Raw};
use crate::harness::{Gateway, Setup, turn};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;

const STREAMS: usize = 5_000;
const MIB: u64 = 1 << 20;
const SOON: Duration = Duration::from_secs(60);

/// How long calls take, of so many: half of them, and 99 of 100.
async fn calls(gateway: &Gateway) -> [Duration; 2] {
    let mut took = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        assert_eq!(gateway.call("text_hash", json!({ "text": "hello" })).await.status, 200);
        took.push(began.elapsed());
    }
    took.sort();
    [took[250], took[495]]
}

/// Reads what has come and what comes, to the end of a keep-alive.
async fn kept_alive(mut stream: Raw) -> Result<Raw, String> {
    let mut read = Vec::new();
    let until = async {
        while !read.ends_with(b": keep-alive\n\n\r\n") {
            let mut some = [0; 256];
            match stream.0.read(&mut some).await {
                Ok(count) if count > 0 => read.extend_from_slice(&some[..count]),
                end => return Err(format!("it ended: {end:?}")),
            }
        }
        Ok(())
    };
    match tokio::time::timeout(SOON, until).await {
        Ok(end) => end.map(|()| stream),
        Err(_) => Err(String::from_utf8_lossy(&read).into_owned()),
    }
}

/// O05.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_idle_streams_cost_little_and_are_kept_alive() {
    let _turn = turn().await;
    let settings = format!(
        "[limits]\nkeep_alive_interval_s = 15\nconnections_max = {0}\nconnections_per_address_max = {0}\nsessions_per_tenant_max = {0}\n\
         sessions_per_principal_max = {0}\nstreams_per_tenant_max = {0}\nstreams_per_principal_max = {0}\n",
        STREAMS + 1_000
    );
    let gateway = Gateway::with(Setup { settings, ..Setup::default() }).await;
    let address = gateway.address();
    let without = calls(&gateway).await;
    let before = resident_kib(gateway.pid()) << 10;
    let open = async |_| {
        let session = gateway.session("2025-11-25").await;
        let mut stream = Raw::connect(&address).await;
        let head = format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\r\n");
        stream.send(head).await;
        assert_eq!(raw::status_of(&stream.head().await), 200);
        stream
    };
    let streams: Vec<Raw> = futures_util::stream::iter(0..STREAMS).map(open).buffer_unordered(32).collect().await;
    // Each hears something from now on, and what it costs is what it costs while it does.
    let streams = futures_util::stream::iter(streams).map(kept_alive).buffer_unordered(STREAMS);
    let streams: Vec<Raw> = streams.try_collect().await.unwrap_or_else(|said| panic!("one is not kept alive: {said:?}"));
    let after = resident_kib(gateway.pid()) << 10;
    let beside = calls(&gateway).await;
    let more = after.saturating_sub(before);
    println!(
        "O05: {} idle streams: {} KiB each, calls {:?} and p99 {:?} without, {:?} and {:?} beside",
        streams.len(),
        more / 1_024 / STREAMS as u64,
        without[0],
        without[1],
        beside[0],
        beside[1]
    );
    assert!(more <= 150 * MIB, "{} MiB", more / MIB);
    // The machine may be busy; a call that looked at each of them would take far longer.
    assert!(beside[0] < without[0] * 5, "{without:?} {beside:?}");
}
