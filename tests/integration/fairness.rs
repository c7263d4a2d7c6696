//! What there is too little of is shared between tenants, whatever one of them does; and who is refused hears it at once.
//!
//! How late a neighbour is by that is measured, not tested: `make neighbours`, `make overload`.

use super::tenants::{ADA, House, NO_RATES, OTHER_ADA, Who};
use crate::harness::{Answer, Gateway, Modern, Setup, binary, eventually, fixture, process, turn};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

async fn house(limits: &str) -> House {
    let own = [("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))];
    House::with(&own, ("", "", &format!("{NO_RATES}[limits]\n{limits}"))).await
}

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

/// A guest that takes so much and keeps it for a while.
fn takes(mib: u64) -> Modern {
    Modern::call("alloc", json!({ "mib": mib, "ms": 1_500 }))
}

/// The process's memory now, in bytes.
fn resident(pid: u32) -> u64 {
    process::resident_kib(pid) << 10
}

/// Refused at once, to come again within reason: its status.
fn told_to_wait(answer: &Answer, code: i64) -> bool {
    let wait_s: Option<u64> = answer.header("retry-after").and_then(|wait| wait.parse().ok());
    assert!(answer.status == 200 || (answer.code() == code && wait_s.is_some_and(|wait_s| (1..=30).contains(&wait_s))), "{answer:?}");
    answer.status != 200
}

/// R02, TM18: a tenant with many guests that compute has no more of the processors than one with few.
#[tokio::test]
async fn guests_take_turns_by_tenant() {
    let _turn = turn().await;
    let house = house("call_wall_time_ms = 4000\ncall_cpu_time_ms = 60000\ncalls_computing_per_core_max = 32\n").await;
    let spin = |who: Who, count: usize| join_all((0..count).map(|_| house.asks(who, Modern::call("spin", json!({})))));
    let (many, few) = tokio::join!(spin(ADA, 24), spin(OTHER_ADA, 4));
    for answer in many.iter().chain(&few) {
        assert_eq!(answer.code(), -31001, "{answer:?}");
    }
    let all_charged = async || {
        let rows = [house.gateway.used("acme").await, house.gateway.used("umbrella").await];
        rows.iter().all(|row| row["in_flight"] == 0).then(|| rows.map(|row| row["cpu_ms"].as_u64().expect("a number")))
    };
    let [acme_ms, umbrella_ms] = eventually("all is charged", SOON, all_charged).await;
    // Four of 28 guests: by guests it would be a seventh.
    assert!(umbrella_ms * 100 >= (acme_ms + umbrella_ms) * 35, "acme {acme_ms} ms, umbrella {umbrella_ms} ms");
}

/// A tenant's short calls do not stand behind its long ones: each of those has had its turn before.
#[tokio::test]
async fn short_calls_pass_long_ones_of_their_tenant() {
    let _turn = turn().await;
    let house = house("call_wall_time_ms = 20000\ncall_cpu_time_ms = 60000\ncalls_computing_per_core_max = 1000\n").await;
    let spinning = (0..200).map(|_| house.asks(ADA, Modern::call("spin", json!({}))));
    let [mut short, mut long] = [const { Vec::new() }; 2];
    let others = async {
        eventually("they compute", SOON, async || (house.gateway.used("acme").await["in_flight"] == 200).then_some(())).await;
        for _ in 0..9 {
            for (call, took) in [(echo(), &mut short), (Modern::call("compute", json!({ "rounds": 5_000_000 })), &mut long)] {
                let began = Instant::now();
                assert_eq!(house.asks(ADA, call).await.status, 200);
                took.push(began.elapsed());
            }
        }
    };
    tokio::select! {
        _ = join_all(spinning) => panic!("they spin"),
        () = others => {}
    }
    short.sort();
    long.sort();
    println!("among 200 that spin, a short call takes {:?} and one of some milliseconds {:?}", short[4], long[4]);
    assert!(short[4] * 3 < long[4], "{short:?} {long:?}");
}

/// O01, O02: where more computes than can come to an end, newcomers are refused at once, and come in when it is over; nobody else is concerned.
#[tokio::test]
async fn who_computes_too_much_gets_no_more_calls_in() {
    let _turn = turn().await;
    let house = house("call_wall_time_ms = 20000\ncall_cpu_time_ms = 60000\ncalls_computing_per_core_max = 2\n").await;
    let spinning = (0..12).map(|_| house.asks(ADA, Modern::call("spin", json!({}))));
    let others = async {
        let refused = eventually("a refusal", SOON, async || {
            let answer = house.asks(ADA, echo()).await;
            told_to_wait(&answer, -31004).then_some(answer)
        });
        let refused = refused.await;
        assert_eq!((refused.status, refused.kind()), (503, "overloaded"), "{refused:?}");
        for _ in 0..20 {
            assert_eq!(house.asks(OTHER_ADA, echo()).await.tool_text(), "hello");
        }
        let computed = house.asks(OTHER_ADA, Modern::call("compute", json!({ "rounds": 10_000_000 }))).await;
        assert_eq!(computed.status, 200, "{computed:?}");
    };
    // Dropped with the others' end: the guests end with their connections, and then calls come in again.
    tokio::select! {
        _ = join_all(spinning) => panic!("they spin"),
        () = others => {}
    }
    eventually("it is over", SOON, async || (house.asks(ADA, echo()).await.status == 200).then_some(())).await;
}

/// R04: guests of a tenant have so much memory together, and what one gives back another may have.
#[tokio::test]
async fn guests_of_a_tenant_have_so_much_memory() {
    let house = house("memory_per_tenant_bytes_max = 268435456\n").await;
    let all = join_all((0..12).map(|_| house.asks(ADA, takes(50)))).await;
    let refused = all.iter().filter(|answer| told_to_wait(answer, -31005)).count();
    let good = all.iter().filter(|answer| answer.status == 200 && answer.tool_text() == "took 50 MiB").count();
    assert!((1..=5).contains(&good) && good + refused == 12, "{good} good, {refused} refused");
    let (mine, theirs) = tokio::join!(house.asks(ADA, takes(50)), house.asks(OTHER_ADA, takes(50)));
    assert_eq!((mine.tool_text(), theirs.tool_text()), ("took 50 MiB", "took 50 MiB"));
}

/// X11: a process that may have 256 MiB, and calls that want a gibibyte.
#[tokio::test]
async fn a_process_keeps_to_its_memory() {
    const MAX: u64 = 256 << 20;
    let _turn = turn().await;
    let settings = format!("[limits]\nprocess_memory_bytes_max = {MAX}\ncalls_in_flight_max = 64\n");
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await;
    let (mut most, mut good, mut refused) = (0, 0, 0);
    for _ in 0..3 {
        let mut wanted = std::pin::pin!(join_all((0..20).map(|_| gateway.modern(takes(50)))));
        let all = loop {
            tokio::select! {
                all = &mut wanted => break all,
                () = tokio::time::sleep(Duration::from_millis(5)) => most = most.max(resident(gateway.pid())),
            }
        };
        refused += all.iter().filter(|answer| told_to_wait(answer, -31004)).count();
        good += all.iter().filter(|answer| answer.status == 200).count();
    }
    assert!(most <= MAX && refused > 0 && good > 0, "{} MiB at the most, {good} good, {refused} refused", most >> 20);
    eventually("it recovers", SOON, async || (gateway.modern(takes(50)).await.status == 200).then_some(())).await;
}

/// O07: a call whose client has gone while it waited does not begin.
#[tokio::test]
async fn nobody_runs_for_a_client_that_left() {
    let limits = "call_wall_time_ms = 30000\n";
    let own = [("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))];
    let house = House::with(&own, ("calls_in_flight_max = 1", "", &format!("{NO_RATES}[limits]\n{limits}"))).await;
    let in_flight = async |count: u64| (house.gateway.used("acme").await["in_flight"] == count).then_some(());
    let waits = house.asks(ADA, Modern::call("sleep", json!({ "ms": 2_500 })));
    let leave = async {
        eventually("the first runs", SOON, || in_flight(1)).await;
        let wait = (0..5).map(|_| {
            let one = house.asks(ADA, Modern::call("compute", json!({ "rounds": 1 })));
            tokio::time::timeout(Duration::from_millis(500), one)
        });
        assert!(join_all(wait).await.iter().all(Result::is_err), "they wait for the first");
    };
    let (first, ()) = tokio::join!(waits, leave);
    assert_eq!(first.status, 200);
    assert_eq!(house.asks(ADA, echo()).await.tool_text(), "hello");
    // Each call that began has its line.
    let journal = Command::new(binary()).args(["journal", "show", "--json", "--data"]).arg(house.gateway.data()).output().expect("it runs");
    let lines = String::from_utf8(journal.stdout).expect("text");
    let ran = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let ran: Vec<_> = ran.filter(|line| line["tool"] == "compute" && line["cpu_us"].as_u64() > Some(0)).collect();
    assert!(ran.is_empty(), "{ran:?}");
}

/// N08, O03: while a neighbour does its worst, in every style at once, nobody else fails.
#[tokio::test]
async fn a_neighbour_at_its_worst_makes_nobody_fail() {
    let _turn = turn().await;
    let own = [("acme", fixture("misbehave")), ("umbrella", fixture("misbehave"))];
    let quota = "[tenants.acme.quota]\ncalls_per_second_max = 100\n[quotas.principal]\ncalls_per_second_max = 0\n";
    let house = House::with(&own, ("", "", &format!("{quota}[limits]\nconnections_per_address_max = 4000\n"))).await;
    let call = |tool: &str, arguments: Value| Modern::call(tool, arguments);
    let styles = [
        call("spin", json!({})),
        call("alloc", json!({ "mib": 60 })),
        call("progress_flood", json!({ "n": 1_000_000 })),
        call("big_result", json!({ "bytes": 1_000_000 })),
        call("trap", json!({})),
        call("log_flood", json!({ "lines": 1_000, "bytes": 60 })),
        call("echo", json!({ "message": "x".repeat(1_000_000) })),
        echo(),
    ];
    let worst = styles.iter().flat_map(|style| [style; 4]).map(|style| async {
        loop {
            let answer = house.asks(ADA, style.clone()).await;
            assert!(answer.status != 500 && answer.status != 0, "{answer:?}");
        }
    });
    let victim = async {
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed() < Duration::from_secs(8) {
            let answer = house.asks(OTHER_ADA, echo()).await;
            assert_eq!((answer.status, answer.tool_text()), (200, "hello"), "{answer:?}");
            count += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        count
    };
    let count = tokio::select! {
        _ = join_all(worst) => 0,
        count = victim => count,
    };
    assert!(count > 0, "the neighbour goes on");
}
