//! The one reader of a stream.

use super::{Shown, Stream, Streams};
use event_store::{Seq, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What one look into the store brings.
const PAGE_EVENTS_MAX: usize = 64;
const PAGE_BYTES_MAX: usize = 256 << 10;

/// What a reader gets.
#[derive(Debug)]
pub enum Next {
    /// An event.
    Event(Shown),
    /// Some events that came after the place where it began are gone. Said once, before what is left.
    Gap,
    /// The stream is over, and everything of it was read.
    Over,
    /// A newer connection reads it now (decision 8).
    Superseded,
}

/// A connection that reads a stream from a place on.
#[derive(Debug)]
pub struct Follow {
    streams: Arc<Streams>,
    stream: Arc<Stream>,
    reader: u64,
    at: u64,
    page: VecDeque<Shown>,
    gap_told: bool,
}

/// What to do next, decided under the stream's lock.
enum Step {
    Take(Shown),
    Read { through: u64 },
    End(Next),
    Wait,
}

impl Stream {
    /// Reads from after a place, or from where the reader before was. Whoever reads it now does not any more.
    pub fn follow(self: &Arc<Self>, streams: &Arc<Streams>, after: Option<u64>) -> Follow {
        let mut state = self.state.lock();
        state.readers += 1;
        state.attached = true;
        let at = after.unwrap_or(state.read_through).min(state.last);
        state.read_through = at;
        let reader = state.readers;
        drop(state);
        self.changed.notify_waiters();
        Follow { streams: Arc::clone(streams), stream: Arc::clone(self), reader, at, page: VecDeque::new(), gap_told: false }
    }
}

impl Follow {
    /// The stream that it reads.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// After which event it is.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// What comes next; waits for it. Cancel-safe.
    pub async fn next(&mut self) -> Next {
        loop {
            let changed = Arc::clone(&self.stream);
            let changed = changed.changed.notified();
            match self.step() {
                Step::Take(event) => return Next::Event(event),
                Step::End(next) => return next,
                Step::Wait => changed.await,
                Step::Read { through } => {
                    if self.read(through).await {
                        return Next::Gap;
                    }
                }
            }
        }
    }

    fn step(&mut self) -> Step {
        let mut state = self.stream.state.lock();
        if state.readers != self.reader {
            return Step::End(Next::Superseded);
        }
        let next = if let Some(event) = self.page.pop_front() {
            event
        } else if self.at < state.forgotten {
            return Step::Read { through: state.shown_through };
        } else if let Some(event) = state.recent.iter().find(|event| event.seq > self.at) {
            event.clone()
        } else if state.over {
            return Step::End(Next::Over);
        } else {
            return Step::Wait;
        };
        self.at = next.seq;
        state.read_through = next.seq;
        if state.read_through == state.shown_through {
            state.not_waited_for = 0;
        }
        drop(state);
        // The writer may wait for this.
        self.stream.changed.notify_waiters();
        Step::Take(next)
    }

    /// Reads a page of what the stream does not remember. True if it turned out that something is gone.
    async fn read(&mut self, through: u64) -> bool {
        let read = match &self.stream.store {
            Some(store) => store.read(&self.stream.key, Seq(self.at), PAGE_EVENTS_MAX, PAGE_BYTES_MAX).await,
            None => Err(StoreError::Unknown),
        };
        let forgotten = self.stream.state.lock().forgotten;
        let gap = match read {
            Ok(page) => {
                // What is later was not decided about when this began: it comes by way of the stream's own memory.
                let events = page.events.into_iter().filter(|event| event.seq.0 <= through);
                self.page =
                    events.map(|event| Shown { seq: event.seq.0, data: event.data, kept: true, is_final: event.is_final }).collect();
                page.gap
            }
            Err(error) => {
                tracing::warn!(%error, "a stream cannot be replayed from the store");
                true
            }
        };
        if self.page.is_empty() {
            self.at = self.at.max(forgotten);
        }
        let told = gap && !std::mem::replace(&mut self.gap_told, true);
        if told {
            let replay_gaps = self.streams.replay_gaps.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::info!(replay_gaps, "a stream was resumed from a place of which some later events are gone");
        }
        told
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let mut state = self.stream.state.lock();
        if state.readers == self.reader {
            state.attached = false;
            drop(state);
            self.stream.changed.notify_waiters();
        }
    }
}
