//! How many streams there may be at once: of a session, a principal, a tenant.

use crate::auth::Owner;
use crate::config::StreamLimits;
use crate::tenant::TenantId;
use event_store::Partition;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
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
    principals: HashMap<Owner, usize>,
    tenants: HashMap<TenantId, usize>,
}

/// A stream that counts; stops counting on drop.
#[derive(Debug)]
pub struct Taken {
    counter: Arc<Counter>,
    session: Option<Partition>,
    owner: Owner,
}

impl Counter {
    /// None yet.
    pub fn new(limits: StreamLimits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// A place for one more, in a session or outside of any; none if there are as many as there may be.
    pub fn take(self: &Arc<Self>, session: Option<&Partition>, owner: Owner) -> Option<Taken> {
        let mut counts = self.counts.lock();
        let full = session.is_some_and(|session| count(&counts.sessions, session) >= self.limits.per_session_max)
            || count(&counts.principals, &owner) >= self.limits.per_principal_max
            || count(&counts.tenants, owner.tenant()) >= self.limits.per_tenant_max;
        if full {
            return None;
        }
        if let Some(session) = session {
            *counts.sessions.entry(session.clone()).or_default() += 1;
        }
        *counts.principals.entry(owner.clone()).or_default() += 1;
        *counts.tenants.entry(owner.tenant().clone()).or_default() += 1;
        drop(counts);
        Some(Taken { counter: Arc::clone(self), session: session.cloned(), owner })
    }

    /// How many there are of some owners.
    pub fn of(&self, whose: impl Fn(&Owner) -> bool) -> usize {
        self.counts.lock().principals.iter().filter(|(owner, _)| whose(owner)).map(|(_, count)| count).sum()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut counts = self.counter.counts.lock();
        if let Some(session) = &self.session {
            give_back(&mut counts.sessions, session);
        }
        give_back(&mut counts.principals, &self.owner);
        give_back(&mut counts.tenants, self.owner.tenant());
    }
}

fn count<K: Eq + Hash>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or_default()
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
