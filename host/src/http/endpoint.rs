//! The MCP endpoint, gate by gate: host and origin → route → method and media types → caller → body → message → era → method.

mod visitor;

use super::challenge::{self, METADATA};
use super::error::ladder;
use super::failures::Failures;
use super::inbound::{self, Accepts, SESSION};
use super::panics::contained;
use super::stall::{Cut, Stalls};
use super::{LastReload, OriginPolicy, Readiness, Room, arrived, body, error, legacy, ops, sse};
use crate::auth::{AdminToken, Caller};
use crate::catalog::{Catalog, Server};
use crate::config::{Limits, ServerId, TenantId};
use crate::failure::Failure;
use crate::generation::Generation;
use crate::method::{Answer, Context, MirroredHeaders, Rooms, initialize};
use crate::outbox::{self, Reply};
use crate::session::{Ending, NotBegun, Session};
use crate::stream::EventIds;
use crate::trace::{Arrival, Span};
use arc_swap::{ArcSwap, ArcSwapOption};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::routing::{any, get};
use futures_util::future::AbortHandle;
use mcp::era::EraDecision;
use mcp::jsonrpc::Outcome;
use mcp::modern::Envelope;
use mcp::params::Params;
use mcp::{Body as Messages, Era, Id, JsonText, Message, Notification, Request, Response as McpResponse, Revision};
use std::net::SocketAddr;
use std::sync::Arc;
use visitor::Connection;

/// What the endpoint works with.
#[derive(Debug)]
pub struct Front {
    /// What methods work with.
    pub rooms: Arc<Rooms>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whom the gateway answers.
    pub origins: ArcSwap<OriginPolicy>,
    /// All limits.
    pub limits: Limits,
    /// What readiness depends on.
    pub readiness: Readiness,
    /// The ids of events that can be resumed after; none where nothing is kept.
    pub event_ids: Option<EventIds>,
    /// Addresses that show what does not count.
    pub auth_failures: Arc<Failures>,
    /// What bodies hold.
    pub room: Arc<Room>,
    /// Responses whose peers may stop reading.
    pub stalls: Arc<Stalls>,
    /// Who may administrate; none where there is no listener for that.
    pub admin_token: ArcSwapOption<AdminToken>,
    /// The last reading of the settings since the start.
    pub last_reload: ArcSwapOption<LastReload>,
}

/// The public listener serves these paths and nothing else.
pub fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route("/mcp", any(endpoint))
        .route("/mcp/", any(endpoint))
        .route("/servers/{id}/mcp", any(endpoint))
        .route("/servers/{id}/mcp/", any(endpoint))
        .route(METADATA, get(metadata))
        .route(&format!("{METADATA}/{{*path}}"), get(metadata))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .fallback(async || not_found())
        .with_state(front)
}

/// RFC 9728: for anybody. There is nothing to tell where no token is asked for, and of a path that is none of ours. It does not say which
/// servers there are: any id has its metadata.
async fn metadata(State(front): State<Arc<Front>>, uri: Uri) -> Response<Body> {
    let path = uri.path().strip_prefix(METADATA).unwrap_or_default();
    let path = if path.is_empty() || path == "/" { "/mcp" } else { path };
    match front.rooms.generation.load().authenticator.bearer().filter(|_| challenge::can_be_ours(path)) {
        Some(bearer) => challenge::metadata(bearer, path),
        None => not_found(),
    }
}

async fn endpoint(State(front): State<Arc<Front>>, request: HttpRequest) -> Response<Body> {
    front.answer(request).await
}

/// The id in the path of a server that is not the default one.
fn server_id(path: &str) -> Option<&str> {
    path.strip_prefix("/servers/").and_then(|rest| rest.split('/').next())
}

/// The server of a tenant that a path names. The raw segment counts, where axum's captures are decoded ones: so an id has one spelling.
fn server(catalog: &Catalog, tenant: &TenantId, path: &str) -> Option<Arc<Server>> {
    match server_id(path) {
        None => catalog.server(tenant, None).cloned(),
        Some(id) => catalog.server(tenant, Some(&ServerId::parse(id)?)).cloned(),
    }
}

/// An answer to a request whose body was not read. If there is one, the connection ends, and says so: a client that did not know would send
/// its next request into the closing socket.
fn unread(headers: &HeaderMap, mut response: Response<Body>) -> Response<Body> {
    if headers.contains_key(header::TRANSFER_ENCODING) || inbound::content_length(headers).is_some_and(|length| length > 0) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn not_found() -> Response<Body> {
    error::refusal(&ladder::PATH)
}

/// One HTTP request after its first gates.
struct Exchange {
    front: Arc<Front>,
    caller: Caller,
    catalog: Arc<Catalog>,
    server: Arc<Server>,
    headers: HeaderMap,
    accepts: Accepts,
    cut: Cut,
    arrival: Arrival,
}

impl Front {
    async fn answer(self: &Arc<Self>, request: HttpRequest) -> Response<Body> {
        let (head, content) = request.into_parts();
        let origin = match self.origins.load().check(head.version, &head.uri, &head.headers) {
            Ok(origin) => origin.cloned(),
            Err(reason) => return reason.into(),
        };
        let path = head.uri.path().to_owned();
        let generation = self.rooms.generation.load_full();
        let mut response = contained(None, self.gates(&generation, head, content, origin.is_some())).await;
        if let Some(bearer) = generation.authenticator.bearer() {
            challenge::step_up(&mut response, bearer, &path);
        }
        if let Some(origin) = origin {
            allow_origin(&mut response, origin);
        }
        response
    }

    /// `cors` says that the request is of a page that may read the answer.
    async fn gates(self: &Arc<Self>, generation: &Generation, head: Parts, content: Body, cors: bool) -> Response<Body> {
        let Parts { method, uri, headers, extensions, .. } = head;
        // Without a connection of ours there is nothing to cut.
        let cut = extensions.get().cloned().unwrap_or_else(|| Cut(AbortHandle::new_pair().0));
        let peer = extensions.get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip());
        let from = Connection { peer, lane: extensions.get().cloned().unwrap_or_default() };
        if let Err(rung) = inbound::check_head(&uri, &headers, &self.limits.http) {
            return error::final_refusal(rung);
        }
        // Where nobody has a name, which servers there are is no secret. Otherwise who shows no token is not told.
        let anonymous = generation.authenticator.anonymous();
        if anonymous.is_some_and(|caller| server(&generation.catalog, &caller.tenant().id, uri.path()).is_none()) {
            return unread(&headers, not_found());
        }
        // H7: the modern era has no sessions, nor has the stateless mode.
        let legacy = matches!(mcp::era::of_header(inbound::version(&headers)), EraDecision::Legacy { .. });
        let sessions = legacy && self.rooms.legacy.stateful_sessions;
        match method {
            Method::POST => {}
            Method::DELETE | Method::GET if sessions => {
                let (caller, server) = match self.visitor(generation, uri.path(), &headers, &from).await {
                    Ok(visitor) => visitor,
                    Err(response) => return unread(&headers, *response),
                };
                return if method == Method::GET {
                    Box::pin(self.get(caller, &server, &headers, cut)).await
                } else {
                    Box::pin(self.delete(&caller, &server, &headers)).await
                };
            }
            Method::OPTIONS if cors && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) => return preflight(&headers),
            Method::GET | Method::DELETE => return unread(&headers, error::method_not_allowed(&ladder::SESSION_VERB, "POST")),
            _ => {
                let allowed = if sessions { "GET, POST, DELETE" } else { "POST" };
                return unread(&headers, error::method_not_allowed(&ladder::VERB, allowed));
            }
        }
        let accepts = match inbound::check_media_type(&headers).and_then(|()| inbound::accepts(&headers)) {
            Ok(accepts) => accepts,
            Err(rung) => return unread(&headers, error::refusal(rung)),
        };
        let mut arrival = Arrival::now();
        let (caller, server) = match self.visitor(generation, uri.path(), &headers, &from).await {
            Ok(visitor) => visitor,
            Err(response) => return unread(&headers, *response),
        };
        arrival.authenticated();
        let mut share = self.room.share(&caller.tenant().id);
        let bytes = match body::read(content, inbound::content_length(&headers), &self.limits.http, |bytes| share.grow(bytes)).await {
            Ok(bytes) => bytes,
            Err(reason) => return reason.into(),
        };
        let _under_way = self.rooms.stages.begin();
        let exchange =
            Exchange { front: Arc::clone(self), caller, catalog: Arc::clone(&generation.catalog), server, headers, accepts, cut, arrival };
        let messages = mcp::jsonrpc::parse(&bytes, &self.limits.json);
        // They have what they need of it, and it may be large. What they have counts until the answer.
        drop(bytes);
        match messages {
            Ok(Messages::One(message)) => exchange.message(message).await,
            Ok(Messages::Batch(messages)) => Box::pin(exchange.batch(messages)).await,
            Err(error) => {
                let id = error.id.clone();
                error::response(id.as_ref(), &Failure::Body(error), Era::Legacy)
            }
        }
    }

    /// Ends a session (2.7).
    async fn delete(&self, caller: &Caller, server: &Server, headers: &HeaderMap) -> Response<Body> {
        match self.session(caller, server, headers) {
            Ok(session) => {
                self.rooms.sessions.end(&session, Ending::Deleted).await;
                self.rooms.streams.forget(&session.partition);
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
            Err(failure) => error::response(None, &failure, Era::Legacy),
        }
    }

    /// Opens an event stream, or goes on with one (2.4, 2.5).
    async fn get(self: &Arc<Self>, caller: Caller, server: &Server, headers: &HeaderMap, cut: Cut) -> Response<Body> {
        match inbound::accepts(headers) {
            Ok(accepts) if accepts.events => {}
            _ => return error::refusal(&ladder::ACCEPT_EVENTS),
        }
        let opened = match self.session(&caller, server, headers) {
            Ok(_) if self.rooms.draining.is_cancelled() => Err(Failure::Draining),
            Ok(session) => inbound::last_event_id(headers).map(|id| (session, id)),
            Err(failure) => Err(failure),
        };
        match opened {
            Ok((session, last_event_id)) => {
                let mut response = legacy::open(self, &session, last_event_id, caller.good_for(), cut).await;
                name_session(&mut response, Some(&session));
                response
            }
            Err(failure) => error::response(None, &failure, Era::Legacy),
        }
    }

    /// The session that a request names, if it is the caller's.
    fn session(&self, caller: &Caller, server: &Server, headers: &HeaderMap) -> Result<Arc<Session>, Failure> {
        let name = inbound::session(headers)?;
        self.rooms.sessions.find(name, &caller.owner(), server.id.as_ref()).ok_or(Failure::SessionNotFound)
    }
}

impl Exchange {
    async fn message(self, message: Message) -> Response<Body> {
        let id = match &message {
            Message::Request(request) => Some(request.id.clone()),
            Message::Notification(_) | Message::Response(_) => None,
        };
        let of_answer = id.clone();
        // In its place once, which is made first: by value it would be moved by each future around it, and it is by far the largest. For the same
        // reason what is not on the way of most calls has a place of its own, in there and around it.
        let answer = Box::into_pin(Box::write(Box::new_uninit(), self.known_message(id, message)));
        contained(of_answer.as_ref(), answer).await
    }

    /// One whose id is known, if it has one.
    async fn known_message(self, id: Option<Id>, message: Message) -> Response<Body> {
        // Borrowed from here on: whoever looks at them sees the same.
        let params = message.params();
        let era = mcp::era::era(&message, &params, inbound::version(&self.headers));
        match (era, posted(&message)) {
            (EraDecision::Refused(refusal), _) => error::response(id.as_ref(), &Failure::Ladder(refusal), Era::Modern),
            (EraDecision::Modern | EraDecision::Legacy { .. }, Err(failure)) => error::response(None, &failure, Era::Legacy),
            (EraDecision::Modern, Ok(Posted::Request(request))) => self.modern(request, &params).await,
            // M4: the modern era defines no notification that a client posts. It is taken and dropped, so none can cancel by a guessed id.
            (EraDecision::Modern, Ok(Posted::Notification(_))) => accepted(),
            // M3: nothing of the host's own waits for one.
            (EraDecision::Modern, Ok(Posted::Response(_))) => unexpected_response(),
            (EraDecision::Legacy { .. }, Ok(Posted::Request(request))) if &*request.method == "initialize" => {
                Box::pin(self.initialize(request, &params)).await
            }
            (EraDecision::Legacy { header }, Ok(posted)) => Box::pin(self.legacy(posted, &params, header)).await,
        }
    }

    fn span(&self, request: &Request, params: &Params<'_>, revision: Revision) -> Span {
        let span = arrived::span(self.arrival, &self.headers, (request, params), (&self.caller, &self.server));
        arrived::speaks(&span, revision);
        span
    }

    async fn modern(self, request: &Request, params: &Params<'_>) -> Response<Body> {
        // Rungs 1 to 5; the rest needs the method.
        let envelope = match Envelope::read(request, params, &inbound::modern(&self.headers)) {
            Ok(envelope) => envelope,
            Err(refusal) => return error::response(Some(&request.id), &Failure::Ladder(refusal), Era::Modern),
        };
        let log_level = match envelope.log_level() {
            Ok(level) => level,
            Err(error) => return error::response(Some(&request.id), &error.into(), Era::Modern),
        };
        let span = self.span(request, params, envelope.revision);
        let context = Context {
            caller: self.caller,
            server: self.server,
            catalog: self.catalog,
            log_level,
            session: None,
            revision: envelope.revision,
            capabilities: Some(envelope.client_capabilities),
            in_flight: None,
            span,
            mirrored: inbound::mirrored(&self.headers),
        };
        let answer = self.front.rooms.request(context, request, params).await;
        respond(&self.front, answer, request.id.clone(), Era::Modern, self.accepts, self.cut).await
    }

    async fn initialize(self, request: &Request, params: &Params<'_>) -> Response<Body> {
        // A session id that comes with `initialize` is that of an older session, as a rule one that is over: a new one begins (2.1).
        let live = self.front.session(&self.caller, &self.server, &self.headers).is_ok();
        if live && self.front.rooms.legacy.stateful_sessions {
            return error::response(Some(&request.id), &Failure::AlreadyInitialized, Era::Legacy);
        }
        let span = arrived::span(self.arrival, &self.headers, (request, params), (&self.caller, &self.server));
        match initialize(&self.front.rooms, &self.caller, &self.server, params).await {
            Ok((result, session)) => {
                session.iter().for_each(|session| arrived::speaks(&span, session.revision));
                span.otherwise("gatehouse.outcome", "ok");
                let message = mcp::write::success(&request.id, &result);
                let mut response = if self.accepts.json { error::json(StatusCode::OK, message) } else { sse::single(&message) };
                name_session(&mut response, session.as_deref());
                response
            }
            Err(failure) => {
                self.front.rooms.refused(&span, &failure, Era::Legacy);
                error::response(Some(&request.id), &failure, Era::Legacy)
            }
        }
    }

    /// The legacy rungs (2.2). `header` is what the version header names: it stands in for a session's revision where there is none.
    async fn legacy(self, posted: Posted<'_>, params: &Params<'_>, header: Option<Revision>) -> Response<Body> {
        let session = match self.legacy_session() {
            Ok(session) => session,
            Err(failure) => return error::response(posted.id(), &failure, Era::Legacy),
        };
        let revision = session.as_ref().map_or(header.unwrap_or(Revision::ASSUMED), |session| session.revision);
        let mut response = match posted {
            Posted::Request(request) => {
                let accepts = self.legacy_accepts();
                match (self.legacy_request(request, params, revision, session.as_ref()).await, &session) {
                    (Answer::Running(run), Some(session)) => {
                        legacy::respond(&self.front, session, request.id.clone(), run, accepts, self.cut).await
                    }
                    (answer, _) => respond(&self.front, answer, request.id.clone(), Era::Legacy, accepts, self.cut).await,
                }
            }
            Posted::Notification(notification) => {
                self.front.rooms.notification(session.as_deref(), notification);
                accepted()
            }
            Posted::Response(response) if answered(session.as_deref(), response) => accepted(),
            Posted::Response(_) => unexpected_response(),
        };
        name_session(&mut response, session.as_deref());
        response
    }

    fn legacy_session(&self) -> Result<Option<Arc<Session>>, Failure> {
        if !self.front.rooms.legacy.stateful_sessions {
            return Ok(None);
        }
        self.front.session(&self.caller, &self.server, &self.headers).map(Some)
    }

    /// In JSON mode a client that takes JSON gets nothing else.
    fn legacy_accepts(&self) -> Accepts {
        let json_only = self.front.rooms.legacy.json_responses && self.accepts.json;
        Accepts { events: self.accepts.events && !json_only, ..self.accepts }
    }

    async fn legacy_request(&self, request: &Request, params: &Params<'_>, revision: Revision, session: Option<&Arc<Session>>) -> Answer {
        let in_flight = match session.map(|session| self.front.rooms.sessions.begin(session, request.id.clone())).transpose() {
            Ok(in_flight) => in_flight,
            Err(NotBegun::IdInUse) => return Answer::Now(Err(Failure::IdInUse)),
            Err(NotBegun::TooMany) => {
                let (owner, server) = (self.caller.owner(), self.server.id.as_ref());
                self.front.rooms.note_refusal(&owner, server, &Failure::TooManyRequests, &request.method);
                return Answer::Now(Err(Failure::TooManyRequests));
            }
        };
        let context = Context {
            caller: self.caller.clone(),
            server: Arc::clone(&self.server),
            catalog: Arc::clone(&self.catalog),
            revision,
            capabilities: session.map(|session| session.capabilities.clone()),
            log_level: session.and_then(|session| session.log_level()),
            session: session.cloned(),
            in_flight,
            span: self.span(request, params, revision),
            mirrored: MirroredHeaders::default(),
        };
        self.front.rooms.request(context, request, params).await
    }

    /// A batch (M1, decision 6): its requests run side by side, and their answers come back as one array, without notifications.
    async fn batch(self, messages: Vec<Message>) -> Response<Body> {
        let posted = messages.iter().map(posted).collect::<Result<Vec<_>, _>>();
        let (session, posted) = match self.batch_session().and_then(|session| Ok((session, posted?))) {
            Ok(found) => found,
            Err(failure) => return error::response(None, &failure, Era::Legacy),
        };
        // A batch is refused whole, before anything of it runs.
        if posted.iter().any(|posted| matches!(posted, Posted::Response(response) if !session.waits_for(&response.id))) {
            return unexpected_response();
        }
        let answers = posted.iter().map(|posted| async {
            match posted {
                Posted::Request(request) => {
                    let end = match self
                        .legacy_request(request, &Params::of(request.params.as_deref()), session.revision, Some(&session))
                        .await
                    {
                        Answer::Now(end) => end,
                        Answer::Running(mut run) => outbox::end(&mut *run).await,
                    };
                    Some(error::message(&request.id, end, Era::Legacy))
                }
                Posted::Notification(notification) => {
                    self.front.rooms.notification(Some(&session), notification);
                    None
                }
                Posted::Response(response) => {
                    answered(Some(&session), response);
                    None
                }
            }
        });
        let answers: Vec<Vec<u8>> = futures_util::future::join_all(answers).await.into_iter().flatten().collect();
        let mut response = match (answers.is_empty(), self.accepts.json) {
            (true, _) => accepted(),
            (false, true) => error::json(StatusCode::OK, mcp::write::batch(&answers)),
            (false, false) => sse::single(&mcp::write::batch(&answers)),
        };
        name_session(&mut response, Some(&session));
        response
    }

    /// The session of a batch: only one of a revision that has batches takes any.
    fn batch_session(&self) -> Result<Arc<Session>, Failure> {
        match mcp::era::of_header(inbound::version(&self.headers)) {
            EraDecision::Legacy { .. } => {}
            EraDecision::Modern => return Err(Failure::BatchNotAllowed),
            EraDecision::Refused(refusal) => return Err(refusal.into()),
        }
        let session = self.legacy_session()?.filter(|session| session.revision.accepts_batches());
        session.ok_or(Failure::BatchNotAllowed)
    }
}

/// What a client may post.
enum Posted<'a> {
    Request(&'a Request),
    Notification(&'a Notification),
    /// To a question of the host's own (handshake era).
    Response(&'a McpResponse),
}

impl<'a> Posted<'a> {
    fn id(&self) -> Option<&'a Id> {
        match self {
            Self::Request(request) => Some(&request.id),
            Self::Notification(_) | Self::Response(_) => None,
        }
    }
}

fn posted(message: &Message) -> Result<Posted<'_>, Failure> {
    match message {
        Message::Request(request) => Ok(Posted::Request(request)),
        Message::Notification(notification) if notification.method.starts_with("notifications/") => Ok(Posted::Notification(notification)),
        // A request without an id: it would run and answer nobody.
        Message::Notification(_) => Err(Failure::NotARequest),
        Message::Response(response) => Ok(Posted::Response(response)),
    }
}

/// JSON if the call ends before it says anything, an event stream from its first notification on, or once it has been silent for long.
async fn respond(front: &Front, answer: Answer, id: Id, era: Era, accepts: Accepts, cut: Cut) -> Response<Body> {
    let mut run = match answer {
        Answer::Now(end) => return whole(&id, end, era, accepts),
        Answer::Running(run) => run,
    };
    if !accepts.events && run.is_endless() {
        return error::refusal(&ladder::ACCEPT_EVENTS);
    }
    if !accepts.events {
        let end = outbox::end(&mut *run).await;
        return whole(&id, end, era, accepts);
    }
    let keep_alive = front.limits.http.keep_alive_interval;
    let first = if accepts.json { tokio::time::timeout(keep_alive, run.next()).await.ok() } else { None };
    match first {
        Some(Reply::End(end)) => {
            // Not in that time, for which it would set a timer.
            front.rooms.stages.next().await;
            whole(&id, *end, era, accepts)
        }
        first => sse::response(first, run, id, era, keep_alive, front.stalls.enter(cut)),
    }
}

/// An end of which nothing was said before: an error with its status, or a result in a form that the client takes.
pub(super) fn whole(id: &Id, end: outbox::End, era: Era, accepts: Accepts) -> Response<Body> {
    match end {
        Err(failure) => error::response(Some(id), &failure, era),
        Ok(result) if accepts.json => error::json(StatusCode::OK, mcp::write::success(id, &result)),
        Ok(result) => sse::single(&mcp::write::success(id, &result)),
    }
}

/// Hands a response to whoever asked in that session (J26).
fn answered(session: Option<&Session>, response: &McpResponse) -> bool {
    let answer = match &response.outcome {
        Outcome::Result(result) => Some(JsonText::from(&**result)),
        Outcome::Error(_) => None,
    };
    session.is_some_and(|session| session.answered(&response.id, answer))
}

fn unexpected_response() -> Response<Body> {
    error::response(None, &Failure::Ladder(mcp::modern::Refusal::UnexpectedResponse), Era::Legacy)
}

fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn name_session(response: &mut Response<Body>, session: Option<&Session>) {
    if let Some(Ok(value)) = session.map(|session| HeaderValue::from_str(session.id.as_str())) {
        response.headers_mut().insert(SESSION, value);
    }
}

/// A browser asks whether a page may call (H4).
fn preflight(asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    if let Ok(allowed) = HeaderValue::try_from(inbound::headers_to_allow(asked)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

fn allow_origin(response: &mut Response<Body>, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers
        .insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("mcp-session-id, mcp-protocol-version, www-authenticate"));
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
