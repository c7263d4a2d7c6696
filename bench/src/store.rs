//! The store: how near durable appends come to what the disk can do, what a replay and a start cost.

use crate::report::{Report, Shape};
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

/// Bytes of an event: about what a progress report has.
const EVENT_BYTES: usize = 300;
/// Streams of the start that is measured.
const STREAMS: u64 = 100_000;

pub(crate) async fn measure(report: &mut Report, each: Duration) -> Result<()> {
    // Not where temporary files are: that may be memory.
    let directory = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"))?;
    appends(report, directory.path(), each).await?;
    let table = report.table("store: what is read of it", "", &[("p50 ms", 2), ("p99 ms", 2), ("MB on disk", 0)], Shape::Bars(0));
    let [p50, p99] = replay(directory.path()).await?;
    table.row("a replay of 100 events", &[p50, p99, f64::NAN]);
    let (opened_ms, read_ms, size_mb) = start(directory.path()).await?;
    table.row(&format!("a start with {STREAMS} streams of 3 events"), &[opened_ms, f64::NAN, size_mb]);
    table.row("  and its sessions read", &[read_ms, f64::NAN, size_mb]);
    Ok(())
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
    store.open(&key, Bytes::from_static(b"1"), Vec::new()).await?;
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

async fn appends(report: &mut Report, directory: &Path, each: Duration) -> Result<()> {
    let columns = [("appends/s", 0), ("p50 µs", 0), ("p99 µs", 0), ("of raw", 2)];
    let title = format!("store: durable appends of {EVENT_BYTES} bytes; beside fdatasync of 400 bytes one after the other");
    let table = report.table(title, "", &columns, Shape::Bars(0));
    for durability in [Durability::Fsync, Durability::Os] {
        for writers in [1, 16, 64, 256] {
            let raw = raw_syncs(directory, each / 2)?;
            if durability == Durability::Fsync {
                table.row("raw fdatasync, 1 writer", &[raw, f64::NAN, f64::NAN, 1.0]);
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
            let name = format!("{}, {writers} writers", if durability == Durability::Fsync { "fsync" } else { "os" });
            table.row(&name, &[rate, micros(&latencies, 0.5), micros(&latencies, 0.99), rate / raw]);
        }
    }
    Ok(())
}

fn micros(sorted: &[Duration], share: f64) -> f64 {
    sorted.get((sorted.len() as f64 * share) as usize).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
}

/// In milliseconds: half of them, and 99 of 100.
async fn replay(directory: &Path) -> Result<[f64; 2]> {
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
    Ok([0.5, 0.99].map(|share| micros(&latencies, share) / 1e3))
}

/// Until it is open, and until its sessions are read, in milliseconds; and its size in MB.
async fn start(directory: &Path) -> Result<(f64, f64, f64)> {
    let path = directory.join("start");
    let store = open(&path, Settings { durability: Durability::None, ..settings() })?;
    for number in 0..STREAMS / 100 {
        let partition = session(number)?;
        store.put(&partition, Record { data: Bytes::from_static(b"{}"), expires: StoreTime(u64::MAX) }).await?;
        let mut writes = Vec::new();
        for stream in 1..=100 {
            let key = StreamKey { partition: partition.clone(), stream };
            writes.push(store.open(&key, Bytes::from_static(b"1"), Vec::new()));
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
    let sessions = store.list(Space::Session, None, usize::MAX).await?.len() as u64;
    let read = began.elapsed();
    anyhow::ensure!(sessions == STREAMS / 100, "{sessions} sessions");
    let size = store.statistics().await?.disk_bytes;
    Ok((opened.as_secs_f64() * 1e3, read.as_secs_f64() * 1e3, size as f64 / 1e6))
}
