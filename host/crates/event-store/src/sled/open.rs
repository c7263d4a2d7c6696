//! Opening the database: who may, whether it is one of ours, and what happens to one that is damaged.
//!
//! A store's directory holds `FORMAT` (what wrote it), `LOCK` (who has it open), `sled` (the database, with our redo log beside sled's files), and
//! what was set aside.

use super::plan::{self, Fault, Memo};
use super::queue::Queue;
use super::redo::Redo;
use super::table::Table;
use super::{Committer, READERS_MAX, Shared, SledStore, layout};
use crate::clock::Clock;
use crate::{EventStore, Health, OpenError, Partition, Settings, Start};
use parking_lot::{Mutex, RwLock};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// 2 has a redo log, 3 has streams whose events lie in their heads: whoever does not know of that would leave out what is there.
const FORMAT: u32 = 3;
/// Recovery reads the whole log; a database that needs longer than this is not going to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(300);
/// Changes of one batch.
const RECOVERED_AT_ONCE: usize = 1_000;
/// A closed database lets go of its files when the last of its threads has ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// For a lock that is about to be let go.
const LOCK_WAIT: Duration = Duration::from_millis(300);
/// Set-aside databases that are kept for whoever wants to look into them.
const ASIDE_MAX: usize = 3;

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) table: Table,
    pub(super) redo: Redo,
    /// A handle of our own to sled's log, to sync it.
    pub(super) log: File,
    /// Partitions that were removed while their streams are still being taken away.
    pub(super) doomed: HashSet<Partition>,
    /// Tells it from the one that took its place.
    pub(super) generation: u64,
    pub(super) clock_saved: Instant,
    /// Changes that began their way to sled when the redo log's turn began.
    pub(super) left: usize,
}

/// The right to open the directory. Ends with the process at the latest, however that ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the lock is on the open file")] File);

/// What opening gives.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) memo: Memo,
    /// Where a damaged one went, in whose place this one is.
    pub(super) quarantined: Option<PathBuf>,
}

/// See [`sled`](crate::sled()).
pub(crate) fn open(directory: &Path, settings: Settings, start: Start) -> Result<Arc<dyn EventStore>, OpenError> {
    let (clock, incarnation, mut lock) = (Clock::default(), AtomicU32::new(0), None);
    let (mut health, mut database, mut memo) = (Health::default(), None, Memo::default());
    if start == Start::Look && (read_format(directory)?.is_none() || !directory.join("sled").is_dir()) {
        return Err(OpenError::Missing { path: directory.to_owned() });
    }
    match Opened::open(directory, &settings, start, &mut lock, &clock, &incarnation) {
        Ok(opened) => {
            health.generation = u64::from(opened.quarantined.is_some());
            health.quarantined = opened.quarantined;
            memo = opened.memo;
            database = Some(Database { generation: health.generation, ..opened.database });
        }
        Err(OpenError::Unusable { reason, .. }) if start == Start::Degraded => health.degraded = Some(reason),
        Err(error) => return Err(error),
    }
    let shared = Arc::new(Shared {
        directory: directory.to_owned(),
        settings,
        clock,
        incarnation,
        health: Mutex::new(health),
        database: RwLock::new(database),
        queue: Queue::default(),
        looks: start == Start::Look,
        readers: Arc::new(Semaphore::new(READERS_MAX)),
    });
    let committer = Committer { shared: Arc::clone(&shared), memo, lock, tried: Instant::now() };
    let thread = std::thread::Builder::new().name("store-commit".to_owned()).spawn(move || committer.run());
    let committer = thread.map_err(|error| unusable(directory, &error))?;
    Ok(Arc::new(SledStore { shared, committer: Some(committer) }))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> OpenError {
    OpenError::Unusable { path: path.to_owned(), reason: error.to_string() }
}

impl Opened {
    /// Opens what is there, or begins a new one. Keeps the lock for the next time.
    pub(super) fn open(
        directory: &Path,
        settings: &Settings,
        start: Start,
        lock: &mut Option<Lock>,
        clock: &Clock,
        incarnation: &AtomicU32,
    ) -> Result<Self, OpenError> {
        let fail = |error: io::Error| unusable(directory, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(fail)?;
        let format = read_format(directory)?;
        if lock.is_none() {
            *lock = Some(Lock::take(directory)?);
        }
        let mut quarantined = None;
        if format.is_none() && directory.join("sled").exists() {
            quarantined = Some(set_aside(directory, "nothing says which version wrote it").map_err(fail)?);
        }
        if format.is_none_or(|format| format < FORMAT) {
            write_format(directory).map_err(fail)?;
        }
        let attempt = || match open_database(&directory.join("sled"), settings) {
            Ok(database) => begin(directory, database, clock, incarnation),
            Err(fault) => Err(fault),
        };
        let first = match attempt() {
            Err(Fault::Damaged(reason)) if start == Start::Look => {
                return Err(OpenError::Damaged { path: directory.to_owned(), reason });
            }
            Err(Fault::Damaged(reason)) => {
                quarantined = Some(set_aside(directory, &reason).map_err(fail)?);
                attempt()
            }
            other => other,
        };
        match first {
            Ok((database, memo)) => Ok(Self { database, memo, quarantined }),
            Err(Fault::Refused(error)) => Err(unusable(directory, &error)),
            Err(Fault::Disk(reason) | Fault::Damaged(reason)) => Err(unusable(directory, &reason)),
        }
    }
}

impl Lock {
    pub(super) fn take(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join("LOCK");
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| unusable(&path, &error))?;
        let begun = Instant::now();
        loop {
            match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                // A process that is just being started by the one that closed it may hold it for a moment more.
                Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < LOCK_WAIT => std::thread::sleep(Duration::from_millis(5)),
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Locked { path: directory.to_owned() }),
                Err(error) => return Err(unusable(&path, &error)),
            }
        }
    }
}

/// The number in `FORMAT`; none if there is no such file, or it is not one of ours.
pub(super) fn read_format(directory: &Path) -> Result<Option<u32>, OpenError> {
    let path = directory.join("FORMAT");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(&path, &error)),
    };
    let number = text.strip_prefix(b"gatehouse store ").and_then(|rest| std::str::from_utf8(rest).ok()?.trim().parse().ok());
    match number {
        Some(found) if found > FORMAT => Err(OpenError::Newer { path: directory.to_owned(), found, known: FORMAT }),
        other => Ok(other),
    }
}

fn write_format(directory: &Path) -> io::Result<()> {
    let new = directory.join("FORMAT.new");
    let mut file = File::create(&new)?;
    file.write_all(format!("gatehouse store {FORMAT}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(new, directory.join("FORMAT"))?;
    File::open(directory)?.sync_all()
}

/// sled on a thread of its own: it asserts what it believes of its files, and may never come back.
pub(super) fn open_database(path: &Path, settings: &Settings) -> Result<sled::Db, Fault> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(settings.cache_bytes)
        // Four times what a page of the tree can grow to with values of our size: nothing becomes a blob file.
        .segment_size(2 << 20)
        // Also collects what was overwritten.
        .flush_every_ms(Some(500));
    let (opened, wait) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("store-open".to_owned()).spawn(move || {
        let begun = Instant::now();
        let result = loop {
            match config.open() {
                // The directory is ours alone, so this is a database that we closed, whose threads have not all ended.
                Err(error) if is_locked(&error) && begun.elapsed() < CLOSE_TIMEOUT => std::thread::sleep(Duration::from_millis(5)),
                other => break other,
            }
        };
        // Nobody waits any more after the time-out.
        drop(opened.send(result));
    });
    thread.map_err(|error| Fault::Disk(error.to_string()))?;
    match wait.recv_timeout(OPEN_TIMEOUT) {
        Ok(Err(error)) if is_locked(&error) => Err(Fault::Disk(error.to_string())),
        Ok(result) => Ok(result?),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(Fault::Damaged(format!("it did not open within {} s", OPEN_TIMEOUT.as_secs()))),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Fault::Damaged("the database gave up on its own files".to_owned())),
    }
}

/// sled has no kind for it.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.to_string().contains("could not acquire lock"))
}

/// Gives sled what a process that ended too soon has left in the redo log. Not synced yet.
pub(super) fn recover(directory: &Path, db: &sled::Db) -> Result<(), Fault> {
    let changes = Redo::read(directory)?;
    if !changes.is_empty() {
        tracing::info!(changes = changes.len(), "the store was not closed; what was written last is taken from its log");
    }
    for changes in changes.chunks(RECOVERED_AT_ONCE) {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        db.apply_batch(batch)?;
    }
    Ok(())
}

/// Reads what the writer has to know, and writes down that a new life has begun.
fn begin(directory: &Path, db: sled::Db, clock: &Clock, incarnation: &AtomicU32) -> Result<(Database, Memo), Fault> {
    let begun = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| -> Result<_, Fault> {
        let directories = [directory.join("sled"), directory.to_owned()];
        let [sleds, _] = &directories;
        recover(sleds, &db)?;
        if let Some(saved) = db.get(layout::CLOCK)? {
            clock.resume(layout::unseal(layout::CLOCK, &saved)?);
        }
        let saved = match db.get(layout::INCARNATION)? {
            Some(saved) => u32::from_be_bytes(layout::Reader(layout::unseal(layout::INCARNATION, &saved)?).take()?),
            None => 0,
        };
        // Opened again by the same process, it goes on with the same number.
        let now = match incarnation.load(Ordering::Relaxed) {
            0 => saved.saturating_add(1),
            now => now.max(saved),
        };
        incarnation.store(now, Ordering::Relaxed);
        let value = layout::seal(layout::INCARNATION, &now.to_be_bytes());
        db.insert(layout::INCARNATION, value)?;
        db.insert(layout::CLOCK, layout::seal(layout::CLOCK, &clock.write()))?;
        let disk = |error: io::Error| Fault::Disk(error.to_string());
        let log = File::open(sleds.join("db")).map_err(disk)?;
        // Also of what was recovered: only then its log may begin anew.
        db.flush()?;
        log.sync_all().map_err(disk)?;
        let redo = Redo::begin(sleds)?;
        for directory in directories {
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(disk)?;
        }
        let table = Table::new(db);
        let (memo, doomed) = (Memo::load(&table)?, plan::doomed(&table)?);
        let database = Database { table, redo, log, doomed, generation: 0, clock_saved: Instant::now(), left: 0 };
        Ok((database, memo))
    }));
    begun.unwrap_or_else(|_| Err(Fault::Damaged("the database gave up on its own files".to_owned())))
}

/// Moves a damaged database out of the way; where to.
pub(super) fn set_aside(directory: &Path, reason: &str) -> io::Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let free = (0_u32..1_000).map(|number| directory.join(format!("sled.corrupt-{seconds}-{number}"))).find(|path| !path.exists());
    let aside = free.ok_or_else(|| io::Error::other("too many damaged stores lie there"))?;
    fs::rename(directory.join("sled"), &aside)?;
    File::open(directory)?.sync_all()?;
    tracing::error!(reason, aside = %aside.display(), "the store is damaged; it was set aside, and an empty one takes its place");
    let mut all: Vec<_> =
        fs::read_dir(directory)?.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"sled.corrupt-")).collect();
    all.sort_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok());
    for old in all.iter().rev().skip(ASIDE_MAX) {
        tracing::warn!(path = %old.path().display(), "an older damaged store is deleted");
        fs::remove_dir_all(old.path())?;
    }
    Ok(aside)
}
