//! Case R28 of the catalogue: ten thousand calls that are cancelled, each at another moment of its life, give everything back that they had.

use super::admin::Administered;
use super::grants::beside;
use super::tenants::NO_RATES;
use super::written::holds;
use crate::harness::{Gateway, Modern, call_params, eventually, process, rpc, turn};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);
const CALLS: u64 = 10_000;
/// Who calls at a time, half of them in sessions.
const LANES: u64 = 16;
/// Slots, and places for guests.
const AT_ONCE: usize = 64;
/// The latest moment to cancel.
const LATEST_US: u64 = 6_000;

/// What the directory may hold.
const BYTES_MAX: u64 = 1 << 30;
const FILES_MAX: u64 = 2_000;
/// Files that are replaced, and how many times as large as a piece their versions are.
const WHOLE: u64 = 4;
const VERSIONS: u64 = 10;
const PIECE: u64 = 8 << 10;

/// Moments and calls: the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A call of one kind or another, by its name nobody else's.
fn call(dice: &mut Dice, name: &str) -> (&'static str, Value) {
    match dice.below(8) {
        0 | 1 => ("spin", json!({})),
        2 | 3 => ("sleep", json!({ "ms": 60_000 })),
        4 => ("slow_count", json!({ "message": "done", "n": 1_000, "interval_ms": 1 })),
        5 => ("alloc", json!({ "mib": 8, "ms": 60_000 })),
        6 => ("compute", json!({ "rounds": 100_000 })),
        _ => {
            let (path, version) = (format!("whole-{}", dice.below(WHOLE)), dice.below(VERSIONS));
            let fill = char::from(b'a' + version as u8).to_string();
            let bytes = (version + 1) * PIECE;
            ("file", json!({ "in": "/out", "do": "replace", "path": path, "to": format!("new-{name}"), "fill": fill, "bytes": bytes }))
        }
    }
}

/// How many were cancelled, and how many had ended before.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    cancelled: u64,
    ended: u64,
}

/// By closing connections.
async fn closing(gateway: &Gateway, mut dice: Dice, lane: &str, calls: u64) -> Tally {
    let mut tally = Tally::default();
    for number in 0..calls {
        let (tool, arguments) = call(&mut dice, &format!("{lane}-{number}"));
        let mut request = Modern::call(tool, arguments);
        if dice.below(2) == 0 {
            request.body["params"]["_meta"]["progressToken"] = "p".into();
        }
        let whole = async {
            let response = request.build(gateway).send().await.expect("an answer");
            (response.status().as_u16(), response.text().await.expect("a whole body"))
        };
        match tokio::time::timeout(Duration::from_micros(dice.below(LATEST_US)), whole).await {
            Ok((status, text)) => {
                assert!(status == 200 && !text.contains("\"error\""), "{tool}: {status} {text}");
                tally.ended += 1;
            }
            Err(_) => tally.cancelled += 1,
        }
    }
    tally
}

/// By saying so, in a session.
async fn saying(gateway: &Gateway, mut dice: Dice, lane: &str, calls: u64) -> Tally {
    let mut tally = Tally::default();
    let session = gateway.session("2025-11-25").await;
    for number in 0..calls {
        let (tool, arguments) = call(&mut dice, &format!("{lane}-{number}"));
        let body = rpc(number, "tools/call", call_params(tool, arguments));
        let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": number } });
        let mut answer = std::pin::pin!(gateway.legacy(Some(&session), body));
        let mut moment = Duration::from_micros(dice.below(LATEST_US));
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                () = tokio::time::sleep(moment) => {}
            }
            // Again where it came before its call.
            assert_eq!(gateway.legacy(Some(&session), cancel.clone()).await.status, 202);
            moment = Duration::from_millis(20);
        };
        match answer.message().get("error") {
            None => tally.ended += 1,
            Some(error) => {
                assert_eq!(error["code"], -32800, "{tool}: {answer:?}");
                tally.cancelled += 1;
            }
        }
    }
    let end = gateway.client.request(Method::DELETE, gateway.url()).header("mcp-session-id", session);
    assert_eq!(end.send().await.expect("an answer").status(), 204);
    tally
}

/// Cancels so many calls, of several clients at a time, and looks at the files meanwhile.
async fn storm(gateway: &Gateway, out: &Path, round: u64, calls: u64) -> Tally {
    let lanes = (0..LANES).map(|lane| async move {
        let (dice, name) = (Dice(round << 32 | lane), format!("{round}-{lane}"));
        let share = calls / LANES;
        if lane % 2 == 0 { closing(gateway, dice, &name, share).await } else { saying(gateway, dice, &name, share).await }
    });
    let look = async {
        loop {
            look_at(out);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        tallies = join_all(lanes) => tallies.iter().fold(Tally::default(), |sum, tally| Tally {
            cancelled: sum.cancelled + tally.cancelled,
            ended: sum.ended + tally.ended,
        }),
        () = look => unreachable!("it looks for ever"),
    }
}

/// Whatever was replaced is one version or another, whole; gives how many there are.
fn look_at(out: &Path) -> usize {
    let there = (0..WHOLE).filter_map(|number| fs::read(out.join(format!("whole-{number}"))).ok());
    let look = |bytes: Vec<u8>| {
        let first = *bytes.first().expect("no version is empty");
        assert!(bytes.iter().all(|byte| *byte == first), "of two versions");
        assert_eq!(bytes.len() as u64, (u64::from(first - b'a') + 1) * PIECE, "cut");
    };
    there.map(look).count()
}

/// What is in use of the gateway: each number is as it was when nothing is.
#[derive(Debug, PartialEq)]
struct Used {
    descriptors: usize,
    tasks: f64,
    permits: f64,
    streams: f64,
    sessions: f64,
    bodies_bytes: f64,
}

async fn used(admin: &Administered) -> Used {
    let page = admin.metrics().await;
    let of_tenant = |name: &str| page.value(name, &[("tenant", "default")]);
    Used {
        descriptors: process::descriptors(admin.gateway.pid()),
        tasks: page.value("gatehouse_tasks_active", &[]),
        permits: of_tenant("gatehouse_permits_in_use"),
        streams: page.value("gatehouse_streams_active", &[]),
        sessions: of_tenant("gatehouse_sessions_active"),
        bodies_bytes: page.value("gatehouse_bodies_bytes", &[]),
    }
}

/// Once nobody is connected any more: what is used then, if it stays so for a moment.
async fn at_rest(admin: &mut Administered) -> Option<Used> {
    admin.gateway.forget_connections();
    let before = used(admin).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    (used(admin).await == before).then_some(before)
}

/// Whether it computes next to nothing.
async fn is_idle(gateway: &Gateway) -> bool {
    let before = process::ticks(gateway.pid());
    tokio::time::sleep(Duration::from_millis(500)).await;
    process::ticks(gateway.pid()) < before + 10
}

/// Tries something in the directory: whether it was done, or is beyond what it may hold.
async fn tried(gateway: &Gateway, what: &str, path: &str, bytes: u64) -> bool {
    let answer = gateway.call("file", json!({ "in": "/out", "do": what, "path": path, "bytes": bytes })).await;
    let told = &answer.result()["structuredContent"];
    assert!(*told == json!({ "done": true }) || *told == json!({ "error": "quota" }), "{told}");
    told["done"] == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r28_ten_thousand_cancelled_calls_give_everything_back() {
    let _turn = turn().await;
    let place = tempfile::tempdir().expect("a directory");
    let out = place.path().join("out");
    fs::create_dir(&out).expect("made");
    let settings = format!(
        "[grants.x]\nplugin = \"reader\"\n[grants.x.files]\n\
         \"/out\" = {{ directory = {out:?}, access = \"read-write\", bytes_max = {BYTES_MAX}, files_max = {FILES_MAX} }}\n\
         {NO_RATES}[limits]\ncalls_in_flight_max = {AT_ONCE}\ncalls_computing_per_core_max = 1000\n"
    );
    let mut admin = Administered::with(vec!["text-toolbox"], vec!["misbehave", "reader"], &settings).await;
    beside(&admin.gateway.plugins, "reader", "[asks]\nconfig = []\nfiles_write = [\"/out\"]\n");
    eventually("it is served", SOON, async || admin.gateway.tools().await.contains(&"file".to_owned()).then_some(())).await;

    // What is made at the first use is there.
    storm(&admin.gateway, &out, 1, 320).await;
    let before = loop {
        if let Some(used) = at_rest(&mut admin).await {
            break used;
        }
    };
    let memory_before = process::resident_kib(admin.gateway.pid());
    let began = Instant::now();
    let tally = storm(&admin.gateway, &out, 2, CALLS).await;
    println!("{tally:?} in {:?}; at rest {before:?}", began.elapsed());
    assert!(tally.cancelled * 10 >= CALLS * 8, "most were cancelled: {tally:?}");

    let began = Instant::now();
    loop {
        let now = at_rest(&mut admin).await;
        if now.as_ref().is_some_and(|now| *now == before) {
            break;
        }
        assert!(began.elapsed() < SOON, "before {before:?}, now {now:?}");
    }
    assert_eq!((before.permits, before.streams, before.sessions, before.bodies_bytes), (0.0, 0.0, 0.0, 0.0), "{before:?}");
    let gateway = &admin.gateway;
    eventually("nobody computes", SOON, async || is_idle(gateway).await.then_some(())).await;
    eventually("its memory is given back", SOON, async || {
        (process::resident_kib(gateway.pid()) <= memory_before + (32 << 10)).then_some(())
    })
    .await;
    // As many at once as there are slots and places.
    let all = join_all((0..AT_ONCE).map(|_| gateway.call("sleep", json!({ "ms": 1_000 })))).await;
    assert!(all.iter().all(|answer| answer.status == 200 && answer.message().get("error").is_none()), "{all:?}");

    assert_eq!(look_at(&out), WHOLE as usize);
    let (bytes, files) = holds(&out);
    println!("{files} files of {bytes} bytes");
    // Cut ones lie under the names that they were written by.
    assert!(files >= WHOLE + 20, "calls were cancelled in the middle of writing: {files}");
    // The count is right to the byte, and to the file.
    assert!(tried(gateway, "create", "rest", 0).await && tried(gateway, "grow", "rest", BYTES_MAX - bytes).await);
    assert!(!tried(gateway, "grow", "rest", BYTES_MAX - bytes + 1).await);
    for number in files + 1..FILES_MAX {
        assert!(tried(gateway, "create", &format!("more-{number}"), 0).await, "{number} of {FILES_MAX}");
    }
    assert!(!tried(gateway, "create", "too-many", 0).await);
}
