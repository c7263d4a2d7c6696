//! A bucket that leaks at a steady rate. It holds units and not time, so that with another rate what is in it stays in it.

use parking_lot::Mutex;
use std::time::Duration;

/// How fast it leaks, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) units_per_second: f64,
    /// Units that it holds, at least one.
    pub(super) capacity: f64,
}

/// How full it is. The lock is held for a few operations with numbers.
#[derive(Debug, Default)]
pub(super) struct Bucket(Mutex<Level>);

#[derive(Debug, Default)]
struct Level {
    units: f64,
    /// When it was so full, in nanoseconds on the clock of whoever asks.
    at_ns: u64,
}

impl Level {
    /// Lets out what has leaked until now. Clocks of two threads may be asked in one order and come in another.
    fn leak(&mut self, rate: Rate, now_ns: u64) {
        let seconds = Duration::from_nanos(now_ns.saturating_sub(self.at_ns)).as_secs_f64();
        self.units = (self.units - seconds * rate.units_per_second).max(0.0);
        self.at_ns = self.at_ns.max(now_ns);
    }
}

/// Until so many units have leaked.
fn wait(rate: Rate, units: f64) -> Duration {
    Duration::try_from_secs_f64(units / rate.units_per_second).unwrap_or(Duration::MAX)
}

impl Bucket {
    /// Puts one unit in; if there is no room, says how long it takes until there is.
    pub(super) fn take_one(&self, rate: Rate, now_ns: u64) -> Result<(), Duration> {
        let mut level = self.0.lock();
        level.leak(rate, now_ns);
        // Sums of many small numbers are not exact.
        let over = level.units + 1.0 - rate.capacity;
        if over > 1e-6 {
            return Err(wait(rate, over));
        }
        level.units += 1.0;
        Ok(())
    }

    /// Takes back what [`take_one`](Self::take_one) put in.
    pub(super) fn give_one_back(&self) {
        let mut level = self.0.lock();
        level.units = (level.units - 1.0).max(0.0);
    }

    /// Puts in what was used already: it may be more than there is room for, and then takes so much longer to leak.
    pub(super) fn charge(&self, rate: Rate, units: u64, now_ns: u64) {
        let mut level = self.0.lock();
        level.leak(rate, now_ns);
        level.units += units as f64;
    }

    /// If it is full, how long it takes until it is not.
    pub(super) fn full_for(&self, rate: Rate, now_ns: u64) -> Option<Duration> {
        let mut level = self.0.lock();
        level.leak(rate, now_ns);
        (level.units >= rate.capacity).then(|| wait(rate, level.units - rate.capacity))
    }

    /// How full it is, in units.
    pub(super) fn level(&self, rate: Rate, now_ns: u64) -> u64 {
        let mut level = self.0.lock();
        level.leak(rate, now_ns);
        level.units as u64
    }

    /// Whether nothing is in it; without a rate nothing leaks, and nothing counts.
    pub(super) fn is_empty(&self, rate: Option<Rate>, now_ns: u64) -> bool {
        rate.is_none_or(|rate| self.level(rate, now_ns) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn per_second(units: u64, capacity: u64) -> Rate {
        Rate { units_per_second: units as f64, capacity: capacity as f64 }
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let (bucket, rate) = (Bucket::default(), per_second(10, 20));
        let taken = (0..100).filter(|_| bucket.take_one(rate, 5 * SECOND).is_ok()).count();
        assert_eq!(taken, 20);
        let wait = bucket.take_one(rate, 5 * SECOND).expect_err("it is full");
        assert!((Duration::from_millis(99)..Duration::from_millis(101)).contains(&wait), "{wait:?}");
        let mut taken = 0;
        for ms in 1..=10_000 {
            taken += usize::from(bucket.take_one(rate, 5 * SECOND + ms * SECOND / 1_000).is_ok());
        }
        assert_eq!(taken, 100, "ten a second for ten seconds");
        bucket.give_one_back();
        assert_eq!(bucket.take_one(rate, 15 * SECOND), Ok(()));
        assert!(bucket.is_empty(Some(rate), 100 * SECOND));
        bucket.take_one(rate, 100 * SECOND).expect("there is room");
        assert!(!bucket.is_empty(Some(rate), 100 * SECOND) && bucket.is_empty(None, 0));
    }

    #[test]
    fn what_was_used_is_paid_for() {
        let (bucket, rate) = (Bucket::default(), Rate { units_per_second: 1_000.0, capacity: 60_000.0 });
        assert_eq!(bucket.full_for(rate, 0), None);
        bucket.charge(rate, 59_000, 0);
        assert_eq!((bucket.full_for(rate, 0), bucket.level(rate, 0)), (None, 59_000));
        bucket.charge(rate, 31_000, 0);
        assert_eq!(bucket.full_for(rate, 0).map(|wait| wait.as_secs()), Some(30));
        assert_eq!(bucket.full_for(rate, 31 * SECOND), None);
        // With ten times the rate there is room: it holds what was used, and not how long that takes.
        let (bucket, more) = (Bucket::default(), Rate { units_per_second: 10_000.0, capacity: 600_000.0 });
        bucket.charge(rate, 90_000, 0);
        assert_eq!((bucket.full_for(more, 0), bucket.level(more, 0)), (None, 90_000));
        bucket.charge(rate, u64::MAX, 0);
        assert!(bucket.full_for(rate, SECOND).is_some());
    }

    /// Whatever is asked in whatever order: never more in any stretch of time than the burst and the rate allow.
    #[test]
    fn no_order_of_asking_gets_more() {
        let rate = per_second(7, 3);
        let mut random = 1_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        for _ in 0..200 {
            let bucket = Bucket::default();
            let (mut now, mut taken) = (next() % SECOND, Vec::new());
            for _ in 0..400 {
                now += next() % (SECOND / 4);
                if bucket.take_one(rate, now).is_ok() {
                    taken.push(now);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let allowed = 3 + (to - from) * 7 / SECOND + 1;
                    assert!((last - first + 1) as u64 <= allowed, "{} in {} ns", last - first + 1, to - from);
                }
            }
        }
    }
}
