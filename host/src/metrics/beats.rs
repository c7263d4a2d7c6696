//! Whether the gateway's own loops come round. Each beats once a round, which is one store; who asks is told how long ago that was.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

static ALL: Mutex<Vec<(&str, Arc<AtomicU64>)>> = Mutex::new(Vec::new());

/// The beat of one loop. There may be several of one name.
#[derive(Debug)]
pub struct Beat(Arc<AtomicU64>);

impl Beat {
    /// Of a loop that begins.
    pub fn begin(task: &'static str) -> Self {
        let at_ms = Arc::new(AtomicU64::new(now_ms()));
        ALL.lock().push((task, Arc::clone(&at_ms)));
        Self(at_ms)
    }

    /// It has come round.
    pub fn beat(&self) {
        self.0.store(now_ms(), Relaxed);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        ALL.lock().retain(|(_, at_ms)| !Arc::ptr_eq(at_ms, &self.0));
    }
}

fn now_ms() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// How long ago each loop came round; of those that share a name, the one that is furthest behind.
pub(super) fn ages() -> BTreeMap<&'static str, Duration> {
    let (mut ages, now_ms) = (BTreeMap::<_, Duration>::new(), now_ms());
    for (task, at_ms) in &*ALL.lock() {
        let age = Duration::from_millis(now_ms.saturating_sub(at_ms.load(Relaxed)));
        let oldest = ages.entry(*task).or_default();
        *oldest = age.max(*oldest);
    }
    ages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_is_furthest_behind_counts() {
        let [one, other] = ["of this test"; 2].map(Beat::begin);
        one.0.store(0, Relaxed);
        while now_ms() < 2 {
            std::thread::yield_now();
        }
        other.beat();
        assert!(ages()["of this test"] >= Duration::from_millis(2));
        drop((one, other));
        assert!(!ages().contains_key("of this test"));
    }
}
