//! The contract as a test-suite: every back end passes all of it.

use crate::{
    Durability, Event, EventStore, Item, Kind, NewEvent, Page, Partition, Record, Seq, Settings, Space, Start, StoreError, StoreTime,
    StreamKey, TenantKey,
};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Small limits, so that they are reached.
pub(crate) fn small() -> Settings {
    Settings {
        durability: Durability::None,
        ring_events_max: 5,
        stream_bytes_max: 100_000,
        event_bytes_max: 60_000,
        tenant_bytes_max: 300_000,
        total_bytes_max: 700_000,
        tenant_buckets_max: crate::Filled { keys: 40, bytes: 150_000 },
        cache_bytes: 8 << 20,
    }
}

pub(crate) fn tenant(name: &str) -> TenantKey {
    TenantKey::new(name).expect("a name of 1 to 64 bytes")
}

pub(crate) fn session(tenant_name: &str, id: u8) -> Partition {
    Partition { tenant: tenant(tenant_name), space: Space::Session, id: [id; 16] }
}

pub(crate) fn stream(partition: &Partition, stream: u64) -> StreamKey {
    StreamKey { partition: partition.clone(), stream }
}

pub(crate) fn message(seq: u64, data: impl Into<Bytes>) -> NewEvent {
    NewEvent { seq: Seq(seq), kind: Kind::Message, data: data.into() }
}

pub(crate) fn last(seq: u64, keep_s: u64) -> NewEvent {
    NewEvent { seq: Seq(seq), kind: Kind::Final { keep_for: Duration::from_secs(keep_s) }, data: Bytes::from(format!("final {seq}")) }
}

pub(crate) fn record(data: &str, expires: u64) -> Record {
    Record { data: Bytes::copy_from_slice(data.as_bytes()), expires: StoreTime(expires) }
}

/// A session with a record that does not expire, and one stream.
async fn begun(store: &dyn EventStore, tenant: &str, id: u8) -> StreamKey {
    let key = stream(&session(tenant, id), 1);
    store.put(&key.partition, record("r", u64::MAX)).await.expect("put");
    store.open(&key, Bytes::from_static(b"about"), Vec::new()).await.expect("opened");
    key
}

async fn read(store: &dyn EventStore, key: &StreamKey, after: u64) -> Result<Page, StoreError> {
    store.read(key, Seq(after), usize::MAX, usize::MAX).await
}

fn numbers(page: &Page) -> Vec<u64> {
    page.events.iter().map(|event| event.seq.0).collect()
}

pub(crate) async fn a_stream_is_read_after_a_place(store: Arc<dyn EventStore>) {
    let key = begun(&*store, "acme", 1).await;
    assert_eq!(read(&*store, &key, 0).await, Ok(Page { events: vec![], gap: false, end: true, complete: false }));
    for (seq, bytes) in [(1, 0), (2, 40_000), (4, 1)] {
        store.append(&key, message(seq, vec![7; bytes])).await.expect("appended");
    }
    let page = read(&*store, &key, 1).await.expect("read");
    assert_eq!(numbers(&page), [2, 4]);
    assert_eq!(page.events[0], Event { seq: Seq(2), is_final: false, data: vec![7; 40_000].into() });
    assert!(!page.gap && page.end && !page.complete);
    assert_eq!(numbers(&read(&*store, &key, 3).await.expect("a hole is a place")), [4]);
    assert_eq!(numbers(&read(&*store, &key, 4).await.expect("the end is a place")), [0; 0]);
    assert_eq!(read(&*store, &key, 5).await, Err(StoreError::Unknown), "a place that is to come is none");
    let page = store.read(&key, Seq(0), 1, usize::MAX).await.expect("read");
    assert!(numbers(&page) == [1] && !page.end);
    let page = store.read(&key, Seq(1), 9, 10).await.expect("read");
    assert!(numbers(&page) == [2] && !page.end, "one at least");
    let header = store.header(&key).await.expect("read").expect("there");
    assert_eq!((&header.about[..], header.last, header.gone, header.complete), (&b"about"[..], Seq(4), Seq(0), false));
    store.append(&key, last(5, 60)).await.expect("appended");
    let page = read(&*store, &key, 4).await.expect("read");
    assert!(page.complete && page.events[0].is_final);
}

pub(crate) async fn a_ring_keeps_the_newest(store: Arc<dyn EventStore>) {
    let key = begun(&*store, "acme", 1).await;
    for seq in 1..=9 {
        store.append(&key, message(seq, format!("{seq}"))).await.expect("appended");
    }
    let page = read(&*store, &key, 0).await.expect("read");
    assert!(numbers(&page) == [5, 6, 7, 8, 9] && page.gap);
    assert!(!read(&*store, &key, 4).await.expect("read").gap, "nothing after 4 is gone");
    assert!(read(&*store, &key, 3).await.expect("read").gap);
    // By bytes, and the newest stays whatever it weighs.
    for seq in 10..=12 {
        store.append(&key, message(seq, vec![0; 50_000])).await.expect("appended");
    }
    assert_eq!(numbers(&read(&*store, &key, 0).await.expect("read")), [12]);
}

pub(crate) async fn a_retry_is_harmless_and_another_writer_is_told(store: Arc<dyn EventStore>) {
    let key = begun(&*store, "acme", 1).await;
    for _ in 0..2 {
        store.append(&key, message(1, "one")).await.expect("appended");
        store.open(&key, Bytes::from_static(b"about"), Vec::new()).await.expect("the same words");
    }
    let conflict = Err(StoreError::Conflict { last: Seq(1) });
    assert_eq!(store.append(&key, message(1, "other")).await, conflict);
    assert_eq!(store.append(&key, message(0, "zero")).await, conflict);
    assert_eq!(store.open(&key, Bytes::from_static(b"other"), Vec::new()).await, conflict);
    for _ in 0..2 {
        store.append(&key, last(2, 60)).await.expect("appended");
    }
    assert_eq!(store.append(&key, message(3, "late")).await, Err(StoreError::Conflict { last: Seq(2) }));
    assert_eq!(numbers(&read(&*store, &key, 0).await.expect("read")), [1, 2]);
    assert!(matches!(store.append(&key, message(4, vec![0; 60_001])).await, Err(StoreError::TooLarge { bytes: 60_001, limit: 60_000 })));
}

/// What a stream has said when it begins is kept with it, however much that is, and stays what it is.
pub(crate) async fn a_stream_may_begin_with_events(store: Arc<dyn EventStore>) {
    let session = session("acme", 1);
    store.put(&session, record("r", u64::MAX)).await.expect("put");
    let about = || Bytes::from_static(b"about");
    let (whole, large, many, open) = (stream(&session, 1), stream(&session, 2), stream(&session, 3), stream(&session, 4));
    let said: [(&StreamKey, Vec<NewEvent>); 4] = [
        (&whole, vec![message(1, "one"), message(3, ""), last(4, 60)]),
        (&large, vec![message(1, vec![1; 40_000]), last(2, 60)]),
        (&many, (1..=6).map(|seq| message(seq, "x")).chain([last(7, 60)]).collect()),
        (&open, vec![message(1, "one")]),
    ];
    for (key, said) in &said {
        for _ in 0..2 {
            store.open(key, about(), said.clone()).await.expect("opened, and once more with the same words");
        }
        let page = read(&*store, key, 0).await.expect("read");
        let kept = said.iter().skip(said.len().saturating_sub(5)).map(|event| (event.seq, event.data.clone(), event.kind != Kind::Message));
        let found = page.events.iter().map(|event| (event.seq, event.data.clone(), event.is_final));
        assert_eq!(found.collect::<Vec<_>>(), kept.collect::<Vec<_>>());
        assert_eq!((page.gap, page.complete), (*key == &many, *key != &open));
        let header = store.header(key).await.expect("read").expect("there");
        assert_eq!((&header.about[..], header.last), (&b"about"[..], said.last().expect("some").seq));
    }
    assert_eq!(numbers(&read(&*store, &whole, 1).await.expect("read")), [3, 4]);
    let conflict = Err(StoreError::Conflict { last: Seq(4) });
    assert_eq!(store.open(&whole, about(), vec![message(1, "one")]).await, conflict, "it has gone on");
    assert_eq!(store.open(&whole, Bytes::new(), said[0].1.clone()).await, conflict);
    assert_eq!(store.append(&whole, message(5, "late")).await, conflict);
    store.append(&whole, last(4, 60)).await.expect("the same event again");
    store.append(&open, last(2, 60)).await.expect("appended");
    // All of it or nothing.
    for said in
        [vec![message(2, "x"), message(2, "y")], vec![last(1, 60), message(2, "late")], vec![message(1, "x"), message(2, vec![0; 60_001])]]
    {
        let other = stream(&session, 5);
        assert!(store.open(&other, about(), said).await.is_err());
        assert_eq!(store.header(&other).await, Ok(None));
    }
    let statistics = store.statistics().await.expect("counted");
    assert_eq!((statistics.streams, statistics.events), (4, 3 + 2 + 5 + 2));
    store.remove(&session).await.expect("removed");
    assert_eq!(store.statistics().await.expect("counted").bytes_by_tenant, []);
}

pub(crate) async fn writes_keep_the_order_of_their_calls(store: Arc<dyn EventStore>) {
    let key = begun(&*store, "acme", 1).await;
    let pending: Vec<_> = (1..=4).map(|seq| store.append(&key, message(seq, "x"))).collect();
    // Nobody waits for the first ones; the last one answers after them all the same.
    let mut pending = pending.into_iter().rev();
    let newest = pending.next().expect("four");
    drop(pending);
    newest.await.expect("appended");
    assert_eq!(numbers(&read(&*store, &key, 0).await.expect("read")), [1, 2, 3, 4]);
}

pub(crate) async fn removal_is_whole(store: Arc<dyn EventStore>) {
    let (gone, kept) = (begun(&*store, "acme", 1).await, begun(&*store, "acme", 2).await);
    for key in [&gone, &kept] {
        store.append(key, message(1, vec![1; 20_000])).await.expect("appended");
        store.append(key, last(2, 60)).await.expect("appended");
    }
    for _ in 0..2 {
        store.remove(&gone.partition).await.expect("removed");
    }
    assert_eq!(store.get(&gone.partition).await, Ok(None));
    assert_eq!(store.header(&gone).await, Ok(None));
    assert_eq!(read(&*store, &gone, 0).await, Err(StoreError::Unknown));
    assert_eq!(store.append(&gone, message(3, "late")).await, Err(StoreError::Unknown));
    assert_eq!(store.open(&gone, Bytes::from_static(b"about"), Vec::new()).await, Err(StoreError::Unknown), "no record, no stream");
    assert_eq!(numbers(&read(&*store, &kept, 0).await.expect("read")), [1, 2]);
    let statistics = store.statistics().await.expect("counted");
    assert_eq!((statistics.sessions, statistics.streams, statistics.events), (1, 1, 2));
    store.remove(&kept.partition).await.expect("removed");
    let statistics = store.statistics().await.expect("counted");
    assert_eq!((statistics.sessions, statistics.streams, statistics.events, statistics.bytes_by_tenant), (0, 0, 0, vec![]));
}

/// What is removed in more than one bite is gone at once for whoever asks.
pub(crate) async fn a_large_partition_is_gone_at_once(store: Arc<dyn EventStore>) {
    let first = begun(&*store, "acme", 1).await;
    let other = begun(&*store, "umbrella", 1).await;
    for number in 2..1_200 {
        store.open(&stream(&first.partition, number), Bytes::from_static(b"a"), Vec::new()).await.expect("opened");
    }
    store.remove(&first.partition).await.expect("removed");
    let newest = stream(&first.partition, 1_199);
    assert_eq!(store.header(&newest).await, Ok(None));
    assert_eq!(store.append(&newest, message(1, "late")).await, Err(StoreError::Unknown));
    assert_eq!(read(&*store, &newest, 0).await, Err(StoreError::Unknown));
    // Each write gives it the time for another bite.
    for seq in 1..=5 {
        store.append(&other, message(seq, "x")).await.expect("appended");
    }
    let statistics = store.statistics().await.expect("counted");
    assert_eq!((statistics.sessions, statistics.streams, statistics.bytes_by_tenant.len()), (1, 1, 1));
}

pub(crate) async fn records_are_kept_and_listed(store: Arc<dyn EventStore>) {
    let mut all = Vec::new();
    for (name, id) in [("a", 1), ("a", 2), ("aa", 1), ("b\0", 1), ("b", 9)] {
        let partition = session(name, id);
        let long = format!("{name}{id}").repeat(9_000);
        for data in ["first", &long] {
            store.put(&partition, record(data, u64::MAX)).await.expect("put");
        }
        assert_eq!(store.get(&partition).await, Ok(Some(record(&long, u64::MAX))));
        all.push((partition, record(&long, u64::MAX)));
    }
    let task = Partition { space: Space::Task, ..session("a", 1) };
    store.put(&task, record("task", u64::MAX)).await.expect("put");
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(Space::Session, after.as_ref(), 2).await.expect("listed");
        let Some((newest, _)) = page.last() else { break };
        after = Some(newest.clone());
        listed.extend(page);
    }
    listed.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(listed, all);
    assert_eq!(store.list(Space::Task, None, 9).await, Ok(vec![(task, record("task", u64::MAX))]));
}

pub(crate) async fn what_has_expired_is_swept(store: Arc<dyn EventStore>) {
    let (over, renewed) = (session("acme", 1), session("acme", 2));
    for partition in [&over, &renewed] {
        store.put(partition, record("old", 0)).await.expect("put");
        store.open(&stream(partition, 1), Bytes::new(), Vec::new()).await.expect("opened");
    }
    store.put(&renewed, record("new", u64::MAX)).await.expect("put");
    let (short, long) = (stream(&renewed, 2), stream(&renewed, 3));
    for (key, keep_s) in [(&short, 0), (&long, 3_600)] {
        store.open(key, Bytes::new(), Vec::new()).await.expect("opened");
        store.append(key, last(1, keep_s)).await.expect("appended");
    }
    let swept = store.sweep().await.expect("swept");
    assert_eq!((swept.partitions, swept.streams, swept.more), (vec![over.clone()], 1, false));
    assert_eq!(store.get(&over).await, Ok(None));
    assert_eq!(store.header(&stream(&over, 1)).await, Ok(None));
    assert_eq!(store.header(&short).await, Ok(None));
    assert!(store.header(&long).await.expect("read").is_some());
    assert!(store.header(&stream(&renewed, 1)).await.expect("read").is_some());
    assert_eq!(store.sweep().await.expect("swept"), crate::Swept::default());
}

/// D13: a tenant that writes too much loses its own, oldest first; a final event stays; nobody else loses anything.
pub(crate) async fn a_tenant_pays_for_itself(store: Arc<dyn EventStore>) {
    let (mine, theirs) = (begun(&*store, "loud", 1).await, begun(&*store, "quiet", 1).await);
    store.append(&theirs, message(1, "untouched")).await.expect("appended");
    store.append(&mine, message(1, vec![0; 50_000])).await.expect("appended");
    store.append(&mine, last(2, 60)).await.expect("appended");
    for number in 2..=20 {
        let key = stream(&mine.partition, number);
        store.open(&key, Bytes::new(), Vec::new()).await.expect("opened");
        store.append(&key, message(1, vec![0; 50_000])).await.expect("appended");
    }
    assert_eq!(numbers(&read(&*store, &mine, 0).await.expect("read")), [2], "the final one stays");
    assert!(read(&*store, &mine, 0).await.expect("read").gap);
    assert_eq!(numbers(&read(&*store, &stream(&mine.partition, 20), 0).await.expect("read")), [1]);
    assert_eq!(numbers(&read(&*store, &theirs, 0).await.expect("read")), [1]);
    let statistics = store.statistics().await.expect("counted");
    assert!(statistics.bytes_by_tenant.iter().all(|(_, bytes)| *bytes <= small().tenant_bytes_max), "{statistics:?}");
    // Final events alone: there is nothing to take, so it is said.
    let mut refused = None;
    for number in 100..200 {
        let key = stream(&mine.partition, number);
        let data = Bytes::from(vec![0; 50_000]);
        let opened = store.open(&key, Bytes::new(), Vec::new()).await;
        let event = NewEvent { seq: Seq(1), kind: Kind::Final { keep_for: Duration::from_secs(60) }, data };
        if let Err(error) = opened.and(store.append(&key, event).await) {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused, Some(StoreError::Full));
    store.append(&theirs, message(2, vec![0; 50_000])).await.expect("others go on");
}

/// D14: names that run together when joined.
pub(crate) async fn names_never_run_together(store: Arc<dyn EventStore>) {
    let names = ["t1", "t", "t11", "t1/", "t1\0", "\u{1}", "t1\u{ff}"];
    for (number, name) in names.iter().enumerate() {
        for id in [*b"1sxxxxxxxxxxxxxx", *b"sxxxxxxxxxxxxxxx"] {
            let partition = Partition { id, ..session(name, 0) };
            store.put(&partition, record(&format!("{number}{id:?}"), u64::MAX)).await.expect("put");
            store.open(&stream(&partition, 1), Bytes::new(), Vec::new()).await.expect("opened");
            store.append(&stream(&partition, 1), message(1, format!("{number}{id:?}"))).await.expect("appended");
        }
    }
    store.remove(&Partition { id: *b"1sxxxxxxxxxxxxxx", ..session("t1", 0) }).await.expect("removed");
    for (number, name) in names.iter().enumerate().skip(1) {
        for id in [*b"1sxxxxxxxxxxxxxx", *b"sxxxxxxxxxxxxxxx"] {
            let partition = Partition { id, ..session(name, 0) };
            let page = read(&*store, &stream(&partition, 1), 0).await.expect("there");
            assert_eq!(page.events[0].data, format!("{number}{id:?}"));
            assert_eq!(store.get(&partition).await, Ok(Some(record(&format!("{number}{id:?}"), u64::MAX))));
        }
    }
}

pub(crate) async fn a_walk_sees_everything_once(store: Arc<dyn EventStore>) {
    let (one, other) = (begun(&*store, "acme", 1).await, begun(&*store, "umbrella", 2).await);
    for (key, seq, bytes) in [(&one, 1, 40_000), (&one, 2, 3), (&other, 7, 0)] {
        store.append(key, message(seq, vec![9; bytes])).await.expect("appended");
    }
    store.open(&stream(&one.partition, 2), Bytes::from_static(b"about"), vec![message(1, "x"), last(2, 60)]).await.expect("opened");
    store.put(&session("acme", 3), record(&"long".repeat(9_000), 5)).await.expect("put");
    for max in [1, 2, usize::MAX] {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let walk = store.walk(after, max).await.expect("walked");
            items.extend(walk.items);
            after = walk.next;
            if after.is_none() {
                break;
            }
        }
        let records = items.iter().filter(|item| matches!(item, Item::Record(..))).count();
        let streams = items.iter().filter(|item| matches!(item, Item::Stream(_, header) if &header.about[..] == b"about")).count();
        let events: Vec<_> =
            items.iter().filter_map(|item| if let Item::Event(key, event) = item { Some((key, event)) } else { None }).collect();
        assert_eq!((records, streams, events.len(), items.len()), (3, 3, 5, 11), "{max}");
        assert!(events.iter().any(|(key, event)| **key == one && event.seq == Seq(1) && event.data == vec![9; 40_000]));
        assert!(items.contains(&Item::Record(session("acme", 3), record(&"long".repeat(9_000), 5))));
    }
}

macro_rules! suite {
    ($make:expr; $($name:ident)*) => {$(
        #[tokio::test]
        async fn $name() {
            let (store, _directory) = $make;
            super::$name(store).await;
        }
    )*};
}

macro_rules! suites {
    ($($name:ident)*) => {
        mod memory {
            suite!((crate::memory(super::small()), ()); $($name)*);
        }
        mod sled {
            suite!(super::durable(); $($name)*);
        }
    };
}

/// A durable store in a directory that goes with the guard.
pub(crate) fn durable() -> (Arc<dyn EventStore>, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    (crate::sled(&directory.path().join("store"), small(), Start::Required).expect("opened"), directory)
}

suites! {
    a_stream_is_read_after_a_place
    a_ring_keeps_the_newest
    a_retry_is_harmless_and_another_writer_is_told
    a_stream_may_begin_with_events
    writes_keep_the_order_of_their_calls
    removal_is_whole
    a_large_partition_is_gone_at_once
    records_are_kept_and_listed
    what_has_expired_is_swept
    a_tenant_pays_for_itself
    names_never_run_together
    a_walk_sees_everything_once
}
