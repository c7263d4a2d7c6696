//! Peers that do not read an event stream: their connection is closed, so that what waits for them does not pile up (reliability E08, E10).
//!
//! While a peer reads, the server asks for the next chunk as soon as it has passed one on. When it does not ask for long, its buffers
//! are full, because the peer takes nothing. `Wire` sees the same of a whole connection; this sees it of one stream among many in HTTP/2.

use crate::metrics;
use bytes::Bytes;
use futures_util::future::AbortHandle;
use futures_util::stream::{Stream, StreamExt as _};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Large chunks are passed on in pieces, so that no more than this lies with the server for a peer that does not read.
const PIECE_BYTES_MAX: usize = 16 << 10;

/// Closes the connection that a request came on; travels with the request.
#[derive(Debug, Clone)]
pub(super) struct Cut(pub(super) AbortHandle);

/// All responses that are streamed.
#[derive(Debug)]
pub struct Stalls {
    began: Instant,
    timeout: Duration,
    next: AtomicU64,
    open: Mutex<HashMap<u64, (Arc<AtomicU64>, AbortHandle)>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Watched {
    stalls: Arc<Stalls>,
    number: u64,
    /// When a chunk was passed on, in milliseconds, while the next one was not asked for; 0 otherwise.
    passed_ms: Arc<AtomicU64>,
}

impl Stalls {
    /// A peer may take nothing for so long.
    pub fn new(timeout: Duration) -> Self {
        Self { began: Instant::now(), timeout, next: AtomicU64::new(0), open: Mutex::default() }
    }

    pub(super) fn enter(self: &Arc<Self>, cut: Cut) -> Watched {
        // A peer that takes nothing at all is never asked for: so the time runs from here.
        let (number, passed_ms) = (self.next.fetch_add(1, Ordering::Relaxed), Arc::new(AtomicU64::new(self.now_ms())));
        self.open.lock().insert(number, (Arc::clone(&passed_ms), cut.0));
        Watched { stalls: Arc::clone(self), number, passed_ms }
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.open.lock().len()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Closes what has stalled for too long. To be called every second or so.
    pub fn sweep(&self) {
        let (now, timeout) = (self.now_ms(), u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX));
        for (passed_ms, cut) in self.open.lock().values() {
            let passed = passed_ms.load(Ordering::Relaxed);
            if passed != 0 && now.saturating_sub(passed) >= timeout && !cut.is_aborted() {
                metrics::SSE_STALLED.count();
                tracing::debug!("a connection ends: one of its streams is not read");
                cut.abort();
            }
        }
    }
}

impl Watched {
    /// Watches over a response's chunks.
    pub(super) fn watch(self, chunks: impl Stream<Item = Bytes> + Send + 'static) -> impl Stream<Item = Bytes> + Send + 'static {
        let mut chunks = Box::pin(chunks);
        let mut rest = Bytes::new();
        futures_util::stream::poll_fn(move |context| {
            self.passed_ms.store(0, Ordering::Relaxed);
            if rest.is_empty() {
                match chunks.poll_next_unpin(context) {
                    Poll::Ready(Some(chunk)) => rest = chunk,
                    other => return other,
                }
            }
            self.passed_ms.store(self.stalls.now_ms(), Ordering::Relaxed);
            Poll::Ready(Some(rest.split_to(rest.len().min(PIECE_BYTES_MAX))))
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stalls.open.lock().remove(&self.number);
    }
}
