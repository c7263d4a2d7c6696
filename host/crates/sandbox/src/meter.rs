//! Processor time of one call, wherever its pieces run.
//!
//! A call is polled many times, maybe on several threads. Each poll adds the thread's own processor time that passed in it;
//! the epoch callback, which runs inside a poll, reads the sum with the current poll's share.

use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// What one call used so far: to be read at any time, and after the call too, however it ended.
#[derive(Debug, Default)]
pub struct Spent {
    pub(crate) cpu: CpuMeter,
    pub(crate) memory_bytes: AtomicUsize,
}

impl Spent {
    /// Processor time of the guest and of the host functions that it called. A call that is stopped from outside may go on for a
    /// millisecond that is not counted.
    pub fn cpu(&self) -> Duration {
        self.cpu.total()
    }

    /// Linear memory, which never shrinks.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Relaxed)
    }
}

/// The meter of one call. One poll at a time, so relaxed atomics suffice; they are atomics only because polls move.
#[derive(Debug, Default)]
pub(crate) struct CpuMeter {
    used_ns: AtomicU64,
    poll_began_ns: AtomicU64,
}

impl CpuMeter {
    /// At the start of a poll.
    pub(crate) fn begin(&self) {
        self.poll_began_ns.store(thread_cpu_ns(), Relaxed);
    }

    /// At its end, on the same thread.
    pub(crate) fn end(&self) {
        self.used_ns.fetch_add(self.current_poll_ns(), Relaxed);
    }

    /// Inside a poll: everything so far.
    pub(crate) fn so_far(&self) -> Duration {
        Duration::from_nanos(self.used_ns.load(Relaxed).saturating_add(self.current_poll_ns()))
    }

    /// After the last poll.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.used_ns.load(Relaxed))
    }

    fn current_poll_ns(&self) -> u64 {
        thread_cpu_ns().saturating_sub(self.poll_began_ns.load(Relaxed))
    }
}

fn thread_cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    // Both parts are never negative for this clock.
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}
