//! What a caller may do. The only place that makes permits.

use super::Caller;
use crate::catalog::{Prompt, Readable, Resource, Template, Tool};
use sandbox::{Authority, Grants, Guest, Permit, Work};

/// Decides, and holds the authority to permit.
#[derive(Debug)]
pub struct Policy {
    authority: Authority,
}

/// No. A client learns nothing more than that there is no such thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied;

/// What a caller wants to know of, or to use.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// A tool.
    Tool(&'a Tool),
    /// A resource that is listed.
    Resource(&'a Resource),
    /// A family of resources, or one of it.
    Template(&'a Template),
    /// A prompt.
    Prompt(&'a Prompt),
}

impl<'a> Item<'a> {
    /// Whoever can read a URI.
    pub fn readable(readable: &'a Readable) -> Self {
        match readable {
            Readable::Listed(resource) => Self::Resource(resource),
            Readable::OfTemplate(template) => Self::Template(template),
        }
    }

    fn guest(self) -> &'a Guest {
        match self {
            Self::Tool(tool) => &tool.guest,
            Self::Resource(resource) => &resource.guest,
            Self::Template(template) => &template.guest,
            Self::Prompt(prompt) => &prompt.guest,
        }
    }
}

impl Policy {
    /// The rule that always holds: a tool that demands scopes is there for callers who have all of them.
    pub fn new(authority: Authority) -> Self {
        Self { authority }
    }

    /// Whether the caller may know of it and use it. Lists and calls ask this one question, so they cannot disagree.
    pub fn allows(&self, caller: &Caller, item: Item<'_>) -> bool {
        match item {
            Item::Tool(tool) => tool.scopes.iter().all(|scope| caller.principal().scopes.iter().any(|held| **held == **scope)),
            // They demand nothing.
            Item::Resource(_) | Item::Template(_) | Item::Prompt(_) => true,
        }
    }

    /// Permits the work, which must be of that very item.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub fn authorize(&self, caller: &Caller, item: Item<'_>, work: Work) -> Result<Permit, Denied> {
        if !self.allows(caller, item) {
            return Err(Denied);
        }
        Ok(self.authority.permit(item.guest(), work, Grants::none()))
    }
}
