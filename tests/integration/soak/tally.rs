//! What was done: how often, how long it took, and what the answers were.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Requests by kind.
#[derive(Default)]
pub(super) struct Tally {
    kinds: Mutex<BTreeMap<&'static str, Kind>>,
    requests: AtomicU64,
}

/// Requests of one kind.
#[derive(Default, Clone)]
pub(super) struct Kind {
    /// Sorted once it is taken.
    pub(super) times_us: Vec<u32>,
    /// Answers by their class.
    pub(super) classes: BTreeMap<String, u64>,
}

impl Kind {
    pub(super) fn count(&self) -> u64 {
        self.times_us.len() as u64
    }

    /// Answers that are no success.
    pub(super) fn refusals(&self) -> u64 {
        let refused = |class: &str| !class.starts_with('2') || class.contains(' ');
        self.classes.iter().filter(|(class, _)| refused(class)).map(|(_, count)| count).sum()
    }

    /// In milliseconds; of no requests, 0.
    pub(super) fn quantile_ms(&self, share: f64) -> f64 {
        let at = (self.times_us.len().saturating_sub(1)) as f64 * share;
        self.times_us.get(at.round() as usize).map_or(0.0, |time| f64::from(*time) / 1e3)
    }
}

impl Tally {
    pub(super) fn note(&self, kind: &'static str, took: Duration, class: &str) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut kinds = self.kinds.lock().expect("not poisoned");
        let kind = kinds.entry(kind).or_default();
        kind.times_us.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        *kind.classes.entry(class.to_owned()).or_default() += 1;
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// All so far, and begins anew.
    pub(super) fn take(&self) -> BTreeMap<&'static str, Kind> {
        let mut kinds = std::mem::take(&mut *self.kinds.lock().expect("not poisoned"));
        kinds.values_mut().for_each(|kind| kind.times_us.sort_unstable());
        kinds
    }
}
