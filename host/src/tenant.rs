//! Tenants, and their share of the host.

mod account;
mod admission;
mod breaker;
mod bucket;
mod census;
mod load;
mod memory;
mod meter;
mod usage;

pub use account::{Asked, Bill, Exceeded, Whose};
pub use admission::{Admission, Refused, Slot, Work};
pub use breaker::Opened;
pub use census::{Ceilings, Census, Of, Open, Row};
pub use load::Load;
pub use meter::Quantity;
pub use usage::usage;

pub use crate::config::TenantId;

use crate::config::{Config, Isolation, QuotaConfig, Quotas};
use account::Account;
use load::Crowd;
use sandbox::Memory;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// On whose behalf something runs. Everything that is kept, counted or limited is kept for a tenant.
#[derive(Debug)]
pub struct Tenant {
    /// Its name in settings, logs and metrics.
    pub id: TenantId,
    /// What its guests share with those of others.
    pub isolation: Isolation,
    /// Its share of the calls that may run.
    calls: Calls,
    quotas: Quotas,
    account: Arc<Account>,
}

/// The calls of one tenant.
#[derive(Debug, Clone)]
struct Calls {
    places: fair::Places,
    /// All of them.
    share: fair::Share,
}

impl Calls {
    fn new(places: usize) -> Self {
        Self { places: fair::Places::new(places), share: fair::Share::default() }
    }
}

/// Time that goes on, in nanoseconds, from some moment on.
pub fn clock_ns() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // Nothing was at zero: a bucket that was never used is empty.
    u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
}

impl Tenant {
    fn new(id: TenantId, isolation: Isolation, calls: Calls, quotas: Quotas, account: Arc<Account>) -> Self {
        Self { id, isolation, calls, quotas, account }
    }

    /// Its calls that run now, and how many there may be. After a reading of the settings that changes its share, those from then on.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.calls.share.held(), self.calls.places.total())
    }

    /// What it takes of what serves requests.
    pub fn load(&self) -> &Arc<Load> {
        &self.account.load
    }

    /// What its guests run on.
    pub fn guests(&self) -> &sandbox::Share {
        &self.account.guests
    }
}

impl Tenant {
    /// How many sessions, or streams, there may be of it and of one of its principals, and at a server with that quota.
    pub fn ceilings(&self, quantity: Quantity, server: &QuotaConfig, anonymous: bool) -> Ceilings {
        Ceilings::of(quantity, &self.quotas, server, anonymous)
    }
}

/// All tenants of one reading of the settings.
#[derive(Debug, Default)]
pub struct Tenants {
    by_name: HashMap<TenantId, Arc<Tenant>>,
    /// Linear memory of all guests.
    memory: Arc<Memory>,
    crowd: Arc<Crowd>,
}

impl Tenants {
    /// Those of the settings. One that is there already and has the same share goes on, with its calls in flight; one whose share is
    /// another begins to count anew, beside the calls that are in flight. What it used is remembered in any case.
    pub fn load(config: &Config, before: Option<&Self>) -> Self {
        let limits = &config.limits.calls;
        let guests_bytes_max = limits.guests_bytes_max();
        let memory = before.map_or_else(|| Arc::new(Memory::new(guests_bytes_max, None)), |before| Arc::clone(&before.memory));
        let crowd = before.map_or_else(Arc::default, |before| Arc::clone(&before.crowd));
        let tenants = config.tenants.iter().map(|tenant| {
            let calls_in_flight_max = tenant.calls_in_flight_max(limits.per_tenant_max);
            let quotas = Quotas { tenant: tenant.quota, ..config.quotas };
            let known = before.and_then(|before| before.by_name.get(&tenant.id));
            let opened = || Arc::new(Account::new(&memory, limits.memory_per_tenant_bytes_max, &crowd));
            let account = known.map_or_else(opened, |known| Arc::clone(&known.account));
            account.calls.set_weight(tenant.weight);
            account.guests.turns.set_weight(tenant.weight);
            let known = known.filter(|known| known.calls.places.total() == calls_in_flight_max);
            let made = match known {
                Some(known) if known.quotas == quotas && known.isolation == tenant.isolation => Arc::clone(known),
                // The same calls in flight count where the share is the same.
                known => {
                    let calls = known.map_or_else(|| Calls::new(calls_in_flight_max), |known| known.calls.clone());
                    Arc::new(Tenant::new(tenant.id.clone(), tenant.isolation, calls, quotas, account))
                }
            };
            (tenant.id.clone(), made)
        });
        Self { by_name: tenants.collect(), memory, crowd }
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.by_name.get(name)
    }

    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.by_name.values()
    }
}
