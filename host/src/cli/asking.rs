//! Questions that commands put to a running gateway, through its socket.

use super::Failed;
use crate::config::Config;
use crate::control;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The running gateway of these settings.
///
/// # Errors
///
/// When there is none.
pub(super) fn running(config: &Config) -> Result<UnixStream, Failed> {
    let path = control::socket(&config.control_directory());
    UnixStream::connect(&path)
        .map_err(|error| Failed { code: 69, message: format!("no gateway that uses {} can be asked: {error}", path.display()) })
}

/// What to say of an answer that does not come to its end.
pub(super) fn broken(error: impl std::fmt::Display) -> Failed {
    Failed::other(format!("the gateway's answer broke off: {error}"))
}

/// Asks one question, and hands over each line of the answer.
///
/// # Errors
///
/// When the answer does not come to its end, or a line of it not within `patience`.
pub(super) fn ask(stream: &mut UnixStream, question: &str, patience: Duration, mut each: impl FnMut(&str)) -> io::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    writeln!(stream, "{question}")?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line == control::END {
            return Ok(());
        }
        each(&line);
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
