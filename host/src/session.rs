//! Sessions of the handshake era.
//!
//! A session is a name for what `initialize` settled: which revision, which client, whose. It is never a proof of identity: each use is
//! compared with its owner and its server, and a stranger gets the answer for a session that does not exist.
//!
//! What it settled is kept in the store before the client learns its name, so it goes on after the process has ended in any way.

mod all;
mod record;

pub use all::{Ending, NoSession, Sessions};

use crate::auth::Owner;
use crate::config::{ServerId, SessionLimits};
use crate::scratch;
use event_store::{EventStore, Partition, Pending, Record, Space, StoreTime, TenantKey};
use mcp::params::LogLevel;
use mcp::{Id, JsonText, Revision};
use parking_lot::Mutex;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Uses are written down that much later, at most, than a quarter of the idle time after they happened.
const WRITTEN_LATE: Duration = Duration::from_secs(15);

/// Resources that one session may watch.
const SUBSCRIPTIONS_MAX: usize = 256;
/// Bytes of their addresses together: they are written with the session.
const SUBSCRIPTIONS_BYTES_MAX: usize = 64 << 10;

/// The name of a session: 32 hexadecimal digits of the system's randomness.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    fn of(partition: &Partition) -> Self {
        Self(partition.id_text().into())
    }

    /// As it stands in `Mcp-Session-Id`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    /// Not the id itself: whoever reads a log must not be able to go on with a session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// One session.
#[derive(Debug)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Its place in the store.
    pub partition: Partition,
    /// What was negotiated. It drives behaviour; the version header of a request does not.
    pub revision: Revision,
    /// What the client can be asked.
    pub capabilities: mcp::capability::ClientCapabilities,
    /// Whose it is.
    pub owner: Owner,
    /// Fires when the session ends.
    pub ended: CancellationToken,
    /// The scratch directories of its plugins. They do not outlive the process.
    pub scratch: Arc<scratch::OfSession>,
    server: Option<ServerId>,
    began: StoreTime,
    requests_in_flight_max: usize,
    /// Which life of the gateway it is in.
    epoch: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    initialized: bool,
    last_use: StoreTime,
    log_level: Option<LogLevel>,
    /// Resources whose changes its client wants to hear of.
    subscriptions: BTreeSet<Box<str>>,
    in_flight: HashMap<Id, CancellationToken>,
    /// Requests of the host's own that wait for their answers.
    questions: HashMap<Id, oneshot::Sender<Option<JsonText>>>,
    asked: u64,
    /// Connections that wait for its events.
    attached: usize,
    /// When what the store has was written; none if it has nothing, or something older.
    saved: Option<StoreTime>,
    /// It was read from the store, and its client has not been told that lists may have changed meanwhile.
    restored: bool,
    ended: bool,
}

/// A request in flight; leaves the session's list on drop.
#[derive(Debug)]
pub struct InFlight {
    session: Arc<Session>,
    id: Id,
    /// Fires when the client or the gateway cancels the request.
    pub cancelled: CancellationToken,
    store: Arc<dyn EventStore>,
}

/// A connection that waits for events of a session: the session is in use until it is dropped.
#[derive(Debug)]
pub struct Attached {
    session: Arc<Session>,
    store: Arc<dyn EventStore>,
}

/// A request of the host's own to a session's client; forgotten on drop.
#[derive(Debug)]
pub struct Question {
    /// Its id.
    pub id: Id,
    session: Arc<Session>,
    answer: oneshot::Receiver<Option<JsonText>>,
}

impl Question {
    /// The client's result; none if it refused. Cancel-safe.
    pub async fn answer(&mut self) -> Option<JsonText> {
        (&mut self.answer).await.ok().flatten()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.session.state.lock().questions.remove(&self.id);
    }
}

/// Why a request cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBegun {
    /// A request with this id is in flight already.
    IdInUse,
    /// The session has as many requests in flight as it may have.
    TooMany,
}

impl Session {
    /// The client sent `notifications/initialized`. A request says the same.
    pub fn initialized(&self) {
        self.state.lock().set_initialized();
    }

    /// From now on its calls tell their client of log lines of that level and above. Kept like the session.
    pub fn set_log_level(&self, level: LogLevel) {
        let mut state = self.state.lock();
        state.log_level = Some(level);
        state.saved = None;
    }

    /// The least level of the log lines that its client wants; none: no lines.
    pub fn log_level(&self) -> Option<LogLevel> {
        self.state.lock().log_level
    }

    /// From now on its client hears of the resource; false if it hears of as many as it may.
    fn subscribe(&self, uri: Box<str>) -> bool {
        let mut state = self.state.lock();
        let bytes: usize = state.subscriptions.iter().map(|uri| uri.len()).sum();
        let room = state.subscriptions.len() < SUBSCRIPTIONS_MAX && bytes + uri.len() <= SUBSCRIPTIONS_BYTES_MAX;
        let room = room || state.subscriptions.contains(&uri);
        if room && state.subscriptions.insert(uri) {
            state.saved = None;
        }
        room
    }

    /// Its client does not want to hear of the resource any more; false if it never did.
    pub fn unsubscribe(&self, uri: &str) -> bool {
        let mut state = self.state.lock();
        let was = state.subscriptions.remove(uri);
        if was {
            state.saved = None;
        }
        was
    }

    /// Resources whose changes its client wants to hear of.
    pub fn subscriptions(&self) -> Vec<Box<str>> {
        self.state.lock().subscriptions.iter().cloned().collect()
    }

    fn is_subscribed(&self, uri: &str) -> bool {
        self.state.lock().subscriptions.contains(uri)
    }

    /// How long ago it began, and was used last.
    pub fn ages(&self, now: StoreTime) -> (Duration, Duration) {
        (now.since(self.began), now.since(self.state.lock().last_use))
    }

    /// The server that it is used at.
    pub fn server(&self) -> Option<&ServerId> {
        self.server.as_ref()
    }

    /// Cancels a request if it is in flight. One that is not was answered already, or never came: both are nobody's fault.
    pub fn cancel(&self, id: &Id) {
        if let Some(cancelled) = self.state.lock().in_flight.get(id) {
            cancelled.cancel();
        }
    }

    /// Begins a question to its client.
    pub fn ask(self: &Arc<Self>) -> Question {
        let (told, answer) = oneshot::channel();
        let mut state = self.state.lock();
        state.asked += 1;
        // Not to be mixed up with what was asked before a restart.
        let id = Id::String(format!("gatehouse-{}-{}", self.epoch, state.asked).into());
        state.questions.insert(id.clone(), told);
        drop(state);
        Question { id, session: Arc::clone(self), answer }
    }

    /// Whether somebody waits for the answer to that question.
    pub fn waits_for(&self, id: &Id) -> bool {
        self.state.lock().questions.contains_key(id)
    }

    /// Takes an answer of its client; false if nobody waits for it.
    pub fn answered(&self, id: &Id, answer: Option<JsonText>) -> bool {
        let waiting = self.state.lock().questions.remove(id);
        // Whoever asked may have gone on without it.
        waiting.is_some_and(|told| told.send(answer).is_ok())
    }

    /// Whether its client has still to hear that lists may have changed while the gateway was down. Says so once.
    pub fn take_restored(&self) -> bool {
        std::mem::take(&mut self.state.lock().restored)
    }

    fn begin(self: &Arc<Self>, id: Id, store: &Arc<dyn EventStore>) -> Result<InFlight, NotBegun> {
        let mut state = self.state.lock();
        if state.in_flight.len() >= self.requests_in_flight_max {
            return Err(NotBegun::TooMany);
        }
        let cancelled = CancellationToken::new();
        match state.in_flight.entry(id.clone()) {
            Entry::Occupied(_) => return Err(NotBegun::IdInUse),
            Entry::Vacant(entry) => entry.insert(cancelled.clone()),
        };
        state.set_initialized();
        drop(state);
        Ok(InFlight { session: Arc::clone(self), id, cancelled, store: Arc::clone(store) })
    }

    fn attach(self: &Arc<Self>, store: &Arc<dyn EventStore>) -> Attached {
        self.state.lock().attached += 1;
        Attached { session: Arc::clone(self), store: Arc::clone(store) }
    }

    /// Whether its time is over, and which.
    fn over(&self, now: StoreTime, limits: &SessionLimits) -> Option<Ending> {
        if now.since(self.began) >= limits.lifetime {
            return Some(Ending::Lifetime);
        }
        let state = self.state.lock();
        let (patience, ending) = match state.initialized {
            true => (limits.idle_timeout, Ending::Idle),
            false => (limits.initialization_timeout, Ending::NotInitialized),
        };
        (!state.in_use() && now.since(state.last_use) >= patience).then_some(ending)
    }

    /// How long nobody has used it; none while somebody does.
    fn idle(&self, now: StoreTime) -> Option<Duration> {
        let state = self.state.lock();
        (!state.in_use()).then(|| now.since(state.last_use))
    }

    /// Ends it for whoever works with it. Nothing of it is written to the store after this. False if it had ended before.
    fn end(&self) -> bool {
        let mut state = self.state.lock();
        let is_first = !std::mem::replace(&mut state.ended, true);
        state.in_flight.values().for_each(CancellationToken::cancel);
        drop(state);
        self.ended.cancel();
        self.scratch.end();
        is_first
    }

    /// Writes it to the store as it is now; none if it has ended.
    fn save(&self, store: &dyn EventStore, limits: &SessionLimits) -> Option<Pending<()>> {
        let mut state = self.state.lock();
        if state.ended {
            return None;
        }
        // Some way after its time would be over, since not every use is written down.
        let idle = state.last_use.after(limits.idle_timeout.saturating_mul(3) / 2 + WRITTEN_LATE);
        let expires = idle.min(self.began.after(limits.lifetime));
        let data = record::write(self, &state);
        state.saved = Some(state.last_use);
        // Queued under the lock: a removal comes after it, or not at all.
        Some(store.put(&self.partition, Record { data, expires }))
    }

    /// What the store has is too old to be relied on.
    fn is_unsaved(&self, limits: &SessionLimits) -> bool {
        let state = self.state.lock();
        !state.ended && state.saved.is_none_or(|saved| state.last_use.since(saved) >= limits.idle_timeout / 4)
    }

    fn set_unsaved(&self) {
        self.state.lock().saved = None;
    }

    /// Use goes on while somebody waits.
    fn refresh(&self, now: StoreTime) {
        let mut state = self.state.lock();
        if state.in_use() {
            state.last_use = now;
        }
    }

    fn used(&self, now: StoreTime) {
        self.state.lock().last_use = now;
    }
}

impl State {
    fn in_use(&self) -> bool {
        !self.in_flight.is_empty() || self.attached > 0
    }

    fn set_initialized(&mut self) {
        if !std::mem::replace(&mut self.initialized, true) {
            self.saved = None;
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.session.state.lock();
        state.in_flight.remove(&self.id);
        state.last_use = self.store.now();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut state = self.session.state.lock();
        state.attached = state.attached.saturating_sub(1);
        state.last_use = self.store.now();
    }
}

/// Where a tenant's session lies in the store.
fn partition(owner: &Owner, id: [u8; 16]) -> Option<Partition> {
    Some(Partition { tenant: TenantKey::new(owner.tenant().as_str())?, space: Space::Session, id })
}
