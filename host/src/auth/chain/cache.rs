//! Decisions that need not be made again: of policies whose answer hangs on the question alone, for some seconds.
//!
//! The key is SHA-256 over all that an answer can hang on: the component, its settings, and the whole question, claims and arguments included.
//! So a token with other claims, or other settings, is another question. No answer (a fault) is never kept, and what filters say neither.

use parking_lot::Mutex;
use sandbox::{Action, Decision, Digest, Principal, Question, Target, TargetKind};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long a decision is good for.
const AGE_MAX: Duration = Duration::from_secs(5);
/// Locks, so that calls at once seldom meet at one.
const SHARDS: usize = 16;
/// Of all decisions that are kept, about.
const BYTES_MAX: usize = 16 << 20;
/// What an entry takes beside its decisions, about.
const ENTRY_BYTES: usize = 160;

/// What a decision hangs on.
pub(super) type Key = [u8; 32];

/// Decisions by their questions.
#[derive(Debug)]
pub(super) struct Cache {
    shards: Vec<Mutex<Shard>>,
    /// Of one shard.
    entries_max: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How often a decision was there, and how often not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CacheCounts {
    /// It was.
    pub(super) hits: u64,
    /// It had to be made.
    pub(super) misses: u64,
}

#[derive(Debug, Default)]
struct Shard {
    decisions: HashMap<Key, (Instant, Arc<[Decision]>)>,
    /// All of them in the order in which they came, which is about that of their age: each lives as long as any other.
    order: VecDeque<(Instant, Key, usize)>,
    bytes: usize,
}

/// A question as one hash: made once, however many policies are asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked(Key);

/// A policy as it is attached, as one hash.
pub(super) fn identity(component: Digest, settings: &str) -> Key {
    let mut hash = Hash(Sha256::new());
    hash.0.update(component.as_bytes());
    hash.text(settings);
    hash.0.finalize().into()
}

impl Asked {
    pub(super) fn of(question: &Question) -> Self {
        let Question { who, what, targets, arguments } = question;
        let Principal { tenant, issuer, subject, scopes, claims } = who;
        let mut hash = Hash(Sha256::new());
        hash.text(tenant);
        [issuer, subject, claims, arguments].into_iter().for_each(|text| hash.optional(text.as_deref()));
        hash.texts(scopes);
        hash.0.update([match what {
            Action::ListTools => 0,
            Action::CallTool => 1,
            Action::ListResources => 2,
            Action::ReadResource => 3,
            Action::ListPrompts => 4,
            Action::GetPrompt => 5,
            Action::Complete => 6,
            Action::Subscribe => 7,
        }]);
        hash.count(targets.len());
        for Target { server, kind, name, plugin, read_only, destructive, scopes } in targets {
            [server, name, plugin].into_iter().for_each(|text| hash.text(text));
            let kind = match kind {
                TargetKind::Tool => 0,
                TargetKind::Resource => 1,
                TargetKind::ResourceTemplate => 2,
                TargetKind::Prompt => 3,
            };
            let flag = |flag: &Option<bool>| flag.map_or(2, u8::from);
            hash.0.update([kind, flag(read_only), flag(destructive)]);
            hash.texts(scopes);
        }
        Self(hash.0.finalize().into())
    }

    /// The same question to a policy.
    pub(super) fn to(&self, policy: &Key) -> Key {
        Sha256::new().chain_update(policy).chain_update(self.0).finalize().into()
    }
}

/// Texts with their lengths, so that no two questions are hashed alike.
struct Hash(Sha256);

impl Hash {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text);
    }

    fn optional(&mut self, text: Option<&str>) {
        self.0.update([u8::from(text.is_some())]);
        self.text(text.unwrap_or_default());
    }

    fn texts(&mut self, texts: &[String]) {
        self.count(texts.len());
        texts.iter().for_each(|text| self.text(text));
    }
}

impl Cache {
    /// For so many decisions; none at all for 0.
    pub(super) fn new(entries_max: usize) -> Self {
        let shards = if entries_max == 0 { 0 } else { SHARDS.min(entries_max) };
        let entries_max = entries_max.checked_div(shards).unwrap_or_default();
        Self { shards: (0..shards).map(|_| Mutex::default()).collect(), entries_max, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(super) fn is_on(&self) -> bool {
        !self.shards.is_empty()
    }

    pub(super) fn counts(&self) -> CacheCounts {
        CacheCounts { hits: self.hits.load(Relaxed), misses: self.misses.load(Relaxed) }
    }

    fn shard(&self, key: &Key) -> Option<&Mutex<Shard>> {
        let first = key.first().copied().map(usize::from)?;
        self.shards.get(first.checked_rem(self.shards.len())?)
    }

    /// What was decided a moment ago.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Arc<[Decision]>> {
        let found = self.shard(key).and_then(|shard| {
            let mut shard = shard.lock();
            shard.forget_until(now);
            let (at, decisions) = shard.decisions.get(key)?;
            (now.saturating_duration_since(*at) < AGE_MAX).then(|| Arc::clone(decisions))
        });
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Relaxed);
        found
    }

    /// Keeps what was decided at that time. Two that decided at once have decided alike: the first stays.
    pub(super) fn put(&self, key: Key, decisions: Arc<[Decision]>, now: Instant) {
        let Some(shard) = self.shard(&key) else { return };
        let bytes = ENTRY_BYTES.saturating_add(decisions.iter().map(bytes).sum());
        let bytes_max = BYTES_MAX / SHARDS;
        if bytes > bytes_max {
            return;
        }
        let mut shard = shard.lock();
        shard.forget_until(now);
        if shard.decisions.contains_key(&key) {
            return;
        }
        while shard.decisions.len() >= self.entries_max || shard.bytes.saturating_add(bytes) > bytes_max {
            if !shard.forget_oldest() {
                return;
            }
        }
        shard.decisions.insert(key, (now, decisions));
        shard.order.push_back((now, key, bytes));
        shard.bytes = shard.bytes.saturating_add(bytes);
    }
}

impl Shard {
    fn forget_until(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, ..)| now.saturating_duration_since(*at) >= AGE_MAX) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, key, bytes)) = self.order.pop_front() else { return false };
        self.decisions.remove(&key);
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }
}

fn bytes(decision: &Decision) -> usize {
    let own = size_of::<Decision>();
    match decision {
        Decision::Allow | Decision::Abstain => own,
        Decision::Deny(denial) => {
            let scopes = denial.missing_scopes.iter().map(|scope| scope.len().saturating_add(size_of::<String>())).sum::<usize>();
            own.saturating_add(denial.reason.len()).saturating_add(scopes)
        }
    }
}

#[cfg(test)]
mod tests;
