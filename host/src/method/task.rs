//! The tasks extension (3.6): calls that become tasks, and what clients ask of them.

use super::call::{self, About, CallRun, Concluded, Start, Started, Step, Target};
use super::{Context, Rooms};
use crate::auth::Caller;
use crate::catalog::{Catalog, TaskNeed};
use crate::failure::Failure;
use crate::outbox::{End, Reply, Run};
use crate::task::{Called, Change, NoTask, Resumed, Task, View};
use crate::trace::Span;
use mcp::capability::{Capability, ClientCapabilities};
use mcp::params::Params;
use mcp::task::{TaskParams, UpdateParams};
use mcp::{JsonText, Revision};
use sandbox::contract::Resume;
use serde_json::value::RawValue;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is needed to make a task of a call.
pub(super) struct Escalation {
    rooms: Arc<Rooms>,
    caller: Caller,
    called: Called,
    after: Duration,
    required: bool,
}

impl Escalation {
    /// None for what is not a tool's.
    pub(super) fn of(rooms: &Arc<Rooms>, about: &About) -> Option<Self> {
        let Target::Tool { tool, arguments } = &about.target else { return None };
        let nothing = || JsonText::from(&serde_json::Value::Object(serde_json::Map::new()));
        Some(Self {
            rooms: Arc::clone(rooms),
            caller: about.caller.clone(),
            called: Called {
                server: about.server.id.clone(),
                tool: tool.definition.name.clone(),
                arguments: arguments.clone(),
                meta: about.meta.clone(),
                capabilities: about.capabilities.as_ref().map_or_else(nothing, |client| client.text().clone()),
                revision: about.revision,
            },
            after: tool.task.after.unwrap_or(rooms.task_store.limits().after),
            required: tool.task.need == TaskNeed::Required,
        })
    }

    pub(super) fn wrap(self, run: CallRun) -> Box<dyn Run> {
        Box::new(Escalating { escalation: self, run: Some(run), at: None })
    }

    /// A task for the call, in the store.
    async fn begin(&self) -> Result<Arc<Task>, Failure> {
        let made = self.rooms.task_store.begin(self.caller.owner(), self.called.clone()).await;
        made.map_err(|reason| match reason {
            NoTask::Full => Failure::TaskQuota,
            NoTask::NotKept => Failure::StoreUnavailable,
        })
    }
}

/// A call that becomes a task when it goes on for long.
struct Escalating {
    escalation: Escalation,
    run: Option<CallRun>,
    /// When; none before it has begun.
    at: Option<Option<Instant>>,
}

impl Escalating {
    async fn go_on(&mut self) -> Reply {
        let Some(run) = self.run.as_mut() else { return Reply::End(Box::new(Err(Failure::Internal))) };
        let after = self.escalation.after;
        let at = *self.at.get_or_insert_with(|| Instant::now().checked_add(after));
        if !after.is_zero() {
            let due = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                step = run.step() => return match step {
                    Step::Notification(notification) => Reply::Notification(notification),
                    Step::End(concluded) => Reply::End(Box::new(run.answer(concluded))),
                },
                () = due => {}
            }
        }
        self.become_task().await
    }

    async fn become_task(&mut self) -> Reply {
        let rooms = Arc::clone(&self.escalation.rooms);
        match self.escalation.begin().await {
            Ok(task) => {
                let created = wire(&task, &task.view().await, &rooms).created(task.called.revision, &rooms.implementation);
                if let Some(run) = self.run.take() {
                    rooms.tasks.spawn(drive(Arc::clone(&rooms), task, run));
                }
                Reply::End(Box::new(Ok(created)))
            }
            // It can only be a task.
            Err(failure) if self.escalation.required => {
                if let Some(run) = self.run.take() {
                    Box::new(run).refuse(failure.word());
                }
                Reply::End(Box::new(Err(failure)))
            }
            // It goes on as what it is.
            Err(_) => {
                (self.at, self.escalation.after) = (Some(None), Duration::MAX);
                Box::pin(self.go_on()).await
            }
        }
    }
}

impl Run for Escalating {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        Box::pin(self.go_on())
    }

    fn reports(&self) -> bool {
        self.run.as_ref().is_some_and(Run::reports)
    }

    fn refuse(mut self: Box<Self>, reason: &'static str) {
        if let Some(run) = self.run.take() {
            Box::new(run).refuse(reason);
        }
    }
}

/// A task in the protocol's words.
pub(super) fn wire<'a>(task: &'a Task, view: &'a View, rooms: &Rooms) -> mcp::task::Task<'a> {
    let limits = rooms.task_store.limits();
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    mcp::task::Task {
        id: &task.id,
        status: view.status,
        created_at: &view.created_at,
        last_updated_at: &view.last_updated_at,
        ttl_ms: millis(limits.ttl),
        poll_interval_ms: millis(limits.poll_interval),
    }
}

/// Runs a task's call to its end, or to its next question.
async fn drive(rooms: Arc<Rooms>, task: Arc<Task>, mut run: CallRun) {
    run.cancelled_by(task.cancelled.clone());
    let concluded = loop {
        // Progress is for the client that waits; this one has gone on.
        if let Step::End(concluded) = run.step().await {
            break concluded;
        }
    };
    drop(run);
    let change = match concluded {
        Concluded::End(Ok(result)) => Change::Completed(result),
        Concluded::End(Err(Failure::Cancelled)) => Change::Cancelled,
        Concluded::End(Err(failure)) => Change::Failed((rooms.error_text)(&failure)),
        Concluded::Asks(asked) => Change::Asks { questions: asked.questions, state: asked.state },
    };
    rooms.task_store.change(&task, change).await;
}

impl Rooms {
    /// The task that a request names, if it is the caller's and the request declares the extension.
    async fn task(&self, context: &Context, id: &str) -> Result<Arc<Task>, Failure> {
        let unknown_outcome = || (self.error_text)(&Failure::OutcomeUnknown);
        self.task_store.find(&context.caller.owner(), id, unknown_outcome).await.ok_or(Failure::UnknownTask)
    }

    fn acknowledged(&self, revision: Revision) -> End {
        Ok(mcp::result::empty(revision, &self.implementation))
    }
}

/// That this very request declares the extension.
pub(super) fn declared(context: &Context) -> Result<(), Failure> {
    let extension = Capability::Extension(mcp::task::EXTENSION.into());
    let declared = context.capabilities.as_ref().is_some_and(|client| client.has(&extension));
    if declared { Ok(()) } else { Err(Failure::MissingCapability(extension)) }
}

pub(super) async fn get(rooms: &Rooms, context: &Context, params: &Params<'_>) -> End {
    declared(context)?;
    let task = rooms.task(context, &TaskParams::read(params)?.task_id).await?;
    let view = task.view().await;
    Ok(wire(&task, &view, rooms).detailed(&view.detail, context.revision, &rooms.implementation))
}

pub(super) async fn cancel(rooms: &Rooms, context: &Context, params: &Params<'_>) -> End {
    declared(context)?;
    let task = rooms.task(context, &TaskParams::read(params)?.task_id).await?;
    // What runs ends by this, and finds that its task has ended already.
    task.cancelled.cancel();
    rooms.task_store.change(&task, Change::Cancelled).await;
    rooms.acknowledged(context.revision)
}

pub(super) async fn update(rooms: &Arc<Rooms>, context: Context, params: &Params<'_>) -> End {
    declared(&context)?;
    let params = UpdateParams::read(params)?;
    let task = rooms.task(&context, &params.task_id).await?;
    let revision = context.revision;
    if let Some(resumed) = rooms.task_store.answer(&task, params.answers).await {
        let span = context.span.child("tools/call");
        rooms.tasks.spawn(resume(Arc::clone(rooms), task, (context.caller, span), context.catalog, resumed));
    }
    rooms.acknowledged(revision)
}

/// Calls a task's tool again, with answers: through the same gates as the first time, and in the catalog of now.
async fn resume(rooms: Arc<Rooms>, task: Arc<Task>, (caller, span): (Caller, Span), catalog: Arc<Catalog>, resumed: Resumed) {
    match restart(&rooms, &task, (caller, span), &catalog, resumed).await {
        Ok(Started::Running(run)) => drive(rooms, task, *run).await,
        Ok(Started::Answered(result)) => rooms.task_store.change(&task, Change::Completed(result)).await,
        Err(failure) => rooms.task_store.change(&task, Change::Failed((rooms.error_text)(&failure))).await,
    }
}

async fn restart(
    rooms: &Arc<Rooms>,
    task: &Task,
    (caller, span): (Caller, Span),
    catalog: &Catalog,
    resumed: Resumed,
) -> Result<Started, Failure> {
    let called = &task.called;
    let unknown = || Failure::UnknownTool(called.tool.clone());
    let server = Arc::clone(catalog.server(&caller.tenant().id, called.server.as_ref()).ok_or_else(unknown)?);
    let tool = Arc::clone(server.tool(&called.tool).ok_or_else(unknown)?);
    let target = Target::Tool { tool, arguments: called.arguments.clone() };
    let authorized = call::authorize(rooms, (&caller, &server), &target, called.revision, &span).await?;
    let capabilities: Option<&RawValue> = serde_json::from_str(called.capabilities.as_str()).ok();
    let answers = resumed.answers.into_iter().map(|(key, answer)| (key.into_string(), answer.into_string()));
    let about = About {
        wall: target.wall(rooms.task_store.limits().wall),
        caller,
        server,
        target,
        revision: called.revision,
        capabilities: capabilities.and_then(ClientCapabilities::from_json),
        meta: called.meta.clone(),
        token: None,
        log_level: None,
        scratch: None,
        in_session: false,
        span,
    };
    let running = call::enter(rooms, &about)?;
    let resume = Some(Resume { answers: answers.collect(), state: resumed.state });
    let start = Start { about, authorized, in_flight: None, resume, running };
    start.run(rooms).await
}
