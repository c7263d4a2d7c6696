//! Instances that wait for another call of whom they served, where the operator lets calls meet: see [`Reuse`].
//!
//! What waits is in nobody's way. It has its place in the pool only until somebody waits for one, and its memory, which goes on counting where
//! it counted, only until somebody is refused some. It waits for seconds, and there are few.

use crate::call::Seat;
use crate::engine::House;
use crate::guest::Code;
use crate::share::UsedUp;
use crate::{Limits, Memory, Reuse};
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use wasmtime::component::Instance;

/// Of all guests together.
pub(crate) const KEPT_MAX: usize = 32;
/// Of one guest, for all callers.
pub(crate) const KEPT_OF_GUEST_MAX: usize = 8;
/// How long one waits.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(10);

/// Which calls may meet in one instance: all of this is the same for them.
#[derive(Clone)]
pub(crate) struct Key {
    code: Arc<Code>,
    reuse: Reuse,
    memory: Arc<Memory>,
    /// But for the wall time, which each call has of its own.
    limits: Limits,
    whose: Box<str>,
}

impl Key {
    pub(crate) fn new(code: &Arc<Code>, reuse: &Reuse, memory: &Arc<Memory>, limits: &Limits, whose: Box<str>) -> Self {
        let limits = Limits { wall: Duration::ZERO, ..*limits };
        Self { code: Arc::clone(code), reuse: reuse.clone(), memory: Arc::clone(memory), limits, whose }
    }

    /// Calls that one instance answers at most.
    pub(crate) fn calls_max(&self) -> u32 {
        self.reuse.calls_max()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.code, &other.code)
            && self.reuse == other.reuse
            && Arc::ptr_eq(&self.memory, &other.memory)
            && self.limits == other.limits
            && self.whose == other.whose
    }
}

/// An instance that answered so many calls.
pub(crate) struct Idle {
    pub(crate) seat: Seat,
    pub(crate) instance: Instance,
    pub(crate) calls: u32,
}

/// All that wait.
pub(crate) struct Kept {
    shelf: Mutex<Shelf>,
    /// Where somebody looks after them for as long as there are any.
    runtime: Handle,
}

#[derive(Default)]
struct Shelf {
    /// The oldest first.
    all: Vec<Entry>,
    next: u64,
    /// Counts those that were taken.
    reused: u64,
    /// Counts how often everything was dropped.
    era: u64,
    is_looked_after: bool,
}

struct Entry {
    number: u64,
    key: Key,
    idle: Idle,
    until: Instant,
    /// The host has not said yet what it thinks of the answer.
    is_in_doubt: bool,
}

impl Entry {
    fn house(&self) -> &House {
        self.idle.seat.house()
    }
}

/// What a call that may leave its instance behind has to know at its end.
pub(crate) struct Keeping {
    key: Key,
    kept: Arc<Kept>,
    /// When it began.
    era: u64,
}

/// Somebody waits for a place of that house: nothing is kept there meanwhile.
pub(crate) struct Waiting<'a> {
    kept: &'a Kept,
    house: &'a House,
}

impl Kept {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self { shelf: Mutex::default(), runtime }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.shelf.lock().all.len()
    }

    /// How many were taken since the start.
    pub(crate) fn reused(&self) -> u64 {
        self.shelf.lock().reused
    }

    /// The one that waited least, if there is one for such calls; and how to leave it here again.
    pub(crate) fn take(self: &Arc<Self>, key: Key) -> (Keeping, Option<Idle>) {
        let mut shelf = self.shelf.lock();
        let now = Instant::now();
        let found = shelf.all.iter().rposition(|entry| !entry.is_in_doubt && entry.until > now && entry.key == key);
        let idle = found.map(|at| shelf.all.remove(at).idle);
        shelf.reused += u64::from(idle.is_some());
        (Keeping { key, kept: Arc::clone(self), era: shelf.era }, idle)
    }

    /// Drops all of them, and those of calls that run when these end.
    pub(crate) fn clear(&self) {
        let mut shelf = self.shelf.lock();
        shelf.era += 1;
        let all = std::mem::take(&mut shelf.all);
        drop(shelf);
        drop(all);
    }

    /// Gives a place of that house free, if one that waits has one. For as long as what this returns is there, none is added.
    pub(crate) fn make_place<'a>(&'a self, house: &'a House) -> Waiting<'a> {
        let mut shelf = self.shelf.lock();
        house.waiting.fetch_add(1, Relaxed);
        let oldest = shelf.all.iter().position(|entry| std::ptr::eq(entry.house(), house));
        let oldest = oldest.map(|at| shelf.all.remove(at));
        drop(shelf);
        drop(oldest);
        Waiting { kept: self, house }
    }

    /// Gives all places of that house free that are kept. Says whether there were any.
    pub(crate) fn clear_house(&self, house: &House) -> bool {
        self.drop_where(usize::MAX, |entry| std::ptr::eq(entry.house(), house))
    }

    /// Gives some memory free of what is used up. Says whether there was any.
    pub(crate) fn make_memory(&self, used_up: UsedUp, memory: &Arc<Memory>) -> bool {
        self.drop_where(1, |entry| match used_up {
            UsedUp::Own => Arc::ptr_eq(&entry.key.memory, memory),
            UsedUp::Above => true,
        })
    }

    fn drop_where(&self, count_max: usize, covers: impl FnMut(&mut Entry) -> bool) -> bool {
        // Not under the lock: it takes the engine a while.
        let dropped: Vec<_> = self.shelf.lock().all.extract_if(.., covers).take(count_max).collect();
        !dropped.is_empty()
    }

    fn look_after(self: &Arc<Self>, shelf: &mut Shelf) {
        if !std::mem::replace(&mut shelf.is_looked_after, true) {
            self.runtime.spawn(look_after(Arc::downgrade(self)));
        }
    }

    /// Drops those that waited for long; when the next one will have. None when there is none.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut shelf = self.shelf.lock();
        let over: Vec<_> = shelf.all.extract_if(.., |entry| entry.until <= now).collect();
        let next = shelf.all.iter().map(|entry| entry.until).min();
        shelf.is_looked_after = next.is_some();
        drop(shelf);
        drop(over);
        next
    }
}

async fn look_after(kept: Weak<Kept>) {
    while let Some(next) = kept.upgrade().and_then(|kept| kept.sweep()) {
        tokio::time::sleep_until(next.into()).await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let _shelf = self.kept.shelf.lock();
        self.house.waiting.fetch_sub(1, Relaxed);
    }
}

impl Keeping {
    /// Puts the instance where it waits for the host's word; nothing where there is no room, or it is one of before.
    pub(crate) fn leave(self, seat: Seat, instance: Instance, calls: u32) -> Again {
        let Self { key, kept, era } = self;
        let mut shelf = kept.shelf.lock();
        if calls >= key.calls_max() || shelf.era != era || seat.house().waiting.load(Relaxed) > 0 {
            drop(shelf);
            return Again(None);
        }
        let (number, code) = (shelf.next, Arc::clone(&key.code));
        shelf.next += 1;
        let until = Instant::now() + KEPT_FOR;
        shelf.all.push(Entry { number, key, idle: Idle { seat, instance, calls }, until, is_in_doubt: true });
        let of_guest = |entry: &Entry| Arc::ptr_eq(&entry.key.code, &code);
        let too_many = if shelf.all.iter().filter(|entry| of_guest(entry)).count() > KEPT_OF_GUEST_MAX {
            shelf.all.iter().position(of_guest)
        } else {
            (shelf.all.len() > KEPT_MAX).then_some(0)
        };
        let oldest = too_many.map(|at| shelf.all.remove(at));
        kept.look_after(&mut shelf);
        drop(shelf);
        drop(oldest);
        Again(Some(Left { kept, number }))
    }
}

/// The instance of a call that ended well, if it may answer another one. It does once [`Again::keep`] says that the answer was right; dropped, it
/// is gone.
#[derive(Debug, Default)]
pub struct Again(Option<Left>);

/// One in doubt.
struct Left {
    kept: Arc<Kept>,
    number: u64,
}

impl Again {
    /// Lets it answer another call.
    pub fn keep(mut self) {
        if let Some(left) = self.0.take() {
            let mut shelf = left.kept.shelf.lock();
            if let Some(entry) = shelf.all.iter_mut().find(|entry| entry.number == left.number) {
                entry.is_in_doubt = false;
            }
        }
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        if let Some(left) = self.0.take() {
            left.kept.drop_where(1, |entry| entry.number == left.number && entry.is_in_doubt);
        }
    }
}

impl fmt::Debug for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Left").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
