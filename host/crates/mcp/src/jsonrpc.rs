//! JSON-RPC messages: what a body holds (rules M1 and M2 of 1.4), strictly.

mod id;
mod parse;

pub use id::{ID_BYTES_MAX, Id};
pub use parse::{BATCH_MAX, ParseError, ParseErrorKind, parse};

use crate::params::Params;
use serde_json::value::RawValue;

/// A message with a method and an id: it wants an answer.
#[derive(Clone, Debug)]
pub struct Request {
    /// Echoed in the answer.
    pub id: Id,
    /// As sent: any string, of any length that the body allows.
    pub method: Box<str>,
    /// An object, if present.
    pub params: Option<Box<RawValue>>,
}

/// A message with a method and no id. Whether the method makes sense without one is for the host to say.
#[derive(Clone, Debug)]
pub struct Notification {
    /// As sent.
    pub method: Box<str>,
    /// An object, if present.
    pub params: Option<Box<RawValue>>,
}

/// The answer to a request that the server sent (legacy era only).
#[derive(Clone, Debug)]
pub struct Response {
    /// The id that the server gave its request.
    pub id: Id,
    /// What the client says.
    pub outcome: Outcome,
}

/// What a response holds: exactly one of the two.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The `result` member, any JSON.
    Result(Box<RawValue>),
    /// The `error` member, an object.
    Error(Box<RawValue>),
}

/// One JSON-RPC message.
#[derive(Clone, Debug)]
pub enum Message {
    /// It wants an answer.
    Request(Request),
    /// It does not.
    Notification(Notification),
    /// It is one.
    Response(Response),
}

impl Message {
    /// Its parameters; a response has none.
    #[must_use]
    pub fn params(&self) -> Params<'_> {
        match self {
            Message::Request(request) => Params::of(request.params.as_deref()),
            Message::Notification(notification) => Params::of(notification.params.as_deref()),
            Message::Response(_) => Params::default(),
        }
    }
}

/// What a body holds.
#[derive(Clone, Debug)]
pub enum Body {
    /// One message.
    One(Message),
    /// One to [`BATCH_MAX`] messages, none of which claims to be modern nor is an `initialize` request (M1). The
    /// caller checks that the session allows batches at all.
    Batch(Vec<Message>),
}

#[cfg(test)]
mod tests;
