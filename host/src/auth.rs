//! Who is calling, and what may they do.

mod admin;
mod api_key;
mod bearer;
mod chain;
mod kept;
mod policy;
mod remote;

pub use admin::{AdminError, AdminToken, NotAdmin};
pub use api_key::NewApiKey;
pub use bearer::{Bearer, IssuerError, KeyFetcher, Known, Refusal, Unknown};
pub use chain::{Blame, NoAnswer, Policies, PolicyError, ResultFilters, Withheld};
pub use policy::{Authorized, Denied, Item, Policy};

use crate::config::{AuthConfig, Config, ServerId};
use crate::revocation::{Revocations, Who};
use crate::tenant::{Tenant, TenantId, Tenants};
use bearer::Shown;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A tenant and a principal. Only an [`Authenticator`] makes one: nothing that a client, a component or a header says can.
#[derive(Debug, Clone)]
pub struct Caller {
    tenant: Arc<Tenant>,
    principal: Principal,
    shown: Shown,
    /// When its token or key ends, in seconds since 1970.
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

    /// As the ledger names it; none for an anonymous one, who is its tenant.
    pub fn name(&self) -> Option<(TenantId, Box<str>)> {
        let (issuer, subject) = self.issuer.as_deref().zip(self.subject.as_deref())?;
        Some((self.tenant.clone(), format!("{issuer} {subject}").into()))
    }

    /// As revocations know it.
    pub fn who(&self) -> Who<'_> {
        Who { tenant: self.tenant.as_str(), issuer: self.issuer.as_deref(), subject: self.subject.as_deref() }
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

    /// What its token says, verified, as a JSON object; none for an anonymous caller, and none with an API key.
    pub fn claims(&self) -> Option<&str> {
        match &self.shown {
            Shown::Token(claims) => Some(claims),
            Shown::Credential { claims, .. } => claims.as_deref(),
            Shown::Nothing | Shown::Key(_) => None,
        }
    }

    /// How long its token or key is good for from now on; none: for ever.
    pub fn good_for(&self) -> Option<Duration> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs());
        self.expires_at_s.map(|at| Duration::from_secs(at.saturating_sub(now_s)))
    }

    fn policies(&self) -> &Policies {
        &self.policies
    }

    fn who(&self) -> Who<'_> {
        let Principal { issuer, subject, .. } = &self.principal;
        Who { tenant: self.tenant.id.as_str(), issuer: issuer.as_deref(), subject: subject.as_deref() }
    }

    /// The owner of what this caller makes.
    pub fn owner(&self) -> Owner {
        Owner { tenant: self.tenant.id.clone(), issuer: self.principal.issuer.clone(), subject: self.principal.subject.clone() }
    }
}

/// What a request says of who sends it, as it stands there: most callers are known by less than all of it.
#[derive(Debug)]
pub struct Visit<'a> {
    /// The path of the server that it is sent to.
    pub path: &'a str,
    /// The id of that server in the path; none for the default one.
    pub server: Option<&'a str>,
    /// The values of its first two `Authorization` headers: two are one too many, as all beyond are.
    pub authorization: [Option<&'a [u8]>; 2],
    /// Where it comes from.
    pub address: Option<IpAddr>,
}

/// Makes callers of requests, by one reading of the settings.
#[derive(Debug)]
pub struct Authenticator {
    tenants: Arc<Tenants>,
    policies: Arc<Policies>,
    bearer: Option<Bearer>,
    /// Whom an operator has sent away. Not of a generation: it counts at once.
    revocations: Arc<Revocations>,
}

impl Authenticator {
    /// As the settings want it. Everybody who reaches an open gateway is the one anonymous caller; the settings allow it on loopback
    /// addresses only. What `before` has fetched of issuers whose settings are the same goes on.
    ///
    /// # Errors
    ///
    /// For keys that cannot be read.
    pub fn load(
        config: &Config,
        tenants: Arc<Tenants>,
        policies: Arc<Policies>,
        revocations: Arc<Revocations>,
        before: Option<&Self>,
    ) -> Result<Self, IssuerError> {
        let before = before.and_then(Self::bearer);
        let bearer = match &config.auth {
            AuthConfig::Open => None,
            AuthConfig::Tokens(tokens) => Some(Bearer::load(tokens, before)?),
        };
        Ok(Self { tenants, policies, bearer, revocations })
    }

    /// Everybody is the anonymous caller of the default tenant.
    pub fn open(tenants: Tenants, policies: Arc<Policies>) -> Self {
        Self { tenants: Arc::new(tenants), policies, bearer: None, revocations: Arc::new(Revocations::none()) }
    }

    /// Whose tokens count; none where none is asked for.
    pub fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_ref()
    }

    /// Those that are asked.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// All tenants.
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// Who is nobody in particular; none where everybody has a name.
    pub fn anonymous(&self) -> Option<Caller> {
        self.nobody(TenantId::DEFAULT)
    }

    /// The same, on behalf of that tenant.
    pub fn nobody(&self, tenant: &str) -> Option<Caller> {
        let tenant = self.tenants.get(tenant).filter(|_| self.bearer.is_none())?;
        let (tenant, policies) = (Arc::clone(tenant), Arc::clone(&self.policies));
        Some(Caller { tenant, principal: Principal::default(), shown: Shown::Nothing, expires_at_s: None, policies })
    }

    /// The caller of a request. It waits only where a token names a key that has to be fetched, for some seconds at most, or where policies look
    /// at the credential, which costs much more than it costs to send one: `may_ask` says whether they may, and is asked only then. If it is
    /// dropped, nothing has happened.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn authenticate(&self, visit: &Visit<'_>, may_ask: impl Fn() -> bool) -> Result<Caller, Unknown> {
        let caller = self.identify(visit, may_ask).await?;
        if self.revocations.now().bars(caller.who()) { Err(Unknown::Revoked) } else { Ok(caller) }
    }

    /// Who it is, whether or not it may come in.
    async fn identify(&self, visit: &Visit<'_>, may_ask: impl Fn() -> bool) -> Result<Caller, Unknown> {
        let Some(bearer) = &self.bearer else {
            return self.anonymous().ok_or(Unknown::Refused(Refusal::Tenant));
        };
        let known = match (bearer.verify(visit.path, visit.authorization.into_iter().flatten()).await, visit.authorization) {
            (Err(Unknown::Refused(refusal)), [Some(header), _])
                if refusal.is_foreign() && self.policies.knows_credentials() && may_ask() =>
            {
                let server = visit.server.and_then(ServerId::parse);
                self.policies.whose(header, server.as_ref(), visit.address, refusal).await?
            }
            (known, _) => known?,
        };
        self.caller(known).ok_or(Unknown::Refused(Refusal::Tenant))
    }

    /// The same caller under these rules, if they know it still: for what goes on after the request that began it.
    pub fn renew(&self, caller: &Caller) -> Option<Caller> {
        let renewed = match (&caller.shown, &self.bearer) {
            (Shown::Nothing, None) => self.anonymous()?,
            (Shown::Credential { voucher, .. }, Some(_)) if self.policies.still_vouches(voucher) => {
                let tenant = Arc::clone(self.tenants.get(caller.tenant.id.as_str())?);
                Caller { tenant, policies: Arc::clone(&self.policies), ..caller.clone() }
            }
            (shown, Some(bearer)) => self.caller(bearer.again(&caller.principal, shown, caller.expires_at_s)?)?,
            _ => return None,
        };
        // Whoever is of another tenant now, or has another name, is somebody else.
        (renewed.owner() == caller.owner() && !self.revocations.now().bars(caller.who())).then_some(renewed)
    }

    /// Whether these rules know the owner of something that was kept, as far as that can be said without a token.
    pub fn knows(&self, owner: &Owner) -> bool {
        let known = match (&owner.issuer, &self.bearer) {
            (Some(_), Some(bearer)) => bearer.knows(owner) || self.policies.vouches_for(owner),
            (None, None) => true,
            _ => false,
        };
        known && self.tenants.get(owner.tenant.as_str()).is_some() && !self.revocations.now().bars(owner.who())
    }

    fn caller(&self, known: Known) -> Option<Caller> {
        let Known { principal, shown, expires_at_s, tenant } = known;
        let tenant = Arc::clone(self.tenants.get(tenant.as_str())?);
        Some(Caller { tenant, principal, shown, expires_at_s, policies: Arc::clone(&self.policies) })
    }
}

#[cfg(test)]
mod tests;
