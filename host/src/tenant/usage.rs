//! The ledger: what each tenant used, and what of it each server, principal and tool did.

use super::account::Meters;
use super::census::Open;
use super::meter::Meter;
use super::{Tenant, Tenants};
use crate::config::QuotaConfig;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Rows of one kind and tenant: those that used the most. What the others used is in the tenant's own row.
const ROWS_MAX: usize = 100;

/// All rows, tenants by name: `of` says whose a row is, `name` which of them. Sessions and streams are those of now, and counts since the
/// gateway started; those of this minute are there where there is a quota for them.
pub fn usage(tenants: &Tenants, open: &Open) -> Vec<Map<String, Value>> {
    let mut all: Vec<&Arc<Tenant>> = tenants.by_name.values().collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let mut rows = Vec::new();
    for tenant in all {
        let (account, quotas) = (&tenant.account, &tenant.quotas);
        rows.push(row(tenant, ("tenant", tenant.id.as_str()), &account.own, &quotas.tenant, open));
        // A server's quota is of the settings of now, which the ledger does not have.
        for (of, meters, quota) in [
            ("server", &account.servers, &QuotaConfig::NONE),
            ("principal", &account.principals, &quotas.principal),
            ("tool", &account.tools, &quotas.tool),
        ] {
            let heaviest = heaviest(meters, tenant, of, open);
            rows.extend(heaviest.iter().map(|(name, meter)| row(tenant, (of, name), meter, quota, open)));
        }
    }
    rows
}

fn heaviest(meters: &Meters, tenant: &Tenant, of: &'static str, open: &Open) -> Vec<(Box<str>, Arc<Meter>)> {
    let mut all = meters.all();
    // Who has a session and never called anything has no meter.
    let known: HashSet<Box<str>> = all.iter().map(|(name, _)| name.clone()).collect();
    let without = open.names(&tenant.id, of).filter(|name| !known.contains(*name));
    all.extend(without.map(|name| (name.into(), Arc::default())));
    let weight = |meter: &Meter| (meter.totals.cpu_us.load(Relaxed), meter.totals.calls.load(Relaxed));
    all.sort_by_cached_key(|(name, meter)| std::cmp::Reverse((weight(meter), open.of(&(tenant.id.clone(), of, name.clone())))));
    all.truncate(ROWS_MAX);
    all
}

fn row(tenant: &Tenant, (of, name): (&'static str, &str), meter: &Meter, quota: &QuotaConfig, open: &Open) -> Map<String, Value> {
    let totals = &meter.totals;
    let mut row = Map::new();
    let mut tell = |name: &str, value: Value| drop(row.insert(name.to_owned(), value));
    tell("tenant", tenant.id.as_str().into());
    tell("of", of.into());
    tell("name", name.into());
    tell("in_flight", meter.in_flight().into());
    if of != "tool" {
        let [sessions, streams] = open.of(&(tenant.id.clone(), of, name.into()));
        tell("sessions", sessions.into());
        tell("streams", streams.into());
    }
    tell("calls", totals.calls.load(Relaxed).into());
    tell("refused", totals.refused.load(Relaxed).into());
    tell("cpu_ms", (totals.cpu_us.load(Relaxed) / 1_000).into());
    tell("memory_mib_s", (totals.memory.load(Relaxed) / 1_000).into());
    tell("bytes_out", totals.bytes_out.load(Relaxed).into());
    tell("egress_calls", totals.egress_calls.load(Relaxed).into());
    let [cpu_us, memory_mib_ms, bytes_out, egress] = meter.this_minute(quota);
    for (name, used, of) in [
        ("cpu_ms_this_minute", cpu_us.map(|us| us / 1_000), quota.cpu_ms_per_minute_max.into()),
        ("memory_mib_s_this_minute", memory_mib_ms.map(|ms| ms / 1_000), quota.memory_mib_s_per_minute_max.into()),
        ("bytes_out_this_minute", bytes_out, quota.bytes_out_per_minute_max),
        ("egress_calls_this_minute", egress, quota.egress_calls_per_minute_max.into()),
    ] {
        if let Some(used) = used {
            tell(name, json!({ "used": used, "max": of }));
        }
    }
    row
}
