//! The one thread that writes: takes what waits, makes it durable together, answers all of it, and begins again.

use super::open::{Database, Lock, Opened};
use super::plan::{Fault, Memo, Plan};
use super::queue::{Work, Write};
use super::{Shared, layout, open};
use crate::{Durability, Start, StoreError, Swept};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two attempts to open what could not be opened.
const RETRY: Duration = Duration::from_secs(2);

pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) memo: Memo,
    pub(super) lock: Option<Lock>,
    pub(super) tried: Instant,
}

/// What to say once the group is durable.
enum Said {
    Plain(tokio::sync::oneshot::Sender<Result<(), StoreError>>, Result<(), StoreError>),
    Swept(tokio::sync::oneshot::Sender<Result<Swept, StoreError>>, Result<Swept, StoreError>),
    Decided(tokio::sync::oneshot::Sender<Result<Option<Bytes>, StoreError>>, Result<Option<Bytes>, StoreError>),
    Cleared(tokio::sync::oneshot::Sender<Result<bool, StoreError>>, Result<bool, StoreError>),
}

impl Said {
    fn now(self) {
        // Whoever does not listen any more does not need to know.
        match self {
            Self::Plain(answer, result) => drop(answer.send(result)),
            Self::Swept(answer, result) => drop(answer.send(result)),
            Self::Decided(answer, result) => drop(answer.send(result)),
            Self::Cleared(answer, result) => drop(answer.send(result)),
        }
    }

    fn refuse(self, error: StoreError) {
        match self {
            Self::Plain(answer, _) => drop(answer.send(Err(error))),
            Self::Swept(answer, _) => drop(answer.send(Err(error))),
            Self::Decided(answer, _) => drop(answer.send(Err(error))),
            Self::Cleared(answer, _) => drop(answer.send(Err(error))),
        }
    }
}

impl Committer {
    pub(super) fn run(mut self) {
        loop {
            let burying = self.shared.database.read().as_ref().is_some_and(|database| !database.doomed.is_empty());
            match self.shared.queue.next(if burying { Duration::ZERO } else { RETRY }) {
                Work::Group(group) => self.write(group),
                Work::Damage(generation, reason) => self.damaged(generation, &reason),
                Work::Idle if burying => self.write(Vec::new()),
                Work::Idle => {}
                Work::Closed => break,
            }
            self.recover();
        }
        // Dropped here, so that the next process finds the lock free as soon as this thread has ended.
        if let Some(database) = self.shared.database.write().take() {
            let saved = database.save_clock(&self.shared.clock).and_then(|()| database.sync(Durability::Fsync));
            if let Err(fault) = saved {
                tracing::warn!(?fault, "the store's clock could not be saved");
            }
        }
    }

    /// Writes a group. Readers wait: they never see what might still be lost.
    fn write(&mut self, group: Vec<Write>) {
        let mut said = Vec::with_capacity(group.len());
        let fault = {
            let mut guard = self.shared.database.write();
            let Some(database) = guard.as_mut() else {
                drop(guard);
                let reason = self.shared.health.lock().degraded.clone().unwrap_or_default();
                let error = StoreError::Unavailable { maybe_applied: false, reason };
                return group.into_iter().for_each(|write| write.refuse(error.clone()));
            };
            let (shared, memo) = (&*self.shared, &mut self.memo);
            let written = catch_unwind(AssertUnwindSafe(|| commit(shared, database, memo, group, &mut said)));
            match written {
                Ok(Ok(())) => None,
                Ok(Err(fault)) => Some((database.generation, fault)),
                Err(_) => Some((database.generation, Fault::Damaged("the database gave up on its own files".to_owned()))),
            }
        };
        let Some((generation, fault)) = fault else {
            said.into_iter().for_each(Said::now);
            self.memo.trim();
            return;
        };
        let reason = match &fault {
            Fault::Refused(error) => error.to_string(),
            Fault::Disk(reason) | Fault::Damaged(reason) => reason.clone(),
        };
        match fault {
            Fault::Damaged(reason) => self.damaged(generation, &reason),
            Fault::Disk(_) | Fault::Refused(_) => self.close(reason.clone()),
        }
        // A write may be on the disk although this is not known.
        said.into_iter().for_each(|said| said.refuse(StoreError::Unavailable { maybe_applied: true, reason: reason.clone() }));
    }

    /// Forgets the database, and everything about it that may not be so.
    fn close(&mut self, reason: String) {
        tracing::error!(reason, "the store cannot be written; trying again every {} s", RETRY.as_secs());
        let mut health = self.shared.health.lock();
        health.errors += 1;
        health.degraded = Some(reason);
        drop(health);
        self.memo = Memo::default();
        drop(self.shared.database.write().take());
        self.tried = Instant::now();
    }

    /// Sets the database aside, if it is still the one that the damage was found in, and begins a fresh one.
    fn damaged(&mut self, generation: u64, reason: &str) {
        let mut guard = self.shared.database.write();
        if guard.as_ref().is_none_or(|database| database.generation != generation) {
            return;
        }
        drop(guard.take());
        drop(guard);
        self.memo = Memo::default();
        let aside = open::set_aside(&self.shared.directory, reason);
        let mut health = self.shared.health.lock();
        health.errors += 1;
        health.degraded = Some(format!("the store was damaged: {reason}"));
        match aside {
            Ok(aside) => {
                health.quarantined = Some(aside);
                health.generation += 1;
            }
            Err(error) => tracing::error!(%error, "the damaged store could not be set aside"),
        }
        drop(health);
        // At once, not after a while.
        self.try_again();
    }

    /// Opens again what was closed, if it is time.
    fn recover(&mut self) {
        if self.shared.health.lock().degraded.is_some() && self.tried.elapsed() >= RETRY {
            self.try_again();
        }
    }

    fn try_again(&mut self) {
        self.tried = Instant::now();
        let shared = &self.shared;
        match Opened::open(&shared.directory, &shared.settings, Start::Degraded, &mut self.lock, &shared.clock, &shared.incarnation) {
            Ok(opened) => {
                let mut health = self.shared.health.lock();
                if let Some(aside) = opened.quarantined {
                    health.quarantined = Some(aside);
                    health.generation += 1;
                }
                health.degraded = None;
                self.memo = opened.memo;
                let database = Database { generation: health.generation, ..opened.database };
                *self.shared.database.write() = Some(database);
                tracing::info!("the store works again");
            }
            Err(error) => self.shared.health.lock().degraded = Some(error.to_string()),
        }
    }
}

fn commit(shared: &Shared, database: &mut Database, memo: &mut Memo, group: Vec<Write>, said: &mut Vec<Said>) -> Result<(), Fault> {
    let tree: &sled::Tree = &database.db;
    let mut plan = Plan::new(tree, memo, &mut database.doomed, &shared.settings, shared.clock.now());
    let mut fault = None;
    for write in group {
        // After a fault the rest is only told.
        if fault.is_some() {
            write.refuse(StoreError::Unavailable { maybe_applied: false, reason: "the disk failed a moment ago".to_owned() });
            continue;
        }
        let mut plain = |result: Result<(), Fault>| match result {
            Ok(()) => Ok(()),
            Err(Fault::Refused(error)) => Err(error),
            Err(other) => {
                fault = Some(other);
                Ok(())
            }
        };
        match write {
            Write::Open { stream, about, answer } => said.push(Said::Plain(answer, plain(plan.open(&stream, &about)))),
            Write::Append { stream, event, answer } => said.push(Said::Plain(answer, plain(plan.append(&stream, &event)))),
            Write::Put { partition, record, answer } => said.push(Said::Plain(answer, plain(plan.put(&partition, &record)))),
            Write::Remove { partition, answer } => said.push(Said::Plain(answer, plain(plan.remove(&partition)))),
            Write::Sweep { answer } => {
                let mut swept = Swept::default();
                let result = plain(plan.sweep().map(|found| swept = found));
                said.push(Said::Swept(answer, result.map(|()| swept)));
            }
            Write::Change { bucket, changes, limits, answer } => {
                said.push(Said::Plain(answer, plain(plan.change(&bucket, changes, limits))));
            }
            Write::Decide { bucket, key, decide, limits, answer } => {
                let mut value = None;
                let result = plain(plan.decide(&bucket, key, decide, limits).map(|found| value = found));
                said.push(Said::Decided(answer, result.map(|()| value)));
            }
            Write::Clear { bucket, answer } => {
                let mut more = false;
                let result = plain(plan.clear(&bucket).map(|left| more = left));
                said.push(Said::Cleared(answer, result.map(|()| more)));
            }
        }
    }
    if let Some(fault) = fault {
        return Err(fault);
    }
    plan.go_on_burying()?;
    plan.apply()?;
    database.save_clock_sometimes(&shared.clock)?;
    database.sync(shared.settings.durability)
}

impl Database {
    /// Makes what was applied as durable as it is to be.
    pub(super) fn sync(&self, durability: Durability) -> Result<(), Fault> {
        if durability != Durability::None {
            self.db.flush()?;
        }
        if durability == Durability::Fsync {
            self.log.sync_data().map_err(|error| Fault::Disk(error.to_string()))?;
        }
        Ok(())
    }

    fn save_clock_sometimes(&mut self, clock: &crate::clock::Clock) -> Result<(), Fault> {
        if self.clock_saved.elapsed() < Duration::from_secs(10) {
            return Ok(());
        }
        self.save_clock(clock)?;
        self.clock_saved = Instant::now();
        Ok(())
    }

    pub(super) fn save_clock(&self, clock: &crate::clock::Clock) -> Result<(), Fault> {
        let value = layout::seal(layout::CLOCK, &clock.write());
        self.db.insert(layout::CLOCK, value)?;
        Ok(())
    }
}
