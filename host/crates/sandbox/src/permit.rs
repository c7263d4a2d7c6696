//! The right to run.
//!
//! A [`Permit`] is made only by the one [`Authority`] that comes with a [`Sandbox`](crate::Sandbox), and
//! [`Sandbox::call`](crate::Sandbox::call) takes it by value: a call that no policy looked at does not compile.

use crate::{Grants, Guest, ScratchTerms, Work, Writable};
use std::sync::Arc;

/// Makes permits. There is one for each sandbox and it cannot be copied; whoever holds it answers for every call.
#[derive(Debug)]
pub struct Authority(());

impl Authority {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// Permits this guest to do this work.
    pub fn permit(&self, guest: &Guest, work: Work, grants: Grants) -> Permit {
        Permit { guest: guest.clone(), work, grants }
    }
}

/// One guest may do one piece of work once, with these grants.
#[derive(Debug)]
pub struct Permit {
    pub(crate) guest: Guest,
    pub(crate) work: Work,
    pub(crate) grants: Grants,
}

impl Permit {
    /// Whether its guest writes directories.
    pub fn writes_files(&self) -> bool {
        self.grants.files.are_written()
    }

    /// Whether its guest may answer several calls of one caller.
    pub fn is_reusing(&self) -> bool {
        self.grants.meeting().is_some()
    }

    /// On what terms its guest has a scratch directory, if it has.
    pub fn scratch(&self) -> Option<&ScratchTerms> {
        self.grants.scratch.as_ref()
    }

    /// Gives its guest that scratch directory.
    ///
    /// # Errors
    ///
    /// When it cannot be opened once more.
    pub fn give_scratch(&mut self, scratch: Arc<Writable>) -> std::io::Result<()> {
        if let Some(terms) = &self.grants.scratch {
            self.grants.files = self.grants.files.with(&terms.path, scratch)?;
        }
        Ok(())
    }

    /// What it lets the guest do.
    pub fn work(&self) -> &Work {
        &self.work
    }
}
