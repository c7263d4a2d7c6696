//! Policies that look into calls: into the arguments before the guest runs, in the order of the chain, and into the result after it, in the
//! reverse order.
//!
//! A filter never says that something may be done: that was decided before. One that does not come to an answer, or whose answer cannot be
//! taken, has said no.

use super::{At, Blame, NoAnswer, Policies, Present, failed, no_answer, policy_span, scopes};
use crate::config::PolicyMode;
use crate::trace::Span;
use sandbox::{Action, FilteredCall, PolicyGuest, ResultVerdict, Sandbox, Verdict};
use std::sync::Arc;

/// What filters made of a call.
#[derive(Debug)]
pub(in crate::auth) struct Filtered {
    /// Other arguments, where one gave such.
    pub arguments: Option<String>,
    /// Who looks at the result; none where nobody does.
    pub results: Option<ResultFilters>,
}

/// A filter ends a call before its guest runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::auth) enum Stopped {
    /// It says no.
    Denied {
        /// Which.
        by: Blame,
        /// Scopes that would have helped.
        missing_scopes: Vec<Box<str>>,
    },
    /// It did not come to an answer that counts.
    NoAnswer,
}

impl From<NoAnswer> for Stopped {
    fn from(_: NoAnswer) -> Self {
        Self::NoAnswer
    }
}

/// A policy that looks into calls. One that is not there is none: nothing gets so far past authorizers where it is attached.
#[derive(Debug, Clone)]
struct Filter {
    name: Arc<str>,
    mode: PolicyMode,
    present: Arc<Present>,
    /// Where the call's tenant is decided on.
    guest: PolicyGuest,
}

/// Those who look at the result of one call.
#[derive(Debug)]
pub struct ResultFilters {
    sandbox: Arc<Sandbox>,
    filters: Vec<Filter>,
    call: FilteredCall,
    /// Of the request.
    span: Span,
}

/// A result that its client must not see: a filter said so, or came to no answer that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld(pub Blame);

impl Policies {
    /// Those that look into calls there, in their order.
    fn filters<'a>(&'a self, at: At<'a>) -> impl Iterator<Item = Filter> + use<'a> {
        self.chain(at).filter_map(move |policy| {
            let present = policy.present.as_ref().filter(|present| present.guest.kinds().filters)?;
            let guest = present.guest(at.tenant).clone();
            Some(Filter { name: Arc::clone(&policy.name), mode: policy.mode, present: Arc::clone(present), guest })
        })
    }

    /// Whether nobody looks into calls there.
    pub(in crate::auth) fn filters_nothing(&self, at: At<'_>) -> bool {
        self.filters(at).next().is_none()
    }

    /// What filters make of a call that may be made. `fits` says whether arguments can be taken in place of those that came.
    ///
    /// # Errors
    ///
    /// When one that counts ends the call.
    pub(in crate::auth) async fn filter(
        &self,
        at: At<'_>,
        mut call: FilteredCall,
        fits: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Filtered, Stopped> {
        let filters: Vec<Filter> = self.filters(at).collect();
        let mut changed = false;
        for policy in &filters {
            let span = policy.span(at.span, "call", call.what);
            let asking = self.sandbox.filter_call(&policy.guest, policy.present.settings.clone(), call.clone());
            let verdict = Box::pin(asking).await;
            match &verdict {
                Ok(verdict) => span.word("gatehouse.policy.verdict", word(verdict)),
                Err(fault) => no_answer(&span, fault),
            }
            drop(span);
            let verdict = verdict.map_err(|fault| failed((&policy.name, policy.mode), &fault));
            match (verdict, policy.mode) {
                (Ok(verdict), PolicyMode::DryRun) => on_trial(policy, word(&verdict)),
                (Err(_), PolicyMode::DryRun) | (Ok(Verdict::Proceed), PolicyMode::Enforce) => {}
                (Ok(Verdict::ProceedWith(arguments)), PolicyMode::Enforce) if fits(&arguments) => {
                    tracing::debug!(policy = %policy.name, "a policy changed the arguments of a call");
                    (call.arguments, changed) = (arguments, true);
                }
                (Ok(Verdict::ProceedWith(_)), PolicyMode::Enforce) => {
                    tracing::error!(policy = %policy.name, "a policy gave arguments that cannot be taken, which counts as no");
                    return Err(Stopped::NoAnswer);
                }
                (Ok(Verdict::Deny(denial)), PolicyMode::Enforce) => {
                    tracing::debug!(policy = %policy.name, reason = %mcp::text::line(&denial.reason, 256), "a policy denied");
                    return Err(Stopped::Denied { by: policy.blame(&denial.reason), missing_scopes: scopes(&denial).collect() });
                }
                (Err(NoAnswer), PolicyMode::Enforce) => return Err(Stopped::NoAnswer),
            }
        }
        let arguments = changed.then(|| call.arguments.clone());
        let results =
            (!filters.is_empty()).then(|| ResultFilters { sandbox: Arc::clone(&self.sandbox), filters, call, span: at.span.clone() });
        Ok(Filtered { arguments, results })
    }
}

impl ResultFilters {
    /// Whether one of them can change or withhold: then nothing else that the guest says may go past them.
    pub fn enforce(&self) -> bool {
        self.filters.iter().any(|policy| policy.mode == PolicyMode::Enforce)
    }

    /// What becomes of a result; none if it stays as it is. `read` takes a result in place of the guest's, or says why not.
    ///
    /// Cancel-safe: nothing but the answer comes of it.
    ///
    /// # Errors
    ///
    /// When the client must not see it.
    pub async fn look_at<T>(&self, mut reply: String, read: &(dyn Fn(&str) -> Result<T, String> + Sync)) -> Result<Option<T>, Withheld> {
        let mut taken = None;
        for policy in self.filters.iter().rev() {
            let withheld = |reason: &str| Withheld(policy.blame(reason));
            let (guest, settings) = (&policy.guest, policy.present.settings.clone());
            let span = policy.span(&self.span, "result", self.call.what);
            let verdict = Box::pin(self.sandbox.filter_result(guest, settings, self.call.clone(), reply.clone())).await;
            match &verdict {
                Ok(ResultVerdict::Pass) => span.word("gatehouse.policy.verdict", "pass"),
                Ok(ResultVerdict::Replace(_)) => span.word("gatehouse.policy.verdict", "replace"),
                Ok(ResultVerdict::Withhold(_)) => span.word("gatehouse.policy.verdict", "withhold"),
                Err(fault) => no_answer(&span, fault),
            }
            drop(span);
            let verdict = verdict.map_err(|fault| failed((&policy.name, policy.mode), &fault));
            match (verdict, policy.mode) {
                (Ok(verdict), PolicyMode::DryRun) => on_trial(policy, result_word(&verdict, |text| read(text).is_ok())),
                (Err(_), PolicyMode::DryRun) | (Ok(ResultVerdict::Pass), PolicyMode::Enforce) => {}
                (Ok(ResultVerdict::Replace(text)), PolicyMode::Enforce) => match read(&text) {
                    Ok(result) => {
                        tracing::debug!(policy = %policy.name, "a policy changed a result");
                        (taken, reply) = (Some(result), text);
                    }
                    Err(reason) => {
                        let reason = mcp::text::line(&reason, 512);
                        tracing::error!(policy = %policy.name, %reason, "a policy gave a result that cannot be taken: it is withheld");
                        return Err(withheld("what it gave instead cannot be taken"));
                    }
                },
                (Ok(ResultVerdict::Withhold(reason)), PolicyMode::Enforce) => {
                    tracing::info!(policy = %policy.name, reason = %mcp::text::line(&reason, 256), "a policy withheld a result");
                    return Err(withheld(&reason));
                }
                (Err(NoAnswer), PolicyMode::Enforce) => return Err(withheld("it did not come to an answer")),
            }
        }
        Ok(taken)
    }
}

impl Filter {
    fn span(&self, request: &Span, looks_at: &'static str, what: Action) -> Span {
        let span = policy_span(request.child("filter"), &self.name, self.mode, what);
        span.word("gatehouse.filter.of", looks_at);
        span
    }

    fn blame(&self, reason: &str) -> Blame {
        Blame::of(&self.name, self.present.guest.digest(), reason)
    }
}

fn on_trial(policy: &Filter, verdict: &'static str) {
    tracing::info!(policy = %policy.name, verdict, "a filter on trial decided");
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Proceed => "proceed",
        Verdict::ProceedWith(_) => "proceed-with",
        Verdict::Deny(_) => "deny",
    }
}

fn result_word(verdict: &ResultVerdict, fits: impl Fn(&str) -> bool) -> &'static str {
    match verdict {
        ResultVerdict::Pass => "pass",
        ResultVerdict::Replace(text) if fits(text) => "replace",
        ResultVerdict::Replace(_) => "replace, and what it gave cannot be taken",
        ResultVerdict::Withhold(_) => "withhold",
    }
}
