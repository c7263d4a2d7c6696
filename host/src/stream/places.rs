//! How many streams there may be at once: of a session, a principal, a tenant.

use crate::auth::Owner;
use crate::config::StreamLimits;
use crate::tenant::TenantId;
use event_store::Partition;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// For whom streams are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The session.
    pub partition: Partition,
    /// Its owner.
    pub owner: Owner,
}

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
    counted: Counted,
}

impl Counter {
    /// None yet.
    pub fn new(limits: StreamLimits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// A place for one more; none if there are as many as there may be.
    pub fn take(self: &Arc<Self>, counted: Counted) -> Option<Taken> {
        let mut counts = self.counts.lock();
        let full = count(&counts.sessions, &counted.partition) >= self.limits.per_session_max
            || count(&counts.principals, &counted.owner) >= self.limits.per_principal_max
            || count(&counts.tenants, counted.owner.tenant()) >= self.limits.per_tenant_max;
        if full {
            return None;
        }
        *counts.sessions.entry(counted.partition.clone()).or_default() += 1;
        *counts.principals.entry(counted.owner.clone()).or_default() += 1;
        *counts.tenants.entry(counted.owner.tenant().clone()).or_default() += 1;
        drop(counts);
        Some(Taken { counter: Arc::clone(self), counted })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut counts = self.counter.counts.lock();
        give_back(&mut counts.sessions, &self.counted.partition);
        give_back(&mut counts.principals, &self.counted.owner);
        give_back(&mut counts.tenants, self.counted.owner.tenant());
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
