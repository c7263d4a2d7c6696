//! What one tenant, server, principal or tool uses, against its quota.

use super::bucket::{Bucket, Rate};
use super::clock_ns;
use crate::config::QuotaConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts. It knows no quota: that comes with each question, so that another one counts from the next call on.
#[derive(Debug, Default)]
pub(super) struct Meter {
    in_flight: AtomicU32,
    calls: Bucket,
    cpu: Bucket,
    memory: Bucket,
    bytes_out: Bucket,
    egress: Bucket,
    pub(super) totals: Totals,
}

/// Since the gateway started.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) calls: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) cpu_us: AtomicU64,
    /// In MiB·ms.
    pub(super) memory: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) egress_calls: AtomicU64,
}

/// Which quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Calls in flight.
    InFlight,
    /// Calls a second.
    Calls,
    /// Processor time a minute.
    Cpu,
    /// Memory a minute.
    Memory,
    /// Bytes out a minute.
    BytesOut,
    /// Requests of guests a minute.
    Egress,
    /// Sessions that are open.
    Sessions,
    /// Event streams that are open.
    Streams,
}

/// A call that is counted as in flight; not any more when it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Meter>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// What a call used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    pub(super) cpu: Duration,
    /// In MiB·ms.
    pub(super) memory: u64,
    pub(super) bytes_out: u64,
}

fn calls(quota: &QuotaConfig) -> Option<Rate> {
    let rate = f64::from(quota.calls_per_second_max);
    let capacity = if quota.calls_burst_max > 0 { f64::from(quota.calls_burst_max) } else { 2.0 * rate };
    (quota.calls_per_second_max > 0).then_some(Rate { units_per_second: rate, capacity })
}

/// A minute's worth is there at once.
fn per_minute(units: u64) -> Option<Rate> {
    (units > 0).then_some(Rate { units_per_second: units as f64 / 60.0, capacity: units as f64 })
}

fn cpu(quota: &QuotaConfig) -> Option<Rate> {
    per_minute(u64::from(quota.cpu_ms_per_minute_max).saturating_mul(1_000))
}

fn memory(quota: &QuotaConfig) -> Option<Rate> {
    per_minute(u64::from(quota.memory_mib_s_per_minute_max).saturating_mul(1_000))
}

fn bytes_out(quota: &QuotaConfig) -> Option<Rate> {
    per_minute(quota.bytes_out_per_minute_max)
}

fn egress(quota: &QuotaConfig) -> Option<Rate> {
    per_minute(quota.egress_calls_per_minute_max.into())
}

impl Meter {
    /// Counts a request that a guest sends.
    ///
    /// # Errors
    ///
    /// How long to wait until there is room for it in the quota: then it is not counted.
    pub(super) fn send(&self, quota: &QuotaConfig) -> Result<(), Duration> {
        if let Some(rate) = egress(quota) {
            self.egress.take_one(rate, clock_ns())?;
        }
        self.totals.egress_calls.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Another quota did not allow the request.
    pub(super) fn did_not_send(&self, quota: &QuotaConfig) {
        self.totals.egress_calls.fetch_sub(1, Relaxed);
        if egress(quota).is_some() {
            self.egress.give_one_back();
        }
    }

    /// Counts a call that begins.
    ///
    /// # Errors
    ///
    /// The quota that it would exceed, and how long to wait: then nothing is counted but the refusal.
    pub(super) fn begin(self: &Arc<Self>, quota: &QuotaConfig, now_ns: u64) -> Result<InFlight, (Quantity, Duration)> {
        let begun = self.try_begin(quota, now_ns);
        match begun {
            Ok(_) => self.totals.calls.fetch_add(1, Relaxed),
            Err(_) => self.totals.refused.fetch_add(1, Relaxed),
        };
        begun
    }

    fn try_begin(self: &Arc<Self>, quota: &QuotaConfig, now_ns: u64) -> Result<InFlight, (Quantity, Duration)> {
        let spent = [
            (Quantity::Cpu, &self.cpu, cpu(quota)),
            (Quantity::Memory, &self.memory, memory(quota)),
            (Quantity::BytesOut, &self.bytes_out, bytes_out(quota)),
        ];
        for (quantity, bucket, rate) in spent {
            if let Some(wait) = rate.and_then(|rate| bucket.full_for(rate, now_ns)) {
                return Err((quantity, wait));
            }
        }
        let most = if quota.calls_in_flight_max > 0 { quota.calls_in_flight_max } else { u32::MAX };
        let room = |in_flight: u32| (in_flight < most).then_some(in_flight.saturating_add(1));
        // Nobody knows when one of them ends.
        self.in_flight.fetch_update(Relaxed, Relaxed, room).map_err(|_| (Quantity::InFlight, Duration::from_secs(1)))?;
        let in_flight = InFlight(Arc::clone(self));
        if let Some(rate) = calls(quota) {
            self.calls.take_one(rate, now_ns).map_err(|wait| (Quantity::Calls, wait))?;
        }
        Ok(in_flight)
    }

    /// Another quota did not allow the call.
    pub(super) fn did_not_begin(&self, quota: &QuotaConfig) {
        self.totals.calls.fetch_sub(1, Relaxed);
        self.totals.refused.fetch_add(1, Relaxed);
        if calls(quota).is_some() {
            self.calls.give_one_back();
        }
    }

    /// Counts what a call used.
    pub(super) fn charge(&self, quota: &QuotaConfig, used: Used, now_ns: u64) {
        let cpu_us = u64::try_from(used.cpu.as_micros()).unwrap_or(u64::MAX);
        let all = [
            (&self.totals.cpu_us, &self.cpu, cpu(quota), cpu_us),
            (&self.totals.memory, &self.memory, memory(quota), used.memory),
            (&self.totals.bytes_out, &self.bytes_out, bytes_out(quota), used.bytes_out),
        ];
        // Others write there, too: to add nothing would cost as much.
        for (total, bucket, rate, units) in all.into_iter().filter(|(.., units)| *units > 0) {
            total.fetch_add(units, Relaxed);
            if let Some(rate) = rate {
                bucket.charge(rate, units, now_ns);
            }
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// What counts towards the quota of this minute: processor time in µs, memory in MiB·ms, bytes out, requests.
    pub(super) fn this_minute(&self, quota: &QuotaConfig) -> [Option<u64>; 4] {
        let now_ns = clock_ns();
        [(&self.cpu, cpu(quota)), (&self.memory, memory(quota)), (&self.bytes_out, bytes_out(quota)), (&self.egress, egress(quota))]
            .map(|(bucket, rate)| rate.map(|rate| bucket.level(rate, now_ns)))
    }

    /// Whether forgetting it would change nothing for its owner.
    pub(super) fn is_idle(&self, quota: &QuotaConfig) -> bool {
        let now_ns = clock_ns();
        let all = [
            (&self.calls, calls(quota)),
            (&self.cpu, cpu(quota)),
            (&self.memory, memory(quota)),
            (&self.bytes_out, bytes_out(quota)),
            (&self.egress, egress(quota)),
        ];
        self.in_flight() == 0 && all.iter().all(|(bucket, rate)| bucket.is_empty(*rate, now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quota_refuses_by_itself() {
        let meter = Arc::new(Meter::default());
        let none = QuotaConfig::default();
        let first = meter.begin(&none, clock_ns()).expect("nothing is limited");
        let one = QuotaConfig { calls_in_flight_max: 1, ..none };
        assert_eq!(meter.begin(&one, clock_ns()).expect_err("one is in flight").0, Quantity::InFlight);
        drop(first);
        let rate = QuotaConfig { calls_per_second_max: 1, calls_burst_max: 2, ..none };
        let both = [meter.begin(&rate, clock_ns()), meter.begin(&rate, clock_ns())];
        assert!(both.iter().all(Result::is_ok));
        let (quantity, wait) = meter.begin(&rate, clock_ns()).expect_err("the burst is over");
        assert!(quantity == Quantity::Calls && wait > Duration::from_millis(900), "{wait:?}");
        assert_eq!(meter.in_flight(), 2);
        drop(both);
        let used = Used { cpu: Duration::from_millis(80), memory: 3_000, bytes_out: 10 };
        for (quota, quantity) in [
            (QuotaConfig { cpu_ms_per_minute_max: 60, ..none }, Quantity::Cpu),
            (QuotaConfig { memory_mib_s_per_minute_max: 2, ..none }, Quantity::Memory),
            (QuotaConfig { bytes_out_per_minute_max: 8, ..none }, Quantity::BytesOut),
        ] {
            let meter = Arc::new(Meter::default());
            drop(meter.begin(&quota, clock_ns()).expect("nothing is used"));
            meter.charge(&quota, used, clock_ns());
            let (refused, wait) = meter.begin(&quota, clock_ns()).expect_err("it is used up");
            assert!(refused == quantity && wait > Duration::from_secs(5), "{refused:?} {wait:?}");
            assert!(!meter.is_idle(&quota) && meter.in_flight() == 0);
        }
    }
}
