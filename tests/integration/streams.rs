//! Event streams of the handshake era: ids, resuming, who has which, and their limits (reliability group E).

use crate::harness::{Answer, Event, Events, Gateway, Setup, binary, call_params, count, eventually, messages, plugin, process, raw, rpc};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;

async fn with(settings: &str) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings: settings.to_owned() }).await
}

/// E01: whichever event the connection is cut after, the rest comes exactly once, in order, with the same ids and bytes.
#[tokio::test]
async fn a_cut_stream_goes_on_where_it_was() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut whole = Events::of(gateway.legacy_request(Some(&session), &count("c", 90, 1))).await;
    let priming = whole.next().await.expect("a first event");
    assert!(priming.is_priming() && (1_500..=4_500).contains(&priming.retry_ms.expect("when to come back")), "{priming:?}");
    let all = messages(whole).await;
    assert_eq!(all.len(), 91);
    let ids: HashSet<_> = all.iter().map(Event::id).chain([priming.id()]).collect();
    assert_eq!(ids.len(), 92, "no id comes twice");
    for (step, event) in all.iter().take(90).enumerate() {
        assert_eq!(event.message()["params"]["progress"], step + 1);
    }
    assert_eq!(all[90].message()["result"]["content"][0]["text"], "done");
    for after in [0, 1, 29, 30, 31, 32, 33, 57, 88, 89] {
        assert_eq!(messages(gateway.resume(&session, &all[after]).await).await, &all[after + 1..], "after {after}");
    }
    assert_eq!(messages(gateway.resume(&session, &priming).await).await, all, "from the beginning");

    // Cut in the middle of the call, again and again: it runs on, and nothing is lost.
    let mut live = Events::of(gateway.legacy_request(Some(&session), &count("d", 90, 5))).await;
    let mut seen: Vec<Event> = Vec::new();
    for wanted in [1, 2, 8, 30, 31, 60, 91] {
        while seen.len() < wanted {
            let event = live.next().await.expect("more");
            if !event.is_priming() {
                seen.push(event);
            }
        }
        live = gateway.resume(&session, seen.last().expect("one")).await;
    }
    let steps: Vec<_> = seen.iter().take(90).map(|event| event.message()["params"]["progress"].clone()).collect();
    assert_eq!(steps, (1..=90).map(Value::from).collect::<Vec<_>>());
    assert_eq!(seen[90].message()["id"], "d");
}

/// Only clients that know of priming get it; all can resume.
#[tokio::test]
async fn every_revision_resumes() {
    let gateway = with("").await;
    for revision in ["2025-03-26", "2025-06-18"] {
        let session = gateway.session(revision).await;
        let all = Events::of(gateway.legacy_request(Some(&session), &count(1, 3, 10))).await.rest().await;
        assert!(all.iter().all(|event| !event.is_priming() && event.retry_ms.is_none() && event.id.is_some()), "{revision}: {all:?}");
        assert_eq!(all.len(), 4);
        assert_eq!(gateway.resume(&session, &all[1]).await.rest().await, &all[2..], "{revision}");
    }
}

/// E12: who goes away in the middle finds the answer when it comes back.
#[tokio::test]
async fn a_call_goes_on_without_its_connection() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut live = Events::of(gateway.legacy_request(Some(&session), &count("c", 3, 50))).await;
    let priming = live.next().await.expect("a first event");
    drop(live);
    let all = messages(gateway.resume(&session, &priming).await).await;
    assert_eq!(all.last().expect("an answer").message()["result"]["content"][0]["text"], "done");
    assert_eq!(all.len(), 4);
}

/// A call without progress that takes its time: a place to come back to first, then silence.
#[tokio::test]
async fn a_silent_call_can_be_resumed() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let call = rpc("s", "tools/call", call_params("sleep", json!({ "ms": 600 })));
    let mut live = Events::of(gateway.legacy_request(Some(&session), &call)).await;
    let priming = live.next().await.expect("a first event");
    assert!(priming.is_priming());
    drop(live);
    let all = messages(gateway.resume(&session, &priming).await).await;
    assert_eq!((all.len(), &all[0].message()["id"]), (1, &json!("s")));
    // A fast one is plain JSON.
    let fast = gateway.legacy(Some(&session), rpc("f", "tools/call", call_params("echo", json!({ "message": "hello" })))).await;
    assert_eq!((fast.is_stream(), fast.tool_text()), (false, "hello"));
}

/// E02, E05: an id that was not given out for this session is no id, and says nothing.
#[tokio::test]
async fn a_foreign_id_is_no_id() {
    let gateway = with("").await;
    let (mine, theirs) = (gateway.session("2025-11-25").await, gateway.session("2025-11-25").await);
    let of_mine = Events::of(gateway.legacy_request(Some(&mine), &count(1, 2, 1))).await.rest().await;
    let of_theirs = Events::of(gateway.legacy_request(Some(&theirs), &count(1, 2, 1))).await.rest().await;
    let good = of_mine[1].id().to_owned();
    let longer = "A".repeat(4_096);
    let mut changed = good.clone().into_bytes();
    changed[12] ^= 1;
    let changed = String::from_utf8(changed).expect("ASCII");
    let cut = &good[..good.len() - 1];
    for bad in [of_theirs[1].id(), "", &longer, "../../x", "%00", "-1", "18446744073709551616", &changed, cut] {
        let answer = Answer::of(gateway.events_request(&mine, Some(bad))).await;
        assert_eq!(
            (answer.status, answer.code(), answer.kind(), &answer.message()["id"]),
            (400, -31012, "bad_event_id", &Value::Null),
            "{bad}"
        );
    }
    let twice = gateway.events_request(&mine, Some(&good)).header("last-event-id", &good);
    assert_eq!(Answer::of(twice).await.code(), -31012);
    assert_eq!(messages(gateway.resume(&mine, &of_mine[1]).await).await, &of_mine[2..]);
}

/// E04: two streams of one session do not run together.
#[tokio::test]
async fn a_resumed_stream_has_its_own_events_only() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let one = gateway.legacy_request(Some(&session), &count("one", 20, 3));
    let two = gateway.legacy_request(Some(&session), &count("two", 20, 3));
    let (one, two) = tokio::join!(async { messages(Events::of(one).await).await }, async { messages(Events::of(two).await).await });
    assert_eq!(messages(gateway.resume(&session, &one[4]).await).await, &one[5..]);
    assert_eq!(messages(gateway.resume(&session, &two[4]).await).await, &two[5..]);
    assert!(one.iter().map(Event::id).collect::<HashSet<_>>().is_disjoint(&two.iter().map(Event::id).collect()));
}

/// E06: what is not kept any more is missing, what is left comes, and the answer is always left.
#[tokio::test]
async fn what_is_left_of_a_long_stream_comes() {
    let gateway = with("[store]\nring_events = 5\n").await;
    let session = gateway.session("2025-11-25").await;
    let all = messages(Events::of(gateway.legacy_request(Some(&session), &count("c", 40, 1))).await).await;
    assert_eq!(all.len(), 41, "live, nothing is missing");
    assert_eq!(messages(gateway.resume(&session, &all[2]).await).await, &all[36..]);
    assert_eq!(messages(gateway.resume(&session, &all[38]).await).await, &all[39..]);
}

/// Decision 8: the newest connection has the stream.
#[tokio::test]
async fn the_newest_connection_wins() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut first = Events::of(gateway.legacy_request(Some(&session), &count("c", 10, 100))).await;
    let priming = first.next().await.expect("a first event");
    let second = gateway.resume(&session, &priming).await;
    let left = tokio::time::timeout(Duration::from_secs(5), first.rest()).await.expect("the older one is closed");
    assert!(left.len() < 5, "{left:?}");
    assert_eq!(messages(second).await.len(), 11);

    let mut older = Events::of(gateway.events_request(&session, None)).await;
    assert!(older.next().await.expect("a first event").is_priming());
    let mut newer = Events::of(gateway.events_request(&session, None)).await;
    assert!(newer.next().await.expect("a first event").is_priming());
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), older.next()).await.expect("the older one is closed"), None);
}

/// The standalone stream tells of tools that come and go, to those who see them, and goes on after a cut.
#[tokio::test]
async fn tools_that_change_are_told_of() {
    let gateway = with("[servers.one]\ntools = [\"echo\"]\n").await;
    let session = gateway.session("2025-11-25").await;
    let at_one = gateway.session_at("/servers/one/mcp", "2025-11-25").await;
    let mut events = Events::of(gateway.events_request(&session, None)).await;
    let unconcerned = gateway.client.get(format!("{}/servers/one/mcp", gateway.origin)).header("accept", "text/event-stream");
    let mut unconcerned = Events::of(unconcerned.header("mcp-session-id", &at_one)).await;
    assert!(unconcerned.next().await.expect("a first event").is_priming());
    let priming = events.next().await.expect("a first event");
    assert!(priming.is_priming());

    gateway.drop_in("text-template", &fs::read(plugin("text-template")).expect("read"));
    let changed = events.next().await.expect("a change");
    assert_eq!(changed.message(), json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    drop(events);
    gateway.take_out("text-template");
    let gone = async || (!gateway.tools().await.iter().any(|name| name.starts_with("template"))).then_some(());
    eventually("the tool is gone", Duration::from_secs(20), gone).await;
    // Nobody was there when it went; whoever comes back hears of it, once.
    let mut events = gateway.resume(&session, &changed).await;
    assert!(events.next().await.expect("a first event").is_priming());
    let again = events.next().await.expect("a change");
    assert_eq!(again.message()["method"], "notifications/tools/list_changed");
    assert_ne!(again.id, changed.id);
    let mut from_the_beginning = gateway.resume(&session, &priming).await;
    assert!(from_the_beginning.next().await.expect("a first event").is_priming());
    assert_eq!(from_the_beginning.next().await, Some(changed));
    assert_eq!(from_the_beginning.next().await, Some(again));
    assert_eq!(tokio::time::timeout(Duration::from_millis(300), unconcerned.next()).await.ok(), None, "its own list is the same");
}

/// What a GET must be.
#[tokio::test]
async fn a_get_follows_the_rules() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let json_only = gateway.client.get(gateway.url()).header("accept", "application/json").header("mcp-session-id", &session);
    assert_eq!(Answer::of(json_only).await.status, 406);
    let nameless = gateway.client.get(gateway.url()).header("accept", "text/event-stream");
    let answer = Answer::of(nameless).await;
    assert_eq!((answer.status, answer.code()), (400, -32600));
    let unknown = "0".repeat(32);
    for (name, status) in [(&*unknown, 404), ("0a,x", 404), ("\"quoted\"", 404), (&*"a".repeat(200), 400)] {
        assert_eq!(Answer::of(gateway.events_request(name, None)).await.status, status, "{name}");
    }
    let mut raw = gateway.events_request("x", None).build().expect("a request");
    let bad = reqwest::header::HeaderValue::from_bytes(b"caf\xe9").expect("a value");
    raw.headers_mut().insert("mcp-session-id", bad);
    assert_eq!(gateway.client.execute(raw).await.expect("an answer").status(), 400);
    // E20
    let response = gateway.events_request(&session, None).header("accept-encoding", "gzip, br").send().await.expect("an answer");
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!((header("content-encoding"), header("x-accel-buffering")), (None, Some("no")));
    assert!(header("cache-control").expect("a rule").contains("no-store"));
    assert_eq!(header("mcp-session-id"), Some(&*session));
}

/// E19.
#[tokio::test]
async fn there_are_only_so_many_streams() {
    let gateway = with("[limits]\nstreams_per_session_max = 2\nstreams_per_principal_max = 3\n").await;
    let (session, other) = (gateway.session("2025-11-25").await, gateway.session("2025-11-25").await);
    let mut open = Vec::new();
    for id in 0..2 {
        let mut events = Events::of(gateway.legacy_request(Some(&session), &count(id, 1_000, 1_000))).await;
        events.next().await.expect("a first event");
        open.push(events);
    }
    let full = gateway.legacy(Some(&session), count("x", 1, 1)).await;
    assert_eq!((full.status, full.code(), full.retry_after_s() <= 5), (429, -31005, true));
    assert_eq!(Answer::of(gateway.events_request(&session, None)).await.status, 429);
    // Without progress there is an answer all the same, in one piece.
    let silent = gateway.legacy(Some(&session), rpc("s", "tools/call", call_params("sleep", json!({ "ms": 200 })))).await;
    assert_eq!((silent.status, silent.is_stream(), silent.tool_text()), (200, false, "slept 200 ms"));
    let third = Events::of(gateway.events_request(&other, None)).await;
    assert_eq!(gateway.legacy(Some(&other), count("x", 1, 1)).await.status, 429, "the owner has as many as it may have");
    // A place is given back with its stream.
    drop(third);
    let free = async || (gateway.legacy(Some(&other), count("x", 1, 1)).await.status == 200).then_some(());
    eventually("a place is free again", Duration::from_secs(10), free).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 0 } });
    assert_eq!(gateway.legacy(Some(&session), cancel).await.status, 202);
    let end = messages(open.remove(0)).await;
    assert_eq!(end.last().expect("an end").message()["error"]["code"], -32800);
    assert_eq!(gateway.legacy(Some(&session), count("y", 1, 1)).await.status, 200);
}

/// S08: everything of a session ends with it, and its streams cannot be resumed.
#[tokio::test]
async fn streams_end_with_their_session() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut standalone = Events::of(gateway.events_request(&session, None)).await;
    let priming = standalone.next().await.expect("a first event");
    let mut running = Events::of(gateway.legacy_request(Some(&session), &count("c", 1_000, 1_000))).await;
    running.next().await.expect("a first event");
    let began = Instant::now();
    let ended = gateway.client.delete(gateway.url()).header("mcp-session-id", &session).send().await.expect("an answer");
    assert_eq!(ended.status(), 204);
    assert_eq!(standalone.next().await, None);
    assert_eq!(messages(running).await.last().expect("an end").message()["error"]["code"], -32800);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(Answer::of(gateway.events_request(&session, Some(priming.id()))).await.status, 404);
}

/// SEP-1699: the gateway closes a connection, and its client comes back.
#[tokio::test]
async fn a_connection_may_be_closed_before_the_answer() {
    let gateway = with("[limits]\nstream_connection_s = 1\nstream_retry_ms = 100\n").await;
    let session = gateway.session("2025-11-25").await;
    let mut events = Events::of(gateway.legacy_request(Some(&session), &count("c", 5, 700))).await;
    let (mut last, mut connections, mut seen) = (None, 1, Vec::new());
    loop {
        match events.next().await {
            Some(event) if event.data.as_deref().is_some_and(|data| !data.is_empty()) => {
                last = Some(event.clone());
                seen.push(event.message());
            }
            Some(event) => {
                assert!((50..=150).contains(&event.retry_ms.expect("when to come back")), "{event:?}");
                last = if event.id.is_some() { Some(event) } else { last };
            }
            None if seen.last().is_some_and(|message| message.get("result").is_some()) => break,
            None => {
                connections += 1;
                events = gateway.resume(&session, last.as_ref().expect("an id")).await;
            }
        }
    }
    assert_eq!(seen.len(), 6);
    assert!(connections >= 3, "{connections}");
}

/// E16, and a session with an open stream is in use.
#[tokio::test]
async fn a_quiet_stream_stays_open() {
    let mut gateway = with("[limits]\nkeep_alive_interval_s = 1\nsession_idle_timeout_s = 2\n").await;
    let session = gateway.session("2025-11-25").await;
    let mut response = gateway.events_request(&session, None).send().await.expect("an answer");
    let mut comments = 0;
    while comments < 10 {
        let chunk = response.chunk().await.expect("open").expect("open");
        let text = String::from_utf8_lossy(&chunk).into_owned();
        comments += text.matches(": keep-alive\n\n").count();
        assert!(text.starts_with(": keep-alive") || text.starts_with("id: "), "{text}");
    }
    assert_eq!(gateway.legacy(Some(&session), rpc(1, "ping", json!({}))).await.status, 200);
    // The store knows of it as well.
    gateway.restart().await;
    assert_eq!(gateway.legacy(Some(&session), rpc(1, "ping", json!({}))).await.status, 200);
}

/// E17: who only waits is told when to come back; who has a call in progress gets its answer.
#[tokio::test]
async fn a_stop_lets_streams_end() {
    let gateway = with("").await;
    let session = gateway.session("2025-11-25").await;
    let mut waiting = Events::of(gateway.events_request(&session, None)).await;
    waiting.next().await.expect("a first event");
    let mut running = Events::of(gateway.legacy_request(Some(&session), &count("c", 3, 300))).await;
    running.next().await.expect("a first event");
    gateway.terminate();
    let last = waiting.rest().await;
    assert!(last.len() == 1 && last[0].retry_ms.is_some() && last[0].data.is_none(), "{last:?}");
    assert_eq!(messages(running).await.last().expect("an end").message()["result"]["content"][0]["text"], "done");
    let (status, log) = gateway.ended(Duration::from_secs(20)).await;
    assert!(status.success(), "{log}");
}

/// E08: a peer that does not read is cut off, its call is not held up, and nothing is lost.
#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off() {
    let settings = "[limits]\nstream_stall_timeout_s = 1\n[store]\nring_events = 20000\n[log]\nfilter = \"info,gatehouse=debug\"\n";
    let gateway = with(settings).await;
    let session = gateway.session("2025-11-25").await;
    let mut call = count("c", 1_000, 0);
    // Each event repeats it.
    call["params"]["_meta"]["progressToken"] = "t".repeat(250).into();
    call["params"]["arguments"]["message"] = "m".repeat(900_000).into();
    let body = call.to_string();
    let head = format!("POST /mcp HTTP/1.1\nHost: {}\nContent-Type: application/json\nMcp-Session-Id: {session}\n", gateway.address());
    let mut deaf = raw::Raw::narrow(&gateway.address()).await;
    deaf.send(raw::message(&head, body)).await;
    let mut text = String::new();
    while !text.contains("data: {") {
        text.push(char::from(deaf.0.read_u8().await.expect("the answer begins")));
    }
    let id = text.split("\nid: ").nth(1).and_then(|rest| rest.split('\n').next()).expect("an id").to_owned();
    let others = gateway.legacy(Some(&session), rpc("o", "tools/call", call_params("echo", json!({ "message": "others go on" })))).await;
    assert_eq!(others.tool_text(), "others go on");
    let cut = async || gateway.log().contains("the peer does not read").then_some(());
    eventually("the connection is closed", Duration::from_secs(30), cut).await;
    let rest = messages(Events::of(gateway.events_request(&session, Some(&id))).await).await;
    let steps: Vec<_> = rest.iter().filter_map(|event| event.message()["params"]["progress"].as_u64()).collect();
    assert_eq!(rest.last().expect("an end").message()["id"], "c");
    assert_eq!(steps, (1_001 - steps.len() as u64..=1_000).collect::<Vec<_>>(), "in order, each once");
    assert!(steps.len() >= 990, "{}", steps.len());
}

/// E06 on the standalone stream: who missed too much is told that lists changed, before what is left.
#[tokio::test]
async fn who_missed_too_much_is_told_to_look_again() {
    let mut gateway = with("[store]\nring_events = 1\n").await;
    let session = gateway.session("2025-11-25").await;
    let mut events = Events::of(gateway.events_request(&session, None)).await;
    let priming = events.next().await.expect("a first event");
    let mut seen = Vec::new();
    for round in 0..3 {
        match round % 2 {
            0 => gateway.drop_in("text-template", &fs::read(plugin("text-template")).expect("read")),
            _ => gateway.take_out("text-template"),
        }
        seen.push(events.next().await.expect("a change"));
    }
    drop(events);
    // While the process lives, its memory has what the ring has not.
    let mut events = gateway.resume(&session, &priming).await;
    assert!(events.next().await.expect("a first event").is_priming());
    assert_eq!(events.next().await.as_ref(), seen.first());
    gateway.restart().await;
    let mut events = gateway.resume(&session, &priming).await;
    assert!(events.next().await.expect("a first event").is_priming());
    for list in ["tools", "prompts", "resources"] {
        let told = events.next().await.expect("a word");
        let method = format!("notifications/{list}/list_changed");
        assert_eq!((told.id.as_deref(), &told.message()["method"]), (None, &json!(method)));
    }
    let left = events.next().await.expect("what is left");
    assert!(left.id.is_some() && left.message()["method"] == "notifications/tools/list_changed", "{left:?}");
}

/// E09: what waits for peers that do not read is bounded for each of them, and their calls are not held up.
#[tokio::test]
async fn many_peers_that_do_not_read_cost_little() {
    const PEERS: u64 = 100;
    // Nor is any of them one too many, however slow the machine is.
    let limits = ["streams_per_principal_max = 1000", "sessions_per_principal_max = 1000", "calls_computing_per_core_max = 4000"];
    // What the store remembers of what was written lately is another subject: it would fill while they do not read.
    let store = "[store]\ncache_bytes = 1048576\n";
    let gateway = with(&format!("{store}[limits]\n{}\nstream_stall_timeout_s = 600\n", limits.join("\n"))).await;
    let resident_kib = || process::resident_kib(gateway.pid());
    let mut call = rpc("c", "tools/call", call_params("progress_flood", json!({ "n": 2_000 })));
    call["params"]["_meta"]["progressToken"] = "t".repeat(250).into();
    // What the pools and as many calls cost is not the subject.
    let sessions = futures_util::future::join_all((0..PEERS).map(|_| gateway.session("2025-11-25"))).await;
    let warm = sessions.iter().map(|session| async { Events::of(gateway.legacy_request(Some(session), &call)).await.rest().await.len() });
    assert!(futures_util::future::join_all(warm).await.into_iter().all(|events| events > 2_000));
    let outcomes = async |calls: u64| {
        let ask = async || {
            let records =
                std::process::Command::new(binary()).args(["journal", "show", "--json", "--calls", "--data"]).arg(gateway.data()).output();
            let records = String::from_utf8(records.expect("it runs").stdout).expect("text");
            let records = records.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let outcomes: Vec<_> = records.map(|record| record["outcome"].as_str().unwrap_or_default().to_owned()).collect();
            (outcomes.len() as u64 == calls).then_some(outcomes)
        };
        let outcomes = eventually("all calls have ended", Duration::from_secs(120), ask).await;
        assert!(outcomes.iter().all(|outcome| outcome == "result"), "{outcomes:?}");
    };
    // Twice as many, and what the second half costs: with the first half everything that does not grow with them has come to its size.
    let (mut peers, mut before) = (Vec::new(), 0);
    for half in 1..=2 {
        before = resident_kib();
        for _ in 0..PEERS {
            let session = gateway.session("2025-11-25").await;
            let head =
                format!("POST /mcp HTTP/1.1\nHost: {}\nContent-Type: application/json\nMcp-Session-Id: {session}\n", gateway.address());
            let mut peer = raw::Raw::narrow(&gateway.address()).await;
            peer.send(raw::message(&head, call.to_string())).await;
            peers.push(peer);
        }
        outcomes((half + 1) * PEERS).await;
    }
    let grown = resident_kib().saturating_sub(before);
    println!("{} KiB for each of {PEERS} peers that do not read", grown / PEERS);
    assert!(grown < PEERS * 256, "{grown} KiB for {PEERS} peers");
}
