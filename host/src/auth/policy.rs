//! What a caller may do. The only place that makes permits.

use super::Caller;
use crate::catalog::Tool;
use sandbox::{Authority, Grants, Permit};

/// Decides, and holds the authority to permit.
#[derive(Debug)]
pub struct Policy {
    authority: Authority,
}

/// No. A client learns nothing more than that there is no such tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied;

impl Policy {
    /// The rule that always holds: a tool that demands scopes is there for callers who have all of them.
    pub fn new(authority: Authority) -> Self {
        Self { authority }
    }

    /// Whether the caller may know of the tool and call it. Lists and calls ask this one question, so they cannot disagree.
    pub fn allows(&self, caller: &Caller, tool: &Tool) -> bool {
        tool.scopes.iter().all(|scope| caller.principal().scopes.iter().any(|held| **held == **scope))
    }

    /// Permits one run.
    ///
    /// # Errors
    ///
    /// When the caller may not.
    pub fn authorize(&self, caller: &Caller, tool: &Tool) -> Result<Permit, Denied> {
        if !self.allows(caller, tool) {
            return Err(Denied);
        }
        Ok(self.authority.permit(&tool.guest, &tool.definition.name, Grants::none()))
    }
}
