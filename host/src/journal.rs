//! The call journal: what was called, by whom, with what outcome. One line of JSON for each call, each naming the hash of the line before it,
//! so that a line that was changed, taken out or put in shows.
//!
//! Nothing of arguments and results is kept but their sizes and digests. Records are handed to a thread of the journal's own: a call never
//! waits for the disk. A record that finds the queue full is counted, and the next line that is written says how many are missing.

mod chain;
mod read;
mod record;
mod writer;

pub use chain::{Hash, Verified, VerifyError, verify};
pub use read::{Segment, lines_from_end, segments};
pub use record::{Event, Outcome, PolicyRecord, Record};

use crate::config::JournalConfig;
use record::Content;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Records that may wait for the disk.
const WAITING_MAX: usize = 8_192;

/// The pen. Cheap to share; the last one dropped writes what is left.
#[derive(Debug)]
pub struct Journal {
    sender: Option<SyncSender<Content>>,
    missed: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal in its directory, mends a torn last line, and starts its thread.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made, read or written.
    pub fn open(config: &JournalConfig) -> io::Result<Self> {
        let missed = Arc::new(AtomicU64::new(0));
        let mut writer = writer::Writer::open(config)?;
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let counter = Arc::clone(&missed);
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&receiver, &counter))?;
        Ok(Self { sender: Some(sender), missed, thread: Some(thread) })
    }

    /// One that keeps nothing.
    pub fn off() -> Self {
        Self { sender: None, missed: Arc::default(), thread: None }
    }

    /// Whether records are kept: where not, nobody needs to make them.
    pub fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// Hands a record over. Never waits.
    pub fn write(&self, record: Record) {
        self.hand_over(Content::Call(Box::new(record)));
    }

    /// Hands over what happened beside calls. Never waits.
    pub fn note(&self, event: Event) {
        self.hand_over(Content::Event(event));
    }

    fn hand_over(&self, record: Content) {
        let Some(sender) = &self.sender else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sender.try_send(record) {
            self.missed.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
