//! HTTP/1: every line of a request ends in CR LF.
//!
//! hyper also takes LF alone, as RFC 9112, 2.2 allows. A proxy in front that does not sees one field where hyper sees two, which is how
//! a request is smuggled past it (H17). There is no setting, so lines are looked at here.
//!
//! Bodies are not. To know where they end, the two fields that frame them are read; what cannot be read is refused as well, so that hyper
//! never sees a frame that was not seen here.

use std::mem;

/// As much of a line as is needed to read a field that frames a body.
const KEPT_MAX: usize = 128;

#[derive(Default)]
pub(super) struct Lines {
    place: Place,
    /// The line so far, or its beginning.
    line: Vec<u8>,
    /// The byte before the one that comes.
    last: u8,
    head: Head,
}

#[derive(Default)]
enum Place {
    #[default]
    Head,
    Body {
        left: u64,
    },
    ChunkSize,
    /// With the line end behind it.
    Chunk {
        left: u64,
    },
    Trailers,
}

/// What the head so far says about the body.
#[derive(Default)]
struct Head {
    begun: bool,
    length: u64,
    chunked: bool,
}

impl Lines {
    /// Looks at the next bytes; gives how many of them are good. Where those are not all, it is not asked again.
    pub(super) fn check(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match &mut self.place {
                Place::Body { left } | Place::Chunk { left } => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= count as u64;
                    if *left == 0 {
                        self.place = if matches!(self.place, Place::Chunk { .. }) { Place::ChunkSize } else { Place::Head };
                    }
                    rest.split_at(count).1
                }
                Place::Head | Place::ChunkSize | Place::Trailers => match self.line(rest) {
                    Ok(after) => after,
                    Err(feed) => return bytes.len() - feed.len(),
                },
            };
        }
        bytes.len()
    }

    /// Takes the rest of a line, or what is there of it; gives what comes after it, or, if it is refused, from its line feed on.
    fn line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], &'b [u8]> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, feed) = bytes.split_at(end.unwrap_or(bytes.len()));
        let room = KEPT_MAX.saturating_sub(self.line.len());
        self.line.extend(line.iter().take(room));
        self.last = line.last().copied().unwrap_or(self.last);
        let [_, after @ ..] = feed else { return Ok(feed) };
        let next = if mem::take(&mut self.last) == b'\r' { self.next() } else { None };
        self.place = next.ok_or(feed)?;
        self.line.clear();
        Ok(after)
    }

    /// What follows on the line; nothing, if the line cannot be read.
    fn next(&mut self) -> Option<Place> {
        let line = match self.line.strip_suffix(b"\r") {
            Some(whole) => Ok(whole),
            None => Err(&*self.line),
        };
        match self.place {
            Place::Head => match line {
                // Blank lines before a request are skipped, as hyper does.
                Ok([]) if !self.head.begun => Some(Place::Head),
                Ok([]) => Some(mem::take(&mut self.head).body()),
                line => {
                    self.head.begun = true;
                    self.head.field(line).then_some(Place::Head)
                }
            },
            Place::ChunkSize => {
                let size = line.unwrap_or_else(|beginning| beginning).split(|byte| *byte == b';').next()?;
                let size = std::str::from_utf8(size).ok()?.trim_end_matches([' ', '\t']);
                let hexadecimal = size.len() <= 16 && size.bytes().all(|byte| byte.is_ascii_hexdigit());
                match u64::from_str_radix(size, 16).ok().filter(|_| hexadecimal)? {
                    0 => Some(Place::Trailers),
                    size => Some(Place::Chunk { left: size.checked_add(2)? }),
                }
            }
            Place::Trailers if line == Ok(&[]) => Some(Place::Head),
            Place::Trailers => Some(Place::Trailers),
            Place::Body { .. } | Place::Chunk { .. } => None,
        }
    }
}

impl Head {
    /// Notes a field that frames the body. False, if it cannot be read: an error is the beginning of a line that is too long.
    fn field(&mut self, line: Result<&[u8], &[u8]>) -> bool {
        let text = line.unwrap_or_else(|beginning| beginning);
        let mut parts = text.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { return true };
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = value.trim_ascii();
            let length = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let Some(length) = length.and_then(|text| text.parse().ok()).filter(|_| line.is_ok()) else { return false };
            self.length = length;
        }
        true
    }

    fn body(self) -> Place {
        match self {
            Self { chunked: true, .. } => Place::ChunkSize,
            Self { length: 0, .. } => Place::Head,
            Self { length, .. } => Place::Body { left: length },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much of a text is good, whatever the pieces in which it comes.
    fn check(text: &str) -> &str {
        let good = |size: usize| {
            let mut lines = Lines::default();
            let mut good = 0;
            for chunk in text.as_bytes().chunks(size) {
                let count = lines.check(chunk);
                good += count;
                if count < chunk.len() {
                    break;
                }
            }
            good
        };
        let whole = good(text.len());
        assert!((1..text.len()).all(|size| good(size) == whole), "{text}");
        text.split_at(whole).0
    }

    #[test]
    fn what_is_right_passes() {
        for text in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\n\r\nPOST / HTTP/1.1\r\ncontent-LENGTH:\t 6 \r\n\r\n\n{\n}\n\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\n\n\n\n\r\nA \r\n0123456\n\n\n\r\n0\r\nT: t\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\n\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(check(text), text);
        }
        let long = format!("GET /{} HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(300), "b".repeat(300));
        assert_eq!(check(&long), long);
    }

    #[test]
    fn the_first_line_feed_that_stands_alone_is_the_end() {
        for (good, rest) in [
            ("", "\nGET"),
            ("GET / HTTP/1.1", "\nHost: a\n\n"),
            ("GET / HTTP/1.1\r\nHost: a", "\nX: b\r\n\r\n"),
            ("GET / HTTP/1.1\r\n", "\n"),
            ("P / HTTP/1.1\r\nContent-Length: 1\r\n\r\n\nP / HTTP/1.1", "\n"),
            ("P / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n1", "\n"),
            ("P / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n0\r\nT: t", "\n\r\n"),
        ] {
            assert_eq!(check(&format!("{good}{rest}")), good);
        }
    }

    #[test]
    fn frames_that_cannot_be_read_are_refused() {
        let zeros = "0".repeat(200);
        for length in ["", "+1", "-1", "0x1", "1, 1", "18446744073709551616", &zeros] {
            let text = format!("P / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(check(&text), text.trim_end_matches("\n\r\n"), "{length}");
        }
        for size in ["", "+1", "g", "5 hello", "FFFFFFFFFFFFFFFFF", "FFFFFFFFFFFFFFFF", &zeros] {
            let text = format!("P / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n");
            assert_eq!(check(&text), text.trim_end_matches('\n'), "{size}");
        }
    }
}
