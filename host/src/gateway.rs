//! What the process is made of, and its life: build → serve → drain.

mod approvals;
mod compartments;
mod house;
mod orders;
mod supervise;
mod tidings;
mod upkeep;

use crate::auth::{AdminError, AdminToken, IssuerError, Policy, PolicyError};
use crate::catalog::{Catalog, GivenError, Problem, TrustError, exposed_directory};
use crate::config::{Config, StoreBackend};
use crate::confinement::Confinement;
use crate::control::{self, Answering, Desks, Entrance, Ordered, Reload};
use crate::egress::{Egress, Means, MeansError};
use crate::generation::{Current, Generation};
use crate::http::{
    Admin, Aside, Failures, Front, OriginPolicy, Readiness, Room, Stalls, accept, admin_router, public_code, public_error, router,
};
use crate::journal::{Event, Journal, Kind};
use crate::keys::{Keys, Purpose};
use crate::keyvalue::KeyValues;
use crate::method::{Dialogs, Pages, Rooms, Seen, Stages};
use crate::revocation::{FileError, Revocations};
use crate::scratch::Scratches;
use crate::session::Sessions;
use crate::stream::{Counter, EventIds, Streams};
use crate::task::Tasks;
use crate::telemetry;
use crate::tenant::Admission;
use arc_swap::{ArcSwap, ArcSwapOption};
use event_store::{EventStore, OpenError};
use house::House;
use mcp::result::Implementation;
use orders::Orders;
use sandbox::{Authority, CacheError, CodeCache, Compiler, Growth, PoolSizes, Sandbox, SandboxConfig, SandboxError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use supervise::Supervisor;
use tidings::Telling;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upkeep::{Over, Stalled};

/// The hidden command of this program that compiles one component from standard input.
pub const COMPILE_WORKER: &str = "compile-worker";
/// The same, where growth is elided.
const COMPILE_WORKER_ELIDES: &str = "--growth-elision";
/// The file that this process was started from, even when its name is another file's.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Connections that the kernel keeps waiting.
const CONNECTIONS_WAITING_MAX: u32 = 1_024;
/// Changes that a listener may be behind before it is told that everything may have changed.
const CHANGES_MAX: usize = 64;
/// Who asks that the settings are read again waits for those before it.
const RELOADS_WAITING_MAX: usize = 4;
/// Who orders waits for those before it.
const ORDERS_WAITING_MAX: usize = 16;
/// How long open connections get to write what is left once all calls are done.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine's pools or threads.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The compiled-code cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The address.
    #[error("{address} cannot be listened on: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The plugin directory is not there or not a directory.
    #[error("the plugin directory {path} cannot be used: {source}; make it, or name another with --plugins")]
    PluginDirectory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the gateway's user could drop a plugin.
    #[error("the plugin directory {path} {exposed}")]
    PluginDirectoryOpen {
        /// Which.
        path: PathBuf,
        /// Who, and what to do.
        exposed: String,
    },
    /// What is approved, or whose signatures count: without it nobody knows which plugins may be served.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The journal.
    #[error("the journal {path} cannot be written: {source}; mend that, or switch it off with journal.enabled = false")]
    Journal {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store.
    #[error("the store cannot be opened: {0}")]
    Store(#[from] OpenError),
    /// The key.
    #[error("the gateway's key {path} cannot be used: {source}")]
    Key {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is revoked: without it nobody knows who must not come in.
    #[error(transparent)]
    Revocations(#[from] FileError),
    /// The keys of an issuer: without them nobody could come in.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// A policy: without it nobody could be told yes.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A file of a grant: without it requests would leave without what they are to have.
    #[error(transparent)]
    Means(#[from] MeansError),
    /// A value or a directory of a grant: without it a plugin would run without what it is to have.
    #[error(transparent)]
    Given(#[from] GivenError),
    /// The admin listener's token: without it anybody on the machine could administrate.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Threads.
    #[error("the system gives no more threads: {0}")]
    Threads(io::Error),
    /// The gateway's own file is needed to start the compile worker.
    #[error("the gateway's own program file cannot be found: {0}")]
    Program(io::Error),
}

/// The gateway ended otherwise than by coming to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// Something was still running when the time to stop was over, or somebody did not want to wait for it.
    #[error("stopped with calls in flight")]
    InFlight,
    /// A part of it failed again and again.
    #[error("stopped because a part of the gateway failed again and again; the log says which")]
    Failed,
}

/// Whether compiled code is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeIsKept {
    /// The directory is made where there is none.
    Always,
    /// Only in a directory that is there: a look at a file leaves nothing behind.
    WhereOneIs,
}

/// A sandbox as the settings want it: the serving process, `check`, `inspect` and `call` make theirs alike.
///
/// # Errors
///
/// When the system does not give what it needs.
pub fn make_sandbox(config: &Config, kept: CodeIsKept) -> Result<(Arc<Sandbox>, Authority), StartError> {
    let directory = &config.code_cache_directory;
    let cache = match kept {
        CodeIsKept::WhereOneIs if !directory.exists() => None,
        CodeIsKept::Always | CodeIsKept::WhereOneIs => Some(CodeCache::open(directory, config.limits.plugins.code_cache_bytes_max)?),
    };
    // This very program, whatever lies under its name by now: a newer one, put there for the next start, makes code that this one does not know, and
    // may not be executed by what the kernel was told at the start.
    std::fs::metadata(OWN_PROGRAM).map_err(StartError::Program)?;
    let (growth, flag) = if config.growth_elision { (Growth::Elided, Some(COMPILE_WORKER_ELIDES)) } else { (Growth::AsItIs, None) };
    let arguments = [COMPILE_WORKER].into_iter().chain(flag).map(str::to_owned).collect();
    let compiler = Compiler::worker(OWN_PROGRAM.into(), arguments, growth, config.limits.plugins.compile_timeout);
    let calls = &config.limits.calls;
    let fast = u32::try_from(calls.in_flight_max).unwrap_or(u32::MAX);
    let pools = PoolSizes { fast, memory_bytes: calls.memory_bytes(), ..PoolSizes::default() };
    // As many guests compute at once as there are processors.
    let turns = fair::Places::new(std::thread::available_parallelism().map_or(1, usize::from));
    let (sandbox, authority) = Sandbox::new(SandboxConfig {
        pools,
        limits: config.limits.guest,
        compiler,
        cache,
        turns,
        decision_wall: config.limits.policies.wall,
    })?;
    Ok((Arc::new(sandbox), authority))
}

/// Refuses a plugin directory that is not there or that others can change.
///
/// # Errors
///
/// Which of the two.
pub fn check_plugin_directory(path: &Path) -> Result<(), StartError> {
    let unusable = |source| StartError::PluginDirectory { path: path.to_owned(), source };
    std::fs::read_dir(path).map_err(unusable)?;
    match exposed_directory(path).map_err(unusable)? {
        Some(exposed) => Err(StartError::PluginDirectoryOpen { path: path.to_owned(), exposed }),
        None => Ok(()),
    }
}

/// The shared one, and those of tenants.
fn check_plugin_directories(config: &Config) -> Result<(), StartError> {
    let own = config.tenants.iter().filter_map(|tenant| tenant.plugin_directory.as_deref());
    std::iter::once(config.plugin_directory.as_path()).chain(own).try_for_each(check_plugin_directory)
}

/// Loads everything that the settings name, once, and says what is wrong with plugins.
///
/// # Errors
///
/// For what a gateway would not start with.
pub async fn look(config: &Config, sandbox: &Arc<Sandbox>) -> Result<(Generation, Vec<Problem>), StartError> {
    admin_token(config)?;
    Means::load(config)?;
    let revocations = Revocations::look(&config.revocation_directory())?;
    let mut house = House::build(config, sandbox, &Arc::new(revocations)).await?;
    let problems = house.problems().borrow().clone();
    Ok((house.first().await?, problems))
}

/// A gateway that listens, and does not answer yet.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    listener: TcpListener,
    /// Where the operator is served, if anywhere.
    admin: Option<(SocketAddr, TcpListener)>,
    house: House,
    reload: mpsc::Sender<Reload>,
    reloads: mpsc::Receiver<Reload>,
    orders: mpsc::Sender<Ordered>,
    ordered: mpsc::Receiver<Ordered>,
    front: Arc<Front>,
    aside: Aside,
    tasks: TaskTracker,
    draining: CancellationToken,
    drain_timeout: Duration,
    /// Where questions of commands are taken, if that can be.
    entrance: Option<Entrance>,
}

impl Gateway {
    /// Takes the address, makes the sandbox, loads what lies in the plugin directory, and listens. What the process is confined to it
    /// keeps, for settings that come later.
    ///
    /// # Errors
    ///
    /// When something of it cannot be had.
    pub async fn build(config: &Config, confinement: Confinement) -> Result<Self, StartError> {
        Self::build_seen(config, confinement, None).await
    }

    /// The same, where somebody looks on at every call.
    ///
    /// # Errors
    ///
    /// As above.
    pub async fn build_seen(config: &Config, confinement: Confinement, onlooker: Option<mpsc::Sender<Seen>>) -> Result<Self, StartError> {
        check_plugin_directories(config)?;
        admin_token(config)?;
        let unusable = |source| StartError::Listen { address: config.listen, source };
        let socket = bind(config.listen).map_err(unusable)?;
        let address = socket.local_addr().map_err(unusable)?;
        let admin = config.admin.as_ref().map(|admin| listen(admin.listen)).transpose()?;
        let Kept { store, event_ids, keys } = open_store(config).await?;
        // Before anything is compiled: a command that comes meanwhile finds that they are in use.
        let revocations = Arc::new(Revocations::open(&config.revocation_directory())?);
        let (sandbox, authority) = make_sandbox(config, CodeIsKept::Always)?;
        let mut house = House::build(config, &sandbox, &revocations).await?;
        // Read now, and not before the house has noted what its file was like: a change meanwhile must not be missed.
        let admin_token = admin_token(config)?;
        let means = Means::load(config)?;
        let generation = house.first().await?;
        house::count_calls(&generation);
        confinement.report();
        let mut house = house.confined(confinement);
        // Only now, so that whoever can connect is answered at once: a cold start compiles for some seconds.
        let listener = socket.listen(CONNECTIONS_WAITING_MAX).map_err(unusable)?;

        let journal = match &config.journal {
            Some(settings) => Journal::open(settings).map_err(|source| StartError::Journal { path: settings.directory.clone(), source })?,
            None => Journal::off(),
        };
        let journal = Arc::new(journal);
        journal.note(Event::new(Kind::LifecycleStarted).to(env!("CARGO_PKG_VERSION")));
        house.tell(&journal);
        let scratch = Scratches::new(config.scratch_directory(), config.limits.calls.scratch_per_tenant_bytes_max);
        if let Err(error) = scratch.remove_left() {
            tracing::error!(%error, "scratch directories that another process left cannot be removed");
        }
        let tasks = TaskTracker::new();
        let draining = CancellationToken::new();
        let kept = config.store.backend != StoreBackend::None;
        let rooms = Rooms {
            implementation: implementation(),
            policy: Policy::new(authority, Arc::clone(&revocations)),
            revocations,
            admission: Admission::new(&config.limits.calls, sandbox.turns().clone()),
            journal: Arc::clone(&journal),
            egress: Egress::new(means, Arc::clone(&journal)),
            keyvalue: KeyValues::new(kept.then(|| Arc::clone(&store)), Arc::clone(&journal)),
            scratch: Arc::new(scratch),
            sandbox,
            store: Arc::clone(&store),
            sessions: Sessions::new(config.limits.sessions.clone(), Arc::clone(&store), config.store.required, Arc::clone(&journal)),
            streams: Arc::new(Streams::new(Arc::clone(&store), event_ids.is_some(), config.limits.streams.keep)),
            stream_places: Arc::new(Counter::new(config.limits.streams.clone())),
            task_store: Tasks::new(Arc::clone(&store), config.limits.tasks.clone()),
            dialogs: Dialogs::new(&keys.key(Purpose::RequestState), config.limits.tasks.ttl),
            pages: Pages::new(&keys.key(Purpose::Cursors), config.limits.plugins.page_items_max),
            generation: Arc::new(ArcSwap::from_pointee(generation)),
            changes: broadcast::Sender::new(CHANGES_MAX),
            error_text: |failure| public_error(failure).write(),
            error_code: public_code,
            legacy: config.legacy,
            limits: config.limits.guest,
            json_limits: config.limits.json,
            sanitize: config.sanitize,
            tasks: tasks.clone(),
            stages: Stages::default(),
            draining: draining.clone(),
            onlooker,
            learned: None,
        };
        rooms.sessions.load().await;
        let front = Front {
            rooms: Arc::new(rooms),
            address,
            origins: ArcSwap::from_pointee(OriginPolicy::new(&config.http, address)),
            limits: config.limits.clone(),
            readiness: Readiness { draining: draining.clone(), problems: house.problems(), store: kept.then_some(store) },
            event_ids,
            auth_failures: Arc::new(Failures::new(config.limits.http.auth_failures_per_minute_max)),
            room: Arc::new(Room::new(&config.limits.http)),
            stalls: Arc::new(Stalls::new(config.limits.streams.stall_timeout)),
            admin_token: ArcSwapOption::from_pointee(admin_token),
            last_reload: ArcSwapOption::empty(),
        };
        let (reload, reloads) = mpsc::channel(RELOADS_WAITING_MAX);
        let (orders, ordered) = mpsc::channel(ORDERS_WAITING_MAX);
        Ok(Self {
            address,
            listener,
            admin,
            house,
            reload,
            reloads,
            orders,
            ordered,
            aside: Aside::start(Arc::clone(&front.auth_failures)).map_err(StartError::Threads)?,
            front: Arc::new(front),
            tasks,
            draining,
            drain_timeout: config.limits.http.drain_timeout,
            // Before it says that it is ready: a command that comes at once waits for its answer.
            entrance: Entrance::open(control::socket(&config.control_directory())),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the operator is served, if anywhere.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(address, _)| *address)
    }

    /// What can be called now.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.front.rooms.generation.load().catalog)
    }

    /// What there is, now and later.
    pub fn current(&self) -> Current {
        Arc::clone(&self.front.rooms.generation)
    }

    /// Where to ask that the settings are read again.
    pub fn reload(&self) -> mpsc::Sender<Reload> {
        self.reload.clone()
    }

    /// What is wrong in the plugin directories now.
    pub fn problems(&self) -> watch::Receiver<Vec<Problem>> {
        self.house.problems()
    }

    /// Answers until `stop` is done, or a part of it cannot go on; then takes no new work, lets calls in flight end, and returns.
    ///
    /// # Errors
    ///
    /// When not all of them did, or it did not stop because it was told to.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), StopError> {
        let (connections, aside) = (TaskTracker::new(), Arc::new(self.aside));
        let rooms = Arc::clone(&self.front.rooms);
        let (store, journal) = (Arc::clone(&rooms.store), Arc::clone(&rooms.journal));
        let usage = move || crate::tenant::usage(rooms.generation.load().authenticator.tenants(), &rooms.kept_open());
        let ledger: control::Ledger = Arc::new(usage);
        let desks = Desks { store, ledger, reload: self.reload, orders: self.orders, journal: Arc::clone(&journal) };
        let desks = Arc::new(desks);
        let administrating = self.admin.map(|(address, listener)| {
            tracing::info!(%address, "the admin listener answers");
            let admin = Admin::new(Arc::clone(&self.front), address, Arc::clone(&desks));
            let (limits, stop) = ((admin.limits(), self.front.limits.streams.stall_timeout), self.draining.clone());
            connections.spawn(accept::serve(listener, admin_router(admin), limits, stop, connections.clone(), None))
        });
        let supervisor = Supervisor::new(self.tasks.clone());
        // Not among what is waited for: whoever revokes is heard up to the end.
        let (commands, over) = (TaskTracker::new(), CancellationToken::new());
        let control = self.entrance.map(|entrance| {
            let (mut answering, supervisor, over) = (Answering::new(entrance, desks), supervisor.clone(), over.clone());
            commands.spawn(async move {
                tokio::select! {
                    () = supervisor.keep(&mut answering) => {}
                    () = over.cancelled() => {}
                }
                answering.end().await;
            })
        });
        let to_the_end = supervisor.among(commands.clone());
        let ordered = to_the_end.start(Orders::new(Arc::clone(&self.front.rooms), self.ordered));
        let telling = to_the_end.start(Telling::new(Arc::clone(&self.front.rooms)));
        let watching = supervisor.start(self.house.open(Arc::clone(&self.front), supervisor.clone(), self.reloads));
        let stalls = supervisor.start(Stalled::new(Arc::clone(&self.front)));
        let sweeping = supervisor.start(Over::new(Arc::clone(&self.front)));
        let mut accepting = connections.spawn(accept::serve(
            self.listener,
            router(Arc::clone(&self.front)),
            (self.front.limits.http.clone(), self.front.limits.streams.stall_timeout),
            self.draining.clone(),
            connections.clone(),
            Some(Arc::clone(&aside)),
        ));
        let failed = tokio::select! {
            () = stop => false,
            () = supervisor.failed() => true,
            // It goes on until it is told to stop.
            ended = &mut accepting => {
                tracing::error!(panicked = ended.is_err(), "nobody accepts connections any more; the gateway stops");
                true
            }
        };

        journal.note(Event::new(Kind::LifecycleStopping));
        tracing::info!(timeout_s = self.drain_timeout.as_secs(), "stopping: no new work is taken, calls in flight go on to their end");
        self.draining.cancel();
        drop((watching, sweeping, stalls));
        self.tasks.close();
        connections.close();
        let drained = async {
            self.tasks.wait().await;
            connections.wait().await;
        };
        let all = tokio::time::timeout(self.drain_timeout.max(LAST_WORDS), drained).await.is_ok();
        accepting.abort();
        drop(aside);
        administrating.inspect(|administrating| administrating.abort());
        over.cancel();
        // It takes its socket away, and may be telling somebody that the last call was stopped.
        if let Some(control) = control {
            let _ = tokio::time::timeout(LAST_WORDS, control).await;
        }
        drop((ordered, telling));
        telemetry::tell_left_out();
        journal.note(Event::new(Kind::LifecycleStopped).because(if all { "drained" } else { "calls_lost" }));
        // What was counted has its lines, and all of it is on the disk, before anybody is told that the gateway has stopped.
        let _ = tokio::task::spawn_blocking(move || journal.flush(LAST_WORDS)).await;
        if all {
            tracing::info!("stopped; every call in flight came to its end");
        } else {
            tracing::warn!("calls were still in flight when the time to stop was over; they are lost");
        }
        match (failed, all) {
            (true, _) => Err(StopError::Failed),
            (false, false) => Err(StopError::InFlight),
            (false, true) => Ok(()),
        }
    }
}

fn admin_token(config: &Config) -> Result<Option<AdminToken>, AdminError> {
    config.admin.as_ref().map(AdminToken::load).transpose()
}

/// Takes an address and listens on it.
fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener), StartError> {
    let listener = bind(address).and_then(|socket| socket.listen(CONNECTIONS_WAITING_MAX));
    let listening = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    listening.map_err(|source| StartError::Listen { address, source })
}

/// Takes the address without listening on it yet.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for connections of the process before it to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What outlives the process.
struct Kept {
    store: Arc<dyn EventStore>,
    /// The ids that events go out with; none where streams are not kept.
    event_ids: Option<EventIds>,
    keys: Keys,
}

/// Opens the store of the settings, and the key of what is sealed.
async fn open_store(config: &Config) -> Result<Kept, StartError> {
    let settings = config.store.settings.clone();
    let path = config.data_directory.join("key");
    let unusable = |source| StartError::Key { path: path.clone(), source };
    if config.store.backend != StoreBackend::Sled {
        let keys = Keys::for_this_process().map_err(unusable)?;
        let event_ids = (config.store.backend == StoreBackend::Memory).then(|| EventIds::new(&keys.key(Purpose::EventIds)));
        return Ok(Kept { store: event_store::memory(settings), event_ids, keys });
    }
    let (directory, required) = (config.store.directory.clone(), config.store.required);
    let start = if required { event_store::Start::Required } else { event_store::Start::Degraded };
    // Recovery reads what a crash left; it may take a moment.
    let opening = tokio::task::spawn_blocking(move || event_store::sled(&directory, settings, start));
    let failed = |reason: String| OpenError::Unusable { path: config.store.directory.clone(), reason };
    let store = opening.await.map_err(|error| failed(error.to_string()))??;
    let keys = match Keys::open(&path) {
        Err(error) if !required && store.health().degraded.is_some() => {
            tracing::warn!(%error, path = %path.display(), "the gateway's key cannot be kept: what is sealed now ends with this process");
            Keys::for_this_process()
        }
        other => other,
    };
    let keys = keys.map_err(unusable)?;
    Ok(Kept { store, event_ids: Some(EventIds::new(&keys.key(Purpose::EventIds))), keys })
}

/// Who we are, in the protocol's words.
pub(crate) fn implementation() -> Implementation {
    Implementation {
        name: "gatehouse".into(),
        title: Some("Gatehouse".into()),
        version: env!("CARGO_PKG_VERSION").into(),
        website_url: None,
        icons: Vec::new(),
    }
}
