//! What a tenant uses, and whoever and whatever of it: each of them has a meter, which a call passes on its way in and is charged to at its
//! end.

use super::breaker::Breakers;
use super::clock_ns;
use super::load::{Crowd, Load};
use super::meter::{InFlight, Meter, Quantity, Used};
use crate::config::{QuotaConfig, Quotas};
use parking_lot::RwLock;
use sandbox::Memory;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Meters of one kind and tenant. Those that would change nothing are forgotten beyond this, and the rest share one.
const METERS_MAX: usize = 10_000;
const PRUNE_INTERVAL_NS: u64 = 1_000_000_000;

/// Everything that a tenant is charged. It outlives readings of the settings.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) own: Arc<Meter>,
    pub(super) servers: Meters,
    pub(super) principals: Meters,
    pub(super) tools: Meters,
    /// Of the host's places for calls.
    pub(super) calls: fair::Share,
    /// What falls again and again.
    pub(super) breakers: Breakers,
    /// What its guests run on.
    pub(super) guests: sandbox::Share,
    pub(super) load: Arc<Load>,
}

impl Account {
    /// With a part of that memory, among those.
    pub(super) fn new(memory: &Arc<Memory>, limit: usize, crowd: &Arc<Crowd>) -> Self {
        let guests = sandbox::Share { turns: fair::Share::default(), memory: Arc::new(Memory::new(limit, Some(Arc::clone(memory)))) };
        Self { guests, load: Arc::new(Load::among(crowd)), ..Self::default() }
    }
}

/// Meters by name.
#[derive(Debug, Default)]
pub(super) struct Meters {
    known: RwLock<Known>,
    /// Of whoever found no room.
    others: Arc<Meter>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<Box<str>, Arc<Meter>>,
    /// When it was last looked for meters to forget: that looks at all of them, and whoever brings new names must not make it happen each time.
    pruned_at_ns: u64,
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

impl Exceeded {
    /// Whose, and of what, as one word of a closed set.
    pub fn word(self) -> &'static str {
        use Quantity as Q;
        use Whose as W;
        match (self.whose, self.quantity) {
            (W::Tenant, Q::InFlight) => "tenant.in_flight",
            (W::Tenant, Q::Calls) => "tenant.calls",
            (W::Tenant, Q::Cpu) => "tenant.cpu",
            (W::Tenant, Q::Memory) => "tenant.memory",
            (W::Tenant, Q::BytesOut) => "tenant.bytes_out",
            (W::Tenant, Q::Egress) => "tenant.egress_calls",
            (W::Tenant, Q::Sessions) => "tenant.sessions",
            (W::Tenant, Q::Streams) => "tenant.streams",
            (W::Server, Q::InFlight) => "server.in_flight",
            (W::Server, Q::Calls) => "server.calls",
            (W::Server, Q::Cpu) => "server.cpu",
            (W::Server, Q::Memory) => "server.memory",
            (W::Server, Q::BytesOut) => "server.bytes_out",
            (W::Server, Q::Egress) => "server.egress_calls",
            (W::Server, Q::Sessions) => "server.sessions",
            (W::Server, Q::Streams) => "server.streams",
            (W::Principal, Q::InFlight) => "principal.in_flight",
            (W::Principal, Q::Calls) => "principal.calls",
            (W::Principal, Q::Cpu) => "principal.cpu",
            (W::Principal, Q::Memory) => "principal.memory",
            (W::Principal, Q::BytesOut) => "principal.bytes_out",
            (W::Principal, Q::Egress) => "principal.egress_calls",
            (W::Principal, Q::Sessions) => "principal.sessions",
            (W::Principal, Q::Streams) => "principal.streams",
            (W::Tool, Q::InFlight) => "tool.in_flight",
            (W::Tool, Q::Calls) => "tool.calls",
            (W::Tool, Q::Cpu) => "tool.cpu",
            (W::Tool, Q::Memory) => "tool.memory",
            (W::Tool, Q::BytesOut) => "tool.bytes_out",
            (W::Tool, Q::Egress) => "tool.egress_calls",
            (W::Tool, Q::Sessions) => "tool.sessions",
            (W::Tool, Q::Streams) => "tool.streams",
        }
    }

    /// Of something that is kept open. Nobody knows when one of them ends; a session is open for long.
    pub fn open(whose: Whose, quantity: Quantity) -> Self {
        let seconds = if quantity == Quantity::Sessions { 29 } else { 0 };
        Self { whose, quantity, wait: Duration::from_secs(seconds) }
    }
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

/// What a call is charged to.
#[derive(Debug)]
pub struct Bill {
    meters: Vec<(Whose, Arc<Meter>, QuotaConfig)>,
}

impl Meters {
    fn of(&self, name: &str, quota: &QuotaConfig) -> Arc<Meter> {
        if let Some(meter) = self.known.read().by_name.get(name) {
            return Arc::clone(meter);
        }
        let mut known = self.known.write();
        if known.by_name.len() >= METERS_MAX && !known.by_name.contains_key(name) {
            let now_ns = clock_ns();
            if now_ns.saturating_sub(known.pruned_at_ns) >= PRUNE_INTERVAL_NS {
                known.pruned_at_ns = now_ns;
                known.by_name.retain(|_, meter| !meter.is_idle(quota));
            }
            if known.by_name.len() >= METERS_MAX {
                return Arc::clone(&self.others);
            }
        }
        Arc::clone(known.by_name.entry(name.into()).or_default())
    }

    /// All of them by name.
    pub(super) fn all(&self) -> Vec<(Box<str>, Arc<Meter>)> {
        let mut all: Vec<_> = self.known.read().by_name.iter().map(|(name, meter)| (name.clone(), Arc::clone(meter))).collect();
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
        let (mut in_flight, mut meters, now_ns) = (Vec::with_capacity(4), Vec::with_capacity(4), clock_ns());
        for (whose, meter, quota) in passed.into_iter().flatten() {
            match meter.begin(&quota, now_ns) {
                Ok(begun) => in_flight.push(begun),
                Err((quantity, wait)) => {
                    meters.iter().for_each(|(_, meter, quota): &(Whose, Arc<Meter>, QuotaConfig)| meter.did_not_begin(quota));
                    return Err(Exceeded { whose, quantity, wait });
                }
            }
            meters.push((whose, meter, quota));
        }
        Ok((in_flight, Arc::new(Bill { meters })))
    }
}

impl Bill {
    /// What its guest used: processor time, and so much memory for so long.
    pub fn used(&self, cpu: Duration, memory_bytes: usize, wall: Duration) {
        let mib_ms = (memory_bytes as u128).saturating_mul(wall.as_millis()) >> 20;
        self.charge(Used { cpu, memory: u64::try_from(mib_ms).unwrap_or(u64::MAX), bytes_out: 0 });
    }

    /// Counts a request that its guest sends.
    ///
    /// # Errors
    ///
    /// The first quota that it would exceed: then it is counted nowhere.
    pub fn send(&self) -> Result<(), Exceeded> {
        for (at, (whose, meter, quota)) in self.meters.iter().enumerate() {
            if let Err(wait) = meter.send(quota) {
                self.meters.iter().take(at).for_each(|(_, meter, quota)| meter.did_not_send(quota));
                return Err(Exceeded { whose: *whose, quantity: Quantity::Egress, wait });
            }
        }
        Ok(())
    }

    /// What its client is sent.
    pub fn sent(&self, bytes: usize) {
        self.charge(Used { bytes_out: bytes as u64, ..Used::default() });
    }

    fn charge(&self, used: Used) {
        let now_ns = clock_ns();
        self.meters.iter().for_each(|(_, meter, quota)| meter.charge(quota, used, now_ns));
    }

    /// It never reached its guest.
    pub(super) fn did_not_begin(&self) {
        self.meters.iter().for_each(|(_, meter, quota)| meter.did_not_begin(quota));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

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
    fn a_request_beyond_one_quota_counts_nowhere() {
        let account = Account::default();
        let of = |egress_calls_per_minute_max| QuotaConfig { egress_calls_per_minute_max, ..QuotaConfig::NONE };
        let quotas = Quotas { tenant: of(100), tool: of(2), ..Quotas::default() };
        let (_in_flight, bill) = account.begin(&quotas, &ASKED).expect("calls are not limited");
        assert!(bill.send().is_ok() && bill.send().is_ok());
        let exceeded = bill.send().expect_err("not three");
        assert_eq!((exceeded.word(), account.own.totals.egress_calls.load(Relaxed)), ("tool.egress_calls", 2));
        // What is counted leaks.
        let level = account.own.this_minute(&quotas.tenant).last().copied().flatten();
        assert!(matches!(level, Some(1 | 2)), "{level:?}");
        let other = Asked { tool: Some("other"), ..ASKED };
        let (_in_flight, bill) = account.begin(&quotas, &other).expect("calls are not limited");
        assert!(bill.send().is_ok());
    }

    #[test]
    fn a_bill_is_everybodys() {
        let account = Account::default();
        let (_in_flight, bill) = account.begin(&Quotas::default(), &ASKED).expect("nothing is limited");
        bill.used(Duration::from_millis(3), 2 << 20, Duration::from_millis(500));
        bill.sent(70);
        drop(bill);
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
        assert!(meters.known.read().by_name.len() <= METERS_MAX);
    }
}
