//! What a request costs, in numbers that no clock has a part in: they are the same on a slow machine and on a busy one, and need no right but to
//! look at a process of one's own. A change that makes each call fault, wait or ask the kernel once more is seen here, before anybody measures.
//!
//! Heap allocations are counted in `bench/sandbox/src/allocations.rs`, where the sandbox runs in the test's own process.

use crate::harness::process::{Counted, counted};
use crate::harness::raw::{self, Raw};
use crate::harness::{Gateway, Modern, count, turn};
use perf_event::events::Hardware;
use perf_event::{Builder, Counter};
use rustix::io::Errno;
use serde_json::json;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;

/// So many are counted together.
const ECHOES: u32 = 2_000;

/// Nothing that an echo touches is new: its instance gets a place that is used already.
const FAULTS_MAX: f64 = 0.2;
/// 3.6 to 3.7 where this was written: its thread waits for the next request, others are woken for a part of it or for nothing, and the ticker sleeps
/// once more where it takes longer.
const WAITS_MAX: f64 = 6.0;
/// 8.5 to 8.6 where this was written: to wait, to read, to write, to wake, and now and then to look at the clock of a thread.
const SYSTEM_CALLS_MAX: f64 = 13.0;
/// 238,000 where this was written; 271,000 built without the profile, as other compilers do. They make others of the same source, and processors
/// differ in what they have instructions for: hence the room.
const INSTRUCTIONS_MAX: f64 = 290_000.0;

/// Calls that answer with an event stream, one after the other.
const STREAMS: u32 = 200;
/// One each, and a few for what the gateway writes by itself.
const SYNCS_MAX: f64 = 1.5;

/// A connection, and an echo on it.
struct Echo {
    raw: Raw,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Echo {
    async fn of(gateway: &Gateway) -> Self {
        let Modern { body, headers, path, .. } = Modern::call("echo", json!({ "message": "x".repeat(100) }));
        let head: String = headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value))).collect();
        let request = raw::message(&format!("POST {path} HTTP/1.1\nhost: localhost\n{head}"), body.to_string());
        let raw = Raw::connect(&gateway.address()).await;
        raw.0.set_nodelay(true).expect("a connection");
        Self { raw, request, answer: Vec::new() }
    }

    /// One after the other.
    async fn times(&mut self, count: u32) {
        for _ in 0..count {
            self.raw.send(&self.request).await;
            self.answer.clear();
            // What the gateway says of an echo is short, and ends its JSON.
            while !self.answer.ends_with(b"}") {
                let read = tokio::time::timeout(Duration::from_secs(40), self.raw.0.read_buf(&mut self.answer));
                assert!(read.await.expect("in time").expect("an open connection") > 0, "the gateway closed the connection");
            }
        }
        let answer = String::from_utf8_lossy(&self.answer);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"result\":") && !answer.contains("\"isError\":true"), "{answer}");
    }
}

fn check(what: &str, found: f64, most: f64) {
    println!("an echo: {found:.2} {what}");
    assert!(
        found <= most,
        "an echo cost {found:.2} {what}, at most {most} are usual: if more is meant, change the figure in tests/integration/cost.rs"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echo_faults_waits_and_asks_the_kernel_no_more_than_it_did() {
    let _turn = turn().await;
    let gateway = Gateway::start().await;
    let mut echo = Echo::of(&gateway).await;
    // Until all that it uses has been used.
    echo.times(ECHOES).await;
    let counters = Instructions::of(gateway.pid());
    let before = counted(gateway.pid());
    echo.times(ECHOES).await;
    let after = counted(gateway.pid());
    let instructions = counters.and_then(Instructions::so_far);
    let each = |of: fn(&Counted) -> u64| (of(&after) - of(&before)) as f64 / f64::from(ECHOES);
    check("page faults", each(|counted| counted.faults), FAULTS_MAX);
    check("waits of a thread", each(|counted| counted.waits), WAITS_MAX);
    match instructions {
        Ok(all) => check("instructions", all as f64 / f64::from(ECHOES), INSTRUCTIONS_MAX),
        Err(why) => println!("instructions are not counted: {why}"),
    }
    match system_calls(&gateway, echo.times(ECHOES)).await {
        Ok(table) => check("system calls", f64::from(counted_calls(&table, "total")) / f64::from(ECHOES), SYSTEM_CALLS_MAX),
        Err(why) => println!("system calls are not counted: {why}"),
    }
}

/// Opening the stream, what the call says, and its end become durable together: a disk is slower than all else on a call's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_waits_for_the_disk_once() {
    let _turn = turn().await;
    let gateway = Gateway::start().await;
    let session = gateway.session("2025-11-25").await;
    let streams = async {
        for id in 0..STREAMS {
            let answer = gateway.legacy(Some(&session), count(id, 1, 0)).await;
            assert!(answer.is_stream() && answer.notifications().len() == 1, "{answer:?}");
        }
    };
    match system_calls(&gateway, streams).await {
        Ok(table) => {
            let syncs = f64::from(counted_calls(&table, "fdatasync")) / f64::from(STREAMS);
            println!("a stream: {syncs:.2} fdatasync");
            assert!((1.0..SYNCS_MAX).contains(&syncs), "a stream waited {syncs:.2} times for the disk");
        }
        Err(why) => println!("system calls are not counted: {why}"),
    }
}

/// The processor's counters of what all threads of a process run outside of the kernel, those that come later included. A virtual machine may have
/// none, and a container may not look at them.
struct Instructions(Vec<Counter>);

impl Instructions {
    /// From now on.
    fn of(pid: u32) -> io::Result<Self> {
        let counter = |task: io::Result<DirEntry>| {
            let thread = task?.file_name().to_string_lossy().parse().expect("a number");
            let mut builder = Builder::new().kind(Hardware::INSTRUCTIONS).observe_pid(thread);
            builder.inherit(true);
            let mut counter = builder.build()?;
            counter.enable()?;
            Ok(counter)
        };
        // One that ends now has no part in it.
        let ended = |error: &io::Error| error.raw_os_error() == Some(Errno::SRCH.raw_os_error());
        let counters = fs::read_dir(format!("/proc/{pid}/task"))?.map(counter).filter(|counter| !counter.as_ref().is_err_and(ended));
        counters.collect::<io::Result<_>>().map(Self)
    }

    fn so_far(mut self) -> io::Result<u64> {
        self.0.iter_mut().map(Counter::read).sum()
    }
}

/// The system calls that are made meanwhile, as `strace` counts them where there is one, and where it may: `number name` a line, and their sum at
/// the end.
async fn system_calls(gateway: &Gateway, work: impl Future<Output = ()>) -> Result<String, String> {
    let table = gateway.data().join("strace");
    let pid = gateway.pid();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-U", "calls,name", "-o"]).arg(&table).args(["-p", &pid.to_string()]);
    let started = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut strace = started.map_err(|error| format!("strace: {error}"))?;
    let began = Instant::now();
    while !is_traced(pid) {
        if strace.try_wait().map_err(|error| error.to_string())?.is_some() || began.elapsed() > Duration::from_secs(20) {
            let _ = strace.kill();
            return Err("strace may not look at the process".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    work.await;
    let tracer = rustix::process::Pid::from_raw(i32::try_from(strace.id()).expect("a pid")).expect("not 0");
    rustix::process::kill_process(tracer, rustix::process::Signal::INT).map_err(|error| error.to_string())?;
    strace.wait().map_err(|error| error.to_string())?;
    let text = fs::read_to_string(&table).map_err(|error| error.to_string())?;
    println!("{text}");
    Ok(text)
}

/// How many of a name are in such a table.
fn counted_calls(table: &str, name: &str) -> u32 {
    let number = |line: &str| line.trim().strip_suffix(name)?.trim().parse().ok();
    table.lines().find_map(number).unwrap_or_default()
}

/// All its threads.
fn is_traced(pid: u32) -> bool {
    let is = |task: &Path| fs::read_to_string(task.join("status")).is_ok_and(|status| !status.contains("TracerPid:\t0\n"));
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    tasks.filter_map(Result::ok).all(|task| is(&task.path()))
}
