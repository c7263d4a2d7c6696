//! What is revoked at one moment. It never changes, and is replaced whole.

use super::running::Work;
use super::target::{Target, What, Who};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A way out of an emergency, not a second rule book.
pub(super) const COUNT_MAX: usize = 10_000;
const REASON_BYTES_MAX: usize = 1_024;

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// What.
    pub target: Target,
    /// Why: the operator's words, for records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// Until when; none: until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

impl Revocation {
    /// Whether its time has passed.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until_ms| until_ms <= now_ms)
    }

    /// Whether its texts are within their limits.
    pub fn is_sound(&self) -> bool {
        self.target.is_sound() && self.reason.as_ref().is_none_or(|reason| reason.len() <= REASON_BYTES_MAX)
    }
}

/// The time in the form that revocations have.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// All of one moment.
#[derive(Debug, Default)]
pub struct Set {
    all: Vec<Revocation>,
    /// Those of callers by tenant or subject, and those of what they use by plugin or tool.
    callers: HashMap<Box<str>, Vec<Target>>,
    used: HashMap<Box<str>, Vec<Target>>,
}

impl Set {
    pub(super) fn new(all: Vec<Revocation>) -> Self {
        let mut set = Self::default();
        for Revocation { target, .. } in &all {
            let place = if target.is_of_callers() { &mut set.callers } else { &mut set.used };
            place.entry(target.name().into()).or_default().push(target.clone());
        }
        set.all = all;
        set
    }

    /// In the order in which they came.
    pub fn all(&self) -> &[Revocation] {
        &self.all
    }

    /// Whether somebody may not come in.
    pub fn bars(&self, who: Who<'_>) -> bool {
        if self.callers.is_empty() {
            return false;
        }
        let names = [Some(who.tenant), who.subject].into_iter().flatten();
        names.filter_map(|name| self.callers.get(name)).flatten().any(|target| target.bars(who))
    }

    /// Whether something is not there for a tenant.
    pub fn hides(&self, tenant: &str, what: What<'_>) -> bool {
        if self.used.is_empty() {
            return false;
        }
        let names = [Some(what.plugin), what.tool].into_iter().flatten();
        names.filter_map(|name| self.used.get(name)).flatten().any(|target| target.hides(tenant, what))
    }

    /// Whether a call may not go on.
    pub(super) fn covers(&self, work: &Work) -> bool {
        self.bars(work.who()) || self.hides(work.tenant.as_str(), work.what())
    }
}
