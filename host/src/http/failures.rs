//! Who shows tokens that do not count again and again is told to wait, for a while and by address.
//!
//! Tokens that count go on to count: behind a proxy everybody comes from one address, and nobody may lock the others out.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Failures are counted over this time.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; the counts of all begin anew when there are more.
const ADDRESSES_MAX: usize = 10_000;

/// Failures by address.
#[derive(Debug)]
pub struct Failures {
    per_minute_max: u32,
    by_address: Mutex<HashMap<IpAddr, Count>>,
}

#[derive(Debug)]
struct Count {
    since: Instant,
    failures: u32,
}

impl Failures {
    /// So many are answered as what they are in a minute.
    pub fn new(per_minute_max: u32) -> Self {
        Self { per_minute_max, by_address: Mutex::default() }
    }

    /// Whether an address has shown too much that does not count.
    pub(super) fn is_over(&self, address: IpAddr, now: Instant) -> bool {
        let by_address = self.by_address.lock();
        by_address
            .get(&network(address))
            .is_some_and(|count| now.duration_since(count.since) < WINDOW && count.failures >= self.per_minute_max)
    }

    /// Counts one; says how long to wait if there are too many.
    pub(super) fn count(&self, address: IpAddr, now: Instant) -> Option<Duration> {
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
        if count.failures == self.per_minute_max.saturating_add(1) {
            // Once in a minute: whoever shows them can write as fast as it likes.
            tracing::warn!(%address, max = self.per_minute_max, "too much that this address shows does not count; it is told to wait");
        }
        (count.failures > self.per_minute_max).then(|| WINDOW.saturating_sub(now.duration_since(count.since)))
    }
}

/// One customer has as many addresses of IPv6 as it likes, all of one /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
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
        assert_eq!(failures.count(a, now + Duration::from_secs(20)), Some(Duration::from_secs(40)));
        assert_eq!(failures.count(b, now), None);
        assert_eq!(failures.count(a, now + WINDOW), None);
        let [c, d] = ["2001:db8::1", "2001:db8::2:0:0:1"].map(|text| text.parse().expect("an address"));
        assert_eq!(network(c), network(d));
        assert_eq!(network("::ffff:192.0.2.1".parse().expect("an address")), a);
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
