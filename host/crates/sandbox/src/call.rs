//! One call: place → store → instance → guest → outcome, under its limits.

use crate::contract::{Caller, ClientFeatures, Failure, Resume};
use crate::demote::{Demotable, Elsewhere, Pulse};
use crate::engine::{Compartment, House, Lane, Profile};
use crate::events::{EventSender, LogLine, Stream};
use crate::fault::Resource;
use crate::files::FileRefusals;
use crate::guest::{Called, Code};
use crate::kept::{Again, Idle, Keeping, Kept, Key};
use crate::keyvalue::KeyValue;
use crate::learn::Learner;
use crate::meter::Spent;
use crate::outgoing::Outgoing;
use crate::plain::TooLong;
use crate::state::{Limiter, Outward, State};
use crate::work::{Asked, Lists, Offer, Outcome, Refused};
use crate::{Fault, Grants, Limits, Permit, Share};
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use wasmtime::component::Instance;
use wasmtime::{PoolConcurrencyLimitError, Store, StoreContextMut, Trap, UpdateDeadline};
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
    /// The same for calls that may find in the guest's memory what earlier ones left there, if the permit's grants let any; none: for no others. It
    /// is compared, and means nothing here.
    pub whose: Option<Box<str>>,
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
    /// Its instance, if that may answer another call: once somebody says that this answer was right.
    pub again: Again,
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
    /// Instances that wait for another call.
    pub(crate) kept: &'a Arc<Kept>,
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
    again: Again,
}

impl<T> Ended<T> {
    fn without(fault: Fault) -> Self {
        Self { outcome: Err(fault), usage: Usage::default(), stdio: Vec::new(), again: Again::default() }
    }
}

/// A store with its place in the pool, in the order in which they go: the place is free only when the pool has everything back.
pub(crate) struct Seat {
    store: Store<State>,
    place: Place,
}

impl Seat {
    pub(crate) fn house(&self) -> &House {
        self.place.house()
    }
}

/// One of a pool's places, taken. What two processors count on costs a small guest's call much: it is given back by who it is of, not by a permit that
/// counts for itself.
struct Place {
    compartment: Compartment,
    profile: Profile,
    lane: Lane,
}

impl Place {
    fn house(&self) -> &House {
        self.compartment.0.house(self.profile)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.house().places(self.lane).add_permits(1);
    }
}

/// How a call's instance may be left for others, and the one that was left for it.
struct Reusing<T> {
    keeping: Keeping,
    idle: Option<Idle>,
    /// Whether an answer leaves no doubt.
    is_sound: fn(&T) -> bool,
}

impl Runner<'_> {
    pub(crate) async fn call(&self, permit: Permit, call: Call) -> Finished {
        let Permit { guest, work, grants } = permit;
        let Call { caller, client, resume, meta, limits, events, outgoing, keyvalue, refusals, learner, spent, share, claim, whose } = call;
        let asked = Asked { caller, client, resume, meta };
        let code = &guest.0.code;
        // What is learned is learned of one call.
        let key =
            whose.filter(|_| learner.is_none()).and_then(|whose| Some(Key::new(code, grants.meeting()?, &share.memory, &limits, whose)));
        let reusing = key.map(|key| {
            let (keeping, idle) = self.kept.take(key);
            Reusing { keeping, idle, is_sound }
        });
        let outward = Outward { events, outgoing, keyvalue, refusals, learner };
        let mut ended = self
            .run(
                (Called(guest), Lane::Calls),
                limits,
                grants,
                (outward, spent, share, claim),
                reusing,
                move |code: Called, mut store, instance| async move {
                    (code.exports.run(&mut store, &instance, work, asked, limits.result_bytes).await, store)
                },
            )
            .await;
        let outcome = ended.outcome.and_then(|answer| match answer.as_ref().map_or(0, Outcome::bytes) {
            bytes if bytes > limits.result_bytes => Err(Fault::ResultTooLarge { bytes, limit: limits.result_bytes }),
            _ => Ok(answer),
        });
        if outcome.is_err() {
            ended.again = Again::default();
        }
        Finished { outcome, usage: ended.usage, stdio: ended.stdio, again: ended.again }
    }

    pub(crate) async fn list(&self, code: &Arc<Code>, offer: Offer, lists: Lists, limits: Limits) -> Result<Result<Offer, Refused>, Fault> {
        let code = (Arc::clone(code), Lane::Calls);
        self.run(code, limits, Grants::none(), <_>::default(), None, move |code, mut store, instance| async move {
            (code.exports.list(&mut store, &instance, offer, lists).await, store)
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
        self.run((code, Lane::Decisions), limits, grants, <_>::default(), None, question).await.outcome
    }

    /// A place in the pool, which answers with an error when it is full. Where there is none, one that is only kept is given up.
    async fn place(&self, (compartment, profile): (Compartment, Profile), lane: Lane, limits: &Limits) -> Option<Place> {
        let house = compartment.0.house(profile);
        let places = house.places(lane);
        let permit = match places.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = (lane == Lane::Calls).then(|| self.kept.make_place(house));
                tokio::time::timeout(PLACE_WAIT.min(limits.wall), places.acquire()).await.ok()?.ok()?
            }
        };
        permit.forget();
        Some(Place { compartment, profile, lane })
    }

    /// Takes a place and makes the store, or takes those that were left for it; lets `work` run there, and reads off how it ended. `work` gives the
    /// store back with its answer.
    async fn run<C, E, T, W>(
        &self,
        (code, lane): (C, Lane),
        limits: Limits,
        grants: Grants,
        (outward, spent, share, claim): (Outward, Arc<Spent>, Share, Option<fair::Claim>),
        reusing: Option<Reusing<T>>,
        work: impl FnOnce(C, Store<State>, Instance) -> W + Send + 'static,
    ) -> Ended<T>
    where
        C: Deref<Target = Code<E>> + Send + 'static,
        E: Send + Sync + 'static,
        T: Send + 'static,
        W: Future<Output = (wasmtime::Result<T>, Store<State>)> + Send + 'static,
    {
        let began = Instant::now();
        let clock = Clock { pulse: Arc::new(Pulse { spent, ..Pulse::default() }), deadline: began + limits.wall, limits };
        let (deadline, pulse) = (clock.deadline, Arc::clone(&clock.pulse));
        let (left, idle) = reusing.map(|Reusing { keeping, idle, is_sound }| ((keeping, is_sound), idle)).unzip();
        let (mut seat, left_for_it) = match idle.flatten() {
            Some(Idle { mut seat, instance, calls }) => {
                seat.store.data_mut().begin(&limits, outward, Arc::clone(&pulse.spent));
                (seat, Some((instance, calls)))
            }
            None => {
                let Some(place) = self.place(code.place(), lane, &limits).await else {
                    let usage = Usage { wall: began.elapsed(), ..Usage::default() };
                    return Ended { usage, ..Ended::without(Fault::Busy) };
                };
                let limiter = Limiter::new(&limits, Arc::clone(&pulse.spent), share.memory, Arc::downgrade(self.kept));
                let store = Store::new(&place.house().engine, State::new(&limits, &grants, outward, limiter));
                (Seat { store, place }, None)
            }
        };
        clock.wind(&mut seat.store);

        // Its place first: what is made before it would be copied there, and it is large.
        let call = Box::into_pin(Box::write(Box::new_uninit(), async move {
            let Seat { place, store } = seat;
            let calls = left_for_it.map_or(1, |(_, calls)| calls.saturating_add(1));
            let (result, store, instance) = {
                let mut running = pin!(async {
                    let (made, store) = match left_for_it {
                        Some((instance, _)) => (Ok(instance), store),
                        None => instantiate(&code, store, (&place, &clock)).await,
                    };
                    match made {
                        Ok(instance) => {
                            let (result, store) = work(code, store, instance).await;
                            (result, store, Some(instance))
                        }
                        Err(error) => (Err(error), store, None),
                    }
                });
                poll_fn(|context| {
                    place.compartment.0.ticker.guest_runs();
                    running.as_mut().poll(context)
                })
                .await
            };
            end(result, Seat { store, place }, &limits, instance.zip(left).map(|(instance, left)| (left, (instance, calls))))
        }));
        let elsewhere = match lane {
            Lane::Calls => Elsewhere { runtime: self.low, turns: Some((self.turns, share.turns)) },
            Lane::Decisions => Elsewhere { runtime: self.bench, turns: None },
        };
        let demotable = Demotable::new(call, Arc::clone(&pulse), elsewhere, claim);
        // The epoch does not wake a guest that waits in a host function, so the wall is watched from outside as well.
        let mut ended = match tokio::time::timeout_at(deadline.into(), demotable).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => Ended::without(Fault::Engine(error.to_string())),
            Err(_) => Ended::without(Fault::WallTime { limit: limits.wall }),
        };
        ended.usage.wall = began.elapsed();
        ended.usage.cpu = pulse.spent.cpu();
        ended
    }
}

/// Whether an answer says that everything is as it should be.
fn is_sound(answer: &Result<Outcome, Failure>) -> bool {
    match answer {
        Ok(Outcome::Reply(reply)) => !reply.is_error,
        Ok(Outcome::Reading(_) | Outcome::Messages(_) | Outcome::Suggestions(_) | Outcome::InputRequired(_)) => true,
        Err(_) => false,
    }
}

/// A new instance. The pool counts the parts of instances as well as their places: where it is out of some, those that are only kept are given up,
/// and it is tried once more.
async fn instantiate<E>(
    code: &Code<E>,
    mut store: Store<State>,
    (place, clock): (&Place, &Clock),
) -> (wasmtime::Result<Instance>, Store<State>) {
    match code.pre.instantiate_async(&mut store).await {
        Err(error) if error.is::<PoolConcurrencyLimitError>() && store.data().limiter.clear_house(place.house()) => {
            // What there is of it already goes with the store.
            let state = store.into_data().before_instance();
            let mut store = Store::new(&place.house().engine, state);
            clock.wind(&mut store);
            (code.pre.instantiate_async(&mut store).await, store)
        }
        made => (made, store),
    }
}

/// What one call may use of its store, from now on.
struct Clock {
    pulse: Arc<Pulse>,
    deadline: Instant,
    limits: Limits,
}

impl Clock {
    fn wind(&self, store: &mut Store<State>) {
        let Self { pulse, deadline, limits } = self;
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.copy_bytes);
        store.set_max_component_handles(limits.handles);
        store.epoch_deadline_callback(watch(Arc::clone(pulse), *deadline, limits.cpu, limits.host_calls));
        store.set_epoch_deadline(1);
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

/// How an instance is left, and whether its call's answer lets it: the instance, with the calls that it answered.
type Left<T> = ((Keeping, fn(&T) -> bool), (Instance, u32));

fn end<T>(result: wasmtime::Result<T>, mut seat: Seat, limits: &Limits, left: Option<Left<T>>) -> Ended<T> {
    let state = seat.store.data_mut();
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
    let again = match (&outcome, left) {
        (Ok(answer), Some(((keeping, is_sound), (instance, calls)))) if is_sound(answer) && state.is_sound(limits) => {
            state.rest();
            keeping.leave(seat, instance, calls)
        }
        _ => Again::default(),
    };
    Ended { outcome, usage, stdio, again }
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
    if error.is::<PoolConcurrencyLimitError>() {
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
