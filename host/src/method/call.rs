//! Work of guests, whatever its kind, in the order of the gates: policy → what it is called with → slot → guest → result.
//!
//! `tools/call`, `resources/read`, `prompts/get` and `completion/complete` find their [`Target`] and begin here.

mod ask;
mod convert;
mod dialog;
mod entry;
mod run;
mod running;
mod target;

pub use dialog::Dialogs;
pub(super) use run::{About, CallRun, Concluded, Step};
pub(super) use target::{Completed, Completion, Target, tool};

use super::{Answer, Context, Rooms, task};
use crate::failure::Failure;
use crate::outbox::{Held, Run};
use crate::session::InFlight;
use entry::Entry;
use mcp::JsonText;
use mcp::meta::RequestMeta;
use mcp::params::{ARGUMENTS_BYTES_MAX, Input};
use mcp::result::CallToolResult;
use sandbox::contract::Resume;
use sandbox::{Call, Permit};
use std::sync::Arc;
use std::time::Duration;

/// One call past its policy.
pub(super) struct Start {
    pub(super) about: About,
    pub(super) permit: Permit,
    pub(super) in_flight: Option<InFlight>,
    pub(super) resume: Option<Resume>,
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
    permit: Permit,
    (input, meta): (Input, RequestMeta),
    taskable: bool,
) -> Result<Answer, Failure> {
    let modern = context.revision.disconnect_cancels();
    if target.arguments().len() > ARGUMENTS_BYTES_MAX {
        return Err(Failure::ArgumentsTooLarge);
    }
    let about = About {
        caller: context.caller,
        server: context.server,
        target,
        revision: context.revision,
        capabilities: context.capabilities,
        meta: meta.for_guest(),
        token: meta.progress_token,
        log_level: context.log_level,
        in_session: context.session.is_some(),
        wall: if taskable { rooms.task_store.limits().wall } else { rooms.limits.wall },
    };
    let resume = if modern { rooms.dialogs.resume(&about, &input)? } else { None };
    let (session, mut in_flight) = (context.session, context.in_flight);
    let again = session.as_ref().map(|_| about.clone());
    let escalation = taskable.then(|| task::Escalation::of(rooms, &about)).flatten();
    let own = if session.is_none() { in_flight.take() } else { None };
    let run = match (Start { about, permit, in_flight: own, resume }).run(rooms).await? {
        Started::Answered(end) => return Ok(Answer::Now(Ok(end))),
        Started::Running(run) => run,
    };
    Ok(Answer::Running(match escalation {
        Some(escalation) => escalation.wrap(*run),
        None if modern => run,
        None => {
            let run: Box<dyn Run> = match session.zip(again) {
                Some((session, again)) => Box::new(ask::Asking::new(Arc::clone(rooms), session, again, in_flight, run)),
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
    /// What it is called with → slot → a run that has not begun.
    pub(super) async fn run(self, rooms: &Arc<Rooms>) -> Result<Started, Failure> {
        let Self { about, permit, in_flight, resume } = self;
        let mut entry = Entry::begin(rooms, &about);
        if let Err(rejection) = about.target.check() {
            entry.refused("arguments");
            return match about.argument_error(rejection.full) {
                Ok(result) => Ok(Started::Answered(rooms.written(&result, about.revision))),
                Err(failure) => Err(failure),
            };
        }

        let admitted = if rooms.draining.is_cancelled() {
            Err(Failure::Draining)
        } else {
            rooms.admission.admit(about.caller.tenant()).await.map_err(Failure::NoSlot)
        };
        let slot = match admitted {
            Ok(slot) => slot,
            Err(failure) => {
                entry.refused(failure.word());
                return Err(failure);
            }
        };

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
            meta: about.meta.clone().map(JsonText::into_string),
            limits: sandbox::Limits { wall: about.wall, ..rooms.limits },
            events: Some(sender),
        };
        let guest = running::Guest::new(Arc::clone(&rooms.sandbox), permit, call, slot);
        Ok(Started::Running(Box::new(CallRun::new(Arc::clone(rooms), about, guest, in_flight, entry, events))))
    }
}

impl About {
    /// What its client is told of arguments that do not fit: a tool's model sees and mends them, where the revision knows that.
    fn argument_error(&self, text: String) -> Result<CallToolResult, Failure> {
        match self.target {
            Target::Tool { .. } if self.revision.argument_errors_are_results() => Ok(CallToolResult::failure(text)),
            _ => Err(Failure::Arguments(text)),
        }
    }
}

/// For a log field, which takes no 128 bits.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
