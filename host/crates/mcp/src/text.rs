//! JSON text that is known to be valid, a writer for it, and foreign words made safe to repeat.

use crate::json::{self, JsonError, JsonLimits};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// How many characters of a foreign name an error message repeats (J21).
pub const NAME_CHARS_MAX: usize = 128;

/// One JSON value as text, valid by construction, so that it is spliced into messages and never parsed again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JsonText(Box<str>);

impl JsonText {
    /// Checks foreign text, such as a guest's schema or structured result.
    ///
    /// # Errors
    /// What [`json::check`] finds: no JSON, a limit passed, a duplicate key.
    pub fn parse(text: impl Into<Box<str>>, limits: &JsonLimits) -> Result<JsonText, JsonError> {
        let text = text.into();
        json::check(text.as_bytes(), limits)?;
        Ok(JsonText(text))
    }

    /// A JSON string.
    #[must_use]
    pub fn string(value: &str) -> JsonText {
        let mut out = String::with_capacity(value.len().saturating_add(2));
        push_string(&mut out, value);
        JsonText(out.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0.into()
    }

    /// Whether the value is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        starts_object(&self.0)
    }
}

impl From<Box<RawValue>> for JsonText {
    fn from(raw: Box<RawValue>) -> JsonText {
        JsonText(raw.into())
    }
}

impl From<&RawValue> for JsonText {
    fn from(raw: &RawValue) -> JsonText {
        JsonText(raw.get().into())
    }
}

impl From<&serde_json::Value> for JsonText {
    /// The value's compact form.
    fn from(value: &serde_json::Value) -> JsonText {
        JsonText(value.to_string().into())
    }
}

impl fmt::Display for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether valid JSON text holds an object.
pub(crate) fn starts_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{')
}

/// The number of the line in which the byte at `offset` stands, counted from 1.
#[must_use]
pub fn line_number(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

/// `text` on one line and at most `chars_max` characters long, for error messages and logs (J21): cut at a character,
/// control characters and the Unicode line and paragraph separators escaped as `\u{…}`, `…` where it was cut.
#[must_use]
pub fn line(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max.saturating_mul(4)));
    let mut chars = text.chars();
    let mut room = chars_max;
    while room > 0 {
        let Some(char) = chars.next() else { return out };
        room = room.saturating_sub(1);
        if char.is_control() || is_separator(char) {
            out.extend(char.escape_unicode());
        } else {
            out.push(char);
        }
    }
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

/// JSON text on one line, for `data:` of an SSE event: white space between tokens becomes blanks; DEL, C1 controls and
/// the Unicode line and paragraph separators, which stand only inside strings, become `\u` escapes
/// (`reliability.md` 2.1, streams).
#[must_use]
pub fn json_line(json: &str) -> Cow<'_, str> {
    let suspect = |char: char| char.is_control() || is_separator(char);
    if position(json.as_bytes(), may_begin_control).is_none() || !json.contains(suspect) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len().saturating_add(16));
    for char in json.chars() {
        match char {
            '\n' | '\r' | '\t' => out.push(' '),
            other if suspect(other) => push_escape(&mut out, other),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

fn is_separator(char: char) -> bool {
    matches!(char, '\u{2028}' | '\u{2029}')
}

fn push_escape(out: &mut String, char: char) {
    out.push_str("\\u");
    let code = u32::from(char);
    for shift in [12, 8, 4, 0] {
        out.push(char::from_digit((code >> shift) & 15, 16).unwrap_or('0'));
    }
}

/// Appends `value` as a JSON string, safe for [`json_line`] as it stands.
pub(crate) fn push_string(out: &mut String, value: &str) {
    out.push('"');
    let (mut written, mut at) = (0, 0);
    let may_begin = |byte| may_begin_control(byte) || matches!(byte, b'"' | b'\\');
    while let Some(plain) = value.as_bytes().get(at..).and_then(|rest| position(rest, may_begin)) {
        at = at.saturating_add(plain);
        let Some(char) = value.get(at..).and_then(|rest| rest.chars().next()) else { break };
        let next = at.saturating_add(char.len_utf8());
        if matches!(char, '"' | '\\') || char.is_control() || is_separator(char) {
            out.push_str(value.get(written..at).unwrap_or_default());
            match char {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                other => push_escape(out, other),
            }
            written = next;
        }
        at = next;
    }
    out.push_str(value.get(written..).unwrap_or_default());
    out.push('"');
}

/// Whether a character that begins with this byte may be a control character or a separator of lines. Most text has none.
fn may_begin_control(byte: u8) -> bool {
    // The last two begin C1 controls and separators, and much else.
    matches!(byte, 0..=0x1f | 0x7f | 0xc2 | 0xe2)
}

/// Where the first such byte is. Whole pieces are looked at without a question after each byte, and so long ones that compilers make vector code of that:
/// of 32 bytes each became a comparison of its own, which took 1.2 ms for a megabyte, and takes 0.06 ms so. Meanwhile a thread answers nobody else.
pub(crate) fn position(bytes: &[u8], is_one: impl Fn(u8) -> bool) -> Option<usize> {
    let (pieces, rest) = bytes.as_chunks::<64>();
    let is_plain = |piece: &&[u8; 64]| piece.iter().fold(0, |any, byte| any | u8::from(is_one(*byte))) == 0;
    let plain = pieces.iter().take_while(is_plain).count();
    let from = plain.saturating_mul(64);
    let rest = if plain == pieces.len() { rest } else { bytes.get(from..)? };
    rest.iter().position(|byte| is_one(*byte)).map(|at| from.saturating_add(at))
}

/// A number as JSON: whole numbers without a fraction, `null` for what JSON cannot say.
pub(crate) fn push_number(out: &mut String, value: f64) {
    use fmt::Write as _;
    // Writing to a `String` cannot fail; Rust prints a finite float without an exponent and `1.0` as `1`.
    if value.is_finite() {
        let _ = write!(out, "{value}");
    } else {
        out.push_str("null");
    }
}

/// A JSON object under construction. The caller never gives a key twice.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Object {
        Object::with_capacity(128)
    }

    pub(crate) fn with_capacity(bytes: usize) -> Object {
        let mut out = String::with_capacity(bytes);
        out.push('{');
        Object(out)
    }

    fn key(&mut self, key: &str) -> &mut String {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_string(&mut self.0, key);
        self.0.push(':');
        &mut self.0
    }

    pub(crate) fn string(&mut self, key: &str, value: &str) {
        push_string(self.key(key), value);
    }

    pub(crate) fn string_if(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(key, value);
        }
    }

    pub(crate) fn integer(&mut self, key: &str, value: i64) {
        let text = value.to_string();
        self.key(key).push_str(&text);
    }

    pub(crate) fn number(&mut self, key: &str, value: f64) {
        push_number(self.key(key), value);
    }

    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.key(key).push_str(if value { "true" } else { "false" });
    }

    pub(crate) fn flag_if(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.flag(key, value);
        }
    }

    pub(crate) fn raw(&mut self, key: &str, value: &JsonText) {
        self.key(key).push_str(value.as_str());
    }

    pub(crate) fn raw_if(&mut self, key: &str, value: Option<&JsonText>) {
        if let Some(value) = value {
            self.raw(key, value);
        }
    }

    /// Text that the caller knows to be one JSON value.
    pub(crate) fn splice(&mut self, key: &str, value: &str) {
        self.key(key).push_str(value);
    }

    pub(crate) fn list<T: AsRef<str>>(&mut self, key: &str, items: impl IntoIterator<Item = T>) {
        let out = self.key(key);
        out.push('[');
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(item.as_ref());
        }
        out.push(']');
    }

    /// `None` if no member was written.
    pub(crate) fn end_unless_empty(self) -> Option<JsonText> {
        (self.0.len() > 1).then(|| self.end())
    }

    pub(crate) fn end(mut self) -> JsonText {
        self.0.push('}');
        JsonText(self.0.into())
    }
}

impl AsRef<str> for JsonText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

#[cfg(test)]
mod tests;
