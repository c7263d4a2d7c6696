//! The plugin directory as it lies on disk.

use rustix::fs::{CWD, Mode, OFlags};
use sandbox::COMPONENT_BYTES_MAX;
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A side file is a few lines for each function.
const SIDE_BYTES_MAX: u64 = 64 << 10;
/// A signature is four lines, one of which is a comment of 8 KiB at most.
const SIGNATURE_BYTES_MAX: u64 = 16 << 10;
/// What a signature's file has behind the name of what it is of.
const SIGNATURE: &str = "minisig";

/// What tells one state of a plugin's files from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    component: FileStamp,
    /// Of its side file, where it has one.
    side: Option<FileStamp>,
    /// Likewise of its signature.
    signature: Option<FileStamp>,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    bytes: u64,
    modified_ns: i128,
    changed_ns: i128,
}

/// Which directory it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DirectoryId {
    device: u64,
    inode: u64,
}

impl Stamp {
    /// Of the component.
    pub(super) fn inode(&self) -> u64 {
        self.component.inode
    }

    /// Of the component.
    pub(super) fn bytes(&self) -> u64 {
        self.component.bytes
    }

    #[cfg(test)]
    pub(super) fn made_up(inode: u64, bytes: u64) -> Self {
        Self { component: FileStamp { inode, bytes, modified_ns: 0, changed_ns: 0 }, side: None, signature: None }
    }
}

impl FileStamp {
    fn of(metadata: &Metadata) -> Self {
        let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self {
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified_ns: time(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: time(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a look at the directory found.
pub(super) struct Scan {
    pub(super) id: DirectoryId,
    /// Every file that is named like a component, by plugin name.
    pub(super) files: BTreeMap<String, (PathBuf, Stamp)>,
}

/// Looks for files that end in `.wasm` and do not begin with a dot, and for the side files and signatures of these. What has such a name and
/// is no regular file is listed too: [`read_plugin`] refuses it, and so somebody hears of it.
///
/// # Errors
///
/// When the directory cannot be read, is a symbolic link, or others than the gateway's user can write to it: then nothing new is taken from it.
pub(super) fn scan(directory: &Path) -> io::Result<Scan> {
    let metadata = File::from(open(directory)?).metadata()?;
    if let Some(exposed) = exposed(&metadata, directory) {
        return Err(io::Error::other(format!("it {exposed}")));
    }
    let id = DirectoryId { device: metadata.dev(), inode: metadata.ino() };
    let (mut found, mut sides, mut signatures) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((name, kind)) = name.to_str().and_then(|name| name.rsplit_once('.')) else { continue };
        let name = if kind == SIGNATURE { name.strip_suffix(".wasm").unwrap_or_default() } else { name };
        if !matches!(kind, "wasm" | "toml" | SIGNATURE) || name.is_empty() || name.starts_with('.') || name.chars().any(char::is_control) {
            continue;
        }
        // Does not follow links. A file that went away meanwhile is simply not there.
        let Ok(metadata) = entry.metadata() else { continue };
        let stamp = FileStamp::of(&metadata);
        match kind {
            "wasm" => drop(found.insert(name.to_owned(), (entry.path(), Stamp { component: stamp, side: None, signature: None }))),
            "toml" => drop(sides.insert(name.to_owned(), stamp)),
            _ => drop(signatures.insert(name.to_owned(), stamp)),
        }
    }
    for (name, (_, stamp)) in &mut found {
        stamp.side = sides.remove(name);
        stamp.signature = signatures.remove(name);
    }
    Ok(Scan { id, files: found })
}

/// A plugin's files as they were read.
pub(super) struct Read {
    pub(super) component: Vec<u8>,
    pub(super) side: Option<Vec<u8>>,
    /// Not yet compared with anything; whether it can be read at all matters only where it is asked for.
    pub(super) signature: io::Result<Option<Vec<u8>>>,
    /// None if something of it could not be read.
    pub(super) stamp: Option<Stamp>,
}

/// Why a plugin's files cannot be read.
pub(super) enum Unread {
    Component(io::Error),
    Side(io::Error),
    /// Somebody else can change it.
    Exposed(String),
}

/// Whose files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owners {
    /// Those that root or the gateway's user owns, and nobody else can write.
    Ours,
    /// Anybody's: somebody named the file.
    Any,
}

/// Reads a component, and the side file and the signature of the same name if there are any.
///
/// All three are opened in one directory, which is no link either: what comes to lie under its name meanwhile is another one.
pub(super) fn read_plugin(path: &Path, owners: Owners) -> Result<Read, Unread> {
    let directory = open(path.parent().unwrap_or(Path::new("."))).map_err(Unread::Component)?;
    let [component, side, signature] = [path.to_owned(), path.with_extension("toml"), path.with_extension(format!("wasm.{SIGNATURE}"))]
        .map(|path| {
            // Of a path that names no file, which cannot be opened.
            path.file_name().map(PathBuf::from).unwrap_or_default()
        });
    let names = [("it", component.clone()), ("its side file", side.clone())];
    let component = read(&directory, &component, COMPONENT_BYTES_MAX).map_err(Unread::Component)?;
    let side = there(read(&directory, &side, SIDE_BYTES_MAX)).map_err(Unread::Side)?;
    // Whoever can write it gains nothing by that: it proves itself.
    let signature = there(read(&directory, &signature, SIGNATURE_BYTES_MAX));
    if owners == Owners::Ours {
        let files = [Some(&component), side.as_ref()];
        let exposed = names.iter().zip(files).find_map(|((what, name), file)| Some(format!("{what} {}", exposed(&file?.1, name)?)));
        exposed.map_or(Ok(()), |reason| Err(Unread::Exposed(reason)))?;
    }
    let stamp = |file: &(Vec<u8>, Metadata)| FileStamp::of(&file.1);
    let stamp = signature.as_ref().ok().map(|signature| Stamp {
        component: stamp(&component),
        side: side.as_ref().map(stamp),
        signature: signature.as_ref().map(stamp),
    });
    let signature = signature.map(|signature| signature.map(|(bytes, _)| bytes));
    Ok(Read { component: component.0, side: side.map(|(bytes, _)| bytes), signature, stamp })
}

fn there<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a directory, itself and not what it may be a link to.
fn open(directory: &Path) -> io::Result<OwnedFd> {
    // With a slash at its end, a link would be followed after all.
    let directory: PathBuf = directory.components().collect();
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
    if std::fs::symlink_metadata(directory)?.is_symlink() {
        return Err(io::Error::other("it is a symbolic link, which is not followed"));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, directory, flags, Mode::empty())?)
}

/// Reads a file of a directory, which must be a regular one of at most `bytes_max` bytes, and says in which state it was read.
///
/// Neither follows a link nor waits for a pipe's other end, and takes no more than the limit whatever the file grows to. A name without a
/// slash that is no link is beneath the directory, which is what `RESOLVE_BENEATH` would add for longer ones.
fn read(directory: &impl AsFd, name: &Path, bytes_max: u64) -> io::Result<(Vec<u8>, Metadata)> {
    // Opening a device can already do something, so this is asked of the name first, and of what was opened again.
    let looked_at = rustix::fs::openat(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    regular(&File::from(looked_at).metadata()?)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    regular(&metadata)?;
    if metadata.len() > bytes_max {
        return Err(io::Error::other(format!("it has {} bytes; the limit is {bytes_max}", metadata.len())));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    (&file).take(bytes_max).read_to_end(&mut bytes)?;
    Ok((bytes, file.metadata()?))
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    match metadata.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_symlink() => Err(io::Error::other("it is a symbolic link, which is not followed")),
        _ => Err(io::Error::other("it is not a regular file")),
    }
}

/// Who beside root and the gateway's user can change what has that name, and so run tools as this gateway, in words that follow its name.
pub(crate) fn exposed(metadata: &Metadata, name: &Path) -> Option<String> {
    let own = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
    exposed_by([metadata.uid(), metadata.gid(), metadata.mode()], own, name)
}

fn exposed_by([owner, group, mode]: [u32; 3], [own, own_group]: [u32; 2], name: &Path) -> Option<String> {
    let name = name.display();
    if owner != 0 && owner != own {
        return Some(format!(
            "belongs to user {owner}, who can change it at any time; give it to root, or to user {own}, whom the gateway runs as, with \
             `chown {own} {name}`"
        ));
    }
    if mode & 0o002 != 0 {
        return Some(format!("can be written by every user of this machine; take that away with `chmod o-w {name}`"));
    }
    // Many systems give each user a group with the user's number and nobody else in it, and let it write what the user makes.
    let is_of_one = group == own_group && group == own && own != 0;
    (mode & 0o020 != 0 && !is_of_one).then(|| format!("can be written by its group, {group}; take that away with `chmod g-w {name}`"))
}

/// The same of a plugin directory, and of those that it lies in, where somebody could put another in its place. Nothing is said of a link,
/// which is not followed anyway.
///
/// # Errors
///
/// When it is not there.
pub(crate) fn exposed_directory(directory: &Path) -> io::Result<Option<String>> {
    let metadata = std::fs::symlink_metadata(directory.components().collect::<PathBuf>())?;
    if metadata.is_symlink() {
        return Ok(None);
    }
    if let Some(exposed) = exposed(&metadata, directory) {
        return Ok(Some(exposed));
    }
    let real = directory.canonicalize()?;
    let everybodys = real.ancestors().skip(1).find(|above| {
        // Where the sticky bit is, as in /tmp, only an owner can rename what is theirs.
        std::fs::metadata(above).is_ok_and(|metadata| metadata.mode() & 0o1002 == 0o002)
    });
    let words = |above: &Path| {
        let above = above.display();
        format!("lies in {above}, where every user of this machine can put another in its place; take that away with `chmod o-w {above}`")
    };
    Ok(everybodys.map(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_change_a_file_is_told() {
        let told = |file, own| exposed_by(file, own, Path::new("x")).unwrap_or_default();
        for (file, own) in [
            ([7, 7, 0o644], [7, 7]),
            ([0, 0, 0o755], [7, 7]),
            // A group of one.
            ([7, 7, 0o664], [7, 7]),
            ([0, 7, 0o664], [7, 7]),
        ] {
            assert_eq!(told(file, own), "", "{file:?} {own:?}");
        }
        for (file, own, words) in [
            ([8, 7, 0o600], [7, 7], "belongs to user 8"),
            ([7, 7, 0o666], [7, 7], "every user"),
            ([7, 8, 0o664], [7, 7], "its group, 8"),
            ([7, 100, 0o664], [7, 100], "its group, 100"),
            // Administrators may be in it.
            ([0, 0, 0o664], [0, 0], "its group, 0"),
        ] {
            assert!(told(file, own).contains(words), "{file:?} {own:?}");
        }
    }
}
