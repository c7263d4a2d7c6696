//! Spans, from their beginning to the queue.

use super::place::{Parent, Place};
use super::{TRACER, Tracer};
use mcp::meta::TraceContext;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// What a span is of, for whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request.
    Server,
    /// A part of one.
    Internal,
    /// A request to somebody else.
    Client,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(Cow<'static, str>),
    Number(u64),
    Flag(bool),
}

/// A span that is over.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) place: Place,
    /// None for the first of a trace.
    pub(super) parent: Option<u64>,
    /// The parent is of another process.
    pub(super) is_remote: bool,
    pub(super) state: Option<Arc<str>>,
    pub(super) kind: Kind,
    pub(super) name: Cow<'static, str>,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) failed: bool,
}

/// A moment by both clocks: one says when it was, the other how long ago.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: SystemTime,
    clock: Instant,
}

impl Moment {
    fn now() -> Self {
        Self { at: SystemTime::now(), clock: Instant::now() }
    }

    /// When another moment was, by the clock that nobody sets.
    fn later(self, clock: Instant) -> SystemTime {
        self.at.checked_add(clock.saturating_duration_since(self.clock)).unwrap_or(self.at)
    }
}

/// A request of which nothing is known yet; nothing where nothing is recorded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arrival(Option<Arrived>);

#[derive(Debug, Clone, Copy)]
struct Arrived {
    tracer: &'static Tracer,
    began: Moment,
    authenticated: Option<Instant>,
}

impl Arrival {
    /// Now.
    pub fn now() -> Self {
        Self(TRACER.get().map(|tracer| Arrived { tracer, began: Moment::now(), authenticated: None }))
    }

    /// From its beginning to here was spent on who sends it.
    pub fn authenticated(&mut self) {
        if let Some(arrived) = &mut self.0 {
            arrived.authenticated = Some(Instant::now());
        }
    }

    /// The request's span, in the trace that `parent` names or in a new one. Nothing where that trace is not recorded.
    pub fn request(self, method: &'static str, parent: impl FnOnce() -> TraceContext) -> Span {
        let Some(arrived) = self.0 else { return Span::default() };
        let parent = Parent::of(&parent());
        let root = parent.as_ref().map_or_else(Place::root, |parent| parent.place);
        if !parent.as_ref().map_or_else(|| arrived.tracer.sampler.takes(root), |parent| parent.is_sampled) {
            return Span::default();
        }
        let (place, above) = if parent.is_some() { (root.next(), Some(root.span)) } else { (root, None) };
        let state = parent.and_then(|parent| parent.state).map(Into::into);
        let told = Told { name: Cow::Borrowed(method), attributes: Vec::with_capacity(16), failed: false };
        let live = Live {
            tracer: arrived.tracer,
            place,
            parent: above,
            is_remote: above.is_some(),
            state,
            kind: Kind::Server,
            began: arrived.began,
            ended: None,
            told: Mutex::new(told),
        };
        let span = Span(Some(Arc::new(live)));
        span.word("mcp.method.name", method);
        span.word("network.protocol.name", "http");
        span.word("network.transport", "tcp");
        if let Some(until) = arrived.authenticated {
            drop(span.begun(("authentication", Kind::Internal), arrived.began, Some(until)));
        }
        span
    }
}

/// A part of a trace, or nothing. It ends when its last clone is dropped.
#[derive(Debug, Clone, Default)]
pub struct Span(Option<Arc<Live>>);

#[derive(Debug)]
struct Live {
    tracer: &'static Tracer,
    place: Place,
    parent: Option<u64>,
    is_remote: bool,
    state: Option<Arc<str>>,
    kind: Kind,
    began: Moment,
    /// None if it ends when it is dropped.
    ended: Option<Instant>,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    name: Cow<'static, str>,
    attributes: Vec<(&'static str, Value)>,
    failed: bool,
}

impl Span {
    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A part of this one that begins now.
    pub fn child(&self, name: &'static str) -> Self {
        if self.is_on() { self.begun((name, Kind::Internal), Moment::now(), None) } else { Self::default() }
    }

    /// The same, of a request to somebody else.
    pub fn request_to(&self, name: &'static str) -> Self {
        if self.is_on() { self.begun((name, Kind::Client), Moment::now(), None) } else { Self::default() }
    }

    fn begun(&self, (name, kind): (&'static str, Kind), began: Moment, ended: Option<Instant>) -> Self {
        let Some(live) = &self.0 else { return Self::default() };
        let told = Told { name: Cow::Borrowed(name), attributes: Vec::new(), failed: false };
        Self(Some(Arc::new(Live {
            tracer: live.tracer,
            place: live.place.next(),
            parent: Some(live.place.span),
            is_remote: false,
            state: live.state.clone(),
            kind,
            began,
            ended,
            told: Mutex::new(told),
        })))
    }

    /// Names the request after what it is of, which is a name of the catalog.
    pub fn target(&self, method: &'static str, name: &str) {
        if let Some(live) = &self.0 {
            live.told.lock().name = Cow::Owned(format!("{method} {name}"));
        }
    }

    /// An attribute of a closed set of words.
    pub fn word(&self, key: &'static str, word: &'static str) {
        self.put(key, || Value::Text(Cow::Borrowed(word)));
    }

    /// An attribute of the settings, or of the catalog.
    pub fn text(&self, key: &'static str, text: &str) {
        self.put(key, || Value::Text(Cow::Owned(text.to_owned())));
    }

    /// Something short that has to be written first.
    pub fn shown(&self, key: &'static str, value: impl std::fmt::Display) {
        self.put(key, || Value::Text(Cow::Owned(value.to_string())));
    }

    /// A number; its unit ends the key.
    pub fn number(&self, key: &'static str, number: u64) {
        self.put(key, || Value::Number(number));
    }

    /// Yes or no.
    pub fn flag(&self, key: &'static str, flag: bool) {
        self.put(key, || Value::Flag(flag));
    }

    /// It failed, in that way.
    pub fn failed(&self, error_type: &'static str) {
        self.word("error.type", error_type);
        if let Some(live) = &self.0 {
            live.told.lock().failed = true;
        }
    }

    /// The error that a request is answered with, by its JSON-RPC code.
    pub fn refused(&self, code: impl FnOnce() -> i32) {
        let Some(live) = &self.0 else { return };
        let code = code().to_string();
        self.text("error.type", &code);
        self.text("rpc.response.status_code", &code);
        live.told.lock().failed = true;
    }

    /// A word, unless another one was said before.
    pub fn otherwise(&self, key: &'static str, word: &'static str) {
        if let Some(live) = &self.0 {
            let mut told = live.told.lock();
            if !told.attributes.iter().any(|(known, _)| *known == key) {
                told.attributes.push((key, Value::Text(Cow::Borrowed(word))));
            }
        }
    }

    /// This span as the parent of what is done for it; none where nothing is recorded.
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().map(|live| live.place.context(live.state.as_deref()))
    }

    /// Said twice, the later word counts.
    fn put(&self, key: &'static str, value: impl FnOnce() -> Value) {
        let Some(live) = &self.0 else { return };
        let mut told = live.told.lock();
        match told.attributes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value(),
            None => told.attributes.push((key, value())),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let told = self.told.get_mut();
        let ended = Ended {
            place: self.place,
            parent: self.parent,
            is_remote: self.is_remote,
            state: self.state.take(),
            kind: self.kind,
            name: std::mem::take(&mut told.name),
            began: self.began.at,
            ended: self.began.later(self.ended.unwrap_or_else(Instant::now)),
            attributes: std::mem::take(&mut told.attributes),
            failed: told.failed,
        };
        self.tracer.queue.offer(ended);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One of that name.
    pub(in crate::trace) fn ended(name: &'static str) -> Ended {
        let now = SystemTime::now();
        Ended {
            place: Place::root(),
            parent: None,
            is_remote: false,
            state: None,
            kind: Kind::Internal,
            name: Cow::Borrowed(name),
            began: now,
            ended: now,
            attributes: vec![("flag", Value::Flag(true)), ("number", Value::Number(7)), ("text", Value::Text(Cow::Borrowed("t")))],
            failed: true,
        }
    }

    #[test]
    fn where_nothing_is_recorded_a_span_is_nothing() {
        let span = Arrival::default().request("tools/call", || panic!("nobody asks"));
        assert!(!span.is_on() && !span.child("guest").is_on());
        span.refused(|| panic!("nobody asks"));
        assert_eq!(span.context(), None);
        // A span is a word long: carrying one costs what carrying a pointer costs.
        assert_eq!(size_of::<Span>(), size_of::<usize>());
    }
}
