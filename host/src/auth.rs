//! Who is calling, and what may they do.

mod bearer;
mod chain;
mod policy;

pub use bearer::{Bearer, IssuerError, Unknown};
pub use chain::{NoAnswer, Policies, PolicyError};
pub use policy::{Denied, Item, Policy};

use crate::config::{AuthConfig, Config, TenantOf};
use crate::tenant::{Tenant, TenantId, Tenants};
use std::collections::HashMap;
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
    /// Those that are asked what it may do: of the generation that let it in.
    policies: Arc<Policies>,
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

    fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The owner of what this caller makes.
    pub fn owner(&self) -> Owner {
        Owner { tenant: self.tenant.id.clone(), issuer: self.principal.issuer.clone(), subject: self.principal.subject.clone() }
    }
}

/// Makes callers of requests, by one reading of the settings.
#[derive(Debug)]
pub struct Authenticator {
    tenants: Arc<Tenants>,
    policies: Arc<Policies>,
    bearer: Option<Bearer>,
    /// Which tenant an issuer's tokens are of.
    tenant_of: HashMap<String, TenantOf>,
}

impl Authenticator {
    /// As the settings want it. Everybody who reaches an open gateway is the one anonymous caller; the settings allow it on loopback
    /// addresses only.
    ///
    /// # Errors
    ///
    /// For keys that cannot be read.
    pub fn load(config: &Config, tenants: Arc<Tenants>, policies: Arc<Policies>) -> Result<Self, IssuerError> {
        let (bearer, issuers) = match &config.auth {
            AuthConfig::Open => (None, &[][..]),
            AuthConfig::Tokens(tokens) => (Some(Bearer::load(tokens)?), tokens.issuers.as_slice()),
        };
        let tenant_of = issuers.iter().map(|issuer| (issuer.issuer.clone(), issuer.tenant.clone())).collect();
        Ok(Self { tenants, policies, bearer, tenant_of })
    }

    /// Everybody is the anonymous caller of the default tenant.
    pub fn open(tenants: Tenants, policies: Arc<Policies>) -> Self {
        Self { tenants: Arc::new(tenants), policies, bearer: None, tenant_of: HashMap::new() }
    }

    /// Whose tokens count; none where none is asked for.
    pub fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_ref()
    }

    /// All tenants.
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// Who is nobody in particular; none where everybody has a name.
    pub fn anonymous(&self) -> Option<Caller> {
        let tenant = self.tenants.get(TenantId::DEFAULT).filter(|_| self.bearer.is_none())?;
        let (tenant, policies) = (Arc::clone(tenant), Arc::clone(&self.policies));
        Some(Caller { tenant, principal: Principal::default(), claims: None, expires_at_s: None, policies })
    }

    /// The caller of a request of that path, by its `Authorization` headers.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn authenticate<'a>(&self, path: &str, headers: impl Iterator<Item = &'a [u8]>) -> Result<Caller, Unknown> {
        let Some(bearer) = &self.bearer else {
            return self.anonymous().ok_or(Unknown::Refused("there is no tenant for anonymous callers"));
        };
        let verified = bearer.verify(path, headers)?;
        let tenant = self.tenant(verified.issuer(), verified.claims_json()).ok_or(Unknown::Refused("it is of no tenant of ours"))?;
        let principal = Principal {
            issuer: Some(verified.issuer().into()),
            subject: Some(verified.subject().into()),
            scopes: verified.scopes().iter().map(|scope| Arc::from(&**scope)).collect(),
        };
        let (claims, expires_at_s) = (Some(verified.claims_json().into()), Some(verified.expires_at_s()));
        Ok(Caller { tenant, principal, claims, expires_at_s, policies: Arc::clone(&self.policies) })
    }

    /// The same caller under these rules, if they know it still: for what goes on after the request that began it.
    pub fn renew(&self, caller: &Caller) -> Option<Caller> {
        let issuer = caller.principal.issuer.as_deref();
        let tenant = match (issuer, &self.bearer) {
            (Some(issuer), Some(_)) => self.tenant(issuer, caller.claims()?)?,
            (None, None) => Arc::clone(self.tenants.get(caller.tenant.id.as_str())?),
            _ => return None,
        };
        // Whoever is of another tenant now is somebody else.
        (tenant.id == caller.tenant.id).then(|| Caller { tenant, policies: Arc::clone(&self.policies), ..caller.clone() })
    }

    /// Whether these rules know the owner of something that was kept, as far as that can be said without a token.
    pub fn knows(&self, owner: &Owner) -> bool {
        let issued = match (&owner.issuer, &self.bearer) {
            (Some(issuer), Some(_)) => match self.tenant_of.get(&**issuer) {
                Some(TenantOf::One(tenant)) => *tenant == owner.tenant,
                Some(TenantOf::Claim(_)) => true,
                None => false,
            },
            (None, None) => true,
            _ => false,
        };
        issued && self.tenants.get(owner.tenant.as_str()).is_some()
    }

    fn tenant(&self, issuer: &str, claims: &str) -> Option<Arc<Tenant>> {
        let tenant = match self.tenant_of.get(issuer)? {
            TenantOf::One(tenant) => self.tenants.get(tenant.as_str()),
            TenantOf::Claim(claim) => {
                let claims: serde_json::Value = serde_json::from_str(claims).ok()?;
                self.tenants.get(claims.get(claim)?.as_str()?)
            }
        };
        tenant.cloned()
    }
}
