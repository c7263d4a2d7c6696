//! Which calls may run: quotas first, which refuse at once; then what is short, the processor and memory; then the tenant's share, and last the
//! host, for which a call waits a short, bounded time. Load shows as a clear answer, not as latency.
//!
//! The tenant's own share is taken before the host's: a tenant beyond its share queues behind itself and holds nothing of the host meanwhile.
//! Where many tenants wait for the host, they take turns.
//!
//! Waiting is for bursts. Where there has been too little for long, waiting in line would only make every call late and none more: then who
//! comes is refused at once, or nearly so, and who is in has what there is.

use super::Tenant;
use super::account::{Asked, Bill, Exceeded};
use super::breaker::Opened;
use super::memory::MemoryWatch;
use super::meter::InFlight;
use crate::config::{BreakerLimits, CallLimits};
use fair::{Claim, Place, Places, Share};
use sandbox::Digest;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long guests of a tenant may be too many before that is no burst any more.
const BURST: Duration = Duration::from_millis(100);
/// How long a call waits where the line has been there for longer than any call may wait: it does not get shorter by standing in it.
const PATIENCE_UNDER_LOAD: Duration = Duration::from_millis(5);
/// So many guests of a tenant may compute at once, however many other tenants do.
const COMPUTING_MIN: usize = 2;

/// Hands out slots.
#[derive(Debug)]
pub struct Admission {
    host: Places,
    /// Those of guests that compute for long.
    turns: Places,
    computing_per_core_max: usize,
    queue_max: usize,
    queue_timeout: Duration,
    breaker: BreakerLimits,
    memory: MemoryWatch,
}

/// Who calls what, as far as it matters whether that falls again and again.
pub trait Work {
    /// The component that does it.
    fn component(&self) -> Digest;
    /// Equal for equal callers and targets, and for no others.
    fn key(&self) -> String;
}

/// The right of one call to occupy the host; given back on drop.
#[derive(Debug)]
pub struct Slot {
    bill: Arc<Bill>,
    claim: Option<Claim>,
    _in_flight: Vec<InFlight>,
    _tenant: Place,
    _host: Place,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The tenant has as many calls in flight as it may have.
    Tenant,
    /// The host has.
    Host,
    /// Guests of the tenant have had too few turns at the processor for a while, so that more of them would only make each slower.
    Processor,
    /// The process is near the memory that it may have.
    Memory,
    /// A quota is used up.
    Quota(Exceeded),
}

impl Slot {
    /// Where what the call uses is to be told.
    pub fn bill(&self) -> &Arc<Bill> {
        &self.bill
    }

    /// What its guest takes its turns with, if it has to.
    pub fn take_claim(&mut self) -> Option<Claim> {
        self.claim.take()
    }
}

impl Admission {
    /// With these limits. `turns` are those that guests take who compute for long.
    pub fn new(limits: &CallLimits, turns: Places) -> Self {
        Self {
            host: Places::new(limits.in_flight_max),
            turns,
            computing_per_core_max: limits.computing_per_core_max,
            queue_max: limits.queue_max,
            queue_timeout: limits.queue_timeout,
            breaker: limits.breaker,
            memory: MemoryWatch::new(limits.process_memory_bytes_max),
        }
    }

    /// Whether a call may begin of what has not fallen again and again.
    ///
    /// # Errors
    ///
    /// For how long it may not.
    pub fn pass(&self, tenant: &Tenant, work: &impl Work) -> Result<(), Duration> {
        tenant.account.breakers.pass(self.breaker, work.component(), || work.key(), Instant::now)
    }

    /// A call has ended. Says so if others of its kind are refused from now on, and for how long.
    pub fn ended(&self, tenant: &Tenant, work: &impl Work, has_fallen: bool) -> Option<(Opened, Duration)> {
        let opened = tenant.account.breakers.ended(self.breaker, work.component(), has_fallen, || work.key(), Instant::now)?;
        Some((opened, self.breaker.window))
    }

    /// Takes a slot, waiting at most the queue's time for it. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The quota that is used up; what there is too little of; or, when the time is over, whose share is.
    pub async fn admit(&self, tenant: &Tenant, asked: &Asked<'_>) -> Result<Slot, Refused> {
        let (in_flight, bill) = tenant.account.begin(&tenant.quotas, asked).map_err(Refused::Quota)?;
        let taken = self.shares(tenant).await;
        match taken {
            Ok((own, host, claim)) => Ok(Slot { bill, claim, _in_flight: in_flight, _tenant: own, _host: host }),
            Err(refused) => {
                bill.did_not_begin();
                Err(refused)
            }
        }
    }

    async fn shares(&self, tenant: &Tenant) -> Result<(Place, Place, Option<Claim>), Refused> {
        if self.memory.is_short() {
            return Err(Refused::Memory);
        }
        let claim = self.begin(&tenant.account.guests.turns).await?;
        let own = self.take(&tenant.calls.places, &tenant.calls.share).await.ok_or(Refused::Tenant)?;
        let host = self.take(&self.host, &tenant.account.calls).await.ok_or(Refused::Host)?;
        Ok((own, host, claim))
    }

    /// A guest whose share computes already takes turns with the others from its beginning; as long as few do, it need not. How many may is the
    /// less the more others do as well: more of them would only make each slower.
    async fn begin(&self, share: &Share) -> Result<Option<Claim>, Refused> {
        if share.wanted() < self.turns.total() {
            share.pressure().found_enough();
            return Ok(None);
        }
        let all = self.computing_per_core_max.saturating_mul(self.turns.total());
        let most = all.checked_div(self.turns.active()).unwrap_or(all).max(COMPUTING_MIN);
        let claiming = match self.turns.claim(share, most).now() {
            Ok(claim) => {
                share.pressure().found_enough();
                return Ok(Some(claim));
            }
            Err(claiming) => claiming,
        };
        // It counts itself.
        if share.pressure().found_too_little() >= BURST || share.claiming() > self.queue_max {
            return Err(Refused::Processor);
        }
        tokio::time::timeout(self.queue_timeout, claiming).await.map(Some).map_err(|_| Refused::Processor)
    }

    async fn take(&self, places: &Places, share: &Share) -> Option<Place> {
        let asking = match places.ask(share).now() {
            Ok(place) => {
                share.pressure().found_enough();
                return Some(place);
            }
            Err(asking) => asking,
        };
        // It counts itself.
        if share.waiting() > self.queue_max {
            return None;
        }
        let patience = match share.pressure().found_too_little() {
            for_long if for_long >= self.queue_timeout => PATIENCE_UNDER_LOAD.min(self.queue_timeout),
            _ => self.queue_timeout,
        };
        tokio::time::timeout(patience, asking).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Isolation, QuotaConfig, Quotas};
    use crate::tenant::{Calls, Quantity, TenantId, Whose};

    const ASKED: Asked<'_> = Asked { server: "", server_quota: QuotaConfig::NONE, principal: None, tool: None };

    fn tenant(name: &str, quotas: Quotas) -> Tenant {
        Tenant::new(TenantId::of(name), Isolation::Shared, Calls::new(1), quotas, Arc::default())
    }

    fn admission(in_flight_max: usize, queue_timeout: Duration) -> Admission {
        let limits = CallLimits {
            in_flight_max,
            per_tenant_max: 1,
            computing_per_core_max: 4,
            queue_max: 8,
            queue_timeout,
            breaker: BreakerLimits::NONE,
            memory_per_tenant_bytes_max: usize::MAX,
            scratch_per_tenant_bytes_max: u64::MAX,
            process_memory_bytes_max: None,
        };
        Admission::new(&limits, Places::new(2))
    }

    #[tokio::test]
    async fn a_full_house_refuses_after_its_queue_time() {
        let admission = admission(2, Duration::from_millis(5));
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
        let quota = QuotaConfig { calls_per_second_max: 1, calls_burst_max: 1, ..QuotaConfig::NONE };
        let (admission, a) = (admission(2, Duration::from_secs(3_600)), tenant("a", Quotas { tenant: quota, ..Quotas::default() }));
        drop(admission.admit(&a, &ASKED).await.expect("one"));
        match admission.admit(&a, &ASKED).await.expect_err("not two") {
            Refused::Quota(exceeded) => assert_eq!((exceeded.whose, exceeded.quantity), (Whose::Tenant, Quantity::Calls)),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_line_has_an_end() {
        let admission = Arc::new(admission(1, Duration::from_secs(3_600)));
        let a = Arc::new(tenant("a", Quotas::default()));
        let _first = admission.admit(&a, &ASKED).await.expect("free");
        let mut waiting: Vec<_> = (0..8).map(|_| Box::pin(admission.admit(&a, &ASKED))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert_eq!(admission.admit(&a, &ASKED).await.expect_err("the ninth"), Refused::Tenant);
    }

    #[tokio::test]
    async fn who_comes_to_a_load_that_does_not_fit_is_refused_almost_at_once() {
        const WAIT: Duration = Duration::from_millis(300);
        let admission = admission(1, WAIT);
        let a = tenant("a", Quotas::default());
        let _first = admission.admit(&a, &ASKED).await.expect("free");
        let (began, mut waited) = (Instant::now(), Vec::new());
        while began.elapsed() <= WAIT * 3 {
            let came = Instant::now();
            assert_eq!(admission.admit(&a, &ASKED).await.expect_err("it lasts"), Refused::Tenant);
            waited.push(came.elapsed());
        }
        assert!(waited.first().is_some_and(|first| *first >= WAIT), "it may be a burst: {waited:?}");
        assert!(waited.len() > 3, "after that nobody waits for long: {waited:?}");
    }

    #[tokio::test]
    async fn guests_that_compute_are_joined_by_so_many_and_no_more() {
        let admission = admission(64, Duration::from_secs(3_600));
        let (a, b) = (tenant("a", Quotas::default()), tenant("b", Quotas::default()));
        // Its places, of which there is one only, are not what this is about.
        let begin = async || admission.begin(&a.account.guests.turns).await;
        let mut computing = Vec::new();
        for at in 0..8 {
            let claim = begin().await.expect("they may");
            assert_eq!(claim.is_some(), at >= 2, "as long as there are processors, nobody needs turns");
            computing.push(claim.map_or_else(|| admission.turns.ask(&a.account.guests.turns), Claim::ask));
        }
        let mut waits = Box::pin(begin());
        assert!(futures_util::poll!(&mut waits).is_pending(), "the ninth of a burst");
        computing.pop();
        computing.push(waits.await.expect("one has ended").expect("turns").ask());
        let came = Instant::now();
        while came.elapsed() <= BURST {
            assert!(futures_util::poll!(Box::pin(begin())).is_pending() || came.elapsed() >= BURST);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(admission.admit(&a, &ASKED).await.expect_err("for long"), Refused::Processor);
        let slot = admission.admit(&b, &ASKED).await.expect("b is not concerned");
        assert!(slot.claim.is_none(), "nor do its guests wait");
        computing.clear();
        admission.admit(&a, &ASKED).await.expect("they are gone");
    }
}
