//! The scanner: a loop over values with a stack of open containers.

use super::tokens::{Cursor, Step};
use super::{JsonError, JsonErrorKind as Kind, JsonLimits};
use std::{borrow::Cow, collections::HashSet};

/// Up to this many keys of one object are compared one by one; beyond, they are hashed (with a random seed, so that
/// chosen keys cannot collide).
const KEYS_COMPARED_MAX: usize = 16;

/// An open container.
enum Frame<'a> {
    Array,
    Object {
        /// Where its keys begin in [`Scanner::keys`].
        first_key: usize,
        /// All of them once more, when they are many.
        hashed: Option<HashSet<Cow<'a, str>>>,
    },
}

struct Scanner<'a> {
    cursor: Cursor<'a>,
    limits: JsonLimits,
    nodes: usize,
    frames: Vec<Frame<'a>>,
    /// The keys seen so far of all open objects, innermost last.
    keys: Vec<Cow<'a, str>>,
}

pub(super) fn scan(text: &str, limits: &JsonLimits) -> Result<(), JsonError> {
    let mut scanner =
        Scanner { cursor: Cursor::new(text), limits: *limits, nodes: 0, frames: Vec::with_capacity(16), keys: Vec::with_capacity(32) };
    scanner.document().map_err(|kind| JsonError { kind, offset_bytes: scanner.cursor.at(), in_arguments: scanner.in_arguments() })
}

impl<'a> Scanner<'a> {
    fn document(&mut self) -> Step<()> {
        loop {
            if self.value()? {
                continue; // A container was opened; what comes is its first value.
            }
            if self.after_value()? {
                return Ok(());
            }
        }
    }

    /// Reads one value. True if it is a container that was opened and is not empty.
    fn value(&mut self) -> Step<bool> {
        self.cursor.skip_blanks();
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > self.limits.nodes_max {
            return Err(Kind::TooManyNodes);
        }
        match self.cursor.peek() {
            Some(b'{') => self.open(Frame::Object { first_key: self.keys.len(), hashed: None }, b'}'),
            Some(b'[') => self.open(Frame::Array, b']'),
            Some(b'"') => self.cursor.string(self.limits.string_bytes_max).map(|_| false),
            Some(b'-' | b'0'..=b'9') => self.cursor.number().map(|()| false),
            Some(b't') => self.cursor.literal("true"),
            Some(b'f') => self.cursor.literal("false"),
            Some(b'n') => self.cursor.literal("null"),
            Some(_) | None => Err(Kind::NotJson),
        }
    }

    fn open(&mut self, frame: Frame<'a>, close: u8) -> Step<bool> {
        if self.frames.len() >= self.limits.depth_max {
            return Err(Kind::TooDeep);
        }
        self.cursor.step();
        self.cursor.skip_blanks();
        if self.cursor.peek() == Some(close) {
            self.cursor.step();
            return Ok(false);
        }
        self.frames.push(frame);
        if close == b'}' {
            self.key()?;
        }
        Ok(true)
    }

    /// Goes on to the next value of the innermost open container. True at the end of the text.
    fn after_value(&mut self) -> Step<bool> {
        loop {
            self.cursor.skip_blanks();
            let next = self.cursor.peek();
            match (self.frames.last(), next) {
                (None, None) => return Ok(true),
                (Some(Frame::Array), Some(b',')) => {
                    self.cursor.step();
                    return Ok(false);
                }
                (Some(Frame::Object { .. }), Some(b',')) => {
                    self.cursor.step();
                    self.cursor.skip_blanks();
                    return self.key().map(|()| false);
                }
                (Some(Frame::Array), Some(b']')) => {
                    self.frames.pop();
                }
                (Some(&Frame::Object { first_key, .. }), Some(b'}')) => {
                    self.keys.truncate(first_key);
                    self.frames.pop();
                }
                (None | Some(_), None | Some(_)) => return Err(Kind::NotJson),
            }
            self.cursor.step();
        }
    }

    /// Reads a key and its colon, and remembers the key.
    fn key(&mut self) -> Step<()> {
        if self.cursor.peek() != Some(b'"') {
            return Err(Kind::NotJson);
        }
        let (start, end, escaped) = self.cursor.string(self.limits.string_bytes_max)?;
        let raw = self.cursor.slice(start..end).ok_or(Kind::NotJson)?;
        let key = if escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) };
        self.remember(key)?;
        self.cursor.skip_blanks();
        if self.cursor.peek() != Some(b':') {
            return Err(Kind::NotJson);
        }
        self.cursor.step();
        Ok(())
    }

    fn remember(&mut self, key: Cow<'a, str>) -> Step<()> {
        let Some(Frame::Object { first_key, hashed }) = self.frames.last_mut() else {
            return Err(Kind::NotJson);
        };
        let siblings = self.keys.get(*first_key..).unwrap_or_default();
        let twice = match hashed {
            Some(set) => !set.insert(key.clone()),
            None if siblings.len() < KEYS_COMPARED_MAX => siblings.contains(&key),
            None => {
                let mut set: HashSet<_> = siblings.iter().cloned().collect();
                let twice = !set.insert(key.clone());
                *hashed = Some(set);
                twice
            }
        };
        if twice {
            return Err(Kind::DuplicateKey);
        }
        self.keys.push(key);
        Ok(())
    }

    /// Whether the scanner stands inside `params.arguments` of the root object.
    fn in_arguments(&self) -> bool {
        let mut frames = self.frames.iter();
        let (Some(Frame::Object { first_key: 0, .. }), Some(&Frame::Object { first_key, .. })) = (frames.next(), frames.next()) else {
            return false;
        };
        let end = match frames.next() {
            Some(&Frame::Object { first_key, .. }) => first_key,
            Some(Frame::Array) | None => return false,
        };
        let last_of = |end: usize| end.checked_sub(1).and_then(|at| self.keys.get(at)).map(AsRef::as_ref);
        last_of(first_key) == Some("params") && last_of(end) == Some("arguments")
    }
}

/// The text of a key whose escapes the scanner has found to be well formed.
fn unescape(raw: &str) -> String {
    serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.to_owned())
}
