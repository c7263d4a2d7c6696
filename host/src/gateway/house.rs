//! Generations: made of the settings and of what lies in the plugin directories, and made anew when either is another. One loop does all of
//! it, so generations follow each other in one order.

use super::approvals::{self, LockFile};
use super::compartments::{self, Compartments, Copies};
use super::supervise::{Rounds, Supervisor};
use super::tidings::Tidings;
use super::{StartError, check_plugin_directory};
use crate::auth::{AdminToken, Authenticator, Bearer, Policies};
use crate::catalog::{Catalog, Given, Library, LibraryView, Loader, Lock, LockError, Problem, Rules, Shelves, Trust, TrustError};
use crate::config::{AuthConfig, Config, Stamp, TenantId};
use crate::confinement::Confinement;
use crate::control::Reload;
use crate::egress::Means;
use crate::generation::Generation;
use crate::http::{Front, LastReload, OriginPolicy};
use crate::journal::{Event, Journal, Kind};
use crate::metrics;
use crate::revocation::Revocations;
use crate::tenant::Tenants;
use sandbox::{Compartment, Sandbox};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;

/// Between two looks at the files of the settings. One that changed is read when it was the same twice: what is half-written may well be
/// settings too, and other ones.
const LOOK: Duration = Duration::from_millis(500);

/// What generations are made of.
pub(super) struct House {
    config: Config,
    /// What its grants give.
    given: Given,
    sandbox: Arc<Sandbox>,
    revocations: Arc<Revocations>,
    loader: Loader,
    /// Of tenants that are isolated strictly.
    compartments: Compartments,
    copies: Copies,
    /// What is asked of plugins.
    rules: Arc<Rules>,
    lock: LockFile,
    told: Arc<Notify>,
    shared: Wing,
    own: BTreeMap<TenantId, Wing>,
    problems: watch::Sender<Vec<Problem>>,
    files: Files,
    /// What the journal was told of plugins.
    tidings: Tidings,
    confinement: Confinement,
    /// Fetch the keys that issuers serve.
    keys: Vec<AbortOnDropHandle<()>>,
}

/// One plugin directory.
struct Wing {
    directory: PathBuf,
    /// Where its plugins run, if not where everybody's do.
    compartment: Option<Compartment>,
    /// What is asked of its plugins; its own, so that a new directory is asked by new rules before the others are.
    trust: Arc<Trust>,
    view: LibraryView,
    /// Until somebody watches over it.
    library: Option<Library>,
    watching: Option<AbortOnDropHandle<()>>,
}

impl Wing {
    async fn open(directory: &Path, tenant: Option<&TenantId>, makers: Makers<'_>) -> Result<Self, StartError> {
        let Makers { loader, compartments, rules, told } = makers;
        check_plugin_directory(directory)?;
        let compartment = tenant.and_then(|tenant| compartments.get(tenant));
        let loader = compartment.map_or_else(|| loader.clone(), |compartment| loader.within(compartment));
        let trust = Arc::new(Trust::new(Arc::clone(rules)));
        let mut library = Library::new(directory.to_owned(), tenant.cloned(), loader, Arc::clone(&trust), Arc::clone(told));
        let view = library.view();
        library.scan_once().await;
        let compartment = compartment.cloned();
        Ok(Self { directory: directory.to_owned(), compartment, trust, view, library: Some(library), watching: None })
    }

    fn watch(&mut self, supervisor: &Supervisor) {
        if let Some(library) = self.library.take() {
            self.watching = Some(supervisor.start(library));
        }
    }
}

/// What a plugin directory's plugins are made with.
#[derive(Clone, Copy)]
struct Makers<'a> {
    loader: &'a Loader,
    compartments: &'a Compartments,
    rules: &'a Arc<Rules>,
    told: &'a Arc<Notify>,
}

/// Directories that are not read yet.
#[derive(Default)]
struct NewWings {
    shared: Option<Wing>,
    own: BTreeMap<TenantId, Wing>,
}

impl std::fmt::Debug for House {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("House").field("shared", &self.shared.directory).finish_non_exhaustive()
    }
}

impl House {
    /// Loads everything that lies in the plugin directories of the settings.
    pub(super) async fn build(config: &Config, sandbox: &Arc<Sandbox>, revocations: &Arc<Revocations>) -> Result<Self, StartError> {
        let (files, lock) = (Files::of(config), LockFile::of(config));
        let loader = Loader::new(Arc::clone(sandbox), config.limits.plugins.clone());
        let rules = rules(config).await?;
        let given = Given::load(config, None)?;
        given.count().await;
        let told = Arc::new(Notify::new());
        let compartments = compartments::make(config, sandbox, &Compartments::new())?;
        let makers = Makers { loader: &loader, compartments: &compartments, rules: &rules, told: &told };
        let shared = Wing::open(&config.plugin_directory, None, makers).await?;
        let mut own = BTreeMap::new();
        for tenant in &config.tenants {
            if let Some(directory) = &tenant.plugin_directory {
                own.insert(tenant.id.clone(), Wing::open(directory, Some(&tenant.id), makers).await?);
            }
        }
        let (config, sandbox, revocations) = (config.clone(), Arc::clone(sandbox), Arc::clone(revocations));
        let (problems, tidings) = (watch::Sender::default(), Tidings::default());
        let (confinement, keys, copies) = (Confinement::Off, Vec::new(), Copies::default());
        let house = Self {
            config,
            given,
            sandbox,
            revocations,
            loader,
            compartments,
            copies,
            rules,
            lock,
            told,
            shared,
            own,
            problems,
            files,
            tidings,
            confinement,
            keys,
        };
        house.find_problems();
        Ok(house)
    }

    /// In a process that cannot reach everything that other settings may name.
    pub(super) fn confined(self, confinement: Confinement) -> Self {
        Self { confinement, ..self }
    }

    /// The first generation.
    pub(super) async fn first(&mut self) -> Result<Generation, StartError> {
        let authenticator = authenticator(&self.config, (&self.sandbox, &self.compartments), &self.revocations, None).await?;
        let shelves = self.with_copies(self.shelves()).await;
        Ok(Generation { authenticator, catalog: Arc::new(Catalog::new(1, shelves, &self.config, &self.given)) })
    }

    /// What is wrong in the plugin directories now.
    pub(super) fn problems(&self) -> watch::Receiver<Vec<Problem>> {
        self.problems.subscribe()
    }

    fn shelves(&self) -> Shelves {
        let own = self.own.iter().map(|(tenant, wing)| (tenant.clone(), wing.view.shelf()));
        Shelves { shared: self.shared.view.shelf(), own: own.collect(), copies: BTreeMap::new() }
    }

    async fn with_copies(&mut self, shelves: Shelves) -> Shelves {
        let copies = self.copies.follow(&shelves.shared.plugins, (&self.config, &self.compartments), &self.loader).await;
        Shelves { copies, ..shelves }
    }

    /// A tenant's are named behind its name.
    fn find_problems(&self) {
        let own = self.own.iter().flat_map(|(tenant, wing)| {
            let problems = wing.view.problems().into_iter();
            problems.map(move |problem| Problem { plugin: format!("{tenant}/{}", problem.plugin), ..problem })
        });
        let problems: Vec<_> = self.shared.view.problems().into_iter().chain(own).collect();
        self.problems.send_if_modified(|known| {
            let changed = *known != problems;
            *known = problems;
            changed
        });
    }

    /// Tells the journal of plugins that are others than when it was told last.
    pub(super) fn tell(&mut self, journal: &Journal) {
        self.tidings.tell(journal, &self.shelves(), &self.problems.borrow());
    }

    /// Watches over everything that generations are made of, and makes them.
    pub(super) fn open(mut self, front: Arc<Front>, supervisor: Supervisor, asked: mpsc::Receiver<Reload>) -> OpenHouse {
        self.watch(&supervisor);
        self.keep_keys(&front.rooms.generation.load().authenticator, &supervisor);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        OpenHouse { house: self, front, supervisor, asked, looks, is_behind: false }
    }

    fn watch(&mut self, supervisor: &Supervisor) {
        [&mut self.shared].into_iter().chain(self.own.values_mut()).for_each(|wing| wing.watch(supervisor));
    }

    /// Fetches for these rules, and for those of before no more.
    fn keep_keys(&mut self, authenticator: &Authenticator, supervisor: &Supervisor) {
        self.keys = authenticator.bearer().into_iter().flat_map(Bearer::key_fetchers).map(|fetcher| supervisor.start(fetcher)).collect();
    }

    /// The next generation, with other rules or with those of before.
    async fn publish(&mut self, front: &Front, authenticator: Option<Arc<Authenticator>>) {
        self.find_problems();
        let rooms = &front.rooms;
        self.tell(&rooms.journal);
        let before = rooms.generation.load_full();
        let (rules, shelves) = (authenticator.is_some(), self.shelves());
        if !rules && shelves.is_same(&before.catalog.shelves) {
            return;
        }
        let shelves = self.with_copies(shelves).await;
        let catalog = Arc::new(Catalog::new(before.catalog.generation + 1, shelves, &self.config, &self.given));
        let now = Generation { authenticator: authenticator.unwrap_or_else(|| Arc::clone(&before.authenticator)), catalog };
        let now = Arc::new(now);
        count_calls(&now);
        rooms.generation.store(Arc::clone(&now));
        // They are of before, whoever would call them.
        self.sandbox.drop_kept();
        if rules {
            rooms.rules_changed().await;
        }
        rooms.lists_changed(&before.catalog, &now.catalog, rules);
    }

    /// Reads the settings again. Says what became of it; if anything is wrong the running ones go on.
    async fn reload(&mut self, front: &Front, supervisor: &Supervisor) -> Result<String, String> {
        let done = self.reload_now(front, supervisor).await;
        let event = match &done {
            Ok((_, later)) if later.is_empty() => Event::new(Kind::ConfigReloaded),
            Ok((_, later)) => Event::new(Kind::ConfigReloaded).to(&later.join(", ")),
            Err(NotTaken { word, .. }) => Event::new(Kind::ConfigRejected).because(*word),
        };
        front.rooms.journal.note(event);
        let said = match done {
            Ok((generation, later)) if later.is_empty() => Ok(format!("the settings are in force (generation {generation})")),
            Ok((generation, later)) => {
                let later = later.join(", ");
                Ok(format!("the settings are in force (generation {generation}), but for {later}, which need a restart"))
            }
            Err(NotTaken { reason, .. }) => Err(reason),
        };
        metrics::RELOAD.count(if said.is_ok() { "ok" } else { "refused" });
        front.last_reload.store(Some(Arc::new(LastReload::now(said.clone()))));
        said
    }

    async fn reload_now(&mut self, front: &Front, supervisor: &Supervisor) -> Result<InForce, NotTaken> {
        let began = Instant::now();
        let done = self.try_reload(front, supervisor).await;
        match &done {
            Ok((generation, later)) => {
                let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(generation, ms, "the settings were read again");
                if !later.is_empty() {
                    tracing::warn!(settings = %later.join(", "), "these settings changed and take effect at the next start");
                }
            }
            Err(NotTaken { reason, .. }) => tracing::error!(%reason, "the settings were not taken; the running ones go on"),
        }
        done
    }

    async fn try_reload(&mut self, front: &Front, supervisor: &Supervisor) -> Result<InForce, NotTaken> {
        let source = self.config.source.clone();
        let read = tokio::task::spawn_blocking(move || source.load()).await.map_err(|error| NotTaken::new("settings", error))?;
        let config = read.map_err(|error| NotTaken::new("settings", error))?;
        self.confinement.permits(&config).map_err(|error| NotTaken::new("settings", error))?;
        // The settings were checked against the address that they name, which counts at the next start only.
        if matches!(config.auth, AuthConfig::Open) && !front.address.ip().is_loopback() {
            let reason = format!(
                "auth.mode: is \"none\", and {}, which other machines can reach, is listened on until the next start; stop the gateway first",
                front.address
            );
            return Err(NotTaken::new("open_to_others", reason));
        }
        let (files, lock) = (Files::of(&config), LockFile::of(&config));
        let rules = rules(&config).await?;
        let admin = config.admin.as_ref().map(AdminToken::load).transpose().map_err(|error| NotTaken::new("admin", error))?;
        let means = Means::load(&config).map_err(|error| NotTaken::new("grants", error))?;
        let given = Given::load(&config, Some(&self.given)).map_err(|error| NotTaken::new("grants", error))?;
        let before = front.rooms.generation.load_full();
        let compartments =
            compartments::make(&config, &self.sandbox, &self.compartments).map_err(|error| NotTaken::new("isolation", error))?;
        let authenticator = authenticator(&config, (&self.sandbox, &compartments), &self.revocations, Some(&before.authenticator)).await?;
        let new = self.new_wings(&config, &compartments, &rules).await?;
        // From here on nothing can fail.
        let later = self.config.needs_restart(&config);
        self.settle(&config, new);
        self.ask(rules, &front.rooms.journal);
        self.watch(supervisor);
        front.origins.store(Arc::new(OriginPolicy::new(&config.http, front.address)));
        // Without one nobody may administrate any more, although the listener is there until the next start.
        front.admin_token.store(admin.map(Arc::new));
        (self.config, self.given, self.files, self.lock, self.compartments) = (config, given, files, lock, compartments);
        front.rooms.egress.settle(means);
        self.given.count().await;
        self.keep_keys(&authenticator, supervisor);
        self.publish(front, Some(authenticator)).await;
        Ok((front.rooms.generation.load().catalog.generation, later))
    }

    /// Asks other things of plugins from now on.
    fn ask(&mut self, rules: Arc<Rules>, journal: &Journal) {
        approvals::tell(journal, self.rules.lock(), rules.lock());
        [&self.shared].into_iter().chain(self.own.values()).for_each(|wing| wing.trust.replace(Arc::clone(&rules)));
        self.rules = rules;
    }

    /// Takes what the lock file says now. One that is wrong, or gone, changes nothing.
    fn take_lock(&mut self, read: Result<Lock, LockError>, journal: &Journal) {
        match read {
            Ok(lock) => {
                tracing::info!(plugins = lock.plugins.len(), "the lock file was read again");
                self.ask(Arc::new(self.rules.approving(lock)), journal);
            }
            Err(error) => {
                tracing::error!(%error, "the lock file was not taken; what was approved goes on");
                journal.note(Event::new(Kind::ConfigRejected).because("lock"));
            }
        }
    }

    async fn new_wings(&mut self, config: &Config, compartments: &Compartments, rules: &Arc<Rules>) -> Result<NewWings, StartError> {
        let mut new = NewWings::default();
        let makers = Makers { loader: &self.loader, compartments, rules, told: &self.told };
        if config.plugin_directory != self.shared.directory {
            new.shared = Some(Wing::open(&config.plugin_directory, None, makers).await?);
        }
        for tenant in &config.tenants {
            let Some(directory) = &tenant.plugin_directory else { continue };
            let compartment = compartments.get(&tenant.id);
            // Guests stay where they are; so those that are to run elsewhere are loaded anew.
            let is_other = |wing: &Wing| wing.directory != *directory || wing.compartment.as_ref() != compartment;
            if self.own.get(&tenant.id).is_none_or(is_other) {
                new.own.insert(tenant.id.clone(), Wing::open(directory, Some(&tenant.id), makers).await?);
            }
        }
        Ok(new)
    }

    /// Takes new directories, and lets those go that the settings do not name any more.
    fn settle(&mut self, config: &Config, new: NewWings) {
        if let Some(shared) = new.shared {
            self.shared = shared;
        }
        self.own.retain(|id, _| config.tenants.iter().any(|tenant| tenant.id == *id && tenant.plugin_directory.is_some()));
        self.own.extend(new.own);
    }
}

/// Which generation, and the settings that wait for the next start.
type InForce = (u64, Vec<&'static str>);

/// Why settings were not taken.
struct NotTaken {
    /// Of what kind the reason is: the reason itself may name files.
    word: &'static str,
    reason: String,
}

impl NotTaken {
    fn new(word: &'static str, reason: impl ToString) -> Self {
        Self { word, reason: reason.to_string() }
    }
}

impl From<StartError> for NotTaken {
    fn from(error: StartError) -> Self {
        let word = match &error {
            StartError::Policy(_) => "policies",
            StartError::Issuer(_) => "issuers",
            StartError::PluginDirectory { .. } | StartError::PluginDirectoryOpen { .. } | StartError::Trust(_) => "plugins",
            _ => "other",
        };
        Self::new(word, error)
    }
}

/// A house whose generations follow each other.
pub(super) struct OpenHouse {
    house: House,
    front: Arc<Front>,
    supervisor: Supervisor,
    asked: mpsc::Receiver<Reload>,
    looks: Interval,
    /// There is something that is not of a generation yet.
    is_behind: bool,
}

impl Rounds for OpenHouse {
    const TASK: &'static str = "house";

    async fn round(&mut self) {
        let Self { house, front, supervisor, asked, looks, is_behind } = self;
        if *is_behind {
            house.publish(front, None).await;
            *is_behind = false;
            return;
        }
        tokio::select! {
            () = house.told.notified() => *is_behind = true,
            Some(answer) = asked.recv() => {
                let said = house.reload(front, supervisor).await;
                // Whoever asked may have gone.
                let _ = answer.send(said);
            }
            _ = looks.tick() => {
                if house.config.watch_settings && house.files.look(&house.config).await {
                    // Logged, and nobody waits for it.
                    let _ = house.reload(front, supervisor).await;
                } else if let Some(read) = house.lock.look().await {
                    // Whoever approves something means it now, whether or not settings are watched.
                    house.take_lock(read, &front.rooms.journal);
                }
            }
        }
    }
}

/// What these settings ask of plugins.
async fn rules(config: &Config) -> Result<Arc<Rules>, StartError> {
    let config = config.clone();
    let read = tokio::task::spawn_blocking(move || Rules::load(&config)).await;
    Ok(Arc::new(read.map_err(|error| TrustError::Key(error.to_string())).flatten()?))
}

async fn authenticator(
    config: &Config,
    (sandbox, compartments): (&Arc<Sandbox>, &Compartments),
    revocations: &Arc<Revocations>,
    before: Option<&Authenticator>,
) -> Result<Arc<Authenticator>, StartError> {
    let tenants = Arc::new(Tenants::load(config, before.map(Authenticator::tenants)));
    let policies = Arc::new(Policies::load(config, sandbox, compartments).await?);
    Ok(Arc::new(Authenticator::load(config, tenants, policies, Arc::clone(revocations), before)?))
}

/// Calls are counted by the tenants and tools of this generation from now on.
pub(super) fn count_calls(generation: &Generation) {
    let servers = generation.catalog.servers().flat_map(|(tenant, server)| {
        let tools = server.tools().iter().map(|tool| Some(&*tool.own_name));
        [None].into_iter().chain(tools).map(move |tool| (tenant.as_str(), tool))
    });
    metrics::CALLS.settle(servers);
}

/// The files that settings are made of.
struct Files {
    /// As they were before they were read.
    read: Vec<Stamp>,
    /// As they were at the last look.
    seen: Vec<Stamp>,
}

impl Files {
    /// Of settings whose policies and keys are not read yet.
    fn of(config: &Config) -> Self {
        let (seen, as_read) = config.stamps();
        Self { read: if as_read { seen.clone() } else { Vec::new() }, seen }
    }

    /// Whether they are others than those that were read, and finished. Says so once.
    async fn look(&mut self, config: &Config) -> bool {
        let config = config.clone();
        // A disk may take its time.
        let Ok((now, _)) = tokio::task::spawn_blocking(move || config.stamps()).await else { return false };
        let quiet = now == self.seen;
        self.seen = now;
        if quiet && self.seen != self.read {
            self.read = self.seen.clone();
            return true;
        }
        false
    }
}
