//! Which calls may run: quotas first, which refuse at once; then the tenant's share, and last the host, for which a call waits a short, bounded
//! time. Load shows as a clear answer, not as latency.
//!
//! The tenant's own share is taken before the host's: a tenant beyond its share queues behind itself and holds nothing of the host meanwhile.
//! Where many tenants wait for the host, they take turns.

use super::Tenant;
use super::account::{Asked, Bill, Exceeded};
use super::fair::{Place, Places};
use super::meter::InFlight;
use crate::config::CallLimits;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hands out slots.
#[derive(Debug)]
pub struct Admission {
    host: Places,
    queue_timeout: Duration,
}

/// The right of one call to occupy the host; given back on drop.
#[derive(Debug)]
pub struct Slot {
    bill: Arc<Bill>,
    _in_flight: Vec<InFlight>,
    _tenant: OwnedSemaphorePermit,
    _host: Place,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The tenant has as many calls in flight as it may have.
    Tenant,
    /// The host has.
    Host,
    /// A quota is used up.
    Quota(Exceeded),
}

impl Slot {
    /// Where what the call uses is to be told.
    pub fn bill(&self) -> &Arc<Bill> {
        &self.bill
    }
}

impl Admission {
    /// With these limits.
    pub fn new(limits: &CallLimits) -> Self {
        Self { host: Places::new(limits.in_flight_max), queue_timeout: limits.queue_timeout }
    }

    /// Takes a slot, waiting at most the queue's time for it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The quota that is used up; or, when the time is over, whose share is.
    pub async fn admit(&self, tenant: &Tenant, asked: &Asked<'_>) -> Result<Slot, Refused> {
        let (in_flight, bill) = tenant.account.begin(&tenant.quotas, asked).map_err(Refused::Quota)?;
        let taken = self.shares(tenant).await;
        match taken {
            Ok((share, host)) => Ok(Slot { bill, _in_flight: in_flight, _tenant: share, _host: host }),
            Err(refused) => {
                bill.did_not_begin();
                Err(refused)
            }
        }
    }

    async fn shares(&self, tenant: &Tenant) -> Result<(OwnedSemaphorePermit, Place), Refused> {
        let share = take_share(&tenant.calls, self.queue_timeout).await.ok_or(Refused::Tenant)?;
        let host = tokio::time::timeout(self.queue_timeout, self.host.take(&tenant.id, tenant.weight));
        Ok((share, host.await.map_err(|_| Refused::Host)?))
    }
}

async fn take_share(share: &Arc<Semaphore>, patience: Duration) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(share).try_acquire_owned() {
        return Some(permit);
    }
    tokio::time::timeout(patience, Arc::clone(share).acquire_owned()).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{QuotaConfig, Quotas};
    use crate::tenant::{Quantity, TenantId, Whose};

    const ASKED: Asked<'_> = Asked { server: "", server_quota: QuotaConfig::NONE, principal: None, tool: None };

    fn tenant(name: &str, quotas: Quotas) -> Tenant {
        Tenant::new(TenantId::of(name), (1, 1), quotas, Arc::default())
    }

    #[tokio::test]
    async fn a_full_house_refuses_after_its_queue_time() {
        let limits = CallLimits { in_flight_max: 2, per_tenant_max: 1, queue_timeout: Duration::from_millis(5) };
        let admission = Admission::new(&limits);
        let [a, b, c] = ["a", "b", "c"].map(|name| tenant(name, Quotas::default()));
        let first = admission.admit(&a, &ASKED).await.expect("free");
        assert_eq!(admission.admit(&a, &ASKED).await.expect_err("a is full"), Refused::Tenant);
        let _second = admission.admit(&b, &ASKED).await.expect("free");
        assert_eq!(admission.admit(&c, &ASKED).await.expect_err("the host is full"), Refused::Host);
        drop(first);
        admission.admit(&c, &ASKED).await.expect("free again");
    }

    #[tokio::test]
    async fn a_quota_refuses_at_once() {
        let limits = CallLimits { in_flight_max: 2, per_tenant_max: 2, queue_timeout: Duration::from_secs(3_600) };
        let quota = QuotaConfig { calls_per_second_max: 1, calls_burst_max: 1, ..QuotaConfig::NONE };
        let (admission, a) = (Admission::new(&limits), tenant("a", Quotas { tenant: quota, ..Quotas::default() }));
        drop(admission.admit(&a, &ASKED).await.expect("one"));
        match admission.admit(&a, &ASKED).await.expect_err("not two") {
            Refused::Quota(exceeded) => assert_eq!((exceeded.whose, exceeded.quantity), (Whose::Tenant, Quantity::Calls)),
            other => panic!("{other:?}"),
        }
    }
}
