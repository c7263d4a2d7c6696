//! Who takes most of what serves requests: the threads that read them, ask whether they may be, and write the answers.
//!
//! A tenant that is alone may have all of it. Where there are others, one that takes more than a part of the processors stands behind those that take
//! less: its connections are served at low priority (`http/lane.rs`) until it takes less again. So a flood costs the one who sends it, whatever it is made
//! of: requests that are refused, large bodies, results that nobody reads.

use super::clock_ns;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What may be taken at the priority of everybody: this part of all processors.
const PART: u64 = 8;
/// What may be taken at once before it is looked at: processor time.
const BURST_NS: u64 = 10_000_000;
/// What is remembered at most, as time that it takes to be forgotten.
const DEBT_NS_MAX: u64 = 1_000_000_000;
/// Whoever sent nothing for two of these is not there.
const EPOCH_NS: u64 = 8_000_000_000;

/// What one tenant takes.
#[derive(Debug, Default)]
pub struct Load {
    /// Until when what it took is forgotten, at the rate at which it may take. It is read and written without a lock: what gets lost between two
    /// threads is the time of one poll.
    forgotten_at_ns: AtomicU64,
    /// In which epoch it was last seen.
    epoch: AtomicU64,
    /// None: whoever is nobody, who stands behind everybody.
    crowd: Option<Arc<Crowd>>,
}

/// Everybody who is there.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    epochs: Mutex<Epochs>,
    is_one: AtomicBool,
}

#[derive(Debug, Default)]
struct Epochs {
    now: u64,
    seen: usize,
    seen_before: usize,
}

impl Load {
    /// One of them.
    pub(super) fn among(crowd: &Arc<Crowd>) -> Self {
        Self { crowd: Some(Arc::clone(crowd)), ..Self::default() }
    }

    /// Adds time that was spent on its requests until now, by [`clock_ns`].
    pub fn add(&self, took: Duration, now_ns: u64) {
        self.add_at(took, now_ns, processors());
    }

    fn add_at(&self, took: Duration, now_ns: u64, processors: u64) {
        let cost_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).saturating_mul(PART) / processors;
        let before = self.forgotten_at_ns.load(Relaxed).max(now_ns);
        self.forgotten_at_ns.store(before.saturating_add(cost_ns).min(now_ns.saturating_add(DEBT_NS_MAX)), Relaxed);
        // From one on: zero is that of whoever was never seen.
        let epoch = now_ns / EPOCH_NS + 1;
        if let Some(crowd) = &self.crowd
            && self.epoch.load(Relaxed) != epoch
            && self.epoch.swap(epoch, Relaxed) != epoch
        {
            crowd.enter(epoch);
        }
    }

    /// Whether it takes more than its part, and somebody else is there.
    pub fn is_heavy(&self) -> bool {
        self.is_heavy_at(clock_ns, processors())
    }

    /// Whoever is alone is not asked for the time.
    fn is_heavy_at(&self, now_ns: impl FnOnce() -> u64, processors: u64) -> bool {
        self.crowd.as_ref().is_none_or(|crowd| crowd.is_one.load(Relaxed))
            && self.forgotten_at_ns.load(Relaxed).saturating_sub(now_ns()) > BURST_NS * PART / processors
    }
}

impl Crowd {
    /// Once in an epoch for each. One that was seen in the last epoch and in this one is counted in both.
    fn enter(&self, epoch: u64) {
        let mut epochs = self.epochs.lock();
        if epoch > epochs.now {
            epochs.seen_before = if epoch == epochs.now + 1 { epochs.seen } else { 0 };
            epochs.now = epoch;
            epochs.seen = 0;
        }
        epochs.seen += 1;
        self.is_one.store(epochs.seen > 1 || epochs.seen_before > 1, Relaxed);
    }
}

fn processors() -> u64 {
    static PROCESSORS: std::sync::LazyLock<u64> =
        std::sync::LazyLock::new(|| std::thread::available_parallelism().map_or(1, |processors| processors.get() as u64));
    *PROCESSORS
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const PROCESSORS: u64 = 2;

    /// A part of two processors for a second, in steps of a millisecond from then on; says whether it was heavy at the end.
    fn take(load: &Load, from_ns: u64, part: f64) -> bool {
        for ms in 0..1_000 {
            load.add_at(Duration::from_secs_f64(part * PROCESSORS as f64 / 1e3), from_ns + ms * MS, PROCESSORS);
        }
        load.is_heavy_at(|| from_ns + 1_000 * MS, PROCESSORS)
    }

    #[test]
    fn who_takes_more_than_its_part_is_heavy_while_others_are_there() {
        let crowd = Arc::new(Crowd::default());
        let [many, few] = [(), ()].map(|()| Load::among(&crowd));
        let began = 100 * EPOCH_NS;
        assert!(!take(&many, began, 1.0), "alone it may have all");
        few.add_at(Duration::from_micros(100), began + 1_000 * MS, PROCESSORS);
        assert!(many.is_heavy_at(|| began + 1_000 * MS, PROCESSORS) && !few.is_heavy_at(|| began + 1_000 * MS, PROCESSORS));
        assert!(take(&many, began + 1_000 * MS, 0.2) && !take(&few, began + 1_000 * MS, 0.1), "a part of an eighth");
        // What it took is forgotten within a second, however much it was.
        assert!(!many.is_heavy_at(|| began + 3_000 * MS, PROCESSORS));
    }

    #[test]
    fn who_is_gone_is_not_there() {
        let crowd = Arc::new(Crowd::default());
        let [stays, goes] = [(), ()].map(|()| Load::among(&crowd));
        let began = 100 * EPOCH_NS;
        goes.add_at(Duration::from_micros(1), began, PROCESSORS);
        assert!(take(&stays, began, 1.0) && take(&stays, began + EPOCH_NS, 1.0), "it may only be slow");
        assert!(!take(&stays, began + 2 * EPOCH_NS, 1.0), "two epochs without it");
        // And again after long.
        goes.add_at(Duration::from_micros(1), began + 50 * EPOCH_NS, PROCESSORS);
        assert!(take(&stays, began + 50 * EPOCH_NS, 1.0));
    }

    #[test]
    fn nobody_stands_behind_everybody() {
        let nobody = Load::default();
        assert!(!nobody.is_heavy_at(|| 0, PROCESSORS) && take(&nobody, 0, 0.2));
    }

    #[test]
    fn a_burst_is_no_load() {
        let crowd = Arc::new(Crowd::default());
        let [one, other] = [(), ()].map(|()| Load::among(&crowd));
        let now = 100 * EPOCH_NS;
        other.add_at(Duration::from_micros(1), now, PROCESSORS);
        one.add_at(Duration::from_millis(9), now, PROCESSORS);
        assert!(!one.is_heavy_at(|| now, PROCESSORS));
        one.add_at(Duration::from_millis(2), now, PROCESSORS);
        assert!(one.is_heavy_at(|| now, PROCESSORS) && !one.is_heavy_at(|| now + 10 * MS, PROCESSORS));
    }
}
