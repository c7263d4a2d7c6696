//! Which plugins may be served: what the lock file names, signed by whom the settings want.
//!
//! Asked twice: of a file's bytes, before anything of a component is compiled, and of what it offers, before anybody sees it. The answer is
//! never kept: what is approved may change while a plugin is served, and then it is asked again.

mod approved;
mod lock;
mod signature;

pub use approved::{Approved, Change, Definition};
pub use lock::{Lock, LockError, PluginId};
pub use signature::Signer;

use super::Plugin;
use super::directory::Read;
use crate::config::{Config, TenantId, TrustConfig, TrustMode};
use arc_swap::ArcSwap;
use sandbox::Digest;
use signature::{Keys, SignatureFault};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// What is asked of plugins at one moment.
#[derive(Debug, Default)]
pub struct Rules {
    lock: Lock,
    keys: Keys,
    signature_required: bool,
    /// Of the shared directory.
    mode: TrustMode,
    /// Of tenants' own.
    modes: BTreeMap<TenantId, TrustMode>,
}

/// What is asked of plugins cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The lock file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A key.
    #[error("{0}")]
    Key(String),
}

impl Rules {
    /// As the settings want them. Blocks.
    ///
    /// # Errors
    ///
    /// When the lock file or a key cannot be used.
    pub fn load(config: &Config) -> Result<Self, TrustError> {
        let rules = Self::of_signatures(config)?;
        let modes = config.tenants.iter().filter_map(|tenant| {
            tenant.plugin_directory.as_ref()?;
            Some((tenant.id.clone(), tenant.plugin_trust.unwrap_or(config.trust.mode)))
        });
        let rules = Self { mode: config.trust.mode, modes: modes.collect(), ..rules };
        if rules.modes().all(|mode| mode == TrustMode::Open) {
            return Ok(rules);
        }
        let path = &config.trust.lock;
        among_plugins(config)?;
        match Lock::read(path)? {
            Some(lock) => Ok(Self { lock, ..rules }),
            None if rules.modes().any(|mode| mode == TrustMode::Locked) => Err(LockError::Missing(path.clone()).into()),
            None => Ok(rules),
        }
    }

    /// Those that ask for signatures alone: for commands that say what there is to approve.
    ///
    /// # Errors
    ///
    /// When a key cannot be used.
    pub fn of_signatures(config: &Config) -> Result<Self, TrustError> {
        let TrustConfig { keys, key_files, signature_required, .. } = &config.trust;
        let keys = Keys::read(keys, key_files).map_err(TrustError::Key)?;
        Ok(Self { keys, signature_required: *signature_required, ..Self::default() })
    }

    /// The same with what this approves.
    #[must_use]
    pub fn approving(&self, lock: Lock) -> Self {
        let Self { lock: _, keys, signature_required, mode, modes } = self;
        Self { lock, keys: keys.clone(), signature_required: *signature_required, mode: *mode, modes: modes.clone() }
    }

    /// What is approved.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Whether the lock file is asked of that tenant's plugins, or of the shared ones.
    pub fn mode(&self, tenant: Option<&TenantId>) -> TrustMode {
        tenant.and_then(|tenant| self.modes.get(tenant)).copied().unwrap_or(self.mode)
    }

    fn modes(&self) -> impl Iterator<Item = TrustMode> {
        [self.mode].into_iter().chain(self.modes.values().copied())
    }

    fn same_signatures(&self, other: &Self) -> bool {
        self.keys == other.keys && self.signature_required == other.signature_required
    }
}

/// Refuses a lock file that whoever brings plugins could replace.
///
/// # Errors
///
/// When it is one.
pub fn among_plugins(config: &Config) -> Result<(), LockError> {
    let real = |path: &std::path::Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let parent = config.trust.lock.parent().map(|parent| if parent.as_os_str().is_empty() { std::path::Path::new(".") } else { parent });
    let parent = parent.map(real).unwrap_or_default();
    let among = config.plugin_directories().into_iter().any(|named| parent.starts_with(real(named.path)));
    if among { Err(LockError::AmongPlugins(config.trust.lock.clone())) } else { Ok(()) }
}

/// The rules as they are now, for whoever serves plugins.
#[derive(Debug, Default)]
pub struct Trust {
    now: ArcSwap<Rules>,
    changed: watch::Sender<()>,
}

impl Trust {
    /// Beginning with these.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { now: ArcSwap::new(rules), changed: watch::Sender::new(()) }
    }

    /// As they are now.
    pub(super) fn now(&self) -> Arc<Rules> {
        self.now.load_full()
    }

    /// From now on others. Who serves hears of it at once, and what may not be served any more goes within a moment.
    pub fn replace(&self, rules: Arc<Rules>) {
        self.now.store(rules);
        self.changed.send_replace(());
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// What is asked of the plugins of one directory.
#[derive(Debug, Clone, Default)]
pub struct Ward {
    rules: Arc<Rules>,
    tenant: Option<TenantId>,
}

impl Ward {
    /// Of that tenant's directory, or of the shared one.
    pub fn new(rules: Arc<Rules>, tenant: Option<TenantId>) -> Self {
        Self { rules, tenant }
    }

    /// Whether it asks for the same signatures as the other one.
    pub(super) fn same_signatures(&self, other: &Self) -> bool {
        self.rules.same_signatures(&other.rules)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules)
    }

    /// Of a file's bytes, before anything of them is compiled: who signed them, if that is asked for or said.
    pub(super) fn admit(&self, name: &str, read: &Read) -> Result<Option<Signer>, Box<Untrusted>> {
        let component = Digest::of(&read.component);
        let unsigned = |fault: SignatureFault| {
            let why = match &fault {
                SignatureFault::Missing => Why::SignatureMissing,
                SignatureFault::OtherKey(_) => Why::SignatureKey,
                SignatureFault::Wrong(_) | SignatureFault::Unreadable(_) => Why::SignatureWrong,
            };
            self.untrusted(name, why, component, fault.to_string())
        };
        let signer = match self.rules.keys.verify(&read.component, &read.signature) {
            _ if self.rules.keys.is_empty() => None,
            Ok(signer) => Some(signer),
            // Nobody asked for one. A signature that is wrong is never passed over.
            Err(SignatureFault::Missing | SignatureFault::OtherKey(_)) if !self.rules.signature_required => None,
            Err(fault) => return Err(unsigned(fault)),
        };
        if self.mode() == TrustMode::Locked {
            self.compare(name, component, read.side.as_deref().map(Digest::of))?;
        }
        Ok(signer)
    }

    /// Of a plugin that could be served, or is: why it may not.
    pub(super) fn judge(&self, plugin: &Plugin) -> Result<(), Box<Untrusted>> {
        let (name, (component, side)) = (&*plugin.name, plugin.made_of());
        if self.rules.signature_required && !plugin.signer.as_ref().is_some_and(|signer| self.rules.keys.count(signer)) {
            let words = "whoever signed it does not count any more".to_owned();
            return Err(self.untrusted(name, Why::SignatureKey, component, words));
        }
        if self.mode() == TrustMode::Open {
            return Ok(());
        }
        let changes = self.approved(name).map(|approved| approved.changes(plugin.approved())).unwrap_or_default();
        let tools = changes.iter().map(|change| ChangedTool {
            tool: change.tool.to_owned(),
            old: change.old.map(|old| old.digest),
            new: change.new.map(|new| new.digest),
        });
        let same = self.compare(name, component, side).and_then(|()| match changes.first() {
            None => Ok(()),
            Some(first) => {
                let tool = mcp::text::line(first.tool, 128);
                let words = format!("what it offers is not what is approved of the same component, beginning with the tool `{tool}`");
                Err(self.untrusted(name, Why::DefinitionChanged, component, self.remedy(words, name)))
            }
        });
        same.map_err(|untrusted| Box::new(Untrusted { tools: tools.collect(), ..*untrusted }))
    }

    fn mode(&self) -> TrustMode {
        self.rules.mode(self.tenant.as_ref())
    }

    fn id(&self, name: &str) -> PluginId {
        PluginId { tenant: self.tenant.clone(), name: name.to_owned() }
    }

    fn approved(&self, name: &str) -> Option<&Approved> {
        self.rules.lock.plugins.get(&self.id(name))
    }

    /// Whether these bytes are those that are approved.
    fn compare(&self, name: &str, component: Digest, side: Option<Digest>) -> Result<(), Box<Untrusted>> {
        let untrusted = |why, words| self.untrusted(name, why, component, self.remedy(words, name));
        let Some(approved) = self.approved(name) else {
            let words = format!("it is not approved: the lock file does not name it (its component is {component:?})");
            return Err(untrusted(Why::NotApproved, words));
        };
        if approved.component != component {
            let words = format!("its component is {component:?}, and {:?} is approved", approved.component);
            return Err(untrusted(Why::ComponentChanged, words));
        }
        if approved.side != side {
            let word = |side: Option<Digest>| side.map_or_else(|| "none".to_owned(), |side| format!("{side:?}"));
            let words = format!("its side file is {}, and {} is approved", word(side), word(approved.side));
            let (old, new) = (approved.side, side);
            return Err(Box::new(Untrusted { old, new, ..*untrusted(Why::SideFileChanged, words) }));
        }
        Ok(())
    }

    fn untrusted(&self, name: &str, why: Why, component: Digest, words: String) -> Box<Untrusted> {
        let old = self.approved(name).map(|approved| approved.component);
        Box::new(Untrusted { why, component, old, new: Some(component), tools: Vec::new(), words })
    }

    fn remedy(&self, words: String, name: &str) -> String {
        let id = mcp::text::line(&self.id(name).to_string(), 300);
        format!("{words}; `gatehouse plugins diff {id}` shows what is new, `gatehouse plugins approve {id}` approves it")
    }
}

/// Why a plugin may not be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untrusted {
    /// Of what kind it is.
    pub why: Why,
    /// The component that lies there.
    pub component: Digest,
    /// What is approved: a component, or a side file if that is what changed; none if there is none.
    pub old: Option<Digest>,
    /// What lies there instead.
    pub new: Option<Digest>,
    /// Tools that would have another definition, as far as that is known.
    pub tools: Vec<ChangedTool>,
    words: String,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// A tool whose definition is not the one that is approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedTool {
    /// Its name.
    pub tool: String,
    /// Of the approved definition; none: the tool is new.
    pub old: Option<Digest>,
    /// Of the other one; none: the tool is gone.
    pub new: Option<Digest>,
}

/// Of what kind the reason is: a closed set, for the journal and for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The lock file does not name the plugin.
    NotApproved,
    /// It names another component.
    ComponentChanged,
    /// It names another side file.
    SideFileChanged,
    /// The same component offers something else.
    DefinitionChanged,
    /// There is no signature.
    SignatureMissing,
    /// It is by a key that does not count.
    SignatureKey,
    /// It is none of these bytes.
    SignatureWrong,
}

impl Why {
    /// Whether it is about who signed a component, and not about what is approved.
    pub(super) fn is_of_signature(self) -> bool {
        match self {
            Self::SignatureMissing | Self::SignatureKey | Self::SignatureWrong => true,
            Self::NotApproved | Self::ComponentChanged | Self::SideFileChanged | Self::DefinitionChanged => false,
        }
    }

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotApproved => "not_approved",
            Self::ComponentChanged => "component_changed",
            Self::SideFileChanged => "side_file_changed",
            Self::DefinitionChanged => "definition_changed",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureKey => "signature_key",
            Self::SignatureWrong => "signature_wrong",
        }
    }
}
