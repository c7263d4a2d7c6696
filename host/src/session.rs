//! Sessions of the handshake era.
//!
//! A session is a name for what `initialize` settled: which revision, which client, whose. It is never a proof of identity: each use is
//! compared with its owner and its server, and a stranger gets the answer for a session that does not exist.

use crate::auth::Owner;
use crate::config::ServerId;
use crate::config::SessionLimits;
use mcp::{Id, Revision};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The name of a session: 32 hexadecimal digits of the system's randomness.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    fn random() -> Result<Self, NoSession> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|_| NoSession::NoRandomness)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()))
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
    /// What was negotiated. It drives behaviour; the version header of a request does not.
    pub revision: Revision,
    /// What the client can be asked.
    pub capabilities: mcp::capability::ClientCapabilities,
    owner: Owner,
    server: Option<ServerId>,
    began: Instant,
    requests_in_flight_max: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    initialized: bool,
    last_use: Instant,
    in_flight: HashMap<Id, CancellationToken>,
}

/// A request in flight; leaves the session's list on drop.
#[derive(Debug)]
pub struct InFlight {
    session: Arc<Session>,
    id: Id,
    /// Fires when the client or the gateway cancels the request.
    pub cancelled: CancellationToken,
}

/// Why a request cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBegun {
    /// A request with this id is in flight already.
    IdInUse,
    /// The session has as many requests in flight as it may have.
    TooMany,
}

/// Why there is no new session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSession {
    /// The gateway has as many as it may have.
    Full,
    /// The system gave no randomness.
    NoRandomness,
}

impl Session {
    /// The client sent `notifications/initialized`. A request says the same.
    pub fn initialized(&self) {
        self.state.lock().initialized = true;
    }

    /// Begins a request.
    ///
    /// # Errors
    ///
    /// When its id is in use, or there are too many.
    pub fn begin(self: &Arc<Self>, id: Id) -> Result<InFlight, NotBegun> {
        let mut state = self.state.lock();
        if state.in_flight.len() >= self.requests_in_flight_max {
            return Err(NotBegun::TooMany);
        }
        let cancelled = CancellationToken::new();
        match state.in_flight.entry(id.clone()) {
            Entry::Occupied(_) => return Err(NotBegun::IdInUse),
            Entry::Vacant(entry) => entry.insert(cancelled.clone()),
        };
        state.initialized = true;
        drop(state);
        Ok(InFlight { session: Arc::clone(self), id, cancelled })
    }

    /// Cancels a request if it is in flight. One that is not was answered already, or never came: both are nobody's fault.
    pub fn cancel(&self, id: &Id) {
        if let Some(cancelled) = self.state.lock().in_flight.get(id) {
            cancelled.cancel();
        }
    }

    fn cancel_all(&self) {
        self.state.lock().in_flight.values().for_each(CancellationToken::cancel);
    }

    fn is_over(&self, now: Instant, limits: &SessionLimits) -> bool {
        let state = self.state.lock();
        if now.duration_since(self.began) >= limits.lifetime {
            return true;
        }
        let idle = now.duration_since(state.last_use);
        let patience = if state.initialized { limits.idle_timeout } else { limits.initialization_timeout };
        state.in_flight.is_empty() && idle >= patience
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.session.state.lock();
        state.in_flight.remove(&self.id);
        state.last_use = Instant::now();
    }
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    limits: SessionLimits,
    all: RwLock<HashMap<Box<str>, Arc<Session>>>,
}

impl Sessions {
    /// None yet.
    pub fn new(limits: SessionLimits) -> Self {
        Self { limits, all: RwLock::default() }
    }

    /// Begins one.
    ///
    /// # Errors
    ///
    /// When there are too many, or the system gives no randomness for an id.
    pub fn create(
        &self,
        owner: Owner,
        server: Option<ServerId>,
        revision: Revision,
        capabilities: mcp::capability::ClientCapabilities,
    ) -> Result<Arc<Session>, NoSession> {
        let id = SessionId::random()?;
        let now = Instant::now();
        let session = Arc::new(Session {
            id: id.clone(),
            revision,
            capabilities,
            owner,
            server,
            began: now,
            requests_in_flight_max: self.limits.requests_in_flight_max,
            state: Mutex::new(State { initialized: false, last_use: now, in_flight: HashMap::new() }),
        });
        let mut all = self.all.write();
        if all.len() >= self.limits.sessions_max {
            return Err(NoSession::Full);
        }
        all.insert(id.as_str().into(), Arc::clone(&session));
        Ok(session)
    }

    /// The session of that name, if it is this owner's and this server's and not over. The use is noted.
    pub fn find(&self, name: &str, owner: &Owner, server: Option<&ServerId>) -> Option<Arc<Session>> {
        let session = self.all.read().get(name).cloned()?;
        let now = Instant::now();
        let theirs = session.owner == *owner && session.server.as_ref() == server;
        if !theirs || session.is_over(now, &self.limits) {
            return None;
        }
        session.state.lock().last_use = now;
        Some(session)
    }

    /// Ends a session and cancels what it has in flight.
    pub fn end(&self, session: &Session) {
        self.all.write().remove(session.id.as_str());
        session.cancel_all();
    }

    /// Ends every session whose time is over.
    pub fn sweep(&self) {
        let now = Instant::now();
        let over: Vec<_> = self.all.read().values().filter(|session| session.is_over(now, &self.limits)).cloned().collect();
        over.iter().for_each(|session| self.end(session));
        if !over.is_empty() {
            tracing::debug!(sessions = over.len(), "sessions ended because their time was over");
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.read().len()
    }
}
