//! Where sessions, streams and tasks are kept, and how safely.

use event_store::Durability;
use std::path::PathBuf;

/// What the store is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreBackend {
    /// A sled database: survives the process.
    Sled,
    /// Memory: streams can be resumed while the process lives.
    Memory,
    /// Nothing is kept for a resume: streams carry no ids.
    None,
}

/// The store's settings.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// What it is made of.
    pub backend: StoreBackend,
    /// Where it lies.
    pub directory: PathBuf,
    /// Without it nothing is begun: no start, and no session.
    pub required: bool,
    /// What it keeps, and how.
    pub settings: event_store::Settings,
}

impl StoreBackend {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "sled" => Ok(Self::Sled),
            "memory" => Ok(Self::Memory),
            "none" => Ok(Self::None),
            _ => Err("must be \"sled\", \"memory\" or \"none\"".to_owned()),
        }
    }
}

pub(super) fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "fsync" => Ok(Durability::Fsync),
        "os" => Ok(Durability::Os),
        "none" => Ok(Durability::None),
        _ => Err("must be \"fsync\", \"os\" or \"none\"".to_owned()),
    }
}
