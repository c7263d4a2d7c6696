//! The store: how near durable appends come to what the disk can do, what a replay and a start cost, what a waiting session costs.

use crate::print;
use crate::servers::Server;
use anyhow::{Context, Result};
use bytes::Bytes;
use event_store::{
    Durability, EventStore, Kind, NewEvent, Partition, Record, Seq, Settings, Space, Start, StoreTime, StreamKey, TenantKey,
};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an event: about what a progress report has.
const EVENT_BYTES: usize = 300;
/// Streams of the start that is measured.
const STREAMS: u64 = 100_000;
/// Sessions that wait, if the process may open so many files.
const WAITING: u64 = 10_000;

pub(crate) async fn measure(each: Duration) -> Result<()> {
    let directory = tempfile::tempdir_in(".")?;
    appends(directory.path(), each).await?;
    replay(directory.path()).await?;
    start(directory.path()).await?;
    waiting().await
}

fn session(number: u64) -> Result<Partition> {
    let tenant = TenantKey::new("bench").context("a tenant")?;
    Ok(Partition { tenant, space: Space::Session, id: u128::from(number).to_be_bytes() })
}

fn settings() -> Settings {
    Settings { tenant_bytes_max: 1 << 40, total_bytes_max: 1 << 40, ..Settings::default() }
}

fn open(path: &Path, settings: Settings) -> Result<Arc<dyn EventStore>> {
    Ok(event_store::sled(path, settings, Start::Required)?)
}

/// A stream of a session of its own.
async fn stream(store: &dyn EventStore, number: u64) -> Result<StreamKey> {
    let key = StreamKey { partition: session(number)?, stream: 1 };
    store.put(&key.partition, Record { data: Bytes::from_static(b"{}"), expires: StoreTime(u64::MAX) }).await?;
    store.open(&key, Bytes::from_static(b"1")).await?;
    Ok(key)
}

fn event(seq: u64) -> NewEvent {
    NewEvent { seq: Seq(seq), kind: Kind::Message, data: Bytes::from(vec![b'x'; EVENT_BYTES]) }
}

/// What the disk does by itself: the same bytes, one after the other, each synced.
fn raw_syncs(directory: &Path, each: Duration) -> Result<f64> {
    let mut file = File::create(directory.join("raw"))?;
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < each {
        file.write_all(&[b'x'; EVENT_BYTES + 100])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

async fn appends(directory: &Path, each: Duration) -> Result<()> {
    print(&format!("\n{:<28}{:>12}{:>12}{:>10}{:>10}{:>22}", "", "writers", "appends/s", "p50 µs", "p99 µs", "of one raw fdatasync"));
    for durability in [Durability::Fsync, Durability::Os] {
        for writers in [1, 16, 64, 256] {
            let raw = raw_syncs(directory, each / 2)?;
            if durability == Durability::Fsync {
                print(&format!("{:<28}{:>12}{raw:>12.0}", "raw fdatasync of 400 bytes", 1));
            }
            let path = directory.join(format!("{durability:?}-{writers}"));
            let store = open(&path, Settings { durability, ..settings() })?;
            let mut tasks = Vec::new();
            for number in 0..writers {
                let (store, key) = (Arc::clone(&store), stream(&*store, number).await?);
                tasks.push(tokio::task::spawn(async move {
                    let (mut latencies, began) = (Vec::new(), Instant::now());
                    for seq in 1.. {
                        let at = Instant::now();
                        if at.duration_since(began) >= each {
                            break;
                        }
                        store.append(&key, event(seq)).await?;
                        latencies.push(at.elapsed());
                    }
                    Ok::<_, event_store::StoreError>(latencies)
                }));
            }
            let mut latencies = Vec::new();
            for task in tasks {
                latencies.extend(task.await??);
            }
            latencies.sort_unstable();
            let rate = latencies.len() as f64 / each.as_secs_f64();
            let name = format!("durable append, {}", if durability == Durability::Fsync { "fsync" } else { "os" });
            let (p50, p99) = (micros(&latencies, 0.5), micros(&latencies, 0.99));
            print(&format!("{name:<28}{writers:>12}{rate:>12.0}{p50:>10.0}{p99:>10.0}{:>22.2}", rate / raw));
        }
    }
    Ok(())
}

fn micros(sorted: &[Duration], share: f64) -> f64 {
    sorted.get((sorted.len() as f64 * share) as usize).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
}

async fn replay(directory: &Path) -> Result<()> {
    let store = open(&directory.join("replay"), settings())?;
    let mut keys = Vec::new();
    for number in 0..100 {
        let key = stream(&*store, number).await?;
        let appends: Vec<_> = (1..=100).map(|seq| store.append(&key, event(seq))).collect();
        for append in appends {
            append.await?;
        }
        keys.push(key);
    }
    let mut latencies = Vec::new();
    for round in 0..2_000 {
        let Some(key) = keys.get(round % keys.len()) else { continue };
        let began = Instant::now();
        let page = store.read(key, Seq(0), usize::MAX, usize::MAX).await?;
        latencies.push(began.elapsed());
        anyhow::ensure!(page.events.len() == 100, "a replay of {} events", page.events.len());
    }
    latencies.sort_unstable();
    print(&format!("\nreplay of 100 events: p50 {:.0} µs, p99 {:.0} µs", micros(&latencies, 0.5), micros(&latencies, 0.99)));
    Ok(())
}

async fn start(directory: &Path) -> Result<()> {
    let path = directory.join("start");
    let store = open(&path, Settings { durability: Durability::None, ..settings() })?;
    for number in 0..STREAMS / 100 {
        let partition = session(number)?;
        store.put(&partition, Record { data: Bytes::from_static(b"{}"), expires: StoreTime(u64::MAX) }).await?;
        let mut writes = Vec::new();
        for stream in 1..=100 {
            let key = StreamKey { partition: partition.clone(), stream };
            writes.push(store.open(&key, Bytes::from_static(b"1")));
            writes.extend((1..=3).map(|seq| store.append(&key, event(seq))));
        }
        for write in writes {
            write.await?;
        }
    }
    drop(store);
    let began = Instant::now();
    let store = open(&path, settings())?;
    let opened = began.elapsed();
    let sessions = store.list(Space::Session, None, usize::MAX).await?.len();
    let read = began.elapsed();
    let size = store.statistics().await?.disk_bytes;
    print(&format!(
        "start with {STREAMS} streams of 3 events in {sessions} sessions: open {:.0} ms, with the sessions read {:.0} ms; {} MB on disk",
        opened.as_secs_f64() * 1e3,
        read.as_secs_f64() * 1e3,
        size / 1_000_000
    ));
    Ok(())
}

/// Sessions of 2025-11-25 that each hold their own stream open.
async fn waiting() -> Result<()> {
    let (_, hard) = limits();
    // One connection each here, and one there; the gateway keeps some files for other things.
    let count = WAITING.min(hard.saturating_sub(2_000) / 2);
    let limits = format!(
        "[limits]\nsessions_per_tenant_max = {0}\nsessions_per_principal_max = {0}\nstreams_per_tenant_max = {0}\nstreams_per_principal_max = {0}\n\
         sessions_max = {0}\nconnections_max = {0}\nconnections_per_address_max = {0}\nsession_initialization_timeout_s = 3600\n",
        count + 100
    );
    let gateway = Server::gatehouse_with(&limits).await?;
    let before = gateway.resident_kb()?;
    let mut open = Vec::new();
    for _ in 0..count {
        let session = gateway.initialize().await?;
        let mut stream = TcpStream::connect(gateway.address()).await?;
        let request = format!("GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        anyhow::ensure!(head == *b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&head));
        open.push(stream);
    }
    let after = gateway.resident_kb()?;
    let each = after.saturating_sub(before) as f64 / count.max(1) as f64;
    print(&format!("{count} sessions with an open stream: {} MiB more, {each:.1} KiB each", after.saturating_sub(before) / 1_024));
    Ok(())
}

/// Raises the number of files that this process and its children may open; what it was and what it is.
fn limits() -> (u64, u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let hard = now.maximum.unwrap_or(1 << 20);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(hard), maximum: now.maximum });
    (now.current.unwrap_or(hard), if raised.is_ok() { hard } else { now.current.unwrap_or(1_024) })
}
