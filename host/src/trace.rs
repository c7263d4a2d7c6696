//! Traces: what a request was made of, as spans for a collector that speaks OTLP over HTTP. Off, unless the settings name one.
//!
//! - [`start`]: begins to record; the [`Recorder`] that it gives sends what is left when it is dropped.
//! - [`Arrival`] becomes a [`Span`] when the request is known; that one has children ([`Span::child`]). A span ends when its last clone is
//!   dropped, so that it lives as long as what it is of.
//!
//! It is of the process, as logs and metrics are. Where nothing is recorded a span is nothing: making one is a look at one atomic, and there is
//! no clock, no lock and no memory in it. Where it is, whoever makes spans waits for nobody: what has no place in the queue is dropped and
//! counted. Names and attributes are of closed sets: words of the sources, names of the settings and of the catalog. What a client or a guest
//! says is never in one; of its trace alone a client's word is handed on.

mod export;
mod headers;
mod otlp;
mod place;
mod queue;
mod span;

pub use span::{Arrival, Span};

use crate::config::TracesConfig;
use export::Exporter;
use headers::Headers;
use place::Sampler;
use queue::Queue;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long whoever stops waits until what is left has been sent.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What records in this process, once it was started.
static TRACER: OnceLock<Tracer> = OnceLock::new();

#[derive(Debug)]
struct Tracer {
    sampler: Sampler,
    queue: Arc<Queue>,
}

/// Traces cannot be sent as the settings want it. Says nothing of what is in the file.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file with header fields.
    #[error("traces.headers_file: {0}")]
    Headers(String),
    /// There is no thread, or no randomness.
    #[error("traces cannot be recorded: {0}")]
    System(std::io::Error),
}

/// Looks at what the settings name, and begins nothing.
///
/// # Errors
///
/// As [`start`].
pub fn check(config: &TracesConfig) -> Result<(), TraceError> {
    Headers::load(config.headers_file.as_deref()).map(drop).map_err(TraceError::Headers)
}

/// Begins to record, and to send what was recorded by a thread of its own. Does nothing when it was begun before.
///
/// # Errors
///
/// When the file with header fields cannot be used, or the system gives no thread.
pub fn start(config: &TracesConfig) -> Result<Recorder, TraceError> {
    let headers = Headers::load(config.headers_file.as_deref()).map_err(TraceError::Headers)?;
    let queue = Arc::new(Queue::new(config.queue_max));
    let tracer = Tracer { sampler: Sampler::new(config.sample_ratio), queue: Arc::clone(&queue) };
    if TRACER.set(tracer).is_ok() {
        let exporter = Exporter::new(config, headers).map_err(|error| TraceError::System(error.into()))?;
        let sent = Arc::clone(&queue);
        std::thread::Builder::new().name("traces".to_owned()).spawn(move || exporter.run(&sent)).map_err(TraceError::System)?;
    }
    Ok(Recorder(queue))
}

/// Dropped, it has what waits sent, and waits for that, two seconds at most.
#[derive(Debug)]
#[must_use]
pub struct Recorder(Arc<Queue>);

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.0.close(LAST_WORDS) {
            tracing::warn!("the collector did not take the last spans in time; they are lost");
        }
    }
}
