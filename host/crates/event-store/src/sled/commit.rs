//! The one thread that writes: takes what waits, makes it durable together, answers all of it, and begins again.

use super::open::{Database, Lock, Opened};
use super::plan::{Fault, Memo, Plan};
use super::queue::{Work, Write};
use super::{Shared, layout, open, read};
use crate::{Durability, Start, Statistics, StoreError, Swept};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two attempts to open what could not be opened, and without a write before sled gets what was written last.
const RETRY: Duration = Duration::from_secs(2);
/// Without a write while something is on its way to sled.
const BREATH: Duration = Duration::from_millis(5);
/// Of the redo log, before what it holds begins its way to sled. Twice as much is held in memory beside the tree.
/// Tests see many turns.
const TURN_BYTES: u64 = if cfg!(test) { 128 << 10 } else { 512 << 10 };
/// Of changes that sled gets in one bite, with one sync behind it: a few milliseconds.
const MOVED_AT_ONCE: usize = if cfg!(test) { 64 } else { 512 };
const MOVED_BYTES: usize = 1 << 20;

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

/// What is to be done for sled.
enum Step {
    /// Nothing, or not yet.
    Rest,
    /// Give it some of what is on its way.
    Move,
    /// Let what was written lately begin its way.
    Turn,
}

impl Committer {
    pub(super) fn run(mut self) {
        loop {
            match self.shared.queue.next(self.patience()) {
                Work::Group(group) => {
                    self.write(group);
                    self.settle(false);
                }
                Work::Damage(generation, reason) => self.damaged(generation, &reason),
                Work::Idle => {
                    let burying = self.shared.database.read().as_ref().is_some_and(|database| !database.doomed.is_empty());
                    if burying {
                        self.write(Vec::new());
                    }
                    self.settle(!burying);
                }
                Work::Closed => break,
            }
            self.recover();
        }
        // Dropped here, so that the next process finds the lock free as soon as this thread has ended.
        if let Some(mut database) = self.shared.database.write().take() {
            let closed = catch_unwind(AssertUnwindSafe(|| database.close(&self.shared.clock)));
            if let Err(fault) = closed.unwrap_or_else(|_| Err(gave_up())) {
                tracing::warn!(?fault, "the store was not closed in order: what it acknowledged is in its log");
            }
        }
    }

    /// How long nothing may come before something else is done.
    fn patience(&self) -> Duration {
        match self.shared.database.read().as_ref() {
            Some(database) if !database.doomed.is_empty() => Duration::ZERO,
            Some(database) if database.table.leaving() > 0 => BREATH,
            _ => RETRY,
        }
    }

    /// Gives sled what was written: bite by bite, because whoever writes meanwhile waits.
    fn settle(&mut self, idle: bool) {
        loop {
            // Only this thread takes it away, or puts another one in its place.
            let Some((generation, step)) = self.shared.database.read().as_ref().map(|database| (database.generation, database.step(idle)))
            else {
                return;
            };
            let done = match step {
                Step::Rest => return,
                Step::Move => self.move_some(),
                Step::Turn => self.shared.database.write().as_mut().map_or(Ok(()), Database::turn),
            };
            if let Err(fault) = done {
                self.failed(generation, fault);
                return;
            }
            if idle {
                return;
            }
        }
    }

    /// What is read meanwhile is the same wherever it lies; only while it is let go of here, nobody may read.
    fn move_some(&self) -> Result<(), Fault> {
        let durability = self.shared.settings.durability;
        let moved = {
            let guard = self.shared.database.read();
            catch_unwind(AssertUnwindSafe(|| guard.as_ref().map(|database| database.move_some(durability))))
        };
        if let Some(last) = moved.map_err(|_| gave_up())?.transpose()?.flatten()
            && let Some(database) = self.shared.database.write().as_mut()
        {
            database.table.left(&last);
        }
        Ok(())
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
                Err(_) => Some((database.generation, gave_up())),
            }
        };
        let Some((generation, fault)) = fault else {
            said.into_iter().for_each(Said::now);
            self.memo.trim();
            return;
        };
        let reason = self.failed(generation, fault);
        // A write may be on the disk although this is not known.
        said.into_iter().for_each(|said| said.refuse(StoreError::Unavailable { maybe_applied: true, reason: reason.clone() }));
    }

    /// Leaves a database that cannot be written to; gives the reason.
    fn failed(&mut self, generation: u64, fault: Fault) -> String {
        let reason = match &fault {
            Fault::Refused(error) => error.to_string(),
            Fault::Disk(reason) | Fault::Damaged(reason) => reason.clone(),
        };
        match fault {
            Fault::Damaged(reason) => self.damaged(generation, &reason),
            Fault::Disk(_) | Fault::Refused(_) => self.close(reason.clone()),
        }
        reason
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
    let mut plan = Plan::new(&database.table, memo, &mut database.doomed, &shared.settings, shared.clock.now());
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
            Write::Open { stream, about, said: already, answer } => {
                said.push(Said::Plain(answer, plain(plan.open(&stream, &about, &already))));
            }
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
    plan.end();
    if database.clock_saved.elapsed() >= Duration::from_secs(10) {
        database.table.put(layout::CLOCK.to_vec(), layout::seal(layout::CLOCK, &shared.clock.write()));
        database.clock_saved = Instant::now();
    }
    let (table, redo) = (&database.table, &mut database.redo);
    table.record(|record| if record.is_empty() { Ok(()) } else { redo.keep(record, shared.settings.durability) })
}

/// What a panic of sled's says.
fn gave_up() -> Fault {
    Fault::Damaged("the database gave up on its own files".to_owned())
}

impl Database {
    /// What sled is to get now. What leaves has left by the time the next turn is half full, in bites that grow due; whoever is idle does not wait
    /// for that.
    fn step(&self, idle: bool) -> Step {
        let (leaving, written) = (self.table.leaving(), self.redo.turn_bytes());
        let full = written >= TURN_BYTES;
        let (half, done) = (TURN_BYTES / 2, written.min(TURN_BYTES / 2));
        let may_wait = self.left.saturating_mul((half - done) as usize) / half as usize;
        match leaving {
            0 if full || (idle && self.table.fresh() > 0) => Step::Turn,
            0 => Step::Rest,
            _ if full || idle || leaving >= may_wait + MOVED_AT_ONCE => Step::Move,
            _ => Step::Rest,
        }
    }

    fn turn(&mut self) -> Result<(), Fault> {
        self.redo.turn()?;
        self.table.leave();
        self.left = self.table.leaving();
        Ok(())
    }

    /// For [`Table::left`](super::table::Table::left), the last key that sled has now.
    fn move_some(&self, durability: Durability) -> Result<Option<Vec<u8>>, Fault> {
        let last = self.table.move_some(MOVED_AT_ONCE, MOVED_BYTES)?;
        self.sync(durability)?;
        Ok(last)
    }

    /// Makes what sled was given as durable as its log was.
    fn sync(&self, durability: Durability) -> Result<(), Fault> {
        self.table.tree().flush()?;
        if durability == Durability::Fsync {
            self.log.sync_data().map_err(|error| Fault::Disk(error.to_string()))?;
        }
        Ok(())
    }

    /// Gives sled all of it; the log is empty then.
    fn close(&mut self, clock: &crate::clock::Clock) -> Result<(), Fault> {
        for last_turn in [false, true] {
            while let Some(last) = self.table.move_some(MOVED_AT_ONCE, MOVED_BYTES)? {
                self.table.left(&last);
            }
            if last_turn {
                self.table.tree().insert(layout::CLOCK, layout::seal(layout::CLOCK, &clock.write()))?;
            }
            self.sync(Durability::Fsync)?;
            self.turn()?;
        }
        self.redo.turn()
    }

    /// What tenants keep, and what the disk has.
    pub(super) fn usage(&self) -> Result<Statistics, Fault> {
        let usage = read::usage(&self.table)?;
        Ok(Statistics { disk_bytes: usage.disk_bytes + self.redo.disk_bytes(), ..usage })
    }
}
