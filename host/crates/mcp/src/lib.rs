//! The wire vocabulary of every MCP revision that Gatehouse speaks.
//!
//! Pure data and pure functions: no input or output, no clock, no HTTP types. Read it in this order:
//!
//! 1. [`revision`]: which revisions exist, and what each of them allows;
//! 2. [`json`]: is a body JSON, and small enough in every respect to be worth reading;
//! 3. [`jsonrpc`]: the messages in a body; [`error`]: how they are refused;
//! 4. [`era`], [`modern`], [`header`], [`mirrored`]: the ladder that a request of 2026-07-28 climbs;
//! 5. [`params`], [`meta`], [`capability`]: what clients send;
//! 6. [`tool`], [`resource`], [`prompt`], [`content`], [`result`], [`progress`], [`task`], [`listen`]: what they are told, in the words of
//!    their revision;
//! 7. [`mod@write`]: whole messages as bytes; [`text`]: JSON text, and foreign words made safe to repeat.
//!
//! Clauses are named by their number in `protocol.md` (`M1`, `E3`, rung 4) and `reliability.md` (`J12`).
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

pub mod capability;
pub mod content;
pub mod era;
pub mod error;
pub mod header;
pub mod json;
pub mod jsonrpc;
pub mod listen;
pub mod meta;
pub mod mirrored;
pub mod modern;
pub mod params;
pub mod progress;
pub mod prompt;
pub mod resource;
pub mod result;
pub mod revision;
pub mod task;
pub mod text;
pub mod tool;
pub mod write;

mod members;
mod shown;

pub use error::{ErrorCode, ErrorObject};
pub use json::JsonLimits;
pub use jsonrpc::{Body, Id, Message, Notification, Request, Response};
pub use revision::{Era, Revision};
pub use shown::shown;
pub use text::JsonText;
