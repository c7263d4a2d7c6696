//! For how long something has been too little.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Where many come and go, there is enough for a moment now and then: that does not end an episode, so long of it does.
const ENOUGH_NS: u64 = 100_000_000;
/// Where nobody comes, nobody knows: after so long it is another episode.
const SILENCE_NS: u64 = 10_000_000_000;

/// An episode of want, as those found it who came.
///
/// It tells a burst, which is over when it is served, from a load that does not fit: whoever waits then makes all others wait as well.
#[derive(Debug, Default)]
pub struct Pressure {
    began_ns: AtomicU64,
    /// When somebody found too little last; zero: there is no episode.
    last_ns: AtomicU64,
}

impl Pressure {
    /// Somebody finds too little now. For how long it has been so.
    pub fn found_too_little(&self) -> Duration {
        self.too_little_at(clock_ns())
    }

    /// Somebody finds enough now.
    pub fn found_enough(&self) {
        if self.last_ns.load(Relaxed) > 0 {
            self.enough_at(clock_ns());
        }
    }

    fn too_little_at(&self, now_ns: u64) -> Duration {
        let last_ns = self.last_ns.swap(now_ns, Relaxed);
        if last_ns == 0 || now_ns.saturating_sub(last_ns) > SILENCE_NS {
            self.began_ns.store(now_ns, Relaxed);
        }
        Duration::from_nanos(now_ns.saturating_sub(self.began_ns.load(Relaxed)))
    }

    fn enough_at(&self, now_ns: u64) {
        let last_ns = self.last_ns.load(Relaxed);
        if now_ns.saturating_sub(last_ns) > ENOUGH_NS {
            // Unless somebody has found too little in this moment.
            let _ = self.last_ns.compare_exchange(last_ns, 0, Relaxed, Relaxed);
        }
    }
}

/// From some moment on; never zero.
fn clock_ns() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_goes_on_over_moments_of_plenty_and_ends_with_a_long_one() {
        let pressure = Pressure::default();
        let ns = |ms: u64| ms * 1_000_000 + 1;
        let too_little = |ms| pressure.too_little_at(ns(ms)).as_millis();
        assert_eq!([too_little(0), too_little(60), too_little(900)], [0, 60, 900]);
        pressure.enough_at(ns(950));
        assert_eq!(too_little(990), 990);
        pressure.enough_at(ns(1_091));
        assert_eq!([too_little(1_100), too_little(1_150)], [0, 50]);
        assert_eq!(too_little(20_000), 0, "nobody knows what was meanwhile");
    }
}
