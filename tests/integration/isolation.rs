//! Tenants that share no engine with others: their calls work as anybody's, in places of their own, and settings may move them at any time.

use super::admin::Administered;
use super::tenants::{ADA, House, NO_RATES, OTHER_ADA, Who};
use crate::harness::{Answer, Modern, Setup, eventually, fixture, plugin, process, turn};
use futures_util::future::join_all;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const STRICT: &str = "isolation = \"strict\"";
const ONE: &str = "[tenants.default]\nisolation = \"strict\"\n";

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

fn sleep(ms: u64) -> Modern {
    Modern::call("sleep", json!({ "ms": ms }))
}

/// The misbehaving fixture with so much beside its code that it counts as a language runtime.
fn heavy(place: &Path) -> PathBuf {
    let mut bytes = std::fs::read(fixture("misbehave")).expect("a fixture");
    // A section of no meaning: its id, its size, a name of one byte, and zeros.
    bytes.push(0);
    let mut size = 9_u32 << 20;
    let length = size as usize;
    while size > 0x7f {
        bytes.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    bytes.push(size as u8);
    bytes.extend([1, b'x']);
    bytes.resize(bytes.len() + length - 2, 0);
    let path = place.join("misbehave.wasm");
    std::fs::write(&path, bytes).expect("written");
    path
}

/// The process's address space in MiB: a pool has its places reserved, in memory or not.
fn reserved_mib(pid: u32) -> u64 {
    process::status(pid, "VmSize") / 1_024
}

/// Native guests, plain ones and a language runtime, shared ones and the tenant's own; and everything that ends a guest does so there as well.
#[tokio::test]
async fn a_strict_tenants_calls_are_calls_like_any_other() {
    let shared = Setup { plugins: vec!["text-toolbox", "units", "data-helper"], ..Setup::default() };
    let limits = format!("{NO_RATES}[limits]\ncall_cpu_time_ms = 2000\ncall_memory_bytes_max = 67108864\n");
    let house = House::of(shared, &[("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))], (STRICT, "", &limits)).await;
    let (ours, theirs) = (house.tools(ADA, "/mcp").await, house.tools(OTHER_ADA, "/mcp").await);
    assert_eq!(ours, theirs);
    let calls = [
        ("echo", json!({ "message": "hello" })),
        ("units_convert", json!({ "measurement": { "value": 1.0, "unit": "foot" }, "to": "inch" })),
        ("date_difference", json!({ "from": "2026-02-28", "to": "2026-03-01" })),
        ("alloc", json!({ "mib": 32 })),
        ("remember", json!({ "text": "mine" })),
        ("remember", json!({ "text": "mine" })),
        ("spin", json!({})),
        ("alloc", json!({})),
        ("recurse", json!({})),
        ("panic", json!({})),
    ];
    for (tool, arguments) in calls {
        assert!(ours.contains(&tool.to_owned()), "{tool}: {ours:?}");
        let asked = |who| house.asks(who, Modern::call(tool, arguments.clone()));
        let (strict, shared) = tokio::join!(asked(ADA), asked(OTHER_ADA));
        let said = |answer: &Answer| (answer.status, answer.message()["result"]["content"].clone(), answer.message()["error"].clone());
        assert_eq!(said(&strict), said(&shared), "{tool}");
    }
    let spun = house.asks(ADA, Modern::call("spin", json!({}))).await;
    assert_eq!((spun.code(), spun.kind()), (-31001, "cpu_time"), "{spun:?}");
    // Two that spun for two seconds each, and a guest of 32 MiB among the others: metered like anybody's.
    let metered = async || {
        let row = house.gateway.used("acme").await;
        (row["in_flight"] == 0 && row["cpu_ms"].as_u64() >= Some(3_500)).then_some(row)
    };
    let row = eventually("it is metered", SOON, metered).await;
    assert!(row["calls"] == 11 && row["memory_mib_s"].as_u64() > Some(0), "{row}");
}

/// Places are each one's own, in both directions: who has filled all of theirs takes none of the other's.
#[tokio::test]
async fn nobodys_full_pool_refuses_anybody_else() {
    let _turn = turn().await;
    let place = tempfile::tempdir().expect("a directory");
    let own = heavy(place.path());
    let limits = format!("{NO_RATES}[limits]\ncall_wall_time_ms = 60000\ncall_memory_bytes_max = 16777216\n");
    let house = House::with(&[("acme", own.clone()), ("umbrella", own)], (STRICT, "", &limits)).await;
    let full = |who: Who| {
        let house = &house;
        eventually("its pool is full", SOON, move || async move {
            let answer = house.asks(who, sleep(0)).await;
            (answer.status != 200).then(|| (answer.status, answer.code(), answer.kind().to_owned()))
        })
    };
    // As many as a strict tenant, and as everybody together, has places for language runtimes.
    for (filling, places, other) in [(ADA, 16, OTHER_ADA), (OTHER_ADA, 32, ADA)] {
        let sleeping = join_all((0..places).map(|_| house.asks(filling, sleep(50_000))));
        let others = async {
            assert_eq!(full(filling).await, (503, -31004, "overloaded".to_owned()), "{filling:?}");
            for _ in 0..8 {
                let answer = house.asks(other, sleep(0)).await;
                assert_eq!(answer.status, 200, "{other:?}: {answer:?}");
            }
        };
        tokio::select! {
            _ = sleeping => panic!("they sleep"),
            () = others => {}
        }
        // Dropped, they give their places back.
        eventually("places", SOON, async || (house.asks(filling, sleep(0)).await.status == 200).then_some(())).await;
    }
}

/// Shared, strict, shared again, again and again while calls run: none fails, those in flight end where they began, and pools that nobody is in
/// any more are given back.
#[tokio::test]
async fn a_tenant_moves_under_its_calls() {
    let house = House::with(&[("acme", fixture("misbehave"))], ("", "", NO_RATES)).await;
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    let before_mib = reserved_mib(house.gateway.pid());
    let calling = async |request: fn() -> Modern| {
        while !done.load(Ordering::SeqCst) {
            let answer = house.asks(ADA, request()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.result()["isError"], json!(null), "{answer:?}");
            calls.fetch_add(1, Ordering::SeqCst);
        }
    };
    let moving = async {
        // Begun before it moves, over after it moved twice.
        let long = house.asks(ADA, sleep(4_000));
        let moves = async {
            for round in 0..3 {
                for (settings, is_strict) in [(STRICT, true), ("", false)] {
                    house.gateway.set(&House::settings(&house.place, (settings, "", NO_RATES)));
                    let (code, said) = house.gateway.reload().await;
                    assert_eq!(code, 0, "{said}");
                    let counted = calls.load(Ordering::SeqCst);
                    eventually("calls go on", SOON, async || (calls.load(Ordering::SeqCst) >= counted + 20).then_some(())).await;
                    let mib = reserved_mib(house.gateway.pid());
                    assert!(!is_strict || mib > before_mib + (1 << 20), "round {round}: {before_mib} MiB, then {mib}");
                }
            }
        };
        let (long, ()) = tokio::join!(long, moves);
        assert_eq!(long.tool_text(), "slept 4000 ms", "{long:?}");
        let back = async || (reserved_mib(house.gateway.pid()) < before_mib + (1 << 20)).then_some(());
        eventually("its pools are given back", SOON, back).await;
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(moving, calling(echo), calling(|| Modern::call("now", json!({}))), calling(|| sleep(5)));
}

/// What comes, changes and goes in the shared directory does so for a strict tenant as well, and its own limits of what it has hold.
#[tokio::test]
async fn shared_plugins_follow_their_directory() {
    let acme = format!("{STRICT}\nshared_plugins = [\"text-*\", \"versioned\"]");
    let house = House::with(&[], (&acme, "", "")).await;
    let version = async || house.asks(ADA, Modern::call("version", json!({}))).await;
    assert_eq!(house.asks(ADA, echo()).await.tool_text(), "hello");
    assert_eq!(version().await.code(), -32602);
    let bytes = std::fs::read(fixture("versioned")).expect("a fixture");
    house.gateway.drop_in("versioned", &bytes);
    let is = |wanted: &'static str| {
        let version = &version;
        eventually(wanted, SOON, move || async move {
            let answer = version().await;
            (answer.status == 200 && answer.message()["result"]["content"][0]["text"] == wanted).then_some(())
        })
    };
    is("VERSION-0001").await;
    let at = bytes.windows(12).position(|window| window == b"VERSION-0001").expect("its version");
    let mut newer = bytes.clone();
    newer[at..at + 12].copy_from_slice(b"VERSION-0002");
    house.gateway.drop_in("versioned", &newer);
    is("VERSION-0002").await;
    house.gateway.take_out("versioned");
    eventually("it is gone", SOON, async || (version().await.message()["error"]["code"] == -32602).then_some(())).await;
    // Not among what it has, though everybody else has it.
    house.gateway.drop_in("units", &std::fs::read(plugin("units")).expect("a plugin"));
    let theirs = async || house.tools(OTHER_ADA, "/mcp").await.contains(&"units_convert".to_owned()).then_some(());
    eventually("the others' tool", SOON, theirs).await;
    assert!(!house.tools(ADA, "/mcp").await.contains(&"units_convert".to_owned()));
}

/// Policies of its callers decide in the same way, those of the gateway and its own.
#[tokio::test]
async fn policies_decide_for_strict_tenants() {
    let verdict = |hidden: &str| format!("file = {:?}\nsettings = {{ hide = [\"{hidden}\"] }}\n", fixture("verdict"));
    let more = format!("[gateway]\npolicies = [\"all\"]\n[policies.all]\n{}[policies.ours]\n{}", verdict("hash"), verdict("echo"));
    let house = House::with(&[], (&format!("{STRICT}\npolicies = [\"ours\"]"), "", &more)).await;
    let (ours, theirs) = (house.tools(ADA, "/mcp").await, house.tools(OTHER_ADA, "/mcp").await);
    let has = |tools: &[String]| ["echo", "hash", "slow_count"].map(|name| tools.iter().any(|tool| tool == name));
    assert_eq!((has(&ours), has(&theirs)), ([false, false, true], [true, false, true]));
    assert_eq!(house.asks(ADA, echo()).await.code(), -32602);
    assert_eq!(house.asks(OTHER_ADA, echo()).await.tool_text(), "hello");
}

/// Memory that guests of one tenant wrote is zeros for those of the next, whatever either shares.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_in_memory() {
    let _turn = turn().await;
    let own = [("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))];
    for acme in ["", STRICT] {
        let house = House::with(&own, (acme, "", &format!("{NO_RATES}[limits]\ncalls_computing_per_core_max = 1000\n"))).await;
        for round in 0..20 {
            // More at once than keep a memory for themselves, so that places change hands.
            let writes = (0..8).map(|at| (at, Modern::call("alloc", json!({ "mib": 8 }))));
            let looks = (0..8).map(|at| (at + 1, Modern::call("leftovers", json!({ "mib": 8 }))));
            let both = writes.chain(looks).map(|(at, call)| house.asks(if at % 2 == 0 { ADA } else { OTHER_ADA }, call));
            let texts: Vec<_> = join_all(both).await.iter().map(|answer| answer.tool_text().to_owned()).collect();
            assert!(
                texts[..8].iter().all(|text| text == "took 8 MiB") && texts[8..].iter().all(|text| text == "0"),
                "{acme} {round}: {texts:?}"
            );
        }
    }
}

#[tokio::test]
async fn isolation_in_settings() {
    let admin = Administered::start(ONE).await;
    let gateway = &admin.gateway;
    let isolation = async || admin.json("/v1/tenants").await["tenants"][0]["isolation"].clone();
    assert_eq!((gateway.modern(echo()).await.tool_text(), isolation().await), ("hello", json!("strict")));
    let many: String = (0..17).map(|at| format!("[tenants.t{at}]\nisolation = \"strict\"\n")).collect();
    let table = [
        ("[tenants.default]\nisolation = \"hard\"\n", "line 2: tenants.default.isolation: must be \"shared\" or \"strict\""),
        ("[tenants.default]\nisolation = \"strict\"\ncalls_in_flight_max = 257\n", "tenants.default.calls_in_flight_max"),
        (&many, "isolation: is \"strict\" for more than 16 tenants"),
    ];
    for (settings, reason) in table {
        admin.set(settings);
        let (code, said) = gateway.reload().await;
        assert!(code == 78 && said.contains(reason), "{settings}: {code} {said}");
    }
    admin.set("[tenants.default]\nisolation = \"shared\"\ncalls_in_flight_max = 257\n");
    let (code, said) = gateway.reload().await;
    assert_eq!((code, isolation().await), (0, json!("shared")), "{said}");
    // As many as there may be.
    let (most, _) = many.split_once("[tenants.t16]").expect("the last");
    admin.set(&format!("[tenants.default]\n{most}"));
    let (code, said) = gateway.reload().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(gateway.modern(echo()).await.tool_text(), "hello");
}
