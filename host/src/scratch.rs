//! Scratch directories: where guests put files that nobody keeps. One is of a call, or of a plugin in a legacy session, and is gone with it.
//!
//! They lie in a directory of this process alone, under names of the system's randomness. What another process left, which ended without
//! removing them, is removed at the next start: a lock that ends with its process says whose are in use.

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use sandbox::{CommonQuota, ScratchTerms, Writable};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// What ends the name of the lock beside a directory.
const LOCK: &str = "lock";

/// Makes scratch directories.
#[derive(Debug)]
pub struct Scratches {
    directory: PathBuf,
    /// None until the first one is made: most gateways need none.
    own: Mutex<Option<Own>>,
    /// What all directories of a tenant may hold together.
    per_tenant_bytes_max: u64,
    /// By tenants that have any.
    tenants: Mutex<BTreeMap<Box<str>, Weak<CommonQuota>>>,
}

/// The directory of this process.
#[derive(Debug)]
struct Own {
    directory: PathBuf,
    /// Held for as long as the process lives.
    _lock: File,
}

/// A scratch directory. It is removed when nobody has it any more.
#[derive(Debug)]
pub struct Scratch {
    directory: PathBuf,
    writable: Arc<Writable>,
}

/// Those of one session, by plugins.
#[derive(Debug, Default)]
pub struct OfSession(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    by_plugin: BTreeMap<Arc<str>, Arc<Scratch>>,
    ended: bool,
}

impl Scratches {
    /// In that directory, which need not be there yet. Those of one tenant have so many bytes together.
    pub fn new(directory: PathBuf, per_tenant_bytes_max: u64) -> Self {
        Self { directory, own: Mutex::new(None), per_tenant_bytes_max, tenants: Mutex::default() }
    }

    /// Removes what processes left there that live no more.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn remove_left(&self) -> io::Result<()> {
        match fs::read_dir(&self.directory) {
            Ok(mut entries) => entries.try_for_each(|entry| remove_left(&entry?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes one of that tenant's.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub async fn make(self: &Arc<Self>, tenant: &str, terms: &ScratchTerms) -> io::Result<Arc<Scratch>> {
        let (scratches, terms, common) = (Arc::clone(self), terms.clone(), self.common(tenant));
        let making = tokio::task::spawn_blocking(move || Scratch::make(scratches.own()?.join(random_name()?), terms, common));
        making.await.map_err(io::Error::other)?.map(Arc::new)
    }

    /// What that tenant's directories share, for as long as it has one.
    fn common(&self, tenant: &str) -> Arc<CommonQuota> {
        let mut tenants = self.tenants.lock();
        if let Some(there) = tenants.get(tenant).and_then(Weak::upgrade) {
            return there;
        }
        tenants.retain(|_, common| common.strong_count() > 0);
        let made = Arc::new(CommonQuota::new(self.per_tenant_bytes_max));
        tenants.insert(tenant.into(), Arc::downgrade(&made));
        made
    }

    fn own(&self) -> io::Result<PathBuf> {
        let mut own = self.own.lock();
        if let Some(own) = &*own {
            return Ok(own.directory.clone());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let directory = self.directory.join(random_name()?);
        let lock = lock_file(&directory.with_extension(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        DirBuilder::new().mode(0o700).create(&directory)?;
        *own = Some(Own { directory: directory.clone(), _lock: lock });
        Ok(directory)
    }
}

impl Scratch {
    fn make(directory: PathBuf, ScratchTerms { grant, path, quota }: ScratchTerms, common: Arc<CommonQuota>) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(&directory)?;
        let opened = Writable::open(&directory, grant, path).and_then(|writable| {
            let writable = writable.sharing(common);
            writable.count(quota).map_err(io::Error::other)?;
            Ok(writable)
        });
        match opened {
            Ok(writable) => Ok(Self { directory, writable: Arc::new(writable) }),
            Err(error) => {
                // It is empty.
                let _ = fs::remove_dir(&directory);
                Err(error)
            }
        }
    }

    /// As a guest gets it.
    pub fn writable(&self) -> &Arc<Writable> {
        &self.writable
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (directory, writable) = (std::mem::take(&mut self.directory), Arc::clone(&self.writable));
        let remove = move || {
            // What a call began before it ended may still go on.
            writable.close();
            if let Err(error) = remove_all(&directory) {
                tracing::error!(%error, "a scratch directory cannot be removed; the next start tries it again");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

impl OfSession {
    /// That of a plugin for calls of that tenant, made if there is none yet. Where the session has ended meanwhile, it is the caller's alone.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub async fn of(
        &self,
        plugin: &Arc<str>,
        scratches: &Arc<Scratches>,
        (tenant, terms): (&str, &ScratchTerms),
    ) -> io::Result<Arc<Scratch>> {
        if let Some(there) = self.0.lock().by_plugin.get(plugin) {
            return Ok(Arc::clone(there));
        }
        let made = scratches.make(tenant, terms).await?;
        let mut held = self.0.lock();
        if held.ended {
            return Ok(made);
        }
        // Another call may have been faster.
        Ok(Arc::clone(held.by_plugin.entry(Arc::clone(plugin)).or_insert(made)))
    }

    /// The session has ended: each is removed when the last call is over that has it.
    pub fn end(&self) {
        let mut held = self.0.lock();
        held.ended = true;
        let gone = std::mem::take(&mut held.by_plugin);
        drop(held);
        drop(gone);
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// Removes the directory of a process that lives no more.
fn remove_left(entry: &fs::DirEntry) -> io::Result<()> {
    if !entry.file_type()?.is_dir() {
        return Ok(());
    }
    let path = entry.path().with_extension(LOCK);
    let lock = lock_file(&path)?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
        remove_all(&entry.path())?;
        fs::remove_file(&path)?;
    }
    Ok(())
}

/// Removes a directory with all that guests may have made in it, however deep: what lies in a directory comes up into the first one, so that
/// no path grows and only two are open at a time.
fn remove_all(directory: &Path) -> io::Result<()> {
    let mut moved = 0_u64;
    loop {
        let mut had_directory = false;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            had_directory = true;
            for below in fs::read_dir(entry.path())? {
                let below = below?;
                if !below.file_type()?.is_dir() {
                    fs::remove_file(below.path())?;
                    continue;
                }
                // A guest may have such a name as well.
                while fs::symlink_metadata(directory.join(format!("moved-{moved:032}"))).is_ok() {
                    moved += 1;
                }
                fs::rename(below.path(), directory.join(format!("moved-{moved:032}")))?;
            }
            fs::remove_dir(entry.path())?;
        }
        if !had_directory {
            return fs::remove_dir(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::{FileQuota, GuestPath};

    fn names(directory: &Path) -> usize {
        fs::read_dir(directory).expect("it is there").count()
    }

    #[test]
    fn what_is_left_is_removed_and_what_is_in_use_is_not() {
        let place = tempfile::tempdir().expect("a directory");
        let parent = place.path().join("scratch");
        let of = || Scratches::new(parent.clone(), u64::MAX);
        of().remove_left().expect("there is nothing");
        assert!(!parent.exists());
        let (first, second) = (of(), of());
        let [left, used] = [&first, &second].map(|scratches| scratches.own().expect("made"));
        let mut deep = left.join("of-a-call");
        for name in 0..200 {
            fs::create_dir(&deep).expect("made");
            fs::write(deep.join("file"), "x").expect("written");
            fs::create_dir(deep.join("beside")).expect("made");
            deep.push(format!("d{name}"));
        }
        std::os::unix::fs::symlink("/etc", left.join("of-a-call/link")).expect("made");
        of().remove_left().expect("both are in use");
        assert_eq!(names(&parent), 4);
        // As when its process ends: what it had stays.
        drop(first);
        of().remove_left().expect("removed");
        assert!(!left.exists() && used.exists() && Path::new("/etc").exists());
        assert_eq!(names(&parent), 2);
    }

    #[tokio::test]
    async fn one_of_a_session_is_gone_when_it_and_its_calls_are() {
        let place = tempfile::tempdir().expect("a directory");
        let scratches = Arc::new(Scratches::new(place.path().to_owned(), u64::MAX));
        let own = scratches.own().expect("made");
        let quota = FileQuota { bytes_max: 10, files_max: 1 };
        let terms = ScratchTerms { grant: "x".into(), path: GuestPath::parse("/scratch").expect("a path"), quota };
        let session = OfSession::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mine = session.of(&a, &scratches, ("t", &terms)).await.expect("made");
        let again = session.of(&a, &scratches, ("t", &terms)).await.expect("there");
        let other = session.of(&b, &scratches, ("t", &terms)).await.expect("made");
        assert!(Arc::ptr_eq(&mine, &again) && !Arc::ptr_eq(&mine, &other));
        assert_eq!(names(&own), 2);
        drop((again, other));
        session.end();
        let gone = async |left: usize| {
            for _ in 0..1_000 {
                if names(&own) == left {
                    return true;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            false
        };
        assert!(gone(1).await, "a call still has the other");
        let late = session.of(&a, &scratches, ("t", &terms)).await.expect("made");
        assert!(!Arc::ptr_eq(&mine, &late));
        drop((mine, late));
        assert!(gone(0).await);
    }
}
