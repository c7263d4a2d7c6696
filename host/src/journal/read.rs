//! The files of the journal: `calls-<number of the first record>.jsonl`, one JSON object a line.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const PREFIX: &str = "calls-";
const SUFFIX: &str = ".jsonl";
/// Read at once from the end of a file.
const BLOCK_BYTES: u64 = 64 << 10;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it lies.
    pub path: PathBuf,
    /// The number of its first record.
    pub first_seq: u64,
    /// Its size.
    pub bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

/// The name of the segment that begins with a record.
pub(super) fn file_name(first_seq: u64) -> String {
    // Sorted as text, the names are in order.
    format!("{PREFIX}{first_seq:020}{SUFFIX}")
}

/// All segments, oldest first.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn segments(directory: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        let Some(first_seq) = number else { continue };
        let metadata = entry.metadata()?;
        found.push(Segment { path: entry.path(), first_seq, bytes: metadata.len(), modified: metadata.modified()? });
    }
    found.sort_by_key(|segment| segment.first_seq);
    Ok(found)
}

/// The last whole lines of the journal, at most `count`, oldest first. Reads no more of the files than it needs.
///
/// # Errors
///
/// When a file cannot be read.
pub fn lines_from_end(directory: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for segment in segments(directory)?.iter().rev() {
        if lines.len() >= count {
            break;
        }
        let missing = count - lines.len();
        let mut tail = last_lines(&segment.path, missing)?;
        tail.append(&mut lines);
        lines = tail;
    }
    Ok(lines)
}

/// The last whole lines of one file.
fn last_lines(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut file = fs::File::open(path)?;
    let mut at = file.metadata()?.len();
    let mut bytes = Vec::new();
    // One line end more than lines are wanted: the one before the first of them.
    while at > 0 && bytes.iter().filter(|byte| **byte == b'\n').count() <= count {
        let block = at.min(BLOCK_BYTES);
        at -= block;
        file.seek(SeekFrom::Start(at))?;
        let mut earlier = Vec::new();
        Read::by_ref(&mut file).take(block).read_to_end(&mut earlier)?;
        earlier.append(&mut bytes);
        bytes = earlier;
    }
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    bytes.truncate(whole);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    // Where reading stopped inside of the file, the first line may be half.
    let first = lines.len().saturating_sub(count);
    Ok(lines.get(first..).unwrap_or_default().iter().map(|line| (*line).to_owned()).collect())
}
