//! The cases of group X, "process", by the shipped binary: how it stops, and outputs that nobody reads. X08 is beside its code, X15 in
//! `hardening`.

use super::admin::Administered;
use super::command::Place;
use crate::harness::{Answer, Events, Gateway, Modern, binary, eventually, fixture, plugin, root, turn};
use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::fs;
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(20);

/// Ended with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Another program under the name of the one that runs, as an upgrade puts it there for the next start: this one goes on to compile plugins with
/// itself, and executes nothing else.
#[tokio::test]
async fn a_program_whose_file_is_replaced_goes_on() {
    let place = Place::new();
    let (program, log) = (place.path().join("program"), place.path().join("log"));
    fs::copy(binary(), &program).expect("copied");
    let mut command = Command::new(&program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--plugins"]).arg(place.plugins()).current_dir(place.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).expect("a file"));
    let _gateway = Killed(command.spawn().expect("it starts"));
    let told = async |what: &str| fs::read_to_string(&log).expect("text").contains(what).then_some(());
    eventually("it is ready", SOON, async || told("gatehouse: ready ").await).await;
    let newer = place.path().join("newer");
    fs::write(&newer, "#!/bin/sh\nexit 1\n").expect("written");
    fs::rename(&newer, &program).expect("replaced");
    let arriving = place.plugins().join(".units.new");
    fs::copy(plugin("units"), &arriving).expect("copied");
    fs::rename(&arriving, place.plugins().join("units.wasm")).expect("renamed");
    eventually("it is loaded", SOON, async || told("plugin loaded").await).await;
}

/// X01: whoever comes is refused at once, whoever is there is served to the end, and those who listen are told when to come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_refuses_newcomers_ends_a_hundred_calls_and_tells_a_hundred_streams() {
    let _turn = turn().await;
    const MANY: usize = 100;
    let settings = "[limits]\nstreams_per_principal_max = 200\n";
    let admin = Administered::with(vec!["text-toolbox"], vec!["misbehave"], settings).await;
    let gateway = &admin.gateway;
    let mut streams = Vec::new();
    for _ in 0..MANY {
        let session = gateway.session("2025-11-25").await;
        streams.push(Events::of(gateway.events_request(&session, None)).await);
    }
    let calls: Vec<_> = (0..MANY)
        .map(|at| {
            let ms = 1_000 + 40 * at;
            tokio::spawn(Answer::of(Modern::call("sleep", json!({ "ms": ms })).build(gateway)))
        })
        .collect();
    eventually("they run", SOON, async || {
        let page = admin.metrics().await;
        (page.value("gatehouse_permits_in_use", &[("tenant", "default")]) == MANY as f64).then_some(())
    })
    .await;

    let began = Instant::now();
    gateway.terminate();
    let (address, client) = (gateway.address(), reqwest::Client::builder().no_proxy().build().expect("a client"));
    let request = Modern::call("echo", json!({ "message": "late" }));
    let refused = eventually("newcomers are refused", SOON, async || {
        if TcpStream::connect(&address).await.is_err() {
            return Some(began.elapsed());
        }
        let late = request.headers.iter().fold(client.post(gateway.url()), |late, (name, value)| late.header(name, value.as_slice()));
        match late.body(request.body.to_string()).send().await {
            Ok(answer) if answer.status() == 503 => answer.text().await.ok()?.contains("-31013").then(|| began.elapsed()),
            Ok(_) => None,
            Err(_) => Some(began.elapsed()),
        }
    })
    .await;
    let told = join_all(streams.into_iter().map(|stream| async {
        let events = stream.rest().await;
        events.last().is_some_and(|last| last.retry_ms.is_some())
    }));
    assert_eq!(told.await.into_iter().filter(|told| *told).count(), MANY, "each stream ends with when to come back");
    for call in join_all(calls).await {
        let answer = call.expect("no panic");
        assert!(answer.status == 200 && answer.message().get("result").is_some(), "{answer:?}");
    }
    let (status, log) = admin.gateway.ended(SOON).await;
    let ended = began.elapsed();
    println!("X01: newcomers refused after {refused:?}; {MANY} calls of 1 to 5 s ended, the process after {ended:?}");
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(refused < Duration::from_secs(1), "{refused:?}");
    assert!(ended < Duration::from_secs(12), "{ended:?}");
}

/// A gateway whose calls, so many, are in their loops.
async fn spinning(calls: usize, limits: &str) -> (Gateway, Vec<tokio::task::JoinHandle<Result<reqwest::Response, reqwest::Error>>>) {
    let admin = Administered::with(Vec::new(), vec!["misbehave"], &format!("[limits]\n{limits}\n")).await;
    let spinning = (0..calls).map(|_| tokio::spawn(Modern::call("spin", json!({})).build(&admin.gateway).send())).collect();
    eventually("they spin", SOON, async || {
        (admin.metrics().await.value("gatehouse_permits_in_use", &[("tenant", "default")]) == calls as f64).then_some(())
    })
    .await;
    (admin.gateway, spinning)
}

/// X02: a call that never ends by itself does by its limit, and the stop with it.
#[tokio::test]
async fn a_stop_waits_for_a_loop_until_its_limit() {
    let (gateway, mut calls) = spinning(1, "call_cpu_time_ms = 2000").await;
    gateway.terminate();
    let answer = calls.remove(0).await.expect("no panic").expect("an answer").text().await.expect("whole");
    assert!(answer.contains("-31001"), "{answer}");
    let (status, log) = gateway.ended(Duration::from_secs(31)).await;
    assert_eq!(status.code(), Some(0), "{log}");
}

/// X02: whoever asks twice does not want to wait.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let _turn = turn().await;
    let (gateway, calls) = spinning(4, "call_cpu_time_ms = 300000\ncall_wall_time_ms = 300000\ndrain_timeout_s = 600").await;
    gateway.terminate();
    eventually("it stops", SOON, async || gateway.log().contains("stopping: no new work is taken").then_some(())).await;
    let began = Instant::now();
    gateway.terminate();
    let (status, log) = gateway.ended(SOON).await;
    println!("X02: the second signal ended it after {:?}", began.elapsed());
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("asked to stop for the second time") && began.elapsed() < Duration::from_secs(5), "{log}");
    for call in calls {
        assert!(call.await.expect("no panic").is_err(), "its connection broke");
    }
}

/// Processor time in hundredths of a second.
pub(super) fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // Behind the name: a letter, then numbers, of which some may be below zero.
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let [utime, stime] = [11, 12].map(|at| fields[at].parse::<u64>().expect("a number"));
    utime + stime
}

/// A pipe that has all that it takes, and nobody who reads it.
fn full() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let size = rustix::fs::fcntl_getfl(&writer).expect("its flags");
    rustix::fs::fcntl_setfl(&writer, size | rustix::fs::OFlags::NONBLOCK).expect("it does not wait");
    while writer.write(&[b'\n'; 4096]).is_ok_and(|bytes| bytes > 0) {}
    rustix::fs::fcntl_setfl(&writer, size).expect("it waits again");
    (reader, writer)
}

/// A gateway whose outputs are the test's; killed at its end.
struct Mute {
    child: Child,
    _place: Place,
    address: String,
    admin: String,
    token: String,
    client: reqwest::Client,
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mute {
    /// On ports that were free a moment ago: what it says is not read.
    fn start(stdout: Stdio, stderr: Stdio) -> Self {
        let place = Place::with(&[("text-toolbox", plugin("text-toolbox")), ("misbehave", fixture("misbehave"))]);
        let token = super::admin::random_token();
        let file = place.path().join("admin-token");
        fs::write(&file, &token).expect("written");
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
        let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").to_string();
        let (address, admin) = (free(), free());
        let cache = root().join("target/test-code-cache");
        place.settings(&format!(
            "[admin]\nlisten = {admin:?}\ntoken_file = \"admin-token\"\n[plugins]\ncode_cache = {cache:?}\n[limits]\ndrain_timeout_s = 5\n"
        ));
        let mut command = Command::new(binary());
        let child =
            command.args(["serve", "--listen", &address]).current_dir(place.path()).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = child.spawn().expect("it starts");
        let client = reqwest::Client::builder().timeout(SOON).no_proxy().build().expect("a client");
        Self { child, _place: place, address, admin, token, client }
    }

    async fn ready(&self) {
        eventually("it answers", Duration::from_secs(60), async || {
            let answer = self.client.get(format!("http://{}/healthz", self.address)).send().await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
    }

    async fn call(&self, name: &str, arguments: serde_json::Value) -> Answer {
        let call = Modern::call(name, arguments);
        let request = self.client.post(format!("http://{}/mcp", self.address)).body(call.body.to_string());
        Answer::of(call.headers.iter().fold(request, |request, (name, value)| request.header(name, value.as_slice()))).await
    }

    async fn dropped(&self) -> u64 {
        let answer = Answer::of(self.client.get(format!("http://{}/metrics", self.admin)).bearer_auth(&self.token)).await;
        let line = answer.text.lines().find_map(|line| line.strip_prefix("gatehouse_log_dropped_total ")).expect("the counter");
        line.parse().expect("a number")
    }

    /// More lines than a pipe and the queue behind it hold, with calls between that want an answer; gives how many were dropped.
    async fn flood(&self) -> u64 {
        let before = self.dropped().await;
        for round in 0..20 {
            let flooding = self.call("log_flood", json!({ "lines": 1_000, "bytes": 40 })).await;
            assert_eq!(flooding.status, 200, "{flooding:?}");
            assert_eq!(self.call("echo", json!({ "message": "heard" })).await.tool_text(), "heard", "in round {round}");
        }
        self.dropped().await - before
    }

    /// Asks it to stop.
    async fn end(mut self) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("not 0");
        kill_process(pid, Signal::TERM).expect("it runs");
        let child = &mut self.child;
        let mut ended = async || child.try_wait().expect("it can be waited for");
        let began = Instant::now();
        loop {
            if let Some(status) = ended().await {
                return status;
            }
            assert!(began.elapsed() < SOON, "it does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// X07: somebody reads the log up to the line that says that it is ready, and then no more; later the reader goes away.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    for reader_goes in [false, true] {
        let mut gateway = Mute::start(Stdio::null(), Stdio::piped());
        let mut log = BufReader::new(gateway.child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.starts_with("gatehouse: ready") {
            line.clear();
            assert!(log.read_line(&mut line).expect("text") > 0, "it ended");
        }
        gateway.ready().await;
        let log = (!reader_goes).then_some(log);
        let dropped = gateway.flood().await;
        println!("X07: {dropped} lines were dropped, and nothing waited (the reader is gone: {reader_goes})");
        assert!(dropped > 0);
        assert_eq!(gateway.end().await.code(), Some(0));
        drop(log);
    }
}

/// X07: standard output and standard error are full from the start, or closed.
#[tokio::test]
async fn outputs_that_are_full_or_closed_at_the_start_stop_nothing() {
    let (stdout, stderr) = (full(), full());
    let gateway = Mute::start(stdout.1.into(), stderr.1.into());
    gateway.ready().await;
    assert!(gateway.flood().await > 0);
    assert_eq!(gateway.end().await.code(), Some(0));
    drop((stdout.0, stderr.0));

    let closed = || Stdio::from(std::io::pipe().expect("a pipe").1);
    let gateway = Mute::start(closed(), closed());
    gateway.ready().await;
    assert!(gateway.flood().await > 0, "what nobody can read any more is counted");
    assert_eq!(gateway.end().await.code(), Some(0));
}

/// X07 with X02: a stop with a call in flight, and nobody who hears why.
#[tokio::test]
async fn a_full_log_does_not_keep_it_from_ending() {
    let (stdout, stderr) = (full(), full());
    let gateway = Mute::start(stdout.1.into(), stderr.1.into());
    gateway.ready().await;
    let call = Modern::call("sleep", json!({ "ms": 29_000 }));
    let request = gateway.client.post(format!("http://{}/mcp", gateway.address)).body(call.body.to_string());
    let request = call.headers.iter().fold(request, |request, (name, value)| request.header(name, value.as_slice()));
    let sleeping = tokio::spawn(request.send());
    eventually("it runs", SOON, async || {
        let page = Answer::of(gateway.client.get(format!("http://{}/metrics", gateway.admin)).bearer_auth(&gateway.token)).await;
        page.text.contains("gatehouse_permits_in_use{tenant=\"default\"} 1").then_some(())
    })
    .await;
    assert_eq!(gateway.end().await.code(), Some(1), "after drain_timeout_s");
    assert!(sleeping.await.expect("no panic").is_err());
    drop((stdout.0, stderr.0));
}
