//! Engines: how guests are compiled, where their memory comes from, and the clock that interrupts them.
//!
//! There are two engines for the life of the process. Both compile alike, so a compiled component fits either; they
//! differ in the pool that instances are made in. [`Profile::Fast`] resets a guest's memory by copying, without a
//! system call: right for guests of a few pages. [`Profile::Heavy`] gives the pages back to the kernel: right for
//! language runtimes of many megabytes, and its few places keep them from starving the others.

use crate::{Limits, Survey};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// How often a running guest is interrupted to look at its limits and to let others run.
const TICK: Duration = Duration::from_millis(1);
/// After this many ticks without a new call the ticker sleeps until there is one: an idle gateway uses no processor time.
const IDLE_TICKS: u32 = 500;

/// The sandbox could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cannot start: {0}")]
pub struct SandboxError(pub(crate) String);

/// Which engine a guest runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Small guests: many places, memory reset by copying.
    Fast,
    /// Language runtimes: few places, memory given back to the kernel after each call.
    Heavy,
}

impl Profile {
    /// By what the component declares: an estimate, because the engine counts instances of its own that are seen only once it is compiled.
    /// Where the fast pool refuses the component all the same, the heavy one takes it.
    pub(crate) fn of(survey: &Survey) -> Self {
        let small = survey.memory_bytes_min <= 4 << 20 && survey.core_instances <= 8 && survey.bytes <= 8 << 20;
        if small { Self::Fast } else { Self::Heavy }
    }
}

/// Of a guest's own functions.
pub(crate) const STACK_BYTES_MAX: usize = 512 << 10;

/// Places for decisions in each pool, beside those for calls. A gateway that is full of calls still has to decide: who waits for a slot, and
/// what stands in a list.
const DECISIONS_FAST: u32 = 64;
const DECISIONS_HEAVY: u32 = 16;

/// How many instances may live at once, those of decisions not counted.
#[derive(Debug, Clone, Copy)]
pub struct PoolSizes {
    /// In the fast pool.
    pub fast: u32,
    /// In the heavy pool.
    pub heavy: u32,
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self { fast: 256, heavy: 32 }
    }
}

/// One engine with its places.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) engine: Engine,
    /// The pool answers with an error when it is full, so a place is taken here first.
    places: Arc<Semaphore>,
    /// The same for decisions of policies.
    decisions: Arc<Semaphore>,
}

/// What an instance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Calls and lists.
    Calls,
    /// Decisions of policies, for which others wait: calls must neither fill their places nor be in front of them.
    Decisions,
}

impl House {
    pub(crate) fn places(&self, lane: Lane) -> &Arc<Semaphore> {
        match lane {
            Lane::Calls => &self.places,
            Lane::Decisions => &self.decisions,
        }
    }
}

/// Both engines and their ticker.
#[derive(Debug)]
pub(crate) struct Engines {
    pub(crate) fast: House,
    pub(crate) heavy: House,
    pub(crate) ticker: Ticker,
}

impl Engines {
    pub(crate) fn new(sizes: PoolSizes, limits: &Limits) -> Result<Self, SandboxError> {
        let house = |pool: PoolingAllocationConfig, places: u32, decisions: u32| {
            let mut config = config();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
            let engine = Engine::new(&config).map_err(|error| SandboxError(format!("{error:#}")))?;
            let [places, decisions] = [places, decisions].map(|count| Arc::new(Semaphore::new(count as usize)));
            Ok::<_, SandboxError>(House { engine, places, decisions })
        };
        let fast = house(fast_pool(sizes.fast.saturating_add(DECISIONS_FAST), limits), sizes.fast, DECISIONS_FAST)?;
        let heavy = house(heavy_pool(sizes.heavy.saturating_add(DECISIONS_HEAVY), limits), sizes.heavy, DECISIONS_HEAVY)?;
        let ticker = Ticker::start([fast.engine.clone(), heavy.engine.clone()])?;
        Ok(Self { fast, heavy, ticker })
    }

    pub(crate) fn house(&self, profile: Profile) -> &House {
        match profile {
            Profile::Fast => &self.fast,
            Profile::Heavy => &self.heavy,
        }
    }
}

/// What compiled code depends on: the same here, in the other engine and in the compile worker.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(false)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(STACK_BYTES_MAX)
        // What the guest's stack leaves is for host functions; an overflow there would end the process.
        .async_stack_size(2 << 20)
        // Names of the guest's functions are no client's business, and unwinding costs 20 µs a trap.
        .wasm_backtrace_max_frames(None)
        // Proposals that bring risk and that no toolchain needs by default. Multi-memory stays on because the engine's own adapters between the
        // modules of one component use it; how many memories an instance may have is a limit of the pool and the store. Winch is not compiled in. Signals-based traps stay on:
        // without them the engine drops its Spectre masks.
        .wasm_threads(false)
        .shared_memory(false)
        .wasm_shared_everything_threads(false)
        .wasm_memory64(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_relaxed_simd(false)
        .wasm_stack_switching(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_component_model(true)
        .concurrency_support(false);
    config
}

fn fast_pool(places: u32, limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = shared_pool(places, limits);
    pool.total_core_instances(places.saturating_mul(16))
        .total_memories(places.saturating_mul(2))
        .total_tables(places.saturating_mul(4))
        .max_core_instances_per_component(16)
        .max_memories_per_component(4)
        .max_tables_per_component(16)
        .max_core_instance_size(1 << 20)
        .max_component_instance_size(1 << 20)
        .table_elements(20_000)
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(places);
    pool
}

fn heavy_pool(places: u32, limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = shared_pool(places, limits);
    pool.total_core_instances(places.saturating_mul(32))
        .total_memories(places.saturating_mul(2))
        .total_tables(places.saturating_mul(16))
        .max_core_instances_per_component(64)
        .max_memories_per_component(4)
        .max_tables_per_component(16)
        .max_core_instance_size(16 << 20)
        .max_component_instance_size(16 << 20)
        .table_elements(100_000)
        .max_unused_warm_slots(places);
    pool
}

fn shared_pool(places: u32, limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(places)
        .total_stacks(places)
        .max_memory_size(limits.memory_bytes)
        // 48.0.8 neither resets nor frees a dirty page that is swapped out when this is on: the next guest could read it.
        .pagemap_scan(Enabled::No);
    pool
}

/// Increments the epoch of the engines, from a thread of its own: a worker that a guest keeps busy cannot be late with it.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<TickerState>,
    thread: Option<JoinHandle<()>>,
    handle: Thread,
    began: Instant,
}

#[derive(Debug, Default)]
struct TickerState {
    /// When it last ticked, in milliseconds since it began.
    ticked_ms: AtomicU64,
    calls: AtomicU64,
    asleep: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    fn start(engines: [Engine; 2]) -> Result<Self, SandboxError> {
        let shared = Arc::new(TickerState::default());
        let (state, began) = (Arc::clone(&shared), Instant::now());
        let thread = std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || run_ticker(&state, &engines, began))
            .map_err(|error| SandboxError(format!("no thread for the epoch ticker: {error}")))?;
        let handle = thread.thread().clone();
        Ok(Self { shared, thread: Some(thread), handle, began })
    }

    /// A guest is about to run: the ticker must tick.
    pub(crate) fn call_begins(&self) {
        self.shared.calls.fetch_add(1, SeqCst);
        if self.shared.asleep.swap(false, SeqCst) {
            self.handle.unpark();
        }
    }

    /// How long ago it ticked: some milliseconds, or it stands.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.shared.ticked_ms.load(Relaxed)))
    }

    /// It ran.
    pub(crate) fn call_ended(&self) {
        self.shared.calls.fetch_sub(1, SeqCst);
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

fn run_ticker(state: &TickerState, engines: &[Engine], began: Instant) {
    let mut idle = 0;
    while !state.stop.load(SeqCst) {
        std::thread::sleep(TICK);
        engines.iter().for_each(Engine::increment_epoch);
        state.ticked_ms.store(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
        idle = if state.calls.load(SeqCst) == 0 { idle + 1 } else { 0 };
        if idle < IDLE_TICKS {
            continue;
        }
        state.asleep.store(true, SeqCst);
        // A call that began before the flag stood did not wake us: look again. Should both miss each other all the same, the
        // time limit of the park bounds how long a guest runs unwatched.
        if state.calls.load(SeqCst) == 0 {
            std::thread::park_timeout(Duration::from_millis(50));
        }
        state.asleep.store(false, SeqCst);
    }
}
