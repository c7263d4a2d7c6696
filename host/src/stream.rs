//! Event streams of the handshake era: what a call or a session says, kept in the store before it is shown, and resumed after any cut.
//!
//! There is one reader, [`Follow`]: what it yields live is what it would replay. A [`Stream`] remembers its newest events so that a
//! reader that keeps up never waits for the store; one that falls behind reads from there, so its slowness costs no memory.

mod follow;
mod ids;
mod places;
mod pump;

pub use follow::{Follow, Next};
pub use ids::{EventIds, Place};
pub use places::{Counter, NoPlace, Taken};
pub use pump::begin;

use bytes::Bytes;
use event_store::{EventStore, Header, Kind, NewEvent, Partition, Seq, StoreError, StreamKey};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What a client sees goes out without an id when the disk needs longer than this (reliability D10).
const DISK_WAIT: Duration = Duration::from_secs(1);
/// How long a stream does without a disk that needed longer: its call must not crawl at the pace of its time-outs.
const DISK_PAUSE: Duration = Duration::from_secs(5);
/// What a stream remembers that the store has as well.
const RECENT_EVENTS_MAX: usize = 32;
const RECENT_BYTES_MAX: usize = 64 << 10;
/// What a stream remembers that is nowhere else.
const VOLATILE_BYTES_MAX: usize = 1 << 20;
const VOLATILE_EVENTS_MAX: usize = 256;
/// Ended streams whose end could not be stored: remembered, within this number, until nobody will ask any more.
const UNSTORED_MAX: usize = 1_000;

/// The number of a session's standalone stream.
pub const STANDALONE: u64 = 0;

/// What is to become an event.
#[derive(Debug, Clone)]
pub struct Unwritten {
    /// A whole message.
    pub message: Bytes,
    /// Nothing comes after it.
    pub is_final: bool,
}

impl Unwritten {
    fn as_event(&self, seq: u64, keep: Duration) -> NewEvent {
        let kind = if self.is_final { Kind::Final { keep_for: keep } } else { Kind::Message };
        NewEvent { seq: Seq(seq), kind, data: self.message.clone() }
    }
}

/// One event as it is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its number in the stream.
    pub seq: u64,
    /// A whole message.
    pub data: Bytes,
    /// The store has it: it may be shown with its id.
    pub kept: bool,
    /// Nothing comes after it.
    pub is_final: bool,
}

/// One stream.
#[derive(Debug)]
pub struct Stream {
    key: StreamKey,
    /// None: nothing of it is kept.
    store: Option<Arc<dyn EventStore>>,
    keep: Duration,
    /// Which life of the store it was begun in.
    generation: u64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The newest number that was given to an event.
    last: u64,
    /// Events that the disk has not decided about, in order; none is shown before those in front of it.
    waiting: VecDeque<Waiting>,
    recent: VecDeque<Shown>,
    recent_bytes: usize,
    /// Every event up to this one was decided about.
    shown_through: u64,
    /// Every event up to this one is not among the recent ones.
    forgotten: u64,
    over: bool,
    /// Counts connections; the newest one is the reader.
    readers: u64,
    attached: bool,
    /// Of the reader: whoever comes next has it as well.
    place: Weak<Taken>,
    /// Until then the store is not asked to keep what is not final.
    pause: Option<Instant>,
    /// A reader that was waited for long enough; until it has caught up.
    not_waited_for: u64,
    /// Where the reader is; the next one goes on there if it does not say otherwise.
    read_through: u64,
}

impl State {
    /// Of a stream that has said so much.
    fn of(said: Vec<Unwritten>, kept: bool) -> Self {
        let mut state = Self::default();
        for (seq, Unwritten { message: data, is_final }) in (1..).zip(said) {
            state.last = seq;
            state.show(Shown { seq, data, kept, is_final });
        }
        state.forget(kept);
        state
    }

    fn show(&mut self, event: Shown) {
        self.shown_through = event.seq;
        self.over |= event.is_final;
        self.recent_bytes += event.data.len();
        self.recent.push_back(event);
    }

    /// The oldest of what is remembered, where that is too much.
    fn forget(&mut self, kept: bool) {
        let (events_max, bytes_max) = recent_max(kept);
        while self.recent.len() > 1
            && (self.recent.len() > events_max || self.recent_bytes > bytes_max)
            && let Some(event) = self.recent.pop_front()
        {
            self.recent_bytes -= event.data.len();
            self.forgotten = event.seq;
        }
    }
}

/// Events that a stream remembers, and their bytes.
fn recent_max(kept: bool) -> (usize, usize) {
    if kept { (RECENT_EVENTS_MAX, RECENT_BYTES_MAX) } else { (VOLATILE_EVENTS_MAX, VOLATILE_BYTES_MAX) }
}

#[derive(Debug)]
struct Waiting {
    event: Shown,
    settled: bool,
}

impl Stream {
    fn new(key: StreamKey, store: Option<Arc<dyn EventStore>>, keep: Duration, state: State) -> Arc<Self> {
        let generation = store.as_ref().map_or(0, |store| store.health().generation);
        Arc::new(Self { key, store, keep, generation, state: Mutex::new(state), changed: Notify::new() })
    }

    /// As the store has it.
    fn of_header(key: StreamKey, store: Arc<dyn EventStore>, keep: Duration, header: &Header) -> Arc<Self> {
        let at = header.last.0;
        let state = State { last: at, shown_through: at, forgotten: at, read_through: at, over: header.complete, ..State::default() };
        Self::new(key, Some(store), keep, state)
    }

    /// Its number in its session.
    pub fn number(&self) -> u64 {
        self.key.stream
    }

    /// Whether its events have ids.
    pub fn is_kept(&self) -> bool {
        self.store.is_some()
    }

    /// The place of the connection that reads it, as long as there is one.
    pub fn place(&self) -> Option<Arc<Taken>> {
        self.state.lock().place.upgrade()
    }

    /// From now on it is read by a connection with that place.
    pub fn set_place(&self, place: &Arc<Taken>) {
        self.state.lock().place = Arc::downgrade(place);
    }

    /// Adds an event. Its place in the stream is that of this call; it is shown when the future is done, which waits for the disk, but not
    /// for long. The future has to be driven to its end.
    pub fn write(self: &Arc<Self>, event: Unwritten) -> impl Future<Output = ()> + Send + 'static {
        let stream = Arc::clone(self);
        let mut state = self.state.lock();
        state.last += 1;
        let seq = state.last;
        // Queued under the lock, so that the store's order is the stream's.
        let paused = !event.is_final && state.pause.is_some_and(|until| until > Instant::now());
        let store = self.store.as_ref().filter(|_| !paused);
        let storing = store.map(|store| store.append(&self.key, event.as_event(seq, self.keep)));
        let Unwritten { message: data, is_final } = event;
        state.waiting.push_back(Waiting { event: Shown { seq, data, kept: false, is_final }, settled: false });
        drop(state);
        async move {
            let kept = match storing {
                Some(storing) => tokio::time::timeout(DISK_WAIT, storing).await,
                None => Ok(Err(StoreError::Unknown)),
            };
            if kept.is_err() {
                stream.state.lock().pause = Instant::now().checked_add(DISK_PAUSE);
            }
            stream.settle(seq, kept.is_ok_and(|stored| stored.is_ok()));
        }
    }

    fn settle(&self, seq: u64, kept: bool) {
        let mut state = self.state.lock();
        if let Some(waiting) = state.waiting.iter_mut().find(|waiting| waiting.event.seq == seq) {
            waiting.settled = true;
            waiting.event.kept = kept;
        }
        while state.waiting.front().is_some_and(|waiting| waiting.settled)
            && let Some(Waiting { event, .. }) = state.waiting.pop_front()
        {
            state.show(event);
        }
        state.forget(self.is_kept());
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether its final event is shown, and in the store.
    fn ended(&self) -> Option<bool> {
        let state = self.state.lock();
        state.over.then(|| state.recent.back().is_none_or(|event| event.kept))
    }

    /// Waits while the reader is about to lose what the stream remembers, up to a limit: so that one which is merely slower than a fast
    /// tool gets everything from memory, while one that does not read holds its call up once and not again.
    async fn pace(&self) {
        if !self.is_far_ahead() {
            return;
        }
        let limit = if self.is_kept() { Duration::from_secs(2) } else { Duration::from_secs(30) };
        let caught_up = async {
            loop {
                let changed = self.changed.notified();
                if !self.is_far_ahead() {
                    return;
                }
                changed.await;
            }
        };
        // Over the limit it goes on without its reader, which finds in the store what it missed.
        if tokio::time::timeout(limit, caught_up).await.is_err() {
            let mut state = self.state.lock();
            state.not_waited_for = state.readers;
        }
    }

    fn is_far_ahead(&self) -> bool {
        let (events_max, bytes_max) = recent_max(self.is_kept());
        let state = self.state.lock();
        let unread = || state.recent.iter().filter(|event| event.seq > state.read_through);
        state.attached
            && state.not_waited_for != state.readers
            && (unread().count() > events_max / 2 || unread().map(|event| event.data.len()).sum::<usize>() > bytes_max / 2)
    }
}

/// Every stream that is written to, and the way to those that were.
#[derive(Debug)]
pub struct Streams {
    store: Arc<dyn EventStore>,
    /// Whether streams are kept at all.
    kept: bool,
    keep: Duration,
    counter: AtomicU32,
    live: Mutex<HashMap<Partition, HashMap<u64, Live>>>,
    /// How many ended streams are remembered.
    unstored: AtomicUsize,
    /// Resumed from a place of which some later events are gone.
    replay_gaps: AtomicU64,
}

#[derive(Debug)]
struct Live {
    stream: Arc<Stream>,
    /// Kept although it ended, because its end is nowhere else.
    until: Option<Instant>,
}

impl Streams {
    /// `kept` says whether streams can be resumed; `keep`, for how long after their end.
    pub fn new(store: Arc<dyn EventStore>, kept: bool, keep: Duration) -> Self {
        Self {
            store,
            kept,
            keep,
            counter: AtomicU32::new(1),
            live: Mutex::default(),
            unstored: AtomicUsize::new(0),
            replay_gaps: AtomicU64::new(0),
        }
    }

    /// Begins the stream of a request, with what it says already, in one write. `about` is the request's id as JSON: what is left to answer
    /// should the process die. If the store cannot take it now, the stream lives without ids.
    pub async fn begin(&self, partition: &Partition, about: Bytes, said: Vec<Unwritten>) -> Arc<Stream> {
        // The process's own numbers: those of an earlier one never come again.
        let number = u64::from(self.store.incarnation()) << 32 | u64::from(self.counter.fetch_add(1, Ordering::Relaxed));
        let key = StreamKey { partition: partition.clone(), stream: number };
        let kept = self.open(&key, about, &said).await;
        let state = State::of(said, kept);
        let to_come = kept && !state.over;
        let stream = Stream::new(key, kept.then(|| Arc::clone(&self.store)), self.keep, state);
        // One that is over is found in the store.
        if to_come { self.register(stream) } else { stream }
    }

    /// Whether the store has it now.
    async fn open(&self, key: &StreamKey, about: Bytes, said: &[Unwritten]) -> bool {
        if !self.kept {
            return false;
        }
        let events = (1..).zip(said).map(|(seq, said)| said.as_event(seq, self.keep)).collect();
        tokio::time::timeout(DISK_WAIT, self.store.open(key, about, events)).await.is_ok_and(|opened| opened.is_ok())
    }

    /// The session's standalone stream, begun if it was not.
    pub async fn standalone(&self, partition: &Partition) -> Arc<Stream> {
        let key = StreamKey { partition: partition.clone(), stream: STANDALONE };
        let live = self.live(&key);
        let current = |live: &&Arc<Stream>| live.is_kept() && live.generation == self.store.health().generation;
        if let Some(live) = live.as_ref().filter(|live| current(live) || !self.kept) {
            return Arc::clone(live);
        }
        let kept = if self.open(&key, Bytes::new(), &[]).await {
            tokio::time::timeout(DISK_WAIT, self.store.header(&key)).await.ok().and_then(Result::ok).flatten()
        } else {
            None
        };
        let stream = match kept {
            Some(header) => Stream::of_header(key, Arc::clone(&self.store), self.keep, &header),
            None => Stream::new(key, None, self.keep, State::default()),
        };
        if let Some(live) = live.filter(|_| stream.is_kept()) {
            // It began while the store was away, or in one that is gone: from now on it can be resumed.
            self.over(&live);
        }
        self.register(stream)
    }

    /// The stream of that request. One whose process died before its end gets one now: `unknown_outcome` makes it of the request's id.
    ///
    /// # Errors
    ///
    /// When the store cannot be read. None: there is no such stream.
    pub async fn find(
        &self,
        partition: &Partition,
        number: u64,
        unknown_outcome: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Result<Option<Arc<Stream>>, StoreError> {
        let key = StreamKey { partition: partition.clone(), stream: number };
        if let Some(live) = self.live(&key) {
            return Ok(Some(live));
        }
        if !self.kept {
            return Ok(None);
        }
        let Some(header) = self.store.header(&key).await? else { return Ok(None) };
        let stream = Stream::of_header(key, Arc::clone(&self.store), self.keep, &header);
        if !header.complete {
            stream.write(Unwritten { message: unknown_outcome(&header.about).into(), is_final: true }).await;
        }
        Ok(Some(stream))
    }

    /// The standalone stream, if the session has one in this process.
    pub fn standalone_if_live(&self, partition: &Partition) -> Option<Arc<Stream>> {
        self.live(&StreamKey { partition: partition.clone(), stream: STANDALONE })
    }

    fn live(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        Some(Arc::clone(&self.live.lock().get(&key.partition)?.get(&key.stream)?.stream))
    }

    /// Two connections may come at once: both get the one that was first.
    fn register(&self, stream: Arc<Stream>) -> Arc<Stream> {
        let mut live = self.live.lock();
        let numbers = live.entry(stream.key.partition.clone()).or_default();
        Arc::clone(&numbers.entry(stream.key.stream).or_insert(Live { stream, until: None }).stream)
    }

    /// A stream has come to its end.
    fn over(&self, stream: &Stream) {
        let unstored = stream.is_kept() && stream.ended() == Some(false);
        let mut live = self.live.lock();
        let Some(numbers) = live.get_mut(&stream.key.partition) else { return };
        match numbers.get_mut(&stream.key.stream) {
            Some(kept) if unstored && self.unstored.load(Ordering::Relaxed) < UNSTORED_MAX => {
                kept.until = Instant::now().checked_add(self.keep);
                self.unstored.fetch_add(1, Ordering::Relaxed);
            }
            _ => drop(numbers.remove(&stream.key.stream)),
        }
        if numbers.is_empty() {
            live.remove(&stream.key.partition);
        }
    }

    /// Streams that were resumed from a place of which some later events are gone, since the start.
    pub fn replay_gaps(&self) -> u64 {
        self.replay_gaps.load(Ordering::Relaxed)
    }

    /// A session has ended: nothing of it is followed any more.
    pub fn forget(&self, partition: &Partition) {
        self.live.lock().remove(partition);
    }

    /// Forgets what was remembered for long enough.
    pub fn sweep(&self) {
        let (now, mut unstored) = (Instant::now(), 0);
        let mut live = self.live.lock();
        live.retain(|_, numbers| {
            numbers.retain(|_, live| live.until.is_none_or(|until| until > now));
            unstored += numbers.values().filter(|live| live.until.is_some()).count();
            !numbers.is_empty()
        });
        self.unstored.store(unstored, Ordering::Relaxed);
    }
}
