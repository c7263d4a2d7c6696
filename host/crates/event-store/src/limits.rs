//! How limits count: the same for every back end.

use crate::{Change, Filled, Kind, NewEvent, Quota, Seq, Settings, StoreError, TenantKey};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// Of the words that a stream is opened with.
const ABOUT_BYTES_MAX: usize = 4 << 10;
/// Partitions and streams that one sweep takes.
pub(crate) const SWEEP_MAX: usize = 1_000;
/// Tenants that may be asked to give something up for one write.
const DONORS_MAX: usize = 8;

/// What an event costs beside its bytes: its key and its place in the tree.
pub(crate) fn event_cost(bytes: usize) -> u64 {
    bytes as u64 + 64
}

/// The bytes of an event that costs so much.
pub(crate) fn event_bytes(cost: u64) -> usize {
    usize::try_from(cost.saturating_sub(64)).unwrap_or(usize::MAX)
}

pub(crate) fn stream_cost(about_bytes: usize) -> u64 {
    about_bytes as u64 + 128
}

/// What a stream costs that has said so much already, if one may begin like that: numbers grow, and nothing comes after a final event.
pub(crate) fn opening_cost(about_bytes: usize, said: &[NewEvent], event_bytes_max: usize) -> Result<u64, StoreError> {
    check(about_bytes, ABOUT_BYTES_MAX)?;
    let (mut cost, mut last, mut over) = (stream_cost(about_bytes), Seq(0), false);
    for event in said {
        check(event.data.len(), event_bytes_max)?;
        if event.seq <= last || over {
            return Err(StoreError::Conflict { last });
        }
        (last, over) = (event.seq, matches!(event.kind, Kind::Final { .. }));
        cost += event_cost(event.data.len());
    }
    Ok(cost)
}

/// Whether the stream that is at `last`, an event with that sum, has come as far as these and no further.
pub(crate) fn is_at_end_of(said: &[NewEvent], last: Seq, last_sum: u32) -> bool {
    said.last().is_none_or(|event| event.seq == last && event_sum(event) == last_sum)
}

pub(crate) fn record_cost(bytes: usize) -> u64 {
    bytes as u64 + 64
}

/// What a key of a bucket costs beside itself and its value: its places in the tree.
pub(crate) fn entry_cost(key_bytes: usize, value_bytes: usize) -> u64 {
    key_bytes as u64 + value_bytes as u64 + 128
}

/// Keys that one clearing takes.
pub(crate) const CLEARED_MAX: usize = 1_000;

/// Whether a bucket may come to be as full as `new` when it was as `old`, and all of its tenant's as `of_tenant`.
pub(crate) fn check_bucket((old, new): (Filled, Filled), limits: Filled, of_tenant: Filled, settings: &Settings) -> Result<(), StoreError> {
    let tenant_max = settings.tenant_buckets_max;
    let [more_keys, more_bytes] = [new.keys.saturating_sub(old.keys), new.bytes.saturating_sub(old.bytes)];
    // What makes no more of something may always be: how else would there be less again?
    let over = [
        (Quota::BucketKeys, more_keys, new.keys, limits.keys),
        (Quota::BucketBytes, more_bytes, new.bytes, limits.bytes),
        (Quota::TenantKeys, more_keys, of_tenant.keys.saturating_add(more_keys), tenant_max.keys),
        (Quota::TenantBytes, more_bytes, of_tenant.bytes.saturating_add(more_bytes), tenant_max.bytes),
    ];
    match over.into_iter().find(|(_, more, all, max)| *more > 0 && all > max) {
        Some((quota, ..)) => Err(StoreError::Quota(quota)),
        None => Ok(()),
    }
}

/// Where eviction stops: some way below the limit, so that not every write evicts; not so far that one write evicts for long.
pub(crate) fn low_water(limit: u64) -> u64 {
    limit - (limit / 8).min(64 << 10)
}

/// Whoever keeps the most gives first, when all tenants together keep too much.
pub(crate) fn largest(usage: &HashMap<TenantKey, u64>) -> Vec<TenantKey> {
    let mut tenants: Vec<_> = usage.iter().collect();
    tenants.sort_by(|(name, bytes), (other, others)| others.cmp(bytes).then_with(|| name.cmp(other)));
    tenants.into_iter().take(DONORS_MAX).map(|(name, _)| name.clone()).collect()
}

/// What becomes of each key in the end, where each value may be kept.
pub(crate) fn last(changes: Vec<Change>, value_bytes_max: usize) -> Result<BTreeMap<Bytes, Option<Bytes>>, StoreError> {
    let mut last = BTreeMap::new();
    for change in changes {
        match change {
            Change::Set(key, value) => {
                check(value.len(), value_bytes_max)?;
                last.insert(key, Some(value));
            }
            Change::Remove(key) => drop(last.insert(key, None)),
        }
    }
    Ok(last)
}

pub(crate) fn check(bytes: usize, limit: usize) -> Result<(), StoreError> {
    if bytes > limit { Err(StoreError::TooLarge { bytes, limit }) } else { Ok(()) }
}

/// To know an event again that is sent twice.
pub(crate) fn event_sum(event: &NewEvent) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[u8::from(matches!(event.kind, Kind::Final { .. }))]);
    hasher.update(&event.data);
    hasher.finalize()
}
