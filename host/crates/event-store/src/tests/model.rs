//! Random histories: whatever is done, in whatever order and with restarts between, the durable store says what the plain one says.

use super::contract::{record, session, small, stream};
use crate::{Bucket, Change, Decide, EventStore, Filled, Kind, NewEvent, Partition, Seq, Space, Start, StreamKey};
use bytes::Bytes;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Step {
    /// With that many events of so many bytes, a final one last if it is to be complete.
    Open(StreamKey, u8, Vec<usize>, bool),
    /// So much after the newest event; a message or a final one.
    Append(StreamKey, u64, usize, Option<bool>),
    Read(StreamKey, u64, usize, usize),
    Put(Partition, usize, bool),
    Remove(Partition),
    Sweep,
    /// Some keys at once: so many bytes, or none.
    Change(Bucket, Vec<(u8, Option<usize>)>),
    Decide(Bucket, u8),
    Keys(Bucket, u64),
    Clear(Bucket),
    Restart,
}

fn partitions() -> impl Strategy<Value = Partition> {
    (prop::sample::select(vec!["a", "ab", "b"]), 0_u8..3, prop::bool::ANY)
        .prop_map(|(tenant, id, task)| Partition { space: if task { Space::Task } else { Space::Session }, ..session(tenant, id) })
}

fn streams() -> impl Strategy<Value = StreamKey> {
    (partitions(), 0_u64..3).prop_map(|(partition, number)| stream(&partition, number))
}

fn buckets() -> impl Strategy<Value = Bucket> {
    let names = prop::sample::select(vec![("a", "p"), ("a", "q"), ("ab", "p"), ("b", "p")]);
    names.prop_map(|(tenant, owner)| Bucket::new(super::contract::tenant(tenant), owner, "x").expect("names"))
}

/// What stands under a key that is made of a number.
fn key(number: u8) -> Bytes {
    Bytes::from(vec![b'k'; usize::from(number)])
}

const BUCKET_MAX: Filled = Filled { keys: 12, bytes: 90_000 };

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0_usize..200, 2 => 16_000_usize..50_000, 1 => Just(16_384), 1 => Just(60_001)]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (streams(), 0_u8..8).prop_map(|(key, about)| Step::Open(key, about / 7, Vec::new(), false)),
        4 => (streams(), 0_u8..8, prop::collection::vec(sizes(), 1..8), prop::bool::weighted(0.7))
            .prop_map(|(key, about, said, whole)| Step::Open(key, about / 7, said, whole)),
        12 => (streams(), 0_u64..4, sizes(), prop::option::weighted(0.1, prop::bool::ANY))
            .prop_map(|(key, step, bytes, last)| Step::Append(key, step, bytes, last)),
        4 => (streams(), 0_u64..20, 1_usize..8, 0_usize..60_000).prop_map(|(key, after, events, bytes)| Step::Read(key, after, events, bytes)),
        5 => (partitions(), sizes(), prop::bool::weighted(0.1)).prop_map(|(key, bytes, over)| Step::Put(key, bytes, over)),
        1 => partitions().prop_map(Step::Remove),
        6 => (buckets(), prop::collection::vec((0_u8..16, prop::option::weighted(0.7, sizes())), 1..4))
            .prop_map(|(bucket, changes)| Step::Change(bucket, changes)),
        2 => (buckets(), 0_u8..16).prop_map(|(bucket, key)| Step::Decide(bucket, key)),
        2 => (buckets(), 0_u64..20).prop_map(|(bucket, after)| Step::Keys(bucket, after)),
        1 => buckets().prop_map(Step::Clear),
        1 => Just(Step::Sweep),
        1 => Just(Step::Restart),
    ]
}

/// What one step says, in words that can be compared.
async fn take(store: &dyn EventStore, step: &Step) -> String {
    match step {
        Step::Open(key, about, said, whole) => {
            let said = (1..).zip(said).map(|(number, bytes)| {
                let is_final = *whole && number == said.len() as u64;
                let kind = if is_final { Kind::Final { keep_for: Duration::from_secs(number % 2 * 3_600) } } else { Kind::Message };
                NewEvent { seq: Seq(number), kind, data: Bytes::from(vec![u8::try_from(number).expect("small"); *bytes]) }
            });
            format!("{:?}", store.open(key, Bytes::from(vec![*about; 9]), said.collect()).await)
        }
        Step::Append(key, step, bytes, last) => {
            let newest = store.header(key).await.expect("read").map_or(0, |header| header.last.0);
            let keep_for = last.map(|long| Duration::from_secs(if long { 3_600 } else { 0 }));
            let kind = keep_for.map_or(Kind::Message, |keep_for| Kind::Final { keep_for });
            let data = Bytes::from(vec![u8::try_from(bytes % 251).expect("small"); *bytes]);
            format!("{:?}", store.append(key, NewEvent { seq: Seq(newest + step), kind, data }).await)
        }
        Step::Read(key, after, events, bytes) => format!("{:?}", store.read(key, Seq(*after), *events, *bytes).await),
        Step::Put(key, bytes, over) => {
            format!("{:?}", store.put(key, record(&"x".repeat(*bytes), if *over { 0 } else { u64::MAX })).await)
        }
        Step::Remove(key) => format!("{:?}", store.remove(key).await),
        Step::Sweep => {
            let mut swept = store.sweep().await.expect("swept");
            swept.partitions.sort();
            format!("{swept:?}")
        }
        Step::Change(bucket, changes) => {
            let changes = changes.iter().map(|(number, bytes)| match bytes {
                Some(bytes) => Change::Set(key(*number), Bytes::from(vec![*number; *bytes])),
                None => Change::Remove(key(*number)),
            });
            format!("{:?}", store.change(bucket, changes.collect(), BUCKET_MAX).await)
        }
        Step::Decide(bucket, number) => {
            let decide = Decide::new(|old| Some(Bytes::from(vec![1; old.map_or(0, <[u8]>::len) + 1])));
            format!("{:?}", store.decide(bucket, key(*number), decide, BUCKET_MAX).await)
        }
        // A bucket that was emptied by and by goes on counting places, one that was cleared begins again: both back ends alike.
        Step::Keys(bucket, after) => format!("{:?}", store.keys(bucket, *after, 3, 40).await),
        Step::Clear(bucket) => format!("{:?}", store.clear(bucket).await),
        Step::Restart => String::new(),
    }
}

/// All that is there.
async fn all(store: &dyn EventStore) -> String {
    let mut said = Vec::new();
    for space in [Space::Session, Space::Task] {
        let mut records = store.list(space, None, usize::MAX).await.expect("listed");
        records.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (partition, record) in records {
            said.push(format!("{partition:?} {} {:?}", record.data.len(), record.expires));
            for number in 0..3 {
                let key = stream(&partition, number);
                said.push(format!("{:?}", store.header(&key).await));
                said.push(format!("{:?}", store.read(&key, Seq(0), usize::MAX, usize::MAX).await));
            }
        }
    }
    let statistics = store.statistics().await.expect("counted");
    for (bucket, filled) in &statistics.buckets {
        let values = store.values(bucket, (0..16).map(key).collect(), usize::MAX).await;
        said.push(format!("{bucket:?} {filled:?} {values:?} {:?}", store.keys(bucket, 0, usize::MAX, usize::MAX).await));
    }
    said.push(format!("{} {} {} {}", statistics.sessions, statistics.tasks, statistics.streams, statistics.events));
    let mut usage = store.usage().await.expect("counted");
    usage.sort();
    assert_eq!(usage, statistics.bytes_by_tenant);
    said.push(format!("{:?}", statistics.bytes_by_tenant));
    said.join("\n")
}

fn open(directory: &Path) -> Arc<dyn EventStore> {
    crate::sled(directory, small(), Start::Required).expect("opened")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_durable_store_says_what_the_plain_one_says(history in prop::collection::vec(steps(), 1..160)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let directory = tempfile::tempdir().expect("a directory");
            let (model, mut durable) = (crate::memory(small()), open(directory.path()));
            for step in &history {
                if matches!(step, Step::Restart) {
                    drop(durable);
                    durable = open(directory.path());
                }
                prop_assert_eq!(take(&*durable, step).await, take(&*model, step).await, "{:?}", step);
            }
            prop_assert_eq!(all(&*durable).await, all(&*model).await);
            Ok(())
        })?;
    }
}
