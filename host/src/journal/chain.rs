//! The chain of hashes, and its proof.

use super::read::{Segment, segments};
use data_encoding::HEXLOWER;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// SHA-256, in hexadecimal digits where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Of these bytes: of a line without its line end, of arguments, of a result.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// One that was worked out elsewhere.
    pub fn known(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(HEXLOWER.encode_mut_str(&self.0, &mut [0; 64]))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HEXLOWER.encode_mut_str(&self.0, &mut [0; 64]))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        let digits = text.as_bytes();
        let right = digits.len() == 64
            && bytes.iter_mut().zip(digits.chunks_exact(2)).all(|(byte, pair)| {
                let parsed = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
                parsed.map(|value| *byte = value).is_some()
            });
        if right { Ok(Self(bytes)) } else { Err(D::Error::custom("not 64 hexadecimal digits")) }
    }
}

/// A journal whose chain holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The first line that is still kept; older ones went with their time.
    pub first_seq: u64,
    /// The last one.
    pub last_seq: u64,
    /// Records that the lines say were lost because the disk was too slow.
    pub missed: u64,
    /// The hash of the last line: whoever wrote it down elsewhere can tell whether the end was cut off.
    pub head: Hash,
}

/// A journal whose chain does not hold.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no record.
    #[error("{path}, line {line}: it is no record: {what}")]
    Malformed {
        /// Where.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// A line does not follow the one before it.
    #[error("{path}, line {line}: record {seq} does not follow the one before it: something was changed, taken out or put in")]
    Broken {
        /// Where.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// Its number.
        seq: u64,
    },
}

/// Walks the whole journal. `progress` hears of each segment before it is read.
///
/// # Errors
///
/// The first line that breaks the chain, or cannot be read. A torn last line of the last segment is not an error: it is what a crash leaves,
/// and the next start removes it.
pub fn verify(directory: &Path, mut progress: impl FnMut(&Segment)) -> Result<Option<Verified>, VerifyError> {
    let io_error = |path: &Path| {
        let path = path.to_owned();
        move |source| VerifyError::Io { path, source }
    };
    let all = segments(directory).map_err(io_error(directory))?;
    let mut verified: Option<Verified> = None;
    for segment in &all {
        progress(segment);
        let path = &segment.path;
        let mut reader = BufReader::new(File::open(path).map_err(io_error(path))?);
        let mut bytes = Vec::new();
        let mut number = 0;
        loop {
            bytes.clear();
            if reader.read_until(b'\n', &mut bytes).map_err(io_error(path))? == 0 || bytes.pop() != Some(b'\n') {
                break;
            }
            number += 1;
            let malformed = |error: serde_json::Error| VerifyError::Malformed { path: path.clone(), line: number, what: error.to_string() };
            let line: Position = serde_json::from_slice(&bytes).map_err(malformed)?;
            let follows = verified.as_ref().is_none_or(|before| line.seq == before.last_seq + 1 && line.prev == before.head);
            if !follows {
                return Err(VerifyError::Broken { path: path.clone(), line: number, seq: line.seq });
            }
            let head = Hash::of(&bytes);
            verified = Some(match verified {
                None => Verified { first_seq: line.seq, last_seq: line.seq, missed: line.missed, head },
                Some(before) => Verified { last_seq: line.seq, missed: before.missed + line.missed, head, ..before },
            });
        }
    }
    Ok(verified)
}

/// What of a line the chain needs.
#[derive(Deserialize)]
pub(super) struct Position {
    pub(super) seq: u64,
    pub(super) prev: Hash,
    #[serde(default)]
    missed: u64,
}
