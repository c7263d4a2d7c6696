//! What was acknowledged and does not lie in sled yet, on the disk: a redo log of what each group of writes put and took away.
//!
//! sled asks for two writes and wakes all its threads for each group, and writes pages beside them; a record of this log is one write and one
//! `fdatasync` of a file that has its blocks already. So a group is durable as soon as it lies here, and goes to sled later, many groups
//! together.
//!
//! There are two files, written in turns: while what lies in one goes to sled, groups are added to the other. What is read back after a crash
//! is first the older, then the newer, each from its beginning. Records hold keys with their whole values, so it does no harm if some of it
//! had reached sled before; what must not happen is that an older value comes back and the newer one does not, so a file is taken out of
//! use (its first record overwritten, and synced) only when sled has all of it, the older file first, and before anything is written over it.
//!
//! A record begins at a multiple of a sector and never shares one with another: what was acknowledged is not written again. It carries a number
//! that nobody can guess, new whenever the log begins anew, the epoch of its turn and its place in it. So neither what an earlier turn left behind it
//! is taken for its successor, nor what a tenant wrote into its values to look like one.

use super::plan::Fault;
use crate::Durability;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
const HEADER_BYTES: usize = 40;
/// By so much a file grows: written with zeros, so that later records change no block's place and `fdatasync` has only them to write.
const STEP_BYTES: u64 = 256 << 10;
/// A file that one large group made longer than this is cut when its next turn begins.
const KEPT_BYTES: u64 = 4 << 20;
/// More than the largest group can make of a file: what is longer was not written by this.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Capacity that is kept for the next record.
const BUFFER_BYTES_MAX: usize = 1 << 20;
const REMOVED: u32 = u32::MAX;

/// A group's changes, as they are gathered.
#[derive(Debug)]
pub(super) struct Record(Vec<u8>);

impl Default for Record {
    fn default() -> Self {
        Self(vec![0; HEADER_BYTES])
    }
}

impl Record {
    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == HEADER_BYTES
    }

    /// Something stands under that key, or nothing does.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        // Keys and values are cut to far less.
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(REMOVED - 1);
        self.0.extend(length(key).to_le_bytes());
        self.0.extend(value.map_or(REMOVED, length).to_le_bytes());
        self.0.extend(key);
        self.0.extend(value.unwrap_or_default());
    }

    fn clear(&mut self) {
        if self.0.capacity() > BUFFER_BYTES_MAX {
            self.0 = Vec::with_capacity(HEADER_BYTES);
        }
        self.0.clear();
        self.0.resize(HEADER_BYTES, 0);
    }
}

/// A key, and what stands under it now.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

/// Takes a record's changes apart.
struct Changes<'r>(&'r [u8]);

impl Changes<'_> {
    fn take(&mut self, bytes: u32) -> Option<Vec<u8>> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(bytes).ok()?)?;
        self.0 = rest;
        Some(taken.to_vec())
    }

    fn length(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*first))
    }

    fn change(&mut self) -> Option<Change> {
        let (key, value) = (self.length()?, self.length()?);
        let key = self.take(key)?;
        Some((key, if value == REMOVED { None } else { Some(self.take(value)?) }))
    }
}

/// What stands in front of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Of this log since it began: random, and told to nobody.
    life: u64,
    epoch: u64,
    number: u64,
    payload_bytes: u64,
    payload_sum: u32,
}

impl Header {
    fn write(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let (sum, rest) = bytes.split_at_mut(4);
        let numbers = [self.life, self.epoch, self.number, self.payload_bytes].map(u64::to_le_bytes);
        rest.copy_from_slice(&[&self.payload_sum.to_le_bytes()[..], numbers.as_flattened()].concat());
        sum.copy_from_slice(&crc32fast::hash(rest).to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (sum, rest) = bytes.get(..HEADER_BYTES)?.split_first_chunk::<4>()?;
        let (payload_sum, numbers) = rest.split_first_chunk::<4>()?;
        if crc32fast::hash(rest) != u32::from_le_bytes(*sum) {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(*numbers.get(at..)?.first_chunk()?));
        let payload_sum = u32::from_le_bytes(*payload_sum);
        Some(Self { life: number(0)?, epoch: number(8)?, number: number(16)?, payload_bytes: number(24)?, payload_sum })
    }

    /// Up to where the next one begins.
    fn record_bytes(&self) -> Option<usize> {
        HEADER_BYTES.checked_add(usize::try_from(self.payload_bytes).ok()?)?.checked_next_multiple_of(SECTOR_BYTES)
    }
}

/// What a file holds.
#[derive(Debug, Default)]
struct Turn {
    epoch: u64,
    changes: Vec<Change>,
}

impl Turn {
    fn read(file: &[u8]) -> Result<Self, Fault> {
        let mut turn = Self::default();
        let Some(first) = Header::read(file).filter(|first| first.number == 0) else { return Ok(turn) };
        let of_turn = |header: &Header| (header.life, header.epoch) == (first.life, first.epoch);
        let all = file.chunks_exact(SECTOR_BYTES).filter_map(Header::read).filter(of_turn);
        let last = all.map(|header| header.number).max().unwrap_or_default();
        let mut rest = file;
        for number in 0.. {
            let header = Header::read(rest).filter(|header| of_turn(header) && header.number == number);
            let payload = header.and_then(|header| {
                let payload = rest.get(HEADER_BYTES..)?.get(..usize::try_from(header.payload_bytes).ok()?)?;
                rest = header.record_bytes().and_then(|bytes| rest.get(bytes..)).unwrap_or_default();
                (crc32fast::hash(payload) == header.payload_sum).then_some(payload)
            });
            let Some(payload) = payload else {
                // The last one may be half there: it was not acknowledged. One before it was, or there would be none after it.
                let torn = last <= number;
                return if torn { Ok(turn) } else { Err(Fault::Damaged("a record of the redo log is not as it was written".to_owned())) };
            };
            let mut changes = Changes(payload);
            while !changes.0.is_empty() {
                let change = changes.change();
                turn.changes.push(change.ok_or_else(|| Fault::Damaged("a record of the redo log makes no sense".to_owned()))?);
            }
            turn.epoch = first.epoch;
        }
        Ok(turn)
    }
}

/// One of the two files.
#[derive(Debug)]
struct Half {
    file: File,
    bytes: u64,
}

impl Half {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }

    /// Of its first record.
    fn epoch(&self) -> u64 {
        let mut first = [0; HEADER_BYTES];
        let read = self.file.read_exact_at(&mut first, 0);
        read.ok().and_then(|()| Header::read(&first)).map_or(0, |header| header.epoch)
    }

    /// Nothing in it is of use any more.
    fn retire(&self) -> io::Result<()> {
        if self.bytes > 0 {
            self.file.write_all_at(&[0; SECTOR_BYTES], 0)?;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Room up to there.
    fn reach(&mut self, end: u64) -> io::Result<()> {
        while self.bytes < end {
            let zeros = vec![0; usize::try_from(STEP_BYTES).unwrap_or_default()];
            self.file.write_all_at(&zeros, self.bytes)?;
            self.bytes += STEP_BYTES;
        }
        Ok(())
    }
}

/// The log, open for writing.
#[derive(Debug)]
pub(super) struct Redo {
    /// That which is written to, and that which goes to sled or waits for its turn.
    halves: [Half; 2],
    life: u64,
    epoch: u64,
    /// Of the next record.
    number: u64,
    at: u64,
}

fn paths(directory: &Path) -> [PathBuf; 2] {
    ["redo-0", "redo-1"].map(|name| directory.join(name))
}

fn disk(error: io::Error) -> Fault {
    Fault::Disk(error.to_string())
}

impl Redo {
    /// What lies in a database's directory and may not be in its tree, in the order in which it is to go there; the tree must be synced
    /// before [`Redo::begin`].
    pub(super) fn read(directory: &Path) -> Result<Vec<Change>, Fault> {
        let mut turns = Vec::new();
        for path in paths(directory) {
            let bytes = match fs::metadata(&path) {
                Ok(metadata) if metadata.len() > FILE_BYTES_MAX => return Err(Fault::Damaged("the redo log is far too long".to_owned())),
                Ok(_) => fs::read(&path).map_err(disk)?,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(disk(error)),
            };
            turns.push(Turn::read(&bytes)?);
        }
        turns.sort_by_key(|turn| turn.epoch);
        Ok(turns.into_iter().flat_map(|turn| turn.changes).collect())
    }

    /// Begins anew, when what was read is in the tree and synced.
    pub(super) fn begin(directory: &Path) -> Result<Self, Fault> {
        let [one, other] = paths(directory).map(|path| Half::open(&path));
        let mut halves = [one.map_err(disk)?, other.map_err(disk)?];
        // The older one first: see above.
        halves.sort_by_key(Half::epoch);
        halves.iter().try_for_each(Half::retire).map_err(disk)?;
        let life = RandomState::new().hash_one(());
        Ok(Self { halves, life, epoch: 1, number: 0, at: 0 })
    }

    /// Keeps a group.
    pub(super) fn keep(&mut self, record: &mut Record, durability: Durability) -> Result<(), Fault> {
        let payload = record.0.get(HEADER_BYTES..).unwrap_or_default();
        let header = Header {
            life: self.life,
            epoch: self.epoch,
            number: self.number,
            payload_bytes: payload.len() as u64,
            payload_sum: crc32fast::hash(payload),
        };
        let header = header.write();
        record.0.iter_mut().zip(header).for_each(|(byte, of_header)| *byte = of_header);
        record.0.resize(record.0.len().next_multiple_of(SECTOR_BYTES), 0);
        let [half, _] = &mut self.halves;
        let end = self.at + record.0.len() as u64;
        half.reach(end).and_then(|()| half.file.write_all_at(&record.0, self.at)).map_err(disk)?;
        if durability == Durability::Fsync {
            half.file.sync_data().map_err(disk)?;
        }
        (self.at, self.number) = (end, self.number + 1);
        record.clear();
        Ok(())
    }

    /// Bytes that were written in this turn.
    pub(super) fn turn_bytes(&self) -> u64 {
        self.at
    }

    /// Bytes on the disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.halves.iter().map(|half| half.bytes).sum()
    }

    /// Writes to the other file from now on: what it held is in the tree, and synced.
    pub(super) fn turn(&mut self) -> Result<(), Fault> {
        let [_, next] = &mut self.halves;
        next.retire().map_err(disk)?;
        if next.bytes > KEPT_BYTES {
            next.file.set_len(KEPT_BYTES).map_err(disk)?;
            next.bytes = KEPT_BYTES;
        }
        self.halves.reverse();
        (self.epoch, self.number, self.at) = (self.epoch + 1, 0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
