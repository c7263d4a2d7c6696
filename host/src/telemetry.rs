//! Logs: to standard error, for people or for programs, without ever waiting for whoever reads them.

mod pace;

use crate::config::{LogConfig, LogFormat};
use pace::{Pace, Paced};
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Lines that may wait to be written; more are dropped, because a full pipe must not stop a call.
const LINES_WAITING_MAX: usize = 8_192;

/// The one log of this process, once it was started.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    /// The filter in force, as it was written.
    filter: Mutex<String>,
    replace: Box<dyn Fn(EnvFilter) -> bool + Send + Sync>,
    dropped: ErrorCounter,
    pace: Arc<Pace>,
}

/// Lines that could not be written.
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);

/// Standard error, without the lock that everybody else takes who prints: the thread that writes lines may wait for a reader for ever, and
/// neither a panic nor the end of the process may wait behind it.
struct Lines(File);

impl Write for Lines {
    /// Each is a line. One that nobody can read any more is counted; to try again would not help it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.write_all(line).is_err() {
            UNWRITTEN.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines() -> Box<dyn Write + Send> {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(own) => Box::new(Lines(own.into())),
        Err(_) => Box::new(io::stderr()),
    }
}

/// From now on panics are lines of the log. What prints them otherwise would wait for the reader of standard error.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("without a text");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(?message, %place, "a fault of the gateway's own (a panic); only what met it has ended");
    }));
}

/// Starts logging. Lines are written by a thread of their own until the guard is dropped.
///
/// Does nothing when logging was started before.
pub fn start(config: &LogConfig) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_WAITING_MAX).finish(lines());
    let dropped = writer.error_counter();
    // The settings were checked when they were read.
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let pace = Arc::new(Pace::default());
    let paced = || Paced(Arc::clone(&pace));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let (started, replace): (_, Box<dyn Fn(EnvFilter) -> bool + Send + Sync>) = match config.format {
        LogFormat::Human => {
            let builder = builder.with_ansi(io::stderr().is_terminal()).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.finish().with(paced()).try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.finish().with(paced()).try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    if started.is_ok() {
        // Nobody else has started it.
        let _ = LOG.set(Log { filter: Mutex::new(config.filter.clone()), replace, dropped, pace });
    }
    guard
}

/// The filter in force; none where nothing was started.
pub fn filter() -> Option<String> {
    Some(LOG.get()?.filter.lock().clone())
}

/// Puts another filter in force, until the process ends.
///
/// # Errors
///
/// What is wrong with it.
pub fn set_filter(text: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    let log = LOG.get().ok_or("there is no log")?;
    let mut now = log.filter.lock();
    if !(log.replace)(filter) {
        return Err("the log is gone".to_owned());
    }
    text.clone_into(&mut now);
    Ok(())
}

/// Says how many lines were left out because one place had too many. To be called every second.
pub fn tell_left_out() {
    for (lines, place) in LOG.get().map(|log| log.pace.take_left_out()).unwrap_or_default() {
        tracing::warn!(
            lines,
            place,
            "so many more lines of one place were left out of this log; the journal has counts of what was refused"
        );
    }
}

/// Lines that were dropped so far, because too many waited or nobody can read them any more.
pub fn dropped() -> u64 {
    let waited = LOG.get().map_or(0, |log| u64::try_from(log.dropped.dropped_lines()).unwrap_or(u64::MAX));
    waited.saturating_add(UNWRITTEN.load(Relaxed))
}
