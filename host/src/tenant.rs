//! Tenants, and their share of the host.

mod account;
mod admission;
mod bucket;
mod fair;
mod meter;
mod usage;

pub use account::{Asked, Bill, Exceeded, Whose};
pub use admission::{Admission, Refused, Slot};
pub use meter::Quantity;
pub use usage::usage;

pub use crate::config::TenantId;

use crate::config::{Config, Quotas};
use account::Account;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Instant;
use tokio::sync::Semaphore;

/// On whose behalf something runs. Everything that is kept, counted or limited is kept for a tenant.
#[derive(Debug)]
pub struct Tenant {
    /// Its name in settings, logs and metrics.
    pub id: TenantId,
    /// Its share of the calls that may run.
    calls: Arc<Semaphore>,
    calls_in_flight_max: usize,
    /// Of the host, beside other tenants that wait for it.
    weight: u32,
    quotas: Quotas,
    account: Arc<Account>,
}

/// Time that goes on, in nanoseconds, from some moment on.
fn clock_ns() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // Nothing was at zero: a bucket that was never used is empty.
    u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
}

impl Tenant {
    /// With that share and weight.
    fn new(id: TenantId, (calls_in_flight_max, weight): (usize, u32), quotas: Quotas, account: Arc<Account>) -> Self {
        Self { id, calls: Arc::new(Semaphore::new(calls_in_flight_max)), calls_in_flight_max, weight, quotas, account }
    }
}

impl Tenant {
    /// Its calls that run now, and how many there may be. After a reading of the settings that changes its share, those from then on.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.calls_in_flight_max.saturating_sub(self.calls.available_permits()), self.calls_in_flight_max)
    }
}

/// All tenants of one reading of the settings.
#[derive(Debug, Default)]
pub struct Tenants(HashMap<TenantId, Arc<Tenant>>);

impl Tenants {
    /// Those of the settings. One that is there already and has the same share goes on, with its calls in flight; one whose share is
    /// another begins to count anew, beside the calls that are in flight. What it used is remembered in any case.
    pub fn load(config: &Config, before: Option<&Self>) -> Self {
        let tenants = config.tenants.iter().map(|tenant| {
            let calls_in_flight_max = tenant.calls_in_flight_max.unwrap_or(config.limits.calls.per_tenant_max);
            let quotas = Quotas { tenant: tenant.quota, ..config.quotas };
            let known = before.and_then(|before| before.0.get(&tenant.id));
            let same = |known: &&Arc<Tenant>| {
                (known.calls_in_flight_max, known.weight, known.quotas) == (calls_in_flight_max, tenant.weight, quotas)
            };
            let tenant = known.filter(same).cloned().unwrap_or_else(|| {
                let account = known.map(|known| Arc::clone(&known.account)).unwrap_or_default();
                // The same calls in flight count where only quotas differ.
                let calls = known.filter(|known| known.calls_in_flight_max == calls_in_flight_max).map(|known| Arc::clone(&known.calls));
                let new = Tenant::new(tenant.id.clone(), (calls_in_flight_max, tenant.weight), quotas, account);
                Arc::new(Tenant { calls: calls.unwrap_or_else(|| Arc::clone(&new.calls)), ..new })
            });
            (tenant.id.clone(), tenant)
        });
        Self(tenants.collect())
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.0.get(name)
    }

    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.0.values()
    }
}
