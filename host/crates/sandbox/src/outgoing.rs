//! HTTP of guests: `wasi:http/outgoing-handler` and `gatehouse:host/http` become one request, and what the host says becomes their answer.
//! Nothing is connected here, and nothing is decided: a run that was given no [`Outgoing`] sends nothing.

use crate::bindings::fetching::gatehouse::host::http as contract;
use crate::grants::{HttpRule, Several};
use crate::state::State;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpHooks};

/// Bytes that header fields of one guest may take before they are a request. The host's own limit on a request's head is smaller.
const FIELDS_BYTES_MAX: usize = 128 << 10;
/// What one write to a request's body hands over at most.
const CHUNK_BYTES_MAX: usize = 64 << 10;

/// A body on its way, in either direction.
pub type HttpBody = UnsyncBoxBody<Bytes, HttpFault>;

/// An answer on its way. Dropping it ends the request.
pub type Sending = Pin<Box<dyn Future<Output = Result<HttpAnswer, HttpFault>> + Send>>;

/// An answer whose head is there.
pub struct HttpAnswer {
    /// Its body comes as it is read.
    pub response: http::Response<HttpBody>,
    /// Moves bytes of both bodies, and has to be driven for that. Dropping it ends the request.
    pub connection: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAnswer").field("status", &self.response.status()).finish_non_exhaustive()
    }
}

/// Sends requests of one call: the host's side of it.
pub trait Outgoing: Send + Sync + fmt::Debug {
    /// Sends a request, if one of these rules lets it leave, on the terms of that rule. Its URI is absolute. It has neither `host` nor a field
    /// that is between two servers alone, and may have one `content-length`, to which its body has been held.
    ///
    /// The answer comes with its head; its body is read as the guest reads it.
    fn send(&self, request: http::Request<HttpBody>, rules: Several<HttpRule>) -> Sending;
}

/// Why a request has no answer, or why its body broke off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    /// It may not leave; what of it may not, as one word.
    #[error("the request is denied: {0}")]
    Denied(&'static str),
    /// It is no request.
    #[error("this is no request: {0}")]
    Invalid(&'static str),
    /// Its body has more bytes than these.
    #[error("the request's body has more than {0} bytes")]
    RequestTooLarge(u64),
    /// The answer's body has more.
    #[error("the response's body has more than {0} bytes")]
    ResponseTooLarge(u64),
    /// It was not over in time.
    #[error("the request took too long")]
    TimedOut,
    /// Its host has no address.
    #[error("there is no such host")]
    NoHost,
    /// Nobody takes the connection.
    #[error("there is no connection")]
    NoConnection,
    /// The server cannot prove who it is.
    #[error("the server's certificate does not count, or it speaks no TLS")]
    NoTrust,
    /// What the server says is no HTTP, or it stopped in the middle.
    #[error("the connection broke, or the answer is no HTTP")]
    Broken,
}

impl HttpFault {
    /// One word for records, of a closed set.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Denied(word) => word,
            Self::Invalid(_) => "invalid",
            Self::RequestTooLarge(_) => "request_size",
            Self::ResponseTooLarge(_) => "response_size",
            Self::TimedOut => "timeout",
            Self::NoHost => "no_host",
            Self::NoConnection => "no_connection",
            Self::NoTrust => "no_trust",
            Self::Broken => "broken",
        }
    }
}

impl From<HttpFault> for Error {
    fn from(fault: HttpFault) -> Self {
        match fault {
            HttpFault::Denied("address") => Self::DestinationIpProhibited,
            HttpFault::Denied(_) => Self::HttpRequestDenied,
            HttpFault::Invalid(_) => Self::HttpRequestUriInvalid,
            HttpFault::RequestTooLarge(bytes) => Self::HttpRequestBodySize(Some(bytes)),
            HttpFault::ResponseTooLarge(bytes) => Self::HttpResponseBodySize(Some(bytes)),
            HttpFault::TimedOut => Self::HttpResponseTimeout,
            HttpFault::NoHost => Self::DestinationNotFound,
            HttpFault::NoConnection => Self::ConnectionRefused,
            HttpFault::NoTrust => Self::TlsCertificateError,
            HttpFault::Broken => Self::HttpProtocolError,
        }
    }
}

impl From<HttpFault> for contract::Failure {
    fn from(fault: HttpFault) -> Self {
        match fault {
            HttpFault::Denied(word) => Self::Denied(word.to_owned()),
            HttpFault::Invalid(what) => Self::InvalidRequest(what.to_owned()),
            HttpFault::RequestTooLarge(bytes) | HttpFault::ResponseTooLarge(bytes) => Self::TooLarge(bytes),
            HttpFault::TimedOut => Self::TimedOut,
            HttpFault::NoHost | HttpFault::NoConnection | HttpFault::NoTrust | HttpFault::Broken => Self::Unreachable(fault.to_string()),
        }
    }
}

/// What a store has of it.
pub(crate) struct Http {
    ctx: WasiHttpCtx,
    door: Door,
}

/// The way out of one store.
pub(crate) struct Door {
    outgoing: Option<Arc<dyn Outgoing>>,
    rules: Several<HttpRule>,
    /// Each request under way holds one.
    under_way: Arc<()>,
}

impl Http {
    pub(crate) fn new(rules: &Several<HttpRule>, outgoing: Option<Arc<dyn Outgoing>>) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(FIELDS_BYTES_MAX);
        Self { ctx, door: Door { outgoing, rules: rules.clone(), under_way: Arc::default() } }
    }

    /// Of another call from now on, or of none.
    pub(crate) fn look_outward(&mut self, outgoing: Option<Arc<dyn Outgoing>>) {
        self.door.outgoing = outgoing;
    }

    /// Whether no request is under way.
    pub(crate) fn is_at_rest(&self) -> bool {
        Arc::strong_count(&self.door.under_way) == 1
    }

    pub(crate) fn parts(&mut self) -> (&mut WasiHttpCtx, &mut Door) {
        (&mut self.ctx, &mut self.door)
    }
}

impl Door {
    fn send(&self, request: http::Request<HttpBody>) -> Sending {
        match &self.outgoing {
            Some(outgoing) => {
                let (sending, under_way) = (outgoing.send(request, self.rules.clone()), Arc::clone(&self.under_way));
                Box::pin(async move {
                    let HttpAnswer { response, connection } = sending.await?;
                    let connection = Box::pin(async move {
                        connection.await;
                        drop(under_way);
                    });
                    Ok(HttpAnswer { response, connection })
                })
            }
            None => Box::pin(async { Err(HttpFault::Denied("not_granted")) }),
        }
    }
}

/// Whether a header field is the host's to set: it says to whom a request goes, how long it is, or is between two servers alone.
fn is_of_host(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name) || [header::TE, header::TRAILER, header::EXPECT].contains(name)
}

/// A response that a guest of `wasi:http` waits for, with what goes on beside it.
type WasiAnswer = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Door {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_of_host)
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES_MAX
    }

    /// The guest's own time-outs may make it shorter: those for the connection and the first byte count together, and that between bytes is the
    /// host's, for the whole.
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = WasiAnswer> + Send> {
        let sending = self.send(request.map(|body| body.map_err(|_| HttpFault::Broken).boxed_unsync()));
        let first_byte =
            options.and_then(|options| Some(options.first_byte_timeout?.saturating_add(options.connect_timeout.unwrap_or_default())));
        Box::new(async move {
            let HttpAnswer { response, connection } = within(first_byte, sending).await.map_err(Error::from)?;
            // Whatever goes wrong with it, the body tells.
            let connection: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async {
                connection.await;
                Ok(())
            });
            Ok((response.map(|body| body.map_err(Error::from).boxed_unsync()), connection))
        })
    }
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = Result<T, HttpFault>>) -> Result<T, HttpFault> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or(Err(HttpFault::TimedOut)),
        None => work.await,
    }
}

impl contract::Host for State {
    async fn fetch(&mut self, request: contract::Request) -> wasmtime::Result<Result<contract::Response, contract::Failure>> {
        let limit = request.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let fetching = async {
            let HttpAnswer { response, mut connection } = self.http.door.send(plain(request)?).await?;
            let (head, body) = response.into_parts();
            // No larger than the host lets it be, and no longer.
            let mut collecting = pin!(body.collect());
            let body = tokio::select! {
                biased;
                body = &mut collecting => body?,
                () = &mut connection => collecting.await?,
            };
            let body = body.to_bytes();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = head.headers.iter();
            let headers = headers.map(|(name, value)| contract::Header { name: name.as_str().to_owned(), value: text(value.as_bytes()) });
            Ok(contract::Response { status: head.status.as_u16(), headers: headers.collect(), body: body.into() })
        };
        Ok(within(limit, fetching).await.map_err(Into::into))
    }
}

/// A request of plain records as one of HTTP.
fn plain(request: contract::Request) -> Result<http::Request<HttpBody>, HttpFault> {
    let contract::Request { method, url, headers, body, timeout_ms: _ } = request;
    let mut built = http::Request::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync());
    *built.method_mut() = http::Method::from_bytes(method.as_bytes()).map_err(|_| HttpFault::Invalid("this is no method"))?;
    // What stands behind a `#` is nobody's but the client's.
    let url = url.split('#').next().unwrap_or_default();
    *built.uri_mut() = url.parse().map_err(|_| HttpFault::Invalid("this is no URL"))?;
    for contract::Header { name, value } in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HttpFault::Invalid("a header field has a name that is none"))?;
        if is_of_host(&name) || name == header::CONTENT_LENGTH {
            return Err(HttpFault::Invalid("a header field is the host's to set"));
        }
        let value = value.parse().map_err(|_| HttpFault::Invalid("a header field has a value that is none"))?;
        built.headers_mut().try_append(name, value).map_err(|_| HttpFault::Invalid("there are too many header fields"))?;
    }
    Ok(built)
}
