//! What a run may reach beyond itself: plain data, made by the host and carried by the permit. What is not in it is refused when the guest
//! reaches for it.
//!
//! Each kind of capability has a file of its own below, and a member of [`Grants`] and of [`Asks`]: what the operator grants, and what the
//! component's own side file asks for. Only what is in both is in force; the host makes the [`Grants`] of one from the other, once for each of
//! its generations.

mod given;
mod http;
mod keyvalue;
mod name;
mod several;

pub use self::given::{Directories, Directory, Environment, Settings};
pub use self::http::{HttpHost, HttpPattern, HttpRule, HttpScheme, HttpTerms, Mismatch, Network};
pub use self::keyvalue::{BucketGrant, BucketTerms};
pub use self::name::{BucketName, GuestPath, SettingName, VariableName};
pub use self::several::Several;

use crate::{FileQuota, Reach};
use serde::Deserialize;
use std::sync::Arc;

/// The capabilities that a run gets.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// Requests that may leave; none may where there is no rule.
    pub http: Several<HttpRule>,
    /// Settings that it reads by `wasi:config/store`.
    pub config: Settings,
    /// Its environment, which has nothing of the host's.
    pub environment: Environment,
    /// Directories that it may read, and those of them that it may write.
    pub files: Directories,
    /// Buckets that it keeps values in by `wasi:keyvalue`.
    pub keyvalue: Several<BucketGrant>,
    /// A directory for what nobody keeps, made for its call or its session.
    pub scratch: Option<ScratchTerms>,
    /// Calls of one caller that may meet in one instance; none: each has its own.
    pub reuse: Option<Reuse>,
}

/// So many calls of one caller may be answered by one instance, one after the other: each may find what earlier ones left in its memory. Clones are
/// one grant; calls of another one never meet these, though it says the same.
#[derive(Debug, Clone)]
pub struct Reuse(Arc<u32>);

impl Reuse {
    /// A grant of its own for so many calls.
    pub fn new(calls_max: u32) -> Self {
        Self(Arc::new(calls_max))
    }

    pub(crate) fn calls_max(&self) -> u32 {
        *self.0
    }
}

impl PartialEq for Reuse {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// On what terms a run has a scratch directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchTerms {
    /// Who grants it.
    pub grant: Arc<str>,
    /// Where the guest finds it.
    pub path: GuestPath,
    /// How much may be in it.
    pub quota: FileQuota,
}

impl Grants {
    /// Clocks, randomness and bounded logs, which every guest has; nothing else.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether that is all.
    pub fn is_none(&self) -> bool {
        let Self { http, config, environment, files, keyvalue, scratch, reuse } = self;
        let nothing = http.is_empty() && config.is_empty() && environment.is_empty() && files.is_empty() && keyvalue.is_empty();
        nothing && scratch.is_none() && reuse.is_none()
    }

    /// Whether calls may meet in one instance. A scratch directory is another one each time, and a guest knows that of before.
    pub(crate) fn meeting(&self) -> Option<&Reuse> {
        self.reuse.as_ref().filter(|_| self.scratch.is_none())
    }
}

/// What a component asks for, by its side file. Asking grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asks {
    /// Requests that it sends. An empty list is for a component that imports HTTP, as language runtimes do, and needs none.
    pub http: Option<Vec<HttpPattern>>,
    /// Settings that it reads by `wasi:config/store`. An empty list is for one that imports that, and needs none.
    pub config: Option<Vec<SettingName>>,
    /// Environment variables that it reads.
    pub environment: Vec<VariableName>,
    /// Directories that it reads, by the paths where it looks for them.
    pub files: Vec<GuestPath>,
    /// Buckets that it keeps values in by `wasi:keyvalue`. An empty list is for one that imports that, and needs none.
    pub keyvalue: Option<Vec<BucketName>>,
    /// Those that it also writes.
    pub files_write: Vec<GuestPath>,
    /// A directory for what nobody keeps.
    pub scratch: bool,
}

impl Asks {
    /// Whether a component may import what reaches there: what every language runtime imports it may in any case, and is refused when it
    /// calls it; what only a component imports that means to use it has to be asked for.
    pub(crate) fn allow_import(&self, reach: Reach) -> bool {
        match reach {
            Reach::Nothing | Reach::Files | Reach::Environment | Reach::Sockets => true,
            Reach::Http => self.http.is_some(),
            Reach::Config => self.config.is_some(),
            Reach::KeyValue => self.keyvalue.is_some(),
            Reach::Unknown => false,
        }
    }

    /// Whether it asks for nothing that reaches beyond its call.
    pub fn is_nothing(&self) -> bool {
        let Self { http, config, environment, files, files_write, keyvalue, scratch } = self;
        let nothing = http.as_ref().is_none_or(Vec::is_empty) && config.as_ref().is_none_or(Vec::is_empty);
        let nothing = nothing && keyvalue.as_ref().is_none_or(Vec::is_empty);
        nothing && environment.is_empty() && files.is_empty() && files_write.is_empty() && !scratch
    }
}
