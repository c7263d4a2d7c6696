//! What a run may reach beyond itself: plain data, made by the host and carried by the permit. What is not in it is refused when the guest
//! reaches for it.
//!
//! Each kind of capability has a file of its own below, and a member of [`Grants`] and of [`Asks`]: what the operator grants, and what the
//! component's own side file asks for. Only what is in both is in force; the host makes the [`Grants`] of one from the other, once for each of
//! its generations.

mod http;

pub use self::http::{HttpHost, HttpPattern, HttpRule, HttpScheme, HttpTerms, Mismatch, Network};

use crate::Reach;
use serde::Deserialize;
use std::sync::Arc;

/// The capabilities that a run gets.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// Requests that may leave; none may where there is no rule.
    pub http: Arc<[HttpRule]>,
}

impl Grants {
    /// Clocks, randomness and bounded logs, which every guest has; nothing else.
    pub fn none() -> Self {
        Self::default()
    }
}

/// What a component asks for, by its side file. Asking grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asks {
    /// Requests that it sends. An empty list is for a component that imports HTTP, as language runtimes do, and needs none.
    pub http: Option<Vec<HttpPattern>>,
}

impl Asks {
    /// Whether a component may import what reaches there: what every language runtime imports it may in any case, and is refused when it
    /// calls it; what only a component imports that means to use it has to be asked for.
    pub(crate) fn allow_import(&self, reach: Reach) -> bool {
        match reach {
            Reach::Nothing | Reach::Files | Reach::Environment | Reach::Sockets => true,
            Reach::Http => self.http.is_some(),
            Reach::Unknown => false,
        }
    }

    /// Whether it asks for nothing that reaches beyond its call.
    pub fn is_nothing(&self) -> bool {
        self.http.as_ref().is_none_or(Vec::is_empty)
    }
}
