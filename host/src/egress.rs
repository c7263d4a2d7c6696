//! Requests that guests send: whether they may leave, where to, with what, and what comes back.
//!
//! - [`Means`]: what the settings name for it that is no plain data: certificates and credentials.
//! - [`Learned`]: what a component reaches for that is tried out alone, in place of all that.
//! - [`Egress`] makes the way out of one call, [`Of`]: the sandbox hands requests to it, with the rules that the call's permit carries.
//!
//! A request goes through `check`, which looks at it as it is; `dial`, which finds addresses, looks at every one and connects to one that it
//! looked at; and `body`, which holds what comes back to its limits. A connection is of one request: nothing is shared between calls, and
//! hence nothing between tenants. Nothing is followed, unpacked, kept or repeated, and no proxy of the environment is known.
//!
//! What the operator adds, such as a key, is added here, when the request has left the guest's memory. Nothing of it goes back.

mod address;
mod body;
mod check;
mod dial;
mod learned;
mod means;

pub use learned::{Found, Learned};
pub use means::{Means, MeansError};

use crate::journal::{Journal, Kind, OfGuest};
use crate::metrics;
use crate::tenant::Bill;
use crate::trace::Span;
use arc_swap::ArcSwap;
use body::{Answer, InFlight, Sent};
use check::Checked;
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sandbox::{HttpAnswer, HttpBody, HttpFault, HttpRule, Outgoing, Sending, Several};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Names that are looked up at once, for all tenants: each takes a thread for as long as the system's resolver likes.
const LOOKUPS_MAX: usize = 32;
/// Requests of one call that have spans and lines of their own. What a call tries beyond is counted.
const TOLD_MAX: u32 = 64;

/// Sends requests of guests.
pub struct Egress {
    means: ArcSwap<Means>,
    lookups: Arc<Semaphore>,
    journal: Arc<Journal>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}

/// The call that requests are of.
#[derive(Debug)]
pub struct Of {
    /// Whose requests they are.
    pub guest: OfGuest,
    /// Where they are charged.
    pub bill: Arc<Bill>,
    /// The guest's.
    pub span: Span,
}

impl Egress {
    /// With these means, until there are others.
    pub fn new(means: Means, journal: Arc<Journal>) -> Arc<Self> {
        Arc::new(Self { means: ArcSwap::from_pointee(means), lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)), journal })
    }

    /// Other means from now on, for calls that run as well.
    pub fn settle(&self, means: Means) {
        self.means.store(Arc::new(means));
    }

    /// The way out of one call.
    pub fn way_out(self: &Arc<Self>, of: Of) -> Arc<dyn Outgoing> {
        Arc::new(WayOut(Arc::new(Call { egress: Arc::clone(self), of, tried: AtomicU32::new(0), in_flight: Arc::default() })))
    }
}

#[derive(Debug)]
struct WayOut(Arc<Call>);

#[derive(Debug)]
struct Call {
    egress: Arc<Egress>,
    of: Of,
    /// Requests so far, whatever became of them.
    tried: AtomicU32,
    in_flight: Arc<AtomicU32>,
}

impl Outgoing for WayOut {
    fn send(&self, request: http::Request<HttpBody>, rules: Several<HttpRule>) -> Sending {
        let call = Arc::clone(&self.0);
        Box::pin(call.send(request, rules))
    }
}

impl Call {
    async fn send(self: Arc<Self>, request: http::Request<HttpBody>, rules: Several<HttpRule>) -> Result<HttpAnswer, HttpFault> {
        let tried = self.tried.fetch_add(1, Relaxed);
        let span = if tried < TOLD_MAX { self.of.span.request_to("egress") } else { Span::default() };
        check::tell(&span, &request);
        let place = check::place(&request);
        let sent = self.exchange(request, (&rules, &place, tried), &span).await;
        if let Err(fault) = &sent {
            span.failed(fault.word());
            if is_refusal(fault) {
                self.refused(fault, &place, tried);
            }
        }
        sent
    }

    async fn exchange(
        self: &Arc<Self>,
        request: http::Request<HttpBody>,
        (rules, place, tried): (&[HttpRule], &str, u32),
        span: &Span,
    ) -> Result<HttpAnswer, HttpFault> {
        let Checked { mut request, rule, host, port, scheme } = check::check(request, rules)?;
        let terms = Arc::clone(&rule.terms);
        span.text("gatehouse.grant", &terms.grant);
        if tried >= terms.requests_max {
            return Err(HttpFault::Denied("requests"));
        }
        if body::is_beyond(&request, terms.request_bytes_max) {
            return Err(HttpFault::RequestTooLarge(terms.request_bytes_max));
        }
        let in_flight = InFlight::begin(&self.in_flight, terms.in_flight_max).ok_or(HttpFault::Denied("in_flight"))?;
        let means = self.egress.means.load().of(&terms.grant).ok_or(HttpFault::Denied("not_granted"))?;
        means.add_credentials(scheme, &host, request.headers_mut())?;
        self.charge()?;

        let deadline = Instant::now() + terms.timeout;
        let (request, sent) = {
            let (head, body) = request.into_parts();
            let (body, sent) = Sent::new(body, terms.request_bytes_max);
            (http::Request::from_parts(head, body), sent)
        };
        let exchanging = async {
            let stream = dial::dial(&self.egress.lookups, (&host, port), (scheme, &means), &terms.addresses).await?;
            let mut builder = http1::Builder::new();
            builder.max_buf_size(terms.head_bytes_max);
            let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|_| HttpFault::Broken)?;
            let mut connection = Box::pin(async move { drop(connection.await) });
            let mut sending = pin!(sender.send_request(request));
            let response = tokio::select! {
                biased;
                response = &mut sending => response,
                () = &mut connection => sending.await,
            };
            // The sender is held until here: without one the connection would end before its answer.
            Ok((response.map_err(|_| sent.why().unwrap_or(HttpFault::Broken))?, connection))
        };
        let (response, connection) = timeout_at(deadline, exchanging).await.unwrap_or(Err(HttpFault::TimedOut))?;
        span.number("http.response.status_code", response.status().as_u16().into());
        let (head, body) = response.into_parts();
        let told = body::Told { call: Arc::clone(self), place: place.to_owned(), span: span.clone(), tried };
        let body = Answer::new(body, (terms.response_bytes_max, deadline), (told, in_flight))?;
        Ok(HttpAnswer { response: http::Response::from_parts(head, body.boxed_unsync()), connection })
    }

    fn charge(&self) -> Result<(), HttpFault> {
        self.of.bill.send().map_err(|exceeded| {
            self.of.guest.note_refusal(&self.egress.journal, Kind::QuotaHit, exceeded.word(), None);
            HttpFault::Denied("quota")
        })
    }

    /// Tells of a request that may not leave, or not come back.
    fn refused(&self, fault: &HttpFault, place: &str, tried: u32) {
        metrics::EGRESS_DENIED.count(fault.word());
        if tried < TOLD_MAX {
            self.of.guest.note_refusal(&self.egress.journal, Kind::EgressDenied, fault.word(), Some(format_args!("{place}")));
        }
    }
}

/// Whether it is the gateway that says no, and not the world.
fn is_refusal(fault: &HttpFault) -> bool {
    match fault {
        HttpFault::Denied(_) | HttpFault::Invalid(_) | HttpFault::RequestTooLarge(_) | HttpFault::ResponseTooLarge(_) => true,
        HttpFault::TimedOut | HttpFault::NoHost | HttpFault::NoConnection | HttpFault::NoTrust | HttpFault::Broken => false,
    }
}
