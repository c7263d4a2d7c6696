//! Case L12 of the catalogue: components that are as much work to compile as is let through, while others call.
//!
//! How late those others are is measured, not tested: `make neighbours`, in the style of compile bombs.

use super::tenants::NO_RATES;
use crate::harness::{Gateway, Setup, component_with_f, eventually, process, turn};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What a compile worker may have.
const WORKER_BYTES_MAX: u64 = 4 << 30;
/// More than any start of one takes.
const MUCH_KIB: u64 = 256 << 10;
/// How long it may take here.
const TIMEOUT_S: u64 = 15;

/// A number in the encoding of binary WebAssembly.
fn number(mut number: usize, bytes: &mut Vec<u8>) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn numbered(count: usize, rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    number(count, &mut bytes);
    bytes.extend(rest);
    bytes
}

/// A module of functions that take and give nothing, the first of which is exported; each has so many locals, and this body.
fn module(functions: usize, locals: usize, body: &[u8]) -> Vec<u8> {
    let mut one = numbered(1, &[]);
    number(locals, &mut one);
    // Numbers of 32 bits, what it does, and its end.
    one.push(0x7f);
    one.extend(body);
    one.push(0x0b);
    let one = numbered(one.len(), &one);
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    for (id, section) in [
        (1, vec![1, 0x60, 0, 0]),
        (3, numbered(functions, &vec![0; functions])),
        (7, vec![1, 1, b'f', 0, 0]),
        (10, numbered(functions, &one.repeat(functions))),
    ] {
        bytes.push(id);
        bytes.extend(numbered(section.len(), &section));
    }
    bytes
}

/// Loops in each other, in the innermost of which every local is counted up: at each loop each of them may be another one than before.
fn loops(levels: usize, locals: usize) -> Vec<u8> {
    let mut body = [0x03, 0x40].repeat(levels);
    for local in 0..locals {
        body.push(0x20);
        number(local, &mut body);
        body.extend([0x41, 1, 0x6a, 0x21]);
        number(local, &mut body);
    }
    for _ in 0..levels {
        // Again, if the first of them is not zero.
        body.extend([0x20, 0, 0x0d, 0, 0x0b]);
    }
    body
}

/// What the pre-check lets through, and is much.
fn bombs() -> [(&'static str, Vec<u8>); 4] {
    let straight = [0x20, 0, 0x41, 3, 0x6a, 0x21, 0].repeat(149_000);
    [
        // As many functions as there may be.
        ("many", module(50_000, 1, &[])),
        // Functions as long as they may be.
        ("long", module(4, 1, &straight)),
        // As many locals as there may be, in loops: what the compiler makes of them is many times as much as the text.
        ("loops", module(1, 50_000, &loops(30, 50_000))),
        ("deep", module(1, 50_000, &loops(1_000, 50_000))),
    ]
}

/// With a section of no meaning at its end, so that no other run has left it compiled.
fn unlike_any(mut component: Vec<u8>) -> Vec<u8> {
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos().to_le_bytes();
    component.extend([0, 2 + now.len() as u8, 1, b'x']);
    component.extend(now);
    component
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l12_who_compiles_much_holds_nobody_up() {
    let _turn = turn().await;
    let settings = format!("[limits]\ncompile_timeout_s = {TIMEOUT_S}\n{NO_RATES}");
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
    let echo = async || assert_eq!(gateway.call("echo", json!({ "message": "hello" })).await.tool_text(), "hello");
    for _ in 0..200 {
        echo().await;
    }
    let before = process::resident_kib(gateway.pid());
    let bombs = bombs().map(|(name, module)| (name, unlike_any(component_with_f(module))));
    for (name, bytes) in &bombs {
        println!("{name}: {} bytes", bytes.len());
        gateway.drop_in(name, bytes);
    }
    let (mut workers, mut most, mut grown, mut calls) = (BTreeSet::new(), 0, 0, 0_u32);
    let over = || {
        let log = gateway.log();
        bombs.iter().all(|(name, _)| ["plugin loaded", "is not served"].iter().any(|end| log.contains(&format!("{end} plugin={name}"))))
    };
    let began = Instant::now();
    while !over() {
        echo().await;
        calls += 1;
        let now = process::children(gateway.pid());
        assert!(now.len() <= 2, "{now:?}");
        // One that is over has no memory any more.
        for (pid, peak_kib) in now.iter().filter_map(|pid| Some((*pid, process::peak_kib(*pid)?))) {
            most = most.max(peak_kib);
            // By then it has taken its limits.
            if let Some(limit) = process::address_space_max(pid).filter(|_| peak_kib > MUCH_KIB) {
                assert_eq!(limit, WORKER_BYTES_MAX);
            }
        }
        workers.extend(now);
        grown = grown.max(process::resident_kib(gateway.pid()).saturating_sub(before));
        assert!(began.elapsed() < Duration::from_secs(240), "{}", gateway.log());
    }
    println!(
        "{calls} calls in {:?}; {} workers, {} MiB the largest; the gateway grew by {} MiB",
        began.elapsed(),
        workers.len(),
        most >> 10,
        grown >> 10
    );
    // One of them gets to the end of what a worker may have; how far others get is a matter of the machine.
    assert!(gateway.log().contains("is not served plugin=deep error="), "{}", gateway.log());
    assert!(workers.len() >= bombs.len() && calls >= 10, "{} workers, {calls} calls", workers.len());
    assert!((MUCH_KIB..=WORKER_BYTES_MAX >> 10).contains(&most), "{} MiB: is it much, and within the limit?", most >> 10);
    assert!(grown <= 64 << 10, "{} MiB", grown >> 10);
    eventually("no worker is left", Duration::from_secs(10), async || process::children(gateway.pid()).is_empty().then_some(())).await;
    echo().await;
}
