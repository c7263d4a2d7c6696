//! D01: a process that is killed at any moment loses nothing that it acknowledged.
//!
//! The child is this test binary again. It says each acknowledgement on its standard output; the parent kills it after some number of them,
//! opens the store, and looks for everything that was said.

use super::contract::{record, session, stream};
use crate::{Bucket, Change, EventStore, Filled, Kind, NewEvent, Partition, Seq, Settings, Start, StreamKey};
use bytes::Bytes;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WRITERS: u8 = 32;
const ROUNDS: u32 = 50;
/// Where the child finds the store; without it the child does nothing.
const DIRECTORY: &str = "GATEHOUSE_CRASH_DIRECTORY";

fn open(directory: &Path) -> Arc<dyn EventStore> {
    let settings = Settings { ring_events_max: 20, ..Settings::default() };
    crate::sled(directory, settings, Start::Required).expect("opened")
}

/// What an event of that place holds: different for each, of all sizes, some of several parts.
fn data(key: &StreamKey, seq: u64) -> Bytes {
    let (writer, words) = (key.partition.id[0], seq * 31 + key.stream * 7);
    let bytes = if seq.is_multiple_of(97) { 40_000 } else { usize::try_from(words % 500).expect("small") };
    let head = format!("{writer} {} {seq} ", key.stream);
    [head.as_bytes(), &vec![u8::try_from(words % 251).expect("small"); bytes]].concat().into()
}

fn partition(writer: u8) -> Partition {
    session(if writer.is_multiple_of(2) { "even" } else { "odd" }, writer)
}

/// What a writer keeps under a key of its bucket for each of its streams: of one part or two.
fn entry(writer: u8, number: u64) -> (Bucket, Bytes, Bytes) {
    let bytes = if number.is_multiple_of(7) { 20_000 } else { usize::try_from(number % 90).expect("small") };
    let value = [format!("{writer} {number} ").as_bytes(), &vec![writer; bytes]].concat();
    let bucket = Bucket::new(partition(writer).tenant, "p", &writer.to_string()).expect("names");
    (bucket, number.to_string().into(), value.into())
}

/// Writes until it is killed: streams of up to 40 events, each with a final one, then the next stream of the same session. Every third is
/// complete when it begins.
async fn write(store: Arc<dyn EventStore>, writer: u8) {
    let partition = partition(writer);
    // The record says which stream was the last one; without a record there is nothing.
    let found = store.get(&partition).await.expect("read");
    let mut number = found.map_or(0, |record| String::from_utf8_lossy(&record.data).parse().expect("a number"));
    if number == 0 {
        say(&format!("{writer} 0 0"));
    }
    loop {
        number += 1;
        store.put(&partition, record(&number.to_string(), u64::MAX)).await.expect("put");
        let key = stream(&partition, number);
        let length = 1 + (number * 13) % 40;
        let event = |seq| {
            let kind = if seq == length { Kind::Final { keep_for: Duration::from_secs(3_600) } } else { Kind::Message };
            NewEvent { seq: Seq(seq), kind, data: data(&key, seq) }
        };
        let mut events: Vec<_> = (1..=length).map(event).collect();
        let said = if number.is_multiple_of(3) { std::mem::take(&mut events) } else { Vec::new() };
        let said_through = said.len();
        store.open(&key, Bytes::from_static(b"about"), said).await.expect("opened");
        let (bucket, entry_key, value) = entry(writer, number);
        let room = Filled { keys: u64::MAX, bytes: u64::MAX };
        store.change(&bucket, vec![Change::Set(entry_key, value)], room).await.expect("set");
        say(&format!("{writer} {number} {said_through}"));
        for event in events {
            let seq = event.seq.0;
            store.append(&key, event).await.expect("appended");
            say(&format!("{writer} {number} {seq}"));
        }
        if number % 5 == 0 {
            store.remove(&partition).await.expect("removed");
            say(&format!("{writer} 0 0"));
        }
    }
}

/// One whole line, or none of it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("ack {line}\n").as_bytes()).and_then(|()| out.flush()).expect("somebody listens");
}

#[test]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let store = open(Path::new(&directory));
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(Arc::clone(&store), writer));
        }
        writers.join_all().await;
    });
}

/// What was acknowledged: the newest event of each stream. A removal takes what was before it.
type Acknowledged = HashMap<(u8, u64), u64>;

/// Runs a child until it said so many things, and kills it. `last_moment` is called in between, while the child stands still.
fn round(directory: &Path, until: u32, acknowledged: &mut Acknowledged, last_moment: impl FnOnce()) -> u32 {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "tests::crash::child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let (mut said, mut last_moment) = (0, Some(last_moment));
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).expect("read") > 0 {
        // The last line may be cut: then it was not said.
        let text = std::mem::take(&mut line);
        let Some(text) = text.strip_suffix(b"\n") else { break };
        let text = String::from_utf8_lossy(text).into_owned();
        let Some((_, numbers)) = text.split_once("ack ") else { continue };
        let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [writer, number, seq] = numbers[..] else { panic!("{text}") };
        let writer = u8::try_from(writer).expect("a writer");
        if number == 0 {
            acknowledged.retain(|(of, _), _| *of != writer);
        } else {
            acknowledged.insert((writer, number), seq);
        }
        said += 1;
        if said == until
            && let Some(last_moment) = last_moment.take()
        {
            let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("not 0");
            rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("it runs");
            last_moment();
            child.kill().expect("killed");
        }
    }
    child.wait().expect("ended");
    assert!(said >= until, "the child ended by itself");
    said
}

/// Everything that was acknowledged is there, in order, once, byte for byte.
async fn check(store: &dyn EventStore, acknowledged: &Acknowledged) -> usize {
    let mut events = 0;
    for ((writer, number), newest) in acknowledged {
        let (bucket, entry_key, value) = entry(*writer, *number);
        let kept = store.values(&bucket, vec![entry_key], usize::MAX).await.expect("read");
        assert_eq!(kept, [Some(value)], "writer {writer}, key {number}");
        let key = stream(&partition(*writer), *number);
        let Some(header) = store.header(&key).await.expect("read") else {
            // The only reason not to be there is a removal that was under way, which takes all.
            let removing = acknowledged.keys().any(|(of, later)| of == writer && later % 5 == 0 && later >= number);
            let record = store.get(&partition(*writer)).await.expect("read");
            assert!(removing && record.is_none(), "stream {number} of writer {writer} is lost");
            continue;
        };
        assert!(header.last.0 >= *newest, "writer {writer}, stream {number}: {newest} was acknowledged, {:?} is there", header.last);
        let page = store.read(&key, Seq(0), usize::MAX, usize::MAX).await.expect("read");
        let first = header.last.0.saturating_sub(19).max(1);
        let found: Vec<_> = page.events.iter().map(|event| event.seq.0).collect();
        assert_eq!(found, (first..=header.last.0).collect::<Vec<_>>(), "writer {writer}, stream {number}");
        for event in &page.events {
            assert_eq!(event.data, data(&key, event.seq.0), "writer {writer}, stream {number}, event {}", event.seq.0);
        }
        events += page.events.len();
    }
    events
}

#[test]
fn nothing_acknowledged_is_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    // `make crash SECONDS=…` asks for more than the rounds of every day.
    let longer = std::env::var_os("GATEHOUSE_CRASH_SECONDS")
        .map(|seconds| Duration::from_secs(seconds.to_str().and_then(|seconds| seconds.parse().ok()).expect("a number of seconds")));
    let (begun, mut acknowledged, mut rounds, mut said, mut seed) = (Instant::now(), Acknowledged::new(), 0, 0, 99_u64);
    let mut found = 0;
    while longer.map_or(rounds < ROUNDS, |longer| begun.elapsed() < longer) {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let until = 1 + u32::try_from((seed >> 33) % 3_000).expect("small");
        said += round(directory.path(), until, &mut acknowledged, || {});
        let store = open(directory.path());
        assert_eq!(store.health().quarantined, None);
        found = runtime.block_on(check(&*store, &acknowledged));
        rounds += 1;
    }
    println!("{rounds} kills, {said} acknowledgements, none lost; {found} events at the end");
}

/// A power cut, as far as it can be had without one: the store lies in an image of its own file system, and what had reached the image at
/// one moment is all that is left. Needs root and a loop device, so `make powercut` runs it. (A disk that loses what it said it has is not
/// modelled.)
#[test]
#[ignore = "needs root and a loop device: make powercut"]
fn nothing_acknowledged_is_lost_by_a_power_cut() {
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).status().expect("it runs");
        assert!(status.success(), "{program} {arguments:?}: {status}");
    };
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let (image, left, live, after) = (path("image"), path("left"), path("live"), path("after"));
    std::fs::create_dir(&live).and_then(|()| std::fs::create_dir(&after)).expect("made");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (mut seed, mut said, mut found) = (5_u64, 0, 0);
    const CUTS: u32 = 20;
    for _ in 0..CUTS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let until = 1 + u32::try_from((seed >> 33) % 6_000).expect("small");
        std::fs::File::create(&image).and_then(|file| file.set_len(300 << 20)).expect("an image");
        run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=0", &image]);
        run("mount", &["-o", "loop,commit=60", &image, &live]);
        let mut acknowledged = Acknowledged::new();
        let store = Path::new(&live).join("store");
        said += round(&store, until, &mut acknowledged, || run("cp", &["--sparse=always", &image, &left]));
        run("umount", &[&live]);
        run("mount", &["-o", "loop", &left, &after]);
        let store = open(&Path::new(&after).join("store"));
        assert_eq!(store.health().quarantined, None);
        found += runtime.block_on(check(&*store, &acknowledged));
        drop(store);
        run("umount", &[&after]);
    }
    println!("{CUTS} power cuts, {said} acknowledgements, none lost; {found} events found");
}
