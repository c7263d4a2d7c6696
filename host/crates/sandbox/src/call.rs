//! One call: place → store → instance → guest → outcome, under its limits.

use crate::contract::{Caller, ClientFeatures, Failure, Resume};
use crate::demote::{Demotable, Elsewhere, Pulse};
use crate::engine::{Compartment, Lane, Profile};
use crate::events::{EventSender, LogLine, Stream};
use crate::fault::Resource;
use crate::files::FileRefusals;
use crate::guest::Code;
use crate::keyvalue::KeyValue;
use crate::learn::Learner;
use crate::meter::Spent;
use crate::outgoing::Outgoing;
use crate::plain::TooLong;
use crate::state::{Limiter, Outward, State};
use crate::work::{Asked, Lists, Offer, Outcome, Refused};
use crate::{Fault, Grants, Limits, Permit, Share};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::Instance;
use wasmtime::{Store, StoreContextMut, Trap, UpdateDeadline};
use wasmtime_wasi::{I32Exit, ResourceTableError};

/// How long a call waits for a place in the pool.
const PLACE_WAIT: Duration = Duration::from_secs(1);

/// What comes with a call; what it is to do, and of which guest, stands in the permit.
#[derive(Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// What the client can be asked.
    pub client: ClientFeatures,
    /// The answers to an earlier question.
    pub resume: Option<Resume>,
    /// A JSON object.
    pub meta: Option<String>,
    /// What the call may use.
    pub limits: Limits,
    /// Where the guest's events go; none: nowhere.
    pub events: Option<EventSender>,
    /// By what its requests leave; none: they do not.
    pub outgoing: Option<Arc<dyn Outgoing>>,
    /// By what it keeps values; none: it does not.
    pub keyvalue: Option<Arc<dyn KeyValue>>,
    /// Who hears of what it may not do with files; none: nobody.
    pub refusals: Option<Arc<dyn FileRefusals>>,
    /// Who wants to hear what it reaches for; none: nobody.
    pub learner: Option<Arc<dyn Learner>>,
    /// Where it is told what the call uses, while it runs.
    pub spent: Arc<Spent>,
    /// On whose account it runs.
    pub share: Share,
    /// It takes turns with guests of its share that compute already; none: it runs at once, until it turns out to be long.
    pub claim: Option<fair::Claim>,
}

/// How a call ended.
#[derive(Debug)]
pub struct Finished {
    /// The guest's own answer, or why there is none.
    pub outcome: Result<Result<Outcome, Failure>, Fault>,
    /// What it used.
    pub usage: Usage,
    /// What it wrote to standard output and standard error, as far as it was kept.
    pub stdio: Vec<LogLine>,
}

/// What a call used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// From the call to its end.
    pub wall: Duration,
    /// Processor time of the guest and of the host functions that it called.
    pub cpu: Duration,
    /// Linear memory at its end, which is also its peak. Zero where the call was stopped from outside.
    pub memory_bytes: usize,
    /// Log lines beyond the limit.
    pub log_lines_dropped: u32,
    /// Progress reports that were beyond the limit or did not grow.
    pub reports_dropped: u32,
    /// Changes of lists and resources beyond the limit.
    pub changes_dropped: u32,
    /// Bytes of standard output and error beyond the limit.
    pub stdio_bytes_dropped: u64,
}

/// What running needs of the sandbox.
pub(crate) struct Runner<'a> {
    /// Where calls go on that compute for long.
    pub(crate) low: &'a Handle,
    /// The turns that they take there.
    pub(crate) turns: &'a fair::Places,
    /// Where decisions do.
    pub(crate) bench: &'a Handle,
}

/// A guest that has computed for less is still a short one, however much time has passed.
const SHORT: Duration = Duration::from_micros(500);

/// Raised in the guest by its limits, and found again in the error that ends it.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Stop {
    #[error("wall time")]
    Wall,
    #[error("processor time")]
    Cpu,
    #[error("calls of host functions")]
    HostCalls,
}

/// The guest's answer with what it left behind.
struct Ended<T> {
    outcome: Result<T, Fault>,
    usage: Usage,
    stdio: Vec<LogLine>,
}

impl Runner<'_> {
    pub(crate) async fn call(&self, permit: Permit, call: Call) -> Finished {
        let Permit { guest, work, grants } = permit;
        let Call { caller, client, resume, meta, limits, events, outgoing, keyvalue, refusals, learner, spent, share, claim } = call;
        let asked = Asked { caller, client, resume, meta };
        let code = Arc::clone(&guest.0.code);
        let ended = self
            .run(
                (code.place(), Lane::Calls),
                limits,
                grants,
                (Outward { events, outgoing, keyvalue, refusals, learner }, spent, share, claim),
                move |mut store| async move {
                    let answer = match code.pre.instantiate_async(&mut store).await {
                        Ok(instance) => code.exports.run(&mut store, &instance, work, asked, limits.result_bytes).await,
                        Err(error) => Err(error),
                    };
                    (answer, store)
                },
            )
            .await;
        let outcome = ended.outcome.and_then(|answer| match answer.as_ref().map_or(0, Outcome::bytes) {
            bytes if bytes > limits.result_bytes => Err(Fault::ResultTooLarge { bytes, limit: limits.result_bytes }),
            _ => Ok(answer),
        });
        Finished { outcome, usage: ended.usage, stdio: ended.stdio }
    }

    pub(crate) async fn list(&self, code: &Arc<Code>, offer: Offer, lists: Lists, limits: Limits) -> Result<Result<Offer, Refused>, Fault> {
        let code = Arc::clone(code);
        self.run((code.place(), Lane::Calls), limits, Grants::none(), <_>::default(), move |mut store| async move {
            let answer = match code.pre.instantiate_async(&mut store).await {
                Ok(instance) => code.exports.list(&mut store, &instance, offer, lists).await,
                Err(error) => Err(error),
            };
            (answer, store)
        })
        .await
        .outcome
    }

    /// Asks a policy something in an instance of its own.
    pub(crate) async fn decide<E, T, W>(
        &self,
        code: Arc<Code<E>>,
        grants: Grants,
        limits: Limits,
        question: impl FnOnce(Arc<Code<E>>, Store<State>, Instance) -> W + Send + 'static,
    ) -> Result<T, Fault>
    where
        E: Send + Sync + 'static,
        T: Send + 'static,
        W: Future<Output = (wasmtime::Result<T>, Store<State>)> + Send + 'static,
    {
        self.run((code.place(), Lane::Decisions), limits, grants, <_>::default(), move |mut store| async move {
            match code.pre.instantiate_async(&mut store).await {
                Ok(instance) => question(code, store, instance).await,
                Err(error) => (Err(error), store),
            }
        })
        .await
        .outcome
    }

    /// Takes a place, makes the store, lets `work` run in it, and reads off how it ended. `work` gives the store back with its answer.
    async fn run<T, W>(
        &self,
        ((compartment, profile), lane): ((Compartment, Profile), Lane),
        limits: Limits,
        grants: Grants,
        (outward, spent, share, claim): (Outward, Arc<Spent>, Share, Option<fair::Claim>),
        work: impl FnOnce(Store<State>) -> W + Send + 'static,
    ) -> Ended<T>
    where
        T: Send + 'static,
        W: Future<Output = (wasmtime::Result<T>, Store<State>)> + Send + 'static,
    {
        let began = Instant::now();
        let deadline = began + limits.wall;
        let house = compartment.0.house(profile);
        let place = tokio::time::timeout(PLACE_WAIT.min(limits.wall), Arc::clone(house.places(lane)).acquire_owned());
        let Ok(Ok(place)) = place.await else {
            return Ended { outcome: Err(Fault::Busy), usage: Usage { wall: began.elapsed(), ..Usage::default() }, stdio: Vec::new() };
        };
        let pulse = Arc::new(Pulse { spent: Arc::clone(&spent), ..Pulse::default() });
        let mut store = Store::new(&house.engine, State::new(&limits, &grants, outward, Limiter::new(&limits, spent, share.memory)));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.copy_bytes);
        store.set_max_component_handles(limits.handles);
        store.epoch_deadline_callback(watch(Arc::clone(&pulse), deadline, limits.cpu, limits.host_calls));
        store.set_epoch_deadline(1);

        let running = Running::begin(compartment, place);
        let call = async move {
            // Held until the store is gone, so that the place is free only when the pool has it back.
            let _running = running;
            let (result, store) = work(store).await;
            end(result, store, &limits)
        };
        let elsewhere = match lane {
            Lane::Calls => Elsewhere { runtime: self.low.clone(), turns: Some((self.turns.clone(), share.turns)) },
            Lane::Decisions => Elsewhere { runtime: self.bench.clone(), turns: None },
        };
        let demotable = Demotable::new(call, Arc::clone(&pulse), elsewhere, claim);
        // The epoch does not wake a guest that waits in a host function, so the wall is watched from outside as well.
        let mut ended = match tokio::time::timeout_at(deadline.into(), demotable).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => Ended { outcome: Err(Fault::Engine(error.to_string())), usage: Usage::default(), stdio: Vec::new() },
            Err(_) => Ended { outcome: Err(Fault::WallTime { limit: limits.wall }), usage: Usage::default(), stdio: Vec::new() },
        };
        ended.usage.wall = began.elapsed();
        ended.usage.cpu = pulse.spent.cpu();
        ended
    }
}

/// Looks at the clocks each time that the epoch interrupts the guest.
fn watch(
    pulse: Arc<Pulse>,
    deadline: Instant,
    cpu: Duration,
    host_calls: u64,
) -> impl FnMut(StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> + Send + Sync {
    move |store| {
        if Instant::now() >= deadline {
            return Err(Stop::Wall.into());
        }
        let computed = pulse.spent.cpu.so_far();
        if computed >= cpu {
            return Err(Stop::Cpu.into());
        }
        // Looked at here, and not at each: so a flood goes on for a millisecond, and a call costs no comparison.
        if store.data().host_calls > host_calls {
            return Err(Stop::HostCalls.into());
        }
        if computed < SHORT {
            // It was kept from the processor more than it computed: on a busy machine most calls would seem long otherwise.
            return Ok(UpdateDeadline::Continue(1));
        }
        pulse.interrupted.store(true, Relaxed);
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    }
}

/// Counts a call for the ticker and holds its place; both end with it, however it ends.
struct Running {
    _place: OwnedSemaphorePermit,
    compartment: Compartment,
}

impl Running {
    fn begin(compartment: Compartment, place: OwnedSemaphorePermit) -> Self {
        compartment.0.ticker.call_begins();
        Self { _place: place, compartment }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.compartment.0.ticker.call_ended();
    }
}

fn end<T>(result: wasmtime::Result<T>, store: Store<State>, limits: &Limits) -> Ended<T> {
    let state = store.into_data();
    let (mut stdio, dropped_out) = state.stdout.take(Stream::Stdout);
    let (stderr, dropped_err) = state.stderr.take(Stream::Stderr);
    stdio.extend(stderr);
    let usage = Usage {
        memory_bytes: state.limiter.memory_bytes(),
        log_lines_dropped: state.said.log_lines_dropped,
        reports_dropped: state.said.reports_dropped,
        changes_dropped: state.said.changes_dropped,
        stdio_bytes_dropped: dropped_out.saturating_add(dropped_err),
        ..Usage::default()
    };
    let outcome = result.map_err(|error| fault(&error, state.limiter.refused, limits));
    Ended { outcome, usage, stdio }
}

fn fault(error: &wasmtime::Error, refused: Option<Resource>, limits: &Limits) -> Fault {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match stop {
            Stop::Wall => Fault::WallTime { limit: limits.wall },
            Stop::Cpu => Fault::CpuTime { limit: limits.cpu },
            Stop::HostCalls => Fault::Resource(Resource::HostCalls),
        };
    }
    if let Some(TooLong(limit)) = error.downcast_ref::<TooLong>() {
        return Fault::ResultTooLarge { bytes: limit.saturating_add(1), limit: *limit };
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return Fault::Exit(*code);
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return Fault::Resource(Resource::Handles);
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Fault::Busy;
    }
    match (error.downcast_ref::<Trap>(), refused) {
        (Some(Trap::StackOverflow), _) => Fault::Resource(Resource::Stack),
        // A language runtime that is refused memory ends in a trap of its own making.
        (Some(_), Some(resource)) => Fault::Resource(resource),
        (Some(trap), None) => Fault::Trap(trap.to_string()),
        // An instance that does not even get the memory that it begins with.
        (None, Some(resource @ (Resource::SharedMemory | Resource::HostMemory))) => Fault::Resource(resource),
        // Raised by host functions and by the border of the component: a handle that is none, text that is not UTF-8.
        (None, _) => match error.root_cause().to_string() {
            // The engine keeps the types of these to itself.
            text if text.starts_with("too much data is being copied") => Fault::Resource(Resource::Copies),
            text if text.ends_with("store handle limit exceeded") => Fault::Resource(Resource::Handles),
            text => Fault::Trap(text),
        },
    }
}
