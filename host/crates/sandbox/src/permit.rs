//! The right to run.
//!
//! A [`Permit`] is made only by the one [`Authority`] that comes with a [`Sandbox`](crate::Sandbox), and
//! [`Sandbox::call`](crate::Sandbox::call) takes it by value: a call that no policy looked at does not compile.

use crate::Guest;

/// Makes permits. There is one for each sandbox and it cannot be copied; whoever holds it answers for every call.
#[derive(Debug)]
pub struct Authority(());

impl Authority {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// Permits one run of one tool of this guest.
    pub fn permit(&self, guest: &Guest, tool: &str, grants: Grants) -> Permit {
        Permit { guest: guest.clone(), tool: tool.to_owned(), grants }
    }
}

/// The capabilities that a run gets. What is not granted is refused when the guest reaches for it.
#[derive(Debug, Clone, Default)]
pub struct Grants {}

impl Grants {
    /// Clocks, randomness and bounded logs, which every guest has; nothing else.
    pub fn none() -> Self {
        Self {}
    }
}

/// One tool of one guest may run once, with these grants.
#[derive(Debug)]
pub struct Permit {
    pub(crate) guest: Guest,
    pub(crate) tool: String,
    pub(crate) grants: Grants,
}
