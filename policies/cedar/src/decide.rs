//! Cedar's answer, as one of ours.

use crate::request::{Asker, context};
use crate::settings::Settings;
use cedar_policy::{AuthorizationError, Authorizer, Context, Effect, PolicyId, PolicySet, Request};
use kit::types::{Action, Decision, Denial, Principal, Target};

/// One decision for each target.
///
/// # Errors
///
/// Claims or arguments cannot be read, so that nothing can be asked.
pub(crate) fn decide_all(
    settings: &Settings,
    who: &Principal,
    what: Action,
    targets: &[Target],
    arguments: Option<&str>,
) -> Result<Vec<Decision>, String> {
    let asker = Asker::new(settings, who, what)?;
    let context = context(arguments)?;
    targets.iter().map(|target| decide(settings, &asker, who, target, context.clone())).collect()
}

fn decide(settings: &Settings, asker: &Asker, who: &Principal, target: &Target, context: Context) -> Result<Decision, String> {
    let asked = asker.ask(target)?;
    let request = Request::new(asker.principal.clone(), asked.action, asked.resource, context, None).map_err(|error| error.to_string())?;
    let response = Authorizer::new().is_authorized(&request, &settings.policies, &asked.entities);
    let effect = |id: &PolicyId| settings.policies.policy(id).map(cedar_policy::Policy::effect);

    // Cedar leaves out a policy that fails: without its permit the answer gets no wider. Without its forbid it does, so that one is a no.
    let failed = response.diagnostics().errors().find(|error| effect(failed_policy(error)) != Some(Effect::Permit));
    if let Some(error) = failed {
        return Ok(deny(format!("policy {} failed, and it may forbid this", name(&settings.policies, failed_policy(error))), Vec::new()));
    }
    let mut reasons = response.diagnostics().reason().peekable();
    if reasons.peek().is_none() {
        return Ok(Decision::Abstain);
    }
    let forbidding: Vec<_> = reasons.filter(|id| effect(id) != Some(Effect::Permit)).collect();
    if forbidding.is_empty() {
        return Ok(Decision::Allow);
    }
    let mut names: Vec<_> = forbidding.iter().map(|id| name(&settings.policies, id)).collect();
    // The order of Cedar's answer is that of a hash table.
    names.sort();
    let mut missing: Vec<String> = Vec::new();
    let named = forbidding.iter().filter_map(|id| settings.policies.annotation(id, "missing_scopes")).flat_map(str::split_whitespace);
    for scope in named {
        if !who.scopes.iter().chain(&missing).any(|known| known == scope) {
            missing.push(scope.to_owned());
        }
    }
    missing.sort();
    Ok(deny(format!("forbidden by {}", names.join(", ")), missing))
}

fn failed_policy(error: &AuthorizationError) -> &PolicyId {
    match error {
        AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
    }
}

/// As its author calls it, with `@id("…")`; otherwise Cedar counts: `policy0`.
fn name(policies: &PolicySet, id: &PolicyId) -> String {
    policies.annotation(id, "id").map_or_else(|| id.to_string(), ToOwned::to_owned)
}

fn deny(reason: String, missing_scopes: Vec<String>) -> Decision {
    Decision::Deny(Denial { reason, missing_scopes })
}
