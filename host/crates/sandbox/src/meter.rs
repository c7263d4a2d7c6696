//! Processor time of one call, wherever its pieces run.
//!
//! A call is polled many times, maybe on several threads. Each poll adds the processor time that passed in it; the epoch callback, which runs
//! inside a poll, reads the sum with the current poll's share.

use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// What one call used so far: to be read at any time, and after the call too, however it ended.
#[derive(Debug, Default)]
pub struct Spent {
    pub(crate) cpu: CpuMeter,
    pub(crate) memory_bytes: AtomicUsize,
}

impl Spent {
    /// Processor time of the guest and of the host functions that it called: never too little, and too much by a fifth of a millisecond at most
    /// each time that it went on. A call that is stopped from outside may go on for a millisecond that is not counted.
    pub fn cpu(&self) -> Duration {
        self.cpu.total()
    }

    /// Linear memory, which never shrinks.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Relaxed)
    }
}

/// A poll that is over so soon has used that time, and nobody asks what of it: the thread may have been kept from the processor meanwhile.
const SHORT: Duration = Duration::from_micros(100);
/// What a thread had used is not asked again for so long.
const LOOK: Duration = Duration::from_micros(200);

/// The meter of one call. One poll at a time, so relaxed atomics suffice; they are atomics only because polls move.
///
/// The system tells a thread's processor time in half a microsecond and more, the time of day in a fiftieth of that. So what a poll used is
/// what passed, as long as that is little; where it is more, what passed or what the thread has used since it was looked at last, whichever is
/// less. A poll that was interrupted counts too much by no more than [`LOOK`].
#[derive(Debug, Default)]
pub(crate) struct CpuMeter {
    used_ns: AtomicU64,
    poll_began_ns: AtomicU64,
    /// What the thread had used then, or a little before.
    thread_used_ns: AtomicU64,
}

thread_local! {
    /// When the thread's processor time was looked at last, and what it was.
    static LOOKED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

impl CpuMeter {
    /// At the start of a poll.
    pub(crate) fn begin(&self) {
        let now = ns(ClockId::Monotonic);
        let (at, used) = LOOKED.get();
        let used = if at > 0 && now.saturating_sub(at) < whole_ns(LOOK) { used } else { look(now) };
        self.poll_began_ns.store(now, Relaxed);
        self.thread_used_ns.store(used, Relaxed);
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
        let now = ns(ClockId::Monotonic);
        let passed = now.saturating_sub(self.poll_began_ns.load(Relaxed));
        if passed < whole_ns(SHORT) { passed } else { passed.min(look(now).saturating_sub(self.thread_used_ns.load(Relaxed))) }
    }
}

/// What the thread has used by now.
fn look(now: u64) -> u64 {
    let used = ns(ClockId::ThreadCPUTime);
    LOOKED.set((now, used));
    used
}

fn ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    // Both parts are never negative for these clocks.
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

const fn whole_ns(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::{CpuMeter, LOOK, SHORT};
    use std::time::{Duration, Instant};

    fn compute(time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn what_is_computed_counts_and_waiting_does_not() {
        let (computed, waited) = (CpuMeter::default(), CpuMeter::default());
        for _ in 0..50 {
            computed.begin();
            compute(SHORT / 2);
            computed.end();
        }
        // Half of the time that went by; a tenth on a machine where it was interrupted all the time.
        assert!(computed.total() >= SHORT * 5, "{:?}", computed.total());
        computed.begin();
        compute(Duration::from_millis(20));
        assert!(computed.so_far() >= Duration::from_millis(2), "on the busiest machine, {:?}", computed.so_far());
        computed.end();

        waited.begin();
        std::thread::sleep(Duration::from_millis(50));
        assert!(waited.so_far() < Duration::from_millis(40), "{:?}", waited.so_far());
        waited.end();
        assert!(waited.total() < Duration::from_millis(40), "{:?}", waited.total());
    }

    #[test]
    fn what_the_thread_did_before_hardly_counts() {
        let (before, after) = (CpuMeter::default(), CpuMeter::default());
        // Somebody looks; then the thread works for itself.
        before.begin();
        compute(SHORT * 2);
        before.end();
        compute(Duration::from_millis(10));
        after.begin();
        std::thread::sleep(Duration::from_millis(30));
        after.end();
        assert!(after.total() < LOOK + Duration::from_millis(5), "{:?}", after.total());
    }
}
