//! Rule 10 of the contract, for every back end: what stands under keys of buckets.

use super::contract::{durable, small, tenant};
use crate::{Bucket, Change, Decide, EventStore, Filled, Item, Quota, StoreError};
use bytes::Bytes;
use std::sync::Arc;

const ROOM: Filled = Filled { keys: 1_000, bytes: 1 << 20 };

fn bucket(tenant_name: &str, owner: &str, name: &str) -> Bucket {
    Bucket::new(tenant(tenant_name), owner, name).expect("names")
}

fn set(key: &str, value: impl Into<Bytes>) -> Change {
    Change::Set(Bytes::copy_from_slice(key.as_bytes()), value.into())
}

fn remove(key: &str) -> Change {
    Change::Remove(Bytes::copy_from_slice(key.as_bytes()))
}

async fn get(store: &dyn EventStore, bucket: &Bucket, key: &str) -> Option<Bytes> {
    let keys = vec![Bytes::copy_from_slice(key.as_bytes())];
    store.values(bucket, keys, usize::MAX).await.expect("read").into_iter().next().expect("one")
}

async fn all_keys(store: &dyn EventStore, bucket: &Bucket) -> Vec<Bytes> {
    let (mut keys, mut after) = (Vec::new(), Some(0));
    while let Some(place) = after {
        let page = store.keys(bucket, place, 2, usize::MAX).await.expect("listed");
        assert!(page.keys.len() <= 2 && (page.next.is_none() || page.keys.len() == 2));
        keys.extend(page.keys);
        after = page.next;
    }
    keys
}

async fn filled(store: &dyn EventStore, bucket: &Bucket) -> Option<Filled> {
    let statistics = store.statistics().await.expect("counted");
    statistics.buckets.into_iter().find(|(other, _)| other == bucket).map(|(_, filled)| filled)
}

pub(crate) async fn values_are_what_was_set(store: Arc<dyn EventStore>) {
    let b = bucket("acme", "p", "b");
    let long = "k".repeat(1_024);
    for (key, bytes) in [("", 0), ("a", 1), ("a\0", 16_384), ("a\0\0", 16_385), ("\0", 50_000), ("ä", 3), (long.as_str(), 7)] {
        store.change(&b, vec![set(key, vec![7; bytes])], ROOM).await.expect("set");
        assert_eq!(get(&*store, &b, key).await, Some(Bytes::from(vec![7; bytes])), "{key:?}");
    }
    assert_eq!(all_keys(&*store, &b).await, ["", "a", "a\0", "a\0\0", "\0", "ä", long.as_str()]);
    // Shorter, in fewer parts, and gone.
    store.change(&b, vec![set("\0", "x"), set("a", vec![1; 40_000])], ROOM).await.expect("set");
    store.change(&b, vec![remove("a\0"), remove("absent"), set("a\0\0", "1"), set("a\0\0", "2")], ROOM).await.expect("changed");
    for (key, value) in [("\0", Some(Bytes::from_static(b"x"))), ("a\0", None), ("a\0\0", Some(Bytes::from_static(b"2"))), ("absent", None)]
    {
        assert_eq!(get(&*store, &b, key).await, value, "{key:?}");
    }
    let keys = ["", "a", "absent", "a"].map(Bytes::from).to_vec();
    assert!(matches!(store.values(&b, keys.clone(), 79_999).await, Err(StoreError::TooLarge { bytes: 80_000, limit: 79_999 })));
    assert_eq!(store.values(&b, keys, 80_000).await.expect("read").iter().flatten().count(), 3);
    assert!(matches!(store.change(&b, vec![set("b", vec![0; 60_001])], ROOM).await, Err(StoreError::TooLarge { .. })));
}

pub(crate) async fn buckets_never_run_together(store: Arc<dyn EventStore>) {
    let names =
        [("t", "p", "b"), ("t", "pb", "b"), ("t", "p", "bb"), ("tp", "b", "b"), ("t", "p\u{1}b", "b"), ("t", "p", "b\0"), ("u", "p", "b")];
    let buckets = names.map(|(tenant, owner, name)| bucket(tenant, owner, name));
    for (number, b) in buckets.iter().enumerate() {
        let changes = vec![set("k", format!("{number}")), set(&format!("own{number}"), "")];
        store.change(b, changes, ROOM).await.expect("set");
    }
    assert_eq!(store.clear(&buckets[0]).await, Ok(false));
    for (number, b) in buckets.iter().enumerate().skip(1) {
        assert_eq!(get(&*store, b, "k").await, Some(Bytes::from(format!("{number}"))), "{b:?}");
        assert_eq!(all_keys(&*store, b).await, ["k".to_owned(), format!("own{number}")]);
    }
    assert_eq!((get(&*store, &buckets[0], "k").await, all_keys(&*store, &buckets[0]).await), (None, vec![]));
    assert!(Bucket::new(tenant("t"), "", "b").is_none() && Bucket::new(tenant("t"), "p", &"b".repeat(256)).is_none());
}

pub(crate) async fn limits_hold_and_what_makes_less_is_let_in(store: Arc<dyn EventStore>) {
    let (b, other, theirs) = (bucket("acme", "p", "b"), bucket("acme", "q", "b"), bucket("umbrella", "p", "b"));
    let few = Filled { keys: 2, bytes: 1_000 };
    store.change(&b, vec![set("1", "x"), set("2", vec![0; 600])], few).await.expect("set");
    assert_eq!(filled(&*store, &b).await, Some(Filled { keys: 2, bytes: 1 + 1 + 128 + 1 + 600 + 128 }));
    for (changes, quota) in [(vec![set("1", ""), set("3", "")], Quota::BucketKeys), (vec![set("1", vec![0; 143])], Quota::BucketBytes)] {
        assert_eq!(store.change(&b, changes, few).await, Err(StoreError::Quota(quota)));
    }
    assert_eq!(get(&*store, &b, "1").await, Some(Bytes::from_static(b"x")), "all of it or nothing");
    store.change(&b, vec![remove("2"), set("3", "")], few).await.expect("no more than before");
    // Other limits, smaller than what is there: it can only become less.
    let fewer = Filled { keys: 1, bytes: 100 };
    store.change(&b, vec![set("1", "")], fewer).await.expect("it is less");
    assert_eq!(store.change(&b, vec![set("4", "")], fewer).await, Err(StoreError::Quota(Quota::BucketKeys)));
    // The tenant's own, for all of its buckets: 40 keys, 150,000 bytes.
    let many = |from: u8, to: u8| (from..to).map(|number| set(&format!("m{number}"), "")).collect::<Vec<_>>();
    store.change(&other, many(0, 38), ROOM).await.expect("set");
    assert_eq!(store.change(&other, many(38, 39), ROOM).await, Err(StoreError::Quota(Quota::TenantKeys)));
    store.change(&theirs, many(0, 40), ROOM).await.expect("another tenant has its own");
    let large = |bytes: usize| vec![set("m0", vec![0; bytes]), set("m1", vec![0; bytes]), set("m2", vec![0; bytes])];
    assert_eq!(store.change(&other, large(50_000), ROOM).await, Err(StoreError::Quota(Quota::TenantBytes)));
    store.change(&other, large(40_000), ROOM).await.expect("set");
    // It counts for the tenant like everything else.
    let usage = store.usage().await.expect("counted");
    let [ours, others] = [filled(&*store, &b).await, filled(&*store, &other).await].map(|filled| filled.expect("there").bytes);
    assert!(usage.contains(&(tenant("acme"), ours + others)), "{usage:?} {ours} {others}");
    for b in [&b, &other, &theirs] {
        assert_eq!(store.clear(b).await, Ok(false));
    }
    assert_eq!(store.usage().await, Ok(vec![]));
    store.change(&other, many(0, 40), ROOM).await.expect("there is room again");
}

pub(crate) async fn a_value_is_decided_on_in_one_step(store: Arc<dyn EventStore>) {
    let b = bucket("acme", "p", "b");
    let add = || Decide::new(|old| Some(Bytes::from([old.unwrap_or_default(), b"+"].concat())));
    let sums = (0..50).map(|_| store.decide(&b, Bytes::from_static(b"n"), add(), ROOM)).collect::<Vec<_>>();
    for (number, sum) in sums.into_iter().enumerate() {
        assert_eq!(sum.await.expect("decided").map(|sum| sum.len()), Some(number + 1), "in the order of the calls");
    }
    assert_eq!(store.decide(&b, Bytes::from_static(b"n"), Decide::new(|_| None), ROOM).await.expect("left").map(|sum| sum.len()), Some(50));
    assert_eq!(store.decide(&b, Bytes::from_static(b"m"), Decide::new(|_| None), ROOM).await, Ok(None));
    let none = Filled { keys: 1, bytes: 1 << 20 };
    assert_eq!(store.decide(&b, Bytes::from_static(b"m"), add(), none).await, Err(StoreError::Quota(Quota::BucketKeys)));
    // A write that nobody waits for is made all the same.
    drop(store.change(&b, vec![set("late", "x")], ROOM));
    store.change(&b, vec![set("later", "")], ROOM).await.expect("set");
    assert_eq!(get(&*store, &b, "late").await, Some(Bytes::from_static(b"x")));
}

pub(crate) async fn places_stay_while_keys_come_and_go(store: Arc<dyn EventStore>) {
    let b = bucket("acme", "p", "b");
    store.change(&b, (0..9).map(|number| set(&format!("k{number}"), "")).collect(), ROOM).await.expect("set");
    let page = store.keys(&b, 0, 3, usize::MAX).await.expect("listed");
    assert_eq!(page.keys, ["k0", "k1", "k2"]);
    store.change(&b, vec![remove("k1"), remove("k2"), remove("k3"), set("k0", "again"), set("new", "")], ROOM).await.expect("changed");
    let page = store.keys(&b, page.next.expect("more"), usize::MAX, 7).await.expect("listed");
    assert_eq!(page.keys, ["k4", "k5", "k6"], "no more once so many bytes are passed");
    let page = store.keys(&b, page.next.expect("more"), usize::MAX, usize::MAX).await.expect("listed");
    assert_eq!((page.keys, page.next), (["k7", "k8", "new"].map(Bytes::from).to_vec(), None));
    let one = store.keys(&b, 0, 0, 0).await.expect("listed");
    assert_eq!(one.keys, ["k0"], "one at least");
    assert_eq!(store.keys(&b, u64::MAX, 9, 9).await.expect("listed"), crate::KeyPage::default());
}

pub(crate) async fn clearing_and_walking_see_everything(store: Arc<dyn EventStore>) {
    let b = bucket("acme", "p", "b");
    store.change(&b, (0..30_u8).map(|number| set(&format!("k{number}"), vec![number; 100])).collect(), ROOM).await.expect("set");
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let walk = store.walk(after, 7).await.expect("walked");
        items.extend(walk.items);
        after = walk.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(items.len(), 30);
    assert!(items.contains(&Item::Entry(b.clone(), "k7".into(), vec![7; 100].into())), "{items:?}");
    while store.clear(&b).await.expect("cleared") {}
    assert_eq!((filled(&*store, &b).await, all_keys(&*store, &b).await), (None, vec![]));
    assert_eq!(store.clear(&b).await, Ok(false));
}

macro_rules! suites {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::memory(super::small())).await;
            })*
        }
        mod sled {
            $(#[tokio::test]
            async fn $name() {
                let (store, _directory) = super::durable();
                super::$name(store).await;
            })*
        }
    };
}

suites! {
    values_are_what_was_set
    buckets_never_run_together
    limits_hold_and_what_makes_less_is_let_in
    a_value_is_decided_on_in_one_step
    places_stay_while_keys_come_and_go
    clearing_and_walking_see_everything
}
