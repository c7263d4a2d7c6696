//! A plugin directory over time: what is dropped in is served as soon as it is compiled, and nothing that works is lost to something broken.
//!
//! A changed file is tried at once, because most files are renamed into place whole. If it does not load while it is still young it
//! may be half-written: nothing is said, and it is tried again once it has been quiet. Only a file that was quiet and still does not
//! load is reported; the last good version of its plugin goes on meanwhile. The kernel's notices wake the watcher at once; a slow poll
//! beside them covers lost notices and a directory that was replaced.

use super::directory::{self, DirectoryId, Owners, Scan, Stamp};
use super::file::File;
use super::refresh::Refresh;
use super::trust::{Trust, Untrusted, Ward, Why};
use super::{Kind, Loader, Names, Plugin, PluginError, Plugins, Shelf};
use crate::config::TenantId;
use crate::metrics;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use notify::Watcher as _;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Between two looks at the directory without a notice.
const POLL: Duration = Duration::from_millis(2_000);
/// Notices come in bursts: one look for all that come within this time.
const BURST: Duration = Duration::from_millis(10);

/// A component of this size may take seconds to compile, and those that are smaller do not wait for it.
pub(super) fn is_large(bytes: u64) -> bool {
    bytes >= 4 << 20
}

/// Why a file of the directory is not served, or not in its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name without `.wasm`; the directory's with a slash if it cannot be read at all.
    pub plugin: String,
    /// What is wrong.
    pub reason: String,
    /// Of what kind that is: a word of a closed set.
    pub word: &'static str,
    /// An older version of it is served.
    pub last_good_serves: bool,
    /// It waits to be approved or signed.
    pub untrusted: Option<Untrusted>,
}

/// One directory's plugins over time.
pub struct Library {
    directory: PathBuf,
    loader: Loader,
    trust: Arc<Trust>,
    /// Whose directory it is; none: everybody's.
    tenant: Option<TenantId>,
    /// What is asked of its plugins, as far as that was heard of.
    ward: Ward,
    ward_changed: watch::Receiver<()>,
    files: BTreeMap<String, File>,
    /// One small component and one large one at a time, and any lists that are read again.
    loads: FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>,
    lanes: Lanes,
    refresh: Arc<Refresh>,
    plugins: watch::Sender<Arc<Plugins>>,
    problems: watch::Sender<Vec<Problem>>,
    /// Woken when there are other plugins, or other problems.
    told: Arc<Notify>,
    /// Which directory was read last; none while there is none.
    read: Option<DirectoryId>,
    /// What was told once is not told again until it changes.
    unreadable: Option<String>,
    told_too_many: bool,
    order: u64,
    /// The kernel's notices, and of which directory they are.
    woken: Arc<Notify>,
    watched: Option<(DirectoryId, notify::RecommendedWatcher)>,
}

/// A library from outside.
#[derive(Debug, Clone)]
pub struct LibraryView {
    plugins: watch::Receiver<Arc<Plugins>>,
    problems: watch::Receiver<Vec<Problem>>,
    refresh: Arc<Refresh>,
}

impl LibraryView {
    /// What it serves now.
    pub fn shelf(&self) -> Shelf {
        Shelf { plugins: Arc::clone(&self.plugins.borrow()), refresh: Arc::clone(&self.refresh) }
    }

    /// What is wrong now.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.borrow().clone()
    }
}

/// Which kinds of load are on their way.
#[derive(Debug, Default)]
struct Lanes {
    small: bool,
    large: bool,
}

impl Lanes {
    fn of(&mut self, bytes: u64) -> &mut bool {
        if is_large(bytes) { &mut self.large } else { &mut self.small }
    }
}

/// What was begun came to its end.
enum Done {
    Loaded(Box<Loaded>),
    Listed(Box<Listed>),
}

/// The lists of a plugin that serves, read again.
struct Listed {
    name: String,
    result: Result<Plugin, PluginError>,
}

/// A load that came to its end.
struct Loaded {
    name: String,
    /// As it lay there when the load began.
    seen: Stamp,
    began: Instant,
    /// As it was read, if it was.
    read: Option<Stamp>,
    /// What was asked of it.
    ward: Ward,
    result: Result<Plugin, PluginError>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Library {
    /// Of a directory, of one tenant or of all; [`Library::scan_once`] or [`Library::round`] fills it, and wakes `told` whenever something is
    /// another.
    pub fn new(directory: PathBuf, tenant: Option<TenantId>, loader: Loader, trust: Arc<Trust>, told: Arc<Notify>) -> Self {
        let ward_changed = trust.changes();
        Self {
            directory,
            loader,
            ward: Ward::new(trust.now(), tenant.clone()),
            trust,
            tenant,
            ward_changed,
            files: BTreeMap::new(),
            loads: FuturesUnordered::new(),
            lanes: Lanes::default(),
            refresh: Arc::default(),
            plugins: watch::Sender::default(),
            problems: watch::Sender::new(Vec::new()),
            told,
            read: None,
            unreadable: None,
            told_too_many: false,
            order: 0,
            woken: Arc::default(),
            watched: None,
        }
    }

    /// How to look at it while it runs.
    pub fn view(&self) -> LibraryView {
        LibraryView { plugins: self.plugins.subscribe(), problems: self.problems.subscribe(), refresh: Arc::clone(&self.refresh) }
    }

    /// Loads everything that lies in the directory, taking each file as finished, and publishes it.
    pub async fn scan_once(&mut self) {
        self.take_rules();
        self.look().await;
        // As if no time passed, so that nothing is tried twice.
        let now = Instant::now();
        loop {
            self.begin_loads(now, true);
            let Some(done) = self.loads.next().await else { break };
            self.take(done);
        }
        self.settle(true);
    }

    /// Looks at the directory once, and waits for the next reason to, two seconds at most. Without end, it watches the directory.
    pub async fn round(&mut self) {
        self.take_rules();
        self.look().await;
        // A watch is on an inode, not on a name: in another directory under the same name it would never notice anything.
        let watching = self.watched.as_ref().map(|(id, _)| *id);
        if let Some(id) = self.read.filter(|id| watching != Some(*id)) {
            self.watched = watch_directory(&self.directory, &self.woken).map(|watcher| (id, watcher));
            if self.watched.is_some() {
                return; // What came between the look and the watch was not noticed.
            }
        }
        let now = Instant::now();
        self.remove_gone(now);
        self.begin_loads(now, false);
        self.begin_listing(now);
        self.settle(false);
        let next = self.next_look();
        tokio::select! {
            () = self.woken.notified() => tokio::time::sleep(BURST).await,
            () = self.refresh.asked() => {}
            Ok(()) = self.ward_changed.changed() => {}
            Some(done) = self.loads.next(), if !self.loads.is_empty() => self.take(done),
            () = tokio::time::sleep_until(next) => {}
        }
    }

    /// Asks of plugins what the rules of now want, and tries those again whose loading hung on the ones before.
    fn take_rules(&mut self) {
        let ward = Ward::new(self.trust.now(), self.tenant.clone());
        if ward.is(&self.ward) {
            return;
        }
        let other_signatures = !ward.same_signatures(&self.ward);
        self.ward = ward;
        self.files.values_mut().filter(|file| other_signatures || file.turned_away().is_some()).for_each(File::retry);
    }

    /// Lists the directory and notes what is new, changed or gone.
    async fn look(&mut self) {
        let directory = self.directory.clone();
        let scanned = tokio::task::spawn_blocking(move || directory::scan(&directory)).await.map_err(std::io::Error::other).flatten();
        let Scan { id, files: mut scanned } = match scanned {
            Ok(scanned) => scanned,
            Err(error) => {
                self.read = None;
                let (error, told) = (error.to_string(), self.unreadable.take());
                if told.as_deref() != Some(&error) {
                    tracing::warn!(directory = %self.directory.display(), %error, "the plugin directory cannot be read; what is loaded stays");
                }
                self.unreadable = Some(error);
                return;
            }
        };
        self.read = Some(id);
        self.unreadable = None;
        let limit = self.loader.limits().plugins_max;
        let too_many = scanned.len() > limit;
        if too_many && !std::mem::replace(&mut self.told_too_many, true) {
            let files = scanned.len();
            tracing::warn!(files, limit, "the plugin directory holds more components than the limit; those that came last are left out");
        }
        self.told_too_many = too_many;

        let now = Instant::now();
        for (name, file) in &mut self.files {
            match scanned.remove(name) {
                Some((_, stamp)) => file.seen(stamp, now),
                None => file.missed(now),
            }
        }
        let room = limit.saturating_sub(self.files.len());
        let new = scanned.into_iter().take(room).map(|(name, (path, stamp))| (name, File::new(path, stamp, now)));
        self.files.extend(new);
    }

    /// Begins to load what is due, as far as the lanes are free.
    fn begin_loads(&mut self, now: Instant, finished: bool) {
        for (name, file) in &mut self.files {
            let lane = self.lanes.of(file.stamp.bytes());
            if *lane || file.due(finished).is_none_or(|due| due > now) {
                continue;
            }
            *lane = true;
            file.begin();
            let (loader, name, path, seen) = (self.loader.clone(), name.clone(), file.path.clone(), file.stamp);
            let ward = self.ward.clone();
            self.loads.push(Box::pin(async move {
                let turn = Some(loader.turn(seen.bytes()).await);
                let began = Instant::now();
                let load = loader.load(Arc::from(name.as_str()), &path, ward.clone(), Owners::Ours, turn);
                let loading = AssertUnwindSafe(load).catch_unwind();
                // What one file does to us is no reason to give up the others.
                let (read, result) = loading.await.unwrap_or_else(|_| (None, Err(PluginError::Panicked)));
                Done::Loaded(Box::new(Loaded { name, seen, began, read, ward, result }))
            }));
        }
    }

    /// Begins to read the lists again of plugins that said so.
    fn begin_listing(&mut self, now: Instant) {
        for (name, digest, lists) in self.refresh.take(now) {
            let serving = self.files.get(&*name).and_then(|file| file.serving.clone());
            // One that was replaced meanwhile was asked for its lists when it was loaded.
            let Some(plugin) = serving.filter(|plugin| plugin.guest.digest() == digest) else {
                self.refresh.done(&name);
                continue;
            };
            let (loader, name) = (self.loader.clone(), name.to_string());
            self.loads.push(Box::pin(async move {
                let listing = AssertUnwindSafe(loader.list_again(&plugin, lists)).catch_unwind();
                Done::Listed(Box::new(Listed { name, result: listing.await.unwrap_or(Err(PluginError::Panicked)) }))
            }));
        }
    }

    fn take(&mut self, done: Done) {
        let Loaded { name, seen, began, read, ward, result } = match done {
            Done::Loaded(loaded) => *loaded,
            Done::Listed(listed) => return self.take_listed(*listed),
        };
        *self.lanes.of(seen.bytes()) = false;
        // It may have gone meanwhile.
        if let Some(file) = self.files.get_mut(&name) {
            file.loaded(read.unwrap_or(seen), began, result);
            // What hung on the rules of before is asked anew: whether it was turned away, or who signed it.
            if !ward.is(&self.ward) && (file.turned_away().is_some() || !ward.same_signatures(&self.ward)) {
                file.retry();
            }
        }
    }

    fn take_listed(&mut self, listed: Listed) {
        let Listed { name, result } = listed;
        self.refresh.done(&name);
        let checked = result.and_then(|plugin| match self.obstacle(&plugin, &self.names()) {
            Some(error) => Err(error),
            None => Ok(plugin),
        });
        let Some(file) = self.files.get_mut(&name) else { return };
        match checked {
            Ok(plugin) => file.listed(plugin),
            Err(error) => {
                metrics::PLUGIN_REJECTED.count(error.word());
                tracing::warn!(plugin = %name, %error, "the changed lists of a plugin are not served; the last good ones go on");
                if error.untrusted().is_some() && file.candidate.is_none() {
                    file.waits(&error);
                }
            }
        }
    }

    fn remove_gone(&mut self, now: Instant) {
        self.files.retain(|name, file| {
            let gone = file.is_gone(now);
            if gone && file.serving.is_some() {
                tracing::info!(plugin = %name, "plugin removed");
            }
            !gone
        });
    }

    /// Lets those serve that can, and those no more that may not; tells of those that cannot, and publishes all of it as one generation.
    fn settle(&mut self, finished: bool) {
        let mut names = self.names();
        // A new version can give up a name that another file waits for, and so can one that is not approved any more: this goes on until
        // nothing changes. What is approved comes first, so that nothing is missing in between.
        loop {
            if let Some(name) = self.files.iter().find(|(_, file)| self.may_serve(file, &names)).map(|(name, _)| name.clone()) {
                self.order += 1;
                if let Some(file) = self.files.get_mut(&name) {
                    file.serving.iter().for_each(|before| names.remove(before));
                    file.serve(self.order);
                    file.serving.iter().for_each(|now| names.add(now));
                }
            } else if let Some((name, untrusted)) = self.files.keys().find_map(|name| Some((name.clone(), self.must_not_serve(name)?))) {
                if let Some(file) = self.files.get_mut(&name) {
                    file.serving.iter().for_each(|before| names.remove(before));
                    file.withdraw(&name, &untrusted);
                }
            } else {
                break;
            }
        }
        let obstacle = |file: &File| self.obstacle(file.candidate.as_ref()?, &names);
        let waiting: Vec<_> = self.files.iter().filter_map(|(name, file)| Some((name.clone(), obstacle(file)?))).collect();
        for (name, error) in waiting {
            if let Some(file) = self.files.get_mut(&name) {
                file.waits(&error);
            }
        }
        let now = Instant::now();
        for (name, file) in &mut self.files {
            file.tell(name, now, finished);
        }
        self.publish();
    }

    fn may_serve(&self, file: &File, names: &Names) -> bool {
        file.candidate.as_ref().is_some_and(|candidate| self.obstacle(candidate, names).is_none())
    }

    /// Why what a file serves may not be served any more. While it is yet to be seen what lies there now, which may well be what is approved, it
    /// goes on; but not if nothing of that name is.
    fn must_not_serve(&self, name: &str) -> Option<Box<Untrusted>> {
        let file = self.files.get(name)?;
        let serving = file.serving.as_ref()?;
        let Err(untrusted) = self.ward.judge(serving) else {
            // It came when nobody asked who signed it, and now these very bytes are turned away.
            let same = |untrusted: &&Untrusted| untrusted.component == serving.guest.digest() && untrusted.why.is_of_signature();
            return file.turned_away().filter(same).filter(|_| serving.signer.is_none()).cloned().map(Box::new);
        };
        (untrusted.why == Why::NotApproved || !file.is_in_motion()).then_some(untrusted)
    }

    /// Whose each name is, of all that serves.
    fn names(&self) -> Names {
        Names::of(self.files.values().filter_map(|file| file.serving.as_ref()))
    }

    /// Why a plugin cannot serve now: it may not, or has the name of something that another plugin serves.
    fn obstacle(&self, plugin: &Plugin, names: &Names) -> Option<PluginError> {
        let untrusted = self.ward.judge(plugin).err().map(PluginError::Untrusted);
        let taken = |(kind, name, other): (Kind, &str, &str)| PluginError::NameTaken {
            kind: kind.word(),
            name: name.to_owned(),
            other: other.to_owned(),
        };
        untrusted.or_else(|| names.clash(plugin).map(taken))
    }

    fn publish(&self) {
        let plugins: BTreeMap<_, _> =
            self.files.values().filter_map(|file| file.serving.clone()).map(|plugin| (Arc::clone(&plugin.name), plugin)).collect();
        let others = self.plugins.send_if_modified(|current| {
            let same = plugins.len() == current.len()
                && plugins.iter().all(|(name, plugin)| current.get(name).is_some_and(|served| Arc::ptr_eq(served, plugin)));
            if !same {
                *current = Arc::new(plugins);
            }
            !same
        });
        let problems = self.files.iter().filter_map(|(name, file)| {
            let (word, reason, untrusted) = file.problem()?;
            let (plugin, reason, untrusted) = (name.clone(), reason.to_owned(), untrusted.cloned());
            Some(Problem { plugin, reason, word, last_good_serves: file.serving.is_some(), untrusted })
        });
        let problems: Vec<_> = self.whole_directory().into_iter().chain(problems).collect();
        let otherwise = self.problems.send_if_modified(|known| {
            let changed = *known != problems;
            *known = problems;
            changed
        });
        if others || otherwise {
            self.told.notify_one();
        }
    }

    /// What is wrong with the directory itself.
    fn whole_directory(&self) -> Option<Problem> {
        let name = self.directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let reason = format!("the plugin directory cannot be read: {}", self.unreadable.as_ref()?);
        let last_good_serves = self.files.values().any(|file| file.serving.is_some());
        Some(Problem { plugin: format!("{name}/"), reason, word: "unreadable", last_good_serves, untrusted: None })
    }

    /// When something is due without a notice and without the end of a load.
    fn next_look(&self) -> Instant {
        let now = Instant::now();
        let busy = |file: &File| if is_large(file.stamp.bytes()) { self.lanes.large } else { self.lanes.small };
        let due = self.files.values().filter(|file| !busy(file)).filter_map(|file| file.due(false));
        let looks = self.files.values().filter_map(File::next_look);
        due.chain(looks).chain(self.refresh.next()).min().unwrap_or(now + POLL).min(now + POLL)
    }
}

fn watch_directory(directory: &Path, woken: &Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let woken = Arc::clone(woken);
    // Runs on the watcher's own thread. What happened is found by looking: a notice only says that it is time to. Looking opens and reads
    // the directory itself, which is noticed as well and must not lead to another look.
    let wake = move |event: notify::Result<notify::Event>| {
        use notify::event::{AccessKind, AccessMode, EventKind};
        let kind = event.map(|event| event.kind);
        match kind {
            Ok(EventKind::Access(AccessKind::Close(AccessMode::Write))) | Err(_) => woken.notify_one(),
            Ok(EventKind::Access(_)) => {}
            Ok(_) => woken.notify_one(),
        }
    };
    let watcher = notify::recommended_watcher(wake).and_then(|mut watcher| {
        watcher.watch(directory, notify::RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::debug!(directory = %directory.display(), %error, "the plugin directory cannot be watched; it is polled");
            None
        }
    }
}
