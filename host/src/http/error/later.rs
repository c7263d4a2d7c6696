//! When to come again. Clients that are refused together are told different times, so that they do not come back together (reliability O01).

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The longest that anybody is told, so that no client gives up for good.
const SECONDS_MAX: u32 = 30;
/// So many refusals in a row are told different times.
const SPREAD: u32 = 5;

/// What `Retry-After` says, in seconds: `least` or a little more, 30 at most.
pub(in crate::http) fn after_s(least: u32) -> u32 {
    static TURN: AtomicU32 = AtomicU32::new(0);
    of_turn(least, TURN.fetch_add(1, Relaxed))
}

/// Turns spread evenly, which chance does only for many.
fn of_turn(least: u32, turn: u32) -> u32 {
    least.clamp(1, SECONDS_MAX - (SPREAD - 1)) + turn % SPREAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::http::error::response;
    use crate::tenant::{Exceeded, Quantity, Refused, Whose};
    use axum::http::header::RETRY_AFTER;
    use mcp::Era;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[test]
    fn it_is_within_its_bounds_and_not_before_the_time() {
        for least in (0..=100).chain([u32::MAX]) {
            for turn in (0..20).chain([u32::MAX]) {
                let said = of_turn(least, turn);
                assert!((1..=SECONDS_MAX).contains(&said), "{least}, {turn}: {said}");
                assert!(said >= least || said >= SECONDS_MAX - SPREAD, "{least}, {turn}: {said}");
                assert!(said < least.max(1).saturating_add(SPREAD), "{least}, {turn}: {said}");
            }
        }
    }

    /// Those who are refused in the same moment do not come back in one.
    #[test]
    fn whoever_is_refused_together_is_spread() {
        let exceeded = Exceeded { whose: Whose::Tenant, quantity: Quantity::Cpu, wait: Duration::from_secs(3_600) };
        let waits = [
            (Failure::NoSlot(Refused::Host), 1..=5),
            (Failure::NoSlot(Refused::Tenant), 1..=5),
            (Failure::NoSlot(Refused::Quota(exceeded)), 26..=30),
            (Failure::Draining, 1..=5),
            (Failure::TooManySessions, 1..=5),
            (Failure::SessionQuota, 26..=30),
            (Failure::StreamQuota, 1..=5),
        ];
        for (failure, bounds) in waits {
            let mut said: BTreeMap<u32, usize> = BTreeMap::new();
            for _ in 0..1_000 {
                let answer = response(None, &failure, Era::Modern);
                let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                *said.entry(seconds.expect("a time")).or_default() += 1;
            }
            assert!(said.keys().all(|seconds| bounds.contains(seconds)), "{failure:?}: {said:?}");
            // Other tests take turns as well.
            assert!(said.len() == 5 && said.values().all(|count| *count <= 400), "{failure:?}: {said:?}");
        }
    }
}
