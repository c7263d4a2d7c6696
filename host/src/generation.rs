//! One generation of what requests work with: who is who, who may do what, and what there is. It is made of the settings and of the plugin
//! directories, never changes, and is replaced whole, so that no request sees the rules of one reading with the tools of another.

use crate::auth::Authenticator;
use crate::catalog::Catalog;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// One generation.
#[derive(Debug)]
pub struct Generation {
    /// Who is who, and who may do what.
    pub authenticator: Arc<Authenticator>,
    /// What there is.
    pub catalog: Arc<Catalog>,
}

/// The current one.
pub type Current = Arc<ArcSwap<Generation>>;
