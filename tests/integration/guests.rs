//! Guests that misbehave: each fault has its own code, and nothing of it outlives the call.
//!
//! Cases R01 to R30 of the catalogue, as far as they apply.

use super::command::Place;
use crate::harness::{Answer, Gateway, Modern, Setup, call_params, eventually, fixture, process, rpc};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a loaded machine may take beyond a limit that is stated in milliseconds.
const MARGIN: Duration = Duration::from_secs(3);

async fn misbehaving(limits: &str) -> Gateway {
    let settings = format!("[limits]\n{limits}\n");
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await
}

/// Calls a tool that must end in an error inside of HTTP 200, and sees that the gateway is well after it.
async fn check(gateway: &Gateway, tool: &str, arguments: Value, code: i64, kind: &str) -> Answer {
    let answer = gateway.call(tool, arguments).await;
    assert_eq!((answer.status, answer.code(), answer.kind()), (200, code, kind), "{tool}: {answer:?}");
    well(gateway).await;
    answer
}

async fn well(gateway: &Gateway) {
    assert_eq!(gateway.call("echo", json!({ "message": "well" })).await.tool_text(), "well");
}

fn resident_mib(gateway: &Gateway) -> u64 {
    process::resident_kib(gateway.pid()) / 1024
}

#[tokio::test]
async fn r01_an_endless_loop_ends_at_its_processor_time() {
    let gateway = misbehaving("call_cpu_time_ms = 200\ncall_wall_time_ms = 20000").await;
    let answer = check(&gateway, "spin", json!({}), -31001, "cpu_time").await;
    assert_eq!(answer.error()["message"], "The plugin was stopped after 200 ms of processor time");
}

#[tokio::test]
async fn r01_an_endless_loop_ends_at_its_wall_time() {
    let gateway = misbehaving("call_cpu_time_ms = 60000\ncall_wall_time_ms = 400").await;
    let began = Instant::now();
    let answer = check(&gateway, "spin", json!({}), -31001, "wall_time").await;
    assert_eq!(answer.error()["message"], "The plugin was stopped after 400 ms");
    assert!(began.elapsed() < Duration::from_millis(400) + MARGIN, "{:?}", began.elapsed());
}

/// The epoch does not wake a guest that waits in the host.
#[tokio::test]
async fn r16_a_sleep_ends_at_the_wall_time_and_holds_no_worker() {
    let gateway = misbehaving("call_wall_time_ms = 400").await;
    check(&gateway, "sleep", json!({ "ms": 60_000 }), -31001, "wall_time").await;
    // 2^63 ns.
    check(&gateway, "sleep", json!({ "ms": 9_223_372_036_854_u64 }), -31001, "wall_time").await;
    let began = Instant::now();
    let sleepers = (0..100).map(|_| Answer::of(Modern::call("sleep", json!({ "ms": 60_000 })).build(&gateway)));
    let (sleepers, ()) = tokio::join!(futures_util::future::join_all(sleepers), well(&gateway));
    assert!(sleepers.iter().all(|answer| answer.kind() == "wall_time"), "{sleepers:?}");
    assert!(began.elapsed() < Duration::from_millis(400) + MARGIN, "{:?}", began.elapsed());
}

#[tokio::test]
async fn r03_memory_ends_at_its_limit() {
    let gateway = misbehaving("call_memory_bytes_max = 16777216").await;
    assert_eq!(gateway.call("alloc", json!({ "mib": 8 })).await.tool_text(), "took 8 MiB");
    let before = resident_mib(&gateway);
    let answer = check(&gateway, "alloc", json!({}), -31003, "resource_limit").await;
    assert_eq!(answer.error()["message"], "The plugin ran out of memory");
    let back = || async { (resident_mib(&gateway) <= before + 32).then_some(()) };
    eventually("the memory is given back", Duration::from_secs(10), back).await;
}

#[tokio::test]
async fn r06_r07_r11_falls_have_one_code_and_say_nothing_of_the_guest() {
    let gateway = misbehaving("").await;
    let answer = check(&gateway, "recurse", json!({}), -31002, "stack_exhausted").await;
    assert_eq!(answer.error()["message"], "The plugin ran out of stack");
    // R32: what its stack leaves is enough for every host function.
    check(&gateway, "recurse_calling", json!({}), -31002, "stack_exhausted").await;
    let falls = [
        ("trap", json!({})),
        ("panic", json!({})),
        ("exit", json!({ "code": 0 })),
        ("exit", json!({ "code": 7 })),
        ("bad_utf8", json!({})),
        ("bad_pointer", json!({})),
    ];
    for (tool, arguments) in falls {
        let answer = check(&gateway, tool, arguments, -31002, "tool_trap").await;
        assert_eq!(*answer.error(), json!({ "code": -31002, "message": "The plugin crashed", "data": { "kind": "tool_trap" } }), "{tool}");
    }
    let told = || async { gateway.log().contains("told to panic").then_some(()) };
    eventually("the panic's message is in the log", Duration::from_secs(5), told).await;
}

#[tokio::test]
async fn r09_a_result_may_have_one_mebibyte_and_not_one_byte_more() {
    let gateway = misbehaving("").await;
    let answer = gateway.call("big_result", json!({ "bytes": 1 << 20 })).await;
    assert_eq!(answer.tool_text().len(), 1 << 20);
    check(&gateway, "big_result", json!({ "bytes": (1 << 20) + 1 }), -31008, "result_too_big").await;
    // More than is ever copied out of a guest.
    check(&gateway, "big_result", json!({ "bytes": 20 << 20 }), -31003, "resource_limit").await;
    // Longer than its memory: it never becomes a result.
    check(&gateway, "big_result", json!({ "bytes": 1_u64 << 40 }), -31002, "tool_trap").await;
}

#[tokio::test]
async fn r12_results_that_are_none_are_not_passed_on() {
    let gateway = misbehaving("").await;
    for tool in ["bad_structured", "bad_json", "bad_meta"] {
        let answer = check(&gateway, tool, json!({}), -31009, "result_invalid").await;
        assert!(!answer.text.contains("not a number") && !answer.text.contains("not JSON"), "{answer:?}");
    }
}

/// The guest's own words go to the log, up to a limit, and never to the gateway's standard output.
#[test]
fn r13_a_flood_of_logs_is_cut_and_the_call_succeeds() {
    let place = Place::with(&[("misbehave", fixture("misbehave"))]);
    place.settings("[limits]\ncall_log_lines_max = 20\ncall_stdio_bytes_max = 1024\n");
    let gateway = place.serve(&[]);
    let screen = gateway.out();
    let ran = place.run(&["call", "log_flood", "--arg", "lines=20000", "--arg", "bytes=100", "--url", &gateway.url]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "wrote 20000 lines, three times\n"), "{ran:?}");
    let out_after = gateway.out();
    let log = {
        let began = Instant::now();
        loop {
            let log = gateway.log();
            if log.contains("wrote more than its log limits") {
                break log;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let line = "x".repeat(100);
    let by = |logger: &str| log.lines().filter(|text| text.contains(&line) && text.contains(logger)).count();
    assert_eq!(by("logger=\"flood\""), 20, "{log}");
    // 10 whole lines of 101 bytes and a rest, of standard output and of standard error.
    assert_eq!(by("logger=\"\""), 20, "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("wrote more than its log limits")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("log_lines=19980"), "{told:?}");
    assert_eq!(out_after, screen, "the gateway's own standard output");
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn a_log_line_cannot_pass_for_another() {
    let gateway = misbehaving("").await;
    assert_eq!(gateway.call("log_forge", json!({})).await.tool_text(), "wrote");
    let written = || async { gateway.log().contains("red on stderr").then(|| gateway.log()) };
    let log = eventually("the lines are in the log", Duration::from_secs(5), written).await;
    assert_eq!(log.lines().filter(|line| line.starts_with("gatehouse: ready")).count(), 1, "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains('\u{2028}'), "{log}");
}

#[tokio::test]
async fn progress_ends_at_its_limit_and_only_grows() {
    let gateway = misbehaving("").await;
    let answer = gateway.modern(Modern::call_with_progress("progress_flood", json!({ "n": 10_001 }))).await;
    assert_eq!(answer.tool_text(), "reported 10001 times");
    let amounts: Vec<f64> = answer.notifications().iter().map(|told| told["params"]["progress"].as_f64().expect("a number")).collect();
    assert_eq!(amounts.len(), 10_000);
    assert!(amounts.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(answer.notifications().iter().all(|told| told["params"]["progressToken"] == "p"));
    let silent = gateway.call("progress_flood", json!({ "n": 10_001 })).await;
    assert!(!silent.is_stream() && silent.messages.len() == 1, "nobody asked for progress");
}

#[tokio::test]
async fn each_failure_of_the_contract_has_its_answer() {
    let gateway = misbehaving("").await;
    check(&gateway, "fail_unknown", json!({}), -32603, "").await;
    let internal = check(&gateway, "fail_internal", json!({}), -32603, "").await;
    assert_eq!(internal.error()["message"], "The plugin failed for a reason of its own");
    let cannot = gateway.call("ask", json!({})).await;
    assert_eq!((cannot.status, cannot.code()), (400, -32021), "its client cannot be asked");

    let refused = gateway.call("fail_arguments", json!({})).await;
    assert_eq!((refused.result()["isError"].as_bool(), refused.tool_text()), (Some(true), "told to refuse the arguments"));
    let session = gateway.session("2025-06-18").await;
    let older = gateway.legacy(Some(&session), rpc(1, "tools/call", call_params("fail_arguments", json!({})))).await;
    assert_eq!((older.status, older.code(), older.error()["message"].as_str()), (200, -32602, Some("told to refuse the arguments")));

    let feature = gateway.call("fail_feature", json!({})).await;
    assert_eq!((feature.status, feature.code()), (400, -32021), "{feature:?}");
    assert_eq!(feature.error()["data"]["requiredCapabilities"], json!({ "elicitation": { "form": {} } }), "{feature:?}");
    let unavailable = gateway.call("fail_unavailable", json!({})).await;
    assert_eq!((unavailable.status, unavailable.code(), unavailable.kind()), (503, -31007, "plugin_unavailable"));
    assert!(unavailable.retry_after_s() <= 5);

    let secret = "a secret of the guest";
    for answer in [&internal, &unavailable] {
        assert!(!answer.text.contains(secret) && !answer.text.contains("told to"), "{answer:?}");
    }
    let logged = || async { gateway.log().contains(secret).then_some(()) };
    eventually("the secret is in the log", Duration::from_secs(5), logged).await;
}

#[tokio::test]
async fn r20_the_world_of_a_guest_is_empty() {
    let gateway = misbehaving("").await;
    let env = gateway.call("env", json!({})).await;
    assert_eq!(env.result()["structuredContent"], json!({ "variables": {}, "arguments": [] }));
    for path in ["/etc/passwd", "/", ".", "/proc/self/environ", "../gatehouse.toml", "/dev/null"] {
        let answer = gateway.call("read_file", json!({ "path": path })).await;
        assert_eq!(answer.result()["isError"], true, "{path}: {answer:?}");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it can be");
    let address = listener.local_addr().expect("an address").to_string();
    for address in [address.as_str(), "localhost:80", "[::1]:80"] {
        let answer = gateway.call("connect", json!({ "address": address })).await;
        assert_eq!(answer.result()["isError"], true, "{address}: {answer:?}");
    }
    let accepted = listener.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(accepted, Err(std::io::ErrorKind::WouldBlock), "nobody came");
}

#[tokio::test]
async fn r19_randomness_has_a_limit() {
    let gateway = misbehaving("").await;
    let most = gateway.call("random", json!({ "bytes": 64 << 10 })).await;
    assert_eq!(most.tool_text().len(), 128 << 10);
    assert_ne!(most.tool_text(), gateway.call("random", json!({ "bytes": 64 << 10 })).await.tool_text());
    assert_eq!(gateway.call("random_at_once", json!({ "bytes": 64 << 10 })).await.tool_text(), "got 65536 bytes");
    for bytes in [(64 << 10) + 1, 1_u64 << 32] {
        check(&gateway, "random_at_once", json!({ "bytes": bytes }), -31002, "tool_trap").await;
    }
}

#[tokio::test]
async fn memory_of_an_earlier_call_is_never_seen() {
    let gateway = misbehaving("").await;
    let texts: Vec<String> = (0..64).map(|n| format!("canary {n}")).collect();
    let calls = texts.iter().map(|text| gateway.call("remember", json!({ "text": text })));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.tool_text(), "");
    }
}

/// What a caller sends beside the body is not the guest's.
#[tokio::test]
async fn r26_a_guest_sees_no_token_and_no_header() {
    let gateway = misbehaving("").await;
    let request = Modern::call("caller", json!({}))
        .header("authorization", "Bearer canary-token")
        .header("cookie", "canary-cookie")
        .header("x-custom", "canary-header")
        .body(|body| body["params"]["_meta"]["example.com/own"] = "kept".into());
    let answer = gateway.modern(request).await;
    assert!(!answer.text.contains("canary"), "{answer:?}");
    let told = &answer.result()["structuredContent"];
    assert_eq!(told["meta"], json!({ "example.com/own": "kept" }));
    assert_eq!((&told["scopes"], &told["claims"], &told["client"]), (&json!([]), &Value::Null, &json!([])));
}

#[tokio::test]
async fn r02_four_loops_do_not_delay_a_neighbour() {
    let gateway = misbehaving("call_cpu_time_ms = 1000").await;
    let loops = async {
        let spins = (0..4).map(|_| gateway.call("spin", json!({})));
        futures_util::future::join_all(spins).await
    };
    tokio::pin!(loops);
    let mut slowest = Duration::ZERO;
    let mut calls = 0;
    let spun = loop {
        let began = Instant::now();
        tokio::select! {
            spun = &mut loops => break spun,
            () = well(&gateway) => {}
        }
        slowest = slowest.max(began.elapsed());
        calls += 1;
    };
    assert!(spun.iter().all(|answer| answer.kind() == "cpu_time"), "{spun:?}");
    // Two cores give four loops of one second each at least two seconds.
    assert!(calls >= 100, "{calls} calls of the neighbour");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[tokio::test]
async fn r08_a_storm_of_faults_leaves_nothing_behind() {
    let gateway = misbehaving("breaker_calls_min = 0\ncall_memory_bytes_max = 16777216\ncall_wall_time_ms = 5000").await;
    let storm = |rounds: usize| {
        let gateway = &gateway;
        async move {
            for _ in 0..rounds {
                let calls = ["trap", "recurse", "panic", "alloc", "bad_utf8", "bad_structured"].map(|tool| gateway.call(tool, json!({})));
                let codes: Vec<_> = futures_util::future::join_all(calls).await.iter().map(Answer::code).collect();
                assert_eq!(codes, [-31002, -31002, -31002, -31003, -31002, -31009]);
            }
        }
    };
    let (pid, files) = (gateway.pid(), || process::descriptors(gateway.pid()));
    storm(5).await;
    let (memory_before, files_before) = (resident_mib(&gateway), files());
    storm(50).await;
    well(&gateway).await;
    assert_eq!(gateway.pid(), pid);
    // The client's own connections stay open: as many as calls at once.
    assert!(files() <= files_before + 8, "{} files, before {files_before}", files());
    let back = || async { (resident_mib(&gateway) <= memory_before + 32).then_some(()) };
    eventually("the memory is given back", Duration::from_secs(10), back).await;
}

/// Nobody waits for a call whose client went away, and its place is free at once.
#[tokio::test]
async fn r28_calls_whose_client_went_away_leave_their_place() {
    let gateway = misbehaving("calls_in_flight_max = 4\ncall_queue_timeout_ms = 2000").await;
    for round in 0..40_u64 {
        let mut calls = tokio::task::JoinSet::new();
        for tool in ["spin", "sleep", "spin", "sleep"] {
            let arguments = if tool == "sleep" { json!({ "ms": 60_000 }) } else { json!({}) };
            calls.spawn(Answer::of(Modern::call(tool, arguments).build(&gateway)));
        }
        tokio::time::sleep(Duration::from_millis(round % 8)).await;
        // Which ends them.
        drop(calls);
    }
    let calls = (0..4).map(|_| gateway.call("echo", json!({ "message": "free" })));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.tool_text(), "free");
    }
}

/// A client that asks for progress and then reads none of it stops its own call, which ends at its wall time and gives its place back.
#[tokio::test]
async fn a_client_that_does_not_read_holds_no_place() {
    let gateway = misbehaving("calls_in_flight_max = 1\ncall_queue_timeout_ms = 20000\ncall_wall_time_ms = 1000").await;
    let session = gateway.session("2025-11-25").await;
    let mut modern = Modern::call_with_progress("progress_flood", json!({ "n": 10_000 }));
    modern.body["params"]["_meta"]["progressToken"] = "p".repeat(200).into();
    let mut legacy = modern.clone().without("mcp-protocol-version").without("mcp-method").without("mcp-name");
    legacy = legacy.header("mcp-session-id", session.as_str());
    legacy.body["params"]["_meta"] = json!({ "progressToken": "p".repeat(200) });
    for (era, request) in [("modern", modern), ("legacy", legacy)] {
        // With little room of its own, so that the gateway cannot write the three megabytes.
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4 << 10).expect("it is small");
        let mut connection = socket.connect(gateway.address().parse().expect("an address")).await.expect("it listens");
        let body = request.body.to_string();
        let mut head = format!("POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n", gateway.address(), body.len());
        for (name, value) in &request.headers {
            head += &format!("{name}: {}\r\n", String::from_utf8_lossy(value));
        }
        connection.write_all(format!("{head}\r\n{body}").as_bytes()).await.expect("it is sent");
        let mut first = [0; 12];
        connection.read_exact(&mut first).await.expect("the head of an answer");
        assert_eq!(&first, b"HTTP/1.1 200", "{era}");
        let began = Instant::now();
        well(&gateway).await;
        assert!(began.elapsed() < Duration::from_secs(1) + MARGIN, "{era}: {:?}", began.elapsed());
        drop(connection);
    }
}

#[tokio::test]
async fn r27_a_call_too_many_waits_its_time_and_is_refused() {
    let gateway = misbehaving("calls_per_tenant_max = 2\ncall_queue_timeout_ms = 100\ncall_wall_time_ms = 2000").await;
    let sleep = || gateway.call("sleep", json!({ "ms": 60_000 }));
    let third = async {
        // Refused only while both others run, so asking until then is enough.
        let asked = || async { Some(gateway.call("echo", json!({ "message": "x" })).await).filter(|answer| answer.status != 200) };
        eventually("the third call is refused", Duration::from_secs(5), asked).await
    };
    let (first, second, third) = tokio::join!(sleep(), sleep(), third);
    assert_eq!((first.kind(), second.kind()), ("wall_time", "wall_time"));
    assert_eq!((third.status, third.code(), third.kind()), (429, -31005, "quota"));
    assert!(third.retry_after_s() <= 5);
    well(&gateway).await;
}

/// The same faults by the same codes for a client of the handshake era.
#[tokio::test]
async fn legacy_clients_get_the_same_codes() {
    let gateway = misbehaving("call_cpu_time_ms = 100").await;
    let session = gateway.session("2025-11-25").await;
    for (id, (tool, code)) in [("spin", -31001), ("trap", -31002), ("bad_json", -31009), ("fail_internal", -32603)].into_iter().enumerate()
    {
        let answer = gateway.legacy(Some(&session), rpc(id, "tools/call", call_params(tool, json!({})))).await;
        assert_eq!((answer.status, answer.code()), (200, code), "{tool}: {answer:?}");
    }
}

/// A language runtime lives in the other pool, whose memory goes back to the kernel.
#[tokio::test]
async fn a_language_runtime_that_gets_no_memory_fails_by_itself() {
    let settings = "[limits]\ncall_memory_bytes_max = 4194304\n".to_owned();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox", "text-template"], settings, ..Setup::default() }).await;
    let small = gateway.call("parse_csv", json!({ "csv": "a,b\n1,2\n" })).await;
    assert_eq!(small.result()["isError"], Value::Null, "{small:?}");
    let large = gateway.call("parse_csv", json!({ "csv": "a,b\n".repeat(50_000) })).await;
    // QuickJS throws where it gets no memory, so this is the tool's own failure and no trap.
    assert_eq!((large.status, large.code()), (200, -32603), "{}", large.text.len());
    well(&gateway).await;
}
