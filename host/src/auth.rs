//! Who is calling, and what may they do.

mod bearer;
mod chain;
mod policy;

pub use bearer::{Bearer, IssuerError, Unknown};
pub use chain::{NoAnswer, Policies, PolicyError};
pub use policy::{Denied, Item, Policy};

use crate::tenant::{Tenant, TenantId};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A tenant and a principal. Only an [`Authenticator`] makes one: nothing that a client, a component or a header says can.
#[derive(Debug, Clone)]
pub struct Caller {
    tenant: Arc<Tenant>,
    principal: Principal,
    /// What its token says, verified, as a JSON object.
    claims: Option<Arc<str>>,
    /// When its token ends, in seconds since 1970.
    expires_at_s: Option<u64>,
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

    /// What its token says, verified, as a JSON object; none for an anonymous caller.
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// How long its token is good for from now on; none: for ever.
    pub fn good_for(&self) -> Option<Duration> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs());
        self.expires_at_s.map(|at| Duration::from_secs(at.saturating_sub(now_s)))
    }

    /// The owner of what this caller makes.
    pub fn owner(&self) -> Owner {
        Owner { tenant: self.tenant.id.clone(), issuer: self.principal.issuer.clone(), subject: self.principal.subject.clone() }
    }
}

/// Makes callers of requests.
#[derive(Debug)]
pub struct Authenticator {
    tenant: Arc<Tenant>,
    bearer: Option<Bearer>,
}

impl Authenticator {
    /// Everybody who reaches the gateway is the anonymous caller of one tenant. The settings allow it on loopback addresses only.
    pub fn open(tenant: Arc<Tenant>) -> Self {
        Self { tenant, bearer: None }
    }

    /// Everybody shows a token.
    pub fn of_tokens(tenant: Arc<Tenant>, bearer: Bearer) -> Self {
        Self { tenant, bearer: Some(bearer) }
    }

    /// Whose tokens count; none where none is asked for.
    pub fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_ref()
    }

    /// The caller of a request of that path, by its `Authorization` headers.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn authenticate<'a>(&self, path: &str, headers: impl Iterator<Item = &'a [u8]>) -> Result<Caller, Unknown> {
        let tenant = Arc::clone(&self.tenant);
        let Some(bearer) = &self.bearer else {
            return Ok(Caller { tenant, principal: Principal::default(), claims: None, expires_at_s: None });
        };
        let verified = bearer.verify(path, headers)?;
        let principal = Principal {
            issuer: Some(verified.issuer().into()),
            subject: Some(verified.subject().into()),
            scopes: verified.scopes().iter().map(|scope| Arc::from(&**scope)).collect(),
        };
        Ok(Caller { tenant, principal, claims: Some(verified.claims_json().into()), expires_at_s: Some(verified.expires_at_s()) })
    }
}
