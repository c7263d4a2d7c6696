//! Who shows tokens that do not count again and again is told to wait, for a while and by address.
//!
//! Tokens that count go on to count: behind a proxy everybody comes from one address, and nobody may lock the others out.

use crate::journal::network;
use crate::tenant::Load;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Failures are counted over this time.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; the counts of all begin anew when there are more.
const ADDRESSES_MAX: usize = 10_000;

/// Failures by address.
#[derive(Debug)]
pub struct Failures {
    per_minute_max: u32,
    /// What the requests take of those whom nobody knows.
    load: Arc<Load>,
    by_address: Mutex<HashMap<IpAddr, Count>>,
}

#[derive(Debug)]
struct Count {
    since: Instant,
    failures: u32,
}

/// An address has shown too much that does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany {
    /// For how long it is told to wait.
    pub(super) wait: Duration,
    /// It is told so for the first time in this minute.
    pub(super) is_first: bool,
}

impl Failures {
    /// So many are answered as what they are in a minute.
    pub fn new(per_minute_max: u32) -> Self {
        Self { per_minute_max, load: Arc::default(), by_address: Mutex::default() }
    }

    /// What such requests take.
    pub(super) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Whether an address has shown too much that does not count.
    pub(super) fn is_over(&self, address: IpAddr, now: Instant) -> bool {
        let by_address = self.by_address.lock();
        by_address
            .get(&network(address))
            .is_some_and(|count| now.duration_since(count.since) < WINDOW && count.failures >= self.per_minute_max)
    }

    /// Counts one; says if there are too many.
    pub(super) fn count(&self, address: IpAddr, now: Instant) -> Option<TooMany> {
        let mut by_address = self.by_address.lock();
        if by_address.len() >= ADDRESSES_MAX {
            by_address.retain(|_, count| now.duration_since(count.since) < WINDOW);
            if by_address.len() >= ADDRESSES_MAX {
                by_address.clear();
            }
        }
        let count = by_address.entry(network(address)).or_insert(Count { since: now, failures: 0 });
        if now.duration_since(count.since) >= WINDOW {
            *count = Count { since: now, failures: 0 };
        }
        count.failures = count.failures.saturating_add(1);
        let is_first = count.failures == self.per_minute_max.saturating_add(1);
        if is_first {
            // Once in a minute: whoever shows them can write as fast as it likes.
            tracing::warn!(%address, max = self.per_minute_max, "too much that this address shows does not count; it is told to wait");
        }
        (count.failures > self.per_minute_max).then(|| TooMany { wait: WINDOW.saturating_sub(now.duration_since(count.since)), is_first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_address_and_minute() {
        let (failures, now) = (Failures::new(3), Instant::now());
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
        for _ in 0..3 {
            assert_eq!(failures.count(a, now), None);
        }
        let told = |seconds| failures.count(a, now + Duration::from_secs(seconds)).map(|told| (told.wait.as_secs(), told.is_first));
        assert_eq!((told(20), told(21)), (Some((40, true)), Some((39, false))));
        assert_eq!(failures.count(b, now), None);
        assert_eq!(failures.count(a, now + WINDOW), None);
    }

    #[test]
    fn there_are_only_so_many_addresses() {
        let (failures, now) = (Failures::new(0), Instant::now());
        for at in 0..100_000_u32 {
            assert!(failures.count(IpAddr::V4(at.into()), now).is_some());
        }
        assert!(failures.by_address.lock().len() <= ADDRESSES_MAX);
    }
}
