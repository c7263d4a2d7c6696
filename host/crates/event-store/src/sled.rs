//! The durable back end, on sled 0.34.
//!
//! One thread writes everything, group by group. A group is durable when it lies in a log of our own ([`redo`]); in memory it is laid over the
//! tree ([`table`]), and goes to sled later, many groups together.
//!
//! sled's own `flush` does not reach the disk (it asks for `sync_file_range`), and values that outgrow a page go to files that it never
//! syncs. So the writer calls `fdatasync` itself on sled's log after each bite; values are cut small enough to stay in that log; nothing else
//! of sled is used than one tree and its ranges, and batches where a whole database is written.
//!
//! Reads take the database shared, the writer takes it alone until a group is durable: what is read is on the disk.

mod commit;
mod compact;
mod layout;
mod open;
mod plan;
mod queue;
mod read;
mod redo;
mod table;
mod walk;

pub(crate) use compact::compact;
pub(crate) use open::open;

use crate::clock::Clock;
use crate::{
    Bucket, Change, Cursor, Decide, EventStore, Filled, Header, Health, KeyPage, NewEvent, Page, Partition, Pending, Record, Seq, Settings,
    Space, Statistics, StoreError, StoreTime, StreamKey, Swept, TenantKey, Walk,
};
use bytes::Bytes;
use commit::Committer;
use open::Database;
use parking_lot::{Mutex, RwLock};
use plan::Fault;
use queue::{Queue, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, oneshot};

/// Reads that may be at the disk at once.
const READERS_MAX: usize = 8;

/// What the writer and the readers share.
#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    settings: Settings,
    clock: Clock,
    /// 0 until the database was opened once.
    incarnation: AtomicU32,
    health: Mutex<Health>,
    /// None while the disk refuses.
    database: RwLock<Option<Database>>,
    queue: Queue,
    /// Whoever only looks sets nothing aside.
    looks: bool,
    readers: Arc<Semaphore>,
}

#[derive(Debug)]
struct SledStore {
    shared: Arc<Shared>,
    committer: Option<JoinHandle<()>>,
}

impl SledStore {
    fn write<T: Send + 'static>(
        &self,
        tenant: Option<&TenantKey>,
        bytes: usize,
        write: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Write,
    ) -> Pending<T> {
        let (answer, answered) = oneshot::channel();
        let queued = match &self.shared.health.lock().degraded {
            Some(reason) => Err(StoreError::Unavailable { maybe_applied: false, reason: reason.clone() }),
            None => self.shared.queue.push(tenant, bytes, write(answer)),
        };
        let nudge = Nudge(Arc::clone(&self.shared));
        Box::pin(async move {
            drop(nudge);
            queued?;
            let gone = StoreError::Unavailable { maybe_applied: true, reason: "the store has been closed".to_owned() };
            answered.await.unwrap_or(Err(gone))
        })
    }

    fn read<T: Send + 'static>(
        &self,
        partition: Option<&Partition>,
        none: Result<T, StoreError>,
        read: impl FnOnce(&Database) -> Result<T, Fault> + Send + 'static,
    ) -> Pending<T> {
        read_later(&self.shared, partition.cloned(), none, read)
    }
}

/// Wakes the writer as soon as somebody waits for a write, or has let go of it: until then there may come more to be written together.
struct Nudge(Arc<Shared>);

impl Drop for Nudge {
    fn drop(&mut self) {
        self.0.queue.wake();
    }
}

/// Reads on a thread that may wait for the disk.
fn read_later<T: Send + 'static>(
    shared: &Arc<Shared>,
    partition: Option<Partition>,
    none: Result<T, StoreError>,
    read: impl FnOnce(&Database) -> Result<T, Fault> + Send + 'static,
) -> Pending<T> {
    let shared = Arc::clone(shared);
    Box::pin(async move {
        let unavailable = |reason: &str| StoreError::Unavailable { maybe_applied: false, reason: reason.to_owned() };
        let permit = Arc::clone(&shared.readers).acquire_owned().await.map_err(|_| unavailable("the store has been closed"))?;
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            shared.read(partition.as_ref(), none, read)
        });
        read.await.map_err(|_| unavailable("reading was broken off"))?
    })
}

impl Shared {
    fn read<T>(
        &self,
        partition: Option<&Partition>,
        none: Result<T, StoreError>,
        read: impl FnOnce(&Database) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let guard = self.database.read();
        let Some(database) = guard.as_ref() else {
            let reason = self.health.lock().degraded.clone().unwrap_or_default();
            return Err(StoreError::Unavailable { maybe_applied: false, reason });
        };
        if partition.is_some_and(|partition| database.doomed.contains(partition)) {
            return none;
        }
        let generation = database.generation;
        // sled asserts what it believes of its own files.
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(database)));
        drop(guard);
        match read {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Fault::Refused(error))) => Err(error),
            Ok(Err(Fault::Disk(reason))) => {
                let mut health = self.health.lock();
                health.errors += 1;
                health.read_errors += 1;
                drop(health);
                Err(StoreError::Unavailable { maybe_applied: false, reason })
            }
            Ok(Err(Fault::Damaged(_))) | Err(_) if self.looks => Err(StoreError::Damaged),
            Ok(Err(Fault::Damaged(reason))) => {
                self.queue.report_damage(generation, reason);
                Err(StoreError::Damaged)
            }
            Err(_) => {
                self.queue.report_damage(generation, "the database gave up on its own files".to_owned());
                Err(StoreError::Damaged)
            }
        }
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("the store's writer ended in a panic");
        }
    }
}

impl EventStore for SledStore {
    fn open(&self, stream: &StreamKey, about: Bytes, said: Vec<NewEvent>) -> Pending<()> {
        let bytes = said.iter().fold(about.len(), |sum, event| sum.saturating_add(event.data.len()));
        self.write(Some(&stream.partition.tenant), bytes, |answer| Write::Open { stream: stream.clone(), about, said, answer })
    }

    fn append(&self, stream: &StreamKey, event: NewEvent) -> Pending<()> {
        self.write(Some(&stream.partition.tenant), event.data.len(), |answer| Write::Append { stream: stream.clone(), event, answer })
    }

    fn header(&self, stream: &StreamKey) -> Pending<Option<Header>> {
        let key = stream.clone();
        self.read(Some(&stream.partition), Ok(None), move |database| read::header(&database.table, &key))
    }

    fn read(&self, stream: &StreamKey, after: Seq, events_max: usize, bytes_max: usize) -> Pending<Page> {
        let key = stream.clone();
        self.read(Some(&stream.partition), Err(StoreError::Unknown), move |database| {
            read::page(&database.table, &key, after, events_max, bytes_max)
        })
    }

    fn put(&self, partition: &Partition, record: Record) -> Pending<()> {
        self.write(Some(&partition.tenant), record.data.len(), |answer| Write::Put { partition: partition.clone(), record, answer })
    }

    fn get(&self, partition: &Partition) -> Pending<Option<Record>> {
        let key = partition.clone();
        self.read(Some(partition), Ok(None), move |database| read::record(&database.table, &key))
    }

    fn remove(&self, partition: &Partition) -> Pending<()> {
        self.write(Some(&partition.tenant), 0, |answer| Write::Remove { partition: partition.clone(), answer })
    }

    fn list(&self, space: Space, after: Option<&Partition>, max: usize) -> Pending<Vec<(Partition, Record)>> {
        let after = after.cloned();
        self.read(None, Ok(Vec::new()), move |database| read::records(&database.table, space, after.as_ref()).take(max).collect())
    }

    fn walk(&self, after: Option<Cursor>, max: usize) -> Pending<Walk> {
        self.read(None, Ok(Walk::default()), move |database| walk::page(&database.table, after, max))
    }

    fn values(&self, bucket: &Bucket, keys: Vec<Bytes>, bytes_max: usize) -> Pending<Vec<Option<Bytes>>> {
        let bucket = bucket.clone();
        self.read(None, Ok(Vec::new()), move |database| read::values(&database.table, &bucket, &keys, bytes_max))
    }

    fn keys(&self, bucket: &Bucket, after: u64, keys_max: usize, bytes_max: usize) -> Pending<KeyPage> {
        let bucket = bucket.clone();
        self.read(None, Ok(KeyPage::default()), move |database| read::keys(&database.table, &bucket, after, keys_max, bytes_max))
    }

    fn change(&self, bucket: &Bucket, changes: Vec<Change>, limits: Filled) -> Pending<()> {
        let bytes = changes.iter().map(|change| match change {
            Change::Set(key, value) => key.len() + value.len(),
            Change::Remove(key) => key.len(),
        });
        let (bytes, bucket) = (bytes.sum(), bucket.clone());
        self.write(Some(&bucket.tenant().clone()), bytes, |answer| Write::Change { bucket, changes, limits, answer })
    }

    fn decide(&self, bucket: &Bucket, key: Bytes, decide: Decide, limits: Filled) -> Pending<Option<Bytes>> {
        let bucket = bucket.clone();
        self.write(Some(&bucket.tenant().clone()), key.len(), |answer| Write::Decide { bucket, key, decide, limits, answer })
    }

    fn clear(&self, bucket: &Bucket) -> Pending<bool> {
        let bucket = bucket.clone();
        self.write(Some(&bucket.tenant().clone()), 0, |answer| Write::Clear { bucket, answer })
    }

    fn sweep(&self) -> Pending<Swept> {
        self.write(None, 0, |answer| Write::Sweep { answer })
    }

    fn usage(&self) -> Pending<Vec<(TenantKey, u64)>> {
        self.read(None, Ok(Vec::new()), |database| read::usages(&database.table).collect())
    }

    fn statistics(&self) -> Pending<Statistics> {
        let shared = Arc::clone(&self.shared);
        // Bite by bite: counting takes long, and the writer waits for readers.
        Box::pin(async move {
            let mut so_far = read_later(&shared, None, Ok(Statistics::default()), Database::usage).await?;
            let mut from = Some(Vec::new());
            while let Some(key) = from.take() {
                let none = Ok((Statistics::default(), None));
                (so_far, from) = read_later(&shared, None, none, move |database| read::count(&database.table, &key, so_far)).await?;
            }
            Ok(so_far)
        })
    }

    fn health(&self) -> Health {
        self.shared.health.lock().clone()
    }

    fn incarnation(&self) -> u32 {
        self.shared.incarnation.load(Ordering::Relaxed)
    }

    fn now(&self) -> StoreTime {
        self.shared.clock.now()
    }
}
