//! Bytes to messages.

use super::{Body, Id, Message, Notification, Outcome, Request, Response};
use crate::json::{self, JsonError, JsonErrorKind, JsonLimits};
use crate::members::Members;
use crate::text::starts_object;
use crate::{ErrorCode, ErrorObject};
use serde_json::value::RawValue;
use std::fmt;

/// The most messages in one batch (decision 6).
pub const BATCH_MAX: usize = 32;

/// The levels of nesting that a message needs before its parameters begin: itself and `params`. They come on top of
/// [`JsonLimits::depth_max`], so that `params.arguments` may use all of it (J03).
const ENVELOPE_DEPTH: usize = 2;

/// Why a body holds no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The reason.
    pub kind: ParseErrorKind,
    /// The id of the request, if the fault lies elsewhere in it and the body is no batch.
    pub id: Option<Id>,
}

/// The reasons to refuse a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// It is not JSON or passes a limit.
    Json(JsonError),
    /// It is neither an object nor an array.
    NotAMessage,
    /// `jsonrpc` is not `"2.0"`.
    Version,
    /// `id` is neither an integer nor a string of at most [`ID_BYTES_MAX`](super::ID_BYTES_MAX) bytes.
    Id,
    /// `method` is not a string, or there is neither a method nor a result nor an error, or more than one of them.
    Shape,
    /// `params` is not an object.
    Params,
    /// The batch is empty.
    EmptyBatch,
    /// The batch has more than [`BATCH_MAX`] elements.
    BatchTooLong,
    /// An element of the batch is no message.
    BatchElement,
    /// An element of the batch is of the modern era, which has no batches.
    ModernInBatch,
    /// An element of the batch is an `initialize` request.
    InitializeInBatch,
}

impl ParseError {
    /// The error to answer with.
    #[must_use]
    pub fn error(&self) -> ErrorObject {
        let json = self.json();
        let code = match json {
            Some(JsonErrorKind::NotJson) => ErrorCode::PARSE_ERROR,
            Some(_) | None => ErrorCode::INVALID_REQUEST,
        };
        let error = ErrorObject::new(code, self.to_string());
        match self.data_kind() {
            Some(kind) => error.with_kind(kind),
            None => error,
        }
    }

    fn json(&self) -> Option<JsonErrorKind> {
        if let ParseErrorKind::Json(error) = &self.kind { Some(error.kind) } else { None }
    }

    /// The word for `data.kind`.
    fn data_kind(&self) -> Option<&'static str> {
        if let ParseErrorKind::Json(error) = &self.kind {
            let arguments = error.in_arguments && error.kind == JsonErrorKind::StringTooLong;
            if arguments { Some("args_too_large") } else { error.kind.as_str() } // J23.
        } else {
            None
        }
    }

    fn new(kind: ParseErrorKind) -> ParseError {
        ParseError { kind, id: None }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.kind {
            ParseErrorKind::Json(error) => return write!(f, "The body is refused: {error}"),
            ParseErrorKind::NotAMessage => "The body is not a JSON-RPC message",
            ParseErrorKind::Version => "jsonrpc must be \"2.0\"",
            ParseErrorKind::Id => "id must be an integer or a string of at most 256 bytes",
            ParseErrorKind::Shape => "a message has one of method, result and error",
            ParseErrorKind::Params => "params must be an object",
            ParseErrorKind::EmptyBatch => "A batch must not be empty",
            ParseErrorKind::BatchTooLong => "A batch has at most 32 messages",
            ParseErrorKind::BatchElement => "An element of the batch is not a JSON-RPC message",
            ParseErrorKind::ModernInBatch => "Batches do not exist in this protocol version",
            ParseErrorKind::InitializeInBatch => "initialize must not be part of a batch",
        };
        f.write_str(text)
    }
}

impl std::error::Error for ParseError {}

/// Reads a body: JSON within `limits` (whose depth counts from the members of `params` on), then one message or a
/// batch of them.
///
/// # Errors
/// The first fault; its [`ParseError::error`] is -32700 for what is not JSON, else -32600.
pub fn parse(bytes: &[u8], limits: &JsonLimits) -> Result<Body, ParseError> {
    let first = bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    let array = first == Some(&b'[');
    let envelope = if array { ENVELOPE_DEPTH + 1 } else { ENVELOPE_DEPTH };
    let limits = JsonLimits { depth_max: limits.depth_max.saturating_add(envelope), ..*limits };
    let text = json::check(bytes, &limits).map_err(|error| ParseError::new(ParseErrorKind::Json(error)))?;
    if array { batch(text).map(Body::Batch) } else { message(text).map(Body::One) }
}

/// M1, as far as the body alone can tell.
fn batch(text: &str) -> Result<Vec<Message>, ParseError> {
    let fail = |kind| Err(ParseError::new(kind));
    let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return fail(ParseErrorKind::NotAMessage);
    };
    if elements.is_empty() {
        return fail(ParseErrorKind::EmptyBatch);
    }
    if elements.len() > BATCH_MAX {
        return fail(ParseErrorKind::BatchTooLong);
    }
    let mut messages = Vec::with_capacity(elements.len());
    for element in elements {
        let Ok(message) = message(element.get()) else {
            return fail(ParseErrorKind::BatchElement);
        };
        if message.params().claim_modern() {
            return fail(ParseErrorKind::ModernInBatch);
        }
        match &message {
            Message::Request(Request { method, .. }) | Message::Notification(Notification { method, .. }) if **method == *"initialize" => {
                return fail(ParseErrorKind::InitializeInBatch);
            }
            Message::Request(_) | Message::Notification(_) | Message::Response(_) => {}
        }
        messages.push(message);
    }
    Ok(messages)
}

/// M2. `text` is valid JSON.
fn message(text: &str) -> Result<Message, ParseError> {
    let Some(members) = Members::of(text) else {
        return Err(ParseError::new(ParseErrorKind::NotAMessage));
    };
    let id = match members.get("id") {
        None => None,
        Some(raw) => match Id::from_json(raw) {
            Some(id) => Some(id),
            None => return Err(ParseError::new(ParseErrorKind::Id)),
        },
    };
    let is_request = members.get("method").is_some();
    match shape(&members, id.clone()) {
        Ok(message) => Ok(message),
        // The id of a response is the server's own: nothing to answer to.
        Err(kind) => Err(ParseError { kind, id: id.filter(|_| is_request) }),
    }
}

fn shape(members: &Members<'_>, id: Option<Id>) -> Result<Message, ParseErrorKind> {
    if members.get("jsonrpc").and_then(string).as_deref() != Some("2.0") {
        return Err(ParseErrorKind::Version);
    }
    match (members.get("method"), members.get("result"), members.get("error"), id) {
        (Some(method), None, None, id) => {
            let method = string(method).ok_or(ParseErrorKind::Shape)?;
            let params = match members.get("params") {
                Some(params) if !starts_object(params.get()) => return Err(ParseErrorKind::Params),
                params => params.map(ToOwned::to_owned),
            };
            Ok(match id {
                Some(id) => Message::Request(Request { id, method, params }),
                None => Message::Notification(Notification { method, params }),
            })
        }
        (None, Some(result), None, Some(id)) => Ok(Message::Response(Response { id, outcome: Outcome::Result(result.to_owned()) })),
        (None, None, Some(error), Some(id)) if starts_object(error.get()) => {
            Ok(Message::Response(Response { id, outcome: Outcome::Error(error.to_owned()) }))
        }
        (None | Some(_), None | Some(_), None | Some(_), None | Some(_)) => Err(ParseErrorKind::Shape),
    }
}

fn string(raw: &RawValue) -> Option<Box<str>> {
    serde_json::from_str(raw.get()).ok()
}
