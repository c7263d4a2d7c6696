//! How many calls may run: of one tenant, and in all.
//!
//! A call waits a short, bounded time for its turn and is then refused: load shows as a clear answer, not as latency. The tenant's own
//! share is taken first, so that a tenant beyond its share queues behind itself and holds nothing of the host meanwhile.

use super::Tenant;
use crate::config::CallLimits;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hands out slots.
#[derive(Debug)]
pub struct Admission {
    host: Arc<Semaphore>,
    queue_timeout: Duration,
}

/// The right of one call to occupy the host; given back on drop.
#[derive(Debug)]
pub struct Slot {
    _tenant: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The tenant has as many calls in flight as it may have.
    Tenant,
    /// The host has.
    Host,
}

impl Admission {
    /// With these limits.
    pub fn new(limits: &CallLimits) -> Self {
        Self { host: Arc::new(Semaphore::new(limits.in_flight_max)), queue_timeout: limits.queue_timeout }
    }

    /// Takes a slot, waiting at most the queue's time for it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// When the time is over; says whose share was used up.
    pub async fn admit(&self, tenant: &Tenant) -> Result<Slot, Refused> {
        let tenant = self.take(&tenant.calls).await.ok_or(Refused::Tenant)?;
        let host = self.take(&self.host).await.ok_or(Refused::Host)?;
        Ok(Slot { _tenant: tenant, _host: host })
    }

    async fn take(&self, share: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(share).try_acquire_owned() {
            return Some(permit);
        }
        tokio::time::timeout(self.queue_timeout, Arc::clone(share).acquire_owned()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_house_refuses_after_its_queue_time() {
        let limits = CallLimits { in_flight_max: 2, per_tenant_max: 1, queue_timeout: Duration::from_millis(5) };
        let admission = Admission::new(&limits);
        let [a, b, c] = ["a", "b", "c"].map(|name| Tenant::new(crate::tenant::TenantId::of(name), 1));
        let first = admission.admit(&a).await.expect("free");
        assert_eq!(admission.admit(&a).await.expect_err("a is full"), Refused::Tenant);
        let _second = admission.admit(&b).await.expect("free");
        assert_eq!(admission.admit(&c).await.expect_err("the host is full"), Refused::Host);
        drop(first);
        admission.admit(&c).await.expect("free again");
    }
}
