//! Work of guests, whatever its kind, in the order of the gates: policy, and its filters → what it is called with → slot → guest → filters
//! → result.
//!
//! `tools/call`, `resources/read`, `prompts/get` and `completion/complete` find their [`Target`], [`authorize`] and [`begin`] here.

mod ask;
mod cancel;
mod convert;
mod dialog;
mod entry;
mod product;
mod refusals;
mod run;
mod running;
mod target;

pub use dialog::Dialogs;
pub(super) use entry::outcome;
use run::Ends;
pub(super) use run::{About, CallRun, Concluded, Step};
pub(super) use target::{Completed, Completion, Target, blamed, tool};

use super::{Answer, Context, Rooms, task};
use crate::auth::{Authorized, Caller, Denied};
use crate::catalog::{Rejection, Server};
use crate::config::ServerId;
use crate::egress;
use crate::failure::Failure;
use crate::journal::{self, OfGuest};
use crate::keyvalue;
use crate::metrics;
use crate::outbox::{Held, Run};
use crate::revocation::{Revoked, Running, Work};
use crate::scratch::Scratch;
use crate::session::InFlight;
use crate::tenant::{self, Asked, Bill};
use crate::trace::Span;
use cancel::Cancel;
use entry::Entry;
use mcp::meta::RequestMeta;
use mcp::params::{ARGUMENTS_BYTES_MAX, Input};
use mcp::result::CallToolResult;
use mcp::{JsonText, Revision};
use product::Gate;
use refusals::Refusals;
use sandbox::contract::Resume;
use sandbox::{Call, FileRefusals, KeyValue, Learner, Outgoing, Permit};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::Poll;
use std::time::{Duration, Instant};

/// One call past its policy.
pub(super) struct Start {
    pub(super) about: About,
    pub(super) authorized: Authorized,
    pub(super) in_flight: Option<InFlight>,
    pub(super) resume: Option<Resume>,
    pub(super) running: Arc<Running>,
}

/// Asks the policies, each time that a guest is to be called: each round of a dialog too. What they refuse to a caller who may know of the
/// thing is in the journal.
///
/// # Errors
///
/// What the caller is told.
pub(super) async fn authorize(
    rooms: &Arc<Rooms>,
    (caller, server): (&Caller, &Server),
    target: &Target,
    revision: Revision,
    span: &Span,
) -> Result<Authorized, Failure> {
    target.tell(span);
    rooms.policy.authorize(caller, server, target.item(), target.work(), span).await.map_err(|denied| {
        if denied == Denied::Hidden {
            rooms.note_denied(caller, server, target.name(), &denied);
        }
        let failure = target.denied(denied);
        if matches!(failure, Failure::PolicyDenied { .. } | Failure::PolicyUnavailable) {
            Entry::of(rooms, (caller, server), target, revision, span).denied(&failure);
        }
        failure
    })
}

/// Takes the call's place among those that a revocation stops. It is held while a guest runs, and over all rounds of a dialog.
///
/// # Errors
///
/// When it is revoked: the policies were asked a moment ago.
pub(super) fn enter(rooms: &Arc<Rooms>, about: &About) -> Result<Arc<Running>, Failure> {
    rooms.revocations.enter(about.revocable()).map(Arc::new).map_err(|Revoked| {
        Entry::begin(rooms, about).without_answer(&Failure::Revoked);
        Failure::Revoked
    })
}

/// Begins the work that a request asks for. `taskable` says that it may become a task.
///
/// # Errors
///
/// The gate that it does not pass.
pub(super) async fn begin(
    rooms: &Arc<Rooms>,
    context: Context,
    target: Target,
    authorized: Authorized,
    (input, meta): (Input, RequestMeta),
    taskable: bool,
) -> Result<Answer, Failure> {
    let modern = context.revision.disconnect_cancels();
    if target.arguments().len() > ARGUMENTS_BYTES_MAX {
        return Err(Failure::ArgumentsTooLarge);
    }
    let about = About {
        wall: target.wall(if taskable { rooms.task_store.limits().wall } else { rooms.limits.wall }),
        caller: context.caller,
        server: context.server,
        target,
        revision: context.revision,
        capabilities: context.capabilities,
        meta: meta.for_guest(),
        token: meta.progress_token,
        log_level: context.log_level,
        in_session: context.session.is_some(),
        scratch: context.session.as_ref().map(|session| Arc::clone(&session.scratch)),
        span: context.span,
    };
    let resume = if modern { rooms.dialogs.resume(&about, &input)? } else { None };
    let (session, mut in_flight) = (context.session, context.in_flight);
    let again = session.as_ref().map(|_| about.clone());
    let escalation = taskable.then(|| task::Escalation::of(rooms, &about)).flatten();
    // Fires while it waits for its turn, too: the client is told at once, and the entry writes that it was cancelled.
    let cancelled = Cancel::of(in_flight.as_ref());
    let own = if session.is_none() { in_flight.take() } else { None };
    let running = enter(rooms, &about)?;
    let start = Start { about, authorized, in_flight: own, resume, running: Arc::clone(&running) };
    let run = match start.unless(&cancelled, rooms).await? {
        Started::Answered(end) => return Ok(Answer::Now(Ok(end))),
        Started::Running(run) => run,
    };
    Ok(Answer::Running(match escalation {
        Some(escalation) => escalation.wrap(*run),
        None if modern => run,
        None => {
            let run: Box<dyn Run> = match session.zip(again) {
                Some((session, again)) => Box::new(ask::Asking::new(Arc::clone(rooms), session, again, (in_flight, running), run)),
                None => run,
            };
            Box::new(Held::new(run, rooms.tasks.clone()))
        }
    }))
}

/// What becomes of a call at its gates.
pub(super) enum Started {
    /// It is answered without a guest.
    Answered(JsonText),
    /// Everything that a guest needs is there.
    Running(Box<CallRun>),
}

impl Start {
    /// Passes its gates, unless it is cancelled before.
    pub(super) async fn unless(self, cancelled: &Cancel, rooms: &Arc<Rooms>) -> Result<Started, Failure> {
        if cancelled.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        tokio::select! {
            biased;
            // First, because most pass at once; what is cancelled by then ends when its guest is driven.
            started = self.run(rooms) => started,
            () = cancelled.cancelled() => Err(Failure::Cancelled),
        }
    }

    /// What it is called with → slot → a run that has not begun.
    pub(super) async fn run(self, rooms: &Arc<Rooms>) -> Result<Started, Failure> {
        let Self { about, authorized, in_flight, resume, running } = self;
        let mut entry = Entry::begin(rooms, &about);
        if let Err(rejection) = about.target.check(authorized.permit.work()) {
            let Some(own) = about.own(rejection, authorized.changed) else {
                entry.refused(Failure::PolicyUnavailable.word());
                return Err(Failure::PolicyUnavailable);
            };
            entry.refused("arguments");
            return if about.shows_argument_errors() {
                Ok(Started::Answered(rooms.written(&CallToolResult::failure(own.full), about.revision)))
            } else {
                Err(Failure::Arguments(own.full))
            };
        }

        let admitted = if rooms.draining.is_cancelled() {
            Err(Failure::Draining)
        } else if !rooms.journal.takes_calls() {
            Err(Failure::JournalUnavailable)
        } else if let Err(wait) = rooms.admission.pass(about.caller.tenant(), &about) {
            Err(Failure::Broken(wait))
        } else {
            let principal = about.caller.principal();
            let asked = Asked {
                server: about.server.id.as_ref().map(ServerId::as_str).unwrap_or_default(),
                server_quota: about.server.quota,
                principal: principal.issuer.as_deref().zip(principal.subject.as_deref()),
                tool: about.target.tool(),
            };
            let span = about.span.child("admission");
            let admitting = async {
                tokio::select! {
                    biased;
                    // First, because it is there at once as a rule; what is revoked by then ends when its guest begins.
                    slot = rooms.admission.admit(about.caller.tenant(), &asked) => slot.map_err(Failure::NoSlot),
                    () = running.revoked.cancelled() => Err(Failure::Revoked),
                }
            };
            let (admitted, waited) = waited_for(admitting).await;
            metrics::QUEUE.observe(waited);
            if let Err(failure) = &admitted {
                span.failed(failure.word());
            }
            admitted
        };
        let mut slot = match admitted {
            Ok(slot) => slot,
            Err(failure) => {
                entry.without_answer(&failure);
                return Err(failure);
            }
        };

        let Authorized { mut permit, results, .. } = authorized;
        let scratch = about.scratch(rooms, &mut permit).await;
        let span = running::span(&about);
        let (sender, events) = sandbox::events(about.token.is_some());
        let principal = about.caller.principal();
        let call = Call {
            caller: sandbox::contract::Caller {
                tenant: about.caller.tenant().id.as_str().to_owned(),
                subject: principal.subject.as_deref().map(ToOwned::to_owned),
                scopes: principal.scopes.iter().map(|scope| scope.to_string()).collect(),
                claims: None,
            },
            client: convert::client_features(about.capabilities.as_ref()),
            resume,
            meta: about.meta_for(&span).map(JsonText::into_string),
            limits: sandbox::Limits { wall: about.wall, ..rooms.limits },
            events: Some(sender),
            outgoing: about.way_out(rooms, slot.bill(), &span),
            keyvalue: about.keeper(rooms, &span),
            refusals: permit.writes_files().then(|| about.refusals(rooms)),
            learner: rooms.learned.clone().map(|learned| -> Arc<dyn Learner> { learned }),
            spent: Arc::default(),
            share: about.caller.tenant().guests().clone(),
            claim: slot.take_claim(),
            whose: if permit.is_reusing() { about.whose() } else { None },
        };
        let gate = Gate::new(&about.target, (rooms.json_limits, rooms.sanitize), rooms.limits.result_bytes, results);
        let wordless = gate.is_narrow();
        let bill = Arc::clone(slot.bill());
        let ends = Ends { cancelled: Cancel::of(in_flight.as_ref()), revoked: Arc::clone(&running.revoked) };
        let guest = running::Guest::new(Arc::clone(&rooms.sandbox), permit, (call, span), (slot, running, scratch), gate);
        Ok(Started::Running(Box::new(CallRun::new(Arc::clone(rooms), about, guest, (in_flight, ends), entry, (events, wordless, bill)))))
    }
}

impl tenant::Work for About {
    fn component(&self) -> sandbox::Digest {
        self.target.guest().digest()
    }

    fn key(&self) -> String {
        let principal = self.caller.principal();
        let who = [&principal.issuer, &principal.subject].map(|name| name.as_deref().unwrap_or_default());
        format!("{:?}", (who, &**self.target.plugin(), self.target.method(), self.target.name()))
    }
}

impl About {
    /// As revocations know it.
    fn revocable(&self) -> Work {
        let principal = self.caller.principal();
        Work {
            tenant: self.caller.tenant().id.clone(),
            issuer: principal.issuer.clone(),
            subject: principal.subject.clone(),
            server: self.server.id.clone(),
            plugin: Arc::clone(self.target.plugin()),
            tool: self.target.item().what(&self.server).tool.map(Into::into),
        }
    }

    /// Whose calls may meet in one instance, where the operator lets any: those of one caller with the same rights at the same place. None for callers
    /// without a name, who may be several.
    fn whose(&self) -> Option<Box<str>> {
        let principal = self.caller.principal();
        let (issuer, subject) = principal.issuer.as_deref().zip(principal.subject.as_deref())?;
        let server = self.server.id.as_ref().map(ServerId::as_str);
        // Escaped as it is, no two of them look alike.
        Some(format!("{:?}", (self.caller.tenant().id.as_str(), server, issuer, subject, &principal.scopes)).into())
    }

    /// By what its guest's requests leave; none for one that can send none.
    fn way_out(&self, rooms: &Rooms, bill: &Arc<Bill>, guest: &Span) -> Option<Arc<dyn Outgoing>> {
        if !self.target.guest().sends_requests() {
            return None;
        }
        if let Some(learned) = rooms.learned.clone() {
            return Some(learned);
        }
        Some(rooms.egress.way_out(egress::Of { guest: self.of_guest(), bill: Arc::clone(bill), span: guest.clone() }))
    }

    /// By what its guest keeps values; none for one that can keep none.
    fn keeper(&self, rooms: &Rooms, guest: &Span) -> Option<Arc<dyn KeyValue>> {
        if !self.target.guest().keeps_values() {
            return None;
        }
        Some(rooms.keyvalue.of_call(keyvalue::Of { guest: self.of_guest(), span: guest.clone() }))
    }

    /// Gives its guest the scratch directory that it is granted. Without room for one on the disk it has none, as if none were granted.
    async fn scratch(&self, rooms: &Rooms, permit: &mut Permit) -> Option<Arc<Scratch>> {
        let terms = permit.scratch()?.clone();
        let (plugin, tenant) = (self.target.plugin(), self.caller.tenant().id.as_str());
        let made = match &self.scratch {
            Some(session) => session.of(plugin, &rooms.scratch, (tenant, &terms)).await,
            None => rooms.scratch.make(tenant, &terms).await,
        };
        let given = made.and_then(|scratch| permit.give_scratch(Arc::clone(scratch.writable())).map(|()| scratch));
        given.inspect_err(|error| tracing::error!(%plugin, %error, "there is no scratch directory for this call")).ok()
    }

    /// Who hears of what its guest may not do with files.
    fn refusals(&self, rooms: &Rooms) -> Arc<dyn FileRefusals> {
        Arc::new(Refusals { journal: Arc::clone(&rooms.journal), guest: self.of_guest(), told: AtomicU32::new(0) })
    }

    /// Its guest, for lines about what that may not do.
    fn of_guest(&self) -> OfGuest {
        let principal = self.caller.principal();
        OfGuest {
            tenant: self.caller.tenant().id.clone(),
            principal: journal::principal(principal.issuer.as_deref(), principal.subject.as_deref()),
            server: self.server.id.as_ref().map(ToString::to_string),
            plugin: Arc::clone(self.target.plugin()),
            component: self.target.guest().digest().to_string(),
        }
    }

    /// What its guest may see of the request's `_meta`. Where the call is recorded, what the guest does belongs to its span.
    fn meta_for(&self, guest: &Span) -> Option<JsonText> {
        match guest.context() {
            Some(context) => context.put_into(self.meta.as_ref()),
            None => self.meta.clone(),
        }
    }

    /// What is wrong with arguments that were refused, as far as it is the client's own: what a filter made of them is not for it to read, and
    /// where only that does not fit, the filter gave no answer that counts.
    fn own(&self, rejection: Rejection, changed: bool) -> Option<Rejection> {
        if !changed {
            return Some(rejection);
        }
        let own = self.target.check(&self.target.work()).err();
        if own.is_none() {
            let reason = mcp::text::line(&rejection.masked, 512);
            tracing::error!(plugin = %self.target.plugin(), name = self.target.name(), %reason, "policies changed arguments so that they do not fit");
        }
        own
    }

    /// Whether arguments that do not fit are a result: a tool's model sees and mends them, where the revision knows that.
    fn shows_argument_errors(&self) -> bool {
        match self.target {
            Target::Tool { .. } => self.revision.argument_errors_are_results(),
            Target::Resource { .. } | Target::Prompt { .. } | Target::Completion(_) => false,
        }
    }
}

/// What a future gives, and how long that took: no time at all where it is there at once, which is known without a look at the clock.
async fn waited_for<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let mut future = pin!(future);
    if let Poll::Ready(given) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return (given, Duration::ZERO);
    }
    let began = Instant::now();
    (future.await, began.elapsed())
}

/// For a log field, which takes no 128 bits.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_at_once_took_no_time() {
        assert_eq!(waited_for(async { 1 }).await, (1, Duration::ZERO));
        let (given, waited) = waited_for(async {
            tokio::task::yield_now().await;
            let came = Instant::now();
            while came.elapsed().is_zero() {}
            2
        })
        .await;
        assert!(given == 2 && waited > Duration::ZERO, "{waited:?}");
    }
}
