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

/// How something went in the second half of the load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    pub(super) kib_per_s: f64,
    /// How long that half was, and how many requests it had.
    span_s: f64,
    requests: f64,
}

impl Growth {
    pub(super) fn bytes_per_request(self) -> f64 {
        self.drift_kib() * 1024.0 / self.requests.max(1.0)
    }

    pub(super) fn mib_per_10_min(self) -> f64 {
        self.kib_per_s * 600.0 / 1024.0
    }

    /// All of it, from the middle of the load to its end.
    pub(super) fn drift_kib(self) -> f64 {
        self.kib_per_s * self.span_s
    }
}

impl Report {
    /// The second half of the load: the first one fills what has a size.
    fn second_half(&self) -> &[Sample] {
        let (from, to) = self.loaded;
        self.samples.get(from.midpoint(to)..to).unwrap_or_default()
    }

    /// How this grew, or would have grown if each request had left so many bytes behind beside what it did leave.
    pub(super) fn growth(&self, of: fn(&Sample) -> u64, leak_bytes: f64) -> Growth {
        let half = self.second_half();
        let leaked = |sample: &Sample| of(sample) as f64 + leak_bytes * sample.requests as f64 / 1024.0;
        let points: Vec<_> = half.iter().map(|sample| (sample.at_s, leaked(sample))).collect();
        let (Some(first), Some(last)) = (half.first(), half.last()) else { return Growth { kib_per_s: 0.0, span_s: 0.0, requests: 0.0 } };
        let span_s = last.at_s - first.at_s;
        // Longer windows in a longer run: the pairs of sixty are enough.
        let kib_per_s = theil_sen(&floors(&points, WINDOW_S.max(span_s / 60.0)));
        Growth { kib_per_s, span_s, requests: (last.requests - first.requests) as f64 }
    }

    /// The smallest leak, in bytes a request, with which this run would have drifted by more than that.
    pub(super) fn finds_from(&self, of: fn(&Sample) -> u64, drift_max_kib: f64) -> f64 {
        (0..100_000).map(f64::from).find(|leak| self.growth(of, *leak).drift_kib() > drift_max_kib).unwrap_or(f64::INFINITY)
    }

    /// The most that there ever was.
    pub(super) fn peak(&self, of: impl Fn(&Sample) -> u64) -> u64 {
        self.samples.iter().map(of).max().unwrap_or(0)
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
        type Of = fn(&Sample) -> u64;
        let memory: [(_, Of); 3] =
            [("RSS", |sample| sample.rss_kib), ("heap", |sample| sample.heap_kib), ("pools", |sample| sample.pools_kib)];
        for (name, of) in memory {
            let mib = |kib: u64| kib as f64 / 1024.0;
            let (peak, slope) = (self.peak(of), self.growth(of, 0.0).mib_per_10_min());
            let (name, base, peak, end) = (format!("{name}, MiB"), mib(of(&self.base)), mib(peak), mib(of(&self.end)));
            let _ = writeln!(text, "{name:<16} {base:>10.1} {peak:>10.1} {end:>10.1} {slope:>+14.2}");
        }
        let pooled = |sample: &Sample| sample.pooled_threads;
        let peak = self.peak(pooled);
        let _ = writeln!(text, "{:<16} {:>10} {peak:>10} {:>10}", "threads, pooled", pooled(&self.base), pooled(&self.end));
        for (at, (name, base)) in self.base.countable().into_iter().enumerate() {
            let peak = self.peak(|sample| sample.countable()[at].1);
            let _ = writeln!(text, "{name:<16} {base:>10} {peak:>10} {:>10}", self.end.countable()[at].1);
        }
        let _ = writeln!(
            text,
            "\n{} s of load: {:.0} requests/s, {:.0} calls/s, {:.2} cores; heap {:+.1} bytes a request; {} panics\n",
            self.load.as_secs(),
            self.over_load(|sample| sample.requests as f64),
            self.calls_per_s(),
            self.over_load(|sample| sample.cpu_s),
            self.growth(|sample| sample.heap_kib, 0.0).bytes_per_request(),
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
        let growth = |of| self.growth(of, 0.0);
        let heap = growth(|sample| sample.heap_kib);
        json!({
            "load_s": self.load.as_secs(),
            "load_began_s": self.samples.get(self.loaded.0).map(|sample| sample.at_s),
            "load_ended_s": self.samples.get(self.loaded.1 - 1).map(|sample| sample.at_s),
            "rss_mib_per_10_min": growth(|sample| sample.rss_kib).mib_per_10_min(),
            "heap_mib_per_10_min": heap.mib_per_10_min(),
            "heap_bytes_per_request": heap.bytes_per_request(),
            "base": self.base.json(),
            "end": self.end.json(),
            "kinds": kinds.collect::<serde_json::Map<_, _>>(),
            "samples": self.samples.iter().map(Sample::json).collect::<Vec<_>>(),
        })
    }
}
