//! What commands print. A reader that went away ends the printing, not the command.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// For a reader that is there and slow.
const PATIENCE: Duration = Duration::from_secs(1);

/// Does what may wait for a reader, but not for longer than a moment: whoever starts the gateway and does not read what it says must neither
/// keep it from serving nor from ending. What is not written by then is written when it is read, or never.
pub(super) fn patiently(work: impl FnOnce() + Send + 'static) {
    let (sender, done) = sync_channel(1);
    let working = std::thread::Builder::new().name("output".to_owned()).spawn(move || {
        work();
        // Nobody waits any more, after a while.
        let _ = sender.send(());
    });
    if working.is_ok() {
        let _ = done.recv_timeout(PATIENCE);
    }
}

/// Text on standard output, as it stands.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// One line on standard error.
pub(super) fn note(text: &str) {
    // In one piece: lines of the log are written by another thread, and must not come between a line and its end.
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Why the command failed.
pub(super) fn error(text: &str) {
    note(&format!("gatehouse: {text}"));
}

/// Bold where somebody sees it.
pub(super) fn bold(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// The first sentence of a description, on one line, cut.
pub(super) fn summary(text: &str, chars_max: usize) -> String {
    let first = text.split(". ").next().unwrap_or_default().lines().next().unwrap_or_default();
    mcp::text::line(first.trim_end_matches('.'), chars_max)
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A duration for people.
pub(super) fn took(duration: Duration) -> String {
    match duration.as_micros() {
        0..1_000 => format!("{} µs", duration.as_micros()),
        1_000..1_000_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// `2026-11-23 09:15:00.123`, in UTC.
pub(super) fn utc(at_ms: u64) -> String {
    let nanoseconds = i128::from(at_ms).saturating_mul(1_000_000);
    match time::OffsetDateTime::from_unix_timestamp_nanos(nanoseconds) {
        Ok(at) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        ),
        Err(_) => format!("{at_ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_read_as_people_do() {
        assert_eq!(utc(0), "1970-01-01 00:00:00.000");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00.000");
        assert_eq!(utc(1_795_425_300_123), "2026-11-23 09:15:00.123");
    }
}
