//! Who is calling, and what may they do.

mod chain;
mod policy;

pub use chain::{NoAnswer, Policies, PolicyError};
pub use policy::{Denied, Item, Policy};

use crate::tenant::{Tenant, TenantId};
use std::sync::Arc;

/// A tenant and a principal. Only an [`Authenticator`] makes one: nothing that a client, a component or a header says can.
#[derive(Debug, Clone)]
pub struct Caller {
    tenant: Arc<Tenant>,
    principal: Principal,
}

/// Who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Who vouches for the subject; none for an anonymous caller.
    pub issuer: Option<Arc<str>>,
    /// The stable name at the issuer; none for an anonymous caller.
    pub subject: Option<Arc<str>>,
    /// What was granted to it.
    pub scopes: Vec<Arc<str>>,
}

/// To whom something belongs that outlives a request: compared on every use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    tenant: TenantId,
    issuer: Option<Arc<str>>,
    subject: Option<Arc<str>>,
}

impl Owner {
    /// The owner that a record names, which was written of one.
    pub(crate) fn of(tenant: &str, issuer: Option<&str>, subject: Option<&str>) -> Self {
        Self { tenant: TenantId::of(tenant), issuer: issuer.map(Into::into), subject: subject.map(Into::into) }
    }

    /// On whose behalf.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Issuer and subject; none of them for an anonymous caller.
    pub fn identity(&self) -> (Option<&str>, Option<&str>) {
        (self.issuer.as_deref(), self.subject.as_deref())
    }
}

impl Caller {
    /// On whose behalf.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Who.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The owner of what this caller makes.
    pub fn owner(&self) -> Owner {
        Owner { tenant: self.tenant.id.clone(), issuer: self.principal.issuer.clone(), subject: self.principal.subject.clone() }
    }
}

/// Makes callers of requests.
#[derive(Debug)]
pub struct Authenticator {
    anonymous: Caller,
}

impl Authenticator {
    /// Everybody who reaches the gateway is the anonymous caller of one tenant. The settings allow it on loopback addresses only.
    pub fn open(tenant: Arc<Tenant>) -> Self {
        Self { anonymous: Caller { tenant, principal: Principal::default() } }
    }

    /// The caller of a request.
    pub fn authenticate(&self) -> Caller {
        self.anonymous.clone()
    }
}
