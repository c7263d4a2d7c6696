//! Connections: accepted within limits, served, drained.
//!
//! `axum::serve` sets neither header timeouts nor header limits nor HTTP/2 limits, so this is hyper-util by hand. The first bytes of a
//! connection are read here, under the header timeout, to tell HTTP/1 from HTTP/2: hyper's own detection waits for them without a limit.

use super::lane::{Aside, Lane};
use super::stall::Cut;
use super::wire::Wire;
use crate::config::HttpLimits;
use crate::metrics;
use axum::Router;
use axum::extract::ConnectInfo;
use futures_util::future::{AbortHandle, AbortRegistration, Abortable};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Before the next try to accept, where this process or the machine has no room for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Between two lines of the log about it.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// What the kernel keeps of what a peer has not read.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// Serves connections until `stop` fires, then tells each that it is the last request's turn. Returns when no new ones are taken; those
/// that are open live in `connections`. With threads aside, those of who takes most are served there: they must outlast the connections.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: (HttpLimits, Duration),
    stop: CancellationToken,
    connections: TaskTracker,
    aside: Option<Arc<Aside>>,
) {
    let (limits, stall_timeout) = limits;
    let shared = Arc::new(Shared { places: Arc::new(Semaphore::new(limits.connections_max)), by_address: Mutex::default(), limits });
    let mut complaints = Complaints::default();
    loop {
        // A place first: with none free, newcomers wait in the kernel's queue and cost nothing here.
        if shared.places.available_permits() == 0 {
            metrics::SHED.count("connections");
        }
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&shared.places).acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files, as a rule: they come back when connections end, so trying at once again would only spin.
                if !is_of_one_connection(&error) {
                    complaints.about(&error);
                    tokio::time::sleep(PAUSE).await;
                }
                continue;
            }
        };
        let Some(guard) = Guard::enter(&shared, peer.ip(), place) else {
            metrics::HTTP_REJECTED.count("address_full");
            metrics::SHED.count("address");
            tracing::debug!(address = %peer.ip(), "a connection was refused: its address has as many as it may have");
            continue;
        };
        // With a token of its own, it meets the others at its beginning and its end only.
        let (router, stop) = (router.clone(), stop.child_token());
        let lane = Lane::new(aside.as_deref(), peer.ip());
        connections.spawn(lane.clone().serve(async move {
            if let Err(error) = connection(stream, (peer, lane), router, &guard.shared.limits, stall_timeout, stop).await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(guard);
        }));
    }
}

/// Whoever makes it happen must not fill the log.
#[derive(Default)]
struct Complaints {
    said: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    fn about(&mut self, error: &io::Error) {
        self.unsaid = self.unsaid.saturating_add(1);
        if self.said.is_none_or(|said| said.elapsed() >= COMPLAINT_INTERVAL) {
            let tries = std::mem::take(&mut self.unsaid);
            tracing::warn!(%error, tries, "connections cannot be accepted now; they wait, and it is tried again and again");
            self.said = Some(Instant::now());
        }
    }
}

/// The peer gave up before it was accepted; the next one is not concerned.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn connection(
    mut stream: TcpStream,
    (peer, lane): (SocketAddr, Lane),
    router: Router,
    limits: &HttpLimits,
    stall_timeout: Duration,
    stop: CancellationToken,
) -> io::Result<()> {
    // An answer is written in one piece; waiting to fill a packet would cost 40 ms against a peer that delays its acknowledgements.
    stream.set_nodelay(true)?;
    // Or the kernel would keep megabytes for a peer that does not read.
    rustix::net::sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES)?;
    let first = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        first = tokio::time::timeout(limits.header_timeout, first_bytes(&mut stream)) => first.map_err(io::Error::from)??,
    };
    if first.is_empty() {
        return Ok(());
    }
    let is_http2 = first.as_slice() == HTTP2_PREFACE;
    let (cut, is_cut) = AbortHandle::new_pair();
    let of_request = (Cut(cut), lane.clone());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let (cut, lane) = of_request.clone();
        request.extensions_mut().insert(cut);
        request.extensions_mut().insert(lane);
        router.clone().call(request.map(axum::body::Body::new))
    });
    let ends = (is_cut, stop);
    if is_http2 {
        // A head that is too large, but not beyond reason, gets its 431; the connection and its other requests go on.
        let wire = Wire::http2(first, stream, stall_timeout, limits.header_bytes_max.saturating_mul(2));
        // Apart, so that a connection that does not speak it has no room for it.
        Box::pin(async move {
            let connection = pin!(http2_builder(lane, limits).serve_connection(TokioIo::new(wire), service));
            drive(connection, http2::Connection::graceful_shutdown, ends).await
        })
        .await
    } else {
        let wire = Wire::http1(first, stream, stall_timeout);
        let connection = pin!(http1_builder(limits).serve_connection(TokioIo::new(wire), service));
        drive(connection, http1::Connection::graceful_shutdown, ends).await
    }
    .map_err(io::Error::other)
}

fn http1_builder(limits: &HttpLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.header_fields_max)
        // Room for the request line and all headers; hyper answers 431 beyond it. Exact limits are checked on the parsed request.
        .max_buf_size((limits.header_bytes_max + limits.uri_bytes_max + (4 << 10)).max(16 << 10));
    builder
}

fn http2_builder(lane: Lane, limits: &HttpLimits) -> http2::Builder<Lane> {
    let mut builder = http2::Builder::new(lane);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// Serves a connection to its end, or until it is cut. Told to stop, it ends behind the request that it is at. (By value a future would hold the
/// connection twice: as its argument, and where it is polled.)
async fn drive<C>(
    mut connection: Pin<&mut C>,
    graceful_shutdown: impl FnOnce(Pin<&mut C>),
    (is_cut, stop): (AbortRegistration, CancellationToken),
) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let serving = async {
        tokio::select! {
            biased;
            done = connection.as_mut() => return done,
            () = stop.cancelled() => graceful_shutdown(connection.as_mut()),
        }
        connection.await
    };
    Abortable::new(serving, is_cut).await.unwrap_or(Ok(()))
}

/// Reads until it is clear which protocol speaks: one byte for most, the whole preface for HTTP/2. Empty: the peer said nothing.
async fn first_bytes(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(HTTP2_PREFACE.len());
    let mut limited = stream.take(HTTP2_PREFACE.len() as u64);
    while first.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&first) {
        if limited.read_buf(&mut first).await? == 0 {
            break;
        }
    }
    Ok(first)
}

struct Shared {
    places: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    limits: HttpLimits,
}

/// A connection that counts; stops counting on drop.
struct Guard {
    shared: Arc<Shared>,
    address: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Guard {
    fn enter(shared: &Arc<Shared>, address: IpAddr, place: OwnedSemaphorePermit) -> Option<Self> {
        let mut by_address = shared.by_address.lock();
        let count = by_address.entry(address).or_default();
        if *count >= shared.limits.connections_per_address_max {
            return None;
        }
        *count += 1;
        Some(Self { shared: Arc::clone(shared), address, _place: place })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut by_address = self.shared.by_address.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}
