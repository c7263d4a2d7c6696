//! Event streams of the handshake era (protocol 2.3 to 2.6): the answer to a call that takes its time, the standalone stream, and the
//! resuming of both.

use super::endpoint::{Front, whole};
use super::inbound::Accepts;
use super::stall::{Cut, Watched};
use super::{error, sse};
use crate::failure::Failure;
use crate::outbox::{Reply, Run};
use crate::session::{Attached, Session};
use crate::stream::{self, Follow, Next, Place, STANDALONE, Shown, Stream, Taken};
use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use mcp::{Era, Id};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// For the answers to calls that the end of their session cancelled.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The answer to a running call of a session: JSON if it ends soon and without a word, a stream that can be resumed otherwise.
pub(super) async fn respond(
    front: &Arc<Front>,
    session: &Arc<Session>,
    id: Id,
    mut run: Box<dyn Run>,
    accepts: Accepts,
    cut: Cut,
) -> Response<Body> {
    let limits = &front.limits.streams;
    // Who asks to be told of progress will be told on a stream: there has to be one before the call begins.
    let mut place = None;
    if run.reports() && accepts.events {
        match take_place(front, session) {
            Ok(taken) => place = Some(taken),
            Err(failure) => {
                run.refuse(failure.word());
                return error::response(Some(&id), &failure, Era::Legacy);
            }
        }
    }
    // Before 2025-11-25 a stream begins with a message, so a silent call is given the time of a keep-alive.
    let patience = if session.revision.primes_streams() { limits.after } else { front.limits.http.keep_alive_interval };
    let mut first = tokio::time::timeout(patience, run.next()).await.ok();
    if matches!(first, Some(Reply::End(_))) {
        // Not in that time, for which it would set a timer.
        front.rooms.stages.next().await;
    } else if accepts.events {
        place = place.or_else(|| take_place(front, session).ok());
        if let Some(place) = place {
            return begin(front, session, id, run, first, place, cut).await;
        }
    }
    // No stream, by the client's choice or by the limits: everything but the end is dropped.
    let end = loop {
        match first.take() {
            Some(Reply::End(end)) => break *end,
            Some(Reply::Notification(_)) | None => first = Some(run.next().await),
            // One JSON body has no place for it.
            Some(Reply::Question(_)) => break Err(Failure::InputNotSupported),
        }
    };
    whole(&id, end, Era::Legacy, accepts)
}

fn take_place(front: &Front, session: &Session) -> Result<Taken, Failure> {
    front.rooms.stream_place(Some(session), session.owner.clone(), session.server())
}

/// Makes a stream of a running call. The stream is in the store before the client hears of it.
async fn begin(
    front: &Arc<Front>,
    session: &Arc<Session>,
    id: Id,
    run: Box<dyn Run>,
    first: Option<Reply>,
    place: Taken,
    cut: Cut,
) -> Response<Body> {
    let streams = &front.rooms.streams;
    let (about, connection_max) = (id.write().into_string().into_bytes(), run.connection_max());
    let say = move |end| error::message(&id, end, Era::Legacy);
    let stream = stream::begin((streams, &front.rooms.tasks), (&session.partition, about), run, first, say, place).await;
    let follow = stream.follow(streams, Some(0));
    let mut feed = Feed::new(front, session, follow, None);
    if let Some(limit) = connection_max.filter(|_| feed.priming.is_some()) {
        // A client that has no place to come back to keeps its connection.
        feed.until = Instant::now().checked_add(limit);
    }
    feed.response(cut)
}

/// GET: the standalone stream, or with `Last-Event-ID` the rest of any stream of the session.
/// `good_for` is how long the caller's token is: a connection ends with it, and comes back with another one.
pub(super) async fn open(
    front: &Arc<Front>,
    session: &Arc<Session>,
    last_event_id: Option<&[u8]>,
    good_for: Option<Duration>,
    cut: Cut,
) -> Response<Body> {
    match find(front, session, last_event_id).await {
        Ok((stream, after, place)) => {
            let follow = stream.follow(&front.rooms.streams, after);
            if stream.number() == STANDALONE && session.take_restored() {
                // The directory may have changed while nobody looked.
                front.rooms.tell_all(session);
            }
            let mut feed = Feed::new(front, session, follow, place);
            feed.resumed = last_event_id.is_some();
            let ends = good_for.and_then(|good_for| Instant::now().checked_add(good_for));
            feed.until = [feed.until, ends].into_iter().flatten().min();
            feed.response(cut)
        }
        Err(failure) => {
            front.rooms.note_refusal(&session.owner, session.server(), &failure, "GET");
            error::response(None, &failure, Era::Legacy)
        }
    }
}

type Found = (Arc<Stream>, Option<u64>, Option<Arc<Taken>>);

async fn find(front: &Front, session: &Session, last_event_id: Option<&[u8]>) -> Result<Found, Failure> {
    let (streams, partition) = (&front.rooms.streams, &session.partition);
    let standalone = async || {
        // A newer connection takes the place of the one before it, so one that is there already costs nothing.
        let before = streams.standalone_if_live(partition).and_then(|stream| stream.place());
        let place = before.map_or_else(|| take_place(front, session).map(Arc::new), Ok)?;
        let stream = streams.standalone(partition).await;
        stream.set_place(&place);
        Ok::<_, Failure>((stream, Some(place)))
    };
    let Some(id) = last_event_id else {
        let (stream, place) = standalone().await?;
        return Ok((stream, None, place));
    };
    let place = front.event_ids.as_ref().and_then(|ids| ids.read(partition, id)).ok_or(Failure::BadEventId)?;
    if place.stream == STANDALONE {
        let (stream, taken) = standalone().await?;
        return Ok((stream, Some(place.seq.0), taken));
    }
    let found = streams.find(partition, place.stream, outcome_unknown).await.map_err(|error| {
        tracing::warn!(%error, "a stream cannot be resumed");
        Failure::StoreUnavailable
    })?;
    Ok((found.ok_or(Failure::BadEventId)?, Some(place.seq.0), None))
}

/// The answer to a call that was running when its process died (decision 9). `about` is the request's id.
fn outcome_unknown(about: &[u8]) -> Vec<u8> {
    let raw: Option<&RawValue> = serde_json::from_slice(about).ok();
    let id = raw.and_then(Id::from_json);
    mcp::write::failure(id.as_ref(), &error::map(&Failure::OutcomeUnknown, Era::Legacy).error)
}

/// One connection's part of a stream.
struct Feed {
    front: Arc<Front>,
    session: Arc<Session>,
    follow: Option<Follow>,
    /// It began at a place that the client named.
    resumed: bool,
    /// An event came by since.
    moved: bool,
    priming: Option<Bytes>,
    /// When this connection has been open for long enough.
    until: Option<Instant>,
    /// The session is in use while this is open.
    _attached: Attached,
    _place: Option<Arc<Taken>>,
}

impl Feed {
    fn new(front: &Arc<Front>, session: &Arc<Session>, follow: Follow, place: Option<Arc<Taken>>) -> Self {
        let until = front.limits.streams.connection_max.and_then(|limit| Instant::now().checked_add(limit));
        let mut feed = Self {
            front: Arc::clone(front),
            session: Arc::clone(session),
            follow: None,
            resumed: false,
            moved: false,
            priming: None,
            until,
            _attached: front.rooms.sessions.attach(session),
            _place: place,
        };
        feed.priming = feed.prime(&follow);
        feed.follow = Some(follow);
        feed
    }

    /// A place to come back to before anything was said (2.6), for a revision whose clients can take it.
    fn prime(&self, follow: &Follow) -> Option<Bytes> {
        if !self.session.revision.primes_streams() || !follow.stream().is_kept() {
            return None;
        }
        let place = Place { stream: follow.stream().number(), seq: event_store::Seq(follow.at()) };
        // Two of the same place must differ; which two, nobody can foresee.
        let nonce = u16::try_from(random() >> 16).unwrap_or(1);
        let id = self.front.event_ids.as_ref()?.of_place(&self.session.partition, place, nonce);
        Some(sse::priming(&id, self.retry_ms()))
    }

    /// Up to half less or more, so that those who were cut off together do not come back together.
    fn retry_ms(&self) -> u64 {
        let middle = u64::try_from(self.front.limits.streams.retry.as_millis()).unwrap_or(u64::MAX);
        middle / 2 + u64::from(random()) * middle / u64::from(u32::MAX)
    }

    fn response(self, cut: Cut) -> Response<Body> {
        let watched: Watched = self.front.stalls.enter(cut);
        let chunks = futures_util::stream::unfold(self, |mut feed| async move { Some((feed.next().await?, feed)) });
        sse::body(chunks, watched)
    }

    /// The next chunk; none when the connection is to be closed.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(priming) = self.priming.take() {
            return Some(priming);
        }
        let keep_alive = self.front.limits.http.keep_alive_interval;
        let (session, draining) = (Arc::clone(&self.session), self.front.rooms.draining.clone());
        let standalone = self.follow.as_ref()?.stream().number() == STANDALONE;
        loop {
            let follow = self.follow.as_mut()?;
            let next = tokio::select! {
                biased;
                () = ended(&session, if standalone { Duration::ZERO } else { LAST_WORDS }) => return None,
                () = draining.cancelled(), if standalone => return self.last_words(),
                () = deadline(self.until) => return self.last_words(),
                next = tokio::time::timeout(keep_alive, follow.next()) => next,
            };
            match next {
                Err(_) => return Some(sse::KEEP_ALIVE),
                Ok(Next::Event(event)) => {
                    self.moved = true;
                    return Some(self.event(&event));
                }
                Ok(Next::Gap) if standalone => {
                    let missed = self.front.rooms.whatever_changed(&session);
                    return Some(missed.iter().flat_map(|message| sse::event(message, None)).collect());
                }
                Ok(Next::Gap) => {}
                // Nothing is left of the stream, and the client knows it: were the connection closed now, the common clients would ask
                // again and again. It stays open for as long as the stream could have been resumed.
                Ok(Next::Over) if self.resumed && !self.moved => {
                    let until = self.until.or_else(|| Instant::now().checked_add(self.front.limits.streams.keep));
                    self.until = until;
                    tokio::select! {
                        () = session.ended.cancelled() => return None,
                        () = draining.cancelled() => return self.last_words(),
                        () = deadline(until) => return None,
                        () = tokio::time::sleep(keep_alive) => return Some(sse::KEEP_ALIVE),
                    }
                }
                Ok(Next::Over | Next::Superseded) => return None,
            }
        }
    }

    fn event(&mut self, event: &Shown) -> Bytes {
        let place = |follow: &Follow| Place { stream: follow.stream().number(), seq: event_store::Seq(event.seq) };
        let ids = self.front.event_ids.as_ref().filter(|_| event.kept);
        let id = ids.zip(self.follow.as_ref()).map(|(ids, follow)| ids.of_event(&self.session.partition, place(follow)));
        if event.is_final {
            // The connection is closed behind it.
            self.follow = None;
        }
        sse::event(&event.data, id.as_deref())
    }

    /// Says when to come back, and ends.
    fn last_words(&mut self) -> Option<Bytes> {
        self.follow = None;
        Some(sse::retry(self.retry_ms()))
    }
}

/// The session has ended, and what its calls say to that had the time to come.
async fn ended(session: &Session, last_words: Duration) {
    session.ended.cancelled().await;
    tokio::time::sleep(last_words).await;
}

async fn deadline(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// For what needs no secrecy; without randomness always the same.
fn random() -> u32 {
    getrandom::u32().unwrap_or(1 << 31)
}
