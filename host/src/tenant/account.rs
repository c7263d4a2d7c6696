//! What a tenant uses, and whoever and whatever of it: each of them has a meter, which a call passes on its way in and is charged to at its
//! end.

use super::meter::{InFlight, Meter, Quantity, Used};
use crate::config::{QuotaConfig, Quotas};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Meters of one kind and tenant. Those that would change nothing are forgotten beyond this, and the rest share one.
const METERS_MAX: usize = 10_000;

/// Everything that a tenant is charged. It outlives readings of the settings.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) own: Arc<Meter>,
    pub(super) servers: Meters,
    pub(super) principals: Meters,
    pub(super) tools: Meters,
}

/// Meters by name.
#[derive(Debug, Default)]
pub(super) struct Meters {
    by_name: RwLock<HashMap<Box<str>, Arc<Meter>>>,
    /// Of whoever found no room.
    others: Arc<Meter>,
}

/// Whose quota it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The tenant's.
    Tenant,
    /// The tenant's at one server.
    Server,
    /// The principal's.
    Principal,
    /// The tenant's with one tool.
    Tool,
}

/// A quota that a call would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose.
    pub whose: Whose,
    /// Of what.
    pub quantity: Quantity,
    /// Until there is room again, as far as can be said.
    pub wait: Duration,
}

/// What a call is of. Names of a closed set, but for the principal's.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The server's id; empty for the default one.
    pub server: &'a str,
    /// That server's quota.
    pub server_quota: QuotaConfig,
    /// Who vouches, and the name there; none for an anonymous caller, who is the tenant.
    pub principal: Option<(&'a str, &'a str)>,
    /// The tool's name; none for other work.
    pub tool: Option<&'a str>,
}

/// What a call is charged to; charged when it is dropped.
#[derive(Debug)]
pub struct Bill {
    meters: Vec<(Arc<Meter>, QuotaConfig)>,
    cpu_ns: AtomicU64,
    memory_mib_ms: AtomicU64,
    bytes_out: AtomicU64,
}

impl Meters {
    fn of(&self, name: &str, quota: &QuotaConfig) -> Arc<Meter> {
        if let Some(meter) = self.by_name.read().get(name) {
            return Arc::clone(meter);
        }
        let mut by_name = self.by_name.write();
        if by_name.len() >= METERS_MAX && !by_name.contains_key(name) {
            by_name.retain(|_, meter| !meter.is_idle(quota));
            if by_name.len() >= METERS_MAX {
                return Arc::clone(&self.others);
            }
        }
        Arc::clone(by_name.entry(name.into()).or_default())
    }

    /// All of them by name.
    pub(super) fn all(&self) -> Vec<(Box<str>, Arc<Meter>)> {
        let mut all: Vec<_> = self.by_name.read().iter().map(|(name, meter)| (name.clone(), Arc::clone(meter))).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}

impl Account {
    /// Counts a call that begins at each meter that it passes.
    ///
    /// # Errors
    ///
    /// The first quota that it would exceed: then nothing is counted but the refusal.
    pub(super) fn begin(&self, quotas: &Quotas, asked: &Asked<'_>) -> Result<(Vec<InFlight>, Arc<Bill>), Exceeded> {
        let principal = asked.principal.map(|(issuer, subject)| self.principals.of(&format!("{issuer} {subject}"), &quotas.principal));
        let passed = [
            Some((Whose::Tenant, Arc::clone(&self.own), quotas.tenant)),
            Some((Whose::Server, self.servers.of(asked.server, &asked.server_quota), asked.server_quota)),
            principal.map(|meter| (Whose::Principal, meter, quotas.principal)),
            asked.tool.map(|tool| (Whose::Tool, self.tools.of(tool, &quotas.tool), quotas.tool)),
        ];
        let (mut in_flight, mut meters) = (Vec::with_capacity(4), Vec::with_capacity(4));
        for (whose, meter, quota) in passed.into_iter().flatten() {
            match meter.begin(&quota) {
                Ok(begun) => in_flight.push(begun),
                Err((quantity, wait)) => {
                    meters.iter().for_each(|(meter, quota): &(Arc<Meter>, QuotaConfig)| meter.did_not_begin(quota));
                    return Err(Exceeded { whose, quantity, wait });
                }
            }
            meters.push((meter, quota));
        }
        let bill = Bill { meters, cpu_ns: AtomicU64::new(0), memory_mib_ms: AtomicU64::new(0), bytes_out: AtomicU64::new(0) };
        Ok((in_flight, Arc::new(bill)))
    }
}

impl Bill {
    /// What its guest used: processor time, and so much memory for so long.
    pub fn used(&self, cpu: Duration, memory_bytes: usize, wall: Duration) {
        let mib_ms = (memory_bytes as u128).saturating_mul(wall.as_millis()) >> 20;
        self.cpu_ns.fetch_add(u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.memory_mib_ms.fetch_add(u64::try_from(mib_ms).unwrap_or(u64::MAX), Relaxed);
    }

    /// What its client is sent.
    pub fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Relaxed);
    }

    /// It never reached its guest.
    pub(super) fn did_not_begin(&self) {
        self.meters.iter().for_each(|(meter, quota)| meter.did_not_begin(quota));
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        let (cpu, memory, bytes_out) =
            (Duration::from_nanos(*self.cpu_ns.get_mut()), *self.memory_mib_ms.get_mut(), *self.bytes_out.get_mut());
        let used = Used { cpu, memory, bytes_out };
        self.meters.iter().for_each(|(meter, quota)| meter.charge(quota, used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'_> = Asked { server: "", server_quota: QuotaConfig::NONE, principal: Some(("i", "ada")), tool: Some("echo") };
    #[test]
    fn a_refusal_counts_nowhere_else() {
        let account = Account::default();
        let rate = QuotaConfig { calls_per_second_max: 1, calls_burst_max: 1, ..QuotaConfig::NONE };
        let quotas = Quotas {
            tenant: QuotaConfig { calls_per_second_max: 100, calls_burst_max: 3, ..QuotaConfig::NONE },
            principal: rate,
            ..Quotas::default()
        };
        let first = account.begin(&quotas, &ASKED).expect("one is allowed");
        for _ in 0..50 {
            let exceeded = account.begin(&quotas, &ASKED).expect_err("not two");
            assert_eq!((exceeded.whose, exceeded.quantity), (Whose::Principal, Quantity::Calls));
        }
        let other = Asked { principal: Some(("i", "bob")), ..ASKED };
        assert!(account.begin(&quotas, &other).is_ok(), "the tenant's own rate has not been used up by what was refused");
        assert_eq!((account.own.in_flight(), account.own.totals.refused.load(Relaxed)), (1, 50));
        drop(first);
        assert_eq!(account.own.in_flight(), 0);
    }

    #[test]
    fn a_bill_is_charged_to_everybody_once() {
        let account = Account::default();
        let (_in_flight, bill) = account.begin(&Quotas::default(), &ASKED).expect("nothing is limited");
        bill.used(Duration::from_millis(3), 2 << 20, Duration::from_millis(500));
        bill.sent(70);
        let other = Arc::clone(&bill);
        drop(bill);
        assert_eq!(account.own.totals.cpu_us.load(Relaxed), 0);
        drop(other);
        let none = QuotaConfig::NONE;
        for meter in [
            Arc::clone(&account.own),
            account.tools.of("echo", &none),
            account.principals.of("i ada", &none),
            account.servers.of("", &none),
        ] {
            let totals = &meter.totals;
            let all = [&totals.calls, &totals.cpu_us, &totals.memory, &totals.bytes_out].map(|total| total.load(Relaxed));
            assert_eq!(all, [1, 3_000, 1_000, 70]);
        }
    }

    #[test]
    fn there_are_only_so_many_meters() {
        let meters = Meters::default();
        for at in 0..METERS_MAX * 3 {
            meters.of(&format!("i subject-{at}"), &QuotaConfig::NONE);
        }
        assert!(meters.by_name.read().len() <= METERS_MAX);
    }
}
