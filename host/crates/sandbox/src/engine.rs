//! Engines: how guests are compiled, and where their memory comes from.
//!
//! They come in pairs. Both of a pair compile alike, so a compiled component fits either; they differ in the pool that instances are made
//! in. [`Profile::Fast`] resets a guest's memory by copying, without a system call: right for guests of a few pages. [`Profile::Heavy`]
//! has few places, so that language runtimes do not starve the others; it does the same for the first megabytes of a guest where there is memory for that, and
//! gives pages back to the kernel otherwise. A pair is a [`Compartment`]: one is shared and lives as long as the sandbox, and others come and go with whom they are for.

use crate::guest;
use crate::state::State;
use crate::ticker::Ticker;
use crate::{Limits, Survey};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// The sandbox could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cannot start: {0}")]
pub struct SandboxError(pub(crate) String);

/// Which engine a guest runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Small guests: many places, memory reset by copying.
    Fast,
    /// Language runtimes: few places, much memory in each.
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
const DECISIONS: Pair = Pair { fast: 64, heavy: 16 };
/// The same of a strict compartment.
const DECISIONS_STRICT: Pair = Pair { fast: 16, heavy: 4 };
/// Calls that run at once in a strict compartment, at most: each place takes 8 GiB of address space, which is all used up with some
/// thousands of them.
pub const STRICT_CALLS_MAX: u32 = 256;
/// Those of them that are language runtimes.
const STRICT_HEAVY_MAX: u32 = 16;

/// Of a small guest's memory, what is reset by copying and stays with its place: as much as QuickJS has. Whatever is beyond it goes back to the kernel, which
/// costs a system call that stops all processors, and a page fault for each page that the next guest touches. A guest of less is reset as far as it goes: one
/// of 17 pages, as Rust's are by default, took 54 µs of processor time a call with 1 MiB of this, and 60 to 104 with two threads at once, and takes 38.
pub(crate) const FAST_RESIDENT_BYTES: usize = 2 << 20;
/// The same of a language runtime's: as much as CPython has.
const HEAVY_RESIDENT_BYTES: usize = 16 << 20;
/// All places together keep such a part of what there is, or nothing.
const HEAVY_RESIDENT_PART: u64 = 4;

/// A number for each engine of a compartment.
#[derive(Debug, Clone, Copy)]
struct Pair {
    fast: u32,
    heavy: u32,
}

/// How many instances may live at once, those of decisions not counted.
#[derive(Debug, Clone, Copy)]
pub struct PoolSizes {
    /// In the fast pool.
    pub fast: u32,
    /// In the heavy pool.
    pub heavy: u32,
    /// What there is of memory, in bytes. The places of the heavy pool keep theirs where that is a small part of it.
    pub memory_bytes: u64,
}

impl PoolSizes {
    /// What a place of the heavy pool keeps in memory, of so many.
    fn heavy_resident_bytes(self, places: u32) -> usize {
        let all = u64::from(places).saturating_mul(HEAVY_RESIDENT_BYTES as u64);
        if all <= self.memory_bytes / HEAVY_RESIDENT_PART { HEAVY_RESIDENT_BYTES } else { 0 }
    }
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self { fast: 256, heavy: 32, memory_bytes: 0 }
    }
}

/// One engine with its places.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    /// The pool answers with an error when it is full, so a place is taken here first.
    places: Semaphore,
    /// The same for decisions of policies.
    decisions: Semaphore,
    /// How many calls wait for a place.
    pub(crate) waiting: AtomicUsize,
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
    pub(crate) fn places(&self, lane: Lane) -> &Semaphore {
        match lane {
            Lane::Calls => &self.places,
            Lane::Decisions => &self.decisions,
        }
    }
}

/// Two engines, and the ticker of all.
pub(crate) struct Engines {
    pub(crate) fast: House,
    pub(crate) heavy: House,
    pub(crate) ticker: Arc<Ticker>,
    calls: u32,
}

impl Engines {
    fn new(sizes: PoolSizes, limits: &Limits, isolation: Isolation, ticker: &Arc<Ticker>) -> Result<Self, SandboxError> {
        let house = |pool: PoolingAllocationConfig, places: u32, decisions: u32| {
            let mut config = config();
            config.async_stack_zeroing(isolation == Isolation::Strict).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
            let engine = Engine::new(&config).map_err(|error| SandboxError(format!("{error:#}")))?;
            let linker = guest::linker(&engine)?;
            let [places, decisions] = [places, decisions].map(|count| Semaphore::new(count as usize));
            Ok::<_, SandboxError>(House { engine, linker, places, decisions, waiting: AtomicUsize::new(0) })
        };
        let decisions = match isolation {
            Isolation::Shared => DECISIONS,
            Isolation::Strict => DECISIONS_STRICT,
        };
        let fast = house(fast_pool(sizes.fast.saturating_add(decisions.fast), limits), sizes.fast, decisions.fast)?;
        let places = sizes.heavy.saturating_add(decisions.heavy);
        let heavy = house(heavy_pool(places, limits, sizes.heavy_resident_bytes(places)), sizes.heavy, decisions.heavy)?;
        [&fast, &heavy].into_iter().for_each(|house| ticker.take_on(&house.engine));
        Ok(Self { fast, heavy, ticker: Arc::clone(ticker), calls: sizes.fast })
    }

    pub(crate) fn house(&self, profile: Profile) -> &House {
        match profile {
            Profile::Fast => &self.fast,
            Profile::Heavy => &self.heavy,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    Shared,
    Strict,
}

/// Where guests run: whatever is reused from one to the next, places for memories, tables and stacks, and mapped code, is reused within it and
/// nowhere else. Cheap to clone; it is given back with the last clone, guest and call in flight.
#[derive(Clone)]
pub struct Compartment(pub(crate) Arc<Engines>);

impl Compartment {
    pub(crate) fn shared(sizes: PoolSizes, limits: &Limits, ticker: &Arc<Ticker>) -> Result<Self, SandboxError> {
        Ok(Self(Arc::new(Engines::new(sizes, limits, Isolation::Shared, ticker)?)))
    }

    pub(crate) fn strict(calls: u32, limits: &Limits, ticker: &Arc<Ticker>) -> Result<Self, SandboxError> {
        // There may be many: nothing is kept.
        let sizes = PoolSizes { fast: calls.clamp(1, STRICT_CALLS_MAX), heavy: calls.clamp(1, STRICT_HEAVY_MAX), memory_bytes: 0 };
        Ok(Self(Arc::new(Engines::new(sizes, limits, Isolation::Strict, ticker)?)))
    }

    /// How many calls of small guests may run in it at once.
    pub fn calls(&self) -> u32 {
        self.0.calls
    }
}

impl PartialEq for Compartment {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Compartment {}

impl fmt::Debug for Compartment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compartment").field("calls", &self.0.calls).finish_non_exhaustive()
    }
}

/// What compiled code depends on: the same in every engine and in the compile worker. Neither pools nor the zeroing of stacks are among it.
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
        // So nobody reads where in the component an instruction came from, nor how the system's unwinder would pass a guest: an eighth of all
        // that is kept of a small component.
        .generate_address_map(false)
        .native_unwind_info(false)
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
        .linear_memory_keep_resident(FAST_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(places);
    pool
}

fn heavy_pool(places: u32, limits: &Limits, resident_bytes: usize) -> PoolingAllocationConfig {
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
        .linear_memory_keep_resident(resident_bytes)
        .table_keep_resident(resident_bytes.min(1 << 20))
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

#[cfg(test)]
mod tests;
