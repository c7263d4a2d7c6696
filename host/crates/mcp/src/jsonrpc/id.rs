//! Request ids: integers or strings, echoed exactly (J11, J12).

use crate::text::{self, JsonText};
use serde_json::value::RawValue;
use std::fmt;

/// The longest id that is accepted, in bytes after unescaping (`reliability.md` 5.1).
pub const ID_BYTES_MAX: usize = 256;

/// The id of a request. Never null, a fraction, a boolean or a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// An integer, all 64 bits of it.
    Number(i64),
    /// At most [`ID_BYTES_MAX`] bytes, if a client sent it.
    String(Box<str>),
}

impl Id {
    /// Reads an id. `None` for everything that is not one, such as `null`, `1.0`, `1e2`, `-0`, an integer beyond 64
    /// bits, a string that is too long.
    #[must_use]
    pub fn from_json(raw: &RawValue) -> Option<Id> {
        let text = raw.get();
        if text.starts_with('"') {
            let string: Box<str> = serde_json::from_str(text).ok()?;
            (string.len() <= ID_BYTES_MAX).then_some(Id::String(string))
        } else if text == "-0" {
            None // It would be echoed as 0.
        } else {
            text.parse().ok().map(Id::Number)
        }
    }

    /// The id on the wire.
    #[must_use]
    pub fn write(&self) -> JsonText {
        match self {
            Id::Number(number) => JsonText::from(&serde_json::Value::from(*number)),
            Id::String(string) => JsonText::string(string),
        }
    }
}

impl fmt::Display for Id {
    /// On one line, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => number.fmt(f),
            Id::String(string) => f.write_str(&text::line(string, text::NAME_CHARS_MAX)),
        }
    }
}
