//! A connection's bytes on their way to and from hyper, with the first ones put back, and three things refused that hyper lets pass: line
//! ends that a proxy in front may read differently, HTTP/2 heads that do not end, and peers that do not read what they asked for.

mod blocks;
mod lines;

use crate::metrics;
use blocks::Blocks;
use lines::Lines;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Ends a head in a way that hyper refuses, with 400: NUL is allowed nowhere in it.
const REFUSED: &[u8] = b"\0\n\n";

/// For a peer to take the last word of a connection, and how much more it may send meanwhile.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 1 << 20;

/// What is written of several parts, such as a head and a small body, goes in one piece if it is no longer: the kernel takes a part of a list more slowly than
/// these are copied.
const PIECE_BYTES_MAX: usize = 1 << 10;

/// A stream whose first bytes were read already.
pub(super) struct Wire {
    /// What is read before the stream is.
    first: Vec<u8>,
    at: usize,
    stream: TcpStream,
    check: Check,
    /// How long the peer may take nothing of what is written.
    stall_timeout: Duration,
    /// Runs while it takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs after the last word, with what was read since.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

enum Check {
    Http1(Lines),
    Http2(Blocks),
    /// Nothing more is read of the stream.
    Refused,
}

impl Wire {
    pub(super) fn http1(first: Vec<u8>, stream: TcpStream, stall_timeout: Duration) -> Self {
        Self { first, at: 0, stream, check: Check::Http1(Lines::default()), stall_timeout, stalled: None, lingering: None }
    }

    /// `block_bytes_max` limits the head of a request as it comes, compressed.
    pub(super) fn http2(first: Vec<u8>, stream: TcpStream, stall_timeout: Duration, block_bytes_max: usize) -> Self {
        let check = Check::Http2(Blocks::after(first.len(), block_bytes_max));
        Self { first, at: 0, stream, check, stall_timeout, stalled: None, lingering: None }
    }

    /// The result of a write, or its end if the peer has taken nothing for too long.
    fn within_patience(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.stall_timeout;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(context).map(|()| {
            metrics::SSE_STALLED.count();
            tracing::debug!("a connection ends: the peer does not read");
            Err(io::ErrorKind::TimedOut.into())
        })
    }

    fn poll_bytes(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(rest) = self.first.get(self.at..).filter(|rest| !rest.is_empty()) {
            let count = rest.len().min(buffer.remaining());
            let (now, _) = rest.split_at(count);
            buffer.put_slice(now);
            self.at += count;
            if self.at == self.first.len() && !matches!(self.check, Check::Refused) && buffer.remaining() > 0 {
                // With what has come behind it: hyper would take a few bytes for all there is, and double its buffer to ask for more. If
                // nothing has, or the connection has ended, the next read finds that.
                let _ = Pin::new(&mut self.stream).poll_read(context, buffer);
            }
            return Poll::Ready(Ok(()));
        }
        if matches!(self.check, Check::Refused) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = self.poll_bytes(context, buffer);
        let (_, new) = buffer.filled().split_at(before);
        let good = match &mut self.check {
            Check::Http1(lines) => lines.check(new),
            Check::Http2(blocks) => {
                blocks.check(new)?;
                new.len()
            }
            Check::Refused => new.len(),
        };
        if good == new.len() {
            return result;
        }
        buffer.set_filled(before + good);
        let wire = &mut *self;
        (wire.check, wire.first, wire.at) = (Check::Refused, REFUSED.to_vec(), 0);
        wire.poll_bytes(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_patience(context, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut piece = [0; PIECE_BYTES_MAX];
        let written = match in_one_piece(parts, &mut piece) {
            Some(bytes) => Pin::new(&mut self.stream).poll_write(context, bytes),
            None => Pin::new(&mut self.stream).poll_write_vectored(context, parts),
        };
        self.within_patience(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Ends the peer's reading, and then reads on for a moment: a socket that is closed with something unread is reset, and the peer may
    /// lose the answer that it was on the way to read.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if wire.lingering.is_none() {
            ready!(Pin::new(&mut wire.stream).poll_shutdown(context))?;
        }
        let (timer, read) = wire.lingering.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), 0));
        let mut scratch = [0; 4 << 10];
        while timer.as_mut().poll(context).is_pending() && *read < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut wire.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => *read += buffer.filled().len(),
                // The peer has ended as well.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// All parts one behind the other, if they have room there.
fn in_one_piece<'a>(parts: &[io::IoSlice<'_>], piece: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut end = 0;
    for part in parts {
        let room = piece.get_mut(end..)?.get_mut(..part.len())?;
        room.copy_from_slice(part);
        end += part.len();
    }
    piece.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_are_one_piece() {
        let mut piece = [0; 8];
        for (parts, whole) in [
            (&[][..], Some(&b""[..])),
            (&[&b"head"[..], b"body"], Some(b"headbody")),
            (&[b"", b"b", b""], Some(b"b")),
            (&[b"head", b"body!"], None),
            (&[b"a head and no body"], None),
            (&[b"headbody", b""], Some(b"headbody")),
        ] {
            let parts: Vec<_> = parts.iter().map(|part| io::IoSlice::new(part)).collect();
            assert_eq!(in_one_piece(&parts, &mut piece), whole);
        }
    }
}
