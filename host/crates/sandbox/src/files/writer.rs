//! What guests do in a directory that they may write. Each is done whole, on a thread that may wait: a call that ends in the middle does not
//! end it in the middle, so that what was done is what was counted.

use super::writable::{Counted, Exceeded, Key, Writable};
use super::{FileRefusal, FileRefusals};
use std::fs::File;
use std::future::Future;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::filesystem::{self as library, Descriptor, Dir, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn, spawn_blocking};

/// A directory to write, and who hears of what is refused there.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) writable: Arc<Writable>,
    pub(super) refusals: Option<Arc<dyn FileRefusals>>,
}

/// A file of one, open.
#[derive(Debug)]
pub(super) struct Open {
    writer: Writer,
    file: Arc<File>,
    key: Key,
}

/// Where something is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    At(u64),
    End,
}

/// Why nothing was written, or not all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Failed> for FsError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Exceeded(_) => ErrorCode::Quota.into(),
            Failed::Io(error) => error.into(),
        }
    }
}

/// What something has that is about to lose its name.
struct Leaving {
    key: Key,
    stat: DescriptorStat,
}

impl Writer {
    /// Does something when it is its turn. It is not begun where the handle is dropped before; else it is done whole.
    ///
    /// A task, so that whoever has the turn goes on, whether or not its guest asks how far it is.
    pub(super) fn begin<T: Send + 'static>(self, work: impl FnOnce(&Self) -> T + Send + 'static) -> AbortOnDropJoinHandle<T> {
        spawn(async move {
            let turn = self.writable.turn().await;
            let working = spawn_blocking(move || {
                let _turn = turn;
                work(&self)
            });
            working.await
        })
    }

    pub(super) fn open_at(
        &self,
        directory: &Dir,
        (path_flags, path): (PathFlags, String),
        (open, flags): (OpenFlags, DescriptorFlags),
    ) -> FsResult<(Descriptor, Option<Open>)> {
        let mut counted = self.writable.lock();
        let mut at = At::of([directory])?;
        let before = at.stat(0, path_flags, &path)?;
        match &before {
            // Opening one may wait for somebody, or do something.
            Some(stat) if !is_plain(stat.type_) => return Err(ErrorCode::NotPermitted.into()),
            None if open.contains(OpenFlags::CREATE) => self.noted(counted.room_for_file())?,
            _ => {}
        }
        let opened = at.now(async |view, [fd]| view.open_at(fd, path_flags, path, open, flags).await)?;
        if before.is_none() {
            counted.made();
        }
        let descriptor = at.table.delete(opened)?;
        let Descriptor::File(file) = &descriptor else { return Ok((descriptor, None)) };
        let key = at.key(file)?;
        let found = file.file.metadata()?;
        if let Some(before) = before.filter(|_| open.contains(OpenFlags::TRUNCATE)) {
            self.writable.resized(&mut counted, key, before.size, found.len());
        }
        if !found.is_file() {
            return Err(ErrorCode::NotPermitted.into());
        }
        self.writable.opened(key);
        let open = Open { writer: self.clone(), file: Arc::clone(&file.file), key };
        Ok((descriptor, Some(open)))
    }

    pub(super) fn create_directory(&self, directory: &Dir, path: String) -> FsResult<()> {
        let mut counted = self.writable.lock();
        let mut at = At::of([directory])?;
        // That it is there already is another answer.
        if at.stat(0, PathFlags::empty(), &path)?.is_none() {
            self.noted(counted.room_for_file())?;
        }
        at.now(async |view, [fd]| view.create_directory_at(fd, path).await)?;
        counted.made();
        Ok(())
    }

    pub(super) fn remove_directory(&self, directory: &Dir, path: String) -> FsResult<()> {
        let mut counted = self.writable.lock();
        At::of([directory])?.now(async |view, [fd]| view.remove_directory_at(fd, path).await)?;
        counted.gone();
        Ok(())
    }

    pub(super) fn remove_file(&self, directory: &Dir, path: String) -> FsResult<()> {
        let mut counted = self.writable.lock();
        let mut at = At::of([directory])?;
        let leaving = at.leaving(0, &path)?.ok_or(ErrorCode::NoEntry)?;
        at.now(async |view, [fd]| view.unlink_file_at(fd, path).await)?;
        leaving.count(&self.writable, &mut counted);
        Ok(())
    }

    pub(super) fn rename(&self, (from, old): (&Dir, String), (to, new): (&Dir, String)) -> FsResult<()> {
        let mut counted = self.writable.lock();
        let mut at = At::of([from, to])?;
        let moved = at.leaving(0, &old)?.ok_or(ErrorCode::NoEntry)?;
        let replaced = at.leaving(1, &new)?;
        at.now(async |view, [from, to]| view.rename_at(from, old, to, new).await)?;
        // Two names of one file: nothing happens then.
        if let Some(replaced) = replaced.filter(|replaced| replaced.key != moved.key) {
            replaced.count(&self.writable, &mut counted);
        }
        Ok(())
    }

    pub(super) fn link(&self, (from, old): (&Dir, String), flags: PathFlags, (to, new): (&Dir, String)) -> FsResult<()> {
        let mut counted = self.writable.lock();
        let mut at = At::of([from, to])?;
        if at.stat(1, PathFlags::empty(), &new)?.is_none() {
            self.noted(counted.room_for_file())?;
        }
        let linked = at.stat(0, PathFlags::empty(), &old)?.ok_or(ErrorCode::NoEntry)?;
        if linked.type_ != DescriptorType::RegularFile {
            return Err(ErrorCode::NotPermitted.into());
        }
        at.now(async |view, [from, to]| view.link_at(from, flags, old, to, new).await)?;
        counted.made();
        Ok(())
    }

    /// Tells of what is beyond the quota.
    fn noted<T>(&self, room: Result<T, Exceeded>) -> Result<T, Failed> {
        if let (Err(exceeded), Some(refusals)) = (&room, &self.refusals) {
            let word = match exceeded {
                Exceeded::Bytes => "bytes",
                Exceeded::Files => "files",
                Exceeded::Common => "tenant_bytes",
            };
            refusals.refused(FileRefusal { grant: self.writable.grant(), path: self.writable.path(), word });
        }
        Ok(room?)
    }
}

impl Open {
    pub(super) fn writer(&self) -> Writer {
        self.writer.clone()
    }

    pub(super) fn write(&self, bytes: &[u8], place: Place) -> Result<u64, Failed> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut counted = self.writer.writable.lock();
        let before = self.file.metadata()?.len();
        let from = match place {
            Place::At(offset) => offset,
            Place::End => before,
        };
        let end = from.saturating_add(bytes.len() as u64);
        self.writer.noted(counted.room_for_bytes(end.saturating_sub(before)))?;
        let written = match place {
            Place::At(offset) => self.file.write_all_at(bytes, offset),
            Place::End => append_all(&self.file, bytes),
        };
        // All that was written counts, whether or not it was all.
        let after = self.file.metadata().map_or(end.max(before), |found| found.len());
        self.writer.writable.resized(&mut counted, self.key, before, after);
        written?;
        Ok(bytes.len() as u64)
    }

    pub(super) fn set_size(&self, size: u64) -> Result<(), Failed> {
        let mut counted = self.writer.writable.lock();
        let before = self.file.metadata()?.len();
        self.writer.noted(counted.room_for_bytes(size.saturating_sub(before)))?;
        self.file.set_len(size)?;
        self.writer.writable.resized(&mut counted, self.key, before, size);
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.writer.writable.closed(self.key);
    }
}

/// At its end, wherever that is by then: other programs may write there.
fn append_all(file: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwritev2(file, &[IoSlice::new(bytes)], 0, rustix::io::ReadWriteFlags::APPEND) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A file or a directory, or a link, of which what it leads to is looked at where it is followed.
fn is_plain(kind: DescriptorType) -> bool {
    matches!(kind, DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink)
}

impl Leaving {
    fn count(self, writable: &Writable, counted: &mut Counted) {
        match self.stat.type_ {
            DescriptorType::RegularFile if self.stat.link_count < 2 => writable.removed(counted, self.key, self.stat.size),
            _ => counted.gone(),
        }
    }
}

/// The library's own functions, on directories that are opened once more so that they may wait where they are called.
struct At<const N: usize> {
    table: ResourceTable,
    ctx: WasiFilesystemCtx,
    directories: [Resource<Descriptor>; N],
}

impl<const N: usize> At<N> {
    fn of(directories: [&Dir; N]) -> FsResult<Self> {
        let mut table = ResourceTable::new();
        let mut fds = Vec::with_capacity(N);
        for directory in directories {
            let again = Dir::new(directory.dir.try_clone()?, directory.perms, directory.open_mode, true);
            fds.push(table.push(Descriptor::Dir(again))?);
        }
        let directories = fds.try_into().map_err(|_| ErrorCode::BadDescriptor)?;
        Ok(Self { table, ctx: WasiFilesystemCtx::default(), directories })
    }

    /// What it does is done when this returns.
    fn now<T>(&mut self, act: impl AsyncFnOnce(&mut WasiFilesystemCtxView<'_>, [Resource<Descriptor>; N]) -> FsResult<T>) -> FsResult<T> {
        let directories = self.directories.each_ref().map(|fd| Resource::new_borrow(fd.rep()));
        let mut view = WasiFilesystemCtxView { ctx: &mut self.ctx, table: &mut self.table };
        let acting = pin!(act(&mut view, directories));
        match acting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            // It may wait where it is called, so that it never does this.
            Poll::Pending => Err(ErrorCode::WouldBlock.into()),
        }
    }

    /// What has that name in one of them; none if nothing has.
    fn stat(&mut self, which: usize, flags: PathFlags, path: &str) -> FsResult<Option<DescriptorStat>> {
        found(self.now(async |view, fds| {
            let fd = fds.into_iter().nth(which).ok_or(ErrorCode::BadDescriptor)?;
            view.stat_at(fd, flags, path.to_owned()).await
        }))
    }

    /// The same of the very thing that has the name, be it a link.
    fn leaving(&mut self, which: usize, path: &str) -> FsResult<Option<Leaving>> {
        let Some(stat) = self.stat(which, PathFlags::empty(), path)? else { return Ok(None) };
        let hash = found(self.now(async |view, fds| {
            let fd = fds.into_iter().nth(which).ok_or(ErrorCode::BadDescriptor)?;
            view.metadata_hash_at(fd, PathFlags::empty(), path.to_owned()).await
        }))?;
        Ok(hash.map(|hash| Leaving { key: (hash.lower, hash.upper), stat }))
    }

    fn key(&mut self, file: &library::File) -> FsResult<Key> {
        let again = library::File::new(file.file.try_clone()?, file.perms, file.open_mode, true);
        let fd = self.table.push(Descriptor::File(again))?;
        let borrowed = Resource::new_borrow(fd.rep());
        let hash = self.now(async |view, _| view.metadata_hash(borrowed).await);
        self.table.delete(fd)?;
        hash.map(|hash| (hash.lower, hash.upper))
    }
}

/// That nothing has a name is an answer as well.
fn found<T>(answer: FsResult<T>) -> FsResult<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NoEntry)) => Ok(None),
        Err(error) => Err(error),
    }
}
