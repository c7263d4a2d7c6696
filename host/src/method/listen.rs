//! `subscriptions/listen` (1.8): what a modern client hears of outside of its calls. The acknowledgement comes first, then only what was
//! asked for, and each message names the subscription.

use super::{Change, Context, Rooms, refused, task};
use crate::auth::{Caller, Denied};
use crate::failure::Failure;
use crate::outbox::{Reply, Run};
use crate::stream::Taken;
use crate::task::Task;
use crate::trace::Span;
use mcp::Id;
use mcp::listen::{ListKind, ListenParams};
use mcp::params::Params;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// Begins to listen.
///
/// # Errors
///
/// For parameters of a wrong shape, too many listeners, and tasks without their extension.
pub(super) async fn listen(rooms: &Arc<Rooms>, mut context: Context, id: &Id, params: &Params<'_>) -> Result<Box<dyn Run>, Failure> {
    let mut params = ListenParams::read(params)?;
    if !params.task_ids.is_empty() {
        task::declared(&context)?;
    }
    if rooms.draining.is_cancelled() {
        return Err(Failure::Draining);
    }
    let place = rooms.stream_place(None, context.caller.owner(), context.server.id.as_ref())?;
    // Before anything is looked at: what changes from here on is heard.
    let (changes, task_changes) = (rooms.changes.subscribe(), rooms.task_store.changes());
    // What can never come is not acknowledged, nor is a resource that is not there, or not for this caller.
    let offers = |list: ListKind| context.server.offers(list.list());
    params.tools_list_changed &= offers(ListKind::Tools);
    params.prompts_list_changed &= offers(ListKind::Prompts);
    params.resources_list_changed &= offers(ListKind::Resources);
    let mut watched = Vec::new();
    for uri in std::mem::take(&mut params.resource_subscriptions) {
        let Some(readable) = context.server.readable(&uri) else { continue };
        match rooms.policy.may_watch(&context.caller, &context.server, &readable, &uri, &context.span).await {
            Ok(()) => watched.push(uri),
            Err(denied @ (Denied::Hidden | Denied::Forbidden { .. })) => {
                rooms.note_denied(&context.caller, &context.server, refused::listed(&readable), &denied);
            }
            Err(Denied::NoAnswer) => return Err(Failure::PolicyUnavailable),
        }
    }
    params.resource_subscriptions = watched;
    let mut tasks = Vec::new();
    for id in &params.task_ids {
        let unknown_outcome = || (rooms.error_text)(&Failure::OutcomeUnknown);
        tasks.extend(rooms.task_store.find(&context.caller.owner(), id, unknown_outcome).await);
    }
    // A task that is not there, or somebody else's, is left out of what is acknowledged.
    params.task_ids = tasks.iter().map(|task| task.id.clone()).collect();
    let mut waiting: VecDeque<_> = [params.acknowledged(id)].into();
    for task in &tasks {
        waiting.push_back(told(rooms, task, id).await);
    }
    let rooms = Arc::clone(rooms);
    // The request is answered; how long somebody listens says nothing of it.
    context.span = Span::default();
    let ends = context.caller.good_for().and_then(|good_for| Instant::now().checked_add(good_for));
    let mut listening =
        Listening { rooms, context, id: id.clone(), params, tasks, waiting, ending: false, ends, changes, task_changes, _place: place };
    // What changed before that, since the caller was let in.
    listening.renew();
    Ok(Box::new(listening))
}

async fn told(rooms: &Rooms, task: &Task, id: &Id) -> Vec<u8> {
    let view = task.view().await;
    task::wire(task, &view, rooms).notification(&view.detail, id)
}

struct Listening {
    rooms: Arc<Rooms>,
    context: Context,
    id: Id,
    params: ListenParams,
    /// Held, so that the last state of one that ended can be told.
    tasks: Vec<Arc<Task>>,
    waiting: VecDeque<Vec<u8>>,
    /// The gateway stops, and that was said.
    ending: bool,
    changes: broadcast::Receiver<Change>,
    task_changes: broadcast::Receiver<Arc<Task>>,
    /// When the caller's token ends.
    ends: Option<Instant>,
    _place: Taken,
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Listening {
    async fn hear(&mut self) -> Reply {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Reply::Notification(message);
            }
            tokio::select! {
                biased;
                // A token that has ended listens no more.
                () = until(self.ends), if !self.ending => self.end(),
                // The page on cancellation wants a notification, the one on subscriptions the result: they get both.
                () = self.rooms.draining.cancelled(), if !self.ending => self.end(),
                () = std::future::ready(()), if self.ending => {
                    let ended = mcp::result::listen_ended(self.context.revision, &self.rooms.implementation, &self.id);
                    return Reply::End(Box::new(Ok(ended)));
                }
                changed = self.changes.recv() => match changed {
                    Ok(change) => self.told(&change),
                    // Too much happened at once: it all may have changed.
                    Err(RecvError::Lagged(_)) => self.whatever_changed(),
                    Err(RecvError::Closed) => return Reply::End(Box::new(Err(Failure::Internal))),
                },
                changed = self.task_changes.recv(), if !self.tasks.is_empty() => {
                    let concerned: Vec<_> = match changed {
                        Ok(changed) => self.tasks.iter_mut().filter(|task| task.id == changed.id).map(|task| {
                            *task = Arc::clone(&changed);
                            changed.clone()
                        }).collect(),
                        // Too much happened at once: where they are now is what counts.
                        Err(RecvError::Lagged(_)) => self.tasks.clone(),
                        Err(RecvError::Closed) => return Reply::End(Box::new(Err(Failure::Internal))),
                    };
                    for task in concerned {
                        let message = told(&self.rooms, &task, &self.id).await;
                        self.waiting.push_back(message);
                    }
                }
            }
        }
    }
}

impl Listening {
    /// Tells of a change, if it was asked for and concerns what this client sees.
    fn told(&mut self, change: &Change) {
        match change {
            Change::List { tenant, server, list } => {
                let here = *server == self.context.server.id && *tenant == self.context.caller.tenant().id;
                if self.params.wants(*list) && here {
                    self.waiting.push_back(list.changed_for(&self.id));
                }
            }
            Change::Rules => self.renew(),
            Change::Resource { tenant, plugin, uri } => {
                let asked = self.params.resource_subscriptions.iter().any(|asked| **asked == **uri);
                let server = self.context.server.id.as_ref();
                if asked && *tenant == self.context.caller.tenant().id && self.rooms.is_of(tenant, server, uri, plugin) {
                    self.waiting.push_back(mcp::resource::updated(uri, Some(&self.id)));
                }
            }
        }
    }

    /// Goes on under the rules of now, if they know its caller and its server.
    fn renew(&mut self) {
        let generation = self.rooms.generation.load();
        let caller = generation.authenticator.renew(&self.context.caller);
        let there = |caller: &Caller| generation.catalog.server(&caller.tenant().id, self.context.server.id.as_ref()).is_some();
        match caller.filter(there) {
            Some(caller) => self.context.caller = caller,
            None => self.end(),
        }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ending, true) {
            self.waiting.push_back(mcp::listen::cancelled(&self.id));
        }
    }

    fn whatever_changed(&mut self) {
        self.renew();
        let lists = ListKind::ALL.into_iter().filter(|list| self.params.wants(*list)).map(|list| list.changed_for(&self.id));
        let resources = self.params.resource_subscriptions.iter().map(|uri| mcp::resource::updated(uri, Some(&self.id)));
        self.waiting.extend(lists.chain(resources));
    }
}

impl Run for Listening {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Reply> + Send + '_>> {
        Box::pin(self.hear())
    }

    fn reports(&self) -> bool {
        true
    }

    fn is_endless(&self) -> bool {
        true
    }

    fn refuse(self: Box<Self>, _reason: &'static str) {}
}
