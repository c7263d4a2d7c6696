//! The plugin directory over time: what is dropped in is served within a second, and nothing that works is lost to something broken.
//!
//! A changed file is tried at once, because most files are renamed into place whole. If it does not load while it is still young it
//! may be half-written: nothing is said, and it is tried again once it has been quiet. Only a file that was quiet and still does not
//! load is reported; the last good version of its plugin goes on meanwhile. The kernel's notices wake the watcher at once; a slow poll
//! beside them covers lost notices and a directory that was replaced.

use super::directory::{self, Stamp};
use super::{Catalog, Loader, Plugin, PluginError};
use crate::config::{Config, ServerConfig};
use arc_swap::ArcSwap;
use notify::Watcher as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// A file that did not change for this long is taken to be finished.
const QUIET: Duration = Duration::from_millis(300);
/// Between two attempts to load a file that keeps changing.
const RETRY: Duration = Duration::from_millis(100);
/// A plugin whose file is gone for this long is gone.
const GONE: Duration = Duration::from_millis(300);
/// Between two looks at the directory without a notice.
const POLL: Duration = Duration::from_millis(2_000);

/// Why a file of the directory is not served, or not in its newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name without `.wasm`.
    pub plugin: String,
    /// What is wrong.
    pub reason: String,
    /// An older version of it is served.
    pub last_good_serves: bool,
}

/// The directory's plugins, generation by generation.
pub struct Library {
    directory: PathBuf,
    loader: Loader,
    instructions: Option<String>,
    servers: Vec<ServerConfig>,
    files: BTreeMap<String, File>,
    catalog: Arc<ArcSwap<Catalog>>,
    problems: watch::Sender<Vec<Problem>>,
    unreadable: bool,
    order: u64,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// One file of the directory.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// As it lies there now, and since when.
    stamp: Stamp,
    since: Instant,
    /// The state that was tried last.
    tried: Option<Stamp>,
    tried_at: Instant,
    /// What serves, and since which place in the order of arrival: of two tools with one name the earlier keeps it.
    plugin: Option<Arc<Plugin>>,
    arrived: u64,
    /// What is wrong with the state that was tried last.
    reason: Option<String>,
    reported: bool,
    gone_since: Option<Instant>,
}

impl Library {
    /// Of the configured directory; [`Library::scan_once`] or [`Library::run`] fills it.
    pub fn new(config: &Config, loader: Loader) -> Self {
        Self {
            directory: config.plugin_directory.clone(),
            loader,
            instructions: config.instructions.clone(),
            servers: config.servers.clone(),
            files: BTreeMap::new(),
            catalog: Arc::new(ArcSwap::from_pointee(Catalog::new(0, BTreeMap::new(), config.instructions.as_deref(), &config.servers))),
            problems: watch::Sender::new(Vec::new()),
            unreadable: false,
            order: 0,
        }
    }

    /// The current generation; swapped whole.
    pub fn catalog(&self) -> Arc<ArcSwap<Catalog>> {
        Arc::clone(&self.catalog)
    }

    /// What is wrong now.
    pub fn problems(&self) -> watch::Receiver<Vec<Problem>> {
        self.problems.subscribe()
    }

    /// Loads everything that lies in the directory, taking each file as finished, and publishes it.
    pub async fn scan_once(&mut self) {
        self.look().await;
        self.try_files(Instant::now(), true).await;
        self.publish();
    }

    /// Watches the directory until the future is dropped.
    pub async fn run(mut self) {
        let woken = Arc::new(Notify::new());
        let mut watcher = None;
        loop {
            // A watch ends with the inode it was set on, so it is set again whenever the directory was not there.
            if watcher.is_none() || self.unreadable {
                watcher = watch_directory(&self.directory, &woken);
            }
            let changed = self.look().await;
            let tried = self.try_files(Instant::now(), false).await;
            let removed = self.remove_gone();
            if changed || tried || removed {
                self.publish();
            }
            tokio::select! {
                () = woken.notified() => {}
                () = tokio::time::sleep_until(self.next_look()) => {}
            }
        }
    }

    /// Lists the directory and notes what is new, changed or gone. True when something came back that was gone.
    async fn look(&mut self) -> bool {
        let directory = self.directory.clone();
        let scanned = match tokio::task::spawn_blocking(move || directory::scan(&directory)).await.map_err(std::io::Error::other).flatten()
        {
            Ok(scanned) => scanned,
            Err(error) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    tracing::warn!(directory = %self.directory.display(), %error, "the plugin directory cannot be read; what is loaded stays");
                }
                return false;
            }
        };
        self.unreadable = false;
        let now = Instant::now();
        let limit = self.loader.limits().plugins_max;
        if scanned.len() > limit {
            tracing::warn!(
                files = scanned.len(),
                limit,
                "the plugin directory holds more components than the limit; the first by name count"
            );
        }
        for (name, file) in &mut self.files {
            if !scanned.contains_key(name) {
                file.gone_since.get_or_insert(now);
            }
        }
        for (name, (path, stamp)) in scanned.into_iter().take(limit) {
            match self.files.get_mut(&name) {
                None => {
                    let file = File {
                        path,
                        stamp,
                        since: now,
                        tried: None,
                        tried_at: now,
                        plugin: None,
                        arrived: 0,
                        reason: None,
                        reported: false,
                        gone_since: None,
                    };
                    self.files.insert(name, file);
                }
                Some(file) => {
                    file.gone_since = None;
                    if file.stamp != stamp {
                        file.stamp = stamp;
                        file.since = now;
                    }
                }
            }
        }
        false
    }

    /// Tries every file whose state was not tried yet. True when something changed for clients or operators.
    async fn try_files(&mut self, now: Instant, all_finished: bool) -> bool {
        let due: Vec<String> = self
            .files
            .iter()
            .filter(|(_, file)| file.gone_since.is_none() && file.due(now, all_finished))
            .map(|(name, _)| name.clone())
            .collect();
        let mut changed = false;
        for name in due {
            let Some(path) = self.files.get(&name).map(|file| file.path.clone()) else { continue };
            let (stamp, loaded) = self.loader.load(Arc::from(name.as_str()), &path).await;
            let loaded = loaded.and_then(|plugin| self.unique(&name, plugin));
            self.order += 1;
            let order = self.order;
            let Some(file) = self.files.get_mut(&name) else { continue };
            let first = file.tried != stamp;
            file.tried = stamp;
            file.tried_at = Instant::now();
            match loaded {
                Ok(plugin) => {
                    changed |= file.serve(plugin, order);
                }
                Err(error) => {
                    let quiet = all_finished || file.since.elapsed() >= QUIET;
                    file.reported = if first { quiet } else { file.reported || quiet };
                    file.reason = Some(error.to_string());
                    if file.reported {
                        changed = true;
                        report(&name, file.plugin.is_some(), &error);
                    }
                }
            }
        }
        changed
    }

    /// No tool of a newcomer may have the name of a tool that serves.
    fn unique(&self, name: &str, plugin: Plugin) -> Result<Plugin, PluginError> {
        let others = self.files.iter().filter(|(other, _)| *other != name).filter_map(|(other, file)| Some((other, file.plugin.as_ref()?)));
        for (other, served) in others {
            let taken = plugin.tools.iter().find(|tool| served.tools.iter().any(|theirs| theirs.definition.name == tool.definition.name));
            if let Some(tool) = taken {
                return Err(PluginError::NameTaken { tool: tool.definition.name.to_string(), other: other.clone() });
            }
        }
        Ok(plugin)
    }

    fn remove_gone(&mut self) -> bool {
        let before = self.files.len();
        self.files.retain(|name, file| {
            let gone = file.gone_since.is_some_and(|since| since.elapsed() >= GONE);
            if gone && file.plugin.is_some() {
                tracing::info!(plugin = %name, "plugin removed");
            }
            !gone
        });
        let removed = before != self.files.len();
        if removed {
            // A name may have become free for one that was refused for it.
            for file in self.files.values_mut().filter(|file| file.reason.is_some()) {
                file.tried = None;
            }
        }
        removed
    }

    fn publish(&self) {
        let current = self.catalog.load();
        let plugins: BTreeMap<_, _> =
            self.files.values().filter_map(|file| file.plugin.clone()).map(|plugin| (Arc::clone(&plugin.name), plugin)).collect();
        let same = plugins.len() == current.plugins.len()
            && plugins.iter().all(|(name, plugin)| current.plugins.get(name).is_some_and(|served| Arc::ptr_eq(served, plugin)));
        if !same || current.generation == 0 {
            let catalog = Catalog::new(current.generation + 1, plugins, self.instructions.as_deref(), &self.servers);
            self.catalog.store(Arc::new(catalog));
        }
        let problems = self.files.iter().filter(|(_, file)| file.reported).filter_map(|(name, file)| {
            Some(Problem { plugin: name.clone(), reason: file.reason.clone()?, last_good_serves: file.plugin.is_some() })
        });
        self.problems.send_replace(problems.collect());
    }

    /// When something is due without a notice.
    fn next_look(&self) -> Instant {
        let files = self.files.values().filter_map(File::next_look);
        files.min().unwrap_or_else(|| Instant::now() + POLL).min(Instant::now() + POLL)
    }
}

impl File {
    /// Its state was not tried yet, or it failed while it was young and is quiet now.
    fn due(&self, now: Instant, all_finished: bool) -> bool {
        if self.tried != Some(self.stamp) {
            return all_finished || self.tried.is_none() || now.duration_since(self.tried_at) >= RETRY;
        }
        self.reason.is_some() && !self.reported && now.duration_since(self.since) >= QUIET
    }

    fn next_look(&self) -> Option<Instant> {
        if let Some(since) = self.gone_since {
            return Some(since + GONE);
        }
        if self.tried != Some(self.stamp) {
            return Some(self.tried_at + RETRY);
        }
        (self.reason.is_some() && !self.reported).then(|| self.since + QUIET)
    }

    /// Takes a version that loaded. True when it is another one than before.
    fn serve(&mut self, plugin: Plugin, order: u64) -> bool {
        let had_reason = self.reason.take().is_some();
        self.reported = false;
        let before = self.plugin.as_ref().map(|plugin| plugin.guest.digest());
        if before == Some(plugin.guest.digest()) {
            return had_reason;
        }
        let (digest, tools) = (plugin.guest.digest(), plugin.tools.len());
        match before {
            None => tracing::info!(plugin = %plugin.name, plugin.digest = %digest.short(), tools, "plugin loaded"),
            Some(_) => tracing::info!(plugin = %plugin.name, plugin.digest = %digest.short(), tools, "plugin replaced"),
        }
        if before.is_none() {
            self.arrived = order;
        }
        self.plugin = Some(Arc::new(plugin));
        true
    }
}

fn report(name: &str, last_good_serves: bool, error: &PluginError) {
    if last_good_serves {
        tracing::warn!(plugin = %name, %error, "the new version of a plugin is not served; the last good one goes on");
    } else {
        tracing::warn!(plugin = %name, %error, "a file in the plugin directory is not served");
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
