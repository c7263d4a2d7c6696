//! What metrics show of the moment.

use super::Admin;
use crate::metrics::Gauges;
use crate::telemetry;
use std::time::Duration;

/// For the store to say how much it keeps; without it the rest is told.
const STORE_WAIT: Duration = Duration::from_secs(1);

impl Admin {
    pub(super) async fn gauges(&self) -> Gauges {
        let (front, rooms) = (&self.front, &self.front.rooms);
        let generation = rooms.generation.load_full();
        let tenants: Vec<_> = generation.authenticator.tenants().all().collect();
        let usage = tokio::time::timeout(STORE_WAIT, rooms.store.usage()).await;
        let usage = usage.ok().and_then(Result::ok);
        let health = rooms.store.health();
        let served: usize = generation.catalog.shelves.all().map(|(_, shelf)| shelf.plugins.len()).sum();
        let (problems, untrusted) = {
            let problems = front.readiness.problems.borrow();
            (problems.len(), problems.iter().filter(|problem| problem.untrusted.is_some()).count())
        };
        Gauges {
            version: env!("CARGO_PKG_VERSION"),
            generation: generation.catalog.generation,
            tenants: tenants.iter().map(|tenant| tenant.id.as_str().to_owned()).collect(),
            sessions: rooms.sessions.by_tenant().into_iter().map(|(tenant, count)| (tenant.as_str().to_owned(), count as u64)).collect(),
            permits: tenants.iter().map(|tenant| (tenant.id.as_str().to_owned(), tenant.in_flight().0 as u64)).collect(),
            store_bytes: usage.map(|usage| usage.into_iter().map(|(tenant, bytes)| (tenant.as_str().to_owned(), bytes)).collect()),
            store_errors: [health.read_errors, health.errors.saturating_sub(health.read_errors)],
            streams: front.stalls.open() as u64,
            bodies_bytes: front.room.held(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64,
            plugins: [served as u64, (problems - untrusted) as u64, untrusted as u64],
            log_dropped: telemetry::dropped(),
            replay_gaps: rooms.streams.replay_gaps(),
            code_tampered: rooms.sandbox.code_tampered(),
            ticker_age: rooms.sandbox.ticker_age(),
            instances_kept: rooms.sandbox.kept() as u64,
            instances_reused: rooms.sandbox.reused(),
        }
    }
}
