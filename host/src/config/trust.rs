//! Which components of the plugin directories may be served: by the lock file, and by whose signature.

use super::file::Section;
use std::path::{Path, PathBuf};

/// What it takes for a component to be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustConfig {
    /// Of the shared directory, and of tenants' own where they say nothing else.
    pub mode: TrustMode,
    /// The lock file.
    pub lock: PathBuf,
    /// Public keys of minisign, as one line of base64 each.
    pub keys: Vec<String>,
    /// Files with one such key each.
    pub key_files: Vec<PathBuf>,
    /// Nothing is served without a signature by one of these keys.
    pub signature_required: bool,
}

/// Whether the lock file is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrustMode {
    /// It is not: whatever loads is served.
    #[default]
    Open,
    /// What it does not name is looked at and waits to be approved.
    Prompt,
    /// What it does not name is not even compiled.
    Locked,
}

impl TrustMode {
    /// As the settings have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Prompt => "prompt",
            Self::Locked => "locked",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(Self::Open),
            "prompt" => Ok(Self::Prompt),
            "locked" => Ok(Self::Locked),
            _ => Err("must be \"open\", \"prompt\" or \"locked\"".to_owned()),
        }
    }
}

/// Of the section `plugins`.
pub(super) fn read(plugins: &Section<'_, '_>, base: &Path) -> TrustConfig {
    let mode = plugins.parsed("trust", TrustMode::parse).unwrap_or_default();
    let lock = plugins.text("lock").unwrap_or_else(|| "plugins.lock".to_owned());
    let keys = plugins.texts("trusted_keys");
    let key_files: Vec<_> = plugins.texts("trusted_key_files").into_iter().map(|file| base.join(file)).collect();
    let has_keys = !(keys.is_empty() && key_files.is_empty());
    // Whoever names a key means it.
    let signature_required = plugins.flag("require_signature", has_keys);
    if signature_required && !has_keys {
        plugins.note("require_signature", "needs a key: name one with plugins.trusted_keys or plugins.trusted_key_files");
    }
    TrustConfig { mode, lock: base.join(lock), keys, key_files, signature_required }
}
