//! What policy components say together: those of the gateway first, then those of the tenant, then those of the server, each in the order
//! of the settings.
//!
//! One that denies is heard over all that allow; where none allows the answer is no; and one that does not come to an answer is a no that
//! is told apart, because the caller is not to blame.

use crate::config::{Config, PolicyConfig, PolicyMode, ServerId, TenantId};
use sandbox::{Decision, Fault, PolicyGuest, Question, Sandbox};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A policy as it is attached.
#[derive(Debug)]
struct Attached {
    name: Arc<str>,
    guest: PolicyGuest,
    settings: String,
    mode: PolicyMode,
}

/// All policies that are attached.
#[derive(Debug)]
pub struct Policies {
    sandbox: Arc<Sandbox>,
    everywhere: Vec<Arc<Attached>>,
    /// Where nobody is asked, nothing may be done.
    required: bool,
    of_tenant: HashMap<TenantId, Vec<Arc<Attached>>>,
    at_server: HashMap<ServerId, Vec<Arc<Attached>>>,
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
pub enum Said {
    /// Yes.
    Allowed,
    /// No.
    Denied {
        /// Scopes that would have helped.
        missing_scopes: Vec<Box<str>>,
    },
}

/// A policy did not come to an answer, which is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

impl Policies {
    /// None at all.
    pub fn none(sandbox: Arc<Sandbox>) -> Self {
        Self { sandbox, everywhere: Vec::new(), required: false, of_tenant: HashMap::new(), at_server: HashMap::new() }
    }

    /// Loads those of the settings, and lets each look at its own.
    ///
    /// # Errors
    ///
    /// The first that cannot be read, is no policy, or refuses its settings.
    pub async fn load(config: &Config, sandbox: &Arc<Sandbox>) -> Result<Self, PolicyError> {
        let mut loaded: HashMap<&str, Arc<Attached>> = HashMap::new();
        for policy in &config.policies {
            let attached = attach(policy, sandbox).await;
            let attached = attached.map_err(|reason| PolicyError { name: policy.name.clone(), file: policy.file.clone(), reason })?;
            loaded.insert(&policy.name, Arc::new(attached));
        }
        let named = |names: &[String]| names.iter().filter_map(|name| loaded.get(name.as_str()).cloned()).collect::<Vec<_>>();
        let of_tenant = config.tenants.iter().map(|tenant| (tenant.id.clone(), named(&tenant.policies)));
        let at_server = config.servers.iter().map(|server| (server.id.clone(), named(&server.policies)));
        Ok(Self {
            sandbox: Arc::clone(sandbox),
            everywhere: named(&config.gateway_policies),
            required: config.require_policy,
            of_tenant: of_tenant.collect(),
            at_server: at_server.collect(),
        })
    }

    /// Whether nobody is asked of that tenant at that server, and need not be.
    pub fn is_silent(&self, tenant: &TenantId, server: Option<&ServerId>) -> bool {
        !self.required && self.chain(tenant, server).next().is_none()
    }

    fn chain(&self, tenant: &TenantId, server: Option<&ServerId>) -> impl Iterator<Item = &Arc<Attached>> {
        let theirs = self.of_tenant.get(tenant).map(Vec::as_slice).unwrap_or_default();
        let here = server.and_then(|id| self.at_server.get(id)).map(Vec::as_slice).unwrap_or_default();
        self.everywhere.iter().chain(theirs).chain(here)
    }

    /// What they say together, of each target in its order.
    ///
    /// # Errors
    ///
    /// When one that counts does not come to an answer.
    pub async fn ask(&self, tenant: &TenantId, server: Option<&ServerId>, question: &Question) -> Result<Vec<Said>, NoAnswer> {
        if self.chain(tenant, server).next().is_none() {
            tracing::error!("there is no policy here, and gateway.require_policy wants one: nothing may be done");
            return Err(NoAnswer);
        }
        let mut sayings = vec![Saying::default(); question.targets.len()];
        for policy in self.chain(tenant, server) {
            let decided = self.sandbox.authorize(&policy.guest, policy.settings.clone(), question.clone()).await;
            let decisions = match (decided, policy.mode) {
                (Ok(decisions), PolicyMode::Enforce) => decisions,
                (Ok(decisions), PolicyMode::DryRun) => {
                    let denied = decisions.iter().filter(|decision| matches!(decision, Decision::Deny(_))).count();
                    tracing::info!(policy = %policy.name, denied, of = decisions.len(), "a policy on trial decided");
                    continue;
                }
                (Err(fault), mode) => {
                    failed(policy, &fault);
                    match mode {
                        PolicyMode::Enforce => return Err(NoAnswer),
                        PolicyMode::DryRun => continue,
                    }
                }
            };
            sayings.iter_mut().zip(decisions).for_each(|(saying, decision)| saying.hear(&policy.name, decision));
        }
        Ok(sayings.into_iter().map(Saying::end).collect())
    }
}

fn failed(policy: &Attached, fault: &Fault) {
    tracing::error!(policy = %policy.name, %fault, "a policy did not come to an answer, which counts as no");
}

async fn attach(policy: &PolicyConfig, sandbox: &Sandbox) -> Result<Attached, String> {
    let bytes = tokio::fs::read(&policy.file).await.map_err(|error| format!("it cannot be read: {error}"))?;
    let guest = sandbox.load_policy(bytes.into()).await.map_err(|error| error.to_string())?;
    if !guest.kinds().authorizes {
        return Err("it exports no `gatehouse:policy/authorizer`, which is all that this version asks".to_owned());
    }
    match sandbox.check_settings(&guest, policy.settings.clone()).await {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => return Err(format!("it refuses its settings: {}", mcp::text::line(&reason, 512))),
        Err(fault) => return Err(format!("it could not look at its settings: {fault}")),
    }
    Ok(Attached { name: policy.name.as_str().into(), guest, settings: policy.settings.clone(), mode: policy.mode })
}

/// What was heard of one target so far.
#[derive(Debug, Clone, Default)]
struct Saying {
    allowed: bool,
    denied: bool,
    missing_scopes: Vec<Box<str>>,
}

impl Saying {
    fn hear(&mut self, policy: &str, decision: Decision) {
        match decision {
            Decision::Allow => self.allowed = true,
            Decision::Abstain => {}
            Decision::Deny(denial) => {
                tracing::debug!(policy, reason = %mcp::text::line(&denial.reason, 256), "a policy denied");
                self.denied = true;
                self.missing_scopes.extend(denial.missing_scopes.iter().filter(|scope| is_scope(scope)).map(|scope| scope.as_str().into()));
            }
        }
    }

    fn end(self) -> Said {
        if self.allowed && !self.denied { Said::Allowed } else { Said::Denied { missing_scopes: self.missing_scopes } }
    }
}

/// RFC 6749, 3.3: what can stand in a challenge.
fn is_scope(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::Denial;

    fn said(decisions: &[Decision]) -> Said {
        let mut saying = Saying::default();
        decisions.iter().for_each(|decision| saying.hear("p", decision.clone()));
        saying.end()
    }

    #[test]
    fn a_no_is_heard_over_every_yes_and_silence_is_a_no() {
        let deny = |scopes: &[&str]| {
            Decision::Deny(Denial { reason: "r".to_owned(), missing_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect() })
        };
        let denied = |scopes: &[&str]| Said::Denied { missing_scopes: scopes.iter().map(|scope| (*scope).into()).collect() };
        assert_eq!(said(&[Decision::Allow]), Said::Allowed);
        assert_eq!(said(&[Decision::Abstain, Decision::Allow, Decision::Abstain]), Said::Allowed);
        for no in [&[][..], &[Decision::Abstain], &[Decision::Abstain, Decision::Abstain]] {
            assert_eq!(said(no), denied(&[]));
        }
        assert_eq!(said(&[Decision::Allow, deny(&["a"])]), denied(&["a"]));
        assert_eq!(said(&[deny(&["a"]), Decision::Allow, deny(&["b"])]), denied(&["a", "b"]));
        assert_eq!(said(&[deny(&["a b", "a\"", "", "ok"])]), denied(&["ok"]), "what would break out of a challenge is left out");
    }
}
