//! Who is next, where many wait for a few places: start-time fair queueing between shares, by their weights, and the order of coming within
//! each.
//!
//! A share that takes a place pays for it by its own clock, which goes the slower the greater its weight is. The one whose clock is furthest
//! behind is next; one that comes back after a pause starts at the present and cannot claim what it did not ask for.
//!
//! It knows neither what the places are nor whose the shares are: calls that a host may hold, and turns of guests that compute.

mod pressure;

pub use pressure::Pressure;

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// A share's clock goes on by so much for a place, divided by its weight.
const PLACE: u64 = 1 << 20;

/// Somebody's part of one [`Places`], and of no other. Cheap to clone: clones are the same share.
#[derive(Debug, Clone)]
pub struct Share(Arc<State>);

#[derive(Debug)]
struct State {
    id: u64,
    weight: AtomicU32,
    clock: AtomicU64,
    waiting: AtomicUsize,
    held: AtomicUsize,
    pressure: Pressure,
}

impl Share {
    /// Of that weight.
    pub fn new(weight: u32) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(State {
            id: NEXT.fetch_add(1, Relaxed),
            weight: AtomicU32::new(weight),
            clock: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            pressure: Pressure::default(),
        }))
    }

    /// Another weight, from the next place on.
    pub fn set_weight(&self, weight: u32) {
        self.0.weight.store(weight, Relaxed);
    }

    /// How many places it waits for.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Relaxed)
    }

    /// How many places it has.
    pub fn held(&self) -> usize {
        self.0.held.load(Relaxed)
    }

    /// How many it has or waits for.
    pub fn wanted(&self) -> usize {
        self.waiting().saturating_add(self.held())
    }

    /// For how long it has had too little, as far as its owner said so.
    pub fn pressure(&self) -> &Pressure {
        &self.0.pressure
    }

    /// Who comes back after a pause starts at the present.
    fn be_present(&self, present: u64) {
        self.0.clock.fetch_max(present, Relaxed);
    }

    fn pay(&self, places: u64) {
        let weight = u64::from(self.0.weight.load(Relaxed).max(1));
        let clock = self.0.clock.load(Relaxed).saturating_add(PLACE.saturating_mul(places) / weight);
        self.0.clock.store(clock, Relaxed);
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::new(1)
    }
}

/// A number of places. Cheap to clone: clones are the same places.
#[derive(Debug, Clone)]
pub struct Places(Arc<All>);

#[derive(Debug)]
struct All {
    total: usize,
    /// Shares that have or want a place.
    active: AtomicUsize,
    /// Under its lock clocks and counts change; they are atomics so that they can be read without it.
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    free: usize,
    /// The clock of the share that was last served.
    present: u64,
    lines: HashMap<u64, Line>,
}

#[derive(Debug)]
struct Line {
    share: Share,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

/// One of them; given to the next when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    share: Share,
}

/// A place to come. Cancel-safe: who does not wait any more is passed over.
#[derive(Debug)]
pub struct Asking(Asked);

#[derive(Debug)]
enum Asked {
    /// One was free.
    Now(Option<Place>),
    Waits {
        comes: oneshot::Receiver<Place>,
        _wants: Wants,
    },
}

/// One that a share waits for; it counts as such until it is dropped.
#[derive(Debug)]
struct Wants(Places, Share);

impl Drop for Wants {
    fn drop(&mut self) {
        let queue = self.0.0.queue.lock();
        self.1.0.waiting.fetch_sub(1, Relaxed);
        self.0.left(&self.1);
        drop(queue);
    }
}

impl Places {
    /// So many.
    pub fn new(places: usize) -> Self {
        let queue = Queue { free: places, present: 0, lines: HashMap::new() };
        Self(Arc::new(All { total: places, active: AtomicUsize::new(0), queue: Mutex::new(queue) }))
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.0.total
    }

    /// How many shares have or want a place.
    pub fn active(&self) -> usize {
        self.0.active.load(Relaxed)
    }

    /// A place, when it is this share's turn. It stands in line from now on, not from the first poll.
    pub fn ask(&self, share: &Share) -> Asking {
        let mut queue = self.0.queue.lock();
        if queue.free > 0 {
            // Nobody waits where one is free.
            queue.free -= 1;
            share.be_present(queue.present);
            share.pay(1);
            return Asking(Asked::Now(Some(self.hold(share))));
        }
        let present = queue.present;
        let line = queue.lines.entry(share.0.id).or_insert_with(|| Line { share: share.clone(), waiting: VecDeque::new() });
        // Who went away leaves nothing behind, though no place comes free for long.
        while line.waiting.front().is_some_and(oneshot::Sender::is_closed) {
            line.waiting.pop_front();
        }
        while line.waiting.back().is_some_and(oneshot::Sender::is_closed) {
            line.waiting.pop_back();
        }
        if line.waiting.is_empty() {
            share.be_present(present);
        }
        let (place, comes) = oneshot::channel();
        line.waiting.push_back(place);
        self.enters(share);
        share.0.waiting.fetch_add(1, Relaxed);
        Asking(Asked::Waits { comes, _wants: Wants(self.clone(), share.clone()) })
    }

    /// Only under the lock, like all that counts.
    fn hold(&self, share: &Share) -> Place {
        self.enters(share);
        share.0.held.fetch_add(1, Relaxed);
        Place { places: self.clone(), share: share.clone() }
    }

    fn enters(&self, share: &Share) {
        if share.wanted() == 0 {
            self.0.active.fetch_add(1, Relaxed);
        }
    }

    fn left(&self, share: &Share) {
        if share.wanted() == 0 {
            self.0.active.fetch_sub(1, Relaxed);
        }
    }
}

impl Queue {
    /// Who is next, out of its line.
    fn next(&mut self) -> Option<(Share, oneshot::Sender<Place>)> {
        loop {
            let clock = |line: &Line| (line.share.0.clock.load(Relaxed), line.share.0.id);
            let (id, line) = self.lines.iter_mut().min_by_key(|(_, line)| clock(line))?;
            let next = line.waiting.pop_front();
            let Some(next) = next.filter(|next| !next.is_closed()) else {
                // It has gone, and costs its share nothing.
                if line.waiting.is_empty() {
                    let id = *id;
                    self.lines.remove(&id);
                }
                continue;
            };
            self.present = line.share.0.clock.load(Relaxed);
            line.share.pay(1);
            return Some((line.share.clone(), next));
        }
    }
}

impl Place {
    /// It cost as much as so many others beside itself.
    pub fn costs_more(&self, places: u64) {
        let queue = self.places.0.queue.lock();
        self.share.pay(places);
        drop(queue);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queue = self.places.0.queue.lock();
        self.share.0.held.fetch_sub(1, Relaxed);
        self.places.left(&self.share);
        let next = queue.next().map(|(share, next)| (self.places.hold(&share), next));
        if next.is_none() {
            queue.free += 1;
        }
        drop(queue);
        if let Some((place, next)) = next {
            // Who went away in this moment drops it, and that gives it to the next: outside of the lock.
            drop(next.send(place));
        }
    }
}

impl Asking {
    /// One that has come.
    pub fn of(place: Place) -> Self {
        Self(Asked::Now(Some(place)))
    }

    /// The place, if one was free.
    ///
    /// # Errors
    ///
    /// Itself, to be waited for.
    pub fn now(mut self) -> Result<Place, Self> {
        match &mut self.0 {
            Asked::Now(place) => place.take().ok_or(self),
            Asked::Waits { .. } => Err(self),
        }
    }
}

impl Future for Asking {
    type Output = Place;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Place> {
        match &mut self.0 {
            // Polled again after it was done, which no executor does.
            Asked::Now(place) => place.take().map_or(Poll::Pending, Poll::Ready),
            Asked::Waits { comes, .. } => match ready!(Pin::new(comes).poll(context)) {
                Ok(place) => Poll::Ready(place),
                // The other end is dropped with the places only.
                Err(_) => Poll::Pending,
            },
        }
    }
}

#[cfg(test)]
mod tests;
