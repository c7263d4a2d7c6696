//! Spans that wait to be sent: a bound, and a lock that is held for one move.

use super::span::Ended;
use crate::metrics;
use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// Spans of one post. So many wake the sender before its time.
pub(super) const BATCH: usize = 512;
/// Spans wait for so long, so that they go out together.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was recorded and is not sent yet.
#[derive(Debug)]
pub(super) struct Queue {
    max: usize,
    state: Mutex<State>,
    /// For the sender: many wait, or it is to end.
    wake: Condvar,
    /// For whoever stops: all is sent.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Ended>,
    closed: bool,
    done: bool,
}

impl Queue {
    pub(super) fn new(max: usize) -> Self {
        Self { max, state: Mutex::default(), wake: Condvar::new(), done: Condvar::new() }
    }

    /// Takes a span, or drops and counts it.
    pub(super) fn offer(&self, span: Ended) {
        let mut state = self.state.lock();
        if state.closed || state.waiting.len() >= self.max {
            drop(state);
            metrics::SPANS_DROPPED.count();
            return;
        }
        state.waiting.push(span);
        if state.waiting.len() == BATCH {
            self.wake.notify_one();
        }
    }

    /// All that wait: as soon as they are many, else when they have waited for some time. None at the end.
    pub(super) fn take(&self) -> Option<Vec<Ended>> {
        let mut state = self.state.lock();
        loop {
            let until = Instant::now() + PATIENCE;
            while state.waiting.len() < BATCH && !state.closed && !self.wake.wait_until(&mut state, until).timed_out() {}
            if !state.waiting.is_empty() {
                return Some(std::mem::take(&mut state.waiting));
            }
            if state.closed {
                state.done = true;
                self.done.notify_all();
                return None;
            }
        }
    }

    /// Takes no more, and waits until all is sent. Says whether it was in time.
    pub(super) fn close(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.state.lock();
        state.closed = true;
        self.wake.notify_one();
        while !state.done && !self.done.wait_until(&mut state, until).timed_out() {}
        state.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::span::tests::ended;
    use std::sync::Arc;

    #[test]
    fn it_has_a_bound_and_an_end() {
        let queue = Arc::new(Queue::new(BATCH + 1));
        let before = metrics::SPANS_DROPPED.get();
        (0..BATCH + 4).for_each(|_| queue.offer(ended("a")));
        assert_eq!(queue.take().map(|spans| spans.len()), Some(BATCH + 1));
        assert!(metrics::SPANS_DROPPED.get() >= before + 3);
        queue.offer(ended("b"));
        assert!(!queue.close(Duration::from_millis(1)), "nobody sends");
        queue.offer(ended("late"));
        let sender = Arc::clone(&queue);
        let sender = std::thread::spawn(move || {
            let mut names = Vec::new();
            while let Some(spans) = sender.take() {
                names.extend(spans.into_iter().map(|span| span.name));
            }
            names
        });
        assert!(queue.close(Duration::from_secs(20)));
        assert_eq!(sender.join().expect("no panic"), ["b"]);
    }
}
