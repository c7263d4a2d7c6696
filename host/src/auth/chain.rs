//! What policy components say together: those of the gateway first, then those of the tenant, then those of the server, each in the order
//! of the settings.
//!
//! One that denies is heard over all that allow; where none allows the answer is no; and one that does not come to an answer is a no that
//! is told apart, because the caller is not to blame. Those that look into calls are asked afterwards ([`filters`]).
//!
//! A policy whose component is not there gives no answer, at a start as after its file was removed. One that is there and cannot be used is a
//! mistake of the settings: then there is no chain at all.

mod cache;
mod credentials;
mod filters;

pub(super) use credentials::Voucher;
pub(super) use filters::{Filtered, Stopped};
pub use filters::{ResultFilters, Withheld};

use super::kept::{KeptCounts, Key};
use crate::config::{AuthConfig, Config, PolicyConfig, PolicyMode, ServerId, TenantId};
use crate::metrics;
use crate::trace::Span;
use cache::{Asked, Cache};
use mcp::JsonLimits;
use sandbox::{Action, Compartment, Decision, Denial, Digest, Fault, PolicyGuest, Question, Sandbox};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Of a policy's words, in records.
const REASON_BYTES_MAX: usize = 256;

/// A policy as it is attached.
#[derive(Debug)]
struct Attached {
    name: Arc<str>,
    /// None where its component is not there.
    present: Option<Arc<Present>>,
    mode: PolicyMode,
}

/// A policy that can be asked.
#[derive(Debug)]
struct Present {
    guest: PolicyGuest,
    /// The same for callers of tenants that are isolated strictly.
    apart: BTreeMap<TenantId, PolicyGuest>,
    settings: String,
    /// What its decisions are kept under; none where they may hang on more than the question.
    kept_as: Option<Key>,
}

/// All policies that are attached, of one generation: what they decided is forgotten with it.
#[derive(Debug)]
pub struct Policies {
    sandbox: Arc<Sandbox>,
    everywhere: Vec<Arc<Attached>>,
    /// Where nobody is asked, nothing may be done.
    required: bool,
    of_tenant: HashMap<TenantId, Vec<Arc<Attached>>>,
    at_server: HashMap<ServerId, Vec<Arc<Attached>>>,
    /// Those that know credentials.
    of_credentials: Vec<Arc<Attached>>,
    /// Those that count and are not there.
    missing: Vec<Arc<str>>,
    /// Of what they give in place of arguments.
    json: JsonLimits,
    cache: Cache,
}

/// Where something is asked: on whose behalf, at which server, and in which trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) tenant: &'a TenantId,
    /// None for the default server.
    pub(super) server: Option<&'a ServerId>,
    /// Of the request that it is for.
    pub(super) span: &'a Span,
}

/// A policy cannot be attached.
#[derive(Debug, thiserror::Error)]
#[error("the policy {name} ({file}): {reason}")]
pub struct PolicyError {
    name: String,
    file: PathBuf,
    reason: String,
}

/// What is said of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Yes.
    Allowed,
    /// No.
    Denied {
        /// The first that denied; none where nobody allowed.
        by: Option<Blame>,
        /// Scopes that would have helped.
        missing_scopes: Vec<Box<str>>,
    },
}

/// Which policy said no, and why. For records: of its words nothing goes to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// Its name.
    pub policy: Arc<str>,
    /// Its component.
    pub component: Digest,
    /// Its own words, cut.
    pub reason: Box<str>,
}

/// A policy did not come to an answer, which is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

impl Policies {
    /// None at all.
    pub fn none(sandbox: Arc<Sandbox>) -> Self {
        Self {
            sandbox,
            everywhere: Vec::new(),
            required: false,
            of_tenant: HashMap::new(),
            at_server: HashMap::new(),
            of_credentials: Vec::new(),
            missing: Vec::new(),
            json: JsonLimits::default(),
            cache: Cache::new(0),
        }
    }

    /// Loads those of the settings, and lets each look at its own. Callers of a tenant that has a compartment are decided on there.
    ///
    /// # Errors
    ///
    /// The first that cannot be read, is no policy, or refuses its settings. One that is not there is none of these.
    pub async fn load(
        config: &Config,
        sandbox: &Arc<Sandbox>,
        compartments: &BTreeMap<TenantId, Compartment>,
    ) -> Result<Self, PolicyError> {
        let loaded = Loaded::new(&config.policies, sandbox, compartments).await?;
        let missing = loaded.0.iter().filter(|(_, policy)| policy.present.is_none() && policy.mode == PolicyMode::Enforce);
        let mut all = Self::none(Arc::clone(sandbox));
        all.everywhere = loaded.for_calls(&config.gateway_policies)?;
        all.required = config.require_policy;
        all.missing = missing.map(|(_, policy)| Arc::clone(&policy.name)).collect();
        (all.json, all.cache) = (config.limits.json, Cache::new(config.limits.policies.kept_max));
        for tenant in &config.tenants {
            all.of_tenant.insert(tenant.id.clone(), loaded.for_calls(&tenant.policies)?);
        }
        for server in &config.servers {
            all.at_server.insert(server.id.clone(), loaded.for_calls(&server.policies)?);
        }
        if let AuthConfig::Tokens(tokens) = &config.auth {
            all.of_credentials = loaded.for_credentials(&tokens.policies)?;
        }
        Ok(all)
    }

    /// Policies that count and whose component is not there: wherever they are attached nothing may be done.
    pub fn missing(&self) -> &[Arc<str>] {
        &self.missing
    }

    /// Whether policies that there have to be could be asked anything. It says nothing of a single server.
    pub fn is_ready(&self) -> bool {
        let attached = || [&self.everywhere].into_iter().chain(self.of_tenant.values()).chain(self.at_server.values()).flatten();
        self.missing.is_empty() && (!self.required || attached().any(|policy| policy.counts()))
    }

    /// What the JSON of a policy may hold.
    pub(super) fn json_limits(&self) -> &JsonLimits {
        &self.json
    }

    /// All that are attached there, in the order in which they are asked.
    fn chain(&self, at: At<'_>) -> impl Iterator<Item = &Arc<Attached>> {
        let theirs = self.of_tenant.get(at.tenant).map(Vec::as_slice).unwrap_or_default();
        let here = at.server.and_then(|id| self.at_server.get(id)).map(Vec::as_slice).unwrap_or_default();
        self.everywhere.iter().chain(theirs).chain(here)
    }

    /// Those that decide who may do what.
    fn authorizers(&self, at: At<'_>) -> impl Iterator<Item = &Arc<Attached>> {
        self.chain(at).filter(|policy| policy.authorizes())
    }

    /// Whether nobody is asked there, and need not be. Filters alone are nobody: what they look into, they do not allow.
    pub(super) fn is_silent(&self, at: At<'_>) -> bool {
        !self.required && self.authorizers(at).next().is_none()
    }

    /// What they say together, of each target in its order.
    ///
    /// # Errors
    ///
    /// When one that counts does not come to an answer.
    pub(super) async fn ask(&self, at: At<'_>, question: &Question) -> Result<Vec<Said>, NoAnswer> {
        let asked = (self.cache.is_on() && self.authorizers(at).any(|policy| policy.is_pure())).then(|| Asked::of(question));
        let mut counted = false;
        let mut sayings = vec![Saying::default(); question.targets.len()];
        for policy in self.authorizers(at) {
            let Some(present) = &policy.present else {
                tracing::error!(policy = %policy.name, mode = ?policy.mode, "a policy's component is not there, so that it gives no answer");
                match policy.mode {
                    PolicyMode::Enforce => return Err(NoAnswer),
                    PolicyMode::DryRun => continue,
                }
            };
            let span = policy_span(at.span.child("policy"), &policy.name, policy.mode, question.what);
            let decided = self.decided((policy, present), at.tenant, question, (asked.as_ref(), &span)).await;
            tell(&span, decided.as_deref());
            drop(span);
            let decisions = match (decided, policy.mode) {
                (Ok(decisions), PolicyMode::Enforce) => decisions,
                (Ok(decisions), PolicyMode::DryRun) => {
                    let denied = decisions.iter().filter(|decision| matches!(decision, Decision::Deny(_))).count();
                    tracing::info!(policy = %policy.name, denied, of = decisions.len(), "a policy on trial decided");
                    continue;
                }
                (Err(fault), mode) => {
                    let no_answer = failed((&policy.name, policy.mode), &fault);
                    match mode {
                        PolicyMode::Enforce => return Err(no_answer),
                        PolicyMode::DryRun => continue,
                    }
                }
            };
            counted = true;
            sayings
                .iter_mut()
                .zip(&*decisions)
                .for_each(|(saying, decision)| saying.hear((&policy.name, present.guest.digest()), decision));
        }
        match (counted, self.required) {
            (true, _) => Ok(sayings.into_iter().map(Saying::end).collect()),
            // Those on trial count for nothing, so here is nobody.
            (false, false) => Ok(vec![Said::Allowed; question.targets.len()]),
            (false, true) => {
                tracing::error!("no policy counts here, and gateway.require_policy wants one: nothing may be done");
                Err(NoAnswer)
            }
        }
    }

    /// What a policy decides, or decided a moment ago.
    ///
    /// Dropped while the policy runs, it leaves nothing behind.
    async fn decided(
        &self,
        (policy, present): (&Attached, &Present),
        tenant: &TenantId,
        question: &Question,
        (asked, span): (Option<&Asked>, &Span),
    ) -> Result<Arc<[Decision]>, Fault> {
        let key = asked.zip(present.kept_as.as_ref()).map(|(asked, policy)| asked.to(policy));
        let now = Instant::now();
        if let Some(kept) = key.as_ref().and_then(|key| self.cache.get(key, now)) {
            metrics::POLICY_DECISIONS.count("kept");
            span.flag("gatehouse.policy.kept", true);
            tracing::debug!(policy = %policy.name, kept = true, "a policy decided");
            return Ok(kept);
        }
        span.flag("gatehouse.policy.kept", false);
        // Boxed, as in the rooms beside this one: where no policy is asked, and most requests ask none, its future is not carried along.
        let asking = Box::pin(self.sandbox.authorize(present.guest(tenant), present.settings.clone(), question.clone()));
        let decisions: Arc<[Decision]> = asking.await?.into();
        metrics::POLICY_DECISIONS.count("made");
        tracing::debug!(policy = %policy.name, kept = false, "a policy decided");
        if let Some(key) = key {
            // From when it was asked, so that no decision is older than it seems.
            self.cache.put(key, Arc::clone(&decisions), now);
        }
        Ok(decisions)
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        let KeptCounts { hits, misses } = self.cache.counts();
        if self.cache.is_on() && hits.saturating_add(misses) > 0 {
            tracing::info!(hits, misses, "policies are not asked any more; so often a decision was kept, so often it had to be made");
        }
    }
}

impl Present {
    /// Where that tenant's callers are decided on.
    fn guest(&self, tenant: &TenantId) -> &PolicyGuest {
        self.apart.get(tenant).unwrap_or(&self.guest)
    }
}

impl Attached {
    /// Of one that is not there nobody knows what it would have said.
    fn authorizes(&self) -> bool {
        self.present.as_ref().is_none_or(|present| present.guest.kinds().authorizes)
    }

    fn counts(&self) -> bool {
        self.authorizes() && self.mode == PolicyMode::Enforce
    }

    fn is_pure(&self) -> bool {
        self.present.as_ref().is_some_and(|present| present.kept_as.is_some())
    }
}

/// What a trace may know of a policy before it answers. Its own words stay out.
fn policy_span(span: Span, name: &str, mode: PolicyMode, what: Action) -> Span {
    span.text("gatehouse.policy.name", name);
    span.word("gatehouse.policy.mode", mode.as_str());
    span.word("gatehouse.policy.action", action(what));
    span
}

fn action(what: Action) -> &'static str {
    match what {
        Action::ListTools => "list-tools",
        Action::CallTool => "call-tool",
        Action::ListResources => "list-resources",
        Action::ReadResource => "read-resource",
        Action::ListPrompts => "list-prompts",
        Action::GetPrompt => "get-prompt",
        Action::Complete => "complete",
        Action::Subscribe => "subscribe",
    }
}

/// What it said; of several things, whether it said the same of all.
fn tell(span: &Span, decided: Result<&[Decision], &Fault>) {
    if !span.is_on() {
        return;
    }
    match decided {
        Ok(decisions) => {
            let word = |decision: &Decision| match decision {
                Decision::Allow => "allow",
                Decision::Deny(_) => "deny",
                Decision::Abstain => "abstain",
            };
            let mut words = decisions.iter().map(word);
            let first = words.next().unwrap_or("abstain");
            span.word("gatehouse.policy.verdict", if words.all(|word| word == first) { first } else { "mixed" });
            span.number("gatehouse.policy.targets", decisions.len() as u64);
        }
        Err(fault) => no_answer(span, fault),
    }
}

/// It came to none.
fn no_answer(span: &Span, fault: &Fault) {
    span.word("gatehouse.policy.verdict", "no_answer");
    span.failed(fault.word());
}

fn failed((policy, mode): (&Arc<str>, PolicyMode), fault: &Fault) -> NoAnswer {
    match mode {
        PolicyMode::Enforce => tracing::error!(%policy, %fault, "a policy did not come to an answer, which counts as no"),
        PolicyMode::DryRun => tracing::warn!(%policy, %fault, "a policy on trial did not come to an answer"),
    }
    NoAnswer
}

/// Those of the settings, wherever they are attached.
struct Loaded<'c>(Vec<(&'c PolicyConfig, Arc<Attached>)>);

impl<'c> Loaded<'c> {
    async fn new(
        policies: &'c [PolicyConfig],
        sandbox: &Sandbox,
        compartments: &BTreeMap<TenantId, Compartment>,
    ) -> Result<Self, PolicyError> {
        let mut loaded = Vec::with_capacity(policies.len());
        for policy in policies {
            let attached = attach(policy, sandbox, compartments).await.map_err(|reason| PolicyError::new(policy, reason))?;
            loaded.push((policy, Arc::new(attached)));
        }
        Ok(Self(loaded))
    }

    fn for_calls(&self, names: &[String]) -> Result<Vec<Arc<Attached>>, PolicyError> {
        let asked = |policy: &Attached| policy.present.as_ref().is_none_or(|present| present.guest.kinds().looks_at_calls());
        self.named(
            names,
            asked,
            "it exports neither `authorizer` nor `call-filter` of `gatehouse:policy`, and is attached where these are asked",
        )
    }

    fn for_credentials(&self, names: &[String]) -> Result<Vec<Arc<Attached>>, PolicyError> {
        self.named(names, Attached::authenticates, "it exports no `authenticator` of `gatehouse:policy`, and stands in auth.policies")
    }

    fn named(&self, names: &[String], can: impl Fn(&Attached) -> bool, cannot: &str) -> Result<Vec<Arc<Attached>>, PolicyError> {
        let found = names.iter().filter_map(|name| self.0.iter().find(|(config, _)| config.name == *name));
        found
            .map(|(config, policy)| if can(policy) { Ok(Arc::clone(policy)) } else { Err(PolicyError::new(config, cannot.to_owned())) })
            .collect()
    }
}

impl PolicyError {
    fn new(policy: &PolicyConfig, reason: String) -> Self {
        Self { name: policy.name.clone(), file: policy.file.clone(), reason }
    }
}

async fn attach(policy: &PolicyConfig, sandbox: &Sandbox, compartments: &BTreeMap<TenantId, Compartment>) -> Result<Attached, String> {
    let (name, mode) = (policy.name.as_str().into(), policy.mode);
    let bytes = match tokio::fs::read(&policy.file).await {
        Ok(bytes) => bytes,
        // The operator may be about to put it there, and a start that fails would not be told apart from a mistake; and once it was
        // there, the rules that went on without it would be nobody's.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let file = policy.file.display();
            tracing::error!(policy = %policy.name, %file, "a policy's component is not there: where it is attached nothing may be done");
            return Ok(Attached { name, present: None, mode });
        }
        Err(error) => return Err(format!("it cannot be read: {error}")),
    };
    let guest = sandbox.load_policy(bytes.into()).await.map_err(|error| error.to_string())?;
    let kinds = guest.kinds();
    match sandbox.check_settings(&guest, policy.settings.clone()).await {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => return Err(format!("it refuses its settings: {}", mcp::text::line(&reason, 512))),
        Err(fault) => return Err(format!("it could not look at its settings: {fault}")),
    }
    let mut apart = BTreeMap::new();
    if kinds.looks_at_calls() {
        for (tenant, compartment) in compartments {
            let copy = sandbox.copy_policy(&guest, compartment).await;
            apart.insert(tenant.clone(), copy.map_err(|error| format!("for the tenant {tenant}: {error}"))?);
        }
    }
    let settings = policy.settings.clone();
    let kept_as = kinds.pure.then(|| cache::identity(guest.digest(), &settings));
    Ok(Attached { name, present: Some(Arc::new(Present { guest, apart, settings, kept_as })), mode })
}

/// What was heard of one target so far.
#[derive(Debug, Clone, Default)]
struct Saying {
    allowed: bool,
    denied: bool,
    /// Who denied first.
    by: Option<Blame>,
    missing_scopes: Vec<Box<str>>,
}

impl Saying {
    fn hear(&mut self, (policy, component): (&Arc<str>, Digest), decision: &Decision) {
        match decision {
            Decision::Allow => self.allowed = true,
            Decision::Abstain => {}
            Decision::Deny(denial) => {
                tracing::debug!(%policy, reason = %mcp::text::line(&denial.reason, 256), "a policy denied");
                self.denied = true;
                self.by.get_or_insert_with(|| Blame::of(policy, component, &denial.reason));
                self.missing_scopes.extend(scopes(denial));
            }
        }
    }

    fn end(self) -> Said {
        if self.allowed && !self.denied { Said::Allowed } else { Said::Denied { by: self.by, missing_scopes: self.missing_scopes } }
    }
}

impl Blame {
    fn of(policy: &Arc<str>, component: Digest, reason: &str) -> Self {
        let cut = reason.get(..reason.floor_char_boundary(REASON_BYTES_MAX)).unwrap_or_default();
        Self { policy: Arc::clone(policy), component, reason: cut.into() }
    }
}

/// Scopes that would have helped, as far as a challenge can name them.
fn scopes(denial: &Denial) -> impl Iterator<Item = Box<str>> {
    denial.missing_scopes.iter().filter(|scope| token::is_scope(scope)).map(|scope| scope.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::Denial;

    fn said(decisions: &[Decision]) -> Said {
        let mut saying = Saying::default();
        decisions.iter().for_each(|decision| saying.hear((&"p".into(), Digest::of(b"p")), decision));
        saying.end()
    }

    #[test]
    fn a_no_is_heard_over_every_yes_and_silence_is_a_no() {
        let deny = |scopes: &[&str]| {
            Decision::Deny(Denial { reason: "r".to_owned(), missing_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect() })
        };
        let denied = |scopes: &[&str]| Said::Denied {
            by: Some(Blame { policy: "p".into(), component: Digest::of(b"p"), reason: "r".into() }),
            missing_scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
        };
        assert_eq!(said(&[Decision::Allow]), Said::Allowed);
        assert_eq!(said(&[Decision::Abstain, Decision::Allow, Decision::Abstain]), Said::Allowed);
        for no in [&[][..], &[Decision::Abstain], &[Decision::Abstain, Decision::Abstain]] {
            assert_eq!(said(no), Said::Denied { by: None, missing_scopes: Vec::new() });
        }
        assert_eq!(said(&[Decision::Allow, deny(&["a"])]), denied(&["a"]));
        assert_eq!(said(&[deny(&["a"]), Decision::Allow, deny(&["b"])]), denied(&["a", "b"]));
        assert_eq!(said(&[deny(&["a b", "a\"", "", "ok"])]), denied(&["ok"]), "what would break out of a challenge is left out");
    }
}
