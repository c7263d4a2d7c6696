//! Answers that need not be found again for a while, each under SHA-256 of all that it hangs on: bounded in their number, their bytes and their age.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Locks, so that requests at once seldom meet at one.
const SHARDS: usize = 16;
/// Of all that one of these keeps, about.
const BYTES_MAX: usize = 16 << 20;
/// What an entry takes beside its answer, about.
const ENTRY_BYTES: usize = 160;

/// What an answer hangs on.
pub(super) type Key = [u8; 32];

/// Answers by their keys.
#[derive(Debug)]
pub(super) struct Kept<V> {
    shards: Vec<Mutex<Shard<V>>>,
    /// Of one shard.
    entries_max: usize,
    age_max: Duration,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How often an answer was there, and how often not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct KeptCounts {
    /// It was.
    pub(super) hits: u64,
    /// It had to be found.
    pub(super) misses: u64,
}

#[derive(Debug)]
struct Shard<V> {
    answers: HashMap<Key, (Instant, V)>,
    /// All of them in the order in which they came, which is about that of their age: each lives as long as any other.
    order: VecDeque<(Instant, Key, usize)>,
    bytes: usize,
}

impl<V: Clone> Kept<V> {
    /// For so many, each for so long; none at all for 0.
    pub(super) fn new(entries_max: usize, age_max: Duration) -> Self {
        let shards = if entries_max == 0 { 0 } else { SHARDS.min(entries_max) };
        let entries_max = entries_max.checked_div(shards).unwrap_or_default();
        let shard = || Mutex::new(Shard { answers: HashMap::new(), order: VecDeque::new(), bytes: 0 });
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { shards: (0..shards).map(|_| shard()).collect(), entries_max, age_max, hits, misses }
    }

    pub(super) fn is_on(&self) -> bool {
        !self.shards.is_empty()
    }

    pub(super) fn counts(&self) -> KeptCounts {
        KeptCounts { hits: self.hits.load(Relaxed), misses: self.misses.load(Relaxed) }
    }

    fn shard(&self, key: &Key) -> Option<&Mutex<Shard<V>>> {
        let first = key.first().copied().map(usize::from)?;
        self.shards.get(first.checked_rem(self.shards.len())?)
    }

    /// What was found a moment ago.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<V> {
        let found = self.shard(key).and_then(|shard| {
            let mut shard = shard.lock();
            shard.forget_until(now, self.age_max);
            let (at, answer) = shard.answers.get(key)?;
            (now.saturating_duration_since(*at) < self.age_max).then(|| answer.clone())
        });
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Relaxed);
        found
    }

    /// Keeps what was found at that time and takes so many bytes. Two that looked at once have found the same: the first stays.
    pub(super) fn put(&self, key: Key, answer: V, bytes: usize, now: Instant) {
        let Some(shard) = self.shard(&key) else { return };
        let bytes = ENTRY_BYTES.saturating_add(bytes);
        let bytes_max = BYTES_MAX / SHARDS;
        if bytes > bytes_max {
            return;
        }
        let mut shard = shard.lock();
        shard.forget_until(now, self.age_max);
        if shard.answers.contains_key(&key) {
            return;
        }
        while shard.answers.len() >= self.entries_max || shard.bytes.saturating_add(bytes) > bytes_max {
            if !shard.forget_oldest() {
                return;
            }
        }
        shard.answers.insert(key, (now, answer));
        shard.order.push_back((now, key, bytes));
        shard.bytes = shard.bytes.saturating_add(bytes);
    }
}

impl<V> Shard<V> {
    fn forget_until(&mut self, now: Instant, age_max: Duration) {
        while self.order.front().is_some_and(|(at, ..)| now.saturating_duration_since(*at) >= age_max) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, key, bytes)) = self.order.pop_front() else { return false };
        self.answers.remove(&key);
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    const AGE_MAX: Duration = Duration::from_secs(5);

    fn key(number: u32) -> Key {
        Sha256::digest(number.to_le_bytes()).into()
    }

    #[test]
    fn what_is_kept_is_found_until_its_time_is_over() {
        let (kept, now) = (Kept::new(100, AGE_MAX), Instant::now());
        assert_eq!(kept.get(&key(1), now), None);
        kept.put(key(1), "first", 0, now);
        assert_eq!(kept.get(&key(1), now), Some("first"));
        // Found once more by somebody who began earlier: the time of the first counts.
        let soon = now + AGE_MAX - Duration::from_millis(1);
        kept.put(key(1), "second", 0, soon);
        assert_eq!(kept.get(&key(1), soon), Some("first"));
        assert!(kept.get(&key(1), now + AGE_MAX).is_none() && kept.get(&key(2), now).is_none());
        assert_eq!(kept.counts(), KeptCounts { hits: 2, misses: 3 });
    }

    #[test]
    fn the_oldest_make_room() {
        let now = Instant::now();
        for entries_max in [1, 16, 100] {
            let all = Kept::new(entries_max, AGE_MAX);
            (0..1_000).for_each(|number| all.put(key(number), (), 0, now));
            let kept: usize = all.shards.iter().map(|shard| shard.lock().answers.len()).sum();
            assert!(kept <= entries_max && kept > 0, "{kept} of {entries_max}");
            assert!(all.get(&key(999), now).is_some());
        }
        let off = Kept::new(0, AGE_MAX);
        off.put(key(1), (), 0, now);
        assert!(!off.is_on() && off.get(&key(1), now).is_none());
    }

    #[test]
    fn long_answers_are_bounded_by_their_bytes() {
        let (kept, now) = (Kept::new(1_000_000, AGE_MAX), Instant::now());
        kept.put(key(0), (), BYTES_MAX, now);
        assert!(kept.get(&key(0), now).is_none(), "one that would take all places is not kept");
        (0..2_000).for_each(|number| kept.put(key(number), (), 64 << 10, now));
        for shard in &kept.shards {
            let shard = shard.lock();
            let bytes: usize = shard.order.iter().map(|(_, _, bytes)| bytes).sum();
            assert!(shard.bytes == bytes && bytes <= BYTES_MAX / SHARDS && shard.answers.len() == shard.order.len());
        }
    }
}
