//! How many streams there may be at once: of a session, a principal, a tenant, and of a tenant at a server.

use crate::auth::Owner;
use crate::config::{ServerId, StreamLimits};
use crate::tenant::{Ceilings, Census, Of, Row, Whose};
use event_store::Partition;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Counts them.
#[derive(Debug)]
pub struct Counter {
    limits: StreamLimits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sessions: HashMap<Partition, usize>,
    all: Census<Owner>,
}

/// A stream that counts; stops counting on drop.
#[derive(Debug)]
pub struct Taken {
    counter: Arc<Counter>,
    session: Option<Partition>,
    owner: Owner,
    server: Option<ServerId>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// The session, its owner or the tenant has as many as there may be of any.
    Limit,
    /// A quota is used up.
    Quota(Whose),
}

fn of<'a>(owner: &'a Owner, server: Option<&'a ServerId>) -> Of<'a, Owner> {
    Of { tenant: owner.tenant(), server, principal: owner }
}

impl Counter {
    /// None yet.
    pub fn new(limits: StreamLimits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// A place for one more at a server, in a session or outside of any.
    ///
    /// # Errors
    ///
    /// When there are as many as there may be, by the limits or by these ceilings.
    pub fn take(
        self: &Arc<Self>,
        session: Option<&Partition>,
        (owner, server): (Owner, Option<ServerId>),
        ceilings: &Ceilings,
    ) -> Result<Taken, NoPlace> {
        let mut counts = self.counts.lock();
        let of_session = session.and_then(|session| counts.sessions.get(session)).copied().unwrap_or_default();
        let full = of_session >= self.limits.per_session_max
            || counts.all.of_principal(&owner) >= self.limits.per_principal_max
            || counts.all.of_tenant(owner.tenant()) >= self.limits.per_tenant_max;
        counts.all.room(of(&owner, server.as_ref()), ceilings).map_err(NoPlace::Quota)?;
        if full {
            return Err(NoPlace::Limit);
        }
        if let Some(session) = session {
            counts.sessions.insert(session.clone(), of_session + 1);
        }
        counts.all.add(of(&owner, server.as_ref()));
        drop(counts);
        Ok(Taken { counter: Arc::clone(self), session: session.cloned(), owner, server })
    }

    /// How many there are of some owners.
    pub fn of(&self, whose: impl Fn(&Owner) -> bool) -> usize {
        self.counts.lock().all.principals().filter(|(owner, _)| whose(owner)).map(|(_, count)| count).sum()
    }

    /// How many there are, for the ledger.
    pub fn counts(&self) -> Vec<(Row, usize)> {
        self.counts.lock().all.counts(Owner::name)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut counts = self.counter.counts.lock();
        if let Some(session) = &self.session
            && let Some(count) = counts.sessions.get_mut(session)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.sessions.remove(session);
            }
        }
        counts.all.remove(of(&self.owner, self.server.as_ref()));
    }
}
