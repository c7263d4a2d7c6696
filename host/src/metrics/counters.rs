//! Numbers that grow. Counting takes no lock and makes nothing: an addition that other threads see some time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// One number.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One number for each word of a closed set.
#[derive(Debug)]
pub struct ByWord<const N: usize> {
    words: [&'static str; N],
    counts: [Count; N],
}

impl<const N: usize> ByWord<N> {
    /// Nothing yet. The last word stands for all that are not of the set.
    pub(super) const fn new(words: [&'static str; N]) -> Self {
        Self { words, counts: [const { Count::new() }; N] }
    }

    /// One more of that word.
    pub fn count(&self, word: &str) {
        let known = self.words.iter().zip(&self.counts).find(|(known, _)| **known == word);
        if let Some(count) = known.map(|(_, count)| count).or(self.counts.last()) {
            count.count();
        }
    }

    /// All of them.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.words.iter().copied().zip(self.counts.iter().map(Count::get))
    }
}

/// The upper ends of a histogram's buckets, in seconds: from what a call costs that does nothing to what one may take.
const BOUNDS: [f64; 14] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0];
/// One more, for what is beyond.
const BUCKETS: usize = BOUNDS.len() + 1;

/// How long something took.
#[derive(Debug)]
pub struct Histogram {
    buckets: [Count; BUCKETS],
    nanos: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { buckets: [const { Count::new() }; BUCKETS], nanos: AtomicU64::new(0) }
    }

    /// Once more.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.count();
        }
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Sum in seconds, and the buckets, which are not cumulative. How many there were is their sum: read once, so that it agrees with them.
    pub(super) fn read(&self) -> (f64, Vec<(f64, u64)>) {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets = bounds.zip(self.buckets.iter().map(Count::get)).collect();
        (Duration::from_nanos(self.nanos.load(Relaxed)).as_secs_f64(), buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_set_is_the_last_word() {
        let counts = ByWord::new(["a", "b", "other"]);
        ["a", "b", "b", "c", "", "A"].iter().for_each(|word| counts.count(word));
        assert_eq!(counts.each().collect::<Vec<_>>(), [("a", 1), ("b", 2), ("other", 3)]);
    }

    #[test]
    fn a_duration_is_in_one_bucket() {
        let histogram = Histogram::new();
        for nanos in [0, 100_000, 100_001, 1_000_000_000, 300_000_000_001, u64::MAX / 2] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        let (_, buckets) = histogram.read();
        let filled: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.000_1, 2), (0.000_25, 1), (1.0, 1), (f64::INFINITY, 2)]);
    }
}
