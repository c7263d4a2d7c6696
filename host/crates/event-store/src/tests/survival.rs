//! What the durable store does with what happens to its directory.

use super::contract::{durable, last, message, record, session, small, stream};
use crate::{EventStore, OpenError, Seq, Start, StoreError};
use bytes::Bytes;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn open(directory: &Path) -> Result<Arc<dyn EventStore>, OpenError> {
    crate::sled(directory, small(), Start::Required)
}

async fn fill(store: &dyn EventStore) {
    for id in 0..8 {
        let key = stream(&session("acme", id), 1);
        store.put(&key.partition, record(&format!("record {id}"), u64::MAX)).await.expect("put");
        store.open(&key, Bytes::from(vec![id]), Vec::new()).await.expect("opened");
        for seq in 1..=5 {
            store.append(&key, message(seq, vec![id; usize::try_from(seq).expect("small") * 9_000])).await.expect("appended");
        }
        // One whose events lie in its head.
        let whole = vec![message(1, vec![id; 1_000]), last(2, 3_600)];
        store.open(&stream(&key.partition, 2), Bytes::from(vec![id]), whole).await.expect("opened");
    }
}

#[tokio::test]
async fn it_is_all_there_after_a_restart() {
    let (store, directory) = durable();
    let path = directory.path().join("store");
    fill(&*store).await;
    let (before, incarnation) = (store.now(), store.incarnation());
    drop(store);
    let store = open(&path).expect("opened");
    assert_eq!(store.incarnation(), incarnation + 1);
    assert!(store.now() >= before, "time goes on");
    for id in 0..8 {
        let key = stream(&session("acme", id), 1);
        assert_eq!(store.get(&key.partition).await, Ok(Some(record(&format!("record {id}"), u64::MAX))));
        assert_eq!(store.header(&key).await.expect("read").expect("there").last, Seq(5));
        store.append(&key, message(6, "on")).await.expect("goes on");
        let whole = store.read(&stream(&key.partition, 2), Seq(0), usize::MAX, usize::MAX).await.expect("there");
        assert!(whole.complete && whole.events.last().is_some_and(|event| event.is_final && event.data == last(2, 0).data), "{whole:?}");
    }
}

/// D08.
#[tokio::test]
async fn two_never_share_a_directory() {
    let (store, directory) = durable();
    let path = directory.path().join("store");
    for start in [Start::Required, Start::Degraded] {
        assert_eq!(crate::sled(&path, small(), start).expect_err("refused"), OpenError::Locked { path: path.clone() });
    }
    fill(&*store).await;
    drop(store);
    open(&path).expect("free again");
}

/// D09.
#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let (store, directory) = durable();
    drop(store);
    let path = directory.path().join("store");
    fs::write(path.join("FORMAT"), "gatehouse store 4\n").expect("written");
    let listing = || {
        let mut all: Vec<_> = fs::read_dir(&path).expect("read").map(|entry| entry.expect("entry").file_name()).collect();
        all.sort();
        all
    };
    let before = listing();
    let error = crate::sled(&path, small(), Start::Degraded).expect_err("refused");
    assert_eq!(error, OpenError::Newer { path: path.clone(), found: 4, known: 3 });
    assert_eq!(before, listing());
    // What says nothing is not believed to be ours.
    fs::write(path.join("FORMAT"), "something else").expect("written");
    let store = open(&path).expect("opened");
    assert!(store.health().quarantined.expect("set aside").join("db").is_file());
}

/// D04, and it recovers by itself.
#[tokio::test]
async fn a_directory_that_cannot_be_used_is_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("in the way/store");
    fs::write(directory.path().join("in the way"), "a file").expect("written");
    assert!(matches!(open(&path), Err(OpenError::Unusable { .. })));
    let store = crate::sled(&path, small(), Start::Degraded).expect("begun");
    assert!(store.health().degraded.is_some());
    let refused = store.put(&session("acme", 1), record("r", u64::MAX)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { maybe_applied: false, .. })), "{refused:?}");
    assert!(matches!(store.get(&session("acme", 1)).await, Err(StoreError::Unavailable { .. })));
    fs::remove_file(directory.path().join("in the way")).expect("removed");
    works_again(&*store);
    store.put(&session("acme", 1), record("r", u64::MAX)).await.expect("put");
    assert_eq!(store.incarnation(), 1);
}

fn works_again(store: &dyn EventStore) {
    let since = Instant::now();
    while store.health().degraded.is_some() {
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", store.health());
        std::thread::yield_now();
    }
}

/// D06: one byte of the files is another one. Whatever is served is what was stored; nothing panics; nobody else's is shown.
#[tokio::test]
async fn damage_is_never_served() {
    let (store, original) = durable();
    fill(&*store).await;
    drop(store);
    let original = original.path().join("store/sled");
    let log = fs::read(original.join("db")).expect("read");
    let (mut quarantined, mut seed) = (0, 7_u64);
    for _ in 0..40 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("store");
        fs::create_dir_all(path.join("sled")).expect("made");
        fs::write(path.join("FORMAT"), "gatehouse store 1\n").expect("written");
        for entry in fs::read_dir(&original).expect("read").map(|entry| entry.expect("entry")) {
            if entry.file_type().expect("a type").is_file() {
                fs::copy(entry.path(), path.join("sled").join(entry.file_name())).expect("copied");
            }
        }
        let mut changed = log.clone();
        let at = usize::try_from(seed >> 20).expect("64 bits") % changed.len();
        changed[at] ^= 1 << (seed % 8);
        fs::write(path.join("sled/db"), changed).expect("written");
        let store = open(&path).expect("opened, whatever is in it");
        for id in 0..8 {
            let key = stream(&session("acme", id), 1);
            if let Ok(page) = store.read(&key, Seq(0), usize::MAX, usize::MAX).await {
                for event in page.events {
                    let bytes = usize::try_from(event.seq.0).expect("small") * 9_000;
                    assert_eq!(event.data, vec![id; bytes], "byte {at} changed");
                }
            }
            if let Ok(page) = store.read(&stream(&key.partition, 2), Seq(0), usize::MAX, usize::MAX).await {
                for event in page.events {
                    let right = if event.is_final { last(2, 0).data } else { vec![id; 1_000].into() };
                    assert_eq!(event.data, right, "byte {at} changed");
                }
            }
            if let Ok(Some(found)) = store.get(&key.partition).await {
                assert_eq!(found, record(&format!("record {id}"), u64::MAX), "byte {at} changed");
            }
        }
        // Whatever was found, it can be written to afterwards.
        works_again(&*store);
        let key = session("acme", 100);
        if store.put(&key, record("new", u64::MAX)).await.is_err() {
            works_again(&*store);
            store.put(&key, record("new", u64::MAX)).await.expect("put");
        }
        quarantined += u32::from(store.health().quarantined.is_some());
    }
    println!("{quarantined} of 40 were set aside");
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("read").map(|entry| entry.expect("entry")) {
        match entry.file_type().expect("a type").is_file() {
            true => drop(fs::copy(entry.path(), to.join(entry.file_name())).expect("copied")),
            false => copy_files(&entry.path(), &to.join(entry.file_name())),
        }
    }
}

/// What was acknowledged lies in the log first: it is found again by whoever opens what a killed process has left, or compacts it; and if the log
/// is damaged, that is said.
#[tokio::test]
async fn what_only_the_log_holds_is_found() {
    const EVENTS: u64 = 50;
    let (store, directory) = durable();
    let key = stream(&session("acme", 1), 1);
    store.put(&key.partition, record("record", u64::MAX)).await.expect("put");
    store.open(&key, Bytes::from_static(b"about"), Vec::new()).await.expect("opened");
    for seq in 1..=EVENTS {
        store.append(&key, message(seq, seq.to_string())).await.expect("appended");
    }
    let left = tempfile::tempdir().expect("a directory");
    copy_files(&directory.path().join("store"), left.path());
    drop(store);
    let log = fs::read(left.path().join("sled/redo-0")).expect("read");
    assert!(log.windows(5).any(|bytes| bytes == b"about"), "not so small a turn");

    let mut found_damage = 0;
    for round in 0..17_usize {
        let path = tempfile::tempdir().expect("a directory");
        let path = path.path().join("store");
        copy_files(left.path(), &path);
        let mut changed = log.clone();
        // One in each third record; the first rounds change nothing.
        let flipped = round > 1;
        if flipped {
            changed[round * 3 * 512 + 20 + round] ^= 1;
        }
        fs::write(path.join("sled/redo-0"), changed).expect("written");
        if round == 1 {
            crate::compact(&path, &small(), &mut |_| {}).expect("compacted");
        }
        let store = open(&path).expect("opened, whatever is in it");
        let page = store.read(&key, Seq(0), usize::MAX, usize::MAX).await;
        if flipped {
            found_damage += u32::from(store.health().quarantined.is_some());
            assert_eq!(page, Err(StoreError::Unknown), "round {round}: an empty store is in its place");
            continue;
        }
        let found: Vec<_> = page.expect("there").events.into_iter().map(|event| (event.seq.0, event.data)).collect();
        assert_eq!(found, (EVENTS - 4..=EVENTS).map(|seq| (seq, seq.to_string().into())).collect::<Vec<_>>());
        // Once more: now sled has it.
        drop(store);
        let store = open(&path).expect("opened");
        assert_eq!(store.header(&key).await.expect("read").expect("there").last, Seq(EVENTS));
    }
    assert_eq!(found_damage, 15);
}

/// Compaction leaves everything but what was overwritten.
#[tokio::test]
async fn a_compacted_store_holds_the_same() {
    let (store, directory) = durable();
    let path = directory.path().join("store");
    fill(&*store).await;
    let key = stream(&session("acme", 0), 1);
    for seq in 6..2_000 {
        store.append(&key, message(seq, vec![1; 3_000])).await.expect("appended");
    }
    let before = store.walk(None, usize::MAX).await.expect("walked");
    assert!(matches!(crate::compact(&path, &small(), &mut |_| {}), Err(OpenError::Locked { .. })), "not while it is open");
    drop(store);
    let mut told = 0;
    let compacted = crate::compact(&path, &small(), &mut |entries| told = entries).expect("compacted");
    assert!(compacted.entries > 0 && told == compacted.entries && compacted.bytes_after <= compacted.bytes_before, "{compacted:?}");
    let store = open(&path).expect("opened");
    assert_eq!(store.walk(None, usize::MAX).await.expect("walked"), before);
    store.append(&key, message(2_000, "on")).await.expect("goes on");
    assert!(!path.join("sled.new").exists());
}

/// Who only looks changes nothing: what is not there is not made, what is damaged stays where it is.
#[tokio::test]
async fn looking_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("store");
    let look = |path: &Path| crate::sled(path, small(), Start::Look);
    assert_eq!(look(&path).expect_err("refused"), OpenError::Missing { path: path.clone() });
    assert!(!path.exists());
    let store = open(&path).expect("opened");
    fill(&*store).await;
    let there = store.walk(None, usize::MAX).await.expect("walked");
    drop(store);
    let store = look(&path).expect("opened");
    assert_eq!(store.walk(None, usize::MAX).await.expect("walked"), there);
    drop(store);
    fs::write(path.join("sled/conf"), "no configuration").expect("written");
    assert!(matches!(look(&path), Err(OpenError::Damaged { .. })));
    assert!(path.join("sled/db").exists());
}
