//! Policies: components that decide. Each question is answered in a fresh instance without grants, under limits of its own, and whatever is not
//! a proper answer is a [`Fault`]: the host takes it for no.

use crate::bindings::policies::exports::gatehouse::policy::{authenticator, authorizer, call_filter, settings};
use crate::bindings::policies::gatehouse::policy::policy_types;
use crate::guest::{Code, refuse_imports};
use crate::state::State;
use crate::survey::{Reach, Survey};
use crate::{Asks, Compartment, Digest, Fault, Grants, Limits, LoadError, Sandbox};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

pub use crate::bindings::policies::exports::gatehouse::policy::authenticator::Credentials;
pub use crate::bindings::policies::exports::gatehouse::policy::call_filter::{ResultVerdict, Verdict};
pub use policy_types::{Action, Decision, Denial, Principal, Target, TargetKind};

/// A loaded policy. Cheap to clone.
#[derive(Clone)]
pub struct PolicyGuest(Arc<Code<PolicyExports>>);

/// Which interfaces a policy exports, as places in it.
pub(crate) struct PolicyExports {
    settings: Option<settings::GuestIndices>,
    authenticator: Option<authenticator::GuestIndices>,
    authorizer: Option<authorizer::GuestIndices>,
    call_filter: Option<call_filter::GuestIndices>,
}

/// What a policy can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyKinds {
    /// It knows a kind of credential.
    pub authenticates: bool,
    /// It decides who may do what.
    pub authorizes: bool,
    /// It looks into calls and results.
    pub filters: bool,
    /// It imports nothing, so that equal questions have equal answers.
    pub pure: bool,
}

impl PolicyKinds {
    /// Whether it has anything to say of what callers do.
    pub fn looks_at_calls(self) -> bool {
        self.authorizes || self.filters
    }
}

/// One question to an authorizer.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who asks.
    pub who: Principal,
    /// For what.
    pub what: Action,
    /// Of what, in an order that the answer keeps.
    pub targets: Vec<Target>,
    /// Of a call; none for lists.
    pub arguments: Option<String>,
}

/// A call that a filter looks into.
#[derive(Debug, Clone)]
pub struct FilteredCall {
    /// Who calls.
    pub who: Principal,
    /// What it does.
    pub what: Action,
    /// With what.
    pub target: Target,
    /// A JSON object.
    pub arguments: String,
}

impl PolicyExports {
    pub(crate) fn of(pre: &InstancePre<State>, survey: &Survey) -> wasmtime::Result<Self> {
        let has = |interface| exports(&survey.exports, interface);
        Ok(Self {
            settings: has("settings").then(|| settings::GuestIndices::new(pre)).transpose()?,
            authenticator: has("authenticator").then(|| authenticator::GuestIndices::new(pre)).transpose()?,
            authorizer: has("authorizer").then(|| authorizer::GuestIndices::new(pre)).transpose()?,
            call_filter: has("call-filter").then(|| call_filter::GuestIndices::new(pre)).transpose()?,
        })
    }
}

/// The question is of an interface that the policy does not have. Only a mistake of the host's leads here.
#[derive(Debug, thiserror::Error)]
#[error("the policy does not export that interface")]
struct NotExported;

fn load<I, G>(indices: Option<&I>, load: impl FnOnce(&I) -> wasmtime::Result<G>) -> wasmtime::Result<G> {
    load(indices.ok_or(NotExported)?)
}

/// Whether the names of a component's exports have an interface of `gatehouse:policy` among them.
fn exports(names: &[String], interface: &str) -> bool {
    let of = |name: &String| name.strip_prefix("gatehouse:policy/").and_then(|rest| rest.strip_prefix(interface)).map(ToOwned::to_owned);
    names.iter().filter_map(of).any(|rest| rest.starts_with("@0.1."))
}

impl PolicyGuest {
    /// What its bytes said.
    pub fn survey(&self) -> &Survey {
        &self.0.survey
    }

    /// The name of its bytes.
    pub fn digest(&self) -> Digest {
        self.0.survey.digest
    }

    /// What it can do.
    pub fn kinds(&self) -> PolicyKinds {
        let exports = &self.0.exports;
        PolicyKinds {
            authenticates: exports.authenticator.is_some(),
            authorizes: exports.authorizer.is_some(),
            filters: exports.call_filter.is_some(),
            // Types alone bring no function.
            pure: self.0.survey.imports.iter().all(|import| import.name.starts_with("gatehouse:policy/policy-types@")),
        }
    }
}

impl fmt::Debug for PolicyGuest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyGuest").field("digest", &self.digest()).finish_non_exhaustive()
    }
}

/// What one decision may use: a policy that needs more is taken for a no.
fn limits(of_calls: &Limits, wall: Duration) -> Limits {
    Limits {
        wall: wall.min(of_calls.wall),
        cpu: Duration::from_millis(100).min(of_calls.cpu),
        memory_bytes: (32 << 20).min(of_calls.memory_bytes),
        ..*of_calls
    }
}

impl Sandbox {
    fn decision_limits(&self) -> Limits {
        limits(self.limits(), self.decision_wall())
    }

    /// For what a policy is asked when it is loaded.
    fn settings_limits(&self) -> Limits {
        let limits = self.limits().for_listing();
        Limits { wall: limits.wall.max(self.decision_wall()), ..limits }
    }

    /// Makes a policy of a component's bytes, in the shared compartment.
    ///
    /// # Errors
    ///
    /// For each reason not to load it, with a text for its author.
    pub async fn load_policy(&self, component: Arc<[u8]>) -> Result<PolicyGuest, LoadError> {
        let decides =
            |survey: &Survey| ["authenticator", "authorizer", "call-filter"].iter().any(|interface| exports(&survey.exports, interface));
        let (code, survey) = self.machine_code(component, &Asks::default(), decides, LoadError::NoPolicy).await?;
        refuse_imports(survey.imports.iter().filter(|import| !matches!(import.reach(), Reach::Nothing | Reach::Environment)))?;
        let policy = PolicyGuest(Arc::new(self.link(code, survey, PolicyExports::of, self.shared()).await?));
        self.check_types(&policy).await.map_err(|fault| {
            let fault = match fault {
                Fault::Trap(text) => text,
                other => other.to_string(),
            };
            LoadError::Link(format!("its functions do not have the types of the contract: {fault}"))
        })?;
        Ok(policy)
    }

    /// The same policy in another compartment, as [`copy`](Self::copy) does it.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub async fn copy_policy(&self, policy: &PolicyGuest, compartment: &Compartment) -> Result<PolicyGuest, LoadError> {
        Ok(PolicyGuest(Arc::new(self.copy_code(&policy.0, PolicyExports::of, compartment).await?)))
    }

    /// Whether its functions are those of the contract: the engine looks at their types when it finds them in an instance, and a policy of another
    /// version of the contract is to fail when it is loaded, and not when it is asked.
    async fn check_types(&self, policy: &PolicyGuest) -> Result<(), Fault> {
        self.ask(policy, self.limits().for_listing(), move |code, mut store, instance| async move {
            let exports = &code.exports;
            let mut all = || {
                exports.settings.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
                exports.authenticator.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
                exports.authorizer.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
                exports.call_filter.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose()?;
                Ok(())
            };
            let answer = all();
            (answer, store)
        })
        .await
    }

    /// What settings the policy takes, as JSON Schema text; none if it takes none.
    ///
    /// # Errors
    ///
    /// When it does not come to an answer.
    pub async fn policy_schema(&self, policy: &PolicyGuest) -> Result<Option<String>, Fault> {
        self.ask(policy, self.settings_limits(), move |code, mut store, instance| async move {
            let answer = match code.exports.settings.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose() {
                Ok(Some(guest)) => guest.call_schema(&mut store).await.map(Some),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            (answer, store)
        })
        .await
    }

    /// Whether the policy takes these settings; its own words if not.
    ///
    /// # Errors
    ///
    /// When it does not come to an answer.
    pub async fn check_settings(&self, policy: &PolicyGuest, json: String) -> Result<Result<(), String>, Fault> {
        self.ask(policy, self.settings_limits(), move |code, mut store, instance| async move {
            let answer = match code.exports.settings.as_ref().map(|indices| indices.load(&mut store, &instance)).transpose() {
                Ok(Some(guest)) => guest.call_check(&mut store, &json).await,
                Ok(None) => Ok(Ok(())),
                Err(error) => Err(error),
            };
            (answer, store)
        })
        .await
    }

    /// One decision for each target.
    ///
    /// # Errors
    ///
    /// When it does not come to an answer, or to one of another length.
    pub async fn authorize(&self, policy: &PolicyGuest, json: String, question: Question) -> Result<Vec<Decision>, Fault> {
        let asked = question.targets.len();
        let decisions = self
            .ask(policy, self.decision_limits(), move |code, mut store, instance| async move {
                let Question { who, what, targets, arguments } = question;
                let answer = match load(code.exports.authorizer.as_ref(), |indices| indices.load(&mut store, &instance)) {
                    Ok(guest) => guest.call_authorize(&mut store, &json, &who, what, &targets, arguments.as_ref()).await,
                    Err(error) => Err(error),
                };
                (answer, store)
            })
            .await?;
        if decisions.len() == asked {
            Ok(decisions)
        } else {
            Err(Fault::Trap(format!("{} decisions for {asked} targets", decisions.len())))
        }
    }

    /// Who a credential is of; none if it is not the policy's business.
    ///
    /// # Errors
    ///
    /// When it does not come to an answer.
    pub async fn authenticate(
        &self,
        policy: &PolicyGuest,
        json: String,
        credentials: Credentials,
    ) -> Result<Result<Option<Principal>, Denial>, Fault> {
        self.ask(policy, self.decision_limits(), move |code, mut store, instance| async move {
            let answer = match load(code.exports.authenticator.as_ref(), |indices| indices.load(&mut store, &instance)) {
                Ok(guest) => guest.call_authenticate(&mut store, &json, &credentials).await,
                Err(error) => Err(error),
            };
            (answer, store)
        })
        .await
    }

    /// What becomes of a call before its guest runs.
    ///
    /// # Errors
    ///
    /// When it does not come to an answer.
    pub async fn filter_call(&self, policy: &PolicyGuest, json: String, call: FilteredCall) -> Result<Verdict, Fault> {
        self.ask(policy, self.decision_limits(), move |code, mut store, instance| async move {
            let FilteredCall { who, what, target, arguments } = call;
            let answer = match load(code.exports.call_filter.as_ref(), |indices| indices.load(&mut store, &instance)) {
                Ok(guest) => guest.call_on_call(&mut store, &json, &who, what, &target, &arguments).await,
                Err(error) => Err(error),
            };
            (answer, store)
        })
        .await
    }

    /// What becomes of a result; `reply` is the result as JSON text.
    ///
    /// # Errors
    ///
    /// When it does not come to an answer.
    pub async fn filter_result(
        &self,
        policy: &PolicyGuest,
        json: String,
        call: FilteredCall,
        reply: String,
    ) -> Result<ResultVerdict, Fault> {
        self.ask(policy, self.decision_limits(), move |code, mut store, instance| async move {
            let FilteredCall { who, what, target, arguments } = call;
            let answer = match load(code.exports.call_filter.as_ref(), |indices| indices.load(&mut store, &instance)) {
                Ok(guest) => guest.call_on_result(&mut store, &json, &who, what, &target, &arguments, &reply).await,
                Err(error) => Err(error),
            };
            (answer, store)
        })
        .await
    }

    async fn ask<T, W>(
        &self,
        policy: &PolicyGuest,
        limits: Limits,
        question: impl FnOnce(Arc<Code<PolicyExports>>, Store<State>, Instance) -> W + Send + 'static,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: Future<Output = (wasmtime::Result<T>, Store<State>)> + Send + 'static,
    {
        self.runner().decide(Arc::clone(&policy.0), Grants::none(), limits, question).await
    }
}
