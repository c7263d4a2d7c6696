//! The clock that interrupts guests: a worker that a guest keeps busy cannot be late with it, because it is a thread of its own.

use crate::SandboxError;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};
use wasmtime::{Engine, EngineWeak};

/// How often a running guest is interrupted to look at its limits and to let others run.
const TICK: Duration = Duration::from_millis(1);
/// After this many ticks without a guest that runs the ticker sleeps until there is one: an idle gateway uses no processor time.
const IDLE_TICKS: u32 = 500;
/// It looks up so often even then: a guest that comes back from a long host function does not wake it.
const NAP: Duration = Duration::from_millis(50);

/// Increments the epoch of all engines, however many come and go, from one thread of its own.
pub(crate) struct Ticker {
    shared: Arc<TickerState>,
    thread: Option<JoinHandle<()>>,
    handle: Thread,
    began: Instant,
}

#[derive(Default)]
struct TickerState {
    /// Those that are gone are forgotten at the next tick.
    engines: Mutex<Vec<EngineWeak>>,
    /// When it last ticked, in milliseconds since it began.
    ticked_ms: AtomicU64,
    /// A guest has run since the last tick. Processors that write one place wait for each other, so it is only written where it changes.
    is_busy: AtomicBool,
    asleep: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    pub(crate) fn start() -> Result<Self, SandboxError> {
        let shared = Arc::new(TickerState::default());
        let (state, began) = (Arc::clone(&shared), Instant::now());
        let thread = std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || run_ticker(&state, began))
            .map_err(|error| SandboxError(format!("no thread for the epoch ticker: {error}")))?;
        let handle = thread.thread().clone();
        Ok(Self { shared, thread: Some(thread), handle, began })
    }

    /// Ticks for this one as well, for as long as there is anything of it.
    pub(crate) fn take_on(&self, engine: &Engine) {
        self.shared.engines.lock().push(engine.weak());
    }

    /// For how many it ticks.
    #[cfg(test)]
    pub(crate) fn engines(&self) -> usize {
        self.shared.engines.lock().len()
    }

    /// A guest is about to run, or runs on: the ticker must tick.
    pub(crate) fn guest_runs(&self) {
        if !self.shared.is_busy.load(SeqCst) {
            self.shared.is_busy.store(true, SeqCst);
        }
        if self.shared.asleep.load(SeqCst) && self.shared.asleep.swap(false, SeqCst) {
            self.handle.unpark();
        }
    }

    /// How long ago it ticked: some milliseconds, or it stands.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.shared.ticked_ms.load(Relaxed)))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.handle.unpark();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run_ticker(state: &TickerState, began: Instant) {
    let mut idle = 0;
    while !state.stop.load(SeqCst) {
        std::thread::sleep(TICK);
        state.engines.lock().retain(|engine| engine.upgrade().inspect(Engine::increment_epoch).is_some());
        state.ticked_ms.store(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
        idle = if state.is_busy.swap(false, SeqCst) { 0 } else { idle + 1 };
        if idle < IDLE_TICKS {
            continue;
        }
        state.asleep.store(true, SeqCst);
        // A guest that began before the flag stood did not wake us: look again. Should both miss each other all the same, the
        // time limit of the park bounds how long a guest runs unwatched.
        if !state.is_busy.load(SeqCst) {
            std::thread::park_timeout(NAP);
        }
        state.asleep.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::Ticker;
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::{Duration, Instant};

    fn until(what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::yield_now();
        }
    }

    /// Whoever runs is noticed, be it awake or asleep; without anybody it sleeps.
    #[test]
    fn it_sleeps_while_nobody_runs_and_wakes_for_whoever_does() {
        let ticker = Ticker::start().expect("a thread");
        for _ in 0..2 {
            until("it falls asleep", || ticker.shared.asleep.load(SeqCst));
            ticker.guest_runs();
            until("it ticks again", || !ticker.shared.asleep.load(SeqCst) && !ticker.shared.is_busy.load(SeqCst));
            let before = ticker.shared.ticked_ms.load(SeqCst);
            until("it goes on", || ticker.shared.ticked_ms.load(SeqCst) > before);
        }
    }
}
