//! Tenants, and their share of the host.

mod admission;

pub use admission::{Admission, Refused, Slot};

pub use crate::config::TenantId;

use crate::config::Config;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// On whose behalf something runs. Everything that is kept, counted or limited is kept for a tenant.
#[derive(Debug)]
pub struct Tenant {
    /// Its name in settings, logs and metrics.
    pub id: TenantId,
    /// Its share of the calls that may run.
    calls: Arc<Semaphore>,
    calls_in_flight_max: usize,
}

impl Tenant {
    /// With that share.
    pub fn new(id: TenantId, calls_in_flight_max: usize) -> Self {
        Self { id, calls: Arc::new(Semaphore::new(calls_in_flight_max)), calls_in_flight_max }
    }
}

/// All tenants of one reading of the settings.
#[derive(Debug, Default)]
pub struct Tenants(HashMap<TenantId, Arc<Tenant>>);

impl Tenants {
    /// Those of the settings. One that is there already and has the same share goes on, with its calls in flight; one whose share is
    /// another begins to count anew, beside the calls that are in flight.
    pub fn load(config: &Config, before: Option<&Self>) -> Self {
        let tenants = config.tenants.iter().map(|tenant| {
            let calls_in_flight_max = tenant.calls_in_flight_max.unwrap_or(config.limits.calls.per_tenant_max);
            let same = before.and_then(|before| before.0.get(&tenant.id)).filter(|known| known.calls_in_flight_max == calls_in_flight_max);
            let tenant = same.cloned().unwrap_or_else(|| Arc::new(Tenant::new(tenant.id.clone(), calls_in_flight_max)));
            (tenant.id.clone(), tenant)
        });
        Self(tenants.collect())
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.0.get(name)
    }
}
