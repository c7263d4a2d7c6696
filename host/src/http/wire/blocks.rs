//! HTTP/2: the head of a request ends.
//!
//! The `h2` crate counts the frames of a head and the fields that it can make out of them. A few large frames that hold one endless field
//! pass both counts for close to 100 KiB (H28), so here the bytes are counted.

use std::io;

const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

pub(super) struct Blocks {
    bytes_max: usize,
    /// Bytes until the next frame.
    skip: usize,
    /// The head of a frame, as far as it is there.
    frame: Vec<u8>,
    /// Bytes of the header block so far.
    block: usize,
}

impl Blocks {
    /// Frames begin after so many bytes.
    pub(super) fn after(preface: usize, bytes_max: usize) -> Self {
        Self { bytes_max, skip: preface, frame: Vec::with_capacity(FRAME_HEAD), block: 0 }
    }

    /// Looks at the next bytes; an error ends the connection.
    pub(super) fn check(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            let rest = bytes.split_at(skipped).1;
            let (head, rest) = rest.split_at((FRAME_HEAD - self.frame.len()).min(rest.len()));
            self.frame.extend(head);
            bytes = rest;
            if let [a, b, c, kind, flags, ..] = self.frame[..]
                && self.frame.len() == FRAME_HEAD
            {
                self.frame.clear();
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.begin(kind, flags)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, kind: u8, flags: u8) -> io::Result<()> {
        self.block = match kind {
            HEADERS => self.skip,
            CONTINUATION => self.block.saturating_add(self.skip),
            _ => return Ok(()),
        };
        if self.block > self.bytes_max {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the head of a request is too large"));
        }
        if flags & END_HEADERS != 0 {
            self.block = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, bytes: u8) -> Vec<u8> {
        [&[0, 0, bytes, kind, flags, 0, 0, 0, 1][..], &vec![0xff; bytes.into()]].concat()
    }

    fn check(frames: &[Vec<u8>]) -> bool {
        let text = [&b"PREFACE"[..], &frames.concat()].concat();
        let feed = |size: usize| {
            let mut blocks = Blocks::after(7, 100);
            text.chunks(size).all(|chunk| blocks.check(chunk).is_ok())
        };
        let whole = feed(text.len());
        assert!((1..text.len()).all(|size| feed(size) == whole));
        whole
    }

    #[test]
    fn a_head_is_counted_over_its_frames() {
        let (first, more, last) = (frame(HEADERS, 0, 50), frame(CONTINUATION, 0, 25), frame(CONTINUATION, END_HEADERS, 25));
        let data = frame(0, 0, 250);
        assert!(check(&[first.clone(), more.clone(), last.clone(), data.clone(), first.clone(), last.clone(), data]));
        assert!(check(&[frame(HEADERS, END_HEADERS, 100)]));
        assert!(!check(&[frame(HEADERS, END_HEADERS, 101)]));
        assert!(!check(&[first, more.clone(), more, last]));
    }
}
