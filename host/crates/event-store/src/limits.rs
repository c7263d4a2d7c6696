//! How limits count: the same for every back end.

use crate::{Kind, NewEvent, StoreError, TenantKey};
use std::collections::HashMap;

/// Of the words that a stream is opened with.
pub(crate) const ABOUT_BYTES_MAX: usize = 4 << 10;
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

pub(crate) fn record_cost(bytes: usize) -> u64 {
    bytes as u64 + 64
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
