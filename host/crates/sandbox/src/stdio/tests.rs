use super::*;

fn said(writes: &[&[u8]], limit: usize) -> (Vec<String>, u64) {
    let mut capture = Capture::new(limit);
    for bytes in writes {
        OutputStream::write(&mut capture, bytes::Bytes::copy_from_slice(bytes)).expect("a flood never ends the guest");
    }
    let (lines, dropped) = capture.take(Stream::Stdout);
    (lines.into_iter().map(|line| line.data).collect(), dropped)
}

#[test]
fn what_is_beyond_the_limit_is_counted() {
    assert_eq!(said(&[b"one\ntwo\n"], 8), (vec!["one".to_owned(), "two".to_owned()], 0));
    assert_eq!(said(&[b"one\ntwo\n"], 7), (vec!["one".to_owned(), "two".to_owned()], 1));
    assert_eq!(said(&[b"one\n", b"two\n", b"three\n"], 5), (vec!["one".to_owned(), "t".to_owned()], 9));
    assert_eq!(said(&[b"x"], 0), (Vec::new(), 1));
}

#[test]
fn lines_may_be_written_in_pieces_and_need_not_be_text() {
    assert_eq!(said(&[b"o", b"ne\r\n\n  \nt", b"wo"], 100), (vec!["one".to_owned(), "two".to_owned()], 0));
    assert_eq!(said(&[b"\xff\xfe\n"], 100).0, ["\u{fffd}\u{fffd}"]);
    // Cut inside of a character.
    assert_eq!(said(&["aé".as_bytes()], 2), (vec!["a\u{fffd}".to_owned()], 1));
}

#[test]
fn a_stream_has_its_level() {
    for (stream, level) in [(Stream::Stdout, LogLevel::Info), (Stream::Stderr, LogLevel::Warning)] {
        let capture = Capture::new(10);
        capture.keep(b"x");
        let (lines, _) = capture.take(stream);
        assert_eq!(lines, [LogLine { level, stream, logger: None, data: "x".to_owned() }]);
    }
}
