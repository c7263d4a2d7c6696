//! Request bodies: within their size, within their time, and not slower than their least rate.

use crate::config::HttpLimits;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::time::Instant;

/// A body may be slow for this long before its rate counts.
const GRACE: Duration = Duration::from_secs(5);
/// How often a slow body's rate is looked at.
const RATE_CHECK: Duration = Duration::from_secs(1);

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

/// Reads a body whole. `declared` is its `Content-Length`: one beyond the limit is refused before a byte is read.
pub(super) async fn read(body: Body, declared: Option<u64>, limits: &HttpLimits) -> Result<Bytes, NoBody> {
    if declared.is_some_and(|bytes| bytes > limits.body_bytes_max as u64) {
        return Err(NoBody::TooLarge);
    }
    let began = Instant::now();
    let deadline = began + limits.body_timeout;
    let mut body = std::pin::pin!(body);
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    let mut received: u64 = 0;
    loop {
        let look = deadline.min(Instant::now() + RATE_CHECK);
        let frame = match tokio::time::timeout_at(look, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(NoBody::Broken),
            Ok(None) => break,
            Err(_) => {
                check_pace(began, deadline, received, limits)?;
                continue;
            }
        };
        check_pace(began, deadline, received, limits)?;
        let Ok(data) = frame.into_data() else { continue };
        received = received.saturating_add(data.len() as u64);
        if received > limits.body_bytes_max as u64 {
            return Err(NoBody::TooLarge);
        }
        // Most bodies come in one piece, which is then not copied.
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            None => whole.extend_from_slice(&data),
            Some(earlier) => {
                whole.reserve(earlier.len() + data.len());
                whole.extend_from_slice(&earlier);
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

fn check_pace(began: Instant, deadline: Instant, received: u64, limits: &HttpLimits) -> Result<(), NoBody> {
    let now = Instant::now();
    let counted = now.duration_since(began).saturating_sub(GRACE);
    let least = limits.body_bytes_per_second_min.saturating_mul(counted.as_secs());
    if now >= deadline || received < least { Err(NoBody::TooSlow) } else { Ok(()) }
}
