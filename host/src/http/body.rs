//! Request bodies: within their size, within their time, and not slower than their least rate.

use crate::config::HttpLimits;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::time::Instant;

/// A body may be slow for this long before its rate counts.
const GRACE: Duration = Duration::from_secs(5);
/// How often a slow body's rate is looked at.
const RATE_CHECK: Duration = Duration::from_secs(1);

/// Of a body that does not come in one piece.
const PIECE_BYTES: usize = 16 << 10;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBody {
    /// More bytes than a body may have.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The connection broke, or the framing is wrong.
    Broken,
}

/// Reads a body whole. `declared` is its `Content-Length`: one beyond the limit is refused before a byte is read. `hold` is told how much
/// has come before that is kept, and may refuse it.
pub(super) async fn read<E: From<NoBody>>(
    body: Body,
    declared: Option<u64>,
    limits: &HttpLimits,
    mut hold: impl FnMut(u64) -> Result<(), E>,
) -> Result<Bytes, E> {
    if declared.is_some_and(|bytes| bytes > limits.body_bytes_max as u64) {
        return Err(NoBody::TooLarge.into());
    }
    let began = Instant::now();
    let deadline = began + limits.body_timeout;
    let mut body = std::pin::pin!(body);
    let mut pieces = Pieces::default();
    let mut received: u64 = 0;
    let mut now = began;
    // What has come whole by its declared length has no end that could be waited for.
    while !body.is_end_stream() {
        let look = deadline.min(now + RATE_CHECK);
        let frame = match tokio::time::timeout_at(look, body.frame()).await {
            Ok(Some(Ok(frame))) => Some(frame),
            Ok(Some(Err(_))) => return Err(NoBody::Broken.into()),
            Ok(None) => break,
            Err(_) => None,
        };
        now = Instant::now();
        check_pace((began, now, deadline), received, limits)?;
        let Some(Ok(data)) = frame.map(Frame::into_data) else { continue };
        received = received.saturating_add(data.len() as u64);
        if received > limits.body_bytes_max as u64 {
            return Err(NoBody::TooLarge.into());
        }
        hold(received)?;
        pieces.add(data);
    }
    Ok(pieces.whole())
}

/// A body as it comes: it takes as much memory as has come of it, also while it grows. In one vector it would leave smaller ones behind, which
/// stay with the allocator for a while, or take what is only announced (H06, O10).
#[derive(Default)]
struct Pieces {
    /// Most bodies come in one piece, which is then not copied.
    first: Bytes,
    /// All of it, if there are more. Each is full but the last.
    pieces: Vec<Vec<u8>>,
}

impl Pieces {
    fn add(&mut self, data: Bytes) {
        if self.first.is_empty() && self.pieces.is_empty() {
            self.first = data;
            return;
        }
        let first = std::mem::take(&mut self.first);
        self.copy(&first);
        self.copy(&data);
    }

    fn copy(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.pieces.last().is_none_or(|last| last.len() >= PIECE_BYTES) {
                self.pieces.push(Vec::with_capacity(PIECE_BYTES));
            }
            let Some(last) = self.pieces.last_mut() else { return };
            let (now, later) = data.split_at(data.len().min(PIECE_BYTES - last.len()));
            last.extend_from_slice(now);
            data = later;
        }
    }

    /// In one: it is there twice only while this runs, and no other body can come between on this thread.
    fn whole(self) -> Bytes {
        if self.pieces.is_empty() {
            return self.first;
        }
        let mut whole = Vec::with_capacity(self.pieces.iter().map(Vec::len).sum());
        self.pieces.into_iter().for_each(|piece| whole.extend_from_slice(&piece));
        whole.into()
    }
}

fn check_pace((began, now, deadline): (Instant, Instant, Instant), received: u64, limits: &HttpLimits) -> Result<(), NoBody> {
    let counted = now.duration_since(began).saturating_sub(GRACE);
    let least = limits.body_bytes_per_second_min.saturating_mul(counted.as_secs());
    if now >= deadline || received < least { Err(NoBody::TooSlow) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole() {
        for sizes in [&[][..], &[0], &[1], &[0, 5], &[PIECE_BYTES, 1], &[1, PIECE_BYTES - 1], &[7, 3 * PIECE_BYTES, 0, PIECE_BYTES - 7, 2]]
        {
            let mut pieces = Pieces::default();
            let mut sent = Vec::new();
            for (at, size) in sizes.iter().enumerate() {
                let data = vec![u8::try_from(at).expect("few"); *size];
                sent.extend_from_slice(&data);
                pieces.add(data.into());
                let taken: usize = pieces.pieces.iter().map(Vec::capacity).sum();
                assert!(taken <= sent.len() + PIECE_BYTES, "{sizes:?}: {taken} bytes for {}", sent.len());
            }
            assert_eq!(pieces.whole(), sent, "{sizes:?}");
        }
    }
}
