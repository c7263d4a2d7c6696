//! Loading: bytes → a guest that can be called.

use crate::bindings::FullPlugin;
use crate::bindings::fetching::Fetching;
use crate::bindings::keeping::Keeping;
use crate::cache::{self, CodeCache};
use crate::call::{Call, Finished, Runner};
use crate::compile::{Compiler, MachineCode};
use crate::engine::{Compartment, House, PoolSizes, Profile, SandboxError};
use crate::kept::Kept;
use crate::learn;
use crate::plain;
use crate::state::State;
use crate::survey::{Import, Reach, Survey, SurveyError, survey};
use crate::ticker::Ticker;
use crate::work::{self, Exports, Lists, Offer};
use crate::{Asks, Authority, Digest, Limits, LoadError, Permit};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use wasmtime::component::{HasSelf, InstancePre, Linker};
use wasmtime_wasi::p2::bindings::filesystem;

/// What a sandbox is made of.
#[derive(Debug)]
pub struct SandboxConfig {
    /// How many instances may live at once.
    pub pools: PoolSizes,
    /// The limits of a call; its memory limit is also the largest memory that the pools can hold.
    pub limits: Limits,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// Where compiled code is kept; none: nowhere.
    pub cache: Option<CodeCache>,
    /// The turns of guests that compute for long: as many as may compute at once.
    pub turns: fair::Places,
    /// How long a policy may take to decide, waiting included.
    pub decision_wall: Duration,
}

/// Loads guests and runs them.
pub struct Sandbox {
    /// Where guests of everybody are.
    shared: Compartment,
    ticker: Arc<Ticker>,
    compiler: Compiler,
    cache: Option<Arc<CodeCache>>,
    limits: Limits,
    decision_wall: Duration,
    turns: fair::Places,
    /// Where guests that compute for long are moved to. Options only so that `drop` can take them.
    low: Option<Runtime>,
    /// Where policies are that do.
    bench: Option<Runtime>,
    kept: Arc<Kept>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A loaded component. Cheap to clone; what it compiled to is freed with the last clone, so calls in flight keep theirs.
#[derive(Clone)]
pub struct Guest(pub(crate) Arc<Loaded>);

/// A guest's code, held by what its permit held: a run counts nothing itself.
pub(crate) struct Called(pub(crate) Guest);

impl Deref for Called {
    type Target = Code;

    fn deref(&self) -> &Code {
        &self.0.0.code
    }
}

pub(crate) struct Loaded {
    pub(crate) code: Arc<Code>,
    offer: Offer,
    /// Whether it imports an interface for that.
    sends_requests: bool,
    /// The same.
    keeps_values: bool,
}

/// What a component compiled to, linked, with the places of what it exports.
pub(crate) struct Code<E = Exports> {
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: E,
    pub(crate) profile: Profile,
    pub(crate) survey: Survey,
    /// Last, so that its engines outlive it.
    pub(crate) compartment: Compartment,
}

impl<E> Code<E> {
    /// Where it runs.
    pub(crate) fn place(&self) -> (Compartment, Profile) {
        (self.compartment.clone(), self.profile)
    }
}

impl Guest {
    /// Whether it can send requests, if it is granted any.
    pub fn sends_requests(&self) -> bool {
        self.0.sends_requests
    }

    /// Whether it can keep values, if it is granted a bucket.
    pub fn keeps_values(&self) -> bool {
        self.0.keeps_values
    }

    /// What its bytes said.
    pub fn survey(&self) -> &Survey {
        &self.0.code.survey
    }

    /// The name of its bytes.
    pub fn digest(&self) -> Digest {
        self.0.code.survey.digest
    }

    /// Whether it knows the contract; one that does not is a plain component.
    pub fn is_native(&self) -> bool {
        matches!(self.0.code.exports, Exports::Contract(_))
    }

    /// What it listed, unchecked.
    pub fn offer(&self) -> &Offer {
        &self.0.offer
    }

    /// Which engine it runs in.
    pub fn profile(&self) -> Profile {
        self.0.code.profile
    }

    /// Whether it runs there.
    pub fn is_in(&self, compartment: &Compartment) -> bool {
        self.0.code.compartment == *compartment
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Makes the engines, their pools, and runtimes for what computes for long: one of low priority for calls, and one for decisions.
    ///
    /// # Errors
    ///
    /// When the system does not give the address space or the threads.
    pub fn new(config: SandboxConfig) -> Result<(Self, Authority), SandboxError> {
        let ticker = Arc::new(Ticker::start()?);
        let shared = Compartment::shared(config.pools, &config.limits, &ticker)?;
        let low = runtime("guest", || {
            // Where that is refused the guest runs at the priority of everybody else.
            let _ = rustix::process::setpriority_process(None, 10);
        })?;
        let bench = runtime("policy", || {})?;
        let sandbox = Self {
            shared,
            ticker,
            compiler: config.compiler,
            cache: config.cache.map(Arc::new),
            limits: config.limits,
            decision_wall: config.decision_wall,
            turns: config.turns,
            low: Some(low),
            kept: Arc::new(Kept::new(bench.handle().clone())),
            bench: Some(bench),
        };
        Ok((sandbox, Authority::new()))
    }

    /// Its guests are heard when they reach for something, if their calls have somebody who wants to learn it. They have no settings then.
    ///
    /// # Errors
    ///
    /// When the engine refuses, or guests were loaded before.
    pub fn learn(&mut self) -> Result<(), SandboxError> {
        let engines = Arc::get_mut(&mut self.shared.0).ok_or_else(|| SandboxError("guests were loaded before".to_owned()))?;
        let mut linkers = [&mut engines.fast.linker, &mut engines.heavy.linker].into_iter();
        linkers.try_for_each(learn::add_to).map_err(|error| SandboxError(format!("{error:#}")))
    }

    /// The limits that a call gets unless it states smaller ones.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How long ago the thread came round that has guests interrupted: some milliseconds, or their time limits do not hold.
    pub fn ticker_age(&self) -> Duration {
        self.ticker.age()
    }

    /// How many files of compiled code did not bear the cache's seal, since the start.
    pub fn code_tampered(&self) -> u64 {
        self.cache.as_ref().map_or(0, |cache| cache.tampered())
    }

    /// The compartment of everybody who has none of their own.
    pub fn shared(&self) -> &Compartment {
        &self.shared
    }

    /// Makes a compartment for guests that are to share nothing with those of others, for so many calls at once, [`STRICT_CALLS_MAX`](crate::STRICT_CALLS_MAX)
    /// at most. Stacks are zeroed in it.
    ///
    /// # Errors
    ///
    /// When the system does not give the address space.
    pub fn strict(&self, calls: u32) -> Result<Compartment, SandboxError> {
        Compartment::strict(calls, &self.limits, &self.ticker)
    }

    /// Makes a guest of a component's bytes: looks at them, compiles them or finds them compiled, links them, and asks for its lists in
    /// an instance without grants. What it asks for decides what it may import. It runs in that compartment, now and later.
    ///
    /// Takes milliseconds for cached code and seconds for a language runtime, on other threads. Cancel-safe.
    ///
    /// # Errors
    ///
    /// For each reason not to load it, with a text for its author.
    pub async fn load(&self, component: Arc<[u8]>, asks: &Asks, compartment: &Compartment) -> Result<Guest, LoadError> {
        let is_plugin = |survey: &Survey| work::is_native(&survey.exports) || survey.exports.iter().any(|export| plain::is_own(export));
        let (code, survey) = self.machine_code(component, asks, is_plugin, LoadError::Exports).await?;
        let code = Arc::new(self.link(code, survey, Exports::of, compartment).await?);
        if let Exports::Plain(functions) = &code.exports
            && let Some(skipped) = functions.none()
        {
            return Err(LoadError::NoFunctions(skipped.to_vec()));
        }
        let imports = |reach| code.survey.imports.iter().any(|import| import.reach() == reach);
        let (sends_requests, keeps_values) = (imports(Reach::Http), imports(Reach::KeyValue));
        let offer = self.lists(&code, Offer::default(), Lists::ALL).await?;
        Ok(Guest(Arc::new(Loaded { code, offer, sends_requests, keeps_values })))
    }

    /// Looks at a component, and compiles it if it is of the kind that is wanted.
    pub(crate) async fn machine_code(
        &self,
        component: Arc<[u8]>,
        asks: &Asks,
        is_wanted: impl Fn(&Survey) -> bool,
        unwanted: fn(Vec<String>) -> LoadError,
    ) -> Result<(MachineCode, Survey), LoadError> {
        let bytes = Arc::clone(&component);
        let survey = blocking(move || survey(&bytes)).await??;
        refuse_imports(survey.imports.iter().filter(|import| !asks.allow_import(import.reach())))?;
        if !is_wanted(&survey) {
            return Err(unwanted(survey.exports));
        }
        Ok((self.code(component, survey.digest).await?, survey))
    }

    /// The same guest with those lists as they are now: it said that they changed.
    ///
    /// # Errors
    ///
    /// When it gives none; the guest of before goes on.
    pub async fn list_again(&self, guest: &Guest, lists: Lists) -> Result<Guest, LoadError> {
        let code = Arc::clone(&guest.0.code);
        let offer = self.lists(&code, guest.0.offer.clone(), lists).await?;
        Ok(Guest(Arc::new(Loaded { code, offer, ..*guest.0 })))
    }

    /// The same guest in another compartment: its compiled code is mapped once more, there, and neither compiled nor asked for its lists again. What is
    /// there `before`, of the same component, is not even mapped.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub async fn copy(&self, guest: &Guest, compartment: &Compartment, before: Option<&Guest>) -> Result<Guest, LoadError> {
        let before = before.filter(|before| before.digest() == guest.digest() && before.is_in(compartment));
        let code = match before {
            Some(before) => Arc::clone(&before.0.code),
            None => Arc::new(self.copy_code(&guest.0.code, Exports::of, compartment).await?),
        };
        Ok(Guest(Arc::new(Loaded {
            code,
            offer: guest.0.offer.clone(),
            sends_requests: guest.0.sends_requests,
            keeps_values: guest.0.keeps_values,
        })))
    }

    pub(crate) async fn copy_code<E: Send + 'static>(
        &self,
        code: &Code<E>,
        exports: fn(&InstancePre<State>, &Survey) -> wasmtime::Result<E>,
        compartment: &Compartment,
    ) -> Result<Code<E>, LoadError> {
        let component = code.pre.component().clone();
        let copied = blocking(move || MachineCode::copied(&component)).await?.map_err(|error| LoadError::Link(format!("{error:#}")))?;
        self.link(copied, code.survey.clone(), exports, compartment).await
    }

    async fn lists(&self, code: &Arc<Code>, offer: Offer, lists: Lists) -> Result<Offer, LoadError> {
        self.runner().list(code, offer, lists, self.limits.for_listing()).await.map_err(LoadError::List)?.map_err(LoadError::from)
    }

    /// Links in the engine of that profile. What declares little and still does not fit a small place gets a large one.
    pub(crate) async fn link<E: Send + 'static>(
        &self,
        code: MachineCode,
        survey: Survey,
        exports: fn(&InstancePre<State>, &Survey) -> wasmtime::Result<E>,
        compartment: &Compartment,
    ) -> Result<Code<E>, LoadError> {
        let compartment = compartment.clone();
        let linked = blocking(move || {
            let link = |profile| {
                let House { engine, linker, .. } = compartment.0.house(profile);
                linker.instantiate_pre(&cache::map(engine, &code)?)
            };
            let (pre, profile) = match Profile::of(&survey) {
                Profile::Fast => match link(Profile::Fast) {
                    Ok(pre) => (pre, Profile::Fast),
                    Err(_) => (link(Profile::Heavy)?, Profile::Heavy),
                },
                Profile::Heavy => (link(Profile::Heavy)?, Profile::Heavy),
            };
            let exports = exports(&pre, &survey)?;
            Ok(Code { pre, exports, profile, survey, compartment })
        });
        linked.await?.map_err(|error: wasmtime::Error| match error.downcast::<SurveyError>() {
            Ok(too_much) => LoadError::Survey(too_much),
            Err(error) => LoadError::Link(format!("{error:#}")),
        })
    }

    async fn code(&self, component: Arc<[u8]>, digest: Digest) -> Result<MachineCode, LoadError> {
        let Some(cache) = self.cache.clone() else { return Ok(self.compiler.compile(component).await?) };
        let (engine, growth) = (self.shared.0.fast.engine.clone(), self.compiler.growth());
        let found = blocking({
            let (cache, engine) = (Arc::clone(&cache), engine.clone());
            move || cache.get(&digest, growth, &engine)
        })
        .await?;
        if let Some(code) = found {
            return Ok(code);
        }
        let code = self.compiler.compile(component).await?;
        blocking(move || {
            cache.put(&digest, growth, &engine, &code);
            code
        })
        .await
    }

    /// Runs one call in a fresh instance, which is gone when this returns; or in one that answered calls of the same [`Call::whose`] before, where the
    /// permit's grants let them meet, and it is left for another one if [`Finished::again`] is kept.
    ///
    /// Cancel-safe: dropping the future ends the guest, at the latest when the epoch ticks next.
    pub async fn call(&self, permit: Permit, call: Call) -> Finished {
        self.runner().call(permit, call).await
    }

    /// How many instances wait for another call.
    pub fn kept(&self) -> usize {
        self.kept.count()
    }

    /// How many calls were answered by an instance that had answered others, since the start.
    pub fn reused(&self) -> u64 {
        self.kept.reused()
    }

    /// Drops all instances that wait for another call. Those of calls that run now are gone with these.
    pub fn drop_kept(&self) {
        self.kept.clear();
    }

    /// The turns of guests that compute for long.
    pub fn turns(&self) -> &fair::Places {
        &self.turns
    }

    pub(crate) fn decision_wall(&self) -> Duration {
        self.decision_wall
    }

    pub(crate) fn runner(&self) -> Runner<'_> {
        // They are taken only by `drop`.
        let [low, bench] = [&self.low, &self.bench].map(|runtime| runtime.as_ref().expect("runtimes live as long as the sandbox").handle());
        Runner { low, turns: &self.turns, bench, kept: &self.kept }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A runtime must not be waited for inside another one; guests that are left end with their futures.
        [&mut self.low, &mut self.bench].into_iter().filter_map(Option::take).for_each(Runtime::shutdown_background);
    }
}

/// As many threads as there are processors, whatever there is to do.
fn runtime(name: &str, on_start: fn()) -> Result<Runtime, SandboxError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(1, usize::from))
        .thread_name(name)
        .on_thread_start(on_start)
        .enable_all()
        .build()
        .map_err(|error| SandboxError(format!("no threads for guests: {error}")))
}

/// Lists imports that a component may not have.
///
/// # Errors
///
/// When there are any.
pub(crate) fn refuse_imports<'a>(imports: impl Iterator<Item = &'a Import>) -> Result<(), LoadError> {
    let (unknown, unasked): (Vec<_>, Vec<_>) = imports.cloned().partition(|import| import.reach() == Reach::Unknown);
    if unknown.is_empty() && unasked.is_empty() { Ok(()) } else { Err(LoadError::Imports { unknown, unasked }) }
}

/// WASI 0.2 whole, so that language runtimes load, `wasi:http`, `wasi:config`, `wasi:keyvalue` and `gatehouse:host`. What lies behind each interface refuses unless granted.
pub(crate) fn linker(engine: &wasmtime::Engine) -> Result<Linker<State>, SandboxError> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker))
        .and_then(|()| wasmtime_wasi_config::add_to_linker(&mut linker, State::config))
        .and_then(|()| Keeping::add_to_linker::<State, HasSelf<State>>(&mut linker, State::asked))
        .and_then(|()| Fetching::add_to_linker::<State, HasSelf<State>>(&mut linker, State::asked))
        .and_then(|()| FullPlugin::add_to_linker::<State, HasSelf<State>>(&mut linker, State::asked))
        .and_then(|()| add_files(&mut linker))
        .map_err(|error| SandboxError(format!("{error:#}")))?;
    Ok(linker)
}

/// In place of the library's own.
fn add_files(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    filesystem::types::add_to_linker::<State, HasSelf<State>>(linker, State::asked)?;
    filesystem::preopens::add_to_linker::<State, HasSelf<State>>(linker, State::asked)?;
    linker.allow_shadowing(false);
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LoadError::Link(error.to_string()))
}
