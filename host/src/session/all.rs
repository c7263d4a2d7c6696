//! All sessions: how many there may be, which is found, and when they end.

use super::{Attached, InFlight, NotBegun, Session, SessionId, State, partition, record};
use crate::auth::Owner;
use crate::config::{ServerId, SessionLimits};
use crate::journal::{Event, Journal, Kind, Source, tag};
use crate::tenant::{Ceilings, Census, Of, Row, TenantId, Whose};
use event_store::{EventStore, Partition, Space, StoreError};
use mcp::capability::ClientCapabilities;
use mcp::{Id, Revision};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a session must be idle before its owner's next one may take its place.
const REPLACED_AFTER: Duration = Duration::from_secs(60);
/// How long a client waits for the disk.
const DISK_WAIT: Duration = Duration::from_secs(5);
/// Sessions read from the store at once.
const LOAD_MAX: usize = 1_000;
/// Ended sessions that the store has not forgotten yet, because it cannot be written.
const UNREMOVED_MAX: usize = 100_000;

/// Why there is no new session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSession {
    /// The gateway has as many as it may have.
    Host,
    /// The tenant has.
    Tenant,
    /// The principal has, all of them in use.
    Principal,
    /// A quota is used up.
    Quota(Whose),
    /// The system gave no randomness.
    NoRandomness,
    /// The store is required, and cannot keep it now.
    NotKept,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its client ended it.
    Deleted,
    /// It was not used for too long.
    Idle,
    /// Its client never said that it was initialized.
    NotInitialized,
    /// It was there for as long as a session may be.
    Lifetime,
    /// Its owner began another one, and it was idle for longest.
    Replaced,
    /// The store is required, and did not keep it.
    NotKept,
    /// Its owner was revoked, or the settings do not know the owner or the server any more.
    Barred,
}

impl Ending {
    /// The word for records.
    fn word(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Idle => "idle",
            Self::NotInitialized => "not_initialized",
            Self::Lifetime => "lifetime",
            Self::Replaced => "replaced",
            Self::NotKept => "not_kept",
            Self::Barred => "barred",
        }
    }
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    limits: SessionLimits,
    store: Arc<dyn EventStore>,
    journal: Arc<Journal>,
    /// Without the store nothing is begun.
    required: bool,
    all: RwLock<All>,
    /// Which life of the store the sessions were written to.
    generation: AtomicU64,
    loaded: AtomicBool,
    unremoved: Mutex<HashSet<Partition>>,
}

#[derive(Debug, Default)]
struct All {
    by_name: HashMap<Box<str>, Arc<Session>>,
    by_owner: HashMap<Owner, Vec<Arc<Session>>>,
    census: Census<Owner>,
    /// Who asked to hear of a resource. Sessions that have gone, or think otherwise by now, are left out when it is read.
    by_resource: HashMap<Box<str>, Vec<Weak<Session>>>,
}

fn of(session: &Session) -> Of<'_, Owner> {
    Of { tenant: session.owner.tenant(), server: session.server.as_ref(), principal: &session.owner }
}

impl All {
    fn insert(&mut self, session: Arc<Session>) {
        self.census.add(of(&session));
        self.by_owner.entry(session.owner.clone()).or_default().push(Arc::clone(&session));
        self.by_name.insert(session.id.as_str().into(), session);
    }

    fn watch(&mut self, uri: Box<str>, session: &Arc<Session>) {
        let watching = self.by_resource.entry(uri).or_default();
        if !watching.iter().any(|other| other.as_ptr() == Arc::as_ptr(session)) {
            watching.push(Arc::downgrade(session));
        }
    }

    /// Forgets who does not watch any more.
    fn tidy_watching(&mut self) {
        self.by_resource.retain(|uri, sessions| {
            sessions.retain(|session| session.upgrade().is_some_and(|session| session.is_subscribed(uri)));
            !sessions.is_empty()
        });
    }

    fn remove(&mut self, session: &Session) -> bool {
        if self.by_name.remove(session.id.as_str()).is_none() {
            return false;
        }
        if let Some(theirs) = self.by_owner.get_mut(&session.owner) {
            theirs.retain(|other| other.id != session.id);
            if theirs.is_empty() {
                self.by_owner.remove(&session.owner);
            }
        }
        self.census.remove(of(session));
        true
    }

    /// Whether there is room for one more, whatever its principal has.
    fn room(&self, session: &Session, limits: &SessionLimits, ceilings: &Ceilings) -> Result<(), NoSession> {
        self.census.room(of(session), &Ceilings { principal: usize::MAX, ..*ceilings }).map_err(NoSession::Quota)?;
        if self.census.of_tenant(session.owner.tenant()) >= limits.per_tenant_max {
            return Err(NoSession::Tenant);
        }
        if self.by_name.len() >= limits.sessions_max { Err(NoSession::Host) } else { Ok(()) }
    }
}

impl Sessions {
    /// None yet.
    pub fn new(limits: SessionLimits, store: Arc<dyn EventStore>, required: bool, journal: Arc<Journal>) -> Self {
        let (generation, loaded) = (AtomicU64::new(store.health().generation), AtomicBool::new(false));
        Self { limits, store, journal, required, all: RwLock::default(), generation, loaded, unremoved: Mutex::default() }
    }

    /// Begins one, within the limits and these ceilings. When this returns, the store has it; if the store cannot be written and is not required, it lives in memory until the
    /// store can.
    ///
    /// # Errors
    ///
    /// When there are too many, when the system gives no randomness for an id, or when the store is required and refuses.
    pub async fn create(
        &self,
        (owner, server): (Owner, Option<ServerId>),
        revision: Revision,
        capabilities: ClientCapabilities,
        ceilings: &Ceilings,
    ) -> Result<Arc<Session>, NoSession> {
        let mut id = [0_u8; 16];
        getrandom::fill(&mut id).map_err(|_| NoSession::NoRandomness)?;
        let now = self.store.now();
        let partition = partition(&owner, id).ok_or(NoSession::NotKept)?;
        let session = Arc::new(Session {
            id: SessionId::of(&partition),
            partition,
            revision,
            capabilities,
            owner,
            ended: CancellationToken::new(),
            scratch: Arc::default(),
            server,
            began: now,
            requests_in_flight_max: self.limits.requests_in_flight_max,
            epoch: self.store.incarnation(),
            state: Mutex::new(State {
                initialized: false,
                last_use: now,
                log_level: None,
                subscriptions: BTreeSet::new(),
                in_flight: HashMap::new(),
                questions: HashMap::new(),
                asked: 0,
                attached: 0,
                saved: None,
                restored: false,
                ended: false,
            }),
        });
        let replaced = self.admit(&session, ceilings)?;
        if let Some(replaced) = replaced {
            self.end(&replaced, Ending::Replaced).await;
        }
        self.journal.note(event(Kind::SessionCreated, &session));
        if !self.save(&session).await && self.required {
            self.end(&session, Ending::NotKept).await;
            return Err(NoSession::NotKept);
        }
        Ok(session)
    }

    /// Takes it into the list, if there is a place; the session that gives its place up for it.
    fn admit(&self, session: &Arc<Session>, ceilings: &Ceilings) -> Result<Option<Arc<Session>>, NoSession> {
        let (now, mut all) = (self.store.now(), self.all.write());
        let (limit, quota) = (self.limits.per_principal_max, ceilings.principal);
        let full = if quota < limit { NoSession::Quota(Whose::Principal) } else { NoSession::Principal };
        let mut replaced = None;
        if let Some(theirs) = all.by_owner.get(&session.owner).filter(|theirs| theirs.len() >= limit.min(quota)) {
            let idle = theirs.iter().filter_map(|session| Some((session.idle(now)?, session)));
            let longest = idle.max_by_key(|(idle, _)| *idle).filter(|(idle, _)| *idle >= REPLACED_AFTER);
            replaced = Some(longest.map(|(_, session)| Arc::clone(session)).ok_or(full)?);
        }
        if let Some(replaced) = &replaced {
            all.remove(replaced);
        }
        if let Err(reason) = all.room(session, &self.limits, ceilings) {
            // It gives its place up for nothing.
            replaced.into_iter().for_each(|replaced| all.insert(replaced));
            return Err(reason);
        }
        all.insert(Arc::clone(session));
        Ok(replaced)
    }

    /// Brings the store up to date with a session; if it cannot be written now, later.
    pub async fn keep(&self, session: &Session) {
        self.save(session).await;
    }

    /// Whether the store has it now.
    async fn save(&self, session: &Session) -> bool {
        let Some(saving) = session.save(&*self.store, &self.limits) else { return false };
        let saved = tokio::time::timeout(DISK_WAIT, saving).await.is_ok_and(|saved| saved.is_ok());
        if !saved {
            session.set_unsaved();
        }
        saved
    }

    /// The session of that name, if it is this owner's and this server's and not over. The use is noted.
    pub fn find(&self, name: &str, owner: &Owner, server: Option<&ServerId>) -> Option<Arc<Session>> {
        let session = self.all.read().by_name.get(name).cloned()?;
        let now = self.store.now();
        if session.over(now, &self.limits).is_some() {
            return None;
        }
        let is_theirs = session.owner == *owner;
        if !is_theirs || session.server.as_ref() != server {
            let reason = if is_theirs { "server" } else { "owner" };
            self.journal.note_often(Kind::SessionOwnerMismatch, &Source::Tenant(owner.tenant().clone()), reason, |event| {
                event.by(owner.identity()).at_server(server).to(&tag(session.id.as_str()))
            });
            return None;
        }
        session.used(now);
        Some(session)
    }

    /// Begins a request in a session.
    ///
    /// # Errors
    ///
    /// When its id is in use, or there are too many.
    pub fn begin(&self, session: &Arc<Session>, id: Id) -> Result<InFlight, NotBegun> {
        session.begin(id, &self.store)
    }

    /// Holds a session in use for a connection that waits for its events.
    pub fn attach(&self, session: &Arc<Session>) -> Attached {
        session.attach(&self.store)
    }

    /// Ends a session and cancels what it has in flight. When this returns, it does not come back; if the store cannot be written now, it
    /// is told as soon as it can.
    pub async fn end(&self, session: &Session, why: Ending) {
        self.all.write().remove(session);
        if session.end() {
            self.journal.note(event(Kind::SessionEnded, session).because(why.word()));
        }
        if !self.remove(&session.partition).await {
            let mut unremoved = self.unremoved.lock();
            if unremoved.len() < UNREMOVED_MAX {
                unremoved.insert(session.partition.clone());
            }
        }
    }

    async fn remove(&self, partition: &Partition) -> bool {
        tokio::time::timeout(DISK_WAIT, self.store.remove(partition)).await.is_ok_and(|removed| removed.is_ok())
    }

    /// Reads what an earlier process left. What cannot be read now is read as soon as the store works.
    pub async fn load(&self) {
        if self.loaded.load(Ordering::Relaxed) {
            return;
        }
        match self.load_all().await {
            Ok(count) => {
                self.loaded.store(true, Ordering::Relaxed);
                if count > 0 {
                    tracing::info!(sessions = count, "sessions go on");
                }
            }
            Err(error) => tracing::warn!(%error, "sessions of before cannot be read now"),
        }
    }

    async fn load_all(&self) -> Result<usize, StoreError> {
        let (mut after, mut count) = (None, 0);
        loop {
            let page = self.store.list(Space::Session, after.as_ref(), LOAD_MAX).await?;
            let Some((newest, _)) = page.last() else { return Ok(count) };
            after = Some(newest.clone());
            let now = self.store.now();
            for (partition, record) in page.iter().filter(|(_, record)| record.expires > now) {
                let Some(session) = record::read(partition, &record.data, now, self.store.incarnation(), &self.limits) else {
                    tracing::warn!("a session in the store is of another version; it is left there until its time is over");
                    continue;
                };
                let mut all = self.all.write();
                if !all.by_name.contains_key(session.id.as_str()) && session.over(now, &self.limits).is_none() {
                    let session = Arc::new(session);
                    session.subscriptions().into_iter().for_each(|uri| all.watch(uri, &session));
                    all.insert(session);
                    count += 1;
                }
            }
        }
    }

    /// Ends every session whose time is over, and brings the store up to date with the others. Gives those that ended.
    pub async fn sweep(&self) -> Vec<Arc<Session>> {
        let now = self.store.now();
        let over: Vec<_> = self.every(|session| {
            session.refresh(now);
            session.over(now, &self.limits).is_some()
        });
        for session in &over {
            // One that somebody uses from this moment on was told that it is over.
            self.end(session, session.over(now, &self.limits).unwrap_or(Ending::Idle)).await;
        }
        if !over.is_empty() {
            tracing::debug!(sessions = over.len(), "sessions ended because their time was over");
        }
        self.all.write().tidy_watching();
        let health = self.store.health();
        if health.degraded.is_some() {
            return over;
        }
        if self.generation.swap(health.generation, Ordering::Relaxed) != health.generation {
            tracing::warn!("the store was replaced by an empty one: all sessions are written to it again");
            self.every(|_| true).iter().for_each(|session| session.set_unsaved());
        }
        let unremoved = std::mem::take(&mut *self.unremoved.lock());
        for partition in unremoved {
            if !self.remove(&partition).await {
                self.unremoved.lock().insert(partition);
            }
        }
        self.load().await;
        // One after the other would be one flush each.
        let unsaved = self.every(|session| session.is_unsaved(&self.limits));
        futures_util::future::join_all(unsaved.iter().map(|session| self.save(session))).await;
        over
    }

    fn every(&self, wanted: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        self.all.read().by_name.values().filter(|session| wanted(session)).cloned().collect()
    }

    /// All sessions of a server, the default one if none is named.
    pub fn at(&self, tenant: &TenantId, server: Option<&ServerId>) -> Vec<Arc<Session>> {
        self.every(|session| session.server() == server && session.owner.tenant() == tenant)
    }

    /// Every session.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.every(|_| true)
    }

    /// From now on the session's client hears of the resource; false if it hears of as many as it may.
    pub fn subscribe(&self, session: &Arc<Session>, uri: Box<str>) -> bool {
        let room = session.subscribe(uri.clone());
        if room {
            self.all.write().watch(uri, session);
        }
        room
    }

    /// The sessions whose clients want to hear of a resource.
    pub fn subscribed(&self, uri: &str) -> Vec<Arc<Session>> {
        let all = self.all.read();
        let sessions = all.by_resource.get(uri).into_iter().flatten().filter_map(Weak::upgrade);
        sessions.filter(|session| session.is_subscribed(uri) && !session.ended.is_cancelled()).collect()
    }

    /// What they are held to.
    pub fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// How many there are of each tenant that has any.
    pub fn by_tenant(&self) -> Vec<(TenantId, usize)> {
        self.all.read().census.tenants().map(|(tenant, count)| (tenant.clone(), count)).collect()
    }

    /// How many there are, for the ledger.
    pub fn counts(&self) -> Vec<(Row, usize)> {
        self.all.read().census.counts(Owner::name)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.read().by_name.len()
    }
}

/// Something that happened to a session, whose id is for nobody to read.
fn event(kind: Kind, session: &Session) -> Event {
    let event = Event::new(kind).of_tenant(session.owner.tenant().as_str()).by(session.owner.identity());
    event.at_server(session.server.as_ref()).to(&tag(session.id.as_str()))
}
