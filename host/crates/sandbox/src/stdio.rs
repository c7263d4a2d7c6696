//! Standard output and error of a guest: kept up to a limit, the rest counted, never blocking and never failing.
//!
//! The engine's own in-memory pipe ends the guest when it is full; a chatty guest deserves a shorter log, not a trap.

use crate::events::{LogLevel, LogLine, Stream};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// One stream of one call.
#[derive(Debug, Clone)]
pub(crate) struct Capture(Arc<Mutex<Captured>>);

#[derive(Debug)]
struct Captured {
    kept: Vec<u8>,
    limit: usize,
    dropped_bytes: u64,
}

impl Capture {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Captured { kept: Vec::new(), limit, dropped_bytes: 0 })))
    }

    /// Of another call from now on.
    pub(crate) fn begin(&self, limit: usize) {
        *self.0.lock() = Captured { kept: Vec::new(), limit, dropped_bytes: 0 };
    }

    fn keep(&self, bytes: &[u8]) {
        let mut captured = self.0.lock();
        let room = captured.limit.saturating_sub(captured.kept.len());
        let (kept, dropped) = bytes.split_at(room.min(bytes.len()));
        captured.kept.extend_from_slice(kept);
        captured.dropped_bytes = captured.dropped_bytes.saturating_add(dropped.len() as u64);
    }

    /// What was written, in lines, and how many bytes were dropped.
    pub(crate) fn take(&self, stream: Stream) -> (Vec<LogLine>, u64) {
        let mut captured = self.0.lock();
        let kept = std::mem::take(&mut captured.kept);
        let level = match stream {
            Stream::Stderr => LogLevel::Warning,
            Stream::Stdout | Stream::Log => LogLevel::Info,
        };
        let lines = String::from_utf8_lossy(&kept)
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| LogLine { level, stream, logger: None, data: line.to_owned() })
            .collect();
        (lines, captured.dropped_bytes)
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Capture {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for Capture {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.keep(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
