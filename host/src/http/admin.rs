//! What the operator is served, on a listener of its own: host → token → path → method → body. The public listener serves nothing of it.
//!
//! [`OPERATIONS`] has everything that there is; `admin/openapi.json` describes it, and is served as it stands there.

mod acts;
mod gauges;
mod problem;
mod query;
mod revoking;
mod views;

use super::body;
use super::error::ladder::{self, Rung};
use super::failures::{Failures, TooMany};
use super::{Front, OriginPolicy, error, inbound, ops};
use crate::auth::NotAdmin;
use crate::config::{HttpConfig, HttpLimits};
use crate::control::Desks;
use crate::journal::{Kind, Source};
use crate::metrics;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use problem::Problem;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

/// The operator's connections, of which there are few.
const CONNECTIONS_MAX: usize = 64;
/// Of a body, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Health,
    Readiness,
    Metrics,
    Status,
    Tenants,
    Servers,
    Plugins,
    Sessions,
    Usage,
    Revocations,
    Revoke,
    Restore,
    Reload,
    Log,
    SetLog,
    Description,
}

impl Operation {
    fn takes_query(self) -> bool {
        matches!(self, Self::Sessions | Self::Usage)
    }

    fn takes_body(self) -> bool {
        matches!(self, Self::Revoke | Self::SetLog)
    }
}

/// All of it. A path may end with a segment that says which. Who adds a line adds it to the description as well: a test compares them.
static OPERATIONS: [(Method, &str, Operation); 16] = [
    (Method::GET, "/healthz", Operation::Health),
    (Method::GET, "/readyz", Operation::Readiness),
    (Method::GET, "/metrics", Operation::Metrics),
    (Method::GET, "/v1/status", Operation::Status),
    (Method::GET, "/v1/tenants", Operation::Tenants),
    (Method::GET, "/v1/servers", Operation::Servers),
    (Method::GET, "/v1/plugins", Operation::Plugins),
    (Method::GET, "/v1/sessions", Operation::Sessions),
    (Method::GET, "/v1/usage", Operation::Usage),
    (Method::GET, "/v1/revocations", Operation::Revocations),
    (Method::POST, "/v1/revocations", Operation::Revoke),
    (Method::DELETE, "/v1/revocations/{id}", Operation::Restore),
    (Method::POST, "/v1/reload", Operation::Reload),
    (Method::GET, "/v1/log", Operation::Log),
    (Method::PUT, "/v1/log", Operation::SetLog),
    (Method::GET, "/v1/openapi.json", Operation::Description),
];

const DESCRIPTION: &str = include_str!("admin/openapi.json");

/// The last reading of the settings.
#[derive(Debug)]
pub struct LastReload {
    at: Instant,
    said: Result<String, String>,
}

impl LastReload {
    /// It ended just now, and so.
    pub fn now(said: Result<String, String>) -> Self {
        Self { at: Instant::now(), said }
    }
}

/// What the admin listener works with.
#[derive(Debug)]
pub struct Admin {
    front: Arc<Front>,
    origins: OriginPolicy,
    limits: HttpLimits,
    failures: Failures,
    desks: Arc<Desks>,
    began: Instant,
}

impl Admin {
    /// At that address, which is one of this machine alone.
    pub fn new(front: Arc<Front>, address: SocketAddr, desks: Arc<Desks>) -> Self {
        let limits = HttpLimits {
            connections_max: CONNECTIONS_MAX,
            connections_per_address_max: CONNECTIONS_MAX,
            body_bytes_max: BODY_BYTES_MAX,
            ..front.limits.http.clone()
        };
        // Names that clients of the public listener may use are none of this one.
        let origins = OriginPolicy::new(&HttpConfig::default(), address);
        let failures = Failures::new(limits.auth_failures_per_minute_max);
        Self { front, origins, limits, failures, desks, began: Instant::now() }
    }

    /// Within which its connections are accepted.
    pub fn limits(&self) -> HttpLimits {
        self.limits.clone()
    }

    async fn answer(&self, request: Request) -> Result<Response<Body>, Problem> {
        let (head, content) = request.into_parts();
        let (path, headers) = (head.uri.path(), &head.headers);
        // Whoever looks whether the process lives has no token.
        if !at(path).any(|(_, operation, _)| operation == Operation::Health) {
            self.origins.check(head.version, &head.uri, headers).map_err(<&Rung>::from)?;
            inbound::check_head(&head.uri, headers, &self.limits)?;
            self.admit(headers, head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer))?;
        }
        let (operation, which) = operation(&head.method, path)?;
        let body = body::read(content, inbound::content_length(headers), &self.limits, |_| Ok(()))
            .await
            .map_err(|reason: body::NoBody| <&Rung>::from(reason))?;
        let query = head.uri.query().unwrap_or_default();
        if !operation.takes_query() && !query.is_empty() {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "this takes no query"));
        }
        if !operation.takes_body() && !body.is_empty() {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "this takes no body"));
        }
        Ok(match operation {
            Operation::Health => ops::healthz().await.into_response(),
            Operation::Readiness => ops::readyz(State(Arc::clone(&self.front))).await,
            Operation::Metrics => page(metrics::page(self.gauges().await)),
            Operation::Status => self.status(),
            Operation::Tenants => self.tenants(),
            Operation::Servers => self.servers(),
            Operation::Plugins => self.plugins(),
            Operation::Sessions => self.sessions(query)?,
            Operation::Usage => self.usage(query)?,
            Operation::Revocations => self.revocations().await?,
            Operation::Revoke => self.revoke(headers, &body).await?,
            Operation::Restore => self.restore(which).await?,
            Operation::Reload => self.read_settings().await?,
            Operation::Log => acts::log()?,
            Operation::SetLog => self.set_log(headers, &body)?,
            Operation::Description => error::json(StatusCode::OK, DESCRIPTION.as_bytes().to_vec()),
        })
    }

    /// Whether it is the operator who asks. Who shows what does not count again and again is told to wait, like at the public listener.
    fn admit(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<(), Problem> {
        let token = self.front.admin_token.load();
        let shown = headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        // Without a token in the settings nobody is.
        let checked = token.as_ref().map_or(Err(NotAdmin::Refused), |token| token.check(shown));
        let Err(reason) = checked else { return Ok(()) };
        metrics::AUTH_FAILURES.count("admin");
        let (journal, address) = (&self.front.rooms.journal, peer.map(|peer| peer.ip()));
        let source = address.map_or(Source::Many, Source::Address);
        journal.note_often(Kind::AdminDenied, &source, reason.word(), |event| event);
        let too_many = address.filter(|_| reason == NotAdmin::Refused).and_then(|peer| self.failures.count(peer, Instant::now()));
        if too_many.is_some_and(|too_many| too_many.is_first) {
            journal.note_often(Kind::AuthLockedOut, &source, "admin", |event| event);
        }
        Err(match too_many {
            Some(TooMany { wait, .. }) => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many tokens of this address did not count; try again later")
                    .with(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)))
            }
            None => Problem::new(StatusCode::UNAUTHORIZED, "the admin token is needed")
                .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gatehouse-admin\"")),
        })
    }
}

/// Everything goes through one door.
pub fn router(admin: Admin) -> Router {
    Router::new().fallback(door).with_state(Arc::new(admin))
}

async fn door(State(admin): State<Arc<Admin>>, request: Request) -> Response<Body> {
    // A panic is a fault of ours and of one request.
    let answered = AssertUnwindSafe(admin.answer(request)).catch_unwind().await;
    let answered = answered.unwrap_or_else(|_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the gateway's own")));
    answered.unwrap_or_else(Problem::into_response)
}

/// What there is at a path, each with what the path's last segment says, if it says which.
fn at(path: &str) -> impl Iterator<Item = (&'static Method, Operation, &str)> {
    OPERATIONS.iter().filter_map(move |(method, known, operation)| {
        let which = match known.strip_suffix("{id}") {
            Some(before) => path.strip_prefix(before).filter(|id| !id.is_empty() && !id.contains('/'))?,
            None if *known == path => "",
            None => return None,
        };
        Some((method, *operation, which))
    })
}

/// What is asked for, and of which.
fn operation<'p>(method: &Method, path: &'p str) -> Result<(Operation, &'p str), Problem> {
    if let Some((_, operation, which)) = at(path).find(|(known, _, _)| *known == method) {
        return Ok((operation, which));
    }
    let allowed: Vec<_> = at(path).map(|(known, _, _)| known.as_str()).collect();
    if allowed.is_empty() {
        return Err((&ladder::PATH).into());
    }
    let problem = Problem::from(&ladder::VERB);
    Err(match HeaderValue::try_from(allowed.join(", ")) {
        Ok(allowed) => problem.with(header::ALLOW, allowed),
        Err(_) => problem,
    })
}

fn page(text: String) -> Response<Body> {
    let mut response = error::json(StatusCode::OK, text.into_bytes());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    response
}

#[cfg(test)]
mod tests;
