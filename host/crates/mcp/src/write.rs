//! Whole messages as bytes. What is already JSON text is spliced, not parsed again.

use crate::jsonrpc::Id;
use crate::params::LogLevel;
use crate::text::{JsonText, Object};
use crate::{ErrorObject, meta};

/// How many bytes a message has around its payload, as a first guess.
const ENVELOPE_BYTES: usize = 64;

/// The answer to a request that worked.
#[must_use]
pub fn success(id: &Id, result: &JsonText) -> Vec<u8> {
    let mut message = message(result.as_str().len());
    message.raw("id", &id.write());
    message.raw("result", result);
    bytes(message)
}

/// The answer to a request that did not. Without an id, because it could not be read, `"id":null` is written (H11,
/// M2).
#[must_use]
pub fn failure(id: Option<&Id>, error: &ErrorObject) -> Vec<u8> {
    let error = error.write();
    let mut message = message(error.as_str().len());
    match id {
        Some(id) => message.raw("id", &id.write()),
        None => message.splice("id", "null"),
    }
    message.raw("error", &error);
    bytes(message)
}

/// A notification; `params` is an object.
#[must_use]
pub fn notification(method: &str, params: Option<&JsonText>) -> Vec<u8> {
    let mut message = message(params.map_or(0, |params| params.as_str().len()));
    message.string("method", method);
    message.raw_if("params", params);
    bytes(message)
}

/// `notifications/message`: a line of a tool's log. `data` is any JSON.
#[must_use]
pub fn log_message(level: LogLevel, logger: Option<&str>, data: &JsonText) -> Vec<u8> {
    let mut params = Object::with_capacity(data.as_str().len() + ENVELOPE_BYTES);
    params.string("level", level.as_str());
    params.string_if("logger", logger);
    params.raw("data", data);
    notification("notifications/message", Some(&params.end()))
}

/// A notification on a listen stream: [`meta::SUBSCRIPTION_ID`] is the id of the listen request, with its JSON type
/// (1.8).
#[must_use]
pub fn subscription_notification(method: &str, subscription: &Id) -> Vec<u8> {
    let mut own = Object::new();
    own.raw(meta::SUBSCRIPTION_ID, &subscription.write());
    let mut params = Object::new();
    params.raw("_meta", &own.end());
    notification(method, Some(&params.end()))
}

/// A request of the server's own (legacy era only); `params` is an object.
#[must_use]
pub fn request(id: &Id, method: &str, params: Option<&JsonText>) -> Vec<u8> {
    let mut message = message(params.map_or(0, |params| params.as_str().len()));
    message.raw("id", &id.write());
    message.string("method", method);
    message.raw_if("params", params);
    bytes(message)
}

/// The answers to a batch as one array; each element is one whole message.
#[must_use]
pub fn batch(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(message);
    }
    out.push(b']');
    out
}

fn message(payload_bytes: usize) -> Object {
    let mut message = Object::with_capacity(payload_bytes.saturating_add(ENVELOPE_BYTES));
    message.string("jsonrpc", "2.0");
    message
}

fn bytes(message: Object) -> Vec<u8> {
    message.end().into_string().into_bytes()
}

#[cfg(test)]
mod tests;
