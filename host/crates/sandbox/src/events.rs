//! What a running guest says before it is done: progress, log lines, changes, in order, through a channel with a bound.

use tokio::sync::mpsc;

/// One thing that a guest said.
#[derive(Debug, Clone, PartialEq)]
pub enum GuestEvent {
    /// `gatehouse:host/progress`.
    Progress(Progress),
    /// `gatehouse:host/log`, or a line of standard output or error.
    Log(LogLine),
    /// `gatehouse:host/lists`.
    Changed(Change),
}

/// What a guest says has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Its tools.
    Tools,
    /// Its resources or templates.
    Resources,
    /// Its prompts.
    Prompts,
    /// The content of the resource of that URI, which need not be one of its own.
    Resource(String),
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Finite, and larger than in the report before it.
    pub done: f64,
    /// In the same unit; finite.
    pub total: Option<f64>,
    /// At most 4,096 bytes.
    pub message: Option<String>,
}

/// One line for the operator's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Severity; [`LogLevel::Info`] for standard output, [`LogLevel::Warning`] for standard error.
    pub level: LogLevel,
    /// Where it was written.
    pub stream: Stream,
    /// The part of the guest that speaks.
    pub logger: Option<String>,
    /// As the guest wrote it: JSON text for [`Stream::Log`], plain text otherwise. Not cleaned of control characters.
    pub data: String,
}

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `gatehouse:host/log`.
    Log,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Severity as in RFC 5424, least serious first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names of RFC 5424 say it")]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

/// The guest's end. A call without one drops what the guest says.
#[derive(Debug)]
pub struct EventSender {
    sender: mpsc::Sender<GuestEvent>,
    progress: bool,
}

impl EventSender {
    /// Whether anybody wants to hear of progress.
    pub(crate) fn wants_progress(&self) -> bool {
        self.progress
    }

    /// Waits while the channel is full: a slow reader slows its own guest, inside the call's wall time.
    pub(crate) async fn send(&self, event: GuestEvent) {
        // An error says that nobody listens any more, which is not the guest's business.
        let _ = self.sender.send(event).await;
    }
}

/// The host's end.
#[derive(Debug)]
pub struct EventReceiver(mpsc::Receiver<GuestEvent>);

impl EventReceiver {
    /// The next event; none when the call is over and all was read. Cancel-safe.
    pub async fn next(&mut self) -> Option<GuestEvent> {
        self.0.recv().await
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<GuestEvent> {
        self.0.try_recv().ok()
    }
}

/// A channel for the events of one call. `progress` says whether the caller asked for progress.
///
/// Holds 64 events; a guest that says more waits until they are read.
pub fn events(progress: bool) -> (EventSender, EventReceiver) {
    let (sender, receiver) = mpsc::channel(64);
    (EventSender { sender, progress }, EventReceiver(receiver))
}
