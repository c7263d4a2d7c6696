//! Request bodies: within their size, within their time, and not slower than their least rate.

use crate::config::HttpLimits;
use axum::body::Body;
use bytes::Bytes;
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
    let mut whole = Vec::new();
    let mut first = Bytes::new();
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
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        append(&mut whole, &std::mem::take(&mut first), limits.body_bytes_max);
        append(&mut whole, &data, limits.body_bytes_max);
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}

/// Appends. Room is made in few steps, because what a step leaves behind stays with the allocator for a while, and never for more than a
/// body may have (H06).
fn append(whole: &mut Vec<u8>, data: &[u8], bytes_max: usize) {
    let needed = whole.len() + data.len();
    if needed > whole.capacity() {
        let capacity = whole.capacity().saturating_mul(4).min(bytes_max).max(needed);
        whole.reserve_exact(capacity - whole.len());
    }
    whole.extend_from_slice(data);
}

fn check_pace(began: Instant, deadline: Instant, received: u64, limits: &HttpLimits) -> Result<(), NoBody> {
    let now = Instant::now();
    let counted = now.duration_since(began).saturating_sub(GRACE);
    let least = limits.body_bytes_per_second_min.saturating_mul(counted.as_secs());
    if now >= deadline || received < least { Err(NoBody::TooSlow) } else { Ok(()) }
}
