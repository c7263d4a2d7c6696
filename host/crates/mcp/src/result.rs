//! Results, in the words of each revision.

mod offers;
mod plain;
mod tools;

pub use offers::{COMPLETION_VALUES_MAX, CompleteResult, GetPromptResult, List, ListResult, ReadResourceResult};
pub use plain::Misfit;
pub use tools::{CallToolResult, InputRequest, InputRequiredResult};

use crate::capability::ServerCapabilities;
use crate::members::Members;
use crate::text::{JsonText, Object};
use crate::tool::{Icon, write_icons};
use crate::{Revision, meta};
use serde_json::value::RawValue;

/// A client or a server by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Implementation {
    /// For programs.
    pub name: Box<str>,
    /// For people.
    pub title: Option<Box<str>>,
    /// Any form.
    pub version: Box<str>,
    /// Where to read about it.
    pub website_url: Option<Box<str>>,
    /// Pictures; those of clients are not read.
    pub icons: Vec<Icon>,
}

impl Implementation {
    /// Reads `clientInfo`. `None` if it is no object, or `name` or `version` is no string. A `title` that is no
    /// string is ignored: nothing hangs on it.
    #[must_use]
    pub fn from_json(raw: &RawValue) -> Option<Implementation> {
        let members = Members::of(raw.get())?;
        Some(Implementation {
            name: members.required_string("name").ok()?,
            title: members.string("title").ok().flatten(),
            version: members.required_string("version").ok()?,
            website_url: members.string("websiteUrl").ok().flatten(),
            icons: Vec::new(),
        })
    }

    /// The object without the members that `revision` does not know.
    #[must_use]
    pub fn write(&self, revision: Revision) -> JsonText {
        let mut object = Object::new();
        object.string("name", &self.name);
        if revision.titles() {
            object.string_if("title", self.title.as_deref());
        }
        object.string("version", &self.version);
        if revision.icons() {
            object.string_if("websiteUrl", self.website_url.as_deref());
        }
        write_icons(&mut object, revision, &self.icons);
        object.end()
    }
}

/// Who may keep a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheScope {
    /// Anyone on the way.
    Public,
    /// The caller only: the list was filtered for its credential (3.3).
    Private,
}

/// How long a list may be kept, and by whom. All pages of a list have the same scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheHints {
    /// In milliseconds; at most `i64::MAX` of them are written.
    pub ttl_ms: u64,
    /// By whom.
    pub scope: CacheScope,
}

/// A result with the members that every result of its revision has, under construction.
pub(crate) struct Shell<'a> {
    revision: Revision,
    server: &'a Implementation,
    pub(crate) object: Object,
}

impl<'a> Shell<'a> {
    pub(crate) fn new(revision: Revision, server: &'a Implementation, kind: &str) -> Shell<'a> {
        let mut object = Object::with_capacity(512);
        if revision.result_type() {
            object.string("resultType", kind);
        }
        Shell { revision, server, object }
    }

    pub(crate) fn cache(&mut self, hints: CacheHints) {
        if self.revision.cache_hints() {
            self.object.integer("ttlMs", i64::try_from(hints.ttl_ms).unwrap_or(i64::MAX));
            let scope = match hints.scope {
                CacheScope::Public => "public",
                CacheScope::Private => "private",
            };
            self.object.string("cacheScope", scope);
        }
    }

    pub(crate) fn end(mut self, guest_meta: Option<&JsonText>) -> JsonText {
        let own: &[(&str, JsonText)] =
            if self.revision.server_info_in_results() { &[(meta::SERVER_INFO, self.server.write(self.revision))] } else { &[] };
        self.object.raw_if("_meta", meta::compose(guest_meta, own).as_ref());
        self.object.end()
    }
}

/// The result of a method that has nothing to say, such as `ping`: `{}` and what the revision demands.
#[must_use]
pub fn empty(revision: Revision, server: &Implementation) -> JsonText {
    Shell::new(revision, server, "complete").end(None)
}

/// The result that ends `subscriptions/listen`, naming the request that it answers (1.8).
#[must_use]
pub fn listen_ended(revision: Revision, server: &Implementation, subscription: &crate::Id) -> JsonText {
    let mut object = Object::new();
    object.string("resultType", "complete");
    let own = [(meta::SUBSCRIPTION_ID, subscription.write()), (meta::SERVER_INFO, server.write(revision))];
    object.raw_if("_meta", meta::compose(None, &own).as_ref());
    object.end()
}

/// The answer of `initialize` (legacy era).
#[derive(Clone, Copy, Debug)]
pub struct InitializeResult<'a> {
    /// What was negotiated.
    pub revision: Revision,
    /// What the server offers.
    pub capabilities: &'a ServerCapabilities,
    /// Which server it is.
    pub server: &'a Implementation,
    /// What the model should know.
    pub instructions: Option<&'a str>,
}

impl InitializeResult<'_> {
    /// The result on the wire.
    #[must_use]
    pub fn write(&self) -> JsonText {
        let mut object = Object::new();
        object.string("protocolVersion", self.revision.as_str());
        object.raw("capabilities", &self.capabilities.write(self.revision));
        object.raw("serverInfo", &self.server.write(self.revision));
        object.string_if("instructions", self.instructions);
        object.end()
    }
}

/// The answer of `server/discover` (modern era, 1.7).
#[derive(Clone, Copy, Debug)]
pub struct DiscoverResult<'a> {
    /// What the request speaks.
    pub revision: Revision,
    /// What the server offers.
    pub capabilities: &'a ServerCapabilities,
    /// Which server it is.
    pub server: &'a Implementation,
    /// What the model should know.
    pub instructions: Option<&'a str>,
    /// How long this may be kept.
    pub cache: CacheHints,
}

impl DiscoverResult<'_> {
    /// The result on the wire. `supportedVersions` are the modern ones, as in `-32022` (1.3).
    #[must_use]
    pub fn write(&self) -> JsonText {
        let mut shell = Shell::new(self.revision, self.server, "complete");
        let versions = Revision::MODERN.iter().map(|revision| JsonText::string(revision.as_str()));
        shell.object.list("supportedVersions", versions);
        shell.object.raw("capabilities", &self.capabilities.write(self.revision));
        shell.object.string_if("instructions", self.instructions);
        shell.cache(self.cache);
        shell.end(None)
    }
}

#[cfg(test)]
mod tests;
