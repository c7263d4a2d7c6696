//! The store's own time, which outlives the process and does not listen to whoever sets the wall clock.

use crate::StoreTime;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What a store can believe of a wall clock across a reboot.
const DOWN_MAX_MS: u64 = 24 * 3_600 * 1_000;

/// Runs on from where it was.
#[derive(Debug)]
pub(crate) struct Clock {
    base_ms: AtomicU64,
    started: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { base_ms: AtomicU64::new(0), started: Instant::now() }
    }
}

/// The machine's clocks at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    /// Which run of the machine; empty where it cannot be told.
    boot: String,
    /// Since the machine was started, sleep included.
    uptime_ms: u64,
    /// Since 1970.
    wall_ms: u64,
}

impl Reading {
    fn take() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let uptime_ms =
            u64::try_from(uptime.tv_sec).unwrap_or(0).saturating_mul(1_000) + u64::try_from(uptime.tv_nsec).unwrap_or(0) / 1_000_000;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { boot, uptime_ms, wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
    }
}

impl Clock {
    pub(crate) fn now(&self) -> StoreTime {
        StoreTime(self.base_ms.load(Ordering::Relaxed)).after(self.started.elapsed())
    }

    /// What has to be written down for [`resume`](Self::resume).
    pub(crate) fn write(&self) -> Vec<u8> {
        let reading = Reading::take();
        let mut bytes = Vec::new();
        for number in [self.now().0, reading.uptime_ms, reading.wall_ms] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(reading.boot.bytes());
        bytes
    }

    /// Goes on from a moment that was written down, if that is later than what the clock says already. What cannot be read is no moment.
    pub(crate) fn resume(&self, saved: &[u8]) {
        let mut numbers = saved.chunks_exact(8).map(|bytes| bytes.try_into().map_or(0, u64::from_be_bytes));
        let (Some(store_ms), Some(uptime_ms), Some(wall_ms)) = (numbers.next(), numbers.next(), numbers.next()) else { return };
        let boot = String::from_utf8_lossy(saved.get(24..).unwrap_or_default()).into_owned();
        let now_ms = store_ms.saturating_add(down_ms(&Reading { boot, uptime_ms, wall_ms }, &Reading::take()));
        let run_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.base_ms.fetch_max(now_ms.saturating_sub(run_ms), Ordering::Relaxed);
    }
}

/// How long the store was closed.
fn down_ms(then: &Reading, now: &Reading) -> u64 {
    if !then.boot.is_empty() && then.boot == now.boot {
        return now.uptime_ms.saturating_sub(then.uptime_ms);
    }
    now.wall_ms.saturating_sub(then.wall_ms).min(DOWN_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(boot: &str, uptime_ms: u64, wall_ms: u64) -> Reading {
        Reading { boot: boot.to_owned(), uptime_ms, wall_ms }
    }

    /// A wall clock that is set, forth or back, neither ends everything nor brings anything back.
    #[test]
    fn the_wall_clock_is_believed_within_reason() {
        const DAY: u64 = 24 * 3_600 * 1_000;
        let then = reading("a", 1_000, 50 * DAY);
        assert_eq!(down_ms(&then, &reading("a", 6_000, 49 * DAY)), 5_000, "same boot: the wall does not count");
        assert_eq!(down_ms(&then, &reading("a", 6_000, 4_000 * DAY)), 5_000);
        assert_eq!(down_ms(&then, &reading("b", 10, 50 * DAY + 7)), 7, "another boot");
        assert_eq!(down_ms(&then, &reading("b", 10, 49 * DAY)), 0);
        assert_eq!(down_ms(&then, &reading("b", 10, 4_000 * DAY)), DAY);
    }

    #[test]
    fn it_goes_on_where_it_was() {
        let first = Clock::default();
        first.base_ms.store(5_000_000, Ordering::Relaxed);
        let saved = first.write();
        let second = Clock::default();
        second.resume(&saved);
        assert!(second.now().0 >= 5_000_000 && second.now().0 < 5_600_000, "{:?}", second.now());
        // Never back, and nothing from nonsense.
        second.resume(&Clock::default().write());
        second.resume(b"nonsense");
        second.resume(&[]);
        assert!(second.now().0 >= 5_000_000 && second.now().0 < 5_600_000, "{:?}", second.now());
    }
}
