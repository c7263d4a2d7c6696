//! What the gateway uses and has, looked at from outside.

use super::site::{ACME, HOOLI, INITECH, Site, UMBRELLA};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// One look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Since the gateway was ready, in seconds.
    pub(super) at_s: f64,
    /// Requests that were answered until then.
    pub(super) requests: u64,
    pub(super) rss_kib: u64,
    /// The allocator's.
    pub(super) heap_kib: u64,
    /// All other memory that is no file's: above all that of guests, which the engine's pools keep for the next ones, and their stacks.
    pub(super) pools_kib: u64,
    pub(super) fds: u64,
    /// Those of pools not counted.
    pub(super) threads: u64,
    /// Of the runtime and of the store's library: one that was made stays for as long as each of them has something to do now and then.
    pub(super) pooled_threads: u64,
    /// Processor time of the process so far, in seconds.
    pub(super) cpu_s: f64,
    pub(super) sessions: u64,
    pub(super) streams: u64,
    pub(super) permits: u64,
    /// Calls that have ended so far.
    pub(super) calls: u64,
    pub(super) panics: u64,
    /// Records of sessions and of tasks, streams and events.
    pub(super) rows: u64,
    pub(super) store_bytes: u64,
}

/// How tokio and sled call their threads, without numbers.
const POOLS: [&str; 2] = ["tokio-rt-worker", "sled-io-"];
/// Ticks of the kernel's clock that `/proc` counts processor time in.
const TICKS_PER_S: f64 = 100.0;

fn status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the gateway runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// mimalloc takes address space a GiB at a time, readable and writable; nothing else in the process has that much of such a kind in one piece:
/// a guest's memory has 16 MiB at most here, and what lies between guests cannot be touched.
fn heap_kib(pid: u32) -> u64 {
    const HEAP_BYTES_MIN: u64 = 512 << 20;
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).expect("the gateway runs");
    let (mut is_heap, mut kib) = (false, 0);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if let Some((from, to)) = first.split_once('-') {
            let address = |text| u64::from_str_radix(text, 16).expect("an address");
            is_heap = address(to) - address(from) >= HEAP_BYTES_MIN && second == "rw-p";
        } else if is_heap && first == "Rss:" {
            kib += second.parse::<u64>().expect("a number");
        }
    }
    assert!(kib > 0, "the heap is not where it is looked for");
    kib
}

/// The names of all threads, with how many have each. The last digits of a name only number it.
pub(super) fn threads(site: &Site) -> BTreeMap<String, u64> {
    let mut names = BTreeMap::new();
    let tasks = fs::read_dir(format!("/proc/{}/task", site.gateway().pid())).expect("the gateway runs");
    // One may end while it is looked at.
    for name in tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok()) {
        *names.entry(name.trim_end().trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()).or_default() += 1;
    }
    names
}

fn cpu_s(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the gateway runs");
    // The name, in parentheses, may hold anything.
    let (_, rest) = text.rsplit_once(") ").expect("a name");
    let times = rest.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number"));
    times.sum::<f64>() / TICKS_PER_S
}

impl Sample {
    pub(super) async fn of(site: &Site) -> Self {
        let pid = site.gateway().pid();
        // First what the asking itself would change.
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("the gateway runs").count() as u64;
        let (rss_kib, heap_kib, threads) = (status(pid, "VmRSS"), heap_kib(pid), threads(site));
        let pools_kib = status(pid, "RssAnon").saturating_sub(heap_kib);
        let pooled_threads = POOLS.iter().filter_map(|name| threads.get(*name)).sum();
        let (at_s, requests, cpu_s) = (site.elapsed().as_secs_f64(), site.tally.requests(), cpu_s(pid));
        let page = site.metrics().await;
        let stats = site.control("stats").await;
        let count = |name: &str| stats[name].as_u64().unwrap_or_else(|| panic!("{name} in {stats}"));
        let tenants = [ACME, UMBRELLA, INITECH, HOOLI, "default"];
        let by_tenant = |name: &str| tenants.iter().map(|tenant| page.value(name, &[("tenant", tenant)]) as u64).sum();
        Self {
            at_s,
            requests,
            rss_kib,
            heap_kib,
            pools_kib,
            fds,
            threads: threads.values().sum::<u64>() - pooled_threads,
            pooled_threads,
            cpu_s,
            sessions: by_tenant("gatehouse_sessions_active"),
            streams: page.value("gatehouse_streams_active", &[]) as u64,
            permits: by_tenant("gatehouse_permits_in_use"),
            calls: page.sum("gatehouse_calls_total") as u64,
            panics: page.value("gatehouse_panics_total", &[]) as u64,
            rows: count("sessions") + count("tasks") + count("streams") + count("events"),
            store_bytes: stats["bytes_by_tenant"].as_object().into_iter().flatten().filter_map(|(_, bytes)| bytes.as_u64()).sum(),
        }
    }

    /// What must be back where it was: names and values.
    pub(super) fn countable(&self) -> [(&'static str, u64); 6] {
        [
            ("descriptors", self.fds),
            ("threads", self.threads),
            ("sessions", self.sessions),
            ("streams", self.streams),
            ("permits", self.permits),
            ("store rows", self.rows),
        ]
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "at_s": self.at_s, "requests": self.requests, "rss_kib": self.rss_kib, "heap_kib": self.heap_kib, "pools_kib": self.pools_kib, "fds": self.fds,
            "threads": self.threads, "pooled_threads": self.pooled_threads, "cpu_s": self.cpu_s, "sessions": self.sessions, "streams": self.streams, "permits": self.permits,
            "calls": self.calls, "panics": self.panics, "rows": self.rows, "store_bytes": self.store_bytes,
        })
    }
}
