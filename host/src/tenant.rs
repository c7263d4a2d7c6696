//! Tenants, and their share of the host.

mod admission;

pub use admission::{Admission, Refused, Slot};

use std::sync::Arc;
use tokio::sync::Semaphore;

/// On whose behalf something runs. Everything that is kept, counted or limited is kept for a tenant.
#[derive(Debug)]
pub struct Tenant {
    /// Its name in settings, logs and metrics.
    pub id: TenantId,
    /// Its share of the calls that may run.
    calls: Arc<Semaphore>,
}

/// The name of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantId(Arc<str>);

impl Tenant {
    /// The one tenant of a gateway without authentication.
    pub fn only(calls_in_flight_max: usize) -> Self {
        Self { id: TenantId("default".into()), calls: Arc::new(Semaphore::new(calls_in_flight_max)) }
    }
}

impl TenantId {
    /// The name in a record, which was written of one.
    pub(crate) fn of(name: &str) -> Self {
        Self(name.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
