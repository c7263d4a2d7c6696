//! The cases of group O, "overload and fairness", and X10, by the shipped binary: bodies, descriptors, connections, and a house that is full.

use super::admin::{Administered, random_token};
use super::command::Place;
use super::metrics::Page;
use super::process::ticks;
use super::tenants::{ADA, House, NO_RATES, OTHER_ADA, Who};
use crate::harness::raw::{self, Raw};
use crate::harness::{Answer, Modern, Setup, call_params, eventually, plugin, root, rpc, turn};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;
/// What is free of each body.
const FREE_BYTES: u64 = 16 << 10;
const BODY_BYTES: u64 = 4 * MIB;
/// What one of them holds that lacks its last byte.
const HELD_BYTES: u64 = BODY_BYTES - 1 - FREE_BYTES;
/// The third tenant's caller.
const EVE: Who = Who("third", "eve");

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

/// A line of `/proc/PID/status`.
fn status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
    line.trim_start_matches(':').split_whitespace().next().and_then(|figure| figure.parse().ok()).expect("a number")
}

/// A gateway of three tenants whose metrics can be read.
struct Watched {
    house: House,
    admin: String,
    token: String,
}

impl Watched {
    async fn start(more: &str) -> Self {
        let (place, token) = (tempfile::tempdir().expect("a directory"), random_token());
        let file = place.path().join("admin-token");
        fs::write(&file, &token).expect("written");
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
        let settings = format!("[tenants.third]\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = {file:?}\n{NO_RATES}{more}");
        let shared = Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], ..Setup::default() };
        let house = House::of(shared, &[], ("", "", &settings)).await;
        let admin = eventually("the admin listener", SOON, async || {
            let log = house.gateway.log();
            let (_, rest) = log.split_once("the admin listener answers address=")?;
            Some(rest.split_whitespace().next()?.to_owned())
        });
        let admin = admin.await;
        Self { house, admin, token }
    }

    async fn metrics(&self) -> Page {
        let page = self.house.gateway.client.get(format!("http://{}/metrics", self.admin)).bearer_auth(&self.token);
        Page::read(&Answer::of(page).await.text)
    }

    async fn bodies_hold(&self, bytes: u64) {
        let held = async || (self.metrics().await.value("gatehouse_bodies_bytes", &[]) == bytes as f64).then_some(());
        eventually(&format!("bodies hold {bytes} bytes"), SOON, held).await;
    }

    async fn small_call(&self, who: Who) -> u16 {
        self.house.asks(who, Modern::call("echo", json!({ "message": "small" }))).await.status
    }

    /// Sends the whole of a large body but its last byte, unless it is refused meanwhile.
    async fn large_body(&self, who: Who) -> TcpStream {
        let token = self.house.token(who, "/mcp");
        let request = Modern::call("echo", json!({ "message": "large" })).header("authorization", format!("Bearer {token}"));
        let head: String = request.headers.iter().map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value))).collect();
        let head = format!("POST /mcp HTTP/1.1\r\nhost: localhost\r\n{head}content-length: {BODY_BYTES}\r\n\r\n");
        let message = request.body.to_string();
        let spaces = usize::try_from(BODY_BYTES).expect("small") - message.len();
        let bytes = [head.into_bytes(), " ".repeat(spaces).into_bytes(), message.into_bytes()].concat();
        let mut stream = TcpStream::connect(self.house.gateway.address()).await.expect("it listens");
        // What is refused is not read to its end.
        let _ = stream.write_all(&bytes[..bytes.len() - 1]).await;
        stream
    }

    /// Waits until each of these is either held whole or refused; gives both.
    async fn settled(&self, streams: Vec<TcpStream>) -> (Vec<Raw>, Vec<Answered>) {
        let (mut open, mut refused) = (streams, Vec::new());
        let began = Instant::now();
        loop {
            let mut still = Vec::new();
            for mut stream in open {
                let mut answer = vec![0; 4_096];
                match stream.try_read(&mut answer) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => still.push(stream),
                    Err(error) => panic!("an answer, and then the end: {error}"),
                    Ok(bytes) => {
                        answer.truncate(bytes);
                        // A reset after the answer is as good an end as a close.
                        let _ = stream.read_to_end(&mut answer).await;
                        refused.push(Answered::of(&answer));
                    }
                }
            }
            open = still;
            let held = HELD_BYTES * open.len() as u64;
            if self.metrics().await.value("gatehouse_bodies_bytes", &[]) == held as f64 {
                return (open.into_iter().map(Raw).collect(), refused);
            }
            assert!(began.elapsed() < SOON, "{} bodies should hold {held} bytes", open.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A refusal.
#[derive(Debug, PartialEq, Eq)]
struct Answered {
    status: u16,
    code: Value,
    tells_when: bool,
    closes: bool,
}

impl Answered {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("a whole answer: {text}"));
        let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
        let head = head.to_lowercase();
        Self {
            status: raw::status_of(&head),
            code: body["error"]["code"].clone(),
            tells_when: head.contains("\r\nretry-after: "),
            closes: head.contains("\r\nconnection: close"),
        }
    }

    /// The tenant's share is used up, or all.
    fn is(&self, status: u16, code: i64) -> bool {
        *self == Self { status, code: code.into(), tells_when: true, closes: true }
    }
}

/// O10, one after the other, so that each number is exact: what a tenant's bodies hold, and all of them.
#[tokio::test]
async fn bodies_hold_what_they_may_and_small_requests_never_wait() {
    let limits = "[limits]\nbodies_in_flight_bytes_max = 33554432\nconnections_per_address_max = 2000\n";
    let watched = Watched::start(limits).await;
    // 16 MiB for each tenant, 32 in all: four large bodies each.
    let mut held = Vec::new();
    for who in [ADA, ADA, ADA, ADA, OTHER_ADA, OTHER_ADA, OTHER_ADA, OTHER_ADA] {
        held.push(watched.large_body(who).await);
        watched.bodies_hold(HELD_BYTES * held.len() as u64).await;
    }
    for (who, status, code) in [(ADA, 429, -31005), (OTHER_ADA, 429, -31005), (EVE, 503, -31004)] {
        held.push(watched.large_body(who).await);
        let (whole, refused) = watched.settled(held).await;
        assert!(refused.len() == 1 && refused[0].is(status, code), "{who:?}: {refused:?}");
        assert_eq!(watched.small_call(who).await, 200, "{who:?}: small ones are served");
        held = whole.into_iter().map(|raw| raw.0).collect();
    }
    watched.bodies_hold(HELD_BYTES * 8).await;
    // Room comes back with the answer, and with a connection that breaks.
    let mut first = Raw(held.remove(0));
    first.send("}").await;
    let head = first.head().await;
    assert_eq!(raw::status_of(&head), 200, "{head}");
    watched.bodies_hold(HELD_BYTES * 7).await;
    drop(held);
    watched.bodies_hold(0).await;
    let page = watched.metrics().await;
    let counted = |reason: &str| page.value("gatehouse_http_rejected_total", &[("reason", reason)]);
    assert_eq!((counted("bodies_full"), counted("tenant_bodies_full")), (1.0, 2.0));
    let again = watched.large_body(EVE).await;
    watched.bodies_hold(HELD_BYTES).await;
    drop(again);
}

/// O10: three hundred large bodies at once, sixty-four of them of one tenant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_large_bodies_are_within_the_memory_for_them() {
    let _turn = turn().await;
    /// For connections, what the allocator keeps, and the larger buffer that a body moves to as it grows.
    const SLACK_KIB: u64 = 96 << 10;
    let watched = Watched::start("[limits]\nconnections_per_address_max = 2000\n").await;
    for who in [ADA, OTHER_ADA, EVE] {
        assert_eq!(watched.small_call(who).await, 200);
    }
    let pid = watched.house.gateway.pid();
    let base_kib = status(pid, "VmRSS");
    let whose = |at: usize| if at < 64 { ADA } else { OTHER_ADA };
    let over = tokio::sync::Notify::new();
    let bodies = async {
        let streams = join_all((0..300).map(|at| watched.large_body(whose(at)))).await;
        let settled = watched.settled(streams).await;
        over.notify_one();
        settled
    };
    let small_calls = async {
        let mut calls = 0;
        let mut over = std::pin::pin!(over.notified());
        loop {
            tokio::select! {
                biased;
                () = &mut over => break calls,
                status = watched.small_call(EVE) => assert_eq!(status, 200, "a small call of somebody else"),
            }
            calls += 1;
        }
    };
    let ((held, refused), small) = tokio::join!(bodies, small_calls);
    let peak_kib = status(pid, "VmHWM");
    println!("O10: of 300 bodies {} were held beside {small} small calls; {base_kib} KiB, at most {peak_kib} KiB", held.len());
    assert_eq!(held.len() + refused.len(), 300);
    assert!(refused.iter().all(|refused| refused.is(429, -31005) || refused.is(503, -31004)), "{refused:?}");
    assert!((16..=64).contains(&held.len()) && small > 0, "{} and {small}", held.len());
    assert!(peak_kib < base_kib + (256 << 10) + SLACK_KIB, "{base_kib} KiB, then {peak_kib} KiB");
    // Those that were held are answered.
    let answers = held.into_iter().map(|mut raw| async move {
        raw.send("}").await;
        raw::status_of(&raw.head().await)
    });
    assert!(join_all(answers).await.into_iter().all(|status| status == 200));
    watched.bodies_hold(0).await;
}

/// One after the other on a connection that stays.
async fn call_on(connection: &mut Raw) -> u16 {
    let request = Modern::call("echo", json!({ "message": "here" }));
    let head: String = request.headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value))).collect();
    connection.send(raw::message(&format!("POST /mcp HTTP/1.1\nhost: localhost\n{head}"), request.body.to_string())).await;
    let head = connection.head().await;
    let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or_else(|| panic!("a length: {head}"))];
    connection.0.read_exact(&mut body).await.expect("the body");
    raw::status_of(&head)
}

/// X10: more connections than the process may have files. They wait, those that are there go on, and nothing spins or talks.
#[tokio::test]
async fn connections_beyond_the_descriptors_wait() {
    let _turn = turn().await;
    const WATCHED: Duration = Duration::from_secs(5);
    // By default there are fewer connections than half of the files, and the others wait in the kernel; here the files run out.
    for (settings, runs_out) in [("", false), ("connections_max = 1000\n", true)] {
        let place = Place::with(&[("text-toolbox", plugin("text-toolbox"))]);
        let cache = root().join("target/test-code-cache");
        place.settings(&format!("[plugins]\ncode_cache = {cache:?}\n[limits]\nconnections_per_address_max = 2000\n{settings}"));
        let limited = ["/bin/sh", "-c", "ulimit -n 256; exec \"$0\" \"$@\""];
        let gateway = place.serve_under(&limited, &["--listen", "127.0.0.1:0"]);
        let address = gateway.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
        let mut there = Raw::connect(&address).await;
        assert_eq!(call_on(&mut there).await, 200);
        let many: Vec<_> = join_all((0..1_000).map(|_| TcpStream::connect(&address))).await;
        assert!(many.iter().all(Result::is_ok), "the kernel takes them");
        let complaint = "connections cannot be accepted now";
        if runs_out {
            eventually("the files run out", SOON, async || gateway.log().contains(complaint).then_some(())).await;
        } else {
            eventually("as many as may be", SOON, async || (descriptors(gateway.pid()) > 90).then_some(())).await;
        }
        let (before, lines, began) = (ticks(gateway.pid()), gateway.log().lines().count(), Instant::now());
        let mut calls = 0;
        while began.elapsed() < WATCHED {
            assert_eq!(call_on(&mut there).await, 200, "who is there is served");
            calls += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let cpu = (ticks(gateway.pid()) - before) as f64 / (began.elapsed().as_secs_f64() * 100.0);
        let (files, said) = (descriptors(gateway.pid()), gateway.log().lines().count() - lines);
        println!("X10: {files} descriptors (out of them: {runs_out}), {calls} calls, {:.1} % of a processor, {said} lines", cpu * 100.0);
        assert!(cpu < 0.2 && said < 10 && files <= 256, "{cpu} {said} {files}: {}", gateway.log());
        assert_eq!(gateway.log().contains(complaint), runs_out, "{}", gateway.log());
        drop(many);
        eventually("newcomers are served again", SOON, async || {
            let mut newcomer = Raw::connect(&address).await;
            (call_on(&mut newcomer).await == 200).then_some(())
        })
        .await;
        assert!(gateway.stop().success());
    }
}

/// O08: every slot is taken by a loop, and many wait for one. What needs no slot is answered all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_house_answers_what_needs_no_slot() {
    let _turn = turn().await;
    const ROUNDS: usize = 15;
    let settings =
        "[limits]\ncalls_in_flight_max = 8\ncall_queue_timeout_ms = 60000\ncall_cpu_time_ms = 300000\ncall_wall_time_ms = 300000\n";
    let admin = Administered::with(vec!["text-toolbox"], vec!["misbehave"], settings).await;
    let gateway = &admin.gateway;
    let (mut for_delete, mut for_cancel) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for_delete.push(gateway.session("2025-11-25").await);
        for_cancel.push(gateway.session("2025-11-25").await);
    }
    let spin = || tokio::spawn(Modern::call("spin", json!({})).build(gateway).send());
    let mut full: Vec<_> = (0..8).map(|_| spin()).collect();
    eventually("every slot is taken", SOON, async || {
        (admin.metrics().await.value("gatehouse_permits_in_use", &[("tenant", "default")]) == 8.0).then_some(())
    })
    .await;
    full.extend((0..100).map(|_| spin()));
    // Calls of sessions, to be cancelled: they wait as well.
    let waiting = for_cancel.iter().map(|session| {
        let call = rpc("to-cancel", "tools/call", call_params("sleep", json!({ "ms": 1 })));
        tokio::spawn(gateway.legacy_request(Some(session), &call).send())
    });
    let waiting: Vec<_> = waiting.collect();
    eventually("they wait", SOON, async || {
        // The tenant's permits are taken before the host's are waited for.
        (admin.metrics().await.value("gatehouse_permits_in_use", &[("tenant", "default")]) >= (108 + ROUNDS) as f64).then_some(())
    })
    .await;
    let mut took: [Vec<Duration>; 3] = Default::default();
    for (delete, cancel) in for_delete.iter().zip(&for_cancel) {
        let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "to-cancel" } });
        let requests = [
            (gateway.client.get(format!("{}/healthz", gateway.origin)), 200),
            (gateway.client.delete(gateway.url()).header("mcp-session-id", delete), 204),
            (gateway.legacy_request(Some(cancel), &cancelled), 202),
        ];
        for ((request, expected), took) in requests.into_iter().zip(&mut took) {
            let began = Instant::now();
            assert_eq!(Answer::of(request).await.status, expected);
            took.push(began.elapsed());
        }
    }
    for call in waiting {
        let answer = tokio::time::timeout(SOON, call).await.expect("a call that was cancelled ends");
        assert!(answer.expect("no panic").is_ok());
    }
    for (mut took, what) in took.into_iter().zip(["health", "DELETE of a session", "a cancellation"]) {
        took.sort();
        let (median, longest) = (took[ROUNDS / 2], took[ROUNDS - 1]);
        println!("O08: {what}: {median:?} as a rule, {longest:?} at most");
        // The longest says more of the machine; a request that waited for a slot would take a minute.
        assert!(median < Duration::from_millis(100) && longest < Duration::from_secs(5), "{what}: {median:?} {longest:?}");
    }
    full.iter().for_each(tokio::task::JoinHandle::abort);
}

/// O09: connections come and go as fast as they can; nothing of them stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let _turn = turn().await;
    const CONNECTIONS: usize = 6_000;
    let admin = Administered::start("[log]\nfilter = \"warn,gatehouse=info\"\n").await;
    let (gateway, pid) = (&admin.gateway, admin.gateway.pid());
    let address = gateway.address();
    let one = async |at: usize| {
        let mut raw = Raw::connect(&address).await;
        match at % 4 {
            // Asks and goes; asks and stays to the end; says half of something and goes; says nothing.
            0 => raw.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await,
            1 => {
                let request = Modern::call("echo", json!({ "message": "x" })).header("connection", "close");
                let head: String =
                    request.headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value))).collect();
                raw.send(raw::message(&format!("POST /mcp HTTP/1.1\nhost: localhost\n{head}"), request.body.to_string())).await;
                assert_eq!(raw::status_of(&raw.rest().await), 200);
            }
            2 => raw.send("POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{").await,
            _ => {}
        }
    };
    // Once before, so that what is made once is there.
    for at in 0..100 {
        one(at).await;
    }
    let now = async || {
        let page = admin.metrics().await;
        let value = |name: &str| page.value(name, &[]);
        [value("gatehouse_tasks_active"), value("gatehouse_streams_active"), value("gatehouse_bodies_bytes"), descriptors(pid) as f64]
    };
    let steady = async || {
        let (one, two) = (now().await, now().await);
        (one == two).then_some(one)
    };
    let before = eventually("it is quiet", SOON, steady).await;
    let threads = status(pid, "Threads");
    let began = Instant::now();
    futures_util::stream::iter(0..CONNECTIONS).map(one).buffer_unordered(64).for_each(|()| async {}).await;
    println!("O09: {CONNECTIONS} connections, {:.0} in a second", CONNECTIONS as f64 / began.elapsed().as_secs_f64());
    let same = async || {
        let after = now().await;
        let same = after.iter().zip(&before).all(|(after, before)| after <= before) && status(pid, "Threads") <= threads;
        same.then_some(())
    };
    eventually(&format!("no more than {before:?} and {threads} threads"), SOON, same).await;
    assert_eq!(gateway.call("echo", json!({ "message": "after" })).await.status, 200);
}
