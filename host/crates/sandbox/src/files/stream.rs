//! Streams of files that guests write.

use super::writer::{Failed, Open, Place};
use bytes::Bytes;
use std::sync::Arc;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynInputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;

/// What one write hands over at most.
const CHUNK_BYTES_MAX: usize = 64 << 10;

/// Writes a file, one piece after the other.
pub(super) struct Writing {
    open: Arc<Open>,
    place: Place,
    turn: Turn,
}

enum Turn {
    Ready,
    Busy(AbortOnDropJoinHandle<Result<u64, Failed>>),
    Failed(Failed),
    Closed,
}

impl Writing {
    pub(super) fn new(open: Arc<Open>, place: Place) -> Self {
        Self { open, place, turn: Turn::Ready }
    }

    /// A failure is told once; the stream is closed then.
    fn look(&mut self) -> StreamResult<()> {
        match self.turn {
            Turn::Ready | Turn::Busy(_) => return Ok(()),
            Turn::Closed | Turn::Failed(_) => {}
        }
        match std::mem::replace(&mut self.turn, Turn::Closed) {
            Turn::Failed(Failed::Exceeded(exceeded)) => Err(StreamError::LastOperationFailed(exceeded.into())),
            Turn::Failed(Failed::Io(error)) => Err(StreamError::LastOperationFailed(error.into())),
            _ => Err(StreamError::Closed),
        }
    }
}

#[async_trait]
impl Pollable for Writing {
    async fn ready(&mut self) {
        let Turn::Busy(task) = &mut self.turn else { return };
        self.turn = match task.await {
            Ok(written) => {
                if let Place::At(offset) = &mut self.place {
                    *offset = offset.saturating_add(written);
                }
                Turn::Ready
            }
            Err(failed) => Turn::Failed(failed),
        };
    }
}

#[async_trait]
impl OutputStream for Writing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if !matches!(self.turn, Turn::Ready) || bytes.len() > CHUNK_BYTES_MAX {
            return Err(StreamError::trap("more was written than `check-write` allows"));
        }
        let (open, place) = (Arc::clone(&self.open), self.place);
        self.turn = Turn::Busy(open.writer().begin(move |_| open.write(&bytes, place)));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.look()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.look()?;
        Ok(if matches!(self.turn, Turn::Ready) { CHUNK_BYTES_MAX } else { 0 })
    }

    /// What was handed over is written, as for a guest that drops its stream when it has no more.
    async fn cancel(&mut self) {
        self.ready().await;
        self.turn = Turn::Closed;
    }
}

/// Reads a file that may be removed meanwhile, which takes its room until this is gone.
pub(super) struct Reading {
    pub(super) inner: DynInputStream,
    pub(super) _open: Arc<Open>,
}

#[async_trait]
impl Pollable for Reading {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait]
impl InputStream for Reading {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.inner.read(size)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.inner.blocking_read(size).await
    }

    fn skip(&mut self, count: usize) -> StreamResult<usize> {
        self.inner.skip(count)
    }

    async fn blocking_skip(&mut self, count: usize) -> StreamResult<usize> {
        self.inner.blocking_skip(count).await
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}
