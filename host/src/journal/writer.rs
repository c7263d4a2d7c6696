//! The journal's own thread: takes what waits, writes it in one piece, and flushes it to the disk every hundred lines and every second.
//!
//! What a disk refuses is kept, as far as the queue reaches, and written when it takes it again.

use super::chain::{Hash, Position};
use super::event::{Event, Kind};
use super::read::{self, file_name, segments};
use super::record::{Content, Line};
use super::{Message, State};
use crate::config::{JournalConfig, OnError};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant, SystemTime};

/// What a power cut may take: lines of that time, or so many. A killed process loses only what was still waiting.
const SYNC: Duration = Duration::from_secs(1);
const SYNC_LINES: usize = 100;
/// Lines of so long are written together. Whoever hands a line over to a thread that waits has to wake it, which costs a call more than the line does: so while
/// lines come it looks for them this often, and waits for one only after a time without any.
const GATHER: Duration = Duration::from_millis(1);
/// Lines that are taken from the queue at once.
const GROUP_MAX: usize = 4_096;
/// Lines that are written in one piece: about as many as the smallest segment has, so that none grows much beyond its size.
const PIECE_LINES: usize = 128;
/// Between two attempts to write to a disk that refuses.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    directory: PathBuf,
    segment_bytes_max: u64,
    total_bytes_max: u64,
    age_max: Duration,
    file: File,
    file_bytes: u64,
    next_seq: u64,
    head: Hash,
    dirty_since: Option<Instant>,
    dirty_lines: usize,
    /// What comes after the last whole line is half a group.
    torn: bool,
    failing: bool,
    on_error: OnError,
    /// Lines come: it will look for more before it waits.
    is_busy: bool,
    /// Taken from the queue, and not written yet.
    group: Vec<Content>,
    /// Lines that are missing before the group.
    lost: u64,
    /// Who waits until all of it is on the disk.
    waiting: Vec<SyncSender<()>>,
}

impl Writer {
    pub(super) fn open(config: &JournalConfig) -> io::Result<Self> {
        let directory = &config.directory;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let last = segments(directory)?.pop();
        let (path, next_seq, head) = match &last {
            None => (directory.join(file_name(1)), 1, Hash::default()),
            Some(segment) => {
                drop_torn_line(&segment.path)?;
                match read::lines_from_end(directory, 1)?.pop() {
                    None => (segment.path.clone(), segment.first_seq, Hash::default()),
                    Some(line) => {
                        let position: Position = serde_json::from_str(&line).map_err(io::Error::other)?;
                        (segment.path.clone(), position.seq + 1, Hash::of(line.as_bytes()))
                    }
                }
            }
        };
        let file = append_to(&path)?;
        let file_bytes = file.metadata()?.len();
        Ok(Self {
            directory: directory.to_owned(),
            segment_bytes_max: (config.bytes_max / 16).max(64 << 10),
            total_bytes_max: config.bytes_max,
            age_max: config.age_max,
            file,
            file_bytes,
            next_seq,
            head,
            dirty_since: None,
            dirty_lines: 0,
            torn: false,
            failing: false,
            on_error: config.on_error,
            is_busy: false,
            group: Vec::new(),
            lost: 0,
            waiting: Vec::new(),
        })
    }

    /// Until the last pen is gone and everything that waited is written, or cannot be.
    pub(super) fn run(&mut self, messages: &Receiver<Message>, state: &State) {
        let mut open = true;
        while open {
            open = if self.failing { self.gather(messages) } else { self.take(messages) };
            self.lost = self.lost.saturating_add(state.missed.swap(0, Relaxed));
            match self.write(open) {
                Ok(()) => {
                    for done in self.waiting.drain(..) {
                        // Whoever waited may have gone.
                        let _ = done.try_send(());
                    }
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("the journal is written again");
                    }
                    state.failing.store(false, Relaxed);
                }
                Err(error) => {
                    // Who waits is told that by the end of the channel.
                    self.waiting.clear();
                    state.failing.store(true, Relaxed);
                    if !std::mem::replace(&mut self.failing, true) {
                        let calls = match self.on_error {
                            OnError::Continue => "go on",
                            OnError::Refuse => "are refused until it can be",
                        };
                        tracing::error!(%error, calls, "the journal cannot be written; lines wait, and beyond their room they are counted as missing");
                    }
                }
            }
        }
    }

    /// Takes what has come; if nothing has, waits for it until it is time to flush. False when the last pen is gone.
    fn take(&mut self, messages: &Receiver<Message>) -> bool {
        if std::mem::take(&mut self.is_busy) {
            std::thread::sleep(GATHER);
        }
        if !self.drain(messages) {
            let patience = self.dirty_since.map_or(Duration::from_secs(3_600), |since| SYNC.saturating_sub(since.elapsed()));
            match messages.recv_timeout(patience) {
                Ok(message) => {
                    self.sort(message);
                    self.drain(messages);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.is_busy = self.waiting.is_empty() && !self.group.is_empty();
        true
    }

    /// Takes what waits. Says whether anything did.
    fn drain(&mut self, messages: &Receiver<Message>) -> bool {
        let mut any = false;
        while self.group.len() < GROUP_MAX
            && let Ok(message) = messages.try_recv()
        {
            self.sort(message);
            any = true;
        }
        any
    }

    /// Lets time go by before the next attempt, and takes what comes meanwhile. False when the last pen is gone.
    fn gather(&mut self, messages: &Receiver<Message>) -> bool {
        let until = Instant::now() + RETRY;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.group.len() >= GROUP_MAX {
                std::thread::sleep(left);
                return true;
            }
            match messages.recv_timeout(left) {
                Ok(message) => self.sort(message),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn sort(&mut self, message: Message) {
        match message {
            Message::Line(content) => self.group.push(content),
            Message::Flush(done) => self.waiting.push(done),
        }
    }

    /// Brings the group to the file, and to the disk where that is due.
    fn write(&mut self, open: bool) -> io::Result<()> {
        if self.failing {
            // A line of its own first: it says how many are missing, and tries the disk although nothing may be there to write.
            self.append(&[Content::Event(Box::new(Event::new(Kind::JournalRecovered)))])?;
        }
        while !self.group.is_empty() {
            let rest = self.group.split_off(self.group.len().min(PIECE_LINES));
            let mut piece = std::mem::replace(&mut self.group, rest);
            if let Err(error) = self.append(&piece) {
                piece.append(&mut self.group);
                self.group = piece;
                return Err(error);
            }
        }
        let due = self.dirty_lines >= SYNC_LINES || self.dirty_since.is_some_and(|since| since.elapsed() >= SYNC);
        if due || self.failing || !open || !self.waiting.is_empty() { self.sync() } else { Ok(()) }
    }

    fn append(&mut self, group: &[Content]) -> io::Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        if self.torn {
            self.file.set_len(self.file_bytes)?;
            self.torn = false;
        }
        if self.file_bytes >= self.segment_bytes_max {
            self.next_segment()?;
        }
        let mut bytes = Vec::with_capacity(group.len() * 512);
        let (mut seq, mut head, mut missed) = (self.next_seq, self.head, self.lost);
        for record in group {
            let start = bytes.len();
            serde_json::to_writer(&mut bytes, &Line { seq, prev: head, missed, record }).map_err(io::Error::other)?;
            head = Hash::of(bytes.get(start..).unwrap_or_default());
            bytes.push(b'\n');
            seq += 1;
            missed = 0;
        }
        if let Err(error) = self.file.write_all(&bytes) {
            // Half a group may be there: back to the last whole line, so that the chain stays one.
            self.torn = self.file.set_len(self.file_bytes).is_err();
            return Err(error);
        }
        self.file_bytes += bytes.len() as u64;
        (self.next_seq, self.head, self.lost) = (seq, head, 0);
        self.dirty_since.get_or_insert_with(Instant::now);
        self.dirty_lines += group.len();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.dirty_since.is_some() {
            self.file.sync_data()?;
            (self.dirty_since, self.dirty_lines) = (None, 0);
        }
        Ok(())
    }

    fn next_segment(&mut self) -> io::Result<()> {
        self.sync()?;
        self.file = append_to(&self.directory.join(file_name(self.next_seq)))?;
        self.file_bytes = 0;
        if let Err(error) = self.forget_old() {
            tracing::warn!(%error, "old files of the journal cannot be removed");
        }
        Ok(())
    }

    /// Removes the oldest segments beyond the size and the age that are kept.
    fn forget_old(&self) -> io::Result<()> {
        let all = segments(&self.directory)?;
        let mut total: u64 = all.iter().map(|segment| segment.bytes).sum();
        let (_, old) = all.split_last().unzip();
        for segment in old.unwrap_or_default() {
            let age = SystemTime::now().duration_since(segment.modified).unwrap_or_default();
            if total <= self.total_bytes_max && age <= self.age_max {
                break;
            }
            fs::remove_file(&segment.path)?;
            total = total.saturating_sub(segment.bytes);
        }
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// What a crash left of a line.
fn drop_torn_line(path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        tracing::warn!(path = %path.display(), bytes = bytes.len() - whole, "the last line of the journal was torn by a crash; it is removed");
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}
