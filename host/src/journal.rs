//! The journal, which is the audit log: what was called, by whom, with what outcome, and what else happened that somebody may have to answer
//! for. One line of JSON for each call and each event, each naming the hash of the line before it, so that a line that was changed, taken
//! out or put in shows.
//!
//! Nothing of arguments and results is kept but their sizes and digests. Lines are handed to a thread of the journal's own: a call never
//! waits for the disk. A line that finds the queue full is counted, and the next one that is written says how many are missing.

mod chain;
mod event;
mod guest;
mod often;
mod read;
mod record;
mod writer;

pub use chain::{Hash, Verified, VerifyError, verify};
pub use event::{Event, Kind, principal, tag};
pub use guest::OfGuest;
pub use often::{Source, network};
pub use read::{Segment, lines_from_end, segments};
pub use record::{Outcome, PolicyRecord, Record};

use crate::config::{JournalConfig, OnError};
use often::Often;
use parking_lot::Mutex;
use record::Content;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines that may wait for the disk.
const WAITING_MAX: usize = 8_192;

/// The pen. The last one dropped writes what is left.
#[derive(Debug)]
pub struct Journal {
    sender: Option<SyncSender<Message>>,
    state: Arc<State>,
    often: Mutex<Often>,
    on_error: OnError,
    thread: Option<JoinHandle<()>>,
}

/// What the pen and the thread tell each other.
#[derive(Debug, Default)]
struct State {
    missed: AtomicU64,
    /// What was handed over last may be lost.
    failing: AtomicBool,
}

/// What the thread is sent.
#[derive(Debug)]
enum Message {
    Line(Content),
    /// Answered when everything before it is on the disk.
    Flush(SyncSender<()>),
}

impl Journal {
    /// Opens the journal in its directory, mends a torn last line, and starts its thread.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made, read or written.
    pub fn open(config: &JournalConfig) -> io::Result<Self> {
        let state = Arc::new(State::default());
        let mut writer = writer::Writer::open(config)?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&receiver, &shared))?;
        Ok(Self { sender: Some(sender), state, often: Mutex::new(Often::new()), on_error: config.on_error, thread: Some(thread) })
    }

    /// One that keeps nothing.
    pub fn off() -> Self {
        Self { sender: None, state: Arc::default(), often: Mutex::new(Often::new()), on_error: OnError::Continue, thread: None }
    }

    /// Whether lines are kept: where not, nobody needs to make them.
    pub fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// Whether what is handed over now cannot be written.
    pub fn is_failing(&self) -> bool {
        self.state.failing.load(Relaxed)
    }

    /// Whether a call may begin: where a call that leaves no line is worse than none, none does while the journal cannot be written.
    pub fn takes_calls(&self) -> bool {
        match self.on_error {
            OnError::Continue => true,
            OnError::Refuse => !self.is_failing(),
        }
    }

    /// Hands the line of a call over. Never waits.
    pub fn write(&self, record: Record) {
        self.hand_over(Content::Call(Box::new(record)));
    }

    /// Hands over what happened beside calls. Never waits.
    pub fn note(&self, event: Event) {
        self.hand_over(Content::Event(Box::new(event)));
    }

    /// The same of what may happen as often as somebody likes: beyond some lines it is only counted, by kind, source and reason. `more` adds
    /// what only a line of its own has.
    pub fn note_often(&self, kind: Kind, source: &Source, reason: &'static str, more: impl FnOnce(Event) -> Event) {
        if !self.is_on() {
            return;
        }
        let (is_own, line) = self.often.lock().count(kind, source, reason, Instant::now());
        line.into_iter().for_each(|line| self.note(line));
        if is_own {
            self.note(more(source.of(Event::new(kind)).because(reason)));
        }
    }

    /// Writes what was counted and whose time is over. To be called every few seconds.
    pub fn sweep(&self) {
        let lines = self.often.lock().take(Instant::now(), false);
        lines.into_iter().for_each(|line| self.note(line));
    }

    /// Writes everything, what was counted too, and waits until it is on the disk, but no longer than that. Blocks.
    pub fn flush(&self, patience: Duration) {
        let lines = self.often.lock().take(Instant::now(), true);
        lines.into_iter().for_each(|line| self.note(line));
        let Some(sender) = &self.sender else { return };
        let (done, is_done) = sync_channel(1);
        if sender.try_send(Message::Flush(done)).is_ok() {
            // Whoever cannot write does not answer.
            let _ = is_done.recv_timeout(patience);
        }
    }

    fn hand_over(&self, content: Content) {
        let Some(sender) = &self.sender else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sender.try_send(Message::Line(content)) {
            self.state.missed.fetch_add(1, Relaxed);
            self.state.failing.store(true, Relaxed);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let lines = self.often.lock().take(Instant::now(), true);
        lines.into_iter().for_each(|line| self.note(line));
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
