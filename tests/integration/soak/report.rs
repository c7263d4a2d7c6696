//! What a run came to: tables for people, JSON for programs.

use super::samples::Sample;
use super::slope::{floors, theil_sen};
use super::tally::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The shortest time in which memory comes down to what stays, on a machine that does other things as well.
const WINDOW_S: f64 = 5.0;

/// A run, as far as it came.
pub(super) struct Report {
    /// How long the load was to last.
    pub(super) load: Duration,
    /// All of them, from the start to the end.
    pub(super) samples: Vec<Sample>,
    /// Of `samples`: when the load began and ended.
    pub(super) loaded: (usize, usize),
    /// At rest, before the load and after it.
    pub(super) base: Sample,
    pub(super) end: Sample,
    pub(super) kinds: BTreeMap<&'static str, Kind>,
}

/// How memory went in the second half of the load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    pub(super) kib_per_s: f64,
    pub(super) requests_per_s: f64,
}

impl Growth {
    pub(super) fn bytes_per_request(self) -> f64 {
        self.kib_per_s * 1024.0 / self.requests_per_s.max(f64::MIN_POSITIVE)
    }

    pub(super) fn mib_per_10_min(self) -> f64 {
        self.kib_per_s * 600.0 / 1024.0
    }
}

impl Report {
    /// The second half of the load: the first one fills what has a size.
    fn second_half(&self) -> &[Sample] {
        let (from, to) = self.loaded;
        self.samples.get(from.midpoint(to)..to).unwrap_or_default()
    }

    /// What grows, if each request had left `leak_bytes` behind beside what it did leave.
    pub(super) fn growth_with(&self, of: impl Fn(&Sample) -> u64, leak_bytes: f64) -> Growth {
        let half = self.second_half();
        let leaked = |sample: &Sample| of(sample) as f64 + leak_bytes * sample.requests as f64 / 1024.0;
        let points: Vec<_> = half.iter().map(|sample| (sample.at_s, leaked(sample))).collect();
        // At least twelve windows, so that there are pairs enough; longer ones in a longer run.
        let span = points.last().map_or(0.0, |last| last.0 - points[0].0);
        let requests: Vec<_> = half.iter().map(|sample| (sample.at_s, sample.requests as f64)).collect();
        Growth { kib_per_s: theil_sen(&floors(&points, WINDOW_S.max(span / 60.0))), requests_per_s: theil_sen(&requests) }
    }

    fn over_load(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        let (from, to) = self.loaded;
        let (Some(first), Some(last)) = (self.samples.get(from), self.samples.get(to - 1)) else { return 0.0 };
        (of(last) - of(first)) / (last.at_s - first.at_s).max(f64::MIN_POSITIVE)
    }

    pub(super) fn calls_per_s(&self) -> f64 {
        self.over_load(|sample| sample.calls as f64)
    }

    pub(super) fn tables(&self) -> String {
        let mut text = format!("\n{:<30} {:>8} {:>9} {:>9} {:>9}\n", "requests by kind", "count", "p50 ms", "p99 ms", "refusals");
        for (name, kind) in &self.kinds {
            let (median, late) = (kind.quantile_ms(0.5), kind.quantile_ms(0.99));
            let _ = writeln!(text, "{name:<30} {:>8} {median:>9.1} {late:>9.1} {:>9}", kind.count(), kind.refusals());
        }
        let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
        for (class, count) in self.kinds.values().flat_map(|kind| &kind.classes) {
            *classes.entry(class).or_default() += count;
        }
        let _ = writeln!(text, "\n{:<40} {:>8}", "answers by class", "count");
        classes.iter().for_each(|(class, count)| {
            let _ = writeln!(text, "{class:<40} {count:>8}");
        });
        let _ = writeln!(text, "\n{:<16} {:>10} {:>10} {:>10} {:>14}", "resources", "base", "peak", "end", "slope / 10 min");
        let memory: [(_, fn(&Sample) -> u64); 2] = [("RSS", |sample| sample.rss_kib), ("anonymous", |sample| sample.anonymous_kib)];
        for (name, of) in memory {
            let mib = |kib: u64| kib as f64 / 1024.0;
            let (peak, slope) = (self.samples.iter().map(of).max().unwrap_or(0), self.growth_with(of, 0.0).mib_per_10_min());
            let (name, base, peak, end) = (format!("{name}, MiB"), mib(of(&self.base)), mib(peak), mib(of(&self.end)));
            let _ = writeln!(text, "{name:<16} {base:>10.1} {peak:>10.1} {end:>10.1} {slope:>+14.2}");
        }
        let pooled = |sample: &Sample| sample.pooled_threads;
        let peak = self.samples.iter().map(pooled).max().unwrap_or(0);
        let _ = writeln!(text, "{:<16} {:>10} {peak:>10} {:>10}", "threads, pooled", pooled(&self.base), pooled(&self.end));
        for (at, (name, base)) in self.base.countable().into_iter().enumerate() {
            let peak = self.samples.iter().map(|sample| sample.countable()[at].1).max().unwrap_or(0);
            let _ = writeln!(text, "{name:<16} {base:>10} {peak:>10} {:>10}", self.end.countable()[at].1);
        }
        let growth = self.growth_with(|sample| sample.rss_kib, 0.0);
        let _ = writeln!(
            text,
            "\n{} s of load: {:.0} requests/s, {:.0} calls/s, {:.2} cores; RSS {:+.1} bytes a request; {} panics\n",
            self.load.as_secs(),
            growth.requests_per_s,
            self.calls_per_s(),
            self.over_load(|sample| sample.cpu_s),
            growth.bytes_per_request(),
            self.end.panics,
        );
        text
    }

    pub(super) fn json(&self) -> Value {
        let kinds = self.kinds.iter().map(|(name, kind)| {
            let (median, late) = (kind.quantile_ms(0.5), kind.quantile_ms(0.99));
            let row = json!({
                "count": kind.count(), "p50_ms": median, "p99_ms": late, "refusals": kind.refusals(), "classes": kind.classes,
            });
            ((*name).to_owned(), row)
        });
        let growth = self.growth_with(|sample| sample.rss_kib, 0.0);
        json!({
            "load_s": self.load.as_secs(),
            "load_began_s": self.samples.get(self.loaded.0).map(|sample| sample.at_s),
            "load_ended_s": self.samples.get(self.loaded.1 - 1).map(|sample| sample.at_s),
            "rss_mib_per_10_min": growth.mib_per_10_min(),
            "rss_bytes_per_request": growth.bytes_per_request(),
            "base": self.base.json(),
            "end": self.end.json(),
            "kinds": kinds.collect::<serde_json::Map<_, _>>(),
            "samples": self.samples.iter().map(Sample::json).collect::<Vec<_>>(),
        })
    }
}
