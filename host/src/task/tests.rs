//! Tasks over a store that refuses for a while.

use super::*;
use bytes::Bytes;
use event_store::{
    Bucket, Cursor, Decide, Filled, Header, Health, KeyPage, NewEvent, Page, Pending, Seq, Settings, Statistics, StoreError, StreamKey,
    Swept, Walk,
};

/// A store in memory whose records cannot be written while it refuses.
#[derive(Debug)]
struct Refusing {
    store: Arc<dyn EventStore>,
    refuses: AtomicBool,
}

impl EventStore for Refusing {
    fn put(&self, partition: &Partition, record: Record) -> Pending<()> {
        if self.refuses.load(Ordering::Relaxed) {
            let refused = StoreError::Unavailable { maybe_applied: false, reason: "told to refuse".to_owned() };
            return Box::pin(std::future::ready(Err(refused)));
        }
        self.store.put(partition, record)
    }

    fn open(&self, stream: &StreamKey, about: Bytes, said: Vec<NewEvent>) -> Pending<()> {
        self.store.open(stream, about, said)
    }

    fn append(&self, stream: &StreamKey, event: NewEvent) -> Pending<()> {
        self.store.append(stream, event)
    }

    fn header(&self, stream: &StreamKey) -> Pending<Option<Header>> {
        self.store.header(stream)
    }

    fn read(&self, stream: &StreamKey, after: Seq, events_max: usize, bytes_max: usize) -> Pending<Page> {
        self.store.read(stream, after, events_max, bytes_max)
    }

    fn get(&self, partition: &Partition) -> Pending<Option<Record>> {
        self.store.get(partition)
    }

    fn remove(&self, partition: &Partition) -> Pending<()> {
        self.store.remove(partition)
    }

    fn list(&self, space: Space, after: Option<&Partition>, max: usize) -> Pending<Vec<(Partition, Record)>> {
        self.store.list(space, after, max)
    }

    fn values(&self, bucket: &Bucket, keys: Vec<Bytes>, bytes_max: usize) -> Pending<Vec<Option<Bytes>>> {
        self.store.values(bucket, keys, bytes_max)
    }

    fn keys(&self, bucket: &Bucket, after: u64, keys_max: usize, bytes_max: usize) -> Pending<KeyPage> {
        self.store.keys(bucket, after, keys_max, bytes_max)
    }

    fn change(&self, bucket: &Bucket, changes: Vec<event_store::Change>, limits: Filled) -> Pending<()> {
        self.store.change(bucket, changes, limits)
    }

    fn decide(&self, bucket: &Bucket, key: Bytes, decide: Decide, limits: Filled) -> Pending<Option<Bytes>> {
        self.store.decide(bucket, key, decide, limits)
    }

    fn clear(&self, bucket: &Bucket) -> Pending<bool> {
        self.store.clear(bucket)
    }

    fn sweep(&self) -> Pending<Swept> {
        self.store.sweep()
    }

    fn usage(&self) -> Pending<Vec<(TenantKey, u64)>> {
        self.store.usage()
    }

    fn statistics(&self) -> Pending<Statistics> {
        self.store.statistics()
    }

    fn walk(&self, after: Option<Cursor>, max: usize) -> Pending<Walk> {
        self.store.walk(after, max)
    }

    fn health(&self) -> Health {
        self.store.health()
    }

    fn incarnation(&self) -> u32 {
        self.store.incarnation()
    }

    fn now(&self) -> StoreTime {
        self.store.now()
    }
}

/// An end that the store refused is told from memory, and written as soon as it can be: another process finds it.
#[tokio::test]
async fn an_end_that_was_refused_is_written_later() {
    let refusing = Arc::new(Refusing { store: event_store::memory(Settings::default()), refuses: AtomicBool::new(false) });
    let store: Arc<dyn EventStore> = Arc::<Refusing>::clone(&refusing);
    let minute = Duration::from_secs(60);
    let limits = TaskLimits { after: minute, wall: minute, ttl: minute, poll_interval: minute, per_principal_max: 1 };
    let tasks = Tasks::new(Arc::clone(&store), limits.clone());
    let (owner, json) = (Owner::of("acme", None, None), |text: &str| JsonText::string(text));
    let called = || Called {
        server: None,
        tool: "t".into(),
        arguments: json("a"),
        meta: None,
        capabilities: json("c"),
        revision: Revision::V2026_07_28,
    };
    let task = tasks.begin(owner.clone(), called()).await.expect("begun");
    refusing.refuses.store(true, Ordering::Relaxed);
    tasks.change(&task, Change::Completed(json("done"))).await;
    let found = async |tasks: &Tasks| tasks.find(&owner, &task.id, || json("lost")).await.expect("found").view().await.detail;
    assert_eq!(found(&tasks).await, Detail::Result(json("done")));
    tasks.sweep().await;
    refusing.refuses.store(false, Ordering::Relaxed);
    tasks.sweep().await;
    assert_eq!(found(&Tasks::new(store, limits)).await, Detail::Result(json("done")));
    tasks.begin(owner.clone(), called()).await.expect("its place is free");
}
