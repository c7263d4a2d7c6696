//! What waits to be written: bounded in number and bytes, and no tenant may take more than half of it.

use crate::{Bucket, Change, Decide, Filled, NewEvent, Partition, Record, StoreError, StreamKey, Swept, TenantKey};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::oneshot;

const WRITES_MAX: usize = 8_192;
const BYTES_MAX: usize = 64 << 20;
/// Writes that share one flush.
const GROUP_WRITES_MAX: usize = 1_024;
const GROUP_BYTES_MAX: usize = 16 << 20;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A write, and whom to tell.
#[derive(Debug)]
pub(super) enum Write {
    Open { stream: StreamKey, about: Bytes, said: Vec<NewEvent>, answer: Answer<()> },
    Append { stream: StreamKey, event: NewEvent, answer: Answer<()> },
    Put { partition: Partition, record: Record, answer: Answer<()> },
    Remove { partition: Partition, answer: Answer<()> },
    Sweep { answer: Answer<Swept> },
    Change { bucket: Bucket, changes: Vec<Change>, limits: Filled, answer: Answer<()> },
    Decide { bucket: Bucket, key: Bytes, decide: Decide, limits: Filled, answer: Answer<Option<Bytes>> },
    Clear { bucket: Bucket, answer: Answer<bool> },
}

impl Write {
    pub(super) fn refuse(self, error: StoreError) {
        // Whoever does not listen any more does not need to know.
        match self {
            Self::Open { answer, .. }
            | Self::Append { answer, .. }
            | Self::Put { answer, .. }
            | Self::Remove { answer, .. }
            | Self::Change { answer, .. } => drop(answer.send(Err(error))),
            Self::Decide { answer, .. } => drop(answer.send(Err(error))),
            Self::Clear { answer, .. } => drop(answer.send(Err(error))),
            Self::Sweep { answer } => drop(answer.send(Err(error))),
        }
    }
}

#[derive(Debug)]
struct Waiting {
    write: Write,
    tenant: Option<TenantKey>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    writes: VecDeque<Waiting>,
    bytes: usize,
    by_tenant: HashMap<TenantKey, (usize, usize)>,
    /// What a reader found, and in which database.
    damage: Option<(u64, String)>,
    closed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// What the writer has to do.
#[derive(Debug)]
pub(super) enum Work {
    Group(Vec<Write>),
    /// A reader found damage in the database of that generation.
    Damage(u64, String),
    /// Nothing came for a while.
    Idle,
    /// Nothing will come any more.
    Closed,
}

impl Queue {
    /// Does not wake the writer: see [`Queue::wake`].
    pub(super) fn push(&self, tenant: Option<&TenantKey>, bytes: usize, write: Write) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let (writes_of, bytes_of) = tenant.and_then(|tenant| state.by_tenant.get(tenant)).copied().unwrap_or_default();
        // A removal is always let in: it makes room, and nobody can wish for many.
        let makes_room = matches!(write, Write::Remove { .. } | Write::Sweep { .. });
        let over = state.writes.len() >= WRITES_MAX
            || state.bytes + bytes > BYTES_MAX
            || writes_of >= WRITES_MAX / 2
            || bytes_of + bytes > BYTES_MAX / 2;
        if state.closed || (over && !makes_room) {
            let reason = if state.closed { "the store has been closed" } else { "too much waits for the disk" };
            return Err(StoreError::Unavailable { maybe_applied: false, reason: reason.to_owned() });
        }
        if let Some(tenant) = tenant {
            state.by_tenant.insert(tenant.clone(), (writes_of + 1, bytes_of + bytes));
        }
        state.bytes += bytes;
        state.writes.push_back(Waiting { write, tenant: tenant.cloned(), bytes });
        Ok(())
    }

    /// There is something to write.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// What came while the last group was written, or whatever comes first.
    pub(super) fn next(&self, patience: Duration) -> Work {
        let mut state = self.state.lock();
        // Who is woken for what it has taken already goes on waiting.
        let nothing = |state: &mut State| state.writes.is_empty() && state.damage.is_none() && !state.closed;
        self.changed.wait_while_for(&mut state, nothing, patience);
        if let Some((generation, reason)) = state.damage.take() {
            return Work::Damage(generation, reason);
        }
        let (mut group, mut bytes) = (Vec::new(), 0);
        while group.len() < GROUP_WRITES_MAX
            && bytes < GROUP_BYTES_MAX
            && let Some(waiting) = state.writes.pop_front()
        {
            bytes += waiting.bytes;
            state.bytes -= waiting.bytes;
            if let Some(tenant) = waiting.tenant {
                let left = state.by_tenant.get_mut(&tenant).map(|(writes, bytes)| {
                    (*writes, *bytes) = (writes.saturating_sub(1), bytes.saturating_sub(waiting.bytes));
                    *writes
                });
                if left == Some(0) {
                    state.by_tenant.remove(&tenant);
                }
            }
            group.push(waiting.write);
        }
        match (group.is_empty(), state.closed) {
            (false, _) => Work::Group(group),
            (true, true) => Work::Closed,
            (true, false) => Work::Idle,
        }
    }

    pub(super) fn report_damage(&self, generation: u64, reason: String) {
        self.state.lock().damage = Some((generation, reason));
        self.changed.notify_one();
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::{Queue, Work, Write};
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[test]
    fn what_is_queued_before_anybody_waits_is_written_together() {
        let queue = Queue::default();
        let work = std::thread::scope(|scope| {
            let writer = scope.spawn(|| queue.next(Duration::from_secs(60)));
            for _ in 0..3 {
                queue.push(None, 0, Write::Sweep { answer: oneshot::channel().0 }).expect("there is room");
            }
            queue.wake();
            writer.join().expect("no panic")
        });
        assert!(matches!(&work, Work::Group(group) if group.len() == 3), "{work:?}");
    }
}
