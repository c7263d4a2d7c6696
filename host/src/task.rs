//! Tasks: calls whose result is fetched later (`io.modelcontextprotocol/tasks`). A task is in the store before its client hears of it, and
//! each change of it before anybody sees the change; what is live here is only what still runs or waits.

mod record;
#[cfg(test)]
mod tests;

use crate::auth::Owner;
use crate::config::{ServerId, TaskLimits};
use event_store::{EventStore, Partition, Record, Space, StoreTime, TenantKey};
use mcp::capability::Capability;
use mcp::result::InputRequest;
use mcp::task::{Detail, Status};
use mcp::{JsonText, Revision};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// How long a change waits for the disk before it is shown all the same.
const DISK_WAIT: Duration = Duration::from_secs(5);
/// Changes that a listener may be behind.
const CHANGES_MAX: usize = 256;

/// What was called: enough to call it again with answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// Where.
    pub server: Option<ServerId>,
    /// Which tool.
    pub tool: Box<str>,
    /// A JSON object.
    pub arguments: JsonText,
    /// What is handed on of the request's `_meta`.
    pub meta: Option<JsonText>,
    /// What the client that called can be asked, as it said so.
    pub capabilities: JsonText,
    /// In which words.
    pub revision: Revision,
}

/// One task.
#[derive(Debug)]
pub struct Task {
    /// Its name on the wire: 32 hexadecimal digits of the system's randomness.
    pub id: Box<str>,
    /// Whose it is.
    pub owner: Owner,
    /// What was called.
    pub called: Called,
    /// Ends what runs for it.
    pub cancelled: CancellationToken,
    partition: Partition,
    created: StoreTime,
    created_at_s: u64,
    /// The store lacks its newest state.
    unsaved: AtomicBool,
    /// Held while a change is written, so that changes have one order.
    state: tokio::sync::Mutex<State>,
}

/// Where it is, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    status: Status,
    updated_at_s: u64,
    /// A result or an error.
    end: Option<JsonText>,
    questions: Vec<InputRequest>,
    answers: Vec<(Box<str>, JsonText)>,
    guest_state: Vec<u8>,
    /// Which process last worked on it.
    incarnation: u32,
}

/// A task at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Where it is.
    pub status: Status,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub last_updated_at: String,
    /// What is behind the status.
    pub detail: Detail,
}

/// What comes after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A result, which may be the tool's own failure.
    Completed(JsonText),
    /// An error.
    Failed(JsonText),
    /// The client ended it.
    Cancelled,
    /// The tool asks.
    Asks {
        /// What.
        questions: Vec<InputRequest>,
        /// What it needs to go on.
        state: Vec<u8>,
    },
}

/// What a tool goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// By the keys of its questions.
    pub answers: Vec<(Box<str>, JsonText)>,
    /// What it left.
    pub state: Vec<u8>,
}

/// Why there is no new task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTask {
    /// The caller has as many as it may have.
    Full,
    /// The store cannot keep it now.
    NotKept,
}

/// All tasks.
#[derive(Debug)]
pub struct Tasks {
    store: Arc<dyn EventStore>,
    limits: TaskLimits,
    live: Mutex<HashMap<Partition, Arc<Task>>>,
    changes: broadcast::Sender<Arc<Task>>,
    /// Which life of the store the tasks were written to.
    generation: AtomicU64,
}

impl Tasks {
    /// None live.
    pub fn new(store: Arc<dyn EventStore>, limits: TaskLimits) -> Self {
        let generation = AtomicU64::new(store.health().generation);
        Self { store, limits, live: Mutex::default(), changes: broadcast::Sender::new(CHANGES_MAX), generation }
    }

    /// Makes one. When this returns, the store has it.
    ///
    /// # Errors
    ///
    /// When the owner has too many, or the store cannot keep it.
    pub async fn begin(&self, owner: Owner, called: Called) -> Result<Arc<Task>, NoTask> {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|_| NoTask::NotKept)?;
        let partition = partition(&owner, bytes).ok_or(NoTask::NotKept)?;
        let now_s = record::now_s();
        let state = State {
            status: Status::Working,
            updated_at_s: now_s,
            end: None,
            questions: Vec::new(),
            answers: Vec::new(),
            guest_state: Vec::new(),
            incarnation: self.store.incarnation(),
        };
        let task = Arc::new(Task {
            id: partition.id_text().into(),
            owner,
            called,
            cancelled: CancellationToken::new(),
            partition: partition.clone(),
            created: self.store.now(),
            created_at_s: now_s,
            unsaved: AtomicBool::new(false),
            state: tokio::sync::Mutex::new(state.clone()),
        });
        {
            let mut live = self.live.lock();
            if live.values().filter(|live| live.owner == task.owner).count() >= self.limits.per_principal_max {
                return Err(NoTask::Full);
            }
            live.insert(partition, Arc::clone(&task));
        }
        if !self.write(&task, &state).await {
            self.forget(&task);
            // It may have been written late.
            drop(self.store.remove(&task.partition).await);
            return Err(NoTask::NotKept);
        }
        Ok(task)
    }

    /// The owner's task of that name. One whose process died while it ran has failed: `unknown_outcome` says so.
    pub async fn find(&self, owner: &Owner, id: &str, unknown_outcome: impl FnOnce() -> JsonText) -> Option<Arc<Task>> {
        let partition = partition(owner, bytes_of(id)?)?;
        let live = self.live.lock().get(&partition).cloned();
        if let Some(live) = live {
            return (live.owner == *owner).then_some(live);
        }
        let found = tokio::time::timeout(DISK_WAIT, self.store.get(&partition)).await.ok()?.ok()??;
        if found.expires <= self.store.now() {
            return None;
        }
        let task = Arc::new(record::read(id, &partition, &found.data)?);
        if task.owner != *owner {
            return None;
        }
        let state = task.state.lock().await.clone();
        match state.status {
            Status::Working if state.incarnation != self.store.incarnation() => {
                self.change(&task, Change::Failed(unknown_outcome())).await;
            }
            // Two may look at once: both get the one that was first.
            Status::Working | Status::InputRequired => {
                return Some(Arc::clone(self.live.lock().entry(partition).or_insert(task)));
            }
            Status::Completed | Status::Failed | Status::Cancelled => {}
        }
        Some(task)
    }

    /// Takes a task to its next state, unless it has come to its end. Returns when the store has it, or refused for long.
    pub async fn change(&self, task: &Arc<Task>, change: Change) {
        let mut state = task.state.lock().await;
        if state.status.is_terminal() {
            return;
        }
        let mut next = State { updated_at_s: record::now_s(), questions: Vec::new(), answers: Vec::new(), ..state.clone() };
        match change {
            Change::Completed(result) => (next.status, next.end) = (Status::Completed, Some(result)),
            Change::Failed(error) => (next.status, next.end) = (Status::Failed, Some(error)),
            Change::Cancelled => next.status = Status::Cancelled,
            Change::Asks { questions, state } => {
                (next.status, next.questions, next.guest_state) = (Status::InputRequired, questions, state)
            }
        }
        if next.status.is_terminal() {
            next.guest_state = Vec::new();
        }
        let kept = self.write(task, &next).await;
        if !kept {
            tracing::warn!("a change of a task is not in the store");
        }
        let over = next.status.is_terminal() && kept;
        *state = next;
        drop(state);
        if over {
            self.forget(task);
        }
        // Nobody may listen.
        let _ = self.changes.send(Arc::clone(task));
    }

    /// Takes answers to open questions; others are ignored. When none is open any more, the tool is to go on with what is returned.
    pub async fn answer(&self, task: &Arc<Task>, answers: Vec<(Box<str>, JsonText)>) -> Option<Resumed> {
        let mut state = task.state.lock().await;
        if state.status != Status::InputRequired {
            return None;
        }
        let mut next = State { updated_at_s: record::now_s(), incarnation: self.store.incarnation(), ..state.clone() };
        for (key, answer) in answers {
            if let Some(at) = next.questions.iter().position(|question| question.key == key) {
                next.questions.remove(at);
                next.answers.push((key, answer));
            }
        }
        let resumed = next.questions.is_empty().then(|| {
            next.status = Status::Working;
            Resumed { answers: std::mem::take(&mut next.answers), state: std::mem::take(&mut next.guest_state) }
        });
        if *state != next {
            if !self.write(task, &next).await {
                tracing::warn!("a change of a task is not in the store");
            }
            *state = next;
            drop(state);
            let _ = self.changes.send(Arc::clone(task));
        }
        resumed
    }

    async fn write(&self, task: &Task, state: &State) -> bool {
        let record = Record { data: record::write(task, state), expires: task.created.after(self.limits.ttl) };
        let written = tokio::time::timeout(DISK_WAIT, self.store.put(&task.partition, record)).await.is_ok_and(|written| written.is_ok());
        task.unsaved.store(!written, Ordering::Relaxed);
        written
    }

    fn forget(&self, task: &Task) {
        self.live.lock().remove(&task.partition);
    }

    /// Those of some owners that have not ended, as far as this process has looked at them.
    pub fn of(&self, whose: impl Fn(&Owner) -> bool) -> Vec<Arc<Task>> {
        self.live.lock().values().filter(|task| whose(&task.owner)).cloned().collect()
    }

    /// What changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Arc<Task>> {
        self.changes.subscribe()
    }

    /// Ends what is kept in memory although its time is over, and writes again what the store refused or lost.
    pub async fn sweep(&self) {
        let (now, health) = (self.store.now(), self.store.health());
        if health.degraded.is_none() {
            let replaced = self.generation.swap(health.generation, Ordering::Relaxed) != health.generation;
            let live: Vec<_> = self.live.lock().values().cloned().collect();
            for task in live.into_iter().filter(|task| replaced || task.unsaved.load(Ordering::Relaxed)) {
                let state = task.state.lock().await;
                if self.write(&task, &state).await && state.status.is_terminal() {
                    self.forget(&task);
                }
            }
        }
        let over: Vec<_> = self.live.lock().values().filter(|task| now.since(task.created) >= self.limits.ttl).cloned().collect();
        for task in over {
            task.cancelled.cancel();
            self.forget(&task);
        }
    }

    /// Limits of tasks.
    pub fn limits(&self) -> &TaskLimits {
        &self.limits
    }
}

impl Task {
    /// As it is now.
    pub async fn view(&self) -> View {
        let state = self.state.lock().await;
        let end = || state.end.clone().unwrap_or_else(|| JsonText::string(""));
        View {
            status: state.status,
            created_at: record::rfc3339(self.created_at_s),
            last_updated_at: record::rfc3339(state.updated_at_s),
            detail: match state.status {
                Status::Working | Status::Cancelled => Detail::None,
                Status::Completed => Detail::Result(end()),
                Status::Failed => Detail::Error(end()),
                Status::InputRequired => Detail::Input(state.questions.clone()),
            },
        }
    }
}

/// What a question needs, by the word of the record.
fn capability(word: &str) -> Option<Capability> {
    let all = [Capability::Roots, Capability::Sampling, Capability::SamplingTools, Capability::ElicitationForm, Capability::ElicitationUrl];
    all.into_iter().find(|capability| capability.to_string() == word)
}

fn bytes_of(id: &str) -> Option<[u8; 16]> {
    let digits = id.as_bytes();
    if digits.len() != 32 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    u128::from_str_radix(id, 16).ok().map(u128::to_be_bytes)
}

fn partition(owner: &Owner, id: [u8; 16]) -> Option<Partition> {
    Some(Partition { tenant: TenantKey::new(owner.tenant().as_str())?, space: Space::Task, id })
}
