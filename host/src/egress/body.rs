//! Bodies on their way, held to their limits: neither is ever in memory as a whole here.

use super::Call;
use crate::trace::Span;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use sandbox::{HttpBody, HttpFault};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep, sleep_until};

/// One of a call's requests that are under way; not any more when it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<AtomicU32>);

impl InFlight {
    /// None if there are as many as there may be.
    pub(super) fn begin(of_call: &Arc<AtomicU32>, most: u32) -> Option<Self> {
        let room = |in_flight: u32| (in_flight < most).then_some(in_flight.saturating_add(1));
        of_call.fetch_update(Relaxed, Relaxed, room).ok().map(|_| Self(Arc::clone(of_call)))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Whether a body says of itself that it goes beyond its limit.
pub(super) fn is_beyond(request: &http::Request<HttpBody>, limit: u64) -> bool {
    let said =
        request.headers().get(http::header::CONTENT_LENGTH).map(|length| length.to_str().ok().and_then(|length| length.parse().ok()));
    // A number that is none of 64 bits is beyond anything.
    said.is_some_and(|said: Option<u64>| said.is_none_or(|said| said > limit)) || request.body().size_hint().lower() > limit
}

/// A request's body, up to its limit.
pub(super) struct Sent {
    inner: HttpBody,
    left: u64,
    beyond: Arc<AtomicBool>,
}

/// Whether a request's body went beyond its limit: its connection only says that it broke.
pub(super) struct Sending {
    beyond: Arc<AtomicBool>,
    limit: u64,
}

impl Sent {
    pub(super) fn new(inner: HttpBody, limit: u64) -> (Self, Sending) {
        let beyond = Arc::<AtomicBool>::default();
        (Self { inner, left: limit, beyond: Arc::clone(&beyond) }, Sending { beyond, limit })
    }
}

impl Sending {
    pub(super) fn why(&self) -> Option<HttpFault> {
        self.beyond.load(Relaxed).then_some(HttpFault::RequestTooLarge(self.limit))
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = HttpFault;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpFault>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(|frame| frame.data_ref().map_or(0, Bytes::len))) {
            match self.left.checked_sub(data as u64) {
                Some(left) => self.left = left,
                None => {
                    self.beyond.store(true, Relaxed);
                    return Poll::Ready(Some(Err(HttpFault::Denied("request_size"))));
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Who is told of a response that goes beyond its limit.
pub(super) struct Told {
    pub(super) call: Arc<Call>,
    pub(super) place: String,
    pub(super) tried: u32,
    /// Of the request, which ends with its response.
    pub(super) span: Span,
}

impl Told {
    fn fails(&self, fault: &HttpFault) {
        self.span.failed(fault.word());
        if super::is_refusal(fault) {
            self.call.refused(fault, &self.place, self.tried);
        }
    }
}

/// A response's body, up to its limit and until its deadline.
pub(super) struct Answer {
    inner: Incoming,
    left: u64,
    limit: u64,
    deadline: Pin<Box<Sleep>>,
    told: Told,
    _in_flight: InFlight,
}

impl Answer {
    /// # Errors
    ///
    /// When it says of itself that it goes beyond.
    pub(super) fn new(inner: Incoming, (limit, deadline): (u64, Instant), (told, in_flight): (Told, InFlight)) -> Result<Self, HttpFault> {
        if inner.size_hint().lower() > limit {
            return Err(HttpFault::ResponseTooLarge(limit));
        }
        Ok(Self { inner, left: limit, limit, deadline: Box::pin(sleep_until(deadline)), told, _in_flight: in_flight })
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = HttpFault;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpFault>>> {
        // Also of a server that never stops to say a little.
        let fault = if self.deadline.as_mut().poll(context).is_ready() {
            HttpFault::TimedOut
        } else {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(_)) => HttpFault::Broken,
                Some(Ok(frame)) => match self.left.checked_sub(frame.data_ref().map_or(0, Bytes::len) as u64) {
                    Some(left) => {
                        self.left = left;
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    None => HttpFault::ResponseTooLarge(self.limit),
                },
            }
        };
        self.told.fails(&fault);
        Poll::Ready(Some(Err(fault)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
