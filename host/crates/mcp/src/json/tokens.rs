//! The tokens of a JSON text: strings, numbers, literals, one after the other.

use super::JsonErrorKind as Kind;
use std::ops::Range;

pub(super) type Step<T> = Result<T, Kind>;

/// A place in a text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, bytes: text.as_bytes(), at: 0 }
    }

    /// Where it stands, in bytes from the start.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn slice(&self, range: Range<usize>) -> Option<&'a str> {
        self.text.get(range)
    }

    /// Reads a string; gives where its inside begins and ends, and whether it has escapes.
    pub(super) fn string(&mut self, bytes_max: usize) -> Step<(usize, usize, bool)> {
        self.step();
        let start = self.at;
        let mut saved = 0_usize; // Bytes that unescaping takes away.
        loop {
            self.at = self.at.saturating_add(plain_run(self.bytes.get(self.at..).unwrap_or_default()));
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => saved = saved.saturating_add(self.escape()?),
                Some(_) | None => return Err(Kind::NotJson),
            }
        }
        let end = self.at;
        if end.saturating_sub(start).saturating_sub(saved) > bytes_max {
            return Err(Kind::StringTooLong);
        }
        self.step();
        Ok((start, end, saved > 0))
    }

    /// Reads an escape; gives by how many bytes it is longer than what it stands for.
    fn escape(&mut self) -> Step<usize> {
        self.step();
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.step();
                Ok(1)
            }
            Some(b'u') => match self.code_unit()? {
                0..=0x7F => Ok(5),
                0x80..=0x7FF => Ok(4),
                0xD800..=0xDBFF => {
                    if self.peek() != Some(b'\\') {
                        return Err(Kind::NotJson);
                    }
                    self.step();
                    match self.code_unit()? {
                        0xDC00..=0xDFFF => Ok(8),
                        _ => Err(Kind::NotJson),
                    }
                }
                0xDC00..=0xDFFF => Err(Kind::NotJson),
                _ => Ok(3),
            },
            Some(_) | None => Err(Kind::NotJson),
        }
    }

    /// Reads `u` and four hexadecimal digits.
    fn code_unit(&mut self) -> Step<u32> {
        if self.peek() != Some(b'u') {
            return Err(Kind::NotJson);
        }
        self.step();
        let mut unit = 0_u32;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = (unit << 4) | digit.ok_or(Kind::NotJson)?;
            self.step();
        }
        Ok(unit)
    }

    pub(super) fn number(&mut self) -> Step<()> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.step();
        }
        if self.peek() == Some(b'0') {
            self.step();
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.digits()?;
        }
        let mut may_be_infinite = self.at.saturating_sub(start) > 300;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            may_be_infinite = true;
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            self.digits()?;
        }
        // A number beyond the range of a double is infinite to one reader and an error to the next.
        if may_be_infinite {
            let text = self.text.get(start..self.at).unwrap_or_default();
            if !text.parse::<f64>().is_ok_and(f64::is_finite) {
                return Err(Kind::NotJson);
            }
        }
        Ok(())
    }

    /// Reads one digit or more.
    fn digits(&mut self) -> Step<()> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(Kind::NotJson);
        }
        self.at = self.at.saturating_add(count);
        Ok(())
    }

    pub(super) fn literal(&mut self, word: &'static str) -> Step<bool> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Kind::NotJson);
        }
        self.at = self.at.saturating_add(word.len());
        Ok(false)
    }

    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.step();
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }
}

/// How many bytes at the start of `rest` are neither a quote, a backslash nor a control character.
fn plain_run(rest: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut count = 0_usize;
    let (words, _) = rest.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The classic "is there a byte less than / equal to" test, eight bytes at a time. It is exact in its lowest
        // hit, which is the one that counts: borrows only run upwards.
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * 0x22);
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = word ^ (ONES * 0x5C);
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let hit = (control | quote | backslash) & HIGH;
        if hit != 0 {
            return count.saturating_add((hit.trailing_zeros() / 8) as usize);
        }
        count = count.saturating_add(8);
    }
    let tail = rest.get(count..).unwrap_or_default();
    let plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..=0x1F);
    count.saturating_add(tail.iter().take_while(plain).count())
}
