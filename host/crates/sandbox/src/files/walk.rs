//! Counts what is in a directory, within bounds, following nothing.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};

/// What is counted at most: this takes seconds.
const FILES_MAX: u64 = 1_000_000;
/// How deep directories lie in each other. One is open for each.
const DEPTH_MAX: usize = 64;

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) bytes: u64,
    /// Everything that has a name.
    pub(super) files: u64,
}

/// Opens a directory in another, and nothing that a link leads to.
fn below(directory: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Dir::new(openat(directory, name, flags, Mode::empty())?)
}

pub(super) fn walk(directory: &File) -> Result<Tally, String> {
    let told = |error: rustix::io::Errno| format!("it cannot be looked through: {error}");
    let mut tally = Tally::default();
    let mut linked = BTreeSet::new();
    // The first one is of its own too, so that whoever reads the other goes on where it was.
    let mut open = vec![below(directory.as_fd(), c".").map_err(told)?];
    while let Some(directory) = open.last_mut() {
        let Some(entry) = directory.next() else {
            open.pop();
            continue;
        };
        let entry = entry.map_err(told)?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        tally.files += 1;
        if tally.files > FILES_MAX {
            return Err(format!("it has more than {FILES_MAX} files"));
        }
        let fd = directory.fd().map_err(told)?;
        let stat = statat(fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(told)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if stat.st_nlink < 2 || linked.insert((stat.st_dev, stat.st_ino)) => {
                tally.bytes = tally.bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(u64::MAX));
            }
            FileType::Directory => {
                let inner = below(fd, name).map_err(told)?;
                if open.len() >= DEPTH_MAX {
                    return Err(format!("more than {DEPTH_MAX} directories lie in each other"));
                }
                open.push(inner);
            }
            _ => {}
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn everything_counts_once_and_nothing_is_followed() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("counted/sub")).expect("made");
        fs::write(at("beside"), vec![0; 1_000]).expect("written");
        fs::write(at("counted/a"), vec![0; 10]).expect("written");
        fs::hard_link(at("counted/a"), at("counted/sub/again")).expect("linked");
        fs::File::create(at("counted/sub/sparse")).and_then(|file| file.set_len(500)).expect("made");
        std::os::unix::fs::symlink(at("beside"), at("counted/link")).expect("linked");
        std::os::unix::fs::symlink("..", at("counted/sub/up")).expect("linked");
        let open = File::open(at("counted")).expect("opened");
        for _ in 0..2 {
            assert_eq!(walk(&open), Ok(Tally { bytes: 510, files: 6 }));
        }
        let mut deep = at("counted");
        for _ in 0..DEPTH_MAX {
            deep.push("d");
            fs::create_dir(&deep).expect("made");
        }
        assert!(walk(&open).is_err_and(|told| told.contains("lie in each other")));
    }
}
