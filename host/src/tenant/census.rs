//! How many of something there are that is kept open, sessions or event streams; and how many there may be by quotas.

use super::{Quantity, TenantId, Whose};
use crate::config::{QuotaConfig, Quotas, ServerId};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// How many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// Of the tenant.
    pub tenant: usize,
    /// Of the tenant at the server.
    pub server: usize,
    /// Of the principal.
    pub principal: usize,
}

impl Default for Ceilings {
    /// As many as there is room for.
    fn default() -> Self {
        Self { tenant: usize::MAX, server: usize::MAX, principal: usize::MAX }
    }
}

impl Ceilings {
    /// Of sessions or streams, by these quotas and that of the server. An anonymous caller is its tenant.
    pub(super) fn of(quantity: Quantity, quotas: &Quotas, server: &QuotaConfig, anonymous: bool) -> Self {
        let max = |quota: &QuotaConfig| {
            let max = match quantity {
                Quantity::Sessions => quota.sessions_max,
                Quantity::Streams => quota.streams_max,
                Quantity::InFlight | Quantity::Calls | Quantity::Cpu | Quantity::Memory | Quantity::BytesOut | Quantity::Egress => 0,
            };
            usize::try_from(max).ok().filter(|max| *max > 0).unwrap_or(usize::MAX)
        };
        let principal = if anonymous { usize::MAX } else { max(&quotas.principal) };
        Self { tenant: max(&quotas.tenant), server: max(server), principal }
    }
}

/// Whose one of them is.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a, P> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The server's id; none for the default one.
    pub server: Option<&'a ServerId>,
    /// Who.
    pub principal: &'a P,
}

/// Counts them. Principals are told apart by whoever counts.
#[derive(Debug)]
pub struct Census<P> {
    tenants: HashMap<TenantId, usize>,
    servers: HashMap<(TenantId, Option<ServerId>), usize>,
    principals: HashMap<P, usize>,
}

impl<P> Default for Census<P> {
    fn default() -> Self {
        Self { tenants: HashMap::new(), servers: HashMap::new(), principals: HashMap::new() }
    }
}

impl<P: Clone + Eq + Hash> Census<P> {
    /// One more.
    pub fn add(&mut self, of: Of<'_, P>) {
        *self.tenants.entry(of.tenant.clone()).or_default() += 1;
        *self.servers.entry((of.tenant.clone(), of.server.cloned())).or_default() += 1;
        *self.principals.entry(of.principal.clone()).or_default() += 1;
    }

    /// One less.
    pub fn remove(&mut self, of: Of<'_, P>) {
        give_back(&mut self.tenants, of.tenant);
        give_back(&mut self.servers, &(of.tenant.clone(), of.server.cloned()));
        give_back(&mut self.principals, of.principal);
    }

    /// Whether there may be one more.
    ///
    /// # Errors
    ///
    /// Whose quota it would exceed.
    pub fn room(&self, of: Of<'_, P>, ceilings: &Ceilings) -> Result<(), Whose> {
        if self.of_tenant(of.tenant) >= ceilings.tenant {
            return Err(Whose::Tenant);
        }
        let at_server = || count(&self.servers, &(of.tenant.clone(), of.server.cloned()));
        if ceilings.server < usize::MAX && at_server() >= ceilings.server {
            return Err(Whose::Server);
        }
        if self.of_principal(of.principal) >= ceilings.principal { Err(Whose::Principal) } else { Ok(()) }
    }

    /// How many a tenant has.
    pub fn of_tenant(&self, tenant: &TenantId) -> usize {
        count(&self.tenants, tenant)
    }

    /// How many a principal has.
    pub fn of_principal(&self, principal: &P) -> usize {
        count(&self.principals, principal)
    }

    /// Each tenant that has any.
    pub fn tenants(&self) -> impl Iterator<Item = (&TenantId, usize)> {
        self.tenants.iter().map(|(tenant, count)| (tenant, *count))
    }

    /// Each principal that has any.
    pub fn principals(&self) -> impl Iterator<Item = (&P, usize)> {
        self.principals.iter().map(|(principal, count)| (principal, *count))
    }

    /// All of it as the ledger names it; `name` is a principal's tenant and name, none for an anonymous one.
    pub fn counts(&self, name: impl Fn(&P) -> Option<(TenantId, Box<str>)>) -> Vec<(Row, usize)> {
        let tenants = self.tenants().map(|(tenant, count)| ((tenant.clone(), "tenant", tenant.as_str().into()), count));
        let servers = self.servers.iter().map(|((tenant, server), count)| {
            let name = server.as_ref().map(ServerId::as_str).unwrap_or_default();
            ((tenant.clone(), "server", name.into()), *count)
        });
        let principals = self.principals().filter_map(|(principal, count)| {
            let (tenant, name) = name(principal)?;
            Some(((tenant, "principal", name), count))
        });
        tenants.chain(servers).chain(principals).collect()
    }
}

fn count<K: Eq + Hash>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or_default()
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// A row of the ledger: the tenant, of what it is, and of which.
pub type Row = (TenantId, &'static str, Box<str>);

/// Sessions and streams by row.
#[derive(Debug, Default)]
pub struct Open(BTreeMap<Row, [usize; 2]>);

impl Open {
    /// Of these counts.
    pub fn new(sessions: Vec<(Row, usize)>, streams: Vec<(Row, usize)>) -> Self {
        let mut open = Self::default();
        sessions.into_iter().for_each(|(row, count)| open.0.entry(row).or_default()[0] += count);
        streams.into_iter().for_each(|(row, count)| open.0.entry(row).or_default()[1] += count);
        open
    }

    pub(super) fn of(&self, row: &Row) -> [usize; 2] {
        self.0.get(row).copied().unwrap_or_default()
    }

    /// Names of rows of one kind and tenant.
    pub(super) fn names<'s>(&'s self, tenant: &TenantId, of: &'static str) -> impl Iterator<Item = &'s str> {
        let first = (tenant.clone(), of, Box::default());
        let (tenant, from) = (tenant.clone(), self.0.range(first..));
        from.take_while(move |((whose, kind, _), _)| *whose == tenant && *kind == of).map(|((_, _, name), _)| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(tenant: &'a TenantId, server: Option<&'a ServerId>, principal: &'a &'static str) -> Of<'a, &'static str> {
        Of { tenant, server, principal }
    }

    #[test]
    fn each_ceiling_holds_by_itself_and_for_its_own() {
        let (mut census, none) = (Census::default(), Ceilings::default());
        let ([a, b], server) = (["a", "b"].map(TenantId::of), ServerId::parse("s").expect("an id"));
        let [at_a, at_b] = [&a, &b].map(|tenant| of(tenant, Some(&server), &"ada"));
        census.add(at_a);
        census.add(of(&a, None, &"bob"));
        for (ceilings, whose) in [
            (Ceilings { tenant: 2, ..none }, Some(Whose::Tenant)),
            (Ceilings { tenant: 3, ..none }, None),
            (Ceilings { server: 1, ..none }, Some(Whose::Server)),
            (Ceilings { server: 2, ..none }, None),
            (Ceilings { principal: 1, ..none }, Some(Whose::Principal)),
            (none, None),
        ] {
            assert_eq!(census.room(at_a, &ceilings).err(), whose, "{ceilings:?}");
        }
        assert_eq!(census.room(at_b, &Ceilings { tenant: 1, server: 1, ..none }), Ok(()), "another tenant's are its own");
        let counts = census.counts(|name| Some((a.clone(), (*name).into())));
        let open = Open::new(counts.clone(), Vec::new());
        assert_eq!(open.names(&a, "server").collect::<Vec<_>>(), ["", "s"]);
        assert_eq!((open.of(&(a.clone(), "tenant", "a".into())), open.names(&b, "server").count()), ([2, 0], 0));
        census.remove(at_a);
        census.remove(of(&a, None, &"bob"));
        assert!(census.tenants.is_empty() && census.servers.is_empty() && census.principals.is_empty());
    }
}
