//! `tools/call`, in the order of the gates: tool → policy → headers → arguments → slot → guest → result.

mod ask;
mod convert;
mod dialog;
mod entry;
mod run;
mod running;

pub use dialog::Dialogs;
pub(super) use run::{Concluded, Step, ToolRun};

use super::{Answer, Context, Rooms, task};
use crate::auth::Caller;
use crate::catalog::{Server, TaskNeed, Tool};
use crate::failure::Failure;
use crate::outbox::{Held, Run};
use crate::session::InFlight;
use entry::Entry;
use mcp::capability::{Capability, ClientCapabilities};
use mcp::meta::ProgressToken;
use mcp::params::{ARGUMENTS_BYTES_MAX, CallToolParams, LogLevel, arguments_text};
use mcp::result::CallToolResult;
use mcp::{JsonText, Revision};
use sandbox::contract::Resume;
use sandbox::{Call, Permit};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn tools_call(rooms: &Arc<Rooms>, context: Context, params: Option<&RawValue>) -> Answer {
    match prepare(rooms, context, params).await {
        Ok(answer) => answer,
        Err(failure) => Answer::Now(Err(failure)),
    }
}

/// One call of one tool, past the gates that need the request's own form.
pub(super) struct Start {
    pub(super) caller: Caller,
    pub(super) server: Arc<Server>,
    pub(super) tool: Arc<Tool>,
    pub(super) permit: Permit,
    pub(super) revision: Revision,
    pub(super) capabilities: Option<ClientCapabilities>,
    pub(super) arguments: JsonText,
    pub(super) meta: Option<JsonText>,
    pub(super) token: Option<ProgressToken>,
    pub(super) log_level: Option<LogLevel>,
    /// Whether a legacy client can be asked: questions and answers need a session.
    pub(super) in_session: bool,
    pub(super) in_flight: Option<InFlight>,
    pub(super) resume: Option<Resume>,
    /// How long it may take.
    pub(super) wall: Duration,
}

async fn prepare(rooms: &Arc<Rooms>, context: Context, params: Option<&RawValue>) -> Result<Answer, Failure> {
    let params = CallToolParams::read(params)?;
    let revision = context.revision;
    let modern = revision.disconnect_cancels();

    // A tool that is not there and one that the caller may not call are answered alike.
    let unknown = || Failure::UnknownTool(params.name.clone());
    let tool = Arc::clone(context.server.tool(&params.name).ok_or_else(unknown)?);
    let permit = rooms.policy.authorize(&context.caller, &tool).map_err(|_| unknown())?;

    // Rung 6 of the modern ladder needs the tool, so it stands here.
    if !tool.mirrored.is_empty() && revision.result_type() {
        tool.mirrored.check(params.arguments.as_deref(), &|name| context.mirrored.values(name))?;
    }
    let tasks = Capability::Extension(mcp::task::EXTENSION.into());
    let declared = modern && context.capabilities.as_ref().is_some_and(|client| client.has(&tasks));
    if tool.task.need == TaskNeed::Required && !declared {
        return Err(Failure::MissingCapability(tasks));
    }
    let taskable = declared && tool.task.need != TaskNeed::Forbidden;

    let arguments = arguments_text(params.arguments.as_deref());
    if arguments.as_str().len() > ARGUMENTS_BYTES_MAX {
        return Err(Failure::ArgumentsTooLarge);
    }
    let subject =
        dialog::Subject { caller: &context.caller, server: context.server.id.as_ref(), tool: &params.name, arguments: &arguments };
    let resume = if modern { rooms.dialogs.resume(&subject, &params)? } else { None };
    let mut start = Start {
        caller: context.caller,
        server: context.server,
        tool,
        permit,
        revision,
        capabilities: context.capabilities,
        arguments,
        meta: params.meta.extra,
        token: params.meta.progress_token,
        log_level: context.log_level,
        in_session: context.session.is_some(),
        in_flight: None,
        resume,
        wall: if taskable { rooms.task_store.limits().wall } else { rooms.limits.wall },
    };
    let (session, mut in_flight) = (context.session, context.in_flight);
    let again = session.as_ref().map(|_| ask::Again::of(&start));
    if session.is_none() {
        start.in_flight = in_flight.take();
    }
    let called = taskable.then(|| task::Escalation::of(rooms, &start));
    let run = match start.run(rooms).await? {
        Started::Answered(end) => return Ok(Answer::Now(Ok(end))),
        Started::Running(run) => run,
    };
    Ok(Answer::Running(match called {
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
    Running(Box<ToolRun>),
}

impl Start {
    /// Arguments → slot → a run that has not begun.
    pub(super) async fn run(self, rooms: &Arc<Rooms>) -> Result<Started, Failure> {
        let mut entry = Entry::begin(rooms, &self);
        let value: Value = serde_json::from_str(self.arguments.as_str()).map_err(|_| Failure::Internal)?;
        if let Err(rejection) = self.tool.input.check(&value) {
            entry.refused("arguments");
            let text = format!("The arguments do not fit the tool's input schema: {}", rejection.full);
            if !self.revision.argument_errors_are_results() {
                return Err(Failure::Arguments(text));
            }
            return Ok(Started::Answered(rooms.written(&CallToolResult::failure(text), self.revision)));
        }
        drop(value);

        let admitted = if rooms.draining.is_cancelled() {
            Err(Failure::Draining)
        } else {
            rooms.admission.admit(self.caller.tenant()).await.map_err(Failure::NoSlot)
        };
        let slot = match admitted {
            Ok(slot) => slot,
            Err(failure) => {
                entry.refused(failure.word());
                return Err(failure);
            }
        };

        let (sender, events) = sandbox::events(self.token.is_some());
        let principal = self.caller.principal();
        let call = Call {
            arguments: self.arguments.clone().into_string(),
            caller: sandbox::contract::Caller {
                tenant: self.caller.tenant().id.as_str().to_owned(),
                subject: principal.subject.as_deref().map(ToOwned::to_owned),
                scopes: principal.scopes.iter().map(|scope| scope.to_string()).collect(),
                claims: None,
            },
            client: convert::client_features(self.capabilities.as_ref()),
            resume: self.resume,
            meta: self.meta.map(JsonText::into_string),
            limits: sandbox::Limits { wall: self.wall, ..rooms.limits },
            events: Some(sender),
        };
        let about = run::About {
            caller: self.caller,
            server: self.server.id.clone(),
            tool: self.tool,
            arguments: self.arguments,
            capabilities: self.capabilities,
            revision: self.revision,
            token: self.token,
            log_level: self.log_level,
            in_session: self.in_session,
        };
        let run = ToolRun::new(Arc::clone(rooms), about, slot, self.in_flight, entry, self.permit, call, events);
        Ok(Started::Running(Box::new(run)))
    }
}

/// For a log field, which takes no 128 bits.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
