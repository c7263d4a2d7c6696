//! Other people's tools: compilers, package managers. What they say is shown as they say it, and kept for whoever wants to know why one failed.

use super::super::Failed;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// More than a first build with all that has to be fetched takes.
const TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// What is kept of what a tool says: its end.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// How a tool ended.
pub(super) struct Ended {
    pub(super) well: bool,
    /// Standard output, which is for us.
    pub(super) out: Vec<u8>,
    /// The end of standard error, which was shown.
    pub(super) said: String,
}

/// Runs a tool in a folder. Its standard output is kept, its standard error goes on to ours.
///
/// # Errors
///
/// When it is not there, with `missing` as what to do then, or when it takes far too long.
pub(super) async fn run(mut command: Command, folder: &Path, missing: &str) -> Result<Ended, Failed> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failed::other(format!("`{program}` is missing: {missing}")),
        _ => Failed::other(format!("`{program}` cannot be run: {error}")),
    })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (status, out, said) = tokio::join!(child.wait(), kept(out, false), kept(err, true));
        Ok(Ended { well: status?.success(), out, said: String::from_utf8_lossy(&said).into_owned() })
    };
    match tokio::time::timeout(TIME_MAX, all).await {
        Ok(ended) => ended.map_err(|error: io::Error| Failed::other(format!("`{program}`: {error}"))),
        Err(_) => Err(Failed::other(format!("`{program}` was stopped after {} minutes", TIME_MAX.as_secs() / 60))),
    }
}

/// Reads to the end, and keeps that. `shown` is passed on as it comes.
async fn kept(from: Option<impl AsyncRead + Unpin>, shown: bool) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
    let Some(mut from) = from else { return kept };
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let Some(new) = buffer.get(..read) else { break };
        if shown {
            // Whoever does not read what is said has the result all the same.
            let _ = tokio::io::stderr().write_all(new).await;
        }
        kept.extend_from_slice(new);
        let surplus = kept.len().saturating_sub(KEPT_BYTES_MAX);
        if shown && surplus > 0 {
            kept.drain(..surplus);
        }
    }
    kept
}
