//! The journal's own thread: takes what waits, writes it in one piece, and flushes it to the disk once a second.

use super::chain::{Hash, Position};
use super::read::{self, file_name, segments};
use super::record::{Content, Line};
use crate::config::JournalConfig;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

/// What a power cut may take; a killed process loses only what was still waiting.
const SYNC: Duration = Duration::from_secs(1);
/// Records that are written in one piece.
const GROUP_MAX: usize = 1_024;
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
    refused: bool,
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
            refused: false,
        })
    }

    /// Until the last pen is gone and everything that waited is written.
    pub(super) fn run(&mut self, records: &Receiver<Content>, missed: &AtomicU64) {
        let mut group: Vec<Content> = Vec::new();
        loop {
            let patience = self.dirty_since.map_or(Duration::from_secs(3_600), |since| SYNC.saturating_sub(since.elapsed()));
            match records.recv_timeout(patience) {
                Ok(record) => group.push(record),
                Err(RecvTimeoutError::Timeout) => {
                    self.sync();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            group.extend(records.try_iter().take(GROUP_MAX - 1));
            let lost = missed.swap(0, Relaxed);
            if let Err(error) = self.append(&group, lost) {
                // What could not be written is missing, and the next line that can be says so.
                missed.fetch_add(lost.saturating_add(group.len() as u64), Relaxed);
                if !std::mem::replace(&mut self.refused, true) {
                    tracing::error!(%error, "the call journal cannot be written; calls go on, and their records are counted as missing");
                }
                std::thread::sleep(RETRY);
            } else if std::mem::take(&mut self.refused) {
                tracing::info!("the call journal is written again");
            }
            group.clear();
            if self.dirty_since.is_some_and(|since| since.elapsed() >= SYNC) {
                self.sync();
            }
        }
        self.sync();
    }

    fn append(&mut self, group: &[Content], mut missed: u64) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(group.len() * 512);
        let (mut seq, mut head) = (self.next_seq, self.head);
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
            self.file.set_len(self.file_bytes)?;
            return Err(error);
        }
        self.file_bytes += bytes.len() as u64;
        (self.next_seq, self.head) = (seq, head);
        self.dirty_since.get_or_insert_with(Instant::now);
        if self.file_bytes >= self.segment_bytes_max {
            self.next_segment()?;
        }
        Ok(())
    }

    fn sync(&mut self) {
        if self.dirty_since.take().is_some()
            && let Err(error) = self.file.sync_data()
        {
            tracing::error!(%error, "the call journal could not be flushed to the disk");
        }
    }

    fn next_segment(&mut self) -> io::Result<()> {
        self.sync();
        self.file = append_to(&self.directory.join(file_name(self.next_seq)))?;
        self.file_bytes = 0;
        self.forget_old()
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
        tracing::warn!(path = %path.display(), bytes = bytes.len() - whole, "the last line of the call journal was torn by a crash; it is removed");
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}
