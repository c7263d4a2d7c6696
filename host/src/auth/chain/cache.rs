//! Decisions that need not be made again: of policies whose answer hangs on the question alone, for some seconds.
//!
//! The key is SHA-256 over all that an answer can hang on: the component, its settings, and the whole question, claims and arguments included.
//! So a token with other claims, or other settings, is another question. No answer (a fault) is never kept, and what filters say neither.

use crate::auth::kept::{Kept, KeptCounts, Key};
use sandbox::{Action, Decision, Digest, Principal, Question, Target, TargetKind};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a decision is good for.
const AGE_MAX: Duration = Duration::from_secs(5);

/// Decisions by their questions.
#[derive(Debug)]
pub(super) struct Cache(Kept<Arc<[Decision]>>);

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
        Self(Kept::new(entries_max, AGE_MAX))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_on()
    }

    pub(super) fn counts(&self) -> KeptCounts {
        self.0.counts()
    }

    /// What was decided a moment ago.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Arc<[Decision]>> {
        self.0.get(key, now)
    }

    /// Keeps what was decided at that time.
    pub(super) fn put(&self, key: Key, decisions: Arc<[Decision]>, now: Instant) {
        let bytes = decisions.iter().map(bytes).sum();
        self.0.put(key, decisions, bytes, now);
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
