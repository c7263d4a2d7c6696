//! The right to run.
//!
//! A [`Permit`] is made only by the one [`Authority`] that comes with a [`Sandbox`](crate::Sandbox), and
//! [`Sandbox::call`](crate::Sandbox::call) takes it by value: a call that no policy looked at does not compile.

use crate::{Grants, Guest, Work};

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
    /// What it lets the guest do.
    pub fn work(&self) -> &Work {
        &self.work
    }
}
