//! Files of guests: `wasi:filesystem` over the directories that a run is given. The library does all of it, and keeps each within its directory;
//! what is added here is that directories to write hold no more than they may.
//!
//! - [`Writable`]: a directory to write, with what is in it.
//! - `writer`: what changes it. `stream`: what is written piece by piece. `walk`: how it is counted.
//!
//! Links are followed where they lead to something of the same directory, and made by no guest. What is neither a file nor a directory is not
//! opened in one that is written.

mod common;
mod stream;
mod walk;
mod writable;
mod writer;

pub use common::CommonQuota;
pub use writable::{FileQuota, Writable};

use crate::GuestPath;
use crate::Wanted;
use crate::grants::Directories;
use crate::state::State;
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use stream::{Reading, Writing};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode, Filesize,
    HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};
use wasmtime_wasi::{FsPerms, OpenMode};
use writable::Exceeded;
use writer::{Open, Place, Writer};

/// Hears of what guests of one call may not do with files.
pub trait FileRefusals: Send + Sync + std::fmt::Debug {
    /// Something was refused. Called on threads that may wait, while the directory waits.
    fn refused(&self, refusal: FileRefusal<'_>);
}

/// What was refused.
#[derive(Debug, Clone, Copy)]
pub struct FileRefusal<'a> {
    /// Who grants the directory.
    pub grant: &'a str,
    /// Where the guest finds it.
    pub path: &'a GuestPath,
    /// What there is no more of: `bytes` or `files`.
    pub word: &'static str,
}

/// What a store has of it.
pub(crate) struct Files {
    directories: Directories,
    refusals: Option<Arc<dyn FileRefusals>>,
    ctx: WasiFilesystemCtx,
    /// What belongs to directories to write, by the places of the guest's descriptors in its table.
    held: BTreeMap<u32, Held>,
}

enum Held {
    Directory(Writer),
    File(Arc<Open>),
    /// Nothing is there; what is looked for there is learned.
    Nowhere,
}

impl Files {
    pub(crate) fn new(directories: &Directories, refusals: Option<Arc<dyn FileRefusals>>) -> Self {
        Self { directories: directories.clone(), refusals, ctx: WasiFilesystemCtx::default(), held: BTreeMap::new() }
    }

    /// Of another call from now on, or of none. What is open stays with who opened it.
    pub(crate) fn look_outward(&mut self, refusals: Option<Arc<dyn FileRefusals>>) {
        for held in self.held.values_mut() {
            if let Held::Directory(writer) = held {
                writer.refusals.clone_from(&refusals);
            }
        }
        self.refusals = refusals;
    }

    /// Nothing is open any more.
    pub(crate) fn close_all(&mut self) {
        self.held.clear();
    }

    fn file(&self, fd: &Resource<Descriptor>) -> Option<Arc<Open>> {
        match self.held.get(&fd.rep())? {
            Held::File(open) => Some(Arc::clone(open)),
            Held::Directory(_) | Held::Nowhere => None,
        }
    }
}

pub(crate) fn open_directory(path: &Path) -> std::io::Result<File> {
    let directory = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(directory.into())
}

impl State {
    fn library(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView { ctx: &mut self.files.ctx, table: &mut self.table }
    }

    /// A directory to write; none for one to read.
    fn written(&self, fd: &Resource<Descriptor>) -> FsResult<Option<(Dir, Writer)>> {
        match (self.table.get(fd)?, self.files.held.get(&fd.rep())) {
            (Descriptor::Dir(directory), Some(Held::Directory(writer))) => Ok(Some((directory.clone(), writer.clone()))),
            _ => Ok(None),
        }
    }

    /// Two directories that are one to write: nothing crosses from one to another.
    fn both(&self, from: &Resource<Descriptor>, to: &Resource<Descriptor>) -> FsResult<Option<(Dir, Dir, Writer)>> {
        match (self.written(from)?, self.written(to)?) {
            (None, None) => Ok(None),
            (Some((from, ours)), Some((to, theirs))) if Arc::ptr_eq(&ours.writable, &theirs.writable) => Ok(Some((from, to, ours))),
            _ => Err(ErrorCode::CrossDevice.into()),
        }
    }

    /// Whether somebody learns what is looked for in that directory, where nothing is.
    fn learned(&self, fd: &Resource<Descriptor>, path: &str, writes: bool, is_directory: bool) -> bool {
        let is_nowhere = matches!(self.files.held.get(&fd.rep()), Some(Held::Nowhere));
        if is_nowhere {
            self.wants(Wanted::Path { path, writes, is_directory });
        }
        is_nowhere
    }

    fn writing(&mut self, open: Arc<Open>, place: Place) -> FsResult<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(Writing::new(open, place));
        Ok(self.table.push(stream)?)
    }
}

impl preopens::Host for State {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut found = Vec::new();
        for directory in &*self.files.directories.all() {
            let fd = self.table.push(Descriptor::Dir(directory.open.clone()))?;
            if let Some(writable) = &directory.writable {
                let writer = Writer { writable: Arc::clone(writable), refusals: self.files.refusals.clone() };
                self.files.held.insert(fd.rep(), Held::Directory(writer));
            }
            found.push((fd, directory.path.as_str().to_owned()));
        }
        if self.learner().is_some() {
            // Every whole path is looked for in it. It is no directory of the system's at all, so that none is reached.
            let nothing = Dir::new(File::open("/dev/null")?, FsPerms::ReadOnly, OpenMode::READ, false);
            let fd = self.table.push(Descriptor::Dir(nothing))?;
            self.files.held.insert(fd.rep(), Held::Nowhere);
            found.push((fd, "/".to_owned()));
        }
        Ok(found)
    }
}

impl types::Host for State {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.library().convert_error_code(error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        match self.table.get(&error)?.downcast_ref::<Exceeded>() {
            Some(_) => Ok(Some(ErrorCode::Quota)),
            None => self.library().filesystem_error_code(error),
        }
    }
}

/// As the library does it.
macro_rules! as_library {
    ($($name:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        $(async fn $name(&mut self, fd: Resource<Descriptor>, $($argument: $of),*) -> FsResult<$answer> {
            self.library().$name(fd, $($argument),*).await
        })*
    };
}

impl HostDescriptor for State {
    as_library! {
        advise(offset: Filesize, length: Filesize, advice: Advice) -> ();
        sync_data() -> ();
        sync() -> ();
        get_flags() -> DescriptorFlags;
        get_type() -> DescriptorType;
        set_times(accessed: NewTimestamp, modified: NewTimestamp) -> ();
        set_times_at(flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp) -> ();
        read(length: Filesize, offset: Filesize) -> (Vec<u8>, bool);
        read_directory() -> Resource<DirectoryEntryStream>;
        stat() -> DescriptorStat;
        readlink_at(path: String) -> String;
        metadata_hash() -> MetadataHashValue;
        metadata_hash_at(flags: PathFlags, path: String) -> MetadataHashValue;
    }

    async fn stat_at(&mut self, fd: Resource<Descriptor>, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        if self.learned(&fd, &path, false, !path.contains('/')) {
            return Err(ErrorCode::NoEntry.into());
        }
        self.library().stat_at(fd, flags, path).await
    }

    async fn is_same_object(&mut self, one: Resource<Descriptor>, other: Resource<Descriptor>) -> wasmtime::Result<bool> {
        self.library().is_same_object(one, other).await
    }

    async fn write(&mut self, fd: Resource<Descriptor>, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        match self.files.file(&fd) {
            Some(open) => open.writer().begin(move |_| Ok(open.write(&bytes, Place::At(offset))?)).await,
            None => self.library().write(fd, bytes, offset).await,
        }
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        match self.files.file(&fd) {
            Some(open) => open.writer().begin(move |_| Ok(open.set_size(size)?)).await,
            None => self.library().set_size(fd, size).await,
        }
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let writes = open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
            || flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY);
        if self.learned(&fd, &path, writes, open.contains(OpenFlags::DIRECTORY)) {
            return Err(ErrorCode::NoEntry.into());
        }
        let Some((directory, writer)) = self.written(&fd)? else {
            return self.library().open_at(fd, path_flags, path, open, flags).await;
        };
        let opening = writer.clone().begin(move |writer| writer.open_at(&directory, (path_flags, path), (open, flags)));
        let (descriptor, file) = opening.await?;
        let fd = self.table.push(descriptor)?;
        self.files.held.insert(fd.rep(), file.map_or(Held::Directory(writer), |open| Held::File(Arc::new(open))));
        Ok(fd)
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        if self.learned(&fd, &path, true, false) {
            return Err(ErrorCode::NoEntry.into());
        }
        match self.written(&fd)? {
            Some((directory, writer)) => writer.begin(move |writer| writer.create_directory(&directory, path)).await,
            None => self.library().create_directory_at(fd, path).await,
        }
    }

    async fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        match self.written(&fd)? {
            Some((directory, writer)) => writer.begin(move |writer| writer.remove_directory(&directory, path)).await,
            None => self.library().remove_directory_at(fd, path).await,
        }
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        if self.learned(&fd, &path, true, false) {
            return Err(ErrorCode::NoEntry.into());
        }
        match self.written(&fd)? {
            Some((directory, writer)) => writer.begin(move |writer| writer.remove_file(&directory, path)).await,
            None => self.library().unlink_file_at(fd, path).await,
        }
    }

    async fn rename_at(&mut self, fd: Resource<Descriptor>, old: String, to: Resource<Descriptor>, new: String) -> FsResult<()> {
        match self.both(&fd, &to)? {
            Some((from, to, writer)) => writer.begin(move |writer| writer.rename((&from, old), (&to, new))).await,
            None => self.library().rename_at(fd, old, to, new).await,
        }
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FsResult<()> {
        match self.both(&fd, &to)? {
            Some((from, to, writer)) => writer.begin(move |writer| writer.link((&from, old), flags, (&to, new))).await,
            None => self.library().link_at(fd, flags, old, to, new).await,
        }
    }

    /// None is made: other programs that use the directory might follow it.
    async fn symlink_at(&mut self, _: Resource<Descriptor>, _: String, _: String) -> FsResult<()> {
        Err(ErrorCode::NotPermitted.into())
    }

    fn read_via_stream(&mut self, fd: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let open = self.files.file(&fd);
        let stream = self.library().read_via_stream(fd, offset)?;
        let Some(open) = open else { return Ok(stream) };
        let inner = self.table.delete(stream)?;
        let stream: DynInputStream = Box::new(Reading { inner, _open: open });
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(&mut self, fd: Resource<Descriptor>, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        match self.files.file(&fd) {
            Some(open) => self.writing(open, Place::At(offset)),
            None => self.library().write_via_stream(fd, offset),
        }
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        match self.files.file(&fd) {
            Some(open) => self.writing(open, Place::End),
            None => self.library().append_via_stream(fd),
        }
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        let held = self.files.held.remove(&fd.rep());
        // The file is closed first: what it took is there again only then.
        let dropped = HostDescriptor::drop(&mut self.library(), fd);
        drop(held);
        dropped
    }
}

impl HostDirectoryEntryStream for State {
    async fn read_directory_entry(&mut self, stream: Resource<DirectoryEntryStream>) -> FsResult<Option<DirectoryEntry>> {
        self.library().read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.library(), stream)
    }
}
