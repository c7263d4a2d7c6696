//! Whether the process is near the memory that it may have.

use super::clock_ns;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A look costs some microseconds, so that not each call takes one.
const LOOK_INTERVAL_NS: u64 = 20_000_000;
/// From here on no new work is taken; what runs may end.
const SHORT_PERCENT: u64 = 85;

/// Looks now and then.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    /// None: the process may have what there is.
    bytes_max: Option<u64>,
    looked_at_ns: AtomicU64,
    short: AtomicBool,
}

impl MemoryWatch {
    pub(super) fn new(bytes_max: Option<u64>) -> Self {
        Self { bytes_max, looked_at_ns: AtomicU64::new(0), short: AtomicBool::new(false) }
    }

    pub(super) fn is_short(&self) -> bool {
        let Some(bytes_max) = self.bytes_max else { return false };
        let (now_ns, looked_at_ns) = (clock_ns(), self.looked_at_ns.load(Relaxed));
        let due = now_ns.saturating_sub(looked_at_ns) >= LOOK_INTERVAL_NS;
        if due && self.looked_at_ns.compare_exchange(looked_at_ns, now_ns, Relaxed, Relaxed).is_ok() {
            let short = resident_bytes().is_some_and(|bytes| bytes >= bytes_max / 100 * SHORT_PERCENT);
            if short != self.short.swap(short, Relaxed) {
                if short {
                    tracing::warn!(bytes_max, "the process is near the memory that it may have: no new calls until it has less");
                } else {
                    tracing::info!("the process has memory again");
                }
            }
        }
        self.short.load(Relaxed)
    }
}

/// What the process has in memory, by the kernel's count.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib.saturating_mul(1 << 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_short_of_less_than_it_has() {
        let has = resident_bytes().expect("Linux says it");
        assert!(has > 1 << 20);
        assert!(MemoryWatch::new(Some(has)).is_short());
        assert!(!MemoryWatch::new(Some(has * 4)).is_short());
        assert!(!MemoryWatch::new(None).is_short());
    }
}
